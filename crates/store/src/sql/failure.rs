//! Why a commit failed.
//!
//! Owns [`Failure`], the copyable form of an [`Error`], for when it is told to many callers.

use crate::Error;

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
