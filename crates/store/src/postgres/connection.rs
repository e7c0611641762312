//! One connection to a server.
//!
//! Owns how [`Db`] is said to PostgreSQL. Each call is one round trip, but for the first of a statement,
//! which prepares it. The rows of a query are all there before the first is looked at.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error as StdError;

use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Statement};

use super::failure;
use crate::Error;
use crate::sql::db::{Columns, Db, Each, Row, Value, replacing};

/// See the module.
pub(super) struct Connection {
    client: RefCell<Client>,
    /// By their SQL as the store has it. There are only so many.
    statements: RefCell<HashMap<String, Statement>>,
    begin: &'static str,
    /// Whether the server refuses all but undoing.
    is_spoiled: Cell<bool>,
    is_lost: Cell<bool>,
}

impl Connection {
    /// The one that writes.
    pub(super) fn writer(client: Client) -> Self {
        Self::new(client, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    }

    /// One that only reads: it sees the database as of its first look at it.
    pub(super) fn reader(client: Client) -> Self {
        Self::new(client, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    fn new(client: Client, begin: &'static str) -> Self {
        Self {
            client: RefCell::new(client),
            statements: RefCell::default(),
            begin,
            is_spoiled: Cell::new(false),
            is_lost: Cell::new(false),
        }
    }

    fn call<T>(
        &self,
        call: impl FnOnce(&mut Client) -> Result<T, postgres::Error>,
    ) -> Result<T, Error> {
        if self.is_lost.get() {
            return Err(Error::Unavailable(
                "the connection to the database was lost".into(),
            ));
        }
        call(&mut self.client.borrow_mut()).map_err(|error| {
            self.is_spoiled.set(true);
            self.is_lost.set(failure::is_fatal(&error));
            error.into()
        })
    }

    fn run(&self, sql: &str) -> Result<(), Error> {
        self.call(|client| client.batch_execute(sql))
    }

    fn prepared(&self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.call(|client| client.prepare(&numbered(sql)))?;
        let mut statements = self.statements.borrow_mut();
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Adds rows; `conflict` says what becomes of those whose key is there.
    fn add_many(
        &self,
        table: &str,
        columns: &[&str],
        values: &[Value<'_>],
        conflict: &str,
    ) -> Result<(), Error> {
        let first = values.iter().take(columns.len());
        let places: Vec<_> = first.map(|it| format!("?::{}[]", type_of(*it))).collect();
        if places.is_empty() {
            return Ok(());
        }
        let (names, places) = (columns.join(", "), places.join(", "));
        let sql = format!("INSERT INTO {table} ({names}) SELECT * FROM unnest({places}){conflict}");
        let statement = self.prepared(&sql)?;
        let width = columns.len();
        let column = |at| values.iter().skip(at).step_by(width).copied().collect();
        let arrays: Vec<Vec<Value<'_>>> = (0..width).map(column).collect();
        let arrays: Vec<_> = arrays.iter().map(|it| it as &(dyn ToSql + Sync)).collect();
        self.call(|client| client.execute(&statement, &arrays))?;
        Ok(())
    }
}

/// The same with `$1`, `$2` and so on for `?`. There are none in the store's own texts.
fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let mut numbered = parts.next().unwrap_or_default().to_owned();
    for (number, part) in (1..).zip(parts) {
        numbered += &format!("${number}{part}");
    }
    numbered
}

fn references<'a>(params: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    let params = params.iter();
    params.map(|it| it as &(dyn ToSql + Sync)).collect()
}

impl Db for Connection {
    fn begin(&self) -> Result<(), Error> {
        self.run(self.begin)?;
        self.is_spoiled.set(false);
        Ok(())
    }

    fn commit(&self) -> Result<(), Error> {
        // The server would answer a COMMIT of such a transaction by undoing it, without an error.
        if self.is_spoiled() {
            return Err(Error::Unavailable("the commit was undone".into()));
        }
        self.run("COMMIT")
    }

    fn rollback(&self) -> Result<(), Error> {
        if self.is_lost() {
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
        self.run("ROLLBACK TO part; RELEASE part")?;
        self.is_spoiled.set(false);
        Ok(())
    }

    fn is_spoiled(&self) -> bool {
        self.is_spoiled.get()
    }

    fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        let statement = self.prepared(sql)?;
        self.call(|client| client.execute(&statement, &references(params)))
    }

    fn query(&self, sql: &str, params: &[Value<'_>], each: Each<'_>) -> Result<(), Error> {
        let statement = self.prepared(sql)?;
        let rows = self.call(|client| client.query(&statement, &references(params)))?;
        rows.iter().try_for_each(|row| each(Row(row)))
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
        // The server's own tools look at its files.
        Ok(Vec::new())
    }

    fn close(self: Box<Self>) {
        if let Err(error) = self.client.into_inner().close() {
            tracing::warn!("closing the database: {error}");
        }
    }
}

fn type_of(value: Value<'_>) -> &'static str {
    match value {
        Value::Integer(_) => "bigint",
        Value::Text(_) => "text",
        Value::Blob(_) | Value::Null => "bytea",
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql_checked(kind, out),
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Blob(bytes) => bytes.to_sql_checked(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}

impl Columns for postgres::Row {
    fn value(&self, at: usize) -> Result<Value<'_>, Error> {
        let Some(column) = self.columns().get(at) else {
            return Err(Error::Corrupt(format!("a row has no column {at}")));
        };
        let value = match *column.type_() {
            Type::INT8 => self.try_get::<_, Option<i64>>(at)?.map(Value::from),
            Type::INT4 => self
                .try_get::<_, Option<i32>>(at)?
                .map(|it| i64::from(it).into()),
            Type::BOOL => self.try_get::<_, Option<bool>>(at)?.map(Value::from),
            Type::TEXT => self.try_get::<_, Option<&str>>(at)?.map(Value::from),
            Type::BYTEA => self.try_get::<_, Option<&[u8]>>(at)?.map(Value::from),
            ref other => return Err(Error::Corrupt(format!("column {at} is a {other}"))),
        };
        Ok(value.unwrap_or(Value::Null))
    }
}
