//! Where bytes of UTF-8 may be cut so that no character is cut in two. Pure; for what keeps or sends a
//! part of an output.

/// Whether the byte stands inside a character, not at its beginning.
const fn is_inner(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Bytes at the beginning that belong to a character that was cut off before.
pub(crate) fn broken<'a>(bytes: impl Iterator<Item = &'a u8>) -> usize {
    bytes.take(3).take_while(|byte| is_inner(**byte)).count()
}

/// Length of `bytes` without a character that their end cuts in two.
pub(crate) fn whole(bytes: &[u8]) -> usize {
    let inner = bytes.iter().rev().take(3).take_while(|b| is_inner(**b));
    let begun = inner.count() + 1;
    let needed = match bytes.iter().rev().nth(begun - 1) {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => 1,
    };
    if begun < needed {
        bytes.len() - begun
    } else {
        bytes.len()
    }
}
