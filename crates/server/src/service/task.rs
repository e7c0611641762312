//! Root tasks and their leaves: create, look, cancel.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::{LeafId, RootId, Status, TaskId, TaskType, limits};
use protocol::answer::Answer;
use protocol::api::param::{Targets, TaskParam};
use protocol::error::{Code, Fault};
use protocol::work::Work;
use store::{Host, HostNo, Leaf, LeafQuery, NewRoot, Page, PageRequest, Root, RootQuery, Store};

use super::{Bundles, Checker, Error};
use crate::auth::Caller;
use crate::clock::Clock;
use crate::engine::{Engine, Signer};

/// The service of tasks.
pub(crate) struct Tasks {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) bundles: Arc<Bundles>,
    pub(crate) checker: Arc<Checker>,
    pub(crate) running_max: usize,
    pub(crate) creating: tokio::sync::Mutex<()>,
}

/// What is to be created.
#[derive(Debug)]
pub(crate) struct NewTask<'a> {
    pub(crate) task_type: TaskType,
    pub(crate) name: &'a str,
    pub(crate) source: &'a str,
    pub(crate) param: TaskParam,
    /// The request's nonce: the same request never creates twice.
    pub(crate) nonce: &'a str,
}

/// A leaf with all that its row shows.
#[derive(Debug)]
pub(crate) struct LeafView {
    pub(crate) leaf: Leaf,
    pub(crate) host: Host,
    pub(crate) online: bool,
    pub(crate) answer: Option<Answer>,
    /// The command to paste, while it can complete this leaf.
    pub(crate) manual_command: Option<String>,
    /// Where the log bundle can be downloaded.
    pub(crate) bundle_url: Option<String>,
}

/// A root with what its row shows of its hosts, problems first.
#[derive(Debug)]
pub(crate) struct RootView {
    pub(crate) root: Root,
    pub(crate) leaves: Vec<LeafView>,
}

impl Tasks {
    /// Creates a root task. The work goes on by itself.
    pub(crate) async fn create(&self, caller: &Caller, new: NewTask<'_>) -> Result<Root, Error> {
        let hosts = self.targets(&new.param.hosts).await?;
        let now = self.clock.now();
        let request_key = match &new.param.client_token {
            Some(token) => format!("token:{}:{token}", caller.name),
            None => format!("nonce:{}:{}", caller.key_id, new.nonce),
        };
        let root = NewRoot {
            id: RootId::new(now, crate::random::bytes()?),
            task_type: new.task_type,
            name: new.name.to_owned(),
            source: new.source.to_owned(),
            operator: caller.name.clone(),
            work: serde_json::to_string(&new.param.work).map_err(Error::internal)?,
            created_at: now,
            deadline: now.plus(new.param.timeout_ms),
            request_key,
        };
        let count = hosts.len();
        let one_at_a_time = self.creating.lock().await;
        if self.store.root_active().await?.len() >= self.running_max {
            return Err(Code::TaskLimitExceeded.into());
        }
        let created = self.store.root_create(root, hosts).await?;
        drop(one_at_a_time);
        if !created.existed {
            tracing::info!(
                task.id = %created.id, task.kind = new.task_type.wire(), task.leaves = count,
                operator = %caller.name, "a task was created"
            );
        }
        self.engine.wake();
        self.root(created.id).await
    }

    async fn targets(&self, targets: &Targets) -> Result<Vec<HostNo>, Error> {
        let hosts: BTreeSet<HostNo> = match targets {
            Targets::All => self.store.host_numbers().await?.into_iter().collect(),
            Targets::Uuids(uuids) => {
                let mut found = BTreeSet::new();
                let mut unknown = Vec::new();
                for uuid in uuids {
                    match self.store.host_get(uuid).await? {
                        Some(host) if host.removed_at.is_none() => {
                            found.insert(host.number);
                        }
                        _ => unknown.push(uuid.as_str()),
                    }
                }
                if !unknown.is_empty() {
                    let shown = unknown
                        .iter()
                        .take(5)
                        .copied()
                        .collect::<Vec<_>>()
                        .join(", ");
                    let text = format!(
                        "Illegal param: {} of the {} uuids are not hosts of this control plane: {shown}. Nothing was created.",
                        unknown.len(),
                        uuids.len()
                    );
                    return Err(Fault::new(Code::IllegalParam, text).into());
                }
                found
            }
        };
        if hosts.is_empty() {
            let text = "Illegal param: no host is enrolled yet. Nothing was created.";
            return Err(Fault::new(Code::IllegalParam, text).into());
        }
        if hosts.len() > limits::ROOT_HOSTS_MAX {
            let text = format!(
                "Illegal param: a task has at most {} hosts. Nothing was created.",
                limits::ROOT_HOSTS_MAX
            );
            return Err(Fault::new(Code::IllegalParam, text).into());
        }
        Ok(hosts.into_iter().collect())
    }

    /// One root.
    pub(crate) async fn root(&self, id: RootId) -> Result<Root, Error> {
        let root = self.store.root_get(id).await?;
        root.ok_or_else(|| Fault::not_exist("task", &id.to_string()).into())
    }

    /// One root, if there is one.
    pub(crate) async fn root_if_any(&self, id: RootId) -> Result<Option<Root>, Error> {
        Ok(self.store.root_get(id).await?)
    }

    /// The newest root of a type and source.
    pub(crate) async fn last(&self, query: &RootQuery) -> Result<Option<Root>, Error> {
        Ok(self.store.root_last(query).await?)
    }

    /// A page of roots.
    pub(crate) async fn roots(
        &self,
        query: &RootQuery,
        page: PageRequest,
    ) -> Result<Page<Root>, Error> {
        Ok(self.store.root_page(query, page).await?)
    }

    /// A page of leaves.
    pub(crate) async fn leaves(
        &self,
        query: &LeafQuery,
        page: PageRequest,
        with_answers: bool,
    ) -> Result<Page<Leaf>, Error> {
        Ok(self.store.leaf_page(query, page, with_answers).await?)
    }

    /// One leaf with its answer, if there is one.
    pub(crate) async fn leaf(&self, id: LeafId) -> Result<Option<Leaf>, Error> {
        Ok(self.store.leaf_get(id).await?)
    }

    /// What a root's row shows of its hosts: up to [`limits::ROOT_DETAIL_HOSTS_MAX`], problems first.
    pub(crate) async fn root_view(&self, root: Root, base: &str) -> Result<RootView, Error> {
        let most = u64::try_from(limits::ROOT_DETAIL_HOSTS_MAX).unwrap_or(u64::MAX);
        let groups = [
            vec![Status::Fail, Status::Timeout],
            vec![Status::Init, Status::Start, Status::Dispatch],
            vec![Status::Success],
        ];
        let mut leaves = Vec::new();
        for statuses in groups {
            let room = most.saturating_sub(u64::try_from(leaves.len()).unwrap_or(most));
            let size = u32::try_from(room).unwrap_or(u32::MAX);
            if size > 0 {
                let query = LeafQuery::Root {
                    root: root.id,
                    statuses,
                };
                let page = PageRequest { number: 1, size };
                leaves.extend(self.store.leaf_page(&query, page, true).await?.rows);
            }
        }
        let mut leaves = self.leaf_views(&root, leaves, base).await?;
        leaves.sort_by_key(|it| !it.has_problem());
        Ok(RootView { root, leaves })
    }

    /// Leaves of one root with all that their rows show.
    pub(crate) async fn leaf_views(
        &self,
        root: &Root,
        leaves: Vec<Leaf>,
        base: &str,
    ) -> Result<Vec<LeafView>, Error> {
        let work: Work = serde_json::from_str(&root.work).map_err(Error::internal)?;
        let numbers: Vec<HostNo> = leaves.iter().map(|it| it.host).collect();
        let hosts = self.store.host_get_many(&numbers).await?;
        let hosts: HashMap<HostNo, Host> = hosts.into_iter().map(|it| (it.number, it)).collect();
        let now = self.clock.now();
        let mut views = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let host = hosts.get(&leaf.host).cloned();
            let host =
                host.ok_or_else(|| Error::internal("a leaf names a host that is not stored"))?;
            let answer = leaf
                .answer
                .as_deref()
                .map(serde_json::from_slice)
                .transpose();
            let online = self.engine.sessions.is_online(leaf.host);
            let waits = !leaf.state.status.is_final() && !online;
            let manual_command =
                if waits && root.task_type.only_reads() && root.cancelled_at.is_none() {
                    let ticket = self.signer.ticket(leaf.id, &host.uuid);
                    self.checker
                        .command(base, leaf.id, &host.uuid, ticket, &work)
                        .await
                } else {
                    None
                };
            views.push(LeafView {
                bundle_url: self.bundles.url(base, leaf.id, now).await,
                answer: answer.map_err(Error::internal)?,
                leaf,
                host,
                online,
                manual_command,
            });
        }
        Ok(views)
    }

    /// The uuids of the hosts of some leaves, in their order.
    pub(crate) async fn host_uuids(&self, leaves: &[Leaf]) -> Result<Vec<String>, Error> {
        let numbers: Vec<HostNo> = leaves.iter().map(|it| it.host).collect();
        let hosts = self.store.host_get_many(&numbers).await?;
        Ok(hosts.into_iter().map(|it| it.uuid.to_string()).collect())
    }

    /// The unfinished leaves of one host, with their roots.
    pub(crate) async fn unfinished_of(
        &self,
        host: HostNo,
        task_type: TaskType,
    ) -> Result<Vec<(Root, store::LeafSlot)>, Error> {
        let mut found = Vec::new();
        for slot in self.store.leaf_unfinished_of_host(host).await? {
            if let Some(root) = self.store.root_get(slot.id.root).await?
                && root.task_type == task_type
            {
                found.push((root, slot));
            }
        }
        Ok(found)
    }

    /// Stops a root: what waits ends at once, what runs is told to stop.
    pub(crate) async fn cancel(&self, caller: &Caller, id: TaskId) -> Result<(), Error> {
        let TaskId::Root(id) = id else {
            let help = "is the id of a leaf: cancel its root task";
            return Err(Fault::invalid("TaskId", help).into());
        };
        self.root(id).await?;
        let now = self.clock.now();
        if self.store.root_cancel(id, now).await? {
            tracing::info!(task.id = %id, operator = %caller.name, "a task was cancelled");
            let root = self.root(id).await?;
            self.engine
                .end_all(&root, model::Event::CancelAsked, now)
                .await?;
        }
        Ok(())
    }
}

impl LeafView {
    /// Whether a person should look at it first: it ended badly, or its check found something.
    fn has_problem(&self) -> bool {
        let found = self.answer.as_ref().and_then(|it| it.check.as_ref());
        matches!(self.leaf.state.status, Status::Fail | Status::Timeout)
            || found.is_some_and(|it| !it.findings.is_empty())
    }
}
