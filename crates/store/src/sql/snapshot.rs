//! The lists of what is on a host.
//!
//! Owns their table: one row per host and item, written in the commit of the result that they came
//! with, so that a list is there if and only if its result is. Never looks into a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{AssetItem, LeafId, RootId, UnixMillis, limits};

use super::db::{Db, Row, Value, params};
use crate::{Error, HostNo, LeafAnswer, Snapshot, journal};

/// A host's number is shifted by this in the number of a list: room for 16 items.
const ITEM_BITS: u32 = 4;
/// Lists that are read at once when all are.
const ROWS_AT_ONCE: u32 = 64;

/// The lists of one commit, by their numbers: of those of the same host and item the last.
#[derive(Default)]
pub(super) struct Snapshots(BTreeMap<i64, New>);

struct New {
    leaf: LeafId,
    at: UnixMillis,
    packed: Arc<[u8]>,
}

impl Snapshots {
    /// Keeps the lists of an answer.
    pub(super) fn add(&mut self, host: HostNo, leaf: LeafId, at: UnixMillis, answer: &LeafAnswer) {
        for new in &answer.snapshots {
            let packed = Arc::clone(&new.packed);
            self.0
                .insert(number(host, new.item), New { leaf, at, packed });
        }
    }

    /// Writes down those of hosts that are there.
    pub(super) fn write(
        &self,
        tx: &dyn Db,
        is_there: impl Fn(HostNo) -> bool,
    ) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let there: Vec<_> = self
            .0
            .iter()
            .filter(|it| is_there(host_of(*it.0)))
            .collect();
        let count = i64::try_from(there.len()).unwrap_or(i64::MAX);
        let last = tx.number(
            "UPDATE snapshot_clock SET last_change = last_change + ? RETURNING last_change",
            params![count],
        )?;
        let values: Vec<_> = (last - count + 1..)
            .zip(there)
            .flat_map(|(change, (number, it))| {
                [
                    Value::from(*number),
                    it.leaf.root.as_bytes().into(),
                    it.leaf.number.into(),
                    it.at.0.into(),
                    change.into(),
                    Value::Blob(&it.packed),
                ]
            })
            .collect();
        let columns = ["snapshot", "root_id", "leaf", "taken_ms", "change", "data"];
        tx.put_many("snapshot", &columns, &values)
    }
}

fn number(host: HostNo, item: AssetItem) -> i64 {
    let place = AssetItem::ALL.iter().position(|it| *it == item);
    let place = place.and_then(|it| i64::try_from(it).ok());
    (host.0 << ITEM_BITS) | place.unwrap_or_default()
}

fn host_of(number: i64) -> HostNo {
    HostNo(number >> ITEM_BITS)
}

fn snapshot_of(row: Row<'_>) -> Result<Snapshot, Error> {
    let number: i64 = row.get(0)?;
    let corrupt = |what: &str| Error::Corrupt(format!("list {number} of a host: {what}"));
    let place = usize::try_from(number & ((1 << ITEM_BITS) - 1)).ok();
    let item = place.and_then(|it| AssetItem::ALL.get(it).copied());
    let root = RootId::from_bytes(row.get(1)?);
    let json = journal::unpack(row.get(5)?, limits::SNAPSHOT_BYTES_MAX);
    Ok(Snapshot {
        host: host_of(number),
        item: item.ok_or_else(|| corrupt("no such item"))?,
        leaf: root.leaf(row.get(2)?),
        taken_at: UnixMillis(row.get(3)?),
        change: row.get(4)?,
        json: json.map_err(|error| corrupt(&error.to_string()))?,
    })
}

const SELECT: &str = "SELECT snapshot, root_id, leaf, taken_ms, change, data FROM snapshot";

/// See [`crate::Store::snapshot_list`].
pub(super) fn list(
    tx: &dyn Db,
    hosts: &[HostNo],
    items: &[AssetItem],
) -> Result<Vec<Snapshot>, Error> {
    let sql = format!("{SELECT} WHERE snapshot = ?");
    let mut found = Vec::new();
    for host in hosts {
        for item in items {
            found.extend(tx.row(&sql, params![number(*host, *item)], snapshot_of)?);
        }
    }
    Ok(found)
}

/// See [`crate::Store::snapshot_changes`].
pub(super) fn changes(tx: &dyn Db, after: i64, rows_max: u32) -> Result<Vec<Snapshot>, Error> {
    let sql = format!("{SELECT} WHERE change > ? ORDER BY change LIMIT ?");
    tx.rows(&sql, params![after, rows_max], snapshot_of)
}

/// Deletes the lists of a host.
pub(super) fn delete(tx: &dyn Db, host: HostNo) -> Result<(), Error> {
    let (first, last) = (host.0 << ITEM_BITS, (host.0 + 1) << ITEM_BITS);
    let sql = "DELETE FROM snapshot WHERE snapshot >= ? AND snapshot < ?";
    tx.execute(sql, params![first, last])?;
    Ok(())
}

/// What is wrong with the lists: one line per kind.
pub(super) fn check(tx: &dyn Db) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let sql = format!("{SELECT} WHERE snapshot > ? ORDER BY snapshot LIMIT ?");
    let (mut last, mut damaged, mut first) = (-1_i64, 0, None);
    loop {
        let before = last;
        tx.query(&sql, params![last, ROWS_AT_ONCE], &mut |row| {
            last = row.get(0)?;
            if let Err(error) = snapshot_of(row) {
                damaged += 1;
                first.get_or_insert_with(|| error.to_string());
            }
            Ok(())
        })?;
        if last == before {
            break;
        }
    }
    lines.extend(first.map(|it| format!("{damaged} lists of hosts do not read: {it}")));
    let early = tx.number(
        "SELECT count(*) FROM snapshot WHERE change > (SELECT last_change FROM snapshot_clock)",
        &[],
    )?;
    if early > 0 {
        lines.push(format!(
            "{early} lists of hosts have numbers that were not given yet"
        ));
    }
    let orphans = tx.number(
        "SELECT count(*) FROM snapshot
         WHERE snapshot >> 4 NOT IN (SELECT no FROM host WHERE removed_ms IS NULL)",
        &[],
    )?;
    if orphans > 0 {
        lines.push(format!("{orphans} lists belong to no host"));
    }
    Ok(lines)
}
