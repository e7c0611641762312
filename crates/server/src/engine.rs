//! The boiler room: hands orders to hosts, keeps deadlines, carries out cancellations.
//!
//! A reconciler: every round is idempotent, takes no input and looks at what the store says is
//! unfinished. It is woken by a signal (a task was created, a host connected) and by a timer, so
//! that a crash between "stored" and "done" is mended by the next round, on the same path.

mod orders;
mod pacing;
mod progress;
mod sessions;
#[cfg(test)]
mod tests;
mod timing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Dispatch, Effect, Event, LeafId, RootId, Status, UnixMillis, Verdict, limits};
use protocol::frame::{Ack, Cancel, DownFrame};
use store::{Applied, HostNo, LeafEvent, LeafSlot, Root, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
pub(crate) use orders::Signer;
pub(crate) use progress::{Progress, Progresses};
pub(crate) use sessions::{Line, Session, Sessions};

/// How often a round runs when nothing wakes it.
const ROUND: Duration = Duration::from_secs(1);
/// How often everything that waits is looked at, in ms, though nothing says that it must be.
const SWEEP_MS: i64 = 15_000;
/// How often it is said that rounds fail, while they do, in ms.
const FAILING_MS: i64 = 60_000;
/// Leaves that are taken in one commit.
const PART: usize = 4_000;
/// Orders that are signed and sent before others have their turn.
const SENT_AT_ONCE: usize = 256;
/// Leaves that a host is told to stop when it connects; what it holds beyond, it reports by itself.
const STOPPED_ON_CONNECT_MAX: usize = 64;
/// How long a host may take to confirm an order before it is sent again, in ms.
const CONFIRM_MS: i64 = 30_000;
/// How long after its start a node waits for hosts to come back before it takes them for offline and
/// issues manual commands, in ms.
const MANUAL_SETTLE_MS: i64 = 15_000;

/// Hands out the work.
pub(crate) struct Engine {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    signer: Arc<Signer>,
    /// The hosts that are connected.
    pub(crate) sessions: Sessions,
    /// What running leaves do.
    pub(crate) progress: Progresses,
    wake: Notify,
    /// A leaf of a paced root ended, or the host of one connected.
    turn: Notify,
    lines: pacing::Lines,
    timers: timing::Timers,
    started_at: UnixMillis,
}

impl Engine {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, signer: Arc<Signer>) -> Self {
        let started_at = clock.now();
        Self {
            store,
            clock,
            signer,
            sessions: Sessions::default(),
            progress: Progresses::default(),
            wake: Notify::new(),
            turn: Notify::new(),
            lines: pacing::Lines::default(),
            timers: timing::Timers::default(),
            started_at,
        }
    }

    /// Runs rounds until `shutdown`.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut swept_at = UnixMillis::default();
        // When it was last said that rounds fail.
        let mut said_at = None;
        loop {
            let woken = tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.wake.notified() => true,
                () = self.turn.notified() => false,
                () = tokio::time::sleep(ROUND) => false,
            };
            let now = self.clock.now();
            let sweep = woken || now.since(swept_at).abs() >= SWEEP_MS;
            match self.round(sweep).await {
                Ok(()) => {
                    if sweep {
                        swept_at = now;
                    }
                    if said_at.take().is_some() {
                        tracing::info!("the rounds of the engine succeed again");
                    }
                }
                Err(error) if said_at.is_none_or(|at| now.since(at).abs() >= FAILING_MS) => {
                    said_at = Some(now);
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "a round of the engine failed; the next ones try again every second"
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// Does what is due. Leaves that wait for their hosts are looked at only if `sweep`: a host that
    /// connects is served at once, so the time of a round does not grow with what waits. A root that
    /// fails does not keep the others waiting.
    async fn round(&self, sweep: bool) -> Result<(), store::Error> {
        let mut failed = None;
        let roots = self.store.root_active().await?;
        self.lines.keep(&roots);
        self.timers.keep(&roots);
        self.progress.keep(&roots);
        for root in &roots {
            if let Err(error) = self.look_after(root, sweep).await {
                let source = &error as &dyn std::error::Error;
                tracing::warn!(task.id = %root.id, error = source, "a task could not be looked after");
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What is due for one root. A cancelled root ends as cancelled, whatever its deadline.
    async fn look_after(&self, root: &Root, sweep: bool) -> Result<(), store::Error> {
        let now = self.clock.now();
        let settled = self.has_settled(root, now, limits::SETTLE_MS);
        if let Some(at) = root.cancelled_at {
            let overdue = settled && now.since(at).abs() >= limits::CANCEL_GRACE_MS;
            let event = if overdue {
                Event::CancelOverdue
            } else {
                Event::CancelAsked
            };
            self.end_all(root, event, now).await
        } else if now >= root.deadline && settled {
            let event = if now.since(root.deadline) >= limits::DEADLINE_GRACE_MS {
                Event::DeadlineOverdue
            } else {
                Event::DeadlinePassed
            };
            self.end_all(root, event, now).await
        } else if now >= root.deadline {
            // It waits for what hosts have to hand over. Nothing is handed out any more.
            Ok(())
        } else {
            if settled {
                self.end_overdue(root, now).await?;
            }
            if root.plan.is_paced() {
                self.pace(root, sweep, now).await
            } else if sweep && root.totals.init + root.totals.start > 0 {
                self.dispatch(root, now).await
            } else {
                Ok(())
            }
        }
    }

    /// Whether the hosts of a root that is older than this node's start have had time to come back.
    fn has_settled(&self, root: &Root, now: UnixMillis, settle_ms: i64) -> bool {
        root.created_at >= self.started_at || now.since(self.started_at).abs() >= settle_ms
    }

    /// When this node started, if that is later than `seen_at`: of a host that is not connected nothing newer is
    /// known than that it has not come back since.
    pub(crate) fn started_after(&self, seen_at: UnixMillis) -> Option<UnixMillis> {
        (seen_at < self.started_at).then_some(self.started_at)
    }

    /// Hands out what waits, now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends every unfinished leaf of a root that `event` ends, and tells hosts to stop.
    pub(crate) async fn end_all(
        &self,
        root: &Root,
        event: Event,
        now: UnixMillis,
    ) -> Result<(), store::Error> {
        for (slot, applied) in self.store.leaf_apply_all(root.id, event, now).await? {
            let holds = matches!(applied.before.status, Status::Start | Status::Dispatch)
                && applied.before.dispatch == Dispatch::Auto;
            if applied.after.status.is_final() {
                self.progress.forget(slot.id);
            }
            // A host keeps the deadline by itself; told to stop, it would say that it was cancelled.
            if holds && event != Event::DeadlinePassed {
                self.sessions.send(slot.host, cancel(slot.id));
            }
        }
        Ok(())
    }

    /// Hands the waiting leaves of one root to their hosts: an order to those that are connected, a
    /// manual command for the others if the work only reads. Orders that were not confirmed in good
    /// time are sent again: agents know their leaves.
    pub(crate) async fn dispatch(&self, root: &Root, now: UnixMillis) -> Result<(), store::Error> {
        let manual = root.task_type.only_reads() && self.has_settled(root, now, MANUAL_SETTLE_MS);
        let waiting = self.store.leaf_unfinished(root.id).await?;
        self.hand_out(root, &waiting, manual, now).await
    }

    /// Takes what of these leaves can be taken now, part by part, and sends the orders.
    async fn hand_out(
        &self,
        root: &Root,
        slots: &[LeafSlot],
        manual: bool,
        now: UnixMillis,
    ) -> Result<(), store::Error> {
        let only_reads = root.task_type.only_reads();
        let mut ready = Vec::new();
        for part in slots.chunks(PART) {
            // While the file takes this part, the one before it is signed and sent.
            let (next, sent) = tokio::join!(
                self.take(part, only_reads, manual, now),
                self.order(root, &ready, now)
            );
            sent?;
            ready = next?;
            self.start_time(root, &ready, now);
        }
        self.order(root, &ready, now).await
    }

    /// Takes what of these leaves can be handed out now, takes back what cannot any more, and issues
    /// manual commands if `manual`. Returns the leaves whose orders are to be sent.
    async fn take(
        &self,
        part: &[LeafSlot],
        only_reads: bool,
        manual: bool,
        now: UnixMillis,
    ) -> Result<Vec<LeafSlot>, store::Error> {
        let mut events = Vec::new();
        let mut slots = Vec::new();
        let mut ready = Vec::new();
        for slot in part {
            let online = self.sessions.is_online(slot.host);
            let late = now.since(slot.state.at) >= CONFIRM_MS;
            let event = match (slot.state.status, online) {
                (Status::Init, true) => Event::Taken,
                (Status::Init, false) if manual => Event::ManualIssued,
                (Status::Start, false) if only_reads => Event::TakenBack,
                (Status::Start, true) if late => {
                    ready.push(*slot);
                    continue;
                }
                _ => continue,
            };
            events.push(event_of(slot.id, event));
            slots.push(*slot);
        }
        if events.is_empty() {
            return Ok(ready);
        }
        let applied = self.store.leaf_apply_many(events, now).await?;
        let is_taken = |it: &Result<Applied, store::Error>| {
            it.as_ref()
                .is_ok_and(|it| it.effect == Effect::Moved && it.after.status == Status::Start)
        };
        let taken = slots.into_iter().zip(applied);
        ready.extend(taken.filter(|(_, it)| is_taken(it)).map(|(slot, _)| slot));
        Ok(ready)
    }

    /// Sends the orders of leaves as they stood before they were taken. What could not be sent waits
    /// again, unless an earlier order of it may have arrived.
    async fn order(
        &self,
        root: &Root,
        slots: &[LeafSlot],
        now: UnixMillis,
    ) -> Result<(), store::Error> {
        let mut back = Vec::new();
        for slots in slots.chunks(SENT_AT_ONCE) {
            let (mut online, mut gone) = (Vec::new(), Vec::new());
            for slot in slots {
                match self.sessions.uuid(slot.host) {
                    Some(uuid) => online.push((slot, (slot.id, uuid))),
                    None => gone.push(slot),
                }
            }
            let (online, leaves): (Vec<&LeafSlot>, Vec<_>) = online.into_iter().unzip();
            let orders = self.signer.orders(root, &leaves, now);
            let unsent = online.into_iter().zip(orders).filter_map(|(slot, order)| {
                let sent = self.sessions.send(slot.host, DownFrame::Order(order));
                (!sent).then_some(slot)
            });
            gone.extend(unsent);
            let waits = gone
                .into_iter()
                .filter(|it| it.state.status == Status::Init);
            back.extend(waits.map(|it| event_of(it.id, Event::TakenBack)));
            // The sessions send meanwhile.
            tokio::task::yield_now().await;
        }
        if !back.is_empty() {
            self.store.leaf_apply_many(back, now).await?;
            self.wake();
        }
        Ok(())
    }

    /// A host has connected and says which leaves it holds: everything that is unfinished and not
    /// held is ordered (again), everything held that is no longer wanted is stopped.
    pub(crate) async fn host_connected(
        &self,
        host: HostNo,
        held: &[LeafId],
    ) -> Result<(), store::Error> {
        let now = self.clock.now();
        let mut roots: HashMap<RootId, Root> = HashMap::new();
        let mut unfinished = Vec::new();
        for slot in self.store.leaf_unfinished_of_host(host).await? {
            if !roots.contains_key(&slot.id.root)
                && let Some(root) = self.store.root_get(slot.id.root).await?
            {
                roots.insert(root.id, root);
            }
            unfinished.push(slot);
        }
        let is_wanted = |leaf: &LeafId| {
            let root = roots.get(&leaf.root);
            unfinished.iter().any(|slot| slot.id == *leaf)
                && root.is_some_and(|it| it.cancelled_at.is_none())
        };
        let unwanted = held.iter().filter(|leaf| !is_wanted(leaf));
        for leaf in unwanted.take(STOPPED_ON_CONNECT_MAX) {
            self.sessions.send(host, cancel(*leaf));
        }
        for slot in unfinished {
            let Some(root) = roots.get(&slot.id.root) else {
                continue;
            };
            let event = match slot.state.status {
                _ if root.cancelled_at.is_some() => continue,
                _ if held.contains(&slot.id) => Event::Delivered,
                Status::Dispatch
                    if slot.state.dispatch == Dispatch::Auto && !root.task_type.only_reads() =>
                {
                    lost_by_agent()
                }
                // What the host does not hold, it will not hand over.
                _ if now >= root.deadline => Event::DeadlinePassed,
                Status::Init if root.plan.is_paced() => {
                    self.join_line(slot);
                    continue;
                }
                _ => Event::Taken,
            };
            self.start_time(root, &[slot], now);
            let event_of_leaf = event_of(slot.id, event);
            let applied = self.store.leaf_apply_many(vec![event_of_leaf], now).await?;
            let open = applied
                .iter()
                .flatten()
                .all(|it| !it.after.status.is_final());
            if !open {
                self.progress.forget(slot.id);
            }
            if event == Event::Taken && open {
                self.order(root, &[slot], now).await?;
            }
        }
        Ok(())
    }

    /// A host's session is gone. What it had not confirmed waits again if the work only reads, and can
    /// then be done by hand; a command may have arrived, so it stays where it is until the host is back.
    pub(crate) async fn host_disconnected(&self, host: HostNo) -> Result<(), store::Error> {
        let mut back = Vec::new();
        for slot in self.store.leaf_unfinished_of_host(host).await? {
            if slot.state.status == Status::Start
                && let Some(root) = self.store.root_get(slot.id.root).await?
                && root.task_type.only_reads()
            {
                back.push(event_of(slot.id, Event::TakenBack));
            }
        }
        if !back.is_empty() {
            self.store.leaf_apply_many(back, self.clock.now()).await?;
            self.wake();
        }
        Ok(())
    }
}

const fn event_of(leaf: LeafId, event: Event) -> LeafEvent {
    LeafEvent {
        leaf,
        event,
        answer: None,
    }
}

/// A command that was confirmed and that the agent no longer knows: its journal is gone. It may have
/// run, so it is not run again.
const fn lost_by_agent() -> Event {
    Event::Ended {
        verdict: Verdict::Fail,
        reason: model::Reason::AgentRestarted,
    }
}

/// Tells a host to stop a leaf's work.
pub(crate) fn cancel(leaf: LeafId) -> DownFrame {
    DownFrame::Cancel(Cancel {
        leaf_id: leaf.to_string(),
    })
}

/// Tells a host that a leaf's result is durable.
pub(crate) fn ack(leaf: LeafId) -> DownFrame {
    DownFrame::Ack(Ack {
        leaf_id: leaf.to_string(),
    })
}
