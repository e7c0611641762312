//! What a leaf's file is made of: records, one behind the other.
//!
//! A record is its kind (1 byte), the length of its content (8) and a CRC-32 of all three (4), numbers
//! with their lowest byte first, then the content. A file has its room ahead of its records, so a kind
//! of 0 ends it as its end does. Nothing is read behind a result, nor behind what is not whole. Knows
//! nothing of files; the journal is the only caller.

use flate2::Crc;

/// Bytes before the content.
const HEADER_BYTES: usize = 13;

/// What a record says. Numbers are on disk: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The signed order.
    Order,
    /// Its work may have started; the content finds its process group, or is blank.
    Begun,
    /// What came of it.
    Result,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Order => 1,
            Self::Begun => 2,
            Self::Result => 3,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Order),
            2 => Some(Self::Begun),
            3 => Some(Self::Result),
            _ => None,
        }
    }
}

/// The records of one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records<'a> {
    pub(super) order: Option<&'a [u8]>,
    pub(super) begun: Option<&'a [u8]>,
    pub(super) result: Option<&'a [u8]>,
    /// Something that is no whole record stands behind these.
    pub(super) is_broken: bool,
    /// Where the next record goes.
    pub(super) end: u64,
}

/// The bytes of a record.
pub(super) fn encode(kind: Kind, content: &[u8]) -> Vec<u8> {
    let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
    let length = length.to_le_bytes();
    let sum = sum(kind.number(), &length, content);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + content.len());
    bytes.push(kind.number());
    bytes.extend(length);
    bytes.extend(sum.to_le_bytes());
    bytes.extend(content);
    bytes
}

/// Reads a file.
pub(super) fn parse(bytes: &[u8]) -> Records<'_> {
    let mut records = Records::default();
    let mut rest = bytes;
    while rest.first().is_some_and(|kind| *kind != 0) {
        let Some((kind, content, behind)) = first(rest) else {
            records.is_broken = true;
            break;
        };
        let read = bytes.len() - behind.len();
        records.end = u64::try_from(read).unwrap_or(u64::MAX);
        rest = behind;
        match kind {
            Kind::Order => records.order = Some(content),
            Kind::Begun => records.begun = Some(content),
            Kind::Result => {
                records.result = Some(content);
                break;
            }
        }
    }
    records
}

/// The first record and what stands behind it.
fn first(bytes: &[u8]) -> Option<(Kind, &[u8], &[u8])> {
    let (number, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (noted, rest) = rest.split_first_chunk::<4>()?;
    let kind = Kind::of(*number)?;
    let (content, behind) =
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let is_whole = sum(*number, length, content) == u32::from_le_bytes(*noted);
    is_whole.then_some((kind, content, behind))
}

fn sum(number: u8, length: &[u8], content: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(&[number]);
    crc.update(length);
    crc.update(content);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut bytes = encode(Kind::Order, b"do it");
        bytes.extend(encode(Kind::Begun, b" "));
        bytes.extend(encode(Kind::Result, b"done"));
        bytes
    }

    #[test]
    fn records_are_read_as_written_whatever_stands_behind_them() {
        let bytes = file();
        let whole = Records {
            order: Some(b"do it"),
            begun: Some(b" "),
            result: Some(b"done"),
            is_broken: false,
            end: bytes.len() as u64,
        };
        assert_eq!(parse(&bytes), whole);
        for behind in [&[0; 100][..], b"rubbish", &encode(Kind::Result, b"other")] {
            assert_eq!(parse(&[&bytes, behind].concat()), whole);
        }
        for nothing in [&[][..], &[0; 4096]] {
            assert_eq!(parse(nothing), Records::default());
        }
    }

    #[test]
    fn a_record_that_is_cut_or_changed_anywhere_is_never_taken_for_one() {
        let bytes = file();
        let result_at = bytes.len() - encode(Kind::Result, b"done").len();
        for at in result_at..bytes.len() {
            let cut = parse(&bytes[..at]);
            assert_eq!((cut.result, cut.is_broken), (None, at > result_at), "{at}");
            // What a crash leaves: the room behind is there, the record's end is not.
            let torn = [&bytes[..at], &[0; 64]].concat();
            let torn = parse(&torn);
            assert_eq!(
                (torn.result, torn.is_broken),
                (None, at > result_at),
                "{at}"
            );
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            let changed = parse(&changed);
            assert_eq!((changed.result, changed.is_broken), (None, true), "{at}");
            assert_eq!(changed.order, Some(&b"do it"[..]));
            assert_eq!(changed.end, result_at as u64);
        }
    }
}
