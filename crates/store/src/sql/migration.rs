//! Versions of stored data.
//!
//! Owns what is said of data that is too new, or too old. The migrations themselves are the drivers'.

use crate::Error;

/// The number of migrations that data of this version has had.
///
/// # Errors
/// [`Error::Unavailable`] if they are more than the `known` ones.
pub(crate) fn known(version: i64, known: usize) -> Result<usize, Error> {
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > known {
        return Err(Error::Unavailable(
            format!(
                "the data is of version {version} and this program reads up to {known}: \
                 it was written by a newer one"
            )
            .into(),
        ));
    }
    Ok(done)
}

/// Whether data of this version is what a program with the `known` migrations works on.
///
/// # Errors
/// [`Error::Unavailable`] if not.
pub(crate) fn current(version: i64, known: usize) -> Result<(), Error> {
    if self::known(version, known)? == known {
        return Ok(());
    }
    Err(Error::Unavailable(
        format!(
            "the data is of version {version} and this program's is {known}: \
             start a node on it once, which brings it up to date"
        )
        .into(),
    ))
}
