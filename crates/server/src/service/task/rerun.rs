//! Running a task again: which of its hosts, and the new root.

use std::collections::BTreeSet;

use model::{HostUuid, Reason, RootId, Status, limits};
use protocol::api::param::Targets;
use protocol::error::{Code, Fault};
use store::{HostNo, Leaf, LeafQuery, NewRoot, PageRequest, Root};

use super::{Tasks, digest, mismatch, request_key};
use crate::auth::Caller;
use crate::service::Error;

/// Where work is done again: what is empty is no condition, what is given must all hold.
#[derive(Debug)]
pub(crate) struct Rerun {
    /// The root whose hosts they are.
    pub(crate) old: Root,
    /// Their leaves stand in one of these; not empty.
    pub(crate) statuses: Vec<Status>,
    /// Their leaves ended for one of these.
    pub(crate) reasons: Vec<Reason>,
    /// The hosts themselves: each must be one of those that the conditions mean.
    pub(crate) uuids: Vec<HostUuid>,
    /// The caller's name for this request.
    pub(crate) client_token: Option<String>,
}

impl Rerun {
    /// What is asked, in short.
    fn digest(&self) -> [u8; 32] {
        let list = |texts: Vec<&str>| texts.join(",");
        digest(&[
            "rerun",
            &self.old.id.to_string(),
            &list(self.statuses.iter().map(|it| it.wire()).collect()),
            &list(self.reasons.iter().map(|it| it.wire()).collect()),
            &list(self.uuids.iter().map(HostUuid::as_str).collect()),
        ])
    }
}

impl Tasks {
    /// Does the same work again on some of the hosts of a root: a new root.
    pub(crate) async fn rerun(
        &self,
        caller: &Caller,
        rerun: Rerun,
        nonce: &str,
    ) -> Result<Root, Error> {
        let token = rerun.client_token.as_deref();
        let (request_key, request_digest) = (request_key(caller, token, nonce), rerun.digest());
        let known = self.store.root_of_request(&request_key, &request_digest);
        if let Some(id) = known.await.map_err(mismatch)? {
            return self.root(id).await;
        }
        let found = self.hosts_again(&rerun).await?;
        let hosts = if rerun.uuids.is_empty() {
            found
        } else {
            self.named_among(&rerun, &found).await?
        };
        if hosts.is_empty() {
            return Err(illegal("no host of that task is left to run it again"));
        }
        let old = rerun.old;
        let now = self.clock.now();
        let root = NewRoot {
            id: RootId::new(now, crate::random::bytes()?),
            task_type: old.task_type,
            name: old.name,
            source: old.source,
            operator: caller.name.clone(),
            work: old.work,
            created_at: now,
            deadline: now.plus(old.deadline.since(old.created_at)),
            request_key,
            request_digest,
            rerun_of: Some(old.id),
            plan: old.plan,
        };
        self.start(root, hosts).await
    }

    /// The hosts that the conditions mean and that were not removed since, ascending.
    async fn hosts_again(&self, rerun: &Rerun) -> Result<Vec<HostNo>, Error> {
        let mut hosts = Vec::new();
        let query = LeafQuery::Root {
            root: rerun.old.id,
            statuses: rerun.statuses.clone(),
            outcome: None,
        };
        let reasons = &rerun.reasons;
        for number in 1.. {
            let size = limits::LEAF_PAGE_SIZE_MAX;
            let page = PageRequest { number, size };
            let rows = self.store.leaf_page(&query, page, 0).await?.rows;
            let keeps = |it: &&Leaf| reasons.is_empty() || reasons.contains(&it.state.reason);
            hosts.extend(rows.iter().filter(keeps).map(|it| it.host));
            if rows.is_empty() {
                break;
            }
        }
        let stored = self.store.host_get_many(&hosts).await?;
        let there = stored.iter().filter(|it| it.removed_at.is_none());
        Ok(there.map(|it| it.number).collect())
    }

    /// The hosts that were named. One that is not among `found` is refused: it may be running.
    async fn named_among(&self, rerun: &Rerun, found: &[HostNo]) -> Result<Vec<HostNo>, Error> {
        let named = Targets::Uuids(rerun.uuids.clone());
        let named = self.resolver.resolve(&named).await?;
        let found: BTreeSet<HostNo> = found.iter().copied().collect();
        let others: Vec<HostNo> = named
            .iter()
            .copied()
            .filter(|it| !found.contains(it))
            .collect();
        let Some(first) = others.first() else {
            return Ok(named);
        };
        let first = self.store.host_get_many(&[*first]).await?;
        let statuses: Vec<&str> = rerun.statuses.iter().map(|it| it.wire()).collect();
        let uuid = first.first().map_or("a host", |it| it.uuid.as_str());
        Err(illegal(&format!(
            "hosts were named that do not stand at {}{} in that task: {uuid}{}",
            statuses.join(", "),
            if rerun.reasons.is_empty() {
                ""
            } else {
                " for one of the reasons given"
            },
            match others.len() {
                1 => String::new(),
                more => format!(" and {} more", more.saturating_sub(1)),
            },
        )))
    }
}

fn illegal(why: &str) -> Error {
    let text = format!("Illegal param: {why}. Nothing was created.");
    Fault::new(Code::IllegalParam, text).into()
}
