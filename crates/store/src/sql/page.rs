//! Pages of leaves.
//!
//! Owns the walk from root to block of counts to leaf. Without a status filter a page is a range of
//! ranks; with one, whole roots and whole blocks are passed over by their counts, and only blocks
//! that the page touches are looked at. By outcome, the blocks from its first leaf on are looked at.
//! Answers are fetched last (`answer`).

mod by_counts;

use std::borrow::Cow;

use model::{OutcomeId, RootId, Status, Totals, UnixMillis, limits};

use super::task::{self, Lane, View};
use super::{outcome, segment};
use crate::fold::{Fold, Slot};
use crate::{Error, HostNo, LeafQuery, PageRequest, RootQuery};

/// A set of statuses.
#[derive(Clone, Copy)]
struct Statuses(u8);

impl Statuses {
    const ALL: Self = Self(0b11_1111);

    /// None given: all.
    fn new(statuses: &[Status]) -> Self {
        let bits = statuses.iter().fold(0, |bits, it| bits | 1 << it.number());
        if bits == 0 { Self::ALL } else { Self(bits) }
    }

    fn is_all(self) -> bool {
        self.0 == Self::ALL.0
    }

    fn has(self, status: Status) -> bool {
        self.0 & (1 << status.number()) != 0
    }

    /// Those of leaves that ended badly or not in time, of unfinished ones, of those that ended well.
    fn problems_first() -> [Self; 3] {
        use Status as S;
        [
            Self::new(&[S::Fail, S::Timeout]),
            Self::new(&[S::Init, S::Start, S::Dispatch]),
            Self::new(&[S::Success]),
        ]
    }

    fn has_final(self) -> bool {
        Status::ALL
            .into_iter()
            .any(|it| it.is_final() && self.has(it))
    }

    fn count(self, totals: &Totals) -> u64 {
        let wanted = Status::ALL.into_iter().filter(|it| self.has(*it));
        wanted.map(|it| u64::from(totals.of(it))).sum()
    }
}

/// The leaves of one root, wherever they are.
enum Leaves<'a> {
    Active(&'a Fold),
    Stored {
        view: View<'a>,
        no: i64,
        id: RootId,
        created: UnixMillis,
        totals: Totals,
    },
}

/// A leaf that is on the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    /// The root's number in the store.
    pub(super) no: i64,
    pub(super) root: RootId,
    pub(super) created: UnixMillis,
    pub(super) number: u32,
    pub(super) host: HostNo,
    pub(super) slot: Slot,
}

/// Collects a page: passes over `skip` leaves, then keeps up to `room`.
struct Collector {
    statuses: Statuses,
    /// Place of the one outcome that is wanted.
    outcome: Option<u16>,
    skip: u64,
    room: usize,
    picks: Vec<Pick>,
}

impl Leaves<'_> {
    fn id(&self) -> (i64, RootId, UnixMillis) {
        match self {
            Self::Active(fold) => (fold.no, fold.root.id, fold.root.created_at),
            Self::Stored {
                no, id, created, ..
            } => (*no, *id, *created),
        }
    }

    fn totals(&self) -> Totals {
        match self {
            Self::Active(fold) => fold.root.totals,
            Self::Stored { totals, .. } => *totals,
        }
    }

    /// Place, count and first leaf of one outcome.
    fn outcome(&self, id: OutcomeId) -> Result<Option<(u16, u32, u32)>, Error> {
        match self {
            Self::Active(fold) => {
                let found = fold.outcomes.find(id);
                Ok(found.map(|(place, it)| (place, it.count, it.first)))
            }
            Self::Stored { view, no, .. } => outcome::find(view.tx, *no, id),
        }
    }

    fn counts(&self) -> Result<Cow<'_, [Totals]>, Error> {
        Ok(match self {
            Self::Active(fold) => fold.counts().into(),
            Self::Stored {
                view,
                no,
                id,
                totals,
                ..
            } => {
                view.active.check(*no, *id)?;
                segment::read_counts(view.tx, *no, totals.total())?.into()
            }
        })
    }

    /// Leaves `first` to `last`, both of this root.
    fn slice(&self, first: u32, last: u32) -> Result<Vec<Pick>, Error> {
        let (no, root, created) = self.id();
        let (hosts, slots): (Vec<_>, Vec<_>) = match self {
            Self::Active(fold) => (
                (first..=last).filter_map(|it| fold.host(it)).collect(),
                (first..=last).filter_map(|it| fold.slot(it)).collect(),
            ),
            Self::Stored { view, no, .. } => {
                view.active.check(*no, root)?;
                (
                    segment::read_hosts(view.tx, *no, first, last)?,
                    segment::read_states(view.tx, *no, first, last)?,
                )
            }
        };
        let leaves = (first..=last).zip(hosts).zip(slots);
        Ok(leaves
            .map(|((number, host), slot)| Pick {
                no,
                root,
                created,
                number,
                host,
                slot,
            })
            .collect())
    }
}

impl Collector {
    fn picked(self, total: u64) -> Picked {
        Picked {
            picks: self.picks,
            total,
        }
    }

    fn is_done(&self) -> bool {
        self.picks.len() >= self.room
    }

    /// Takes what the page has of these leaves.
    fn take(&mut self, leaves: &Leaves<'_>) -> Result<(), Error> {
        if self.is_done() {
            return Ok(());
        }
        let matching = self.statuses.count(&leaves.totals());
        if self.skip >= matching {
            self.skip -= matching;
            return Ok(());
        }
        if self.statuses.is_all() {
            let skip = u32::try_from(self.skip).unwrap_or(u32::MAX);
            self.skip = 0;
            let room = u32::try_from(self.room - self.picks.len()).unwrap_or(u32::MAX);
            let last = skip.saturating_add(room).min(leaves.totals().total());
            self.picks.extend(leaves.slice(skip + 1, last)?);
            return Ok(());
        }
        let total = leaves.totals().total();
        let firsts = (1..=total).step_by(usize::try_from(limits::COUNT_BLOCK_LEAVES).unwrap_or(1));
        for (first, counts) in firsts.zip(leaves.counts()?.iter()) {
            let matching = self.statuses.count(counts);
            if self.skip >= matching {
                self.skip -= matching;
                continue;
            }
            let last = (first + (limits::COUNT_BLOCK_LEAVES - 1)).min(total);
            self.sift(leaves.slice(first, last)?);
            if self.is_done() {
                break;
            }
        }
        Ok(())
    }

    /// Takes what the page has of the leaves of one outcome. Returns how many have it.
    fn take_outcome(&mut self, leaves: &Leaves<'_>, id: OutcomeId) -> Result<u64, Error> {
        let status = id.status().filter(|it| self.statuses.has(*it));
        let Some((status, (place, count, start))) = status.zip(leaves.outcome(id)?) else {
            return Ok(0);
        };
        self.statuses = Statuses::new(&[status]);
        if count == leaves.totals().of(status) {
            // All of that status: their counts lead to any page.
            self.take(leaves)?;
            return Ok(count.into());
        }
        self.outcome = Some(place);
        let total = leaves.totals().total();
        let firsts = (1..=total).step_by(usize::try_from(limits::COUNT_BLOCK_LEAVES).unwrap_or(1));
        for (first, counts) in firsts.zip(leaves.counts()?.iter()) {
            let last = (first + (limits::COUNT_BLOCK_LEAVES - 1)).min(total);
            if self.is_done() || self.skip >= u64::from(count) {
                break;
            }
            if last >= start && counts.of(status) > 0 {
                self.sift(leaves.slice(first, last)?);
            }
        }
        Ok(count.into())
    }

    /// Passes over, or keeps, those that are wanted.
    fn sift(&mut self, leaves: Vec<Pick>) {
        for pick in leaves {
            if self.is_done() {
                return;
            }
            let is_other = self.outcome.is_some_and(|it| it != pick.slot.outcome);
            if is_other || !self.statuses.has(pick.slot.status) {
                continue;
            }
            if self.skip > 0 {
                self.skip -= 1;
            } else {
                self.picks.push(pick);
            }
        }
    }
}

/// The rows of a page before their answers are fetched.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) picks: Vec<Pick>,
    pub(super) total: u64,
}

impl<'a> View<'a> {
    fn leaves(self, id: RootId) -> Result<Option<Leaves<'a>>, Error> {
        if let Some(fold) = self.active.find(id) {
            return Ok(Some(Leaves::Active(fold)));
        }
        let row = task::find(self.tx, id)?.filter(|it| it.no <= self.active.no_max());
        let Some(row) = row else { return Ok(None) };
        self.active.check(row.no, id)?;
        Ok(Some(self.stored(
            row.no,
            id,
            row.root.created_at,
            row.root.totals,
        )))
    }

    fn stored(self, no: i64, id: RootId, created: UnixMillis, totals: Totals) -> Leaves<'a> {
        match self.active.get(no) {
            Some(fold) => Leaves::Active(fold),
            None => Leaves::Stored {
                view: self,
                no,
                id,
                created,
                totals,
            },
        }
    }

    /// One leaf.
    pub(super) fn leaf_pick(self, id: model::LeafId) -> Result<Picked, Error> {
        let mut picks = Vec::new();
        if let Some(leaves) = self.leaves(id.root)?
            && (1..=leaves.totals().total()).contains(&id.number)
        {
            picks = leaves.slice(id.number, id.number)?;
        }
        Ok(Picked { picks, total: 1 })
    }

    /// Which leaves are on a page; see [`crate::Store::leaf_page`].
    pub(super) fn leaf_page(self, query: &LeafQuery, page: PageRequest) -> Result<Picked, Error> {
        let (LeafQuery::Root { statuses, .. } | LeafQuery::Roots { statuses, .. }) = query;
        let mut collector = Collector {
            statuses: Statuses::new(statuses),
            outcome: None,
            skip: page.offset(),
            room: usize::try_from(page.size).unwrap_or(usize::MAX),
            picks: Vec::new(),
        };
        let total = match query {
            LeafQuery::Root { root, outcome, .. } => match (self.leaves(*root)?, outcome) {
                (Some(leaves), Some(id)) => collector.take_outcome(&leaves, *id)?,
                (Some(leaves), None) => {
                    collector.take(&leaves)?;
                    collector.statuses.count(&leaves.totals())
                }
                (None, _) => 0,
            },
            LeafQuery::Roots { roots, .. } if collector.statuses.is_all() => {
                self.by_rank(roots, &mut collector)?
            }
            LeafQuery::Roots { roots, .. } => self.by_counts(roots, &mut collector)?,
        };
        Ok(collector.picked(total))
    }

    /// Which leaves come first; see [`crate::Store::leaf_problems_first`].
    pub(super) fn leaf_problems_first(self, root: RootId, size: u32) -> Result<Picked, Error> {
        let mut collector = Collector {
            statuses: Statuses::ALL,
            outcome: None,
            skip: 0,
            room: usize::try_from(size).unwrap_or(usize::MAX),
            picks: Vec::new(),
        };
        let Some(leaves) = self.leaves(root)? else {
            return Ok(collector.picked(0));
        };
        for statuses in Statuses::problems_first() {
            // Going on to the next kind, nothing is passed over.
            (collector.statuses, collector.skip) = (statuses, 0);
            collector.take(&leaves)?;
        }
        Ok(collector.picked(u64::from(leaves.totals().total())))
    }

    /// All leaves of the roots: seeks the root in which the page begins.
    fn by_rank(self, query: &RootQuery, collector: &mut Collector) -> Result<u64, Error> {
        let lane = Lane::new(query);
        let Some((first, last)) = lane.edges(self)? else {
            return Ok(0);
        };
        let end = last.cum + last.total;
        let total = u64::try_from(end - first.cum).unwrap_or(0);
        let mut position = i64::try_from(collector.skip).unwrap_or(i64::MAX);
        while position < end - first.cum && !collector.is_done() {
            let rank = end - position - 1;
            let Some((row, cum)) = lane.root_at(self, rank)? else {
                break;
            };
            let oldest = end - cum;
            let newest = oldest - i64::from(row.root.totals.total());
            collector.skip = u64::try_from(position - newest).unwrap_or(0);
            let (id, created) = (row.root.id, row.root.created_at);
            collector.take(&self.stored(row.no, id, created, row.root.totals))?;
            position = oldest;
        }
        Ok(total)
    }

    /// The leaves of some statuses: walks blocks of roots by their counts.
    fn by_counts(self, query: &RootQuery, collector: &mut Collector) -> Result<u64, Error> {
        if collector.statuses.has_final() {
            return by_counts::collect(self, query, collector);
        }
        let mut total = 0;
        let folds = self.active.folds().rev();
        for fold in folds.filter(|it| task::matches(query, &it.root)) {
            total += collector.statuses.count(&fold.root.totals);
            collector.take(&Leaves::Active(fold))?;
        }
        Ok(total)
    }
}
