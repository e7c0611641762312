//! Pages of leaves of some statuses across roots.
//!
//! Owns the walk from large blocks of ranks to small ones to roots: what the page passes over is
//! passed over by its count, and only what the page touches is opened. The stored counts are of
//! finished roots; unfinished ones are added from memory.

use std::collections::BTreeMap;

use super::super::rank_count::{self, Ended, Run};
use super::super::task::{self, Lane, View};
use super::{Collector, Statuses};
use crate::{Error, RootQuery};

/// See [`View::by_counts`]. Returns how many leaves match.
pub(super) fn collect<'a>(
    view: View<'a>,
    query: &'a RootQuery,
    collector: &mut Collector,
) -> Result<u64, Error> {
    let lane = Lane::new(query);
    let Some((first, last)) = lane.edges(view)? else {
        return Ok(0);
    };
    let walk = Walk {
        view,
        unstored: unstored(view, &lane, query, collector.statuses)?,
        lane,
    };
    let ranks = (first.rank, last.rank);
    let total = walk.span(ranks, rank_count::LEVEL_MAX, collector)?;
    Ok(u64::try_from(total).unwrap_or(0))
}

struct Walk<'a> {
    view: View<'a>,
    lane: Lane<'a>,
    /// Matching leaves that the stored counts lack, or if negative have beyond this moment, by the
    /// rank of their root.
    unstored: BTreeMap<i64, i64>,
}

impl Walk<'_> {
    /// Collects from these ranks by blocks of up to level `top`; returns how many leaves match.
    fn span(&self, ranks: (i64, i64), top: u32, collector: &mut Collector) -> Result<i64, Error> {
        let mut total = 0;
        for run in rank_count::runs(ranks.0, ranks.1, top) {
            total += match run.level.checked_sub(1) {
                None => self.roots((run.first, run.last), collector)?,
                Some(below) => self.blocks(run, below, collector)?,
            };
        }
        Ok(total)
    }

    fn roots(&self, ranks: (i64, i64), collector: &mut Collector) -> Result<i64, Error> {
        let mut total = 0;
        self.lane
            .walk(self.view, ranks, |no, id, created, totals| {
                let leaves = self.view.stored(no, id, created, totals);
                total += signed(collector.statuses.count(&leaves.totals()));
                collector.take(&leaves)
            })?;
        Ok(total)
    }

    fn blocks(&self, run: Run, below: u32, collector: &mut Collector) -> Result<i64, Error> {
        let statuses = collector.statuses;
        let stored = rank_count::read(self.view, &self.lane, run)?;
        let mut counts: BTreeMap<i64, i64> = stored
            .into_iter()
            .map(|(block, ended)| (block, statuses.count_ended(ended)))
            .collect();
        let oldest = rank_count::ranks_of(run.level, run.first).0;
        let newest = rank_count::ranks_of(run.level, run.last).1;
        for (rank, count) in self.unstored.range(oldest..=newest) {
            *counts
                .entry(rank_count::block_of(run.level, *rank))
                .or_default() += count;
        }
        for (block, count) in counts.iter().rev() {
            if collector.is_done() {
                break;
            }
            let count = u64::try_from(*count).unwrap_or(0);
            if collector.skip >= count {
                collector.skip -= count;
            } else {
                self.span(rank_count::ranks_of(run.level, *block), below, collector)?;
            }
        }
        Ok(counts.values().sum())
    }
}

/// What the memory knows of matching leaves beyond the stored counts; see [`Walk::unstored`].
fn unstored(
    view: View<'_>,
    lane: &Lane<'_>,
    query: &RootQuery,
    statuses: Statuses,
) -> Result<BTreeMap<i64, i64>, Error> {
    let folds = view.active.folds();
    let running = folds.filter(|it| task::matches(query, &it.root));
    let damaged = view.active.damaged();
    let numbers = running.map(|it| it.no).chain(damaged);
    let mut counts = BTreeMap::new();
    for no in numbers {
        let Some((rank, row)) = lane.rank_of(view, no)? else {
            continue;
        };
        let stored = signed(statuses.count(&row.totals));
        let current = match view.active.get(no) {
            Some(fold) => signed(statuses.count(&fold.root.totals)),
            None => stored,
        };
        // The file may be ahead of the memory and count the root as finished.
        let counted = if row.ended_at.is_some() { stored } else { 0 };
        counts.insert(rank, current - counted);
    }
    Ok(counts)
}

impl Statuses {
    fn count_ended(self, ended: Ended) -> i64 {
        use model::Status::{Fail, Success, Timeout};
        let counts = [
            (Success, ended.success),
            (Fail, ended.fail),
            (Timeout, ended.timeout),
        ];
        let wanted = counts.into_iter().filter(|it| self.has(it.0));
        wanted.map(|it| it.1).sum()
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
