//! Recomputing what derives from the journals.
//!
//! Owns the rebuild of a root from its journal, for a start after whatever happened, and the
//! comparison of everything stored with such a rebuild. Never repairs.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::batch::Batch;
use super::segment;
use super::task::{self, RootRow};
use crate::Error;
use crate::fold::{Fold, Slot};
use crate::journal::Block;

/// The unfinished roots, from their journals, oldest first.
pub(super) fn rebuild_unfinished(tx: &Connection) -> Result<Vec<Fold>, Error> {
    let rows = task::rows(tx, "WHERE ended_ms IS NULL ORDER BY no", &[])?;
    rows.into_iter().map(|row| rebuild(tx, row)).collect()
}

fn rebuild(tx: &Connection, row: RootRow) -> Result<Fold, Error> {
    let hosts = segment::read_hosts(tx, row.no, 1, row.root.totals.total())?;
    let mut fold = Fold::new(row.no, row.root, hosts);
    let mut select =
        tx.prepare_cached("SELECT block, data FROM journal WHERE root_no = ? ORDER BY block")?;
    let mut blocks = select.query([fold.no])?;
    while let Some(found) = blocks.next()? {
        let number: u32 = found.get(0)?;
        let data = found.get_ref(1)?.as_blob().unwrap_or_default();
        let block = Block::open(data)?;
        fold.replay(number, &block.records()?)?;
    }
    Ok(fold)
}

/// Compares what is in the file with its journals: one line per difference.
pub(super) fn file(tx: &Connection) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let mut check = tx.prepare("PRAGMA quick_check")?;
    for line in check.query_map([], |row| row.get::<_, String>(0))? {
        lines.push(line?);
    }
    lines.retain(|it| it != "ok");
    let mut select = tx.prepare("SELECT no FROM root ORDER BY no")?;
    let numbers = select.query_map([], |row| row.get::<_, i64>(0))?;
    let mut lanes = Lanes::default();
    for no in numbers {
        let no = no?;
        collect(&mut lines, no, lanes.check(tx, no))?;
        collect(&mut lines, no, root(tx, no))?;
    }
    let orphans: i64 = tx.query_row(
        "SELECT count(*) FROM journal WHERE root_no NOT IN (SELECT no FROM root)",
        [],
        |row| row.get(0),
    )?;
    if orphans > 0 {
        lines.push(format!("{orphans} journal blocks belong to no root"));
    }
    Ok(lines)
}

/// Compares the memory of an unfinished root with its journal and its row. Runs as a command, when
/// memory and file are of one moment.
pub(super) fn memory(batch: &Batch<'_>, no: i64) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    if let Some(fold) = batch.active.get(no) {
        collect(&mut lines, no, active(batch.tx, fold))?;
    }
    Ok(lines)
}

/// Damage is a line here; other errors stay errors.
fn collect(
    lines: &mut Vec<String>,
    no: i64,
    result: Result<Vec<String>, Error>,
) -> Result<(), Error> {
    let found = match result {
        Err(Error::Corrupt(text)) => vec![text],
        other => other?,
    };
    lines.extend(
        found
            .into_iter()
            .map(|it| format!("root number {no}: {it}")),
    );
    Ok(())
}

fn root(tx: &Connection, no: i64) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let Some(row) = task::rows(tx, "WHERE no = ?", &[no.into()])?.pop() else {
        return Ok(lines);
    };
    let (stored, has_ended) = (row.root.totals, row.root.ended_at.is_some());
    let fold = rebuild(tx, row)?;
    let totals = fold.root.totals;
    if totals.ended() + totals.unfinished() != stored.total() {
        lines.push(format!(
            "the leaves by status are not {} together: {totals:?}",
            stored.total()
        ));
    }
    if (stored.success, stored.fail, stored.timeout)
        != (totals.success, totals.fail, totals.timeout)
    {
        lines.push(format!("the row counts {stored:?}, the journal {totals:?}"));
    }
    if has_ended != (totals.unfinished() == 0) {
        lines.push(format!(
            "marked as ended: {has_ended}, unfinished leaves: {}",
            totals.unfinished()
        ));
    }
    if has_ended {
        let states = segment::read_states(tx, no, 1, stored.total())?;
        lines.extend(differences(fold.slots(), &states));
        let counts = segment::read_counts(tx, no, stored.total())?;
        if counts != fold.counts() {
            lines.push("the counts per block differ from the journal".into());
        }
    }
    Ok(lines)
}

fn active(tx: &Connection, fold: &Fold) -> Result<Vec<String>, Error> {
    let Some(row) = task::rows(tx, "WHERE no = ?", &[fold.no.into()])?.pop() else {
        return Ok(vec!["in memory and not in the file".into()]);
    };
    let mut lines = Vec::new();
    if row.root.cancelled_at != fold.root.cancelled_at {
        lines.push("the memory and the file differ about its cancellation".into());
    }
    let rebuilt = rebuild(tx, row)?;
    if rebuilt.hosts() != fold.hosts() {
        lines.push("the memory has other hosts than the file".into());
    }
    let settled =
        |fold: &Fold| -> Vec<Slot> { fold.slots().iter().map(|it| it.settled()).collect() };
    lines.extend(differences(&settled(&rebuilt), &settled(fold)));
    if !segment::counts_of(fold.slots()).eq(fold.counts().iter().copied()) {
        lines.push("the counts per block in memory differ from its leaves".into());
    }
    Ok(lines)
}

fn differences(journal: &[Slot], stored: &[Slot]) -> Option<String> {
    let numbered = (1_u32..).zip(journal.iter().zip(stored));
    let mut different = numbered.filter(|(_, (a, b))| a != b).map(|it| it.0);
    let first = different.next()?;
    Some(format!(
        "{} leaves are not as the journal tells, the first is {first}",
        different.count() + 1
    ))
}

/// Where each type, and each type and source, has come to.
#[derive(Default)]
struct Lanes {
    types: HashMap<i64, (i64, i64)>,
    sources: HashMap<(i64, String), (i64, i64)>,
    created: i64,
}

impl Lanes {
    fn check(&mut self, tx: &Connection, no: i64) -> Result<Vec<String>, Error> {
        let mut lines = Vec::new();
        let mut select = tx.prepare_cached(
            "SELECT type, source, created_ms, total, rank_type, cum_type, rank_source, cum_source
             FROM root WHERE no = ?",
        )?;
        let mut rows = select.query(params![no])?;
        let Some(row) = rows.next()? else {
            return Ok(lines);
        };
        let (kind, source): (i64, String) = (row.get(0)?, row.get(1)?);
        let (created, total): (i64, i64) = (row.get(2)?, row.get(3)?);
        if created < self.created {
            lines.push("it starts before the root before it".into());
        }
        self.created = self.created.max(created);
        let of_type = self.types.entry(kind).or_default();
        let of_source = self.sources.entry((kind, source)).or_default();
        for (name, expected, at) in [("type", of_type, 4), ("source", of_source, 6)] {
            let stored: (i64, i64) = (row.get(at)?, row.get(at + 1)?);
            if stored != *expected {
                lines.push(format!(
                    "rank and leaves before it by {name} are {stored:?}, not {expected:?}"
                ));
            }
            *expected = (expected.0 + 1, expected.1 + total);
        }
        Ok(lines)
    }
}
