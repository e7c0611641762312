//! Ids are addresses: a leaf's id says which root it belongs to and which number it has.
//!
//! An id is 16 bytes, written as 32 lower-case hexadecimal digits: 6 bytes of milliseconds, 6 random
//! bytes, 4 bytes of leaf number. A root has leaf number 0, its leaves 1 to N. So ids sort by time
//! and no index over leaves is needed.

use std::fmt;
use std::str::FromStr;

use crate::UnixMillis;

/// The id of a root task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootId([u8; 12]);

impl RootId {
    /// Makes an id from the time of creation and 6 random bytes.
    #[must_use]
    pub fn new(at: UnixMillis, random: [u8; 6]) -> Self {
        let ms = at.0.max(0).to_be_bytes();
        let mut bytes = [0; 12];
        for (to, from) in bytes.iter_mut().zip(ms.iter().skip(2).chain(&random)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The 12 bytes as stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// From the 12 bytes as stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The id of this root's leaf `number` (1 to N).
    #[must_use]
    pub const fn leaf(self, number: u32) -> LeafId {
        LeafId { root: self, number }
    }
}

/// The id of a leaf task: its root and its number under it (1 to N).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafId {
    /// The root this leaf belongs to.
    pub root: RootId,
    /// The leaf's number under its root, from 1.
    pub number: u32,
}

/// Either kind of id, as it comes in from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskId {
    /// Leaf number 0.
    Root(RootId),
    /// Any other leaf number.
    Leaf(LeafId),
}

impl TaskId {
    /// The root this id is, or is under.
    #[must_use]
    pub const fn root(self) -> RootId {
        match self {
            Self::Root(root) => root,
            Self::Leaf(leaf) => leaf.root,
        }
    }
}

/// Not 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 lower-case hexadecimal digits")]
pub struct NotAnId;

/// The 16 bytes of 32 lower-case hexadecimal digits.
pub(crate) fn bytes_of(text: &str) -> Result<[u8; 16], NotAnId> {
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return Err(NotAnId);
    }
    let mut bytes = [0_u8; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(NotAnId),
            };
            *byte = (*byte << 4) | value;
        }
    }
    Ok(bytes)
}

impl FromStr for TaskId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bytes = bytes_of(text)?;
        let (root, number) = bytes.split_at(12);
        let root = RootId(root.try_into().map_err(|_| NotAnId)?);
        Ok(
            match u32::from_be_bytes(number.try_into().map_err(|_| NotAnId)?) {
                0 => Self::Root(root),
                number => Self::Leaf(LeafId { root, number }),
            },
        )
    }
}

impl FromStr for RootId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        match text.parse()? {
            TaskId::Root(root) => Ok(root),
            TaskId::Leaf(_) => Err(NotAnId),
        }
    }
}

impl FromStr for LeafId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        match text.parse()? {
            TaskId::Leaf(leaf) => Ok(leaf),
            TaskId::Root(_) => Err(NotAnId),
        }
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, root: RootId, number: u32) -> fmt::Result {
    for byte in root.0.iter().chain(&number.to_be_bytes()) {
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

impl fmt::Display for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, *self, 0)
    }
}

impl fmt::Display for LeafId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.root, self.number)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(root) => root.fmt(f),
            Self::Leaf(leaf) => leaf.fmt(f),
        }
    }
}

impl fmt::Debug for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for LeafId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMillis = UnixMillis(0x0123_4567_89ab);

    #[test]
    fn an_id_prints_as_32_digits_and_reads_back() {
        let root = RootId::new(AT, [1, 2, 3, 4, 5, 6]);
        assert_eq!(root.to_string(), "0123456789ab01020304050600000000");
        assert_eq!(root.to_string().parse(), Ok(TaskId::Root(root)));
        let leaf = root.leaf(0xdead_beef);
        assert_eq!(leaf.to_string(), "0123456789ab010203040506deadbeef");
        assert_eq!(leaf.to_string().parse(), Ok(TaskId::Leaf(leaf)));
        assert_eq!(leaf.to_string().parse::<RootId>(), Err(NotAnId));
        assert_eq!(root.to_string().parse::<LeafId>(), Err(NotAnId));
    }

    #[test]
    fn ids_sort_by_time_then_by_leaf() {
        let early = RootId::new(AT, [255; 6]);
        let late = RootId::new(AT.plus(1), [0; 6]);
        assert!(early.to_string() < late.to_string());
        assert!(early.leaf(2).to_string() < early.leaf(10).to_string());
    }

    #[test]
    fn anything_but_32_lower_case_digits_is_refused() {
        for text in [
            "",
            "0123456789ab0102030405060000000",
            "0123456789AB01020304050600000000",
            "g123456789ab01020304050600000000",
            "é123456789ab0102030405060000000",
            "0123456789ab010203040506000000000",
        ] {
            assert_eq!(text.parse::<TaskId>(), Err(NotAnId), "{text}");
        }
    }
}
