//! The boiler room: hands orders to hosts, keeps deadlines, carries out cancellations.
//!
//! A reconciler: every round is idempotent, takes no input and looks at what the store says is
//! unfinished. It is woken by a signal (a task was created, a host connected) and by a timer, so
//! that a crash between "stored" and "done" is mended by the next round, on the same path.

mod orders;
mod sessions;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Dispatch, Event, LeafId, RootId, Status, UnixMillis, Verdict, limits};
use protocol::frame::{Ack, Cancel, DownFrame};
use store::{HostNo, LeafEvent, LeafSlot, Root, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
pub(crate) use orders::Signer;
pub(crate) use sessions::{Session, Sessions};

/// How often a round runs when nothing wakes it.
const ROUND: Duration = Duration::from_secs(1);
/// How long after its start a node waits for hosts to come back before it takes them for offline.
const SETTLE_MS: i64 = 15_000;

/// Hands out the work.
pub(crate) struct Engine {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    signer: Arc<Signer>,
    /// The hosts that are connected.
    pub(crate) sessions: Sessions,
    wake: Notify,
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
            wake: Notify::new(),
            started_at,
        }
    }

    /// Runs rounds until `shutdown`.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
            if let Err(error) = self.round().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a round of the engine failed; the next one tries again"
                );
            }
        }
    }

    async fn round(&self) -> Result<(), store::Error> {
        for root in self.store.root_active().await? {
            let now = self.clock.now();
            if root.totals.unfinished() == 0 {
                continue;
            }
            if now >= root.deadline {
                self.end_all(&root, Event::DeadlinePassed, now).await?;
            } else if let Some(at) = root.cancelled_at {
                let overdue = now.since(at) >= limits::CANCEL_GRACE_MS;
                let event = if overdue {
                    Event::CancelOverdue
                } else {
                    Event::CancelAsked
                };
                self.end_all(&root, event, now).await?;
            } else if root.totals.init > 0 {
                self.dispatch(&root, now).await?;
            }
        }
        Ok(())
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
            if holds {
                self.sessions.send(slot.host, cancel(slot.id));
            }
        }
        Ok(())
    }

    /// Hands the waiting leaves of one root to their hosts: an order to those that are connected, a
    /// manual command for the others if the work only reads.
    pub(crate) async fn dispatch(&self, root: &Root, now: UnixMillis) -> Result<(), store::Error> {
        let waiting = self.store.leaf_unfinished(root.id).await?;
        let settled = now.since(self.started_at) >= SETTLE_MS || root.created_at >= self.started_at;
        let manual = settled && root.task_type.only_reads();
        for part in waiting.chunks(limits::COMMIT_EVENTS_MAX) {
            let mut events = Vec::new();
            let mut slots = Vec::new();
            for slot in part.iter().filter(|it| it.state.status == Status::Init) {
                let event = match self.sessions.is_online(slot.host) {
                    true => Event::Taken,
                    false if manual => Event::ManualIssued,
                    false => continue,
                };
                events.push(LeafEvent {
                    leaf: slot.id,
                    event,
                    answer: None,
                });
                slots.push(*slot);
            }
            if events.is_empty() {
                continue;
            }
            let applied = self.store.leaf_apply_many(events, now).await?;
            let taken = slots
                .into_iter()
                .zip(applied)
                .filter(|(_, it)| it.as_ref().is_ok_and(|it| it.after.status == Status::Start));
            let taken: Vec<LeafSlot> = taken.map(|(slot, _)| slot).collect();
            self.order(root, &taken, now).await?;
        }
        Ok(())
    }

    async fn order(
        &self,
        root: &Root,
        slots: &[LeafSlot],
        now: UnixMillis,
    ) -> Result<(), store::Error> {
        let mut back = Vec::new();
        for slot in slots {
            let sent = self.sessions.uuid(slot.host).is_some_and(|uuid| {
                let order = self.signer.order(root, slot.id, &uuid, now);
                self.sessions.send(slot.host, DownFrame::Order(order))
            });
            if !sent {
                back.push(LeafEvent {
                    leaf: slot.id,
                    event: Event::TakenBack,
                    answer: None,
                });
            }
        }
        if !back.is_empty() {
            self.store.leaf_apply_many(back, now).await?;
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
        for leaf in held {
            let wanted = unfinished.iter().any(|slot| slot.id == *leaf)
                && roots
                    .get(&leaf.root)
                    .is_some_and(|it| it.cancelled_at.is_none());
            if !wanted {
                self.sessions.send(host, cancel(*leaf));
            }
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
                _ => Event::Taken,
            };
            let leaf = LeafEvent {
                leaf: slot.id,
                event,
                answer: None,
            };
            let applied = self.store.leaf_apply_many(vec![leaf], now).await?;
            let open = applied
                .iter()
                .flatten()
                .all(|it| !it.after.status.is_final());
            if event == Event::Taken && open {
                self.order(root, &[slot], now).await?;
            }
        }
        Ok(())
    }

    /// A host's session is gone: what it had not confirmed waits again.
    pub(crate) async fn host_disconnected(&self, host: HostNo) -> Result<(), store::Error> {
        let slots = self.store.leaf_unfinished_of_host(host).await?;
        let back: Vec<LeafEvent> = slots
            .iter()
            .filter(|slot| slot.state.status == Status::Start)
            .map(|slot| LeafEvent {
                leaf: slot.id,
                event: Event::TakenBack,
                answer: None,
            })
            .collect();
        if !back.is_empty() {
            self.store.leaf_apply_many(back, self.clock.now()).await?;
            self.wake();
        }
        Ok(())
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
