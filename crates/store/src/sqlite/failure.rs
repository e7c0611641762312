//! What SQLite's errors mean to a caller.
//!
//! Owns the mapping from [`rusqlite::Error`] to [`Error`].

use rusqlite::ffi;

use crate::Error;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::Full(Box::new(error)),
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Corrupt(error.to_string()),
            Some(Code::ConstraintViolation) => match error.sqlite_extended_error_code() {
                Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => Self::NotFound,
                Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                    Self::Conflict
                }
                _ => Self::Unavailable(Box::new(error)),
            },
            Some(_) => Self::Unavailable(Box::new(error)),
            None => match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..) => Self::Corrupt(error.to_string()),
                _ => Self::Unavailable(Box::new(error)),
            },
        }
    }
}
