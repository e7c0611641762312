//! What the store needs of a database: one connection, and the values that go through it.
//!
//! Owns the seam between the store's one body of SQL and its drivers. SQL has `?` for parameters and
//! keeps to what all drivers understand; whole numbers are `i64`, truth is 0 or 1.

use crate::Error;

/// A value on its way into or out of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// The columns of a row, as a driver has them.
pub(crate) trait Columns {
    /// One column, from 0.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is none or it is of none of the types of [`Value`].
    fn value(&self, at: usize) -> Result<Value<'_>, Error>;
}

/// A row that was found. Texts and blobs are borrowed from the driver.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(pub(crate) &'a dyn Columns);

impl<'a> Row<'a> {
    /// Column `at`, from 0.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is of another type.
    pub(crate) fn get<T: FromValue<'a>>(&self, at: usize) -> Result<T, Error> {
        let value = self.0.value(at)?;
        T::from_value(value)
            .ok_or_else(|| Error::Corrupt(format!("column {at} of a row is not as expected")))
    }
}

/// What takes the rows of a query.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Row<'_>) -> Result<(), Error>;

/// Where a database is, and how to come to it.
pub(crate) trait Driver: std::fmt::Debug + Send + Sync {
    /// The place, for the log. Tells no password.
    fn place(&self) -> String;
    /// Whether a read is so quick to begin and to answer that it may run where it is asked for.
    fn reads_in_place(&self) -> bool;
    /// Opens the one connection that writes, and brings the schema up to date. While it lives, and
    /// while the database may still be busy with it, no other one opens.
    fn open_writer(&self) -> Result<Box<dyn Db>, Error>;
    /// Opens one of the connections that only read.
    fn open_reader(&self) -> Result<Box<dyn Db>, Error>;
}

/// One connection. Statements are prepared once and kept.
pub(crate) trait Db: Send {
    /// Begins a transaction: one that writes, or sees one moment, as the connection is for.
    fn begin(&self) -> Result<(), Error>;
    /// Ends the transaction; durable when this returns. What a failure has left is unknown if
    /// [`Db::is_lost`] says so, and nothing otherwise.
    fn commit(&self) -> Result<(), Error>;
    /// Undoes the transaction, if there is one.
    fn rollback(&self) -> Result<(), Error>;
    /// Begins a part of the transaction that can be undone by itself. There is one at a time.
    fn begin_part(&self) -> Result<(), Error>;
    /// Ends that part.
    fn end_part(&self) -> Result<(), Error>;
    /// Undoes what was done since [`Db::begin_part`], and ends the part.
    ///
    /// # Errors
    /// If only the whole transaction can be undone.
    fn undo_part(&self) -> Result<(), Error>;
    /// Whether the open transaction, or part of it, can only be undone: after some errors, also of a
    /// mere read.
    fn is_spoiled(&self) -> bool;
    /// Whether the connection is gone for good.
    fn is_lost(&self) -> bool;
    /// Runs a statement; returns the rows it changed.
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error>;
    /// Calls `each` with every row. A driver may hold all rows in memory meanwhile, and `each` may
    /// use the connection: so what may be large is asked for in parts.
    fn query(&self, sql: &str, params: &[Value<'_>], each: Each<'_>) -> Result<(), Error>;
    /// Adds many rows to a table: `values` has those of the first row, then those of the next.
    /// A column holds values of one type and no [`Value::Null`].
    fn insert_many(&self, table: &str, columns: &[&str], values: &[Value<'_>])
    -> Result<(), Error>;
    /// Likewise; a row takes the place of the one that has the same key, which is the first column. No
    /// two of the rows have the same.
    fn put_many(&self, table: &str, columns: &[&str], values: &[Value<'_>]) -> Result<(), Error>;
    /// What the database finds wrong with its own files: a line each.
    fn check(&self) -> Result<Vec<String>, Error>;
    /// Closes the connection, and tells the log if that fails.
    fn close(self: Box<Self>);
}

/// The end of an INSERT whose rows take the place of those with the same first column.
pub(crate) fn replacing(columns: &[&str]) -> String {
    let mut names = columns.iter();
    let key = names.next().copied().unwrap_or_default();
    let sets: Vec<_> = names.map(|it| format!("{it} = excluded.{it}")).collect();
    format!(" ON CONFLICT ({key}) DO UPDATE SET {}", sets.join(", "))
}

impl dyn Db + '_ {
    /// All rows, each through `map`.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut map: impl FnMut(Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        self.query(sql, params, &mut |row| {
            rows.push(map(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The last row, through `map`; for queries that find one at most.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut map: impl FnMut(Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut found = None;
        self.query(sql, params, &mut |row| {
            found = Some(map(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// A number that is always there, such as a count.
    pub(crate) fn number(&self, sql: &str, params: &[Value<'_>]) -> Result<i64, Error> {
        let found = self.row(sql, params, |row| row.get(0))?;
        found.ok_or_else(|| Error::Corrupt("a row that is always there is gone".into()))
    }
}

/// The parameters of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::sql::db::Value::from($value)),*][..]
    };
}
pub(crate) use params;

/// What can be read from a [`Value`].
pub(crate) trait FromValue<'a>: Sized {
    /// None if it does not fit.
    fn from_value(value: Value<'a>) -> Option<Self>;
}

impl<'a> FromValue<'a> for &'a [u8] {
    fn from_value(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Blob(bytes) => Some(bytes),
            Value::Null | Value::Integer(_) | Value::Text(_) => None,
        }
    }
}

impl FromValue<'_> for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        <&[u8]>::from_value(value).map(<[u8]>::to_vec)
    }
}

impl<const LENGTH: usize> FromValue<'_> for [u8; LENGTH] {
    fn from_value(value: Value<'_>) -> Option<Self> {
        <&[u8]>::from_value(value)?.try_into().ok()
    }
}

impl FromValue<'_> for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            Value::Null | Value::Integer(_) | Value::Blob(_) => None,
        }
    }
}

impl FromValue<'_> for i64 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(number),
            Value::Null | Value::Text(_) | Value::Blob(_) => None,
        }
    }
}

macro_rules! smaller_numbers {
    ($($number:ty)*) => {$(
        impl FromValue<'_> for $number {
            fn from_value(value: Value<'_>) -> Option<Self> {
                i64::from_value(value)?.try_into().ok()
            }
        }

        impl From<$number> for Value<'_> {
            fn from(number: $number) -> Self {
                Self::Integer(number.into())
            }
        }
    )*};
}
smaller_numbers!(u8 u32);

impl FromValue<'_> for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            _ => None,
        }
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    fn from_value(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Integer(truth.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, const LENGTH: usize> From<&'a [u8; LENGTH]> for Value<'a> {
    fn from(bytes: &'a [u8; LENGTH]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
