//! What happens to leaves.
//!
//! Owns how events come to the roots of a commit. Late news about a leaf of a finished root is
//! answered from what is stored.

use model::{Effect, Event, LeafId, RootId, Status, UnixMillis};

use super::batch::Batch;
use super::segment;
use super::task::{self, View};
use super::writer::Weight;
use crate::{Applied, Error, HostNo, LeafAnswer, LeafEvent, LeafSlot};

/// What these events add to a commit.
pub(super) fn weight(events: &[LeafEvent]) -> Weight {
    Weight {
        events: events.len(),
        bytes: events
            .iter()
            .filter_map(|it| it.answer.as_ref())
            .map(bytes)
            .sum(),
    }
}

fn bytes(answer: &LeafAnswer) -> usize {
    let lists = answer.snapshots.iter().map(|it| it.packed.len());
    answer.json.len() + lists.sum::<usize>()
}

/// See [`crate::Store::leaf_apply_many`].
pub(super) fn apply_many(
    batch: &mut Batch<'_>,
    events: &[LeafEvent],
    now: UnixMillis,
) -> Vec<Result<Applied, Error>> {
    events.iter().map(|it| apply(batch, it, now)).collect()
}

fn apply(batch: &mut Batch<'_>, event: &LeafEvent, now: UnixMillis) -> Result<Applied, Error> {
    let LeafId { root, number } = event.leaf;
    let Some((stage, blocks)) = batch.stage(root) else {
        return apply_late(batch, event, now);
    };
    let answer = event.answer.as_ref();
    let applied = stage.apply(blocks, number, event.event, answer, now)?;
    let has_succeeded = applied.effect == Effect::Moved && applied.after.status == Status::Success;
    if has_succeeded && let (Some(host), Some(answer)) = (stage.inventoried(number), answer) {
        let at = applied.after.at;
        batch.snapshots.add(host, event.leaf, at, answer);
    }
    Ok(applied)
}

fn apply_late(batch: &Batch<'_>, event: &LeafEvent, now: UnixMillis) -> Result<Applied, Error> {
    let LeafId { root, number } = event.leaf;
    let row = task::find(batch.tx, root)?.ok_or(Error::NotFound)?;
    batch.active.check(row.no, root)?;
    if !(1..=row.root.totals.total()).contains(&number) {
        return Err(Error::NotFound);
    }
    let slots = segment::read_states(batch.tx, row.no, number, number)?;
    let slot = slots.first().ok_or(Error::NotFound)?;
    let before = slot.state(row.root.created_at);
    let (after, effect) = before.next(event.event, now);
    Ok(Applied {
        before,
        after,
        effect,
        root_ended: false,
    })
}

/// See [`crate::Store::leaf_apply_all`].
pub(super) fn apply_all(
    batch: &mut Batch<'_>,
    root: RootId,
    event: Event,
    now: UnixMillis,
) -> Result<Vec<(LeafSlot, Applied)>, Error> {
    if let Some((stage, blocks)) = batch.stage(root) {
        return Ok(stage.apply_all(blocks, event, now));
    }
    let row = task::find(batch.tx, root)?.ok_or(Error::NotFound)?;
    batch.active.check(row.no, root)?;
    Ok(Vec::new())
}

impl View<'_> {
    /// See [`crate::Store::leaf_unfinished`].
    pub(super) fn leaf_unfinished(self, root: RootId) -> Result<Vec<LeafSlot>, Error> {
        if let Some(fold) = self.active.find(root) {
            return Ok(fold.unfinished().collect());
        }
        if let Some(row) = task::find(self.tx, root)? {
            self.active.check(row.no, root)?;
        }
        Ok(Vec::new())
    }

    /// See [`crate::Store::leaf_unfinished_of_host`].
    pub(super) fn leaf_unfinished_of_host(self, host: HostNo) -> Vec<LeafSlot> {
        let leaves = self
            .active
            .folds()
            .filter_map(|fold| fold.leaf(fold.number_of(host)?));
        leaves.filter(|it| !it.state.status.is_final()).collect()
    }
}
