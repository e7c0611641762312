//! Outcomes: what makes two hosts' answers the same.
//!
//! Owns the identity of an outcome. How an answer is put in short is decided where answers are known;
//! how many hosts had an outcome is counted where leaves are stored.

use std::fmt;
use std::str::FromStr;

use crate::id::{self, NotAnId};
use crate::{Reason, Status, limits};

/// Bytes of the digest of an answer.
pub const DIGEST_BYTES: usize = 14;

/// An answer in short: equal digests mean that it is the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    digest: [u8; DIGEST_BYTES],
    label: String,
}

impl Said {
    /// `label` is for a person; it is cut at [`limits::OUTCOME_LABEL_BYTES_MAX`].
    #[must_use]
    pub fn new(digest: [u8; DIGEST_BYTES], mut label: String) -> Self {
        let mut end = label.len().min(limits::OUTCOME_LABEL_BYTES_MAX);
        while !label.is_char_boundary(end) {
            end -= 1;
        }
        label.truncate(end);
        Self { digest, label }
    }

    /// What the answer comes down to.
    #[must_use]
    pub const fn digest(&self) -> &[u8; DIGEST_BYTES] {
        &self.digest
    }

    /// The answer for a person.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }
}

/// The id of an outcome: status, reason and digest of what was said. It means the same under every
/// root. Written as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutcomeId([u8; 16]);

/// Stands where the reason does: many outcomes, beyond those that a root tells apart.
const MANY: u8 = u8::MAX;

impl OutcomeId {
    /// The outcome of a leaf that ended so; `said` is `None` if it ended without an answer.
    #[must_use]
    pub fn new(status: Status, reason: Reason, said: Option<&Said>) -> Self {
        let digest = said.map_or([0; DIGEST_BYTES], |it| it.digest);
        Self::of([status.number(), reason.number()], digest)
    }

    /// All outcomes of this status beyond those that a root tells apart.
    #[must_use]
    pub fn other(status: Status) -> Self {
        Self::of([status.number(), MANY], [MANY; DIGEST_BYTES])
    }

    fn of([status, reason]: [u8; 2], digest: [u8; DIGEST_BYTES]) -> Self {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip([status, reason].iter().chain(&digest)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// How the leaves ended; `None`: no leaf has such an outcome.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let [status, ..] = self.0;
        Status::from_number(status).filter(|it| it.is_final())
    }

    /// Why they ended; `None`: for many reasons.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        let [_, reason, ..] = self.0;
        Reason::from_number(reason)
    }

    /// The 16 bytes as stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From the 16 bytes as stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for OutcomeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for OutcomeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OutcomeId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        id::bytes_of(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_tells_how_and_why() {
        let said = Said::new([7; DIGEST_BYTES], "exit 3".into());
        let id = OutcomeId::new(Status::Fail, Reason::ExitCode, Some(&said));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(OutcomeId::from_bytes(*id.as_bytes()), id);
        assert_eq!(id.status(), Some(Status::Fail));
        assert_eq!(id.reason(), Some(Reason::ExitCode));
        let unsaid = OutcomeId::new(Status::Fail, Reason::ExitCode, None);
        assert_ne!(unsaid, id);
        let other = OutcomeId::other(Status::Fail);
        assert_eq!((other.status(), other.reason()), (Some(Status::Fail), None));
        assert_eq!("ff".parse::<OutcomeId>(), Err(NotAnId));
    }

    #[test]
    fn a_label_is_cut_between_characters() {
        let said = Said::new([0; DIGEST_BYTES], "ü".repeat(100));
        assert_eq!(said.label(), "ü".repeat(60));
        let said = Said::new([0; DIGEST_BYTES], format!("a{}", "ü".repeat(100)));
        assert_eq!(said.label().len(), 119);
    }
}
