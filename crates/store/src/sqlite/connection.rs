//! One connection to the file.
//!
//! Owns how [`Db`] is said in SQLite. Texts and blobs are borrowed from SQLite's own memory.

use std::fs::File;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ToSql, params_from_iter};

use crate::Error;
use crate::sql::db::{Columns, Db, Each, Row, Value, replacing};

/// See the module.
pub(super) struct Connection {
    inner: rusqlite::Connection,
    begin: &'static str,
    /// Held by the one that writes; let go after the connection.
    _lock: Option<File>,
}

impl Connection {
    /// The one that writes, with the lock of its directory.
    pub(super) fn writer(inner: rusqlite::Connection, lock: File) -> Self {
        Self {
            inner,
            // A deferred one fails at once when it comes to write and another has written.
            begin: "BEGIN IMMEDIATE",
            _lock: Some(lock),
        }
    }

    /// One that only reads: it sees the file as of its first look at it.
    pub(super) fn reader(inner: rusqlite::Connection) -> Self {
        Self {
            inner,
            begin: "BEGIN",
            _lock: None,
        }
    }

    fn prepared(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        Ok(self.inner.prepare_cached(sql)?)
    }

    fn run(&self, sql: &str) -> Result<(), Error> {
        self.execute(sql, &[]).map(|_| ())
    }

    /// Adds rows; `conflict` says what becomes of those whose key is there.
    fn add_many(
        &self,
        table: &str,
        columns: &[&str],
        values: &[Value<'_>],
        conflict: &str,
    ) -> Result<(), Error> {
        let places = vec!["?"; columns.len()].join(", ");
        let names = columns.join(", ");
        let sql = format!("INSERT INTO {table} ({names}) VALUES ({places}){conflict}");
        let mut insert = self.prepared(&sql)?;
        for row in values.chunks(columns.len()) {
            insert.execute(params_from_iter(row))?;
        }
        Ok(())
    }
}

impl Db for Connection {
    fn begin(&self) -> Result<(), Error> {
        self.run(self.begin)
    }

    fn commit(&self) -> Result<(), Error> {
        self.run("COMMIT")
    }

    fn rollback(&self) -> Result<(), Error> {
        if self.inner.is_autocommit() {
            return Ok(());
        }
        self.run("ROLLBACK")
    }

    fn begin_part(&self) -> Result<(), Error> {
        self.run("SAVEPOINT part")
    }

    fn end_part(&self) -> Result<(), Error> {
        self.run("RELEASE part")
    }

    fn undo_part(&self) -> Result<(), Error> {
        self.run("ROLLBACK TO part")?;
        self.end_part()
    }

    fn is_spoiled(&self) -> bool {
        // After some errors SQLite itself undoes the transaction.
        self.inner.is_autocommit()
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        let changed = self.prepared(sql)?.execute(params_from_iter(params))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn query(&self, sql: &str, params: &[Value<'_>], each: Each<'_>) -> Result<(), Error> {
        let mut select = self.prepared(sql)?;
        let mut rows = select.query(params_from_iter(params))?;
        while let Some(row) = rows.next()? {
            each(Row(row))?;
        }
        Ok(())
    }

    fn insert_many(
        &self,
        table: &str,
        columns: &[&str],
        values: &[Value<'_>],
    ) -> Result<(), Error> {
        self.add_many(table, columns, values, "")
    }

    fn put_many(&self, table: &str, columns: &[&str], values: &[Value<'_>]) -> Result<(), Error> {
        self.add_many(table, columns, values, &replacing(columns))
    }

    fn check(&self) -> Result<Vec<String>, Error> {
        let db: &dyn Db = self;
        let mut lines: Vec<String> = db.rows("PRAGMA quick_check", &[], |row| row.get(0))?;
        lines.retain(|it| it != "ok");
        Ok(lines)
    }

    fn close(self: Box<Self>) {
        if let Err((_, error)) = self.inner.close() {
            tracing::warn!("closing the database: {error}");
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Columns for rusqlite::Row<'_> {
    fn value(&self, at: usize) -> Result<Value<'_>, Error> {
        Ok(match self.get_ref(at)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Text(text) => Value::Text(
                std::str::from_utf8(text)
                    .map_err(|_| Error::Corrupt(format!("column {at} is no text")))?,
            ),
            ValueRef::Blob(bytes) => Value::Blob(bytes),
            ValueRef::Real(_) => return Err(Error::Corrupt(format!("column {at} is a fraction"))),
        })
    }
}
