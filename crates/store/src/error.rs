//! What can go wrong in a store, in terms of what the caller can do.

/// Why a call failed. Nothing of a failed call is stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the call is about does not exist.
    #[error("not found")]
    NotFound,
    /// It exists already.
    #[error("exists already")]
    Conflict,
    /// No space left: nothing was stored. Try again when there is space.
    #[error("the disk is full")]
    Full(#[source] Source),
    /// The store does not answer now, or is closed. Try again later.
    #[error("the store is not available")]
    Unavailable(#[source] Source),
    /// Stored data does not make sense: someone must look.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
}

/// The cause below, whatever the backend.
pub type Source = Box<dyn std::error::Error + Send + Sync>;
