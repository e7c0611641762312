//! Packed columns of a root's leaves: hosts, and after its end states and counts.
//!
//! Owns how they are cut into rows. Never decides what is in them.

use model::{Totals, limits};
use rusqlite::Connection;

use crate::fold::Slot;
use crate::{Error, HostNo};

const HOST_BYTES: usize = 8;
/// A root's number is shifted by this in a segment's number: 4,096 segments of 256 leaves.
pub(super) const SEGMENT_BITS: u32 = 12;
/// Likewise in the number of a block of counts: 1,024 blocks of 1,024 leaves.
pub(super) const COUNT_BITS: u32 = 10;

/// Writes the hosts of a new root.
pub(super) fn write_hosts(tx: &Connection, root: i64, hosts: &[HostNo]) -> Result<(), Error> {
    let sql = "INSERT INTO host_segment (segment, data) VALUES (?, ?)";
    write(tx, sql, root, hosts, |host, out| {
        out.extend_from_slice(&host.0.to_le_bytes());
    })
}

/// Writes the leaves of a root that ends.
pub(super) fn write_states(tx: &Connection, root: i64, slots: &[Slot]) -> Result<(), Error> {
    let sql = "INSERT INTO state_segment (segment, data) VALUES (?, ?)";
    write(tx, sql, root, slots, |slot, out| slot.encode(out))
}

fn write<T: Copy>(
    tx: &Connection,
    sql: &str,
    root: i64,
    items: &[T],
    encode: impl Fn(T, &mut Vec<u8>),
) -> Result<(), Error> {
    let mut insert = tx.prepare_cached(sql)?;
    let mut data = Vec::new();
    for (segment, items) in (root << SEGMENT_BITS..).zip(items.chunks(size(limits::SEGMENT_LEAVES)))
    {
        data.clear();
        for item in items {
            encode(*item, &mut data);
        }
        insert.execute((segment, &data))?;
    }
    Ok(())
}

/// Writes the counts of a root that ends.
pub(super) fn write_counts(tx: &Connection, root: i64, slots: &[Slot]) -> Result<(), Error> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO count_block (block, success, fail, timeout) VALUES (?, ?, ?, ?)",
    )?;
    for (block, counts) in (root << COUNT_BITS..).zip(counts_of(slots)) {
        insert.execute((block, counts.success, counts.fail, counts.timeout))?;
    }
    Ok(())
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
    tx: &Connection,
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
    tx: &Connection,
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
        let found: (i64, i64) = tx
            .prepare_cached(&format!(
                "SELECT count(*), coalesce(sum(length(data)), 0) FROM {table}
                 WHERE segment BETWEEN ? AND ?"
            ))?
            .query_row((first, last), |row| Ok((row.get(0)?, row.get(1)?)))?;
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
    tx: &Connection,
    root: i64,
    first: u32,
    last: u32,
) -> Result<Vec<Slot>, Error> {
    let sql = "SELECT data FROM state_segment WHERE segment BETWEEN ? AND ? ORDER BY segment";
    read(tx, sql, root, (first, last), Slot::BYTES, Slot::decode)
}

fn read<T>(
    tx: &Connection,
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
    let segment =
        |number: u32| (root << SEGMENT_BITS) | i64::from((number - 1) / limits::SEGMENT_LEAVES);
    let wanted = size(last - first + 1);
    let mut skipped = size((first - 1) % limits::SEGMENT_LEAVES);
    let mut items = Vec::with_capacity(wanted);
    let mut select = tx.prepare_cached(sql)?;
    let mut rows = select.query((segment(first), segment(last)))?;
    while let Some(row) = rows.next()? {
        let data = row.get_ref(0)?.as_blob().map_err(|_| damaged())?;
        for bytes in data
            .chunks(width)
            .skip(std::mem::take(&mut skipped))
            .take(wanted - items.len())
        {
            items.push(decode(bytes).ok_or_else(damaged)?);
        }
    }
    if items.len() == wanted {
        Ok(items)
    } else {
        Err(damaged())
    }
}

/// Counts of a finished root's blocks, in order.
pub(super) fn read_counts(tx: &Connection, root: i64, leaves: u32) -> Result<Vec<Totals>, Error> {
    let blocks = i64::from(leaves.div_ceil(limits::COUNT_BLOCK_LEAVES));
    let first = root << COUNT_BITS;
    let mut select = tx.prepare_cached(
        "SELECT success, fail, timeout FROM count_block WHERE block BETWEEN ? AND ? ORDER BY block",
    )?;
    let counts = select.query_map((first, first + blocks - 1), |row| {
        Ok(Totals {
            success: row.get(0)?,
            fail: row.get(1)?,
            timeout: row.get(2)?,
            ..Totals::default()
        })
    })?;
    Ok(counts.collect::<Result<_, _>>()?)
}

fn size(leaves: u32) -> usize {
    usize::try_from(leaves).unwrap_or(usize::MAX)
}
