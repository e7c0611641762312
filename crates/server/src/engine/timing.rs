//! The time that each host has for its part (`leafTimeoutSeconds`).
//!
//! A host keeps it by itself: its order says until when. What ends here are the leaves of those that
//! do not say how it ended, such as a host that went away in the middle. When each of them is due
//! stands in order in memory, so what is not due costs nothing; a node that starts anew finds out
//! from the leaves. What is due is looked at again before it ends, since a leaf counts from when its
//! host confirmed the order.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Dispatch, Effect, Event, LeafId, LeafState, RootId, Status, UnixMillis, limits};
use store::{HostNo, LeafSlot, Root};

use super::{Engine, cancel, event_of};

/// Leaves that are looked at in one round; the rest is looked at in the next.
const DUE_AT_ONCE: usize = 4_000;

/// When the leaves of each root whose hosts have a time of their own are due.
#[derive(Debug, Default)]
pub(super) struct Timers(Mutex<HashMap<RootId, Timer>>);

#[derive(Debug, Default)]
struct Timer {
    due: BTreeSet<(UnixMillis, u32)>,
    leaves: HashMap<u32, (UnixMillis, HostNo)>,
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, HashMap<RootId, Timer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, root: RootId) -> bool {
        self.lock().contains_key(&root)
    }

    /// Starts the time of leaves that were handed out, unless it runs already.
    fn start(&self, root: RootId, leaves: impl Iterator<Item = (u32, UnixMillis, HostNo)>) {
        let mut timers = self.lock();
        let timer = timers.entry(root).or_default();
        for (number, at, host) in leaves {
            if let std::collections::hash_map::Entry::Vacant(it) = timer.leaves.entry(number) {
                it.insert((at, host));
                timer.due.insert((at, number));
            }
        }
    }

    /// Takes out what is due.
    fn take_due(&self, root: RootId, now: UnixMillis) -> Vec<(LeafId, HostNo)> {
        let mut timers = self.lock();
        let Some(timer) = timers.get_mut(&root) else {
            return Vec::new();
        };
        let mut due = Vec::new();
        while due.len() < DUE_AT_ONCE
            && timer.due.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, number)) = timer.due.pop_first()
        {
            let leaf = timer.leaves.remove(&number);
            due.extend(leaf.map(|(_, host)| (root.leaf(number), host)));
        }
        due
    }

    /// A leaf has ended.
    pub(super) fn stop(&self, leaf: LeafId) {
        if let Some(timer) = self.lock().get_mut(&leaf.root)
            && let Some((at, _)) = timer.leaves.remove(&leaf.number)
        {
            timer.due.remove(&(at, leaf.number));
        }
    }

    /// What is known of this root may be wrong: it is looked through again.
    fn forget(&self, root: RootId) {
        self.lock().remove(&root);
    }

    /// Forgets all roots but these.
    pub(super) fn keep(&self, roots: &[Root]) {
        let mut timers = self.lock();
        if !timers.is_empty() {
            let roots: HashSet<RootId> = roots.iter().map(|it| it.id).collect();
            timers.retain(|root, _| roots.contains(root));
        }
    }
}

/// When a leaf that stands so ends if its host does not say how its work ended.
fn due(state: LeafState, limit_ms: i64) -> Option<UnixMillis> {
    match (state.status, state.dispatch) {
        (Status::Start, _) | (Status::Dispatch, Dispatch::Auto) => {
            Some(state.at.plus(limit_ms + limits::DEADLINE_GRACE_MS))
        }
        _ => None,
    }
}

impl Engine {
    /// Starts the time of leaves whose orders are sent now.
    pub(super) fn start_time(&self, root: &Root, slots: &[LeafSlot], now: UnixMillis) {
        if let Some(limit_ms) = root.plan.leaf_timeout_ms
            && self.timers.has(root.id)
        {
            let at = now.plus(limit_ms + limits::DEADLINE_GRACE_MS);
            let leaves = slots.iter().map(|it| (it.id.number, at, it.host));
            self.timers.start(root.id, leaves);
        }
    }

    /// Ends the leaves of a root whose hosts have had their time and have not said how it ended.
    pub(super) async fn end_overdue(
        &self,
        root: &Root,
        now: UnixMillis,
    ) -> Result<(), store::Error> {
        let Some(limit_ms) = root.plan.leaf_timeout_ms else {
            return Ok(());
        };
        if !self.timers.has(root.id) {
            // What is handed out from here on is noted, what was is in the list.
            self.timers.start(root.id, std::iter::empty());
            let unfinished = self.store.leaf_unfinished(root.id).await?;
            let leaves = unfinished
                .iter()
                .filter_map(|it| Some((it.id.number, due(it.state, limit_ms)?, it.host)));
            self.timers.start(root.id, leaves);
        }
        let ended = self.end_due(root.id, limit_ms, now).await;
        if ended.is_err() {
            self.timers.forget(root.id);
        }
        ended
    }

    async fn end_due(
        &self,
        root: RootId,
        limit_ms: i64,
        now: UnixMillis,
    ) -> Result<(), store::Error> {
        let (mut over, mut later) = (Vec::new(), Vec::new());
        for (leaf, host) in self.timers.take_due(root, now) {
            let unfinished = self.store.leaf_unfinished_of_host(host).await?;
            let Some(slot) = unfinished.into_iter().find(|it| it.id == leaf) else {
                continue;
            };
            match due(slot.state, limit_ms) {
                Some(at) if at > now => later.push((leaf.number, at, host)),
                Some(_) => over.push(slot),
                None => {}
            }
        }
        self.timers.start(root, later.into_iter());
        if over.is_empty() {
            return Ok(());
        }
        let events = over
            .iter()
            .map(|it| event_of(it.id, Event::DeadlineOverdue));
        let applied = self.store.leaf_apply_many(events.collect(), now).await?;
        for (slot, applied) in over.iter().zip(applied) {
            if applied.is_ok_and(|it| it.effect == Effect::Moved) {
                self.sessions.send(slot.host, cancel(slot.id));
                self.leaf_ended(slot.id);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
