//! How the journal is written down: blocks of records, compressed, one root to a block.
//!
//! Owns the encoding and its version. Never touches a database and never decides a status. The
//! SQLite backend writes blocks with [`BlockWriter`] and reads them with [`Block`]. Whatever bytes
//! come in, reading ends in records or in [`Error::Corrupt`], with bounded memory.

mod event;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;

use model::outcome::DIGEST_BYTES;
use model::{Event, Said, TaskType, UnixMillis, limits};

use crate::{Error, LeafAnswer};

/// First byte of every block.
const VERSION: u8 = 1;
/// Bytes before the compressed part: the version and the length of the raw part.
const HEAD_BYTES: usize = 5;
/// Bytes before the records in the raw part: the block's place among those of its root.
const SEQUENCE_BYTES: usize = 4;
/// A block is closed when its raw part has this many bytes.
const RAW_BYTES_ENOUGH: usize = 1 << 20;
/// No raw part is longer: one full block and one more answer, or one event on every leaf.
const RAW_BYTES_MAX: usize = 8 << 20;

const TAG_LEAF: u8 = 1;
const TAG_LEAF_WITH_ANSWER: u8 = 2;
const TAG_ALL: u8 = 3;
const TAG_CANCELLED: u8 = 4;

/// Compresses blocks; kept by the writer, because making one is dear.
pub(crate) type Compressor = zstd::bulk::Compressor<'static>;

/// A compressor of the journal's level, which adds a checksum: without one, damage inside an answer
/// would read as another answer.
pub(crate) fn compressor() -> io::Result<Compressor> {
    let mut compressor = Compressor::new(1)?;
    compressor.include_checksum(true)?;
    Ok(compressor)
}

/// An answer as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered<'a> {
    /// The answer in short.
    pub(crate) said: Said,
    /// JSON of the answer.
    pub(crate) json: &'a [u8],
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// One leaf moved.
    Leaf {
        /// Its number.
        number: u32,
        /// What happened.
        event: Event,
        /// When.
        at: UnixMillis,
        /// What was said.
        answer: Option<Answered<'a>>,
    },
    /// One event on every unfinished leaf of the root.
    All {
        /// What happened.
        event: Event,
        /// When.
        at: UnixMillis,
        /// The leaves that a node had taken at that moment, ascending, if that is written nowhere
        /// else (see [`is_kept`]): it decides what the event does.
        started: Vec<u32>,
    },
    /// The root was cancelled. What that does to its leaves is told by records of its own.
    Cancelled {
        /// When.
        at: UnixMillis,
    },
}

/// Whether an event on a root of this type is written down. That a leaf is taken is forgotten in a
/// crash if the work only reads: then it waits again and is ordered again, which does no harm. Of
/// other work it must be known for ever that its order may have been sent.
pub(crate) const fn is_kept(event: Event, task_type: TaskType) -> bool {
    !(task_type.only_reads() && matches!(event, Event::Taken | Event::TakenBack))
}

/// Collects the records of one block.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    raw: Vec<u8>,
    records: u8,
}

impl BlockWriter {
    /// Block `sequence` of its root, from 1.
    pub(crate) fn new(sequence: u32) -> Self {
        Self {
            raw: sequence.to_le_bytes().into(),
            records: 0,
        }
    }

    /// Whether the next record belongs into a new block.
    pub(crate) fn is_full(&self) -> bool {
        usize::from(self.records) >= limits::JOURNAL_BLOCK_EVENTS_MAX
            || self.raw.len() >= RAW_BYTES_ENOUGH
    }

    /// Adds one leaf's event and returns the record's place in the block.
    pub(crate) fn leaf(
        &mut self,
        number: u32,
        event: Event,
        at: UnixMillis,
        answer: Option<&LeafAnswer>,
    ) -> u8 {
        self.head(answer.map_or(TAG_LEAF, |_| TAG_LEAF_WITH_ANSWER), event, at);
        self.raw.extend_from_slice(&number.to_le_bytes());
        if let Some(answer) = answer {
            let LeafAnswer { json, said } = answer;
            self.raw.extend_from_slice(said.digest());
            let label = said.label().as_bytes();
            self.raw.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
            self.raw.extend_from_slice(label);
            let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
            self.raw.extend_from_slice(&length.to_le_bytes());
            self.raw.extend_from_slice(json);
        }
        self.records += 1;
        self.records - 1
    }

    /// Adds an event on every unfinished leaf. `started`: see [`Record::All`].
    pub(crate) fn all(&mut self, event: Event, at: UnixMillis, started: &[u32]) {
        self.head(TAG_ALL, event, at);
        let count = u32::try_from(started.len()).unwrap_or(u32::MAX);
        self.raw.extend_from_slice(&count.to_le_bytes());
        let mut last = 0;
        for number in started {
            put_varint(&mut self.raw, number.saturating_sub(last));
            last = *number;
        }
        self.records += 1;
    }

    /// Adds that the root was cancelled.
    pub(crate) fn cancelled(&mut self, at: UnixMillis) {
        self.head(TAG_CANCELLED, Event::CancelAsked, at);
        self.raw.extend_from_slice(&0_u32.to_le_bytes());
        self.records += 1;
    }

    fn head(&mut self, tag: u8, event: Event, at: UnixMillis) {
        self.raw.push(tag);
        self.raw.extend_from_slice(&event::encode(event));
        self.raw.extend_from_slice(&at.0.to_le_bytes());
    }

    /// The finished block.
    pub(crate) fn seal(&self, compressor: &mut Compressor) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.raw.len()).map_err(io::Error::other)?;
        let packed = compressor.compress(&self.raw)?;
        let mut block = Vec::with_capacity(HEAD_BYTES + packed.len());
        block.push(VERSION);
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(&packed);
        Ok(block)
    }
}

/// A block as it was read.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its place among the blocks of its root, from 1: so a block that is gone is missed.
    pub(crate) sequence: u32,
    records: Vec<u8>,
}

impl Block {
    /// Unpacks a stored block.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is not one.
    pub(crate) fn open(data: &[u8]) -> Result<Self, Error> {
        let mut input = Input(data);
        let version = input.byte()?;
        if version != VERSION {
            return Err(corrupt(format!("a journal block of version {version}")));
        }
        let length = usize::try_from(input.u32()?).unwrap_or(usize::MAX);
        if length > RAW_BYTES_MAX {
            return Err(corrupt(format!("a journal block of {length} bytes")));
        }
        let mut raw = unpack(input.0, length)
            .map_err(|error| corrupt(format!("a journal block does not unpack: {error}")))?;
        if raw.len() != length {
            return Err(corrupt("a journal block of the wrong length".into()));
        }
        let sequence = Input(&raw).u32()?;
        raw.drain(..SEQUENCE_BYTES);
        if raw.is_empty() {
            return Err(corrupt("a journal block without records".into()));
        }
        Ok(Self {
            sequence,
            records: raw,
        })
    }

    /// Its records, in order.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if any does not read.
    pub(crate) fn records(&self) -> Result<Vec<Record<'_>>, Error> {
        let mut input = Input(&self.records);
        let mut records = Vec::new();
        while !input.0.is_empty() {
            records.push(record(&mut input)?);
        }
        Ok(records)
    }

    /// The answer in record `index` about leaf `number`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is no such record.
    pub(crate) fn answer(&self, index: u8, number: u32) -> Result<Vec<u8>, Error> {
        let mut input = Input(&self.records);
        for _ in 0..index {
            record(&mut input)?;
        }
        match record(&mut input)? {
            Record::Leaf {
                number: of,
                answer: Some(answer),
                ..
            } if of == number => Ok(answer.json.to_vec()),
            _ => Err(corrupt(format!(
                "no answer of leaf {number} where it should be"
            ))),
        }
    }
}

/// Each thread keeps its decompressor: making one asks the processor what it can do (`cpuid`), which
/// a virtual machine answers slower than a whole block unpacks.
fn unpack(packed: &[u8], length: usize) -> io::Result<Vec<u8>> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
            const { RefCell::new(None) };
    }
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(kept) => kept,
            None => kept.insert(zstd::bulk::Decompressor::new()?),
        };
        decompressor.decompress(packed, length)
    })
}

fn record<'a>(input: &mut Input<'a>) -> Result<Record<'a>, Error> {
    let tag = input.byte()?;
    let event = event::decode(input.array()?)?;
    let at = UnixMillis(i64::from_le_bytes(input.array()?));
    let count = input.u32()?;
    Ok(match tag {
        TAG_LEAF => Record::Leaf {
            number: count,
            event,
            at,
            answer: None,
        },
        TAG_LEAF_WITH_ANSWER => Record::Leaf {
            number: count,
            event,
            at,
            answer: Some(answered(input)?),
        },
        TAG_ALL => {
            let mut last = 0_u32;
            let mut started = Vec::new();
            for _ in 0..count {
                let next = last.checked_add(input.varint()?);
                last = next.ok_or_else(|| corrupt("a leaf number out of range".into()))?;
                started.push(last);
            }
            Record::All { event, at, started }
        }
        TAG_CANCELLED => Record::Cancelled { at },
        _ => return Err(corrupt(format!("a journal record of kind {tag}"))),
    })
}

fn answered<'a>(input: &mut Input<'a>) -> Result<Answered<'a>, Error> {
    let digest: [u8; DIGEST_BYTES] = input.array()?;
    let length = usize::from(input.byte()?);
    let label = String::from_utf8(input.take(length)?.to_vec());
    let label = label.map_err(|_| corrupt("a label that is no text".into()))?;
    let length = usize::try_from(input.u32()?).unwrap_or(usize::MAX);
    Ok(Answered {
        said: Said::new(digest, label),
        json: input.take(length)?,
    })
}

fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn corrupt(what: String) -> Error {
    Error::Corrupt(what)
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| corrupt("a journal block ends too early".into()))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, tail) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| corrupt("a journal block ends too early".into()))?;
        self.0 = tail;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn varint(&mut self) -> Result<u32, Error> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(corrupt("a number does not end".into()))
    }
}
