//! How the journal is written down: blocks of records, compressed, one root to a block.
//!
//! Owns the encoding and its version. Never touches a database and never decides a status. The
//! SQL backends write blocks with [`BlockWriter`] and read them with [`Block`]. Whatever bytes
//! come in, reading ends in records or in [`Error::Corrupt`], with bounded memory.
//!
//! Blocks come to be in the order in which results arrive. Once a root has ended its answers can be
//! written down again in the order of its leaves, in blocks of [`Record::Answer`]; then the blocks
//! before them are put together, each event as it was but for the JSON. So the journal tells at every
//! moment all that it ever told.

mod event;
mod input;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;

use model::outcome::DIGEST_BYTES;
use model::{Event, Said, TaskType, UnixMillis, limits};

use self::input::{Input, put_varint};
use crate::{Error, LeafAnswer};

/// First byte of every block.
const VERSION: u8 = 1;
/// Bytes before the compressed part: the version and the length of the raw part.
const HEAD_BYTES: usize = 5;
/// Bytes before the records in the raw part: which blocks of its root it is.
const SEQUENCE_BYTES: usize = 8;
/// A block is closed when its raw part has this many bytes.
const RAW_BYTES_ENOUGH: usize = 1 << 20;
/// Likewise if it has events alone. Their records are small, and more of them compress better.
const EVENT_BYTES_ENOUGH: usize = 128 << 10;
/// No raw part is longer: one full block and one more answer, or one event on every leaf.
const RAW_BYTES_MAX: usize = 8 << 20;

const TAG_LEAF: u8 = 1;
const TAG_LEAF_WITH_ANSWER: u8 = 2;
const TAG_ALL: u8 = 3;
const TAG_CANCELLED: u8 = 4;
const TAG_LEAF_ANSWERED: u8 = 5;
const TAG_ANSWER: u8 = 6;

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
    /// JSON of the answer; none if it stands in a [`Record::Answer`].
    pub(crate) json: Option<&'a [u8]>,
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
    /// The answer of a leaf that has ended stands here from now on.
    Answer {
        /// The leaf's number.
        number: u32,
        /// JSON of the answer.
        json: &'a [u8],
    },
}

impl<'a> Record<'a> {
    /// Number of the leaf and JSON of the answer that stands here.
    pub(crate) fn answer(&self) -> Option<(u32, &'a [u8])> {
        match self {
            Self::Leaf { number, answer, .. } => Some((*number, answer.as_ref()?.json?)),
            Self::Answer { number, json } => Some((*number, json)),
            Self::All { .. } | Self::Cancelled { .. } => None,
        }
    }
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
    records: usize,
}

impl BlockWriter {
    /// Block `sequence` of its root, from 1.
    pub(crate) fn new(sequence: u32) -> Self {
        let sequence = sequence.to_le_bytes();
        Self {
            raw: [sequence, sequence].concat(),
            records: 0,
        }
    }

    /// It also stands for the blocks of its root up to this one.
    pub(crate) fn stands_up_to(&mut self, last: u32) {
        let head = self.raw.first_chunk_mut::<SEQUENCE_BYTES>();
        if let Some([_, _, _, _, bytes @ ..]) = head {
            *bytes = last.to_le_bytes();
        }
    }

    /// Whether the next record belongs into a new block.
    pub(crate) fn is_full(&self) -> bool {
        self.records >= limits::JOURNAL_BLOCK_EVENTS_MAX || self.raw.len() >= RAW_BYTES_ENOUGH
    }

    /// Likewise in a block of events alone.
    pub(crate) fn is_full_of_events(&self) -> bool {
        self.raw.len() >= EVENT_BYTES_ENOUGH
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
            self.said(&answer.said);
            self.json(&answer.json);
        }
        self.counted()
    }

    /// Adds the answer of a leaf that has ended and returns the record's place in the block.
    pub(crate) fn answer(&mut self, number: u32, json: &[u8]) -> u8 {
        self.raw.push(TAG_ANSWER);
        self.raw.extend_from_slice(&number.to_le_bytes());
        self.json(json);
        self.counted()
    }

    /// Adds a record of another block, without the JSON of an answer, which has to stand elsewhere.
    pub(crate) fn event(&mut self, record: &Record<'_>) {
        match record {
            Record::Leaf {
                number,
                event,
                at,
                answer,
            } => {
                let tag = answer.as_ref().map_or(TAG_LEAF, |_| TAG_LEAF_ANSWERED);
                self.head(tag, *event, *at);
                self.raw.extend_from_slice(&number.to_le_bytes());
                if let Some(answer) = answer {
                    self.said(&answer.said);
                }
                self.records += 1;
            }
            Record::All { event, at, started } => self.all(*event, *at, started),
            Record::Cancelled { at } => self.cancelled(*at),
            Record::Answer { .. } => {}
        }
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

    fn said(&mut self, said: &Said) {
        self.raw.extend_from_slice(said.digest());
        let label = said.label().as_bytes();
        self.raw.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        self.raw.extend_from_slice(label);
    }

    fn json(&mut self, json: &[u8]) {
        let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
        self.raw.extend_from_slice(&length.to_le_bytes());
        self.raw.extend_from_slice(json);
    }

    /// The place of the record that was just added. Blocks with answers are full long before 255.
    fn counted(&mut self) -> u8 {
        self.records += 1;
        u8::try_from(self.records - 1).unwrap_or(u8::MAX)
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
    /// Which blocks of its root it is, from 1: so one that is gone is missed. More than one if they
    /// were put together.
    pub(crate) first: u32,
    pub(crate) last: u32,
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
        let mut head = Input(&raw);
        let (first, last) = (head.u32()?, head.u32()?);
        raw.drain(..SEQUENCE_BYTES);
        if raw.is_empty() {
            return Err(corrupt("a journal block without records".into()));
        }
        Ok(Self {
            first,
            last,
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
        match record(&mut input)?.answer() {
            Some((of, json)) if of == number => Ok(json.to_vec()),
            _ => Err(corrupt(format!(
                "no answer of leaf {number} where it should be"
            ))),
        }
    }
}

/// Each thread keeps its decompressor: making one asks the processor what it can do (`cpuid`), which
/// a virtual machine answers slower than a whole block unpacks.
pub(crate) fn unpack(packed: &[u8], length: usize) -> io::Result<Vec<u8>> {
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
    if tag == TAG_ANSWER {
        return Ok(Record::Answer {
            number: input.u32()?,
            json: json(input)?,
        });
    }
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
            answer: Some(Answered {
                said: said(input)?,
                json: Some(json(input)?),
            }),
        },
        TAG_LEAF_ANSWERED => Record::Leaf {
            number: count,
            event,
            at,
            answer: Some(Answered {
                said: said(input)?,
                json: None,
            }),
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

fn said(input: &mut Input<'_>) -> Result<Said, Error> {
    let digest: [u8; DIGEST_BYTES] = input.array()?;
    let length = usize::from(input.byte()?);
    let label = String::from_utf8(input.take(length)?.to_vec());
    let label = label.map_err(|_| corrupt("a label that is no text".into()))?;
    Ok(Said::new(digest, label))
}

fn json<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Error> {
    let length = usize::try_from(input.u32()?).unwrap_or(usize::MAX);
    input.take(length)
}

fn corrupt(what: String) -> Error {
    Error::Corrupt(what)
}
