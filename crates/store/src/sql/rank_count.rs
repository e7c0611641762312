//! Counts of finished roots per block of ranks.
//!
//! Owns the tables `type_count` and `source_count`: for each type, and each type and source, how the
//! leaves of its finished roots ended, summed over blocks of 32, 1,024, 32,768 and 1,048,576 roots
//! that were created one after the other. A span of ranks is cut into whole blocks, as large as they
//! fit, so a page that asks for statuses reads a few rows per level, however many roots the span has
//! and however they lie in time. Changed where a root ends and where it is dropped, in that same
//! transaction. What is unfinished is not in here: it is counted from memory.

use std::collections::{BTreeMap, BTreeSet};

use super::db::{Db, Row, Value};
use super::task::{Lane, View};
use crate::Error;

/// A block has this many bits fewer in its number than what is in it: 32 of them.
const LEVEL_BITS: u32 = 5;
/// The level of the largest blocks. Level 0 are the roots themselves and is not stored.
pub(super) const LEVEL_MAX: u32 = 4;

/// How the leaves of finished roots ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) success: i64,
    pub(super) fail: i64,
    pub(super) timeout: i64,
}

impl Ended {
    /// Reads the three counts from column `at` on.
    fn read(row: Row<'_>, at: usize) -> Result<Self, Error> {
        Ok(Self {
            success: row.get(at)?,
            fail: row.get(at + 1)?,
            timeout: row.get(at + 2)?,
        })
    }

    fn add(&mut self, other: Self, sign: i64) {
        self.success += other.success * sign;
        self.fail += other.fail * sign;
        self.timeout += other.timeout * sign;
    }
}

/// A span of ranks that is some whole blocks of one level, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) level: u32,
    /// Numbers of its blocks; ranks at level 0. Both ends belong to it.
    pub(super) first: i64,
    pub(super) last: i64,
}

/// The block of this level that this rank is in.
pub(super) const fn block_of(level: u32, rank: i64) -> i64 {
    rank >> (level * LEVEL_BITS)
}

/// The ranks of a block: the first and the last.
pub(super) const fn ranks_of(level: u32, block: i64) -> (i64, i64) {
    let bits = level * LEVEL_BITS;
    (block << bits, ((block + 1) << bits) - 1)
}

/// Cuts the ranks `first` to `last` into runs of blocks of up to level `top`, newest first.
pub(super) fn runs(first: i64, last: i64, top: u32) -> Vec<Run> {
    let (mut newer, mut older) = (Vec::new(), Vec::new());
    let (mut first, mut last) = (first, last);
    for level in 0..=top {
        // What does not fill a block of the next level stands at either end; the rest goes up.
        let size = 1_i64 << LEVEL_BITS;
        let (low, high) = ((first + size - 1) / size, (last + 1) / size);
        if level == top || low >= high {
            if first <= last {
                newer.push(Run { level, first, last });
            }
            break;
        }
        let (inner_first, inner_end) = (low * size, high * size);
        if inner_end <= last {
            newer.push(Run {
                level,
                first: inner_end,
                last,
            });
        }
        if first < inner_first {
            older.push(Run {
                level,
                first,
                last: inner_first - 1,
            });
        }
        (first, last) = (low, high - 1);
    }
    newer.extend(older.into_iter().rev());
    newer
}

/// The stored counts of a run's blocks; a block without any is left out.
pub(super) fn read(
    view: View<'_>,
    lane: &Lane<'_>,
    run: Run,
) -> Result<BTreeMap<i64, Ended>, Error> {
    let sql = format!(
        "SELECT block, success, fail, timeout FROM {} WHERE {} AND level = ? AND block BETWEEN ? AND ?",
        lane.counts, lane.filter
    );
    let params = lane.params(&[run.level.into(), run.first, run.last]);
    let found = view.tx.rows(&sql, &params, |row| {
        Ok((row.get::<i64>(0)?, Ended::read(row, 1)?))
    })?;
    Ok(found.into_iter().collect())
}

/// A block's place in its table: table, type, source if the table has one, level, number.
type Key = (&'static str, i64, Option<String>, u32, i64);

/// Counts per block, of roots that come or go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts(BTreeMap<Key, Ended>);

impl Counts {
    /// Counts the finished roots that match `filter`, which is SQL after WHERE.
    pub(super) fn of_rows(tx: &dyn Db, filter: &str, params: &[Value<'_>]) -> Result<Self, Error> {
        let sql = format!(
            "SELECT type, source, rank_type, rank_source, success, fail, timeout FROM root
             WHERE ended_ms IS NOT NULL AND {filter}"
        );
        let mut counts = Self::default();
        tx.query(&sql, params, &mut |row| {
            let (kind, source): (i64, String) = (row.get(0)?, row.get(1)?);
            let (by_type, by_source): (i64, i64) = (row.get(2)?, row.get(3)?);
            let ended = Ended::read(row, 4)?;
            for level in 1..=LEVEL_MAX {
                let of_type = ("type_count", kind, None, level, block_of(level, by_type));
                let block = block_of(level, by_source);
                let of_source = ("source_count", kind, Some(source.clone()), level, block);
                counts.0.entry(of_type).or_default().add(ended, 1);
                counts.0.entry(of_source).or_default().add(ended, 1);
            }
            Ok(())
        })?;
        counts.0.retain(|_, it| *it != Ended::default());
        Ok(counts)
    }

    /// All that is stored.
    fn stored(tx: &dyn Db) -> Result<Self, Error> {
        let mut counts = Self::default();
        for (table, source) in [("type_count", "NULL"), ("source_count", "source")] {
            let sql =
                format!("SELECT type, {source}, level, block, success, fail, timeout FROM {table}");
            tx.query(&sql, &[], &mut |row| {
                let key = (table, row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                counts.0.insert(key, Ended::read(row, 4)?);
                Ok(())
            })?;
        }
        Ok(counts)
    }

    /// Adds these counts to what is stored.
    pub(super) fn add(&self, tx: &dyn Db) -> Result<(), Error> {
        for (key, ended) in &self.0 {
            let (table, names) = (key.0, names(key));
            let places = match key.2 {
                Some(_) => "?, ?, ?, ?",
                None => "?, ?, ?",
            };
            let sql = format!(
                "INSERT INTO {table} ({names}, success, fail, timeout)
                 VALUES ({places}, ?, ?, ?) ON CONFLICT ({names}) DO UPDATE SET
                   success = {table}.success + excluded.success,
                   fail = {table}.fail + excluded.fail,
                   timeout = {table}.timeout + excluded.timeout"
            );
            let mut params = values(key);
            params.extend([ended.success, ended.fail, ended.timeout].map(Value::from));
            tx.execute(&sql, &params)?;
        }
        Ok(())
    }

    /// Takes these counts from what is stored; a block that counts nothing any more goes.
    pub(super) fn subtract(&self, tx: &dyn Db) -> Result<(), Error> {
        let mut negative = Self::default();
        for (key, ended) in &self.0 {
            let sum = negative.0.entry(key.clone()).or_default();
            sum.add(*ended, -1);
        }
        negative.add(tx)?;
        for key in self.0.keys() {
            let filter = names(key).replace(", ", " = ? AND ");
            let sql = format!(
                "DELETE FROM {} WHERE {filter} = ? AND success = 0 AND fail = 0 AND timeout = 0",
                key.0
            );
            tx.execute(&sql, &values(key))?;
        }
        Ok(())
    }
}

/// The columns of a block's key.
const fn names(key: &Key) -> &'static str {
    match key.2 {
        Some(_) => "type, source, level, block",
        None => "type, level, block",
    }
}

/// What is in them.
fn values((_, kind, source, level, block): &Key) -> Vec<Value<'_>> {
    let source = source.as_ref().map(Value::from);
    let kind = std::iter::once(Value::from(*kind));
    let place = [Value::from(*level), Value::from(*block)];
    kind.chain(source).chain(place).collect()
}

/// Compares what is stored with the rows of the roots: one line per block that differs.
pub(super) fn check(tx: &dyn Db) -> Result<Vec<String>, Error> {
    let stored = Counts::stored(tx)?;
    let expected = Counts::of_rows(tx, "no > 0", &[])?;
    let keys: BTreeSet<_> = stored.0.keys().chain(expected.0.keys()).collect();
    let differs = keys
        .into_iter()
        .filter(|it| stored.0.get(it) != expected.0.get(it));
    let lines = differs.map(|key| {
        let (table, kind, _, level, block) = key;
        format!(
            "{table} of type {kind}, level {level}, block {block} counts {:?}, its roots {:?}",
            stored.0.get(key).copied().unwrap_or_default(),
            expected.0.get(key).copied().unwrap_or_default()
        )
    });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_each_rank_once_newest_first() {
        for (first, last) in [
            (0, 0),
            (0, 31),
            (1, 31),
            (31, 32),
            (5, 3_000),
            (1_024, 2_047),
            (0, 40_000),
            (33, 70_001),
        ] {
            let found = runs(first, last, LEVEL_MAX);
            let mut next = last;
            for run in &found {
                let newest = ranks_of(run.level, run.last).1;
                assert_eq!(newest, next, "{first} to {last}: {found:?}");
                next = ranks_of(run.level, run.first).0 - 1;
            }
            assert_eq!(next, first - 1, "{first} to {last}: {found:?}");
            let blocks: i64 = found.iter().map(|it| it.last - it.first + 1).sum();
            assert!(blocks <= 64 * i64::from(LEVEL_MAX), "{found:?}");
        }
    }

    #[test]
    fn one_level_up_a_block_is_cut_into_its_parts() {
        let (first, last) = ranks_of(2, 7);
        assert_eq!(
            runs(first, last, 1),
            [Run {
                level: 1,
                first: 7 * 32,
                last: 7 * 32 + 31
            }]
        );
    }
}
