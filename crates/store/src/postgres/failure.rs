//! What PostgreSQL's errors mean to a caller.
//!
//! Owns the mapping from [`postgres::Error`] to [`Error`].

use postgres::error::{DbError, Severity, SqlState};

use super::tls;
use crate::Error;

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        let Some(code) = error.code() else {
            return Self::Unavailable(Box::new(error));
        };
        match *code {
            SqlState::DISK_FULL => Self::Full(told(&error).into()),
            SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => Self::Corrupt(told(&error)),
            SqlState::FOREIGN_KEY_VIOLATION => Self::NotFound,
            SqlState::UNIQUE_VIOLATION => Self::Conflict,
            // Such as a text with a zero byte in it.
            SqlState::CHARACTER_NOT_IN_REPERTOIRE => Self::Corrupt(told(&error)),
            _ => Self::Unavailable(told(&error).into()),
        }
    }
}

/// What the server told; the error itself says only that it told something.
fn told(error: &postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// Whether the connection is gone with this error. Whatever the server did not say may have broken it.
pub(super) fn is_fatal(error: &postgres::Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    !matches!(severity, Some(it) if !matches!(it, Severity::Fatal | Severity::Panic))
}

/// For a connection that does not come about: with all that is known of it, since somebody has to act.
pub(super) fn of_connecting(error: postgres::Error) -> Error {
    // The library's words for a server that refuses to encrypt; it has no type for it.
    const NOT_SPOKEN: &str = "server does not support TLS";
    let cause = std::error::Error::source(&error);
    if cause.is_some_and(|it| it.to_string() == NOT_SPOKEN) {
        return Error::Unavailable(Box::new(tls::Error::NotSpoken));
    }
    if error.code().is_some() {
        return error.into();
    }
    match error.into_source() {
        Some(cause) => {
            Error::Unavailable(format!("the database cannot be reached: {cause}").into())
        }
        None => Error::Unavailable("the database cannot be reached".into()),
    }
}
