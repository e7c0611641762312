//! The calls of [`Store`], each handed to its noun.
//!
//! Owns nothing: decides only whether a call reads, changes the file, or stages.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use model::{AssetItem, Event, HostUuid, LabelChange, LeafId, RootId, UnixMillis};
use tokio::sync::oneshot;

use super::batch::Batch;
use super::task::View;
use super::writer::{Message, Weight};
use super::{
    Length, ONE, SqlStore, access, answer, audit, host, install_code, leaf, retention, setting,
    snapshot, task, verify,
};
use crate::{
    AccessKey, Applied, AuditEntry, AuditQuery, Created, Dropped, Error, Host, HostFilter, HostNo,
    InstallCode, Leaf, LeafEvent, LeafQuery, LeafSlot, NewAudit, NewHost, NewRoot, OutcomeGroup,
    Page, PageRequest, Policy, Root, RootQuery, Snapshot, Store, Token, User,
};

/// Answers up to this many are read where they are asked for.
const ANSWERS_SHORT: u32 = 100;
/// Leaves up to this many are looked through where they are asked for.
const LEAVES_SHORT: u32 = 4_096;
/// Host numbers up to this many are copied where they are asked for.
const HOSTS_SHORT: usize = 10_000;

impl<D> SqlStore<D> {
    /// How long it may take to look through the leaves of a root.
    fn length_of(&self, root: RootId) -> Length {
        let active = self.shared.active_now();
        let leaves = active.and_then(|it| Some(it.find(root)?.leaves()));
        if leaves.is_some_and(|it| it <= LEAVES_SHORT) {
            Length::Short
        } else {
            Length::Long
        }
    }

    /// How long a page of leaves may take: by status or outcome, all roots or all leaves are looked through.
    fn length_of_page(&self, query: &LeafQuery) -> Length {
        match query {
            LeafQuery::Root {
                statuses,
                outcome: None,
                ..
            }
            | LeafQuery::Roots { statuses, .. }
                if statuses.is_empty() =>
            {
                Length::Short
            }
            LeafQuery::Root { root, .. } => self.length_of(*root),
            LeafQuery::Roots { .. } => Length::Long,
        }
    }
}

#[async_trait]
impl<D: 'static> Store for SqlStore<D> {
    async fn root_create(&self, root: NewRoot, hosts: Vec<HostNo>) -> Result<Created, Error> {
        let weight = Weight {
            events: 1,
            bytes: hosts.len().saturating_mul(8),
        };
        self.write(weight, |batch| task::create(batch, root, hosts))
            .await
    }

    async fn root_of_request(
        &self,
        request_key: &str,
        request_digest: &[u8; 32],
    ) -> Result<Option<RootId>, Error> {
        let (key, digest) = (request_key.to_owned(), *request_digest);
        self.view(move |view| view.root_of_request(&key, &digest))
            .await
    }

    async fn root_get(&self, id: RootId) -> Result<Option<Root>, Error> {
        self.view(move |view| view.root_get(id)).await
    }

    async fn root_last(&self, query: &RootQuery) -> Result<Option<Root>, Error> {
        let query = query.clone();
        let page = PageRequest { number: 1, size: 1 };
        let mut page = self.view(move |view| view.root_page(&query, page)).await?;
        Ok(page.rows.pop())
    }

    async fn root_page(&self, query: &RootQuery, page: PageRequest) -> Result<Page<Root>, Error> {
        let query = query.clone();
        self.view(move |view| view.root_page(&query, page)).await
    }

    async fn root_active(&self) -> Result<Vec<Root>, Error> {
        self.view(|view| Ok(view.active.folds().map(|it| it.root.clone()).collect()))
            .await
    }

    async fn root_cancel(&self, id: RootId, now: UnixMillis) -> Result<bool, Error> {
        self.stage(ONE, move |batch| task::cancel(batch, id, now))
            .await
    }

    async fn root_drop_oldest(
        &self,
        before: UnixMillis,
        keep_max: Option<u64>,
        rows_max: u32,
    ) -> Result<Dropped, Error> {
        let weight = Weight {
            events: usize::try_from(rows_max).unwrap_or(usize::MAX),
            bytes: 0,
        };
        self.write(weight, move |batch| {
            retention::drop_oldest(batch, before, keep_max, rows_max)
        })
        .await
    }

    async fn leaf_apply_many(
        &self,
        events: Vec<LeafEvent>,
        now: UnixMillis,
    ) -> Result<Vec<Result<Applied, Error>>, Error> {
        self.stage(leaf::weight(&events), move |batch| {
            Ok(leaf::apply_many(batch, &events, now))
        })
        .await
    }

    async fn leaf_apply_all(
        &self,
        root: RootId,
        event: Event,
        now: UnixMillis,
    ) -> Result<Vec<(LeafSlot, Applied)>, Error> {
        self.stage(ONE, move |batch| leaf::apply_all(batch, root, event, now))
            .await
    }

    async fn leaf_get(&self, id: LeafId) -> Result<Option<Leaf>, Error> {
        let look = move |view: View<'_>| view.leaf_pick(id);
        let mut page = self
            .read(Length::Short, look, |tx, picked| {
                answer::complete(tx, picked, usize::MAX)
            })
            .await?;
        Ok(page.rows.pop())
    }

    async fn leaf_page(
        &self,
        query: &LeafQuery,
        page: PageRequest,
        answers_bytes_max: usize,
    ) -> Result<Page<Leaf>, Error> {
        let look = {
            let query = query.clone();
            move |view: View<'_>| view.leaf_page(&query, page)
        };
        let length = if answers_bytes_max > 0 && page.size > ANSWERS_SHORT {
            Length::Long
        } else {
            self.length_of_page(query)
        };
        self.read(length, look, move |tx, picked| {
            answer::complete(tx, picked, answers_bytes_max)
        })
        .await
    }

    async fn leaf_problems_first(
        &self,
        root: RootId,
        size: u32,
        answers_bytes_max: usize,
    ) -> Result<Page<Leaf>, Error> {
        let look = move |view: View<'_>| view.leaf_problems_first(root, size);
        let length = if answers_bytes_max > 0 && size > ANSWERS_SHORT {
            Length::Long
        } else {
            self.length_of(root)
        };
        self.read(length, look, move |tx, picked| {
            answer::complete(tx, picked, answers_bytes_max)
        })
        .await
    }

    async fn outcome_list(&self, root: RootId) -> Result<Vec<OutcomeGroup>, Error> {
        let look = move |view: View<'_>| view.outcome_list(root);
        self.read(self.length_of(root), look, |_, seen| Ok(seen))
            .await
    }

    async fn leaf_unfinished(&self, root: RootId) -> Result<Vec<LeafSlot>, Error> {
        let look = move |view: View<'_>| view.leaf_unfinished(root);
        self.read(Length::Long, look, |_, seen| Ok(seen)).await
    }

    async fn leaf_unfinished_of_host(&self, host: HostNo) -> Result<Vec<LeafSlot>, Error> {
        self.view(move |view| Ok(view.leaf_unfinished_of_host(host)))
            .await
    }

    async fn host_add(&self, host: NewHost) -> Result<HostNo, Error> {
        self.write(ONE, move |batch| host::add(batch, &host)).await
    }

    async fn host_get(&self, uuid: &HostUuid) -> Result<Option<Host>, Error> {
        let uuid = uuid.clone();
        self.query(move |tx| host::get(tx, uuid.as_str())).await
    }

    async fn host_of_key(&self, public_key: &[u8]) -> Result<Option<Host>, Error> {
        let public_key = public_key.to_vec();
        self.query(move |tx| host::of_key(tx, &public_key)).await
    }

    async fn host_get_many(&self, numbers: &[HostNo]) -> Result<Vec<Host>, Error> {
        let numbers = numbers.to_vec();
        self.query(move |tx| host::get_many(tx, &numbers)).await
    }

    async fn host_numbers(&self) -> Result<Vec<HostNo>, Error> {
        let active = self.shared.active_now();
        let length = match active.is_some_and(|it| it.hosts().len() <= HOSTS_SHORT) {
            true => Length::Short,
            false => Length::Long,
        };
        let look = |view: View<'_>| Ok(view.active.hosts().to_vec());
        self.read(length, look, |_, seen| Ok(seen)).await
    }

    async fn host_page(&self, filter: &HostFilter, page: PageRequest) -> Result<Page<Host>, Error> {
        let filter = filter.clone();
        let length = if filter.criteria.is_empty() {
            Length::Short
        } else {
            Length::Long
        };
        let look = move |view: View<'_>| view.host_page(&filter, page);
        self.read(length, look, |_, seen| Ok(seen)).await
    }

    async fn host_seen(
        &self,
        host: HostNo,
        agent_version: String,
        facts: Option<String>,
        now: UnixMillis,
    ) -> Result<(), Error> {
        self.change(move |tx| host::seen(tx, host, &agent_version, facts.as_deref(), now))
            .await
    }

    async fn host_label(&self, hosts: &[HostNo], change: &LabelChange) -> Result<u64, Error> {
        let (hosts, change) = (hosts.to_vec(), change.clone());
        let weight = Weight {
            events: hosts.len(),
            bytes: 0,
        };
        self.write(weight, move |batch| host::label(batch.tx, &hosts, &change))
            .await
    }

    async fn host_remove(&self, uuid: &HostUuid, now: UnixMillis) -> Result<bool, Error> {
        let uuid = uuid.clone();
        self.write(ONE, move |batch| host::remove(batch, &uuid, now))
            .await
    }

    async fn snapshot_list(
        &self,
        hosts: &[HostNo],
        items: &[AssetItem],
    ) -> Result<Vec<Snapshot>, Error> {
        let (hosts, items) = (hosts.to_vec(), items.to_vec());
        // To unpack them takes longer than to find them.
        self.read(
            Length::Long,
            |_| Ok(()),
            move |tx, ()| snapshot::list(tx, &hosts, &items),
        )
        .await
    }

    async fn snapshot_changes(&self, after: i64, rows_max: u32) -> Result<Vec<Snapshot>, Error> {
        self.read(
            Length::Long,
            |_| Ok(()),
            move |tx, ()| snapshot::changes(tx, after, rows_max),
        )
        .await
    }

    async fn install_code_add(&self, code: InstallCode) -> Result<(), Error> {
        self.change(move |tx| install_code::add(tx, &code)).await
    }

    async fn install_code_get(&self, code: &str) -> Result<Option<InstallCode>, Error> {
        let code = code.to_owned();
        self.query(move |tx| install_code::get(tx, &code)).await
    }

    async fn install_code_list(&self) -> Result<Vec<InstallCode>, Error> {
        self.query(install_code::list).await
    }

    async fn install_code_delete(&self, code: &str) -> Result<bool, Error> {
        let code = code.to_owned();
        self.change(move |tx| install_code::delete(tx, &code)).await
    }

    async fn install_code_use(&self, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.change(move |tx| install_code::use_once(tx, &id)).await
    }

    async fn user_add(&self, name: &str, now: UnixMillis) -> Result<(), Error> {
        let name = name.to_owned();
        self.change(move |tx| access::user_add(tx, &name, now))
            .await
    }

    async fn user_list(&self) -> Result<Vec<User>, Error> {
        self.query(access::user_list).await
    }

    async fn user_get(&self, name: &str) -> Result<Option<User>, Error> {
        let name = name.to_owned();
        self.query(move |tx| access::user_get(tx, &name)).await
    }

    async fn user_delete(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.change(move |tx| access::user_delete(tx, &name)).await
    }

    async fn key_add(&self, key: AccessKey) -> Result<(), Error> {
        self.change(move |tx| access::key_add(tx, &key)).await
    }

    async fn key_get(&self, id: &str) -> Result<Option<AccessKey>, Error> {
        let id = id.to_owned();
        self.query(move |tx| access::key_get(tx, &id)).await
    }

    async fn key_set_active(&self, id: &str, active: bool) -> Result<bool, Error> {
        let id = id.to_owned();
        self.change(move |tx| access::key_set_active(tx, &id, active))
            .await
    }

    async fn key_delete(&self, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.change(move |tx| access::key_delete(tx, &id)).await
    }

    async fn policy_put(&self, user: &str, policy: Policy) -> Result<(), Error> {
        let user = user.to_owned();
        self.change(move |tx| access::policy_put(tx, &user, &policy))
            .await
    }

    async fn policy_delete(&self, user: &str, name: &str) -> Result<bool, Error> {
        let (user, name) = (user.to_owned(), name.to_owned());
        self.change(move |tx| access::policy_delete(tx, &user, &name))
            .await
    }

    async fn token_add(&self, token: Token, now: UnixMillis) -> Result<(), Error> {
        self.change(move |tx| access::token_add(tx, &token, now))
            .await
    }

    async fn token_get(&self, id: &str) -> Result<Option<Token>, Error> {
        let id = id.to_owned();
        self.query(move |tx| access::token_get(tx, &id)).await
    }

    async fn token_delete(&self, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.change(move |tx| access::token_delete(tx, &id)).await
    }

    async fn nonce_burn(
        &self,
        hash: Vec<u8>,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, Error> {
        self.change(move |tx| setting::nonce_burn(tx, &hash, expires_at, now))
            .await
    }

    async fn audit_append(&self, entries: Vec<NewAudit>) -> Result<(), Error> {
        self.change(move |tx| audit::append(tx, &entries)).await
    }

    async fn audit_page(&self, query: AuditQuery) -> Result<Vec<AuditEntry>, Error> {
        self.query(move |tx| audit::page(tx, &query)).await
    }

    async fn setting_get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let name = name.to_owned();
        self.query(move |tx| setting::get(tx, &name)).await
    }

    async fn setting_put_new(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>, Error> {
        let name = name.to_owned();
        self.change(move |tx| setting::put_new(tx, &name, &value))
            .await
    }

    fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    async fn ping(&self) -> Result<(), Error> {
        self.change(setting::beat).await
    }

    async fn verify(&self) -> Result<Vec<String>, Error> {
        let look = |view: View<'_>| verify::file(view.tx);
        let mut lines = self.read(Length::Long, look, |_, seen| Ok(seen)).await?;
        for no in self
            .view(|view| Ok(view.active.folds().map(|it| it.no).collect::<Vec<_>>()))
            .await?
        {
            let check = move |batch: &mut Batch<'_>| verify::memory(batch, no);
            lines.extend(self.stage(ONE, check).await?);
        }
        Ok(lines)
    }

    async fn packed(&self) -> Result<(), Error> {
        self.packer.done().await
    }

    async fn close(&self) {
        self.shared.packing.end();
        self.shared.readers.close();
        let (closer, done) = oneshot::channel();
        if self.messages.send(Message::Close(closer)).await.is_ok() {
            // An error means that the writer has ended already.
            drop(done.await);
        }
    }
}
