//! What SQLite's errors mean to a caller.
//!
//! Owns the mapping from [`rusqlite::Error`] to [`Error`], and [`Failure`], the copyable form for
//! when one failed commit is told to many callers.

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

/// Why a commit failed, for everyone who waits for it.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Full(String),
    Unavailable(String),
    Corrupt(String),
}

impl Failure {
    /// The error for one of them.
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Full(text) => Error::Full(text.clone().into()),
            Self::Unavailable(text) => Error::Unavailable(text.clone().into()),
            Self::Corrupt(text) => Error::Corrupt(text.clone()),
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::Full(source) => Self::Full(source.to_string()),
            Error::Unavailable(source) => Self::Unavailable(source.to_string()),
            Error::Corrupt(text) => Self::Corrupt(text.clone()),
            Error::NotFound | Error::Conflict => Self::Unavailable(error.to_string()),
        }
    }
}
