//! The audit log as the store gives it: entries in a chain.
//!
//! Each entry's digest covers all of it and the digest of the entry before it, so that none can be changed,
//! taken out or put in between without all that follow showing it. What the text says is not the store's.

use model::UnixMillis;
use ring::digest::{Context, SHA256};

use crate::{Error, Window};

/// Bytes of an entry's digest.
pub const AUDIT_DIGEST_BYTES: usize = 32;

/// A new entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub user: String,
    /// What was asked for.
    pub action: String,
    /// All of it, in words of whoever wrote it.
    pub text: String,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1 without gaps.
    pub no: i64,
    /// What it says.
    pub entry: NewAudit,
    /// See [`audit_digest`].
    pub digest: [u8; AUDIT_DIGEST_BYTES],
}

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of this person.
    pub user: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// In this time.
    pub window: Window,
    /// With a smaller number than this one.
    pub before: Option<i64>,
    /// At most so many.
    pub size: u32,
}

/// The digest of entry `no`: SHA-256 over the digest of the entry before it (zeros before the first), the number
/// and the time in ms since 1970 (8 bytes each, the highest first), and user, action and text, each after its length
/// in bytes (8 bytes likewise).
#[must_use]
pub fn audit_digest(
    before: &[u8; AUDIT_DIGEST_BYTES],
    no: i64,
    entry: &NewAudit,
) -> [u8; AUDIT_DIGEST_BYTES] {
    let mut context = Context::new(&SHA256);
    context.update(before);
    context.update(&no.to_be_bytes());
    context.update(&entry.at.0.to_be_bytes());
    for text in [&entry.user, &entry.action, &entry.text] {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        context.update(&length.to_be_bytes());
        context.update(text.as_bytes());
    }
    let mut digest = [0; AUDIT_DIGEST_BYTES];
    for (to, from) in digest.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    digest
}

/// A digest as it was stored.
///
/// # Errors
/// [`Error::Corrupt`]: it has another length.
pub(crate) fn stored_digest(bytes: &[u8]) -> Result<[u8; AUDIT_DIGEST_BYTES], Error> {
    bytes
        .try_into()
        .map_err(|_| Error::Corrupt("the digest of an audit entry is not 32 bytes".into()))
}
