//! Paced roots: hands out as much as their plan lets, and no more.
//!
//! What may be handed out is derived from a root's counts ([`Plan::gate`](model::Plan::gate)), so a
//! node that starts anew goes on where the one before it was. What waits stands in a line in memory,
//! in the order of the leaves: so a leaf that ends costs a look at the counts and the first of the
//! line, never one at all leaves. A host that is away leaves the line and joins it again when it
//! connects; the engine's sweep puts right what was missed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::plan::Gate;
use model::{Event, LeafId, RootId, Status, UnixMillis};
use store::{HostNo, LeafSlot, Root};

use super::Engine;

/// The waiting leaves of each paced root, by number.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<RootId, BTreeMap<u32, LeafSlot>>>);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, HashMap<RootId, BTreeMap<u32, LeafSlot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the root is paced and was looked through.
    fn has(&self, root: RootId) -> bool {
        self.lock().contains_key(&root)
    }

    fn set(&self, root: RootId, waiting: impl Iterator<Item = LeafSlot>) {
        let line = waiting.map(|it| (it.id.number, it)).collect();
        self.lock().insert(root, line);
    }

    /// A leaf whose host is there again. A root that was not looked through yet will be.
    fn join(&self, slot: LeafSlot) {
        if let Some(line) = self.lock().get_mut(&slot.id.root) {
            line.insert(slot.id.number, slot);
        }
    }

    /// Takes the first `most` leaves whose hosts are there out of the line, and those before them whose
    /// hosts are not.
    fn draw(&self, root: RootId, most: u32, is_online: impl Fn(HostNo) -> bool) -> Vec<LeafSlot> {
        let mut lines = self.lock();
        let Some(line) = lines.get_mut(&root) else {
            return Vec::new();
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut drawn = Vec::new();
        while drawn.len() < most
            && let Some((_, slot)) = line.pop_first()
        {
            if is_online(slot.host) {
                drawn.push(slot);
            }
        }
        drawn
    }

    /// Forgets all roots but these.
    pub(super) fn keep(&self, roots: &[Root]) {
        let mut lines = self.lock();
        if !lines.is_empty() {
            let roots: HashSet<RootId> = roots.iter().map(|it| it.id).collect();
            lines.retain(|root, _| roots.contains(root));
        }
    }
}

impl Engine {
    /// Hands out what the plan of a root lets, or ends what waits if too many have failed. A host that
    /// is away takes no place in a wave: the next one that is there does.
    pub(super) async fn pace(
        &self,
        root: &Root,
        sweep: bool,
        now: UnixMillis,
    ) -> Result<(), store::Error> {
        let gate = root.plan.gate(&root.totals);
        if gate == Gate::Stopped && root.totals.init > 0 {
            tracing::info!(
                task.id = %root.id, task.waiting = root.totals.init,
                "too many hosts of a task have failed; the rest is not handed out"
            );
            return self.end_all(root, Event::Stopped, now).await;
        }
        if root.totals.init + root.totals.start > 0 && (sweep || !self.lines.has(root.id)) {
            let unfinished = self.store.leaf_unfinished(root.id).await?;
            let is_waiting = |it: &LeafSlot| it.state.status == Status::Init;
            let (waiting, sent): (Vec<_>, Vec<_>) = unfinished.into_iter().partition(is_waiting);
            self.lines.set(root.id, waiting.into_iter());
            self.hand_out(root, &sent, false, now).await?;
        }
        let Gate::Open(room) = gate else {
            return Ok(());
        };
        let is_online = |host| self.sessions.is_online(host);
        let drawn = self.lines.draw(root.id, room, is_online);
        self.hand_out(root, &drawn, false, now).await
    }

    /// The host of a waiting leaf of a paced root has connected.
    pub(super) fn join_line(&self, slot: LeafSlot) {
        self.lines.join(slot);
        self.turn.notify_one();
    }

    /// A leaf has ended: its time is over, it does nothing more, and another one's turn may have come.
    pub(crate) fn leaf_ended(&self, leaf: LeafId) {
        self.timers.stop(leaf);
        self.progress.forget(leaf);
        if self.lines.has(leaf.root) {
            self.turn.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
