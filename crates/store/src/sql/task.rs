//! Roots: creating, reading and listing them.
//!
//! Owns the root table and the seeks over its ranks. Pages and counts come from the difference of
//! two rows, never from counting. What is unfinished is read from memory.

use model::plan::{BadPlan, Plan};
use model::{RootId, TaskType, Totals, UnixMillis, limits};

use super::active::Active;
use super::batch::Batch;
use super::db::{Db, Row, Value, params};
use super::segment;
use crate::fold::Fold;
use crate::{Created, Error, HostNo, NewRoot, Page, PageRequest, Root, RootQuery};

/// The file and the memory at one moment.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) tx: &'a dyn Db,
    pub(super) active: &'a Active,
}

/// A row of the root table.
pub(super) struct RootRow {
    pub(super) no: i64,
    /// Blocks of its journal.
    pub(super) blocks: u32,
    /// Whether its answers are still to be put into the order of its leaves.
    pub(super) is_to_pack: bool,
    pub(super) root: Root,
}

const COLUMNS: &str = "no, id, type, source, name, operator, created_ms, deadline_ms, \
                       cancelled_ms, ended_ms, total, success, fail, timeout, work, blocks, rerun_of, plan, pack_to";

/// Reads a row of [`COLUMNS`]; unfinished leaves are taken for waiting.
pub(super) fn root_of(row: Row<'_>) -> Result<RootRow, Error> {
    let number: u8 = row.get(2)?;
    let task_type = TaskType::from_number(number)
        .ok_or_else(|| Error::Corrupt(format!("a root of type {number}")))?;
    Ok(RootRow {
        no: row.get(0)?,
        blocks: row.get(15)?,
        is_to_pack: row.get::<Option<i64>>(18)?.is_some(),
        root: Root {
            id: RootId::from_bytes(row.get(1)?),
            task_type,
            source: row.get(3)?,
            name: row.get(4)?,
            operator: row.get(5)?,
            created_at: UnixMillis(row.get(6)?),
            deadline: UnixMillis(row.get(7)?),
            cancelled_at: row.get::<Option<_>>(8)?.map(UnixMillis),
            ended_at: row.get::<Option<_>>(9)?.map(UnixMillis),
            totals: totals_of(row, 10)?,
            work: row.get(14)?,
            rerun_of: row.get::<Option<_>>(16)?.map(RootId::from_bytes),
            plan: plan_of(&row.get::<String>(17)?)?,
        },
    })
}

fn plan_of(text: &str) -> Result<Plan, Error> {
    text.parse()
        .map_err(|error: BadPlan| Error::Corrupt(error.to_string()))
}

/// Reads total, success, fail and timeout from column `at` on.
pub(super) fn totals_of(row: Row<'_>, at: usize) -> Result<Totals, Error> {
    let total: u32 = row.get(at)?;
    let mut totals = Totals {
        success: row.get(at + 1)?,
        fail: row.get(at + 2)?,
        timeout: row.get(at + 3)?,
        ..Totals::default()
    };
    totals.init = total
        .checked_sub(totals.ended())
        .ok_or_else(|| Error::Corrupt("a root counts more leaves than it has".into()))?;
    Ok(totals)
}

/// The rows that match `filter`, which is SQL after FROM.
pub(super) fn rows(tx: &dyn Db, filter: &str, params: &[Value<'_>]) -> Result<Vec<RootRow>, Error> {
    tx.rows(
        &format!("SELECT {COLUMNS} FROM root {filter}"),
        params,
        root_of,
    )
}

/// Creates a root; see [`crate::Store::root_create`].
pub(super) fn create(
    batch: &mut Batch<'_>,
    new: NewRoot,
    hosts: Vec<HostNo>,
) -> Result<Created, Error> {
    if let Some(id) = of_request(batch.tx, i64::MAX, &new.request_key, &new.request_digest)? {
        return Ok(Created { id, existed: true });
    }
    if hosts.len() > limits::ROOT_HOSTS_MAX || !hosts.is_sorted_by(|a, b| a < b) {
        return Err(Error::Corrupt(
            "the hosts of a root are too many, repeated or out of order".into(),
        ));
    }
    let no = insert(batch.tx, &new, hosts.len())?;
    segment::write_hosts(batch.tx, no, &hosts)?;
    let [row] = rows(batch.tx, "WHERE no = ?", &[no.into()])?
        .try_into()
        .map_err(|_| Error::Corrupt("a new root is not there".into()))?;
    batch.root_created(Fold::new(no, row.root, hosts));
    Ok(Created {
        id: new.id,
        existed: false,
    })
}

/// The root of a request, among those up to number `no_max`.
fn of_request(
    tx: &dyn Db,
    no_max: i64,
    key: &str,
    digest: &[u8; 32],
) -> Result<Option<RootId>, Error> {
    let found = tx.row(
        "SELECT id, request_digest = ? FROM root WHERE request_key = ? AND no <= ?",
        params![digest, key, no_max],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    match found {
        Some((id, true)) => Ok(Some(RootId::from_bytes(id))),
        Some((_, false)) => Err(Error::Conflict),
        None => Ok(None),
    }
}

fn insert(tx: &dyn Db, new: &NewRoot, leaves: usize) -> Result<i64, Error> {
    let kind = new.task_type.number();
    let before = |sql: &str, params: &[Value<'_>]| {
        let found = tx.row(sql, params, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok::<(i64, i64), Error>(found.unwrap_or((0, 0)))
    };
    let (rank_type, cum_type) = before(
        "SELECT rank_type + 1, cum_type + total FROM root WHERE type = ?
         ORDER BY rank_type DESC LIMIT 1",
        params![kind],
    )?;
    let (rank_source, cum_source) = before(
        "SELECT rank_source + 1, cum_source + total FROM root WHERE type = ? AND source = ?
         ORDER BY rank_source DESC LIMIT 1",
        params![kind, &new.source],
    )?;
    let (created, no) = before(
        "SELECT created_ms, no FROM root ORDER BY no DESC LIMIT 1",
        &[],
    )?;
    let no = no + 1;
    let created = created.max(new.created_at.0);
    let ended = (leaves == 0).then_some(created);
    let leaves = i64::try_from(leaves).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO root (no, id, type, source, name, operator, work, created_ms, deadline_ms,
           ended_ms, total, rank_type, cum_type, rank_source, cum_source, request_key,
           request_digest, rerun_of, plan)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            no,
            new.id.as_bytes(),
            kind,
            &new.source,
            &new.name,
            &new.operator,
            &new.work,
            created,
            new.deadline.0,
            ended,
            leaves,
            rank_type,
            cum_type,
            rank_source,
            cum_source,
            &new.request_key,
            &new.request_digest,
            new.rerun_of.as_ref().map(RootId::as_bytes),
            &new.plan.to_string(),
        ],
    )?;
    Ok(no)
}

/// Cancels a root; see [`crate::Store::root_cancel`].
pub(super) fn cancel(batch: &mut Batch<'_>, id: RootId, now: UnixMillis) -> Result<bool, Error> {
    if let Some((stage, blocks)) = batch.stage(id) {
        return Ok(stage.cancel(blocks, now));
    }
    let row = find(batch.tx, id)?.ok_or(Error::NotFound)?;
    batch.active.check(row.no, id)?;
    Ok(false)
}

/// The row of a root, whatever the memory says.
pub(super) fn find(tx: &dyn Db, id: RootId) -> Result<Option<RootRow>, Error> {
    Ok(rows(tx, "WHERE id = ?", params![id.as_bytes()])?.pop())
}

/// Which roots a query is about: one type, or one type and source. Each has its own ranks.
pub(super) struct Lane<'a> {
    pub(super) filter: &'static str,
    /// The table of its counts per block of ranks.
    pub(super) counts: &'static str,
    pub(super) rank: &'static str,
    cum: &'static str,
    key: Vec<Value<'a>>,
    window: (i64, i64),
}

/// The first or last root of a window.
pub(super) struct Edge {
    pub(super) rank: i64,
    pub(super) cum: i64,
    pub(super) total: i64,
}

impl<'a> Lane<'a> {
    pub(super) fn new(query: &'a RootQuery) -> Self {
        let kind = Value::from(query.task_type.number());
        let start = query.window.start.map_or(i64::MIN, |it| it.0);
        let end = query.window.end.map_or(i64::MAX, |it| it.0);
        let window = (start, end);
        match &query.source {
            None => Self {
                filter: "type = ?",
                counts: "type_count",
                rank: "rank_type",
                cum: "cum_type",
                key: vec![kind],
                window,
            },
            Some(source) => Self {
                filter: "type = ? AND source = ?",
                counts: "source_count",
                rank: "rank_source",
                cum: "cum_source",
                key: vec![kind, source.into()],
                window,
            },
        }
    }

    pub(super) fn params(&self, more: &[i64]) -> Vec<Value<'a>> {
        let more = more.iter().map(|it| Value::from(*it));
        self.key.iter().copied().chain(more).collect()
    }

    /// The first and the last root of the window, if there is any.
    pub(super) fn edges(&self, view: View<'_>) -> Result<Option<(Edge, Edge)>, Error> {
        let Self {
            filter, rank, cum, ..
        } = self;
        let edge = |condition: &str, order: &str, bound: i64| {
            let sql = format!(
                "SELECT {rank}, {cum}, total FROM root WHERE {filter} AND created_ms {condition} ?
                 AND no <= ? ORDER BY created_ms {order}, no {order} LIMIT 1"
            );
            let params = self.params(&[bound, view.active.no_max()]);
            view.tx.row(&sql, &params, |row| {
                Ok(Edge {
                    rank: row.get(0)?,
                    cum: row.get(1)?,
                    total: row.get(2)?,
                })
            })
        };
        let first = edge(">=", "ASC", self.window.0)?;
        let last = edge("<=", "DESC", self.window.1)?;
        Ok(first
            .zip(last)
            .filter(|(first, last)| first.rank <= last.rank))
    }

    /// The root in which the leaf of this rank is, and its `cum`.
    pub(super) fn root_at(
        &self,
        view: View<'_>,
        rank: i64,
    ) -> Result<Option<(RootRow, i64)>, Error> {
        let Self { filter, cum, .. } = self;
        let sql = format!(
            "SELECT {COLUMNS}, {cum} FROM root WHERE {filter} AND {cum} <= ? AND no <= ?
             ORDER BY {cum} DESC, no DESC LIMIT 1"
        );
        let params = self.params(&[rank, view.active.no_max()]);
        view.tx
            .row(&sql, &params, |row| Ok((root_of(row)?, row.get(19)?)))
    }

    /// The rank and the row of the root of this number, if it belongs to the lane.
    pub(super) fn rank_of(&self, view: View<'_>, no: i64) -> Result<Option<(i64, Root)>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, {} FROM root WHERE {} AND no = ?",
            self.rank, self.filter
        );
        view.tx.row(&sql, &self.params(&[no]), |row| {
            Ok((row.get(19)?, root_of(row)?.root))
        })
    }

    /// Calls `each` with number, id, start and totals of the roots of these ranks, newest first.
    pub(super) fn walk(
        &self,
        view: View<'_>,
        (first, last): (i64, i64),
        mut each: impl FnMut(i64, RootId, UnixMillis, Totals) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = format!(
            "SELECT no, id, created_ms, total, success, fail, timeout FROM root
             WHERE {} AND {rank} BETWEEN ? AND ? ORDER BY {rank} DESC",
            self.filter,
            rank = self.rank
        );
        let params = self.params(&[first, last]);
        view.tx.query(&sql, &params, &mut |row| {
            let id = RootId::from_bytes(row.get(1)?);
            each(row.get(0)?, id, UnixMillis(row.get(2)?), totals_of(row, 3)?)
        })
    }
}

/// Whether an unfinished root matches a query.
pub(super) fn matches(query: &RootQuery, root: &Root) -> bool {
    query.task_type == root.task_type
        && query.source.as_ref().is_none_or(|it| *it == root.source)
        && query.window.start.is_none_or(|it| it <= root.created_at)
        && query.window.end.is_none_or(|it| it >= root.created_at)
}

impl View<'_> {
    /// The row as it is at this view's moment.
    fn current(self, row: RootRow) -> Root {
        match self.active.get(row.no) {
            Some(fold) => fold.root.clone(),
            None => row.root,
        }
    }

    /// One root; see [`crate::Store::root_get`].
    pub(super) fn root_get(self, id: RootId) -> Result<Option<Root>, Error> {
        if let Some(fold) = self.active.find(id) {
            return Ok(Some(fold.root.clone()));
        }
        let row = find(self.tx, id)?;
        Ok(row
            .filter(|it| it.no <= self.active.no_max())
            .map(|it| it.root))
    }

    /// The root of a request; see [`crate::Store::root_of_request`].
    pub(super) fn root_of_request(
        self,
        key: &str,
        digest: &[u8; 32],
    ) -> Result<Option<RootId>, Error> {
        of_request(self.tx, self.active.no_max(), key, digest)
    }

    /// A page of roots; see [`crate::Store::root_page`].
    pub(super) fn root_page(
        self,
        query: &RootQuery,
        page: PageRequest,
    ) -> Result<Page<Root>, Error> {
        let lane = Lane::new(query);
        let Some((first, last)) = lane.edges(self)? else {
            return Ok(Page {
                rows: Vec::new(),
                total: 0,
            });
        };
        let offset = i64::try_from(page.offset()).unwrap_or(i64::MAX);
        let to = last.rank.saturating_sub(offset);
        let from = to
            .saturating_sub(i64::from(page.size))
            .saturating_add(1)
            .max(first.rank);
        let (filter, rank) = (lane.filter, lane.rank);
        let filter = format!("WHERE {filter} AND {rank} BETWEEN ? AND ? ORDER BY {rank} DESC");
        let found = rows(self.tx, &filter, &lane.params(&[from, to]))?;
        Ok(Page {
            rows: found.into_iter().map(|it| self.current(it)).collect(),
            total: u64::try_from(last.rank - first.rank + 1).unwrap_or(0),
        })
    }
}
