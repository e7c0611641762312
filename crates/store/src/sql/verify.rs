//! Recomputing what derives from the journals.
//!
//! Owns the rebuild of a root from its journal, for a start after whatever happened, and the
//! comparison of everything stored with such a rebuild. Never repairs.

use std::collections::{BTreeSet, HashMap};

use model::{Event, RootId, Status, Totals};

use super::answer::Answers;
use super::batch::Batch;
use super::db::{Db, params};
use super::task::{self, RootRow};
use super::{audit, outcome, rank_count, retention, segment, snapshot};
use crate::Error;
use crate::fold::{Fold, Slot};
use crate::journal::{self, Block};
use crate::outcome::Outcome;

/// Journal blocks that are read at once: a few MB.
const BLOCKS_AT_ONCE: u32 = 256;

/// The unfinished roots, from their journals, oldest first; then the numbers of those that do not
/// read, each of which is logged.
pub(super) fn rebuild_unfinished(tx: &dyn Db) -> Result<(Vec<Fold>, BTreeSet<i64>), Error> {
    let sql = "SELECT no FROM root WHERE ended_ms IS NULL ORDER BY no";
    let numbers: Vec<i64> = tx.rows(sql, &[], |row| row.get(0))?;
    let (mut folds, mut damaged) = (Vec::new(), BTreeSet::new());
    for no in numbers {
        let mut id = None;
        match rebuild_running(tx, no, &mut id) {
            Ok(fold) => folds.push(fold),
            Err(Error::Corrupt(text)) => {
                let id = id.map_or_else(|| "unknown".into(), |it| it.to_string());
                tracing::error!(
                    root.id = id,
                    root.no = no,
                    "a running root is set aside, its stored data is damaged: {text}"
                );
                damaged.insert(no);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((folds, damaged))
}

fn rebuild_running(tx: &dyn Db, no: i64, id: &mut Option<RootId>) -> Result<Fold, Error> {
    let row = row(tx, no)?;
    *id = Some(row.root.id);
    let fold = rebuild(tx, row)?;
    if fold.root.ended_at.is_some() {
        return Err(Error::Corrupt("all of its leaves have ended".into()));
    }
    Ok(fold)
}

fn row(tx: &dyn Db, no: i64) -> Result<RootRow, Error> {
    let found = task::rows(tx, "WHERE no = ?", params![no])?.pop();
    found.ok_or_else(|| Error::Corrupt("its row does not read".into()))
}

/// A root as its journal alone tells it.
fn rebuild(tx: &dyn Db, row: RootRow) -> Result<Fold, Error> {
    let RootRow {
        no,
        blocks,
        mut root,
        ..
    } = row;
    let total = root.totals.total();
    segment::check_lengths(tx, no, total, root.ended_at.is_some())?;
    let hosts = segment::read_hosts(tx, no, 1, total)?;
    if !hosts.is_sorted_by(|a, b| a < b) {
        return Err(Error::Corrupt("its hosts do not ascend".into()));
    }
    root.cancelled_at = None;
    root.ended_at = hosts.is_empty().then_some(root.created_at);
    let mut fold = Fold::new(no, root, hosts);
    let mut last = 0;
    loop {
        let mut read = 0;
        tx.query(
            "SELECT block, data FROM journal WHERE root_no = ? AND block > ? ORDER BY block LIMIT ?",
            params![no, last, BLOCKS_AT_ONCE],
            &mut |row| {
                read += 1;
                last = row.get(0)?;
                replay(&mut fold, last, &Block::open(row.get(1)?)?)
            },
        )?;
        if read < BLOCKS_AT_ONCE {
            break;
        }
    }
    if fold.blocks == blocks {
        Ok(fold)
    } else {
        Err(Error::Corrupt(format!(
            "its journal has {} blocks of {blocks}",
            fold.blocks
        )))
    }
}

fn replay(fold: &mut Fold, number: u32, block: &Block) -> Result<(), Error> {
    let expected = fold.blocks.saturating_add(1);
    if block.first != expected || block.last < expected {
        return Err(Error::Corrupt(format!(
            "block {expected} of its journal is missing"
        )));
    }
    fold.blocks = block.last;
    fold.replay(number, &block.records()?)
}

/// Compares what is in the file with its journals: one line per difference.
pub(crate) fn file(tx: &dyn Db) -> Result<Vec<String>, Error> {
    let mut lines = tx.check()?;
    let floor = retention::floor(tx)?;
    let numbers: Vec<i64> = tx.rows("SELECT no FROM root ORDER BY no", &[], |row| row.get(0))?;
    let mut lanes = Lanes {
        is_cut: floor > 1,
        ..Lanes::default()
    };
    let mut expected = floor;
    for no in numbers {
        if no < expected {
            lines.push(format!("root number {no}: it was dropped and is there"));
        } else if no > expected {
            lines.push(format!("root numbers {expected} to {} are gone", no - 1));
        }
        expected = expected.max(no + 1);
        collect(&mut lines, no, lanes.check(tx, no))?;
        collect(&mut lines, no, root(tx, no))?;
    }
    lines.extend(rank_count::check(tx)?);
    lines.extend(snapshot::check(tx)?);
    lines.extend(audit::verify(tx)?);
    let orphans = tx.number(
        "SELECT count(*) FROM journal WHERE root_no >= ? AND root_no NOT IN (SELECT no FROM root)",
        params![floor],
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

fn root(tx: &dyn Db, no: i64) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let row = row(tx, no)?;
    let stored = row.root.clone();
    if row.is_to_pack && stored.ended_at.is_none() {
        lines.push("it is to be packed and has not ended".into());
    }
    let fold = rebuild(tx, row)?;
    let (totals, journal) = (stored.totals, &fold.root);
    if journal.totals.total() != totals.total() {
        lines.push(format!(
            "the leaves by status are not {} together: {:?}",
            totals.total(),
            journal.totals
        ));
    }
    let ended = |it: Totals| (it.success, it.fail, it.timeout);
    if ended(totals) != ended(journal.totals) {
        lines.push(format!(
            "the row counts {totals:?}, the journal {:?}",
            journal.totals
        ));
    }
    for (what, stored, journal) in [
        ("ended", stored.ended_at, journal.ended_at),
        ("was cancelled", stored.cancelled_at, journal.cancelled_at),
    ] {
        if stored != journal {
            lines.push(format!(
                "the row says that it {what} at {stored:?}, the journal {journal:?}"
            ));
        }
    }
    let mut slots: Vec<Slot> = fold.slots().collect();
    if stored.ended_at.is_some() {
        let states = segment::read_states(tx, no, 1, totals.total())?;
        lines.extend(differences(&slots, &states));
        slots = states;
        if segment::read_counts(tx, no, totals.total())? != fold.counts() {
            lines.push("the counts per block differ from the journal".into());
        }
        if outcome::read(tx, fold.no)? != fold.outcomes.all() {
            lines.push("the outcomes differ from the journal".into());
        }
    }
    lines.extend(miscounted(fold.outcomes.all(), &slots));
    lines.extend(misplaced(tx, &slots)?);
    Ok(lines)
}

/// Whether each outcome is counted as often as leaves refer to it: so all of them together count the
/// leaves that have ended.
fn miscounted(outcomes: &[Outcome], slots: &[Slot]) -> Option<String> {
    let mut left: HashMap<u16, (Option<Status>, u32)> = (1..)
        .zip(outcomes)
        .map(|(place, it)| (place, (it.id.status(), it.count)))
        .collect();
    let mut wrong = 0;
    for slot in slots.iter().filter(|it| it.status.is_final()) {
        match left.get_mut(&{ slot.outcome }) {
            Some((Some(status), count)) if *status == slot.status && *count > 0 => *count -= 1,
            _ => wrong += 1,
        }
    }
    let rest: u32 = left.values().map(|it| it.1).sum();
    let unfinished = slots.iter().filter(|it| !it.status.is_final());
    wrong += unfinished.filter(|it| { it.outcome } != 0).count();
    (wrong > 0 || rest > 0).then(|| {
        format!("{wrong} leaves are in no outcome and {rest} are counted that are not there")
    })
}

/// The leaves whose answers are not where they should be.
fn misplaced(tx: &dyn Db, slots: &[Slot]) -> Result<Option<String>, Error> {
    let placed = (1_u32..).zip(slots);
    let mut placed: Vec<_> = placed
        .filter_map(|(no, it)| Some((it.place()?, no)))
        .collect();
    placed.sort_unstable_by_key(|(place, _)| (place.block, place.index));
    let mut answers = Answers::new(tx);
    let (mut count, mut first) = (0, None);
    for (place, number) in placed {
        match answers.read(place, number) {
            Ok(_) => {}
            Err(Error::Corrupt(text)) => {
                count += 1;
                first.get_or_insert(text);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(first.map(|it| format!("{count} answers are not where they should be: {it}")))
}

fn active(tx: &dyn Db, fold: &Fold) -> Result<Vec<String>, Error> {
    let row = row(tx, fold.no)?;
    let mut lines = Vec::new();
    if row.root.cancelled_at != fold.root.cancelled_at {
        lines.push("the memory and the file differ about its cancellation".into());
    }
    let rebuilt = rebuild(tx, row)?;
    if rebuilt.hosts() != fold.hosts() {
        lines.push("the memory has other hosts than the file".into());
    }
    let is_forgotten = !journal::is_kept(Event::Taken, fold.root.task_type);
    let settled = |it: Slot| if is_forgotten { it.settled() } else { it };
    let of_journal: Vec<Slot> = rebuilt.slots().map(settled).collect();
    let of_memory: Vec<Slot> = fold.slots().map(settled).collect();
    lines.extend(differences(&of_journal, &of_memory));
    if rebuilt.blocks != fold.blocks {
        lines.push("the memory has another number of journal blocks than the file".into());
    }
    let slots: Vec<Slot> = fold.slots().collect();
    if !segment::counts_of(&slots).eq(fold.counts().iter().copied()) {
        lines.push("the counts per block in memory differ from its leaves".into());
    }
    if rebuilt.outcomes != fold.outcomes {
        lines.push("the outcomes in memory differ from the journal".into());
    }
    lines.extend(miscounted(fold.outcomes.all(), &slots));
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

/// What a root's row says of its place in its lanes.
struct Position {
    kind: i64,
    source: String,
    created: i64,
    total: i64,
    by_type: (i64, i64),
    by_source: (i64, i64),
}

/// Where each type, and each type and source, has come to.
#[derive(Default)]
struct Lanes {
    /// Whether older roots were dropped: then the first of a lane may stand anywhere.
    is_cut: bool,
    types: HashMap<i64, (i64, i64)>,
    sources: HashMap<(i64, String), (i64, i64)>,
    created: i64,
}

impl Lanes {
    fn check(&mut self, tx: &dyn Db, no: i64) -> Result<Vec<String>, Error> {
        let found = tx.row(
            "SELECT type, source, created_ms, total, rank_type, cum_type, rank_source, cum_source
             FROM root WHERE no = ?",
            params![no],
            |row| {
                Ok(Position {
                    kind: row.get(0)?,
                    source: row.get(1)?,
                    created: row.get(2)?,
                    total: row.get(3)?,
                    by_type: (row.get(4)?, row.get(5)?),
                    by_source: (row.get(6)?, row.get(7)?),
                })
            },
        )?;
        Ok(found.map(|it| self.compare(it)).unwrap_or_default())
    }

    fn compare(&mut self, root: Position) -> Vec<String> {
        let mut lines = Vec::new();
        let Position {
            kind,
            source,
            created,
            total,
            by_type,
            by_source,
        } = root;
        if created < self.created {
            lines.push("it starts before the root before it".into());
        }
        self.created = self.created.max(created);
        let first = |it: (i64, i64)| match self.is_cut {
            true => (it.0.max(0), it.1.max(0)),
            false => (0, 0),
        };
        let of_type = self.types.entry(kind).or_insert_with(|| first(by_type));
        let of_source = self.sources.entry((kind, source));
        let of_source = of_source.or_insert_with(|| first(by_source));
        for (name, expected, stored) in
            [("type", of_type, by_type), ("source", of_source, by_source)]
        {
            if stored != *expected {
                lines.push(format!(
                    "rank and leaves before it by {name} are {stored:?}, not {expected:?}"
                ));
            }
            *expected = (expected.0 + 1, expected.1 + total);
        }
        lines
    }
}
