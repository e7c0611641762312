//! What a host is called.

use std::fmt;
use std::str::FromStr;

use crate::limits;

/// A host's uuid as the API has it, such as `inet-eae04867-002f-423d-af00-c72cd629b248`.
///
/// At most [`limits::HOST_UUID_BYTES_MAX`] bytes of lower-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostUuid(Box<str>);

/// Not a host uuid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host uuid is 1 to 64 lower-case letters, digits and hyphens")]
pub struct NotAUuid;

impl HostUuid {
    /// A new uuid from 16 random bytes: the prefix `inet-` and a version 4 UUID (RFC 9562).
    #[must_use]
    pub fn from_random(mut random: [u8; 16]) -> Self {
        if let Some(byte) = random.get_mut(6) {
            *byte = (*byte & 0x0f) | 0x40;
        }
        if let Some(byte) = random.get_mut(8) {
            *byte = (*byte & 0x3f) | 0x80;
        }
        let mut text = String::from("inet-");
        for (at, byte) in random.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        Self(text.into_boxed_str())
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostUuid {
    type Err = NotAUuid;

    fn from_str(text: &str) -> Result<Self, NotAUuid> {
        let fits = (1..=limits::HOST_UUID_BYTES_MAX).contains(&text.len());
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if fits && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(NotAUuid)
        }
    }
}

impl fmt::Display for HostUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_uuid_is_a_valid_one() {
        let made = HostUuid::from_random([0xff; 16]);
        assert_eq!(made.as_str(), "inet-ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(made.as_str().parse(), Ok(made));
    }

    #[test]
    fn length_and_alphabet_are_limited() {
        assert!("a".repeat(64).parse::<HostUuid>().is_ok());
        for bad in ["", "A", "a b", "a,b", "ü", &"a".repeat(65)] {
            assert_eq!(bad.parse::<HostUuid>(), Err(NotAUuid), "{bad}");
        }
    }
}
