//! What `query` is compared with: one row per leaf in SQLite, COUNT for the total, OFFSET for the page.
//!
//! Each query has an index that covers it, the rows have no answers, and nothing is synced: it is as
//! good as this way gets.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use model::{RootId, Status, TaskType, UnixMillis};
use rusqlite::Connection;
use store::LeafQuery;

use crate::ingest::status_of;

const PAGE: i64 = 20;

/// When a root was created, which its id begins with.
fn created_ms(root: RootId) -> i64 {
    let time = root.as_bytes().iter().take(6);
    time.fold(0, |ms, byte| ms << 8 | i64::from(*byte))
}

/// See the module.
pub(crate) struct Rows(Connection);

impl Rows {
    /// Fills a new file with the leaves of these roots: type, start and number of leaves.
    pub(crate) fn fill(path: &Path, roots: &[(TaskType, UnixMillis, u32)]) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;
             CREATE TABLE leaf (created INTEGER, number INTEGER, type INTEGER, status INTEGER,
               PRIMARY KEY (created, number)) WITHOUT ROWID;
             BEGIN;",
        )?;
        {
            let mut insert = connection.prepare("INSERT INTO leaf VALUES (?, ?, ?, ?)")?;
            for (task_type, created, leaves) in roots {
                for number in 1..=*leaves {
                    let status = status_of(number).number();
                    insert.execute((created.0, number, task_type.number(), status))?;
                }
            }
        }
        connection.execute_batch(
            "CREATE INDEX by_root ON leaf(created, status, number);
             CREATE INDEX by_type ON leaf(type, created DESC, number);
             CREATE INDEX by_status ON leaf(type, status, created DESC, number);
             COMMIT;",
        )?;
        Ok(Self(connection))
    }

    /// How many leaves match, and the time of the last page with that number.
    pub(crate) fn last_page(&self, query: &LeafQuery) -> anyhow::Result<(u64, Duration)> {
        let (mut filter, statuses) = match query {
            LeafQuery::Root { root, statuses, .. } => {
                (format!("created = {}", created_ms(*root)), statuses)
            }
            LeafQuery::Roots { roots, statuses } => {
                let start = roots.window.start.map_or(0, |it| it.0);
                let end = roots.window.end.map_or(i64::MAX, |it| it.0);
                let kind = roots.task_type.number();
                let filter = format!("type = {kind} AND created BETWEEN {start} AND {end}");
                (filter, statuses)
            }
        };
        if let Some(status) = statuses.first() {
            filter.push_str(&format!(" AND status = {}", Status::number(*status)));
        }
        let started = Instant::now();
        let count = format!("SELECT count(*) FROM leaf WHERE {filter}");
        let total: i64 = self.0.query_row(&count, [], |row| row.get(0))?;
        let offset = (total - 1) / PAGE * PAGE;
        let mut select = self.0.prepare(&format!(
            "SELECT created, number, status FROM leaf WHERE {filter}
             ORDER BY created DESC, number LIMIT {PAGE} OFFSET {offset}"
        ))?;
        let rows = select.query_map([], |row| row.get::<_, i64>(1))?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let time = started.elapsed();
        ensure!(!rows.is_empty(), "an empty page of {total}");
        Ok((u64::try_from(total)?, time))
    }
}
