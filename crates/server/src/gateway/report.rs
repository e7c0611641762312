//! What a host reports in its session: receipts, results, bundles. Its progress is beside it.

use model::{Event, LeafId, Reason, TaskType, Verdict, limits};
use protocol::frame::{
    BundleAck, BundleChunk, BundleOpen, DownFrame, Heartbeat, LeafResult, UpFrame,
};
use store::LeafEvent;

use super::intake;
use super::session::Running;
use crate::engine::ack;
use crate::service::Arriving;

/// Receipts that wait for what comes next before they are stored.
const CONFIRMED_MAX: usize = 64;

impl Running<'_> {
    /// Takes one frame; what it answers is sent back.
    pub(super) async fn take(&mut self, frame: UpFrame) -> Result<Option<DownFrame>, &'static str> {
        match frame {
            UpFrame::Hello(_) => Err("a second greeting"),
            UpFrame::Heartbeat(_) => Ok(Some(DownFrame::Heartbeat(Heartbeat {
                now_ms: self.app.clock.now().0,
            }))),
            UpFrame::Receipt(receipt) => {
                if let Whose::Ours(leaf) = self.leaf(&receipt.leaf_id).await?
                    && self.only.is_none()
                {
                    self.confirmed.push(leaf);
                }
                if self.confirmed.len() >= CONFIRMED_MAX {
                    self.confirm().await;
                }
                Ok(None)
            }
            UpFrame::Progress(progress) => self.progress(progress).await.map(|()| None),
            UpFrame::Result(result) => self.result(result).await,
            UpFrame::BundleOpen(open) => self.bundle_open(open).await.map(Some),
            UpFrame::BundleChunk(chunk) => self.bundle_chunk(chunk).await.map(Some),
        }
    }

    /// Stores the receipts that have come.
    pub(super) async fn confirm(&mut self) {
        let events = self.receipts();
        self.apply(events).await;
    }

    fn receipts(&mut self) -> Vec<LeafEvent> {
        let delivered = |leaf| LeafEvent {
            leaf,
            event: Event::Delivered,
            answer: None,
        };
        self.confirmed.drain(..).map(delivered).collect()
    }

    /// Whose leaf that is.
    async fn leaf(&mut self, id: &str) -> Result<Whose, &'static str> {
        let leaf: LeafId = id.parse().map_err(|_| "not a leaf id")?;
        if self.only.is_some_and(|it| it != leaf) {
            return Err("a leaf that is not this checker's");
        }
        if self.known.contains(&leaf) {
            return Ok(Whose::Ours(leaf));
        }
        match self.app.store.leaf_get(leaf).await {
            Ok(Some(found)) if found.host == self.host => {
                self.known.insert(leaf);
                Ok(Whose::Ours(leaf))
            }
            Ok(Some(_)) | Ok(None) => Ok(Whose::Nobodys(leaf)),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a leaf could not be looked up"
                );
                Ok(Whose::NotKnownNow)
            }
        }
    }

    async fn result(&mut self, result: LeafResult) -> Result<Option<DownFrame>, &'static str> {
        let leaf = match self.leaf(&result.leaf_id).await? {
            Whose::Ours(leaf) => leaf,
            Whose::NotKnownNow => return Ok(None),
            Whose::Nobodys(leaf) => {
                tracing::warn!(task.id = %leaf, "a result of a task that is not this host's is dropped");
                return Ok(Some(ack(leaf)));
            }
        };
        let verdict = match result.status {
            2 => Some(Verdict::Success),
            3 => Some(Verdict::Fail),
            4 => Some(Verdict::Timeout),
            _ => None,
        };
        let (event, answer) = match (verdict, intake::answer(&result.answer)) {
            (Some(verdict), Ok(answer)) => {
                let reason = Reason::from_wire(&result.reason).unwrap_or(Reason::AgentFault);
                (Event::Ended { verdict, reason }, answer)
            }
            (_, unread) => {
                let why = unread.err().unwrap_or("a result with an unknown status");
                tracing::warn!(task.id = %leaf, why, "a result cannot be read");
                (unreadable(), intake::note(why))
            }
        };
        let mut events = self.receipts();
        events.push(LeafEvent {
            leaf,
            event,
            answer,
        });
        let durable = self.apply(events).await;
        if durable {
            self.known.remove(&leaf);
            self.arriving.remove(&leaf);
        }
        Ok(durable.then(|| ack(leaf)))
    }

    /// Applies events. Returns whether the last is durable; if not, the agent will say it again.
    async fn apply(&self, events: Vec<LeafEvent>) -> bool {
        let leaves: Vec<_> = events.iter().map(|it| it.leaf).collect();
        let now = self.app.clock.now();
        let kept = |leaf: LeafId, error: store::Error| {
            tracing::warn!(task.id = %leaf, error = &error as &dyn std::error::Error, "a report could not be stored; the agent keeps it");
            false
        };
        let applied = match self.app.store.leaf_apply_many(events, now).await {
            Ok(applied) => applied,
            Err(error) => return leaves.last().is_none_or(|leaf| kept(*leaf, error)),
        };
        let mut durable = false;
        for (leaf, applied) in leaves.into_iter().zip(applied) {
            durable = match applied {
                Ok(applied) => {
                    tracing::debug!(task.id = %leaf, status = applied.after.status.wire(), "a leaf was reported");
                    if applied.after.status.is_final() {
                        self.app.engine.leaf_ended(leaf);
                    }
                    if applied.root_ended {
                        tracing::info!(task.id = %leaf.root, "a task has ended");
                    }
                    true
                }
                Err(error) => kept(leaf, error),
            };
        }
        durable
    }

    /// Whether the leaf of that id still runs and is this host's.
    async fn unfinished(&mut self, id: &str) -> Result<Option<LeafId>, &'static str> {
        let Whose::Ours(leaf) = self.leaf(id).await? else {
            return Ok(None);
        };
        let stored = self.app.store.leaf_get(leaf).await.ok().flatten();
        let runs = stored.is_some_and(|it| !it.state.status.is_final());
        Ok(runs.then_some(leaf))
    }

    async fn bundle_open(&mut self, open: BundleOpen) -> Result<DownFrame, &'static str> {
        let Some(leaf) = self.unfinished(&open.leaf_id).await? else {
            return Ok(bundle_refused(open.leaf_id, TASK_ENDED));
        };
        let root = self.app.store.root_get(leaf.root).await.ok().flatten();
        if root.is_none_or(|it| it.task_type != TaskType::ClientProblemCheck) {
            return Ok(bundle_refused(
                open.leaf_id,
                "only a problem check has a bundle",
            ));
        }
        self.arriving.remove(&leaf);
        if self.arriving.len() >= limits::SESSION_BUNDLES_MAX {
            return Ok(bundle_refused(open.leaf_id, "too many bundles at once"));
        }
        let arriving = Arriving {
            leaf,
            host: self.host,
            size: open.size,
            sha256: open.sha256,
            received: 0,
        };
        let opened = self.app.bundles.open(arriving, self.app.clock.now()).await;
        Ok(match opened {
            Ok(arriving) => {
                let received = arriving.received;
                if received < arriving.size {
                    self.arriving.insert(leaf, arriving);
                }
                bundle_ack(open.leaf_id, received)
            }
            Err(why) => bundle_refused(open.leaf_id, &why),
        })
    }

    async fn bundle_chunk(&mut self, chunk: BundleChunk) -> Result<DownFrame, &'static str> {
        if chunk.data.len() > limits::BUNDLE_CHUNK_BYTES {
            return Err("a piece of a bundle that is too large");
        }
        let Some(leaf) = self.unfinished(&chunk.leaf_id).await? else {
            self.arriving
                .retain(|it, _| it.to_string() != chunk.leaf_id);
            return Ok(bundle_refused(chunk.leaf_id, TASK_ENDED));
        };
        let Some(arriving) = self.arriving.get_mut(&leaf) else {
            let why = "a piece of a bundle that was not announced";
            return Ok(bundle_refused(chunk.leaf_id, why));
        };
        let now = self.app.clock.now();
        let bundles = &self.app.bundles;
        let taken = bundles
            .chunk(arriving, chunk.offset, &chunk.data, now)
            .await;
        let (received, is_whole) = (arriving.received, arriving.received == arriving.size);
        if is_whole || taken.is_err() {
            self.arriving.remove(&leaf);
        }
        Ok(match taken {
            Ok(()) => bundle_ack(chunk.leaf_id, received),
            Err(why) => {
                tracing::warn!(task.id = %leaf, why, "a bundle was given up");
                bundle_refused(chunk.leaf_id, &why)
            }
        })
    }
}

const TASK_ENDED: &str = "the task has ended";

fn bundle_ack(leaf_id: String, received: u64) -> DownFrame {
    DownFrame::BundleAck(BundleAck {
        leaf_id,
        received,
        refused: String::new(),
    })
}

fn bundle_refused(leaf_id: String, why: &str) -> DownFrame {
    DownFrame::BundleAck(BundleAck {
        leaf_id,
        received: 0,
        refused: why.to_owned(),
    })
}

/// Whose a leaf is.
enum Whose {
    /// This session's host's.
    Ours(LeafId),
    /// Another host's, or one that the store does not know: it can never be placed.
    Nobodys(LeafId),
    /// The store does not answer now.
    NotKnownNow,
}

/// How a leaf ends whose result cannot be read.
const fn unreadable() -> Event {
    Event::Ended {
        verdict: Verdict::Fail,
        reason: Reason::AgentFault,
    }
}
