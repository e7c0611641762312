//! The fold of a root's journal: where each of its leaves stands, in memory while the root runs.
//!
//! Owns the counts and the replay of a journal. Never decides a status (that is [`LeafState::next`])
//! and never touches a database. The SQL backends keep one [`Fold`] per unfinished root and write its
//! slots down when the root ends.

mod slot;

use std::sync::Arc;

use model::{Effect, Event, LeafState, Said, Status, Totals, UnixMillis, limits};

pub(crate) use self::slot::{Place, Slot};

use crate::journal::{Answered, Record};
use crate::outcome::Outcomes;
use crate::{Error, HostNo, LeafSlot, Root};

/// `now` as it is stored for a leaf of a root that started at `created`.
pub(crate) fn clamp(now: UnixMillis, created: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.clamp(created.0, created.plus(i64::from(u32::MAX)).0))
}

/// An unfinished root. A clone shares the leaves with the original until either changes, and then all
/// but the pieces that changed.
#[derive(Clone, Debug)]
pub(crate) struct Fold {
    /// The root's number in the store.
    pub(crate) no: i64,
    /// The root; its totals follow the leaves.
    pub(crate) root: Root,
    /// Blocks of its journal.
    pub(crate) blocks: u32,
    hosts: Arc<[HostNo]>,
    /// Pieces of [`limits::COUNT_BLOCK_LEAVES`] leaves.
    slots: Vec<Arc<[Slot]>>,
    counts: Vec<Totals>,
    /// How those that have ended did.
    pub(crate) outcomes: Arc<Outcomes>,
}

impl Fold {
    /// A root whose leaves all wait.
    pub(crate) fn new(no: i64, mut root: Root, hosts: Vec<HostNo>) -> Self {
        let count = |leaves: usize| Totals::new(u32::try_from(leaves).unwrap_or(u32::MAX));
        root.totals = count(hosts.len());
        let pieces = hosts.chunks(piece_leaves());
        Self {
            no,
            root,
            blocks: 0,
            slots: pieces
                .clone()
                .map(|it| vec![Slot::default(); it.len()].into())
                .collect(),
            counts: pieces.map(|it| count(it.len())).collect(),
            hosts: hosts.into(),
            outcomes: Arc::default(),
        }
    }

    /// How many leaves it has.
    pub(crate) fn leaves(&self) -> u32 {
        u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)
    }

    /// Leaf `number`, from 1.
    pub(crate) fn slot(&self, number: u32) -> Option<Slot> {
        let at = place_of(number)?;
        let piece = self.slots.get(at / piece_leaves())?;
        piece.get(at % piece_leaves()).copied()
    }

    /// The host of leaf `number`.
    pub(crate) fn host(&self, number: u32) -> Option<HostNo> {
        self.hosts.get(place_of(number)?).copied()
    }

    /// The number of the leaf of `host`.
    pub(crate) fn number_of(&self, host: HostNo) -> Option<u32> {
        let at = self.hosts.binary_search(&host).ok()?;
        u32::try_from(at + 1).ok()
    }

    /// All hosts, by leaf.
    pub(crate) fn hosts(&self) -> &[HostNo] {
        &self.hosts
    }

    /// All leaves, by number.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().flat_map(|it| it.iter().copied())
    }

    /// Counts of each [`limits::COUNT_BLOCK_LEAVES`] leaves.
    pub(crate) fn counts(&self) -> &[Totals] {
        &self.counts
    }

    /// Leaf `number` as callers see it.
    pub(crate) fn leaf(&self, number: u32) -> Option<LeafSlot> {
        Some(LeafSlot {
            id: self.root.id.leaf(number),
            host: self.host(number)?,
            state: self.slot(number)?.state(self.root.created_at),
        })
    }

    /// Every unfinished leaf, by number.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = LeafSlot> + '_ {
        (1_u32..)
            .zip(self.slots())
            .filter(|(_, slot)| !slot.status.is_final())
            .filter_map(|(number, _)| self.leaf(number))
    }

    /// Replaces leaf `number` and counts it, but for its outcome. Only what a transition returned goes in here.
    pub(crate) fn set(&mut self, number: u32, slot: Slot) {
        let Some(at) = place_of(number) else { return };
        let piece = at / piece_leaves();
        let old = self.slots.get_mut(piece).and_then(|it| {
            let slots = Arc::make_mut(it);
            slots.get_mut(at % piece_leaves())
        });
        let Some(old) = old else { return };
        let before = std::mem::replace(old, slot).status;
        if before != slot.status {
            self.root.totals.moved(before, slot.status);
            if let Some(counts) = self.counts.get_mut(piece) {
                counts.moved(before, slot.status);
            }
        }
    }

    /// Carries out the records of journal block `block` once more. Also tells when the root was
    /// cancelled and when its last leaf ended.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a record is about a leaf that this root does not have.
    pub(crate) fn replay(&mut self, block: u32, records: &[Record<'_>]) -> Result<(), Error> {
        for (index, record) in records.iter().enumerate() {
            // What stands beyond is events, which have no place.
            let index = u8::try_from(index).unwrap_or(u8::MAX);
            let place = Place { block, index };
            let at = match record {
                Record::Leaf {
                    number,
                    event,
                    at,
                    answer,
                } => {
                    self.replay_leaf(*number, *event, *at, answer.as_ref(), place)?;
                    *at
                }
                Record::Answer { number, .. } => {
                    self.replay_answer(*number, place)?;
                    continue;
                }
                Record::All { event, at, started } => {
                    self.replay_all(*event, *at, started);
                    *at
                }
                Record::Cancelled { at } => {
                    self.root.cancelled_at = Some(*at);
                    *at
                }
            };
            if self.root.ended_at.is_none() && self.root.totals.unfinished() == 0 {
                self.root.ended_at = Some(at);
            }
        }
        Ok(())
    }

    fn replay_leaf(
        &mut self,
        number: u32,
        event: Event,
        at: UnixMillis,
        answer: Option<&Answered<'_>>,
        place: Place,
    ) -> Result<(), Error> {
        let created = self.root.created_at;
        let slot = self.told_of(number)?;
        let (after, effect) = slot.state(created).next(event, at);
        if effect == Effect::Moved {
            let place = answer.and_then(|it| it.json).map(|_| place);
            let outcome = self.outcome(after, answer.map(|it| &it.said), number);
            let place = place.or_else(|| slot.place());
            self.set(number, Slot::new(after, place, outcome, created));
        }
        Ok(())
    }

    fn replay_answer(&mut self, number: u32, place: Place) -> Result<(), Error> {
        let slot = self.told_of(number)?;
        if !slot.status.is_final() {
            let id = self.root.id;
            return Err(Error::Corrupt(format!(
                "the journal has an answer of leaf {number} of root {id}, which has not ended"
            )));
        }
        self.set(number, slot.placed(place));
        Ok(())
    }

    fn told_of(&self, number: u32) -> Result<Slot, Error> {
        let id = self.root.id;
        self.slot(number).ok_or_else(|| {
            Error::Corrupt(format!("the journal tells of leaf {number} of root {id}"))
        })
    }

    fn outcome(&mut self, after: LeafState, said: Option<&Said>, number: u32) -> u16 {
        if !after.status.is_final() {
            return 0;
        }
        Arc::make_mut(&mut self.outcomes).add(after, said, number)
    }

    fn replay_all(&mut self, event: Event, at: UnixMillis, started: &[u32]) {
        let created = self.root.created_at;
        let mut started = started.iter().copied().peekable();
        for number in 1..=self.leaves() {
            let was_taken = started.next_if_eq(&number).is_some();
            let Some(slot) = self.slot(number) else { break };
            let mut before = slot.state(created);
            if was_taken && before.status == Status::Init {
                before.status = Status::Start;
            }
            let (after, effect) = before.next(event, at);
            if effect == Effect::Moved {
                let outcome = self.outcome(after, None, number);
                self.set(number, Slot::new(after, slot.place(), outcome, created));
            }
        }
    }
}

fn piece_leaves() -> usize {
    usize::try_from(limits::COUNT_BLOCK_LEAVES).unwrap_or(usize::MAX)
}

fn place_of(number: u32) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Reason, RootId, TaskType, Verdict};

    const START: UnixMillis = UnixMillis(1_000);

    fn fold(leaves: i64) -> Fold {
        let root = Root {
            id: RootId::new(START, [0; 6]),
            task_type: TaskType::ClientDevOps,
            name: String::new(),
            source: String::new(),
            operator: String::new(),
            work: String::new(),
            created_at: START,
            deadline: START,
            cancelled_at: None,
            ended_at: None,
            rerun_of: None,
            plan: model::Plan::default(),
            totals: Totals::default(),
        };
        Fold::new(1, root, (1..=leaves).map(HostNo).collect())
    }

    #[test]
    fn a_clone_stays_as_it_was_and_only_what_changes_is_copied() {
        let mut fold = fold(3_000);
        let before = fold.clone();
        let ended = LeafState {
            status: Status::Success,
            ..LeafState::new(START)
        };
        fold.set(2_000, Slot::new(ended, None, 1, START));
        assert_eq!(before.slot(2_000).unwrap().status, Status::Init);
        assert_eq!(before.root.totals.success, 0);
        assert_eq!(fold.slot(2_000).unwrap().status, Status::Success);
        assert_eq!(fold.counts()[1].success, 1);
        assert!(
            fold.slots()
                .map(|it| it.status)
                .eq((1..=3_000).map(|it| if it == 2_000 {
                    Status::Success
                } else {
                    Status::Init
                }))
        );
        let pieces = fold.slots.iter().zip(&before.slots);
        let shared: Vec<_> = pieces.map(|(a, b)| Arc::ptr_eq(a, b)).collect();
        assert_eq!(shared, [true, false, true]);
    }

    #[test]
    fn replaying_an_event_on_all_spares_what_a_node_had_taken() {
        let mut fold = fold(3);
        let cancel = Record::All {
            event: Event::CancelAsked,
            at: START.plus(5),
            started: vec![2],
        };
        let ended = Record::Leaf {
            number: 2,
            event: Event::Ended {
                verdict: Verdict::Success,
                reason: Reason::None,
            },
            at: START.plus(9),
            answer: Some(Answered {
                said: Said::new([1; 14], "well".into()),
                json: Some(b"{}"),
            }),
        };
        fold.replay(4, &[cancel]).unwrap();
        assert_eq!(fold.slot(2).unwrap().status, Status::Init);
        fold.replay(5, &[ended]).unwrap();
        let statuses: Vec<_> = fold.slots().map(|it| it.status).collect();
        assert_eq!(statuses, [Status::Fail, Status::Success, Status::Fail]);
        assert_eq!(fold.root.totals.ended(), 3);
        let place = fold.slot(2).unwrap().place();
        assert_eq!(place, Some(Place { block: 5, index: 0 }));
        let counts: Vec<u32> = fold.outcomes.all().iter().map(|it| it.count).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn a_record_about_an_unknown_leaf_is_damage() {
        for number in [0, 4, u32::MAX] {
            let record = Record::Leaf {
                number,
                event: Event::Delivered,
                at: START,
                answer: None,
            };
            assert!(matches!(
                fold(3).replay(1, &[record]),
                Err(Error::Corrupt(_))
            ));
        }
    }
}
