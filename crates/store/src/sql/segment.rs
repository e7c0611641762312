//! Packed columns of a root's leaves: hosts, and after its end states and counts.
//!
//! Owns how they are cut into rows. Never decides what is in them.

use model::{Totals, limits};

use super::db::{Db, Value, params};
use crate::fold::Slot;
use crate::{Error, HostNo};

const HOST_BYTES: usize = 8;
/// A root's number is shifted by this in a segment's number: 4,096 segments of 256 leaves.
pub(super) const SEGMENT_BITS: u32 = 12;
/// Likewise in the number of a block of counts: 1,024 blocks of 1,024 leaves.
pub(super) const COUNT_BITS: u32 = 10;

/// Writes the hosts of a new root.
pub(super) fn write_hosts(tx: &dyn Db, root: i64, hosts: &[HostNo]) -> Result<(), Error> {
    let width = HOST_BYTES;
    write(tx, "host_segment", root, hosts, width, |host, out| {
        out.extend_from_slice(&host.0.to_le_bytes());
    })
}

/// Writes the leaves of a root that ends.
pub(super) fn write_states(tx: &dyn Db, root: i64, slots: &[Slot]) -> Result<(), Error> {
    let width = Slot::BYTES;
    write(tx, "state_segment", root, slots, width, |slot, out| {
        slot.encode(out);
    })
}

/// Writes the leaves from number `first` on again, of a root that has ended: those of one segment.
pub(super) fn rewrite_states(
    tx: &dyn Db,
    root: i64,
    first: u32,
    slots: &[Slot],
) -> Result<(), Error> {
    let mut data = Vec::with_capacity(slots.len().saturating_mul(Slot::BYTES));
    for slot in slots {
        slot.encode(&mut data);
    }
    tx.execute(
        "UPDATE state_segment SET data = ? WHERE segment = ?",
        params![&data, segment_of(root, first)],
    )?;
    Ok(())
}

/// The number of the segment with leaf `number`.
fn segment_of(root: i64, number: u32) -> i64 {
    (root << SEGMENT_BITS) | i64::from(number.saturating_sub(1) / limits::SEGMENT_LEAVES)
}

fn write<T: Copy>(
    tx: &dyn Db,
    table: &str,
    root: i64,
    items: &[T],
    width: usize,
    encode: impl Fn(T, &mut Vec<u8>),
) -> Result<(), Error> {
    let mut data = Vec::with_capacity(items.len().saturating_mul(width));
    for item in items {
        encode(*item, &mut data);
    }
    let segments = data.chunks(size(limits::SEGMENT_LEAVES).saturating_mul(width));
    let values: Vec<_> = (root << SEGMENT_BITS..)
        .zip(segments)
        .flat_map(|(segment, data)| [Value::from(segment), data.into()])
        .collect();
    tx.insert_many(table, &["segment", "data"], &values)
}

/// Writes the counts of a root that ends.
pub(super) fn write_counts(tx: &dyn Db, root: i64, slots: &[Slot]) -> Result<(), Error> {
    let values: Vec<_> = (root << COUNT_BITS..)
        .zip(counts_of(slots))
        .flat_map(|(block, it)| {
            [
                Value::from(block),
                it.success.into(),
                it.fail.into(),
                it.timeout.into(),
            ]
        })
        .collect();
    let columns = ["block", "success", "fail", "timeout"];
    tx.insert_many("count_block", &columns, &values)
}

/// Counts of each [`limits::COUNT_BLOCK_LEAVES`] of these leaves.
pub(super) fn counts_of(slots: &[Slot]) -> impl Iterator<Item = Totals> + '_ {
    slots.chunks(size(limits::COUNT_BLOCK_LEAVES)).map(|slots| {
        let mut counts = Totals::new(u32::try_from(slots.len()).unwrap_or(u32::MAX));
        for slot in slots {
            counts.moved(model::Status::Init, slot.status);
        }
        counts
    })
}

/// Hosts of leaves `first` to `last` (from 1, inclusive).
pub(super) fn read_hosts(
    tx: &dyn Db,
    root: i64,
    first: u32,
    last: u32,
) -> Result<Vec<HostNo>, Error> {
    let sql = "SELECT data FROM host_segment WHERE segment BETWEEN ? AND ? ORDER BY segment";
    read(tx, sql, root, (first, last), HOST_BYTES, |bytes| {
        Some(HostNo(i64::from_le_bytes(bytes.try_into().ok()?)))
    })
}

/// Finds out whether a root has exactly the rows and bytes of so many leaves: of hosts, and of states
/// if it `has_ended`.
///
/// # Errors
/// [`Error::Corrupt`] if not.
pub(super) fn check_lengths(
    tx: &dyn Db,
    root: i64,
    leaves: u32,
    has_ended: bool,
) -> Result<(), Error> {
    let first = root << SEGMENT_BITS;
    let last = first | ((1 << SEGMENT_BITS) - 1);
    let states = if has_ended { leaves } else { 0 };
    for (table, leaves, width) in [
        ("host_segment", leaves, HOST_BYTES),
        ("state_segment", states, Slot::BYTES),
    ] {
        let sql = format!(
            "SELECT count(*), coalesce(sum(length(data)), 0) FROM {table}
             WHERE segment BETWEEN ? AND ?"
        );
        let found = tx.row(&sql, params![first, last], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let found: (i64, i64) = found.unwrap_or_default();
        let expected = (
            i64::from(leaves.div_ceil(limits::SEGMENT_LEAVES)),
            i64::try_from(size(leaves).saturating_mul(width)).unwrap_or(i64::MAX),
        );
        if found != expected {
            return Err(Error::Corrupt(format!(
                "{table} has {found:?} rows and bytes of it, not {expected:?}"
            )));
        }
    }
    Ok(())
}

/// States of leaves `first` to `last` (from 1, inclusive) of a finished root.
pub(super) fn read_states(
    tx: &dyn Db,
    root: i64,
    first: u32,
    last: u32,
) -> Result<Vec<Slot>, Error> {
    let sql = "SELECT data FROM state_segment WHERE segment BETWEEN ? AND ? ORDER BY segment";
    read(tx, sql, root, (first, last), Slot::BYTES, Slot::decode)
}

fn read<T>(
    tx: &dyn Db,
    sql: &str,
    root: i64,
    (first, last): (u32, u32),
    width: usize,
    decode: impl Fn(&[u8]) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let damaged = || {
        Error::Corrupt(format!(
            "leaves {first} to {last} of root {root} do not read"
        ))
    };
    if first == 0 || last < first {
        return Ok(Vec::new());
    }
    let wanted = size(last - first + 1);
    let mut skipped = size((first - 1) % limits::SEGMENT_LEAVES);
    let mut items = Vec::with_capacity(wanted);
    let segments = params![segment_of(root, first), segment_of(root, last)];
    tx.query(sql, segments, &mut |row| {
        let data: &[u8] = row.get(0)?;
        for bytes in data
            .chunks(width)
            .skip(std::mem::take(&mut skipped))
            .take(wanted - items.len())
        {
            items.push(decode(bytes).ok_or_else(damaged)?);
        }
        Ok(())
    })?;
    if items.len() == wanted {
        Ok(items)
    } else {
        Err(damaged())
    }
}

/// Counts of a finished root's blocks, in order.
pub(super) fn read_counts(tx: &dyn Db, root: i64, leaves: u32) -> Result<Vec<Totals>, Error> {
    let blocks = i64::from(leaves.div_ceil(limits::COUNT_BLOCK_LEAVES));
    let first = root << COUNT_BITS;
    tx.rows(
        "SELECT success, fail, timeout FROM count_block WHERE block BETWEEN ? AND ? ORDER BY block",
        params![first, first + blocks - 1],
        |row| {
            Ok(Totals {
                success: row.get(0)?,
                fail: row.get(1)?,
                timeout: row.get(2)?,
                ..Totals::default()
            })
        },
    )
}

fn size(leaves: u32) -> usize {
    usize::try_from(leaves).unwrap_or(usize::MAX)
}
