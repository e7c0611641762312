//! The agent's desk: takes orders, keeps the journal, starts and stops work, hands out results.
//!
//! Outlives connections and does no network itself: what is to be said lies in an outbox that the
//! session empties. Everything an order must pass before it runs is decided here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use model::{LeafId, Reason, Status, TaskType, UnixMillis, limits};
use prost::Message as _;
use protocol::frame::{BundleAck, LeafResult, OrderKey, Receipt, SignedOrder, UpFrame};
use protocol::order::{self, Order, Refusal};
use protocol::work::Work;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::link::NodeClock;
use super::upload::{Next, Upload};
use crate::config::{self, create_private_dir};
use crate::journal::{Journal, Stage, bare_result};
use crate::policy::Policy;
use crate::work::{Finished, Job, Stop, seal};

/// What runs a job.
pub(crate) type Executor = Arc<dyn Fn(Job) -> BoxFuture<'static, Finished> + Send + Sync>;

/// Most orders that may wait for their turn.
pub(crate) const ORDERS_WAITING_MAX: usize = 256;
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
}

struct Waiting {
    leaf: LeafId,
    work: Work,
    deadline_ms: i64,
}

enum Say {
    Frame(Box<UpFrame>),
    /// Read from the journal when its turn comes: results may be large.
    Result(LeafId),
}

/// Why a verified order does not run.
struct Objection(Status, Reason, String);

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
    uploads: BTreeMap<LeafId, Upload>,
    outbox: VecDeque<Say>,
    /// Results that were unconfirmed at the last round.
    unconfirmed: BTreeSet<LeafId>,
    rounds: u32,
    ended: mpsc::Sender<Ended>,
    says_receipts: bool,
}

impl Desk {
    /// A desk, and where the ends of its jobs arrive: each goes to [`Self::ended`].
    pub(crate) fn new(
        host_uuid: &str,
        policy: Arc<Policy>,
        journal: Journal,
        work_dir: PathBuf,
        executor: Executor,
    ) -> (Self, mpsc::Receiver<Ended>) {
        let (ended, ends) = mpsc::channel(policy.work_at_once_max);
        let desk = Self {
            host_uuid: host_uuid.to_owned(),
            keys: Vec::new(),
            clock: NodeClock::new(config::now().0),
            policy,
            journal,
            work_dir,
            executor,
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
            uploads: BTreeMap::new(),
            outbox: VecDeque::new(),
            unconfirmed: BTreeSet::new(),
            rounds: 0,
            ended,
            says_receipts: true,
        };
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

    /// A session is open: everything unconfirmed is said again on it.
    pub(crate) fn connected(&mut self, keys: Vec<OrderKey>, clock: NodeClock) {
        self.keys = keys;
        self.clock = clock;
        self.outbox.clear();
        for upload in self.uploads.values_mut() {
            let open = UpFrame::BundleOpen(upload.open());
            self.outbox.push_back(Say::Frame(Box::new(open)));
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
            }
        }
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
        match self.journal.stage(leaf) {
            Some(Stage::Started) => self.say_receipt(leaf),
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
        let work = match self.examine(order) {
            Ok(work) => work,
            Err(objection) => {
                info!(leaf.id = %leaf, operator.name = order.operator, reason = %objection.2, "an order was not run");
                return self.end_without_work(leaf, &objection);
            }
        };
        if self.waiting.len() >= ORDERS_WAITING_MAX {
            warn!(leaf.id = %leaf, "an order was not run: too many wait");
            let message = format!("{ORDERS_WAITING_MAX} other orders wait on this host already");
            let objection = Objection(Status::Fail, Reason::NotStarted, message);
            return self.end_without_work(leaf, &objection);
        }
        let deadline = UnixMillis(order.deadline_ms);
        if let Err(error) = self.journal.start(leaf, deadline, signed) {
            warn!(leaf.id = %leaf, error = %error, "an order was not run");
            let objection = Objection(Status::Fail, Reason::NotStarted, error.to_string());
            return self.end_without_work(leaf, &objection);
        }
        info!(leaf.id = %leaf, operator.name = order.operator, task.kind = order.task_type, "an order was accepted");
        self.say_receipt(leaf);
        self.waiting.push_back(Waiting {
            leaf,
            work,
            deadline_ms: order.deadline_ms,
        });
        self.start_waiting();
    }

    fn examine(&self, order: &Order) -> Result<Work, Objection> {
        let refused = |message: &str| Objection(Status::Fail, Reason::Refused, message.to_owned());
        let now_ms = self.clock.now_ms();
        if order.issued_ms.saturating_sub(now_ms) > limits::CLOCK_WINDOW_MS {
            return Err(refused("the order was issued in the future"));
        }
        if order.deadline_ms <= now_ms {
            return Err(too_late());
        }
        let task_type = u8::try_from(order.task_type)
            .ok()
            .and_then(TaskType::from_number)
            .ok_or_else(|| refused("this agent does not know the order's task type"))?;
        let work = order
            .work()
            .map_err(|_| refused("this agent does not know such work"))?;
        if !work.is_of(task_type) {
            return Err(refused("the order's work is not of its task type"));
        }
        match self.policy.refusal(task_type, &work) {
            Some(rule) => Err(refused(&rule)),
            None => Ok(work),
        }
    }

    fn start_waiting(&mut self) {
        while self.running.len() < self.policy.work_at_once_max {
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
        let work_dir = self.work_dir_of(leaf);
        if let Err(error) = create_private_dir(&work_dir) {
            // Only a bundle needs it, and its absence is reported by the check itself.
            warn!(leaf.id = %leaf, error = %error, "no directory for files of this leaf");
        }
        let (stop, stopped) = oneshot::channel();
        let job = Job {
            leaf,
            work: waiting.work,
            time_left,
            clock_offset_ms: Some(self.clock.offset_ms()),
            work_dir,
            stop: stopped,
        };
        let work = (self.executor)(job);
        let ended = self.ended.clone();
        tokio::spawn(async move {
            let finished = work.await;
            // The receiver is gone only when the agent is.
            ended.send(Ended { leaf, finished }).await.ok();
        });
        let running = Running {
            stop: Some(stop),
            deadline: Instant::now() + time_left,
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
        let upload = match (bundle, info, running) {
            (Some(path), Some(info), Some(running)) => {
                Upload::new(leaf, &path, &info, running.deadline).ok()
            }
            _ => None,
        };
        match upload {
            Some(mut upload) => {
                self.say(UpFrame::BundleOpen(upload.open()));
                self.uploads.insert(leaf, upload);
            }
            None => self.finish_upload(leaf),
        }
        self.start_waiting();
    }

    /// The node's word on a bundle.
    pub(crate) fn bundle_ack(&mut self, ack: &BundleAck) {
        let Ok(leaf) = ack.leaf_id.parse::<LeafId>() else {
            return;
        };
        let Some(upload) = self.uploads.get_mut(&leaf) else {
            return;
        };
        match upload.next(ack) {
            Next::Chunk(chunk) => self.say(UpFrame::BundleChunk(chunk)),
            Next::End => {
                debug!(leaf.id = %leaf, refused = ack.refused, "the upload of a bundle has ended");
                self.finish_upload(leaf);
            }
        }
    }

    fn finish_upload(&mut self, leaf: LeafId) {
        self.uploads.remove(&leaf);
        std::fs::remove_dir_all(self.work_dir_of(leaf)).ok();
        self.say_result(leaf);
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
        } else if let Some(at) = self.waiting.iter().position(|it| it.leaf == leaf) {
            self.waiting.remove(at);
            let message = "cancelled before it ran".to_owned();
            let objection = Objection(Status::Fail, Reason::Cancelled, message);
            self.end_without_work(leaf, &objection);
        } else {
            self.say_result(leaf);
        }
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
            if !self.uploads.contains_key(leaf) {
                self.outbox.push_back(Say::Result(*leaf));
            }
        }
        self.unconfirmed = pending;
        self.rounds = self.rounds.wrapping_add(1);
        if self.rounds.is_multiple_of(ROUNDS_PER_SWEEP) {
            self.journal.prune(config::now());
        }
    }

    /// When the next upload is to be given up.
    pub(crate) fn next_give_up(&self) -> Option<Instant> {
        self.uploads.values().map(Upload::gives_up_at).min()
    }

    /// Gives up uploads that got nowhere.
    pub(crate) fn give_up_uploads(&mut self) {
        let now = Instant::now();
        let stalled = self
            .uploads
            .iter()
            .filter(|(_, it)| it.gives_up_at() <= now);
        let stalled: Vec<LeafId> = stalled.map(|(leaf, _)| *leaf).collect();
        for leaf in stalled {
            warn!(leaf.id = %leaf, "the upload of a bundle was given up");
            self.finish_upload(leaf);
        }
    }

    /// The agent stops: nothing new starts, and what runs is told to end.
    pub(crate) fn stop(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            let message = "the agent stopped before this ran".to_owned();
            let objection = Objection(Status::Fail, Reason::AgentRestarted, message);
            self.end_without_work(waiting.leaf, &objection);
        }
        for running in self.running.values_mut() {
            if let Some(stop) = running.stop.take() {
                stop.send(Stop::AgentStops).ok();
            }
        }
        for leaf in self.uploads.keys().copied().collect::<Vec<_>>() {
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
        if !self.uploads.contains_key(&leaf) {
            self.outbox.push_back(Say::Result(leaf));
        }
    }

    fn work_dir_of(&self, leaf: LeafId) -> PathBuf {
        self.work_dir.join(leaf.to_string())
    }
}

fn too_late() -> Objection {
    let message = "the order's deadline had passed before it could run".to_owned();
    Objection(Status::Timeout, Reason::Deadline, message)
}
