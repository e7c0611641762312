//! Root tasks and their leaves: create, look, cancel.

mod rerun;

use std::sync::Arc;

use model::{LeafId, RootId, Status, TaskId, TaskType, UnixMillis, limits};
use protocol::answer::Answer;
use protocol::api::param::TaskParam;
use protocol::error::{Code, Fault};
use protocol::work::Work;
use ring::digest::{Context, SHA256};
use store::{
    Host, HostNo, Leaf, LeafQuery, NewRoot, OutcomeGroup, Page, PageRequest, Root, RootQuery, Store,
};

use super::target::Resolver;
use super::{Bundles, Checker, Error};
use crate::auth::Caller;
use crate::clock::Clock;
use crate::engine::{Engine, Progress, Signer};
pub(crate) use rerun::Rerun;

/// The service of tasks.
pub(crate) struct Tasks {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) bundles: Arc<Bundles>,
    pub(crate) checker: Arc<Checker>,
    pub(crate) resolver: Arc<Resolver>,
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
    /// `Param` as it was sent.
    pub(crate) param_text: &'a str,
    /// The request's nonce: the same request never creates twice.
    pub(crate) nonce: &'a str,
}

impl NewTask<'_> {
    /// What is asked, in short.
    fn digest(&self) -> [u8; 32] {
        digest(&[
            self.task_type.wire(),
            self.name,
            self.source,
            self.param_text,
        ])
    }
}

/// What a request asks for, in short: the same request key with another digest is a mistake.
fn digest(parts: &[&str]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    digest
}

/// By what a repetition of a request is known: the caller's token for it, or its nonce.
fn request_key(caller: &Caller, token: Option<&str>, nonce: &str) -> String {
    match token {
        Some(token) => format!("token:{}:{token}", caller.name),
        None => format!("nonce:{}:{nonce}", caller.key_id),
    }
}

fn mismatch(error: store::Error) -> Error {
    match error {
        store::Error::Conflict => Code::IdempotentParameterMismatch.into(),
        other => other.into(),
    }
}

/// Who looks, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// The address under which the viewer sees this control plane.
    pub(crate) base: Option<String>,
    /// The address under which hosts see it.
    pub(crate) base_for_hosts: Option<String>,
    /// Whether they may create such tasks: a manual command can end a leaf.
    pub(crate) may_create: bool,
}

/// What is known of a leaf's manual command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manual {
    /// There is none: the host is connected, or the leaf has ended.
    None,
    /// The command to paste.
    Command(String),
    /// There is one, but not for this viewer, or not under this address.
    Withheld(&'static str),
}

/// A leaf with all that its row shows.
#[derive(Debug)]
pub(crate) struct LeafView {
    pub(crate) leaf: Leaf,
    pub(crate) host: Host,
    pub(crate) online: bool,
    /// When this node started, if the host has not been seen since.
    pub(crate) missing_since: Option<UnixMillis>,
    pub(crate) answer: Option<Answer>,
    /// The complaint that is examined; empty for other work.
    pub(crate) problem_type: String,
    /// The command to paste, while it can complete this leaf.
    pub(crate) manual: Manual,
    /// Where the log bundle can be downloaded.
    pub(crate) bundle_url: Option<String>,
    /// What it does now, while it runs.
    pub(crate) progress: Option<Arc<Progress>>,
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
        let request_key = request_key(caller, new.param.client_token.as_deref(), new.nonce);
        let request_digest = new.digest();
        let known = self.store.root_of_request(&request_key, &request_digest);
        if let Some(id) = known.await.map_err(mismatch)? {
            return self.root(id).await;
        }
        let hosts = self.resolver.resolve(&new.param.hosts).await?;
        let now = self.clock.now();
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
            request_digest,
            rerun_of: None,
            plan: new.param.plan,
        };
        self.start(root, hosts).await
    }

    async fn start(&self, root: NewRoot, hosts: Vec<HostNo>) -> Result<Root, Error> {
        let (kind, operator) = (root.task_type.wire(), root.operator.clone());
        let count = hosts.len();
        let one_at_a_time = self.creating.lock().await;
        if self.store.root_active().await?.len() >= self.running_max {
            return Err(Code::TaskLimitExceeded.into());
        }
        let created = self
            .store
            .root_create(root, hosts)
            .await
            .map_err(mismatch)?;
        drop(one_at_a_time);
        if !created.existed {
            tracing::info!(
                task.id = %created.id, task.kind = kind, task.leaves = count, %operator,
                "a task was created"
            );
        }
        self.engine.wake();
        self.root(created.id).await
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

    /// A page of leaves without their answers.
    pub(crate) async fn leaves(
        &self,
        query: &LeafQuery,
        page: PageRequest,
    ) -> Result<Page<Leaf>, Error> {
        Ok(self.store.leaf_page(query, page, 0).await?)
    }

    /// One leaf with its answer, if there is one.
    pub(crate) async fn leaf(&self, id: LeafId) -> Result<Option<Leaf>, Error> {
        Ok(self.store.leaf_get(id).await?)
    }

    /// What a root's row shows of its hosts: up to [`limits::ROOT_DETAIL_HOSTS_MAX`], problems first,
    /// with up to `room` bytes of answers, which are taken from `room`.
    pub(crate) async fn root_view(
        &self,
        root: Root,
        viewer: &Viewer,
        room: &mut usize,
    ) -> Result<RootView, Error> {
        let most = u32::try_from(limits::ROOT_DETAIL_HOSTS_MAX).unwrap_or(u32::MAX);
        let bytes_max = list_bytes(&root, *room);
        let found = if root.totals.total() <= most {
            let statuses = Vec::new();
            let query = LeafQuery::Root {
                root: root.id,
                statuses,
                outcome: None,
            };
            let page = PageRequest {
                number: 1,
                size: most,
            };
            self.store.leaf_page(&query, page, bytes_max).await?
        } else {
            self.store
                .leaf_problems_first(root.id, most, bytes_max)
                .await?
        };
        let leaves = spend(found, room).rows;
        let mut leaves = self.leaf_views(&root, leaves, viewer).await?;
        leaves.sort_by_key(LeafView::place);
        Ok(RootView { root, leaves })
    }

    /// A page of leaves of one root with up to `room` bytes of answers, which are taken from `room`.
    pub(crate) async fn leaves_of(
        &self,
        root: &Root,
        query: &LeafQuery,
        page: PageRequest,
        room: &mut usize,
    ) -> Result<Page<Leaf>, Error> {
        let bytes_max = list_bytes(root, *room);
        let found = self.store.leaf_page(query, page, bytes_max).await?;
        Ok(spend(found, room))
    }

    /// Leaves of one root with all that their rows show.
    pub(crate) async fn leaf_views(
        &self,
        root: &Root,
        leaves: Vec<Leaf>,
        viewer: &Viewer,
    ) -> Result<Vec<LeafView>, Error> {
        let work: Work = serde_json::from_str(&root.work).map_err(Error::internal)?;
        let problem_type = match &work {
            Work::Check(check) => check.problem_type.as_str(),
            _ => "",
        };
        let numbers: Vec<HostNo> = leaves.iter().map(|it| it.host).collect();
        let hosts = self.store.host_get_many(&numbers).await?;
        if hosts.len() != leaves.len() {
            return Err(Error::internal("a leaf names a host that is not stored"));
        }
        let now = self.clock.now();
        let mut views = Vec::with_capacity(leaves.len());
        for (leaf, host) in leaves.into_iter().zip(hosts) {
            let bundle_url = match (&work, &viewer.base) {
                (Work::Check(_), Some(base)) => self.bundles.url(base, leaf.id, now).await,
                _ => None,
            };
            let answer = leaf.answer.as_deref();
            let answer = answer.map(serde_json::from_slice).transpose();
            let online = self.engine.sessions.is_online(leaf.host);
            let waits = !leaf.state.status.is_final() && !online && root.cancelled_at.is_none();
            let manual = if waits && root.task_type.only_reads() {
                self.manual(&leaf, &host, &work, viewer).await
            } else {
                Manual::None
            };
            views.push(LeafView {
                bundle_url,
                progress: self.progress(leaf.id, leaf.state.status),
                answer: answer.map_err(Error::internal)?,
                problem_type: problem_type.to_owned(),
                missing_since: self.engine.started_after(host.seen_at),
                leaf,
                host,
                online,
                manual,
            });
        }
        Ok(views)
    }

    /// What a leaf that stands so does now.
    pub(crate) fn progress(&self, leaf: LeafId, status: Status) -> Option<Arc<Progress>> {
        let runs = !status.is_final();
        runs.then(|| self.engine.progress.get(leaf)).flatten()
    }

    async fn manual(&self, leaf: &Leaf, host: &Host, work: &Work, viewer: &Viewer) -> Manual {
        if !viewer.may_create {
            return Manual::Withheld(
                "who may create such tasks can get the command to run by hand",
            );
        }
        let Some(base) = &viewer.base_for_hosts else {
            return Manual::Withheld(
                "start the server with --public-url to get a command to run by hand",
            );
        };
        let ticket = self.signer.ticket(leaf.id, &host.uuid);
        let key = self.signer.order_key_digest();
        let command = self
            .checker
            .command(base, leaf.id, &host.uuid, ticket, key, work);
        command.await.map_or(
            Manual::Withheld("this node has no checker to hand out"),
            Manual::Command,
        )
    }

    /// The outcomes of a root, each with the host of its sample; the largest group first.
    pub(crate) async fn outcomes(&self, id: RootId) -> Result<Vec<(OutcomeGroup, Host)>, Error> {
        self.root(id).await?;
        let groups = self.store.outcome_list(id).await?;
        let numbers: Vec<HostNo> = groups.iter().map(|it| it.host).collect();
        let hosts = self.store.host_get_many(&numbers).await?;
        Ok(groups.into_iter().zip(hosts).collect())
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

/// Bytes of answers that a list of these leaves may show. Asset information is not for lists: it is
/// shown leaf by leaf.
const fn list_bytes(root: &Root, room: usize) -> usize {
    match root.task_type {
        TaskType::ClientProblemCheck | TaskType::ClientDevOps => room,
        TaskType::AssetSecurityCheck | TaskType::AssetsCollection => 0,
    }
}

fn spend(found: Page<Leaf>, room: &mut usize) -> Page<Leaf> {
    let answers = found.rows.iter().filter_map(|it| it.answer.as_ref());
    *room = room.saturating_sub(answers.map(Vec::len).sum());
    found
}

impl LeafView {
    /// What a person should look at first: what ended badly or found something, then what waits.
    fn place(&self) -> u8 {
        let check = self.answer.as_ref().and_then(|it| it.check.as_ref());
        let found = check.is_some_and(|it| !it.findings.is_empty());
        match self.leaf.state.status {
            Status::Fail | Status::Timeout => 0,
            Status::Success if found => 0,
            Status::Init | Status::Start | Status::Dispatch => 1,
            Status::Success => 2,
        }
    }
}
