//! What a service answers when it cannot do what was asked.

use protocol::error::{Code, Fault};

/// The two halves of a failure, which never mix: what the caller is told, and what the log is told.
#[derive(Debug)]
pub(crate) struct Error {
    /// For the caller.
    pub(crate) fault: Fault,
    /// For the log.
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A fault of ours. The caller learns only that it is one.
    pub(crate) fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            fault: Code::ServerError.into(),
            source: Some(source.into()),
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            source: None,
        }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Fault::from(code).into()
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let code = match error {
            store::Error::NotFound => Code::EntityNotExist,
            store::Error::Conflict => Code::EntityAlreadyExists,
            store::Error::Full(_) => Code::StorageFull,
            store::Error::Unavailable(_) => Code::ServiceUnavailable,
            store::Error::Corrupt(_) => Code::ServerError,
        };
        Self {
            fault: code.into(),
            source: Some(Box::new(error)),
        }
    }
}
