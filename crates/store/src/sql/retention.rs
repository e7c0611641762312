//! Dropping the oldest roots.
//!
//! Owns the floor, the number of the oldest root that was not dropped. A root is gone for every reader
//! in the commit that raises the floor above it; what it leaves behind (hosts, states, counts,
//! journal) lies below the floor and goes in later commits, a bounded number of rows each, so that no
//! commit takes long. Ranks and sums only count in differences, so those that stay are right as they
//! are; the counts per block of ranks lose what goes. The newest root always stays: the numbers and
//! times of the next ones go on from it.

use model::{RootId, UnixMillis};

use super::batch::Batch;
use super::db::{Db, params};
use super::outcome::OUTCOME_BITS;
use super::rank_count::Counts;
use super::segment::{COUNT_BITS, SEGMENT_BITS};
use crate::{Dropped, Error};

/// Number of the oldest root that was not dropped.
pub(super) fn floor(tx: &dyn Db) -> Result<i64, Error> {
    tx.number("SELECT root_no FROM floor", &[])
}

/// See [`crate::Store::root_drop_oldest`].
pub(super) fn drop_oldest(
    batch: &mut Batch<'_>,
    before: UnixMillis,
    keep_max: Option<u64>,
    rows_max: u32,
) -> Result<Dropped, Error> {
    let mut room = usize::try_from(rows_max).unwrap_or(usize::MAX);
    sweep(batch.tx, &mut room)?;
    let roots = drop_roots(batch, before, keep_max, room)?;
    room = room.saturating_sub(roots.len());
    sweep(batch.tx, &mut room)?;
    Ok(Dropped {
        roots,
        is_done: room > 0,
    })
}

fn drop_roots(
    batch: &Batch<'_>,
    before: UnixMillis,
    keep_max: Option<u64>,
    most: usize,
) -> Result<Vec<RootId>, Error> {
    let tx = batch.tx;
    let newest = tx.number("SELECT coalesce(max(no), 0) FROM root", &[])?;
    let kept = i64::try_from(keep_max.unwrap_or(u64::MAX)).unwrap_or(i64::MAX);
    let too_many = newest.saturating_sub(kept);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let oldest = tx.rows(
        "SELECT no, id, created_ms, ended_ms IS NOT NULL FROM root WHERE no < ? ORDER BY no LIMIT ?",
        params![newest, most],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    let (mut roots, mut last) = (Vec::new(), None);
    for (no, id, created, has_ended) in oldest {
        let is_due = before.0 > created || no <= too_many;
        // One that was set aside never ends.
        if !is_due || !(has_ended || batch.active.is_damaged(no)) {
            break;
        }
        roots.push(RootId::from_bytes(id));
        last = Some(no);
    }
    if let Some(last) = last {
        Counts::of_rows(tx, "no <= ?", params![last])?.subtract(tx)?;
        tx.execute("DELETE FROM root WHERE no <= ?", params![last])?;
        tx.execute("UPDATE floor SET root_no = ?", params![last + 1])?;
    }
    Ok(roots)
}

/// Deletes up to `room` rows of what dropped roots left behind.
fn sweep(tx: &dyn Db, room: &mut usize) -> Result<(), Error> {
    let floor = floor(tx)?;
    for (table, key, owner, end) in [
        ("journal", "block", "root_no", floor),
        ("host_segment", "segment", "segment", floor << SEGMENT_BITS),
        ("state_segment", "segment", "segment", floor << SEGMENT_BITS),
        ("count_block", "block", "block", floor << COUNT_BITS),
        ("outcome", "outcome", "outcome", floor << OUTCOME_BITS),
    ] {
        if *room == 0 {
            return Ok(());
        }
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN
               (SELECT {key} FROM {table} WHERE {owner} < ? ORDER BY {owner} LIMIT ?)"
        );
        let most = i64::try_from(*room).unwrap_or(i64::MAX);
        let deleted = tx.execute(&sql, params![end, most])?;
        *room = room.saturating_sub(usize::try_from(deleted).unwrap_or(usize::MAX));
    }
    Ok(())
}
