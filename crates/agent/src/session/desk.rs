//! The agent's desk: takes orders, keeps the journal, starts and stops work, hands out results.
//!
//! Outlives connections and does no network itself: what is to be said lies in an outbox that the
//! session empties. Everything an order must pass before it runs is decided here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use model::{LeafId, Reason, Status, UnixMillis, Verdict, limits};
use prost::Message as _;
use protocol::frame::{Heartbeat, LeafResult, OrderKey, Receipt, SignedOrder, UpFrame};
use protocol::order::{self, Order, Refusal};
use protocol::work::Work;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{info, warn};

use super::clock::NodeClock;
use super::upload::Uploads;
use crate::config::{self, create_private_dir};
use crate::journal::{Journal, Stage, bare_result};
use crate::policy::Policy;
use crate::work::{Finished, Job, Stop, seal};

mod bundles;
mod judge;
mod progress;

use judge::{Objection, cancelled, judge, not_started, too_late};
use progress::{News, Telling};

/// What runs a job.
pub(crate) type Executor = Arc<dyn Fn(Job) -> BoxFuture<'static, Finished> + Send + Sync>;

/// Most orders that may wait for their turn.
pub(crate) const ORDERS_WAITING_MAX: usize = 256;
/// Most cancelled leaves that are remembered because their orders may still come.
pub(crate) const CANCELLED_MAX: usize = 1_024;
/// The journal is swept once in so many rounds.
const ROUNDS_PER_SWEEP: u32 = 120;

/// A job that has come to its end.
pub(crate) struct Ended {
    leaf: LeafId,
    finished: Finished,
}

struct Running {
    stop: Option<oneshot::Sender<Stop>>,
    deadline: Instant,
    /// `None`: nobody wants to know what it does.
    telling: Option<Telling>,
}

struct Waiting {
    leaf: LeafId,
    work: Work,
    deadline_ms: i64,
    progress_ms: u64,
}

enum Say {
    Frame(Box<UpFrame>),
    /// Read from the journal when its turn comes: results may be large.
    Result(LeafId),
    /// Open the bundle whose turn it is.
    Bundle,
}

/// See the module.
pub(crate) struct Desk {
    host_uuid: String,
    keys: Vec<OrderKey>,
    clock: NodeClock,
    policy: Arc<Policy>,
    journal: Journal,
    work_dir: PathBuf,
    executor: Executor,
    running: BTreeMap<LeafId, Running>,
    waiting: VecDeque<Waiting>,
    /// Orders that waited when the agent stopped, until the node has said what became of them.
    recovered: Vec<(LeafId, Order)>,
    /// Leaves that were cancelled before their orders came, the oldest first.
    cancelled: VecDeque<LeafId>,
    uploads: Uploads,
    outbox: VecDeque<Say>,
    /// Results that were unconfirmed at the last round.
    unconfirmed: BTreeSet<LeafId>,
    rounds: u32,
    ended: mpsc::Sender<Ended>,
    says_receipts: bool,
    news: News,
}

impl Desk {
    /// A desk that obeys orders signed by `keys` and no others, and where the ends of its jobs
    /// arrive: each goes to [`Self::ended`].
    pub(crate) fn new(
        host_uuid: &str,
        keys: Vec<OrderKey>,
        policy: Arc<Policy>,
        journal: Journal,
        work_dir: PathBuf,
        executor: Executor,
    ) -> (Self, mpsc::Receiver<Ended>) {
        let (ended, ends) = mpsc::channel(policy.work_at_once_max);
        let mut desk = Self {
            host_uuid: host_uuid.to_owned(),
            keys,
            clock: NodeClock::new(config::now().0),
            policy,
            journal,
            work_dir,
            executor,
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
            recovered: Vec::new(),
            cancelled: VecDeque::new(),
            uploads: Uploads::default(),
            outbox: VecDeque::new(),
            unconfirmed: BTreeSet::new(),
            rounds: 0,
            ended,
            says_receipts: true,
            news: News::default(),
        };
        desk.recover();
        (desk, ends)
    }

    /// A desk that confirms no orders: a checker's leaf was handed over by a person.
    pub(crate) const fn without_receipts(mut self) -> Self {
        self.says_receipts = false;
        self
    }

    /// Ids for the greeting.
    pub(crate) fn held(&self) -> Vec<String> {
        self.journal.held().iter().map(LeafId::to_string).collect()
    }

    /// A session is open: everything unconfirmed is said again on it, and what running work does if
    /// the node takes that.
    pub(crate) fn connected(&mut self, clock: NodeClock, takes_progress: bool) {
        self.clock = clock;
        self.begin_news(takes_progress);
        self.outbox.clear();
        self.uploads.connected();
        if !self.uploads.is_empty() {
            self.outbox.push_back(Say::Bundle);
        }
        if !self.recovered.is_empty() {
            // The answer comes behind what the node has to say on a new session: see `node_time`.
            self.say(UpFrame::Heartbeat(Heartbeat { now_ms: 0 }));
        }
        for leaf in self.journal.pending() {
            self.say_result(leaf);
        }
    }

    /// The next thing to say.
    pub(crate) fn next_frame(&mut self) -> Option<UpFrame> {
        loop {
            match self.outbox.pop_front()? {
                Say::Frame(frame) => return Some(*frame),
                Say::Result(leaf) => {
                    if let Some(result) = self.journal.result(leaf, config::now()) {
                        return Some(UpFrame::Result(result));
                    }
                }
                Say::Bundle => match self.uploads.open(Instant::now()) {
                    Some(Ok(open)) => return Some(UpFrame::BundleOpen(open)),
                    Some(Err(leaf)) => self.give_up(leaf),
                    None => {}
                },
            }
        }
    }

    /// The node says what time it is.
    pub(crate) fn node_time(&mut self, now_ms: i64) {
        if now_ms != 0 {
            self.clock = NodeClock::new(now_ms);
        }
        self.resume();
    }

    /// Takes up orders that waited when the agent stopped.
    fn recover(&mut self) {
        for (leaf, signed) in self.journal.left_waiting(config::now()) {
            match order::open(&signed, &self.keys, &self.host_uuid) {
                Ok(order) => self.recovered.push((leaf, order)),
                Err(refusal) => {
                    let objection = Objection(Status::Fail, Reason::Refused, refusal.to_string());
                    self.end_without_work(leaf, &objection);
                }
            }
        }
    }

    /// Runs them: now the time is known, and what was cancelled meanwhile.
    fn resume(&mut self) {
        for (leaf, order) in std::mem::take(&mut self.recovered) {
            match judge(&order, self.clock.now_ms(), &self.policy) {
                Ok(work) => self.queue(leaf, work, &order),
                Err(objection) => self.end_without_work(leaf, &objection),
            }
        }
        self.start_waiting();
    }

    /// Takes an order: verifies it, journals it, runs it when its turn comes. A repeat is answered
    /// from the journal.
    pub(crate) fn order(&mut self, signed: &SignedOrder) {
        let order = match order::open(signed, &self.keys, &self.host_uuid) {
            Ok(order) => order,
            Err(refusal) => return self.refuse_unproven(signed, refusal),
        };
        let Ok(leaf) = order.leaf_id.parse::<LeafId>() else {
            warn!("an order without a leaf was dropped");
            return;
        };
        // It is fresh from the node's hand: a clock behind it lags, as after a sleep of the host.
        self.clock.at_least(order.issued_ms);
        match self.journal.stage(leaf) {
            Some(Stage::Taken) => self.say_receipt(leaf),
            Some(Stage::Ended | Stage::Acknowledged) => self.say_result(leaf),
            None => self.admit(leaf, &order, signed),
        }
    }

    /// An order that nothing vouches for is told no, and leaves no trace: neither the journal nor a
    /// leaf that is known here may be touched by it.
    fn refuse_unproven(&mut self, signed: &SignedOrder, refusal: Refusal) {
        warn!(error = %refusal, "an order was refused");
        let claimed = Order::decode(signed.body.as_slice()).ok();
        let leaf = claimed.and_then(|it| it.leaf_id.parse().ok());
        if let Some(leaf) = leaf.filter(|it| self.journal.stage(*it).is_none()) {
            let message = refusal.to_string();
            let now = config::now();
            let result = bare_result(leaf, Status::Fail, Reason::Refused, &message, now);
            self.say(UpFrame::Result(result));
        }
    }

    fn admit(&mut self, leaf: LeafId, order: &Order, signed: &SignedOrder) {
        if let Some(at) = self.cancelled.iter().position(|it| *it == leaf) {
            self.cancelled.remove(at);
            return self.end_without_work(leaf, &cancelled());
        }
        let work = match judge(order, self.clock.now_ms(), &self.policy) {
            Ok(work) => work,
            Err(objection) => {
                info!(leaf.id = %leaf, operator.name = order.operator, reason = %objection.2, "an order was not run");
                return self.end_without_work(leaf, &objection);
            }
        };
        if self.waiting.len() >= ORDERS_WAITING_MAX {
            warn!(leaf.id = %leaf, "an order was not run: too many wait");
            let message = format!("{ORDERS_WAITING_MAX} other orders wait on this host already");
            return self.end_without_work(leaf, &not_started(message));
        }
        let deadline = UnixMillis(order.deadline_ms);
        // A command that starts at once is begun with the same sync that keeps its order.
        let begins = matches!(work, Work::Ops(_)) && self.has_room();
        if let Err(error) = self.journal.take(leaf, deadline, signed, begins) {
            warn!(leaf.id = %leaf, error = %error, "an order was not run");
            return self.end_without_work(leaf, &not_started(error.to_string()));
        }
        info!(leaf.id = %leaf, operator.name = order.operator, task.kind = order.task_type, "an order was accepted");
        self.say_receipt(leaf);
        self.queue(leaf, work, order);
        self.start_waiting();
    }

    fn queue(&mut self, leaf: LeafId, work: Work, order: &Order) {
        self.waiting.push_back(Waiting {
            leaf,
            work,
            deadline_ms: order.deadline_ms,
            progress_ms: order.progress_ms,
        });
    }

    /// Whether what is taken now starts now: what waits has started by then.
    fn has_room(&self) -> bool {
        self.running.len() < self.policy.work_at_once_max
    }

    fn start_waiting(&mut self) {
        while self.has_room() {
            let Some(waiting) = self.waiting.pop_front() else {
                return;
            };
            let left_ms = waiting.deadline_ms.saturating_sub(self.clock.now_ms());
            let left_ms = left_ms.min(limits::TASK_TIMEOUT_MS_MAX);
            match u64::try_from(left_ms) {
                Ok(ms) if ms > 0 => self.start(waiting, Duration::from_millis(ms)),
                _ => self.end_without_work(waiting.leaf, &too_late()),
            }
        }
    }

    fn start(&mut self, waiting: Waiting, time_left: Duration) {
        let leaf = waiting.leaf;
        // What only reads may run again after a crash; a command never does.
        let mark = match &waiting.work {
            Work::Check(_) | Work::Assets(_) => None,
            Work::Ops(_) => match self.journal.begin(leaf) {
                Ok(mark) => Some(mark),
                Err(error) => {
                    warn!(leaf.id = %leaf, error = %error, "an order was not run");
                    return self.end_without_work(leaf, &not_started(error.to_string()));
                }
            },
        };
        let work_dir = self.work_dir_of(leaf);
        if matches!(waiting.work, Work::Check(_))
            && let Err(error) = create_private_dir(&work_dir)
        {
            // Only a bundle needs it, and its absence is reported by the check itself.
            warn!(leaf.id = %leaf, error = %error, "no directory for files of this leaf");
        }
        let (stop, stopped) = oneshot::channel();
        let (progress, telling) = self.news.begin(waiting.progress_ms);
        let job = Job {
            leaf,
            work: waiting.work,
            time_left,
            clock_offset_ms: Some(self.clock.offset_ms()),
            work_dir,
            mark,
            progress,
            stop: stopped,
        };
        let executor = Arc::clone(&self.executor);
        let work = AssertUnwindSafe(async move { executor(job).await }).catch_unwind();
        let ended = self.ended.clone();
        tokio::spawn(async move {
            let finished = work.await.unwrap_or_else(|_| broken());
            // The receiver is gone only when the agent is.
            ended.send(Ended { leaf, finished }).await.ok();
        });
        let running = Running {
            stop: Some(stop),
            deadline: Instant::now() + time_left,
            telling,
        };
        self.running.insert(leaf, running);
    }

    /// Keeps what came of a job and starts the next.
    pub(crate) fn ended(&mut self, ended: Ended) {
        let Ended { leaf, finished } = ended;
        let running = self.running.remove(&leaf);
        let reason = finished.reason.wire();
        info!(leaf.id = %leaf, reason, "the work of an order has ended");
        let bundle = finished.bundle.clone();
        let info = finished
            .answer
            .check
            .as_ref()
            .and_then(|it| it.bundle.clone());
        self.journal.end(leaf, seal(leaf, finished, config::now()));
        match (bundle, info, running) {
            (Some(path), Some(info), Some(running)) => {
                self.begin_upload(leaf, &path, &info, running.deadline);
            }
            _ => self.finish_upload(leaf),
        }
        self.start_waiting();
    }

    /// Stops the work of a leaf.
    pub(crate) fn cancel(&mut self, leaf_id: &str) {
        let Ok(leaf) = leaf_id.parse::<LeafId>() else {
            return;
        };
        if let Some(running) = self.running.get_mut(&leaf) {
            if let Some(stop) = running.stop.take() {
                stop.send(Stop::Cancelled).ok();
            }
            return;
        }
        match self.journal.stage(leaf) {
            Some(Stage::Taken) => {
                self.waiting.retain(|it| it.leaf != leaf);
                self.recovered.retain(|it| it.0 != leaf);
                self.end_without_work(leaf, &cancelled());
            }
            // Nobody waits for the bundle any more.
            Some(_) if self.uploads.contains(leaf) => self.finish_upload(leaf),
            Some(_) => self.say_result(leaf),
            None => self.cancel_ahead(leaf),
        }
    }

    /// The cancellation overtook its order.
    fn cancel_ahead(&mut self, leaf: LeafId) {
        if self.cancelled.contains(&leaf) {
            return;
        }
        if self.cancelled.len() >= CANCELLED_MAX {
            self.cancelled.pop_front();
        }
        self.cancelled.push_back(leaf);
    }

    /// The node has the result of a leaf.
    pub(crate) fn acknowledged(&mut self, leaf_id: &str) {
        if let Ok(leaf) = leaf_id.parse() {
            self.journal.acknowledge(leaf);
        }
    }

    /// Says again what was not confirmed since the last round, and now and then sweeps the journal.
    pub(crate) fn round(&mut self) {
        let pending: BTreeSet<LeafId> = self.journal.pending().into_iter().collect();
        for leaf in pending.intersection(&self.unconfirmed) {
            if !self.uploads.contains(*leaf) {
                self.outbox.push_back(Say::Result(*leaf));
            }
        }
        self.unconfirmed = pending;
        self.resume();
        self.recover();
        self.rounds = self.rounds.wrapping_add(1);
        if self.rounds.is_multiple_of(ROUNDS_PER_SWEEP) {
            self.journal.prune(config::now());
        }
    }

    /// The agent stops: what runs is told to end. What waits stays in the journal for the next start.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
        self.recovered.clear();
        for running in self.running.values_mut() {
            if let Some(stop) = running.stop.take() {
                stop.send(Stop::AgentStops).ok();
            }
        }
        for leaf in self.uploads.leaves() {
            self.finish_upload(leaf);
        }
    }

    /// Whether no work runs or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Whether no work runs or waits and the node has every result.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_idle() && self.uploads.is_empty() && self.journal.pending().is_empty()
    }

    fn end_without_work(&mut self, leaf: LeafId, objection: &Objection) {
        let Objection(status, reason, message) = objection;
        let result: LeafResult = bare_result(leaf, *status, *reason, message, config::now());
        self.journal.end(leaf, result);
        self.say_result(leaf);
    }

    fn say(&mut self, frame: UpFrame) {
        self.outbox.push_back(Say::Frame(Box::new(frame)));
    }

    fn say_receipt(&mut self, leaf: LeafId) {
        if self.says_receipts {
            let leaf_id = leaf.to_string();
            self.say(UpFrame::Receipt(Receipt { leaf_id }));
        }
    }

    /// The result waits for its bundle, so that the bundle's address is good when the leaf ends.
    fn say_result(&mut self, leaf: LeafId) {
        if !self.uploads.contains(leaf) {
            self.outbox.push_back(Say::Result(leaf));
        }
    }

    fn work_dir_of(&self, leaf: LeafId) -> PathBuf {
        self.work_dir.join(leaf.to_string())
    }
}

/// What came of work whose code failed.
fn broken() -> Finished {
    let message = "the work failed inside the agent";
    Finished::bare(Verdict::Fail, Reason::AgentFault, message)
}
