//! Packing: the answers of a root that has ended, put into the order of its leaves.
//!
//! Owns which roots it pays for and what one commit of it does. Results stand in the journal in the
//! order in which they arrived, so a page of leaves may need as many blocks as it has leaves. Packing
//! appends the answers once more, in the order of the leaves; each commit also tells the leaves where
//! theirs stands now. When none is left behind, the blocks before are put together: their events stay,
//! the answers in them go. So after each commit the journal tells all that it ever told, every answer
//! is where its leaf says, and whoever reads sees one commit or the next. How far it has come is read
//! from the states, so nothing is lost when it breaks off. `packer` says when this is done.

use std::collections::BTreeMap;

use model::limits;

use super::batch::Batch;
use super::db::{Db, Value, params};
use super::segment;
use super::writer::Weight;
use crate::Error;
use crate::fold::{Place, Slot};
use crate::journal::{Block, BlockWriter, Compressor, Record};

/// Pages of a root that are looked at to find out whether packing pays.
const PAGES_LOOKED_AT: usize = 256;
/// Journal blocks that are read at once; a driver may hold all of them, of a MiB each if answers are long.
const BLOCKS_AT_ONCE: u32 = 16;
/// Segments of states that one commit rewrites, about, where few leaves have an answer.
const SEGMENTS_ENOUGH: usize = 64;
/// What an answer takes in memory beside its bytes.
const ANSWER_OVERHEAD_BYTES: usize = 64;

/// Whether pages of these leaves, of a root that ends, need many journal blocks.
pub(super) fn is_worth(slots: &[Slot]) -> bool {
    if slots.len() < limits::PACK_LEAVES_MIN {
        return false;
    }
    let pages = slots.chunks(size(limits::PAGE_SIZE_DEFAULT));
    let step = pages.len().div_ceil(PAGES_LOOKED_AT).max(1);
    let (mut needed, mut looked_at) = (0, 0);
    for page in pages.step_by(step) {
        let places = page.iter().filter_map(|it| it.place());
        let mut blocks: Vec<u32> = places.map(|it| it.block).collect();
        blocks.sort_unstable();
        blocks.dedup();
        needed += blocks.len();
        looked_at += 1;
    }
    needed > looked_at * limits::PACK_PAGE_BLOCKS
}

/// A root that is to be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) no: i64,
    leaves: u32,
    /// Blocks of its journal.
    blocks: u32,
    /// Those up to this number are as the results arrived.
    to: u32,
}

impl Target {
    /// The oldest one after root number `no`.
    pub(super) fn after(tx: &dyn Db, no: i64) -> Result<Option<Self>, Error> {
        tx.row(
            "SELECT no, total, blocks, pack_to FROM root
             WHERE pack_to IS NOT NULL AND ended_ms IS NOT NULL AND no > ? ORDER BY no LIMIT 1",
            params![no],
            |row| {
                Ok(Self {
                    no: row.get(0)?,
                    leaves: row.get(1)?,
                    blocks: row.get(2)?,
                    to: row.get(3)?,
                })
            },
        )
    }

    /// The first leaf whose answer is still where it arrived, and how many there are.
    pub(super) fn unpacked(&self, tx: &dyn Db) -> Result<(Option<u32>, u32), Error> {
        let (mut lowest, mut count) = (None, 0);
        for first in (1..=self.leaves).step_by(size(limits::COUNT_BLOCK_LEAVES)) {
            let last = first.saturating_add(limits::COUNT_BLOCK_LEAVES - 1);
            let slots = segment::read_states(tx, self.no, first, last.min(self.leaves))?;
            let numbers = (first..).zip(slots);
            for (number, _) in numbers.filter(|(_, slot)| self.is_as_arrived(*slot)) {
                lowest.get_or_insert(number);
                count += 1;
            }
        }
        Ok((lowest, count))
    }

    fn is_as_arrived(&self, slot: Slot) -> bool {
        slot.place().is_some_and(|it| it.block <= self.to)
    }

    /// Reads some of the blocks that are as they arrived, those after block `last`. Returns the number
    /// of the last one read, none if there were no more.
    pub(super) fn read(
        &self,
        tx: &dyn Db,
        last: u32,
        mut each: impl FnMut(u32, &Block) -> Result<(), Error>,
    ) -> Result<Option<u32>, Error> {
        let mut read = None;
        tx.query(
            "SELECT block, data FROM journal WHERE root_no = ? AND block > ? AND block <= ?
             ORDER BY block LIMIT ?",
            params![self.no, last, self.to, BLOCKS_AT_ONCE],
            &mut |row| {
                let block = row.get(0)?;
                read = Some(block);
                each(block, &Block::open(row.get(1)?)?)
            },
        )?;
        Ok(read)
    }
}

/// Answers by leaf, with where they stand; then the first leaf for which there was no room.
pub(super) type Answers = (BTreeMap<u32, (Place, Vec<u8>)>, Option<u32>);

/// The answers that one pass over a journal brings: those of the lowest leaves for which there is room.
pub(super) struct Gathered {
    first: u32,
    end: Option<u32>,
    bytes: usize,
    answers: BTreeMap<u32, (Place, Vec<u8>)>,
}

impl Gathered {
    /// Of leaves from number `first` on.
    pub(super) fn new(first: u32) -> Self {
        Self {
            first,
            end: None,
            bytes: 0,
            answers: BTreeMap::new(),
        }
    }

    /// Takes what is in a block.
    pub(super) fn take(&mut self, block: u32, records: &[Record<'_>]) {
        for (index, record) in (0..=u8::MAX).zip(records) {
            let Some((number, json)) = record.answer() else {
                continue;
            };
            if number < self.first || self.end.is_some_and(|it| number >= it) {
                continue;
            }
            self.bytes += json.len() + ANSWER_OVERHEAD_BYTES;
            let place = Place { block, index };
            self.answers.insert(number, (place, json.to_vec()));
            while self.bytes > limits::PACK_BYTES_MAX && self.answers.len() > 1 {
                let Some((number, (_, json))) = self.answers.pop_last() else {
                    break;
                };
                self.bytes -= json.len() + ANSWER_OVERHEAD_BYTES;
                self.end = Some(number);
            }
        }
    }

    /// What it has brought.
    pub(super) fn done(self) -> Answers {
        (self.answers, self.end)
    }
}

/// An answer that moves to `index` of a new block.
struct Move {
    number: u32,
    from: Place,
    index: u8,
}

/// What one commit does to a root.
pub(super) struct Step {
    /// The root as it is before.
    root: Target,
    /// New blocks of answers.
    answers: Vec<(Vec<u8>, Vec<Move>)>,
    /// Blocks of events: the numbers of the first and the last block that each stands for.
    events: Vec<(u32, u32, Vec<u8>)>,
    segments: usize,
    blocks: usize,
    bytes: usize,
    is_last: bool,
}

impl Step {
    fn new(root: Target) -> Self {
        Self {
            root,
            answers: Vec::new(),
            events: Vec::new(),
            segments: 0,
            blocks: 0,
            bytes: 0,
            is_last: false,
        }
    }

    /// How much it adds to a commit.
    pub(super) fn weight(&self) -> Weight {
        let moves = self.answers.iter().map(|it| it.1.len());
        Weight {
            events: moves.sum(),
            bytes: self.bytes,
        }
    }

    fn is_full(&self) -> bool {
        self.blocks >= limits::PACK_COMMIT_BLOCKS
            || self.bytes >= limits::PACK_COMMIT_BYTES
            || self.segments >= SEGMENTS_ENOUGH
    }

    /// Does it. If the root was dropped meanwhile, nothing.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the root is not as it was read; then nothing may be committed of it.
    pub(super) fn write(&self, batch: &mut Batch<'_>) -> Result<(), Error> {
        let (tx, Target { no, blocks, to, .. }) = (batch.tx, self.root);
        let row = tx.row(
            "SELECT blocks, pack_to FROM root WHERE no = ?",
            params![no],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        match row {
            None => return Ok(()),
            Some(found) if found == (blocks, Some(to)) => {}
            Some(_) => return Err(Error::Corrupt(format!("root number {no} has changed"))),
        }
        self.write_answers(batch)?;
        for (first, last, data) in &self.events {
            tx.execute(
                "DELETE FROM journal WHERE root_no = ? AND block >= ? AND block <= ?",
                params![no, *first, *last],
            )?;
            let values = [Value::from(*last), no.into(), data.into()];
            tx.insert_many("journal", &["block", "root_no", "data"], &values)?;
        }
        let added = u32::try_from(self.answers.len()).unwrap_or(u32::MAX);
        let to = (!self.is_last).then_some(to);
        tx.execute(
            "UPDATE root SET blocks = ?, pack_to = ? WHERE no = ?",
            params![blocks.saturating_add(added), to, no],
        )?;
        Ok(())
    }

    fn write_answers(&self, batch: &mut Batch<'_>) -> Result<(), Error> {
        let numbers = batch.block_numbers(self.answers.len())?;
        let (mut values, mut moves) = (Vec::new(), Vec::new());
        for (block, (data, leaves)) in numbers.zip(&self.answers) {
            values.extend([Value::from(block), self.root.no.into(), data.into()]);
            moves.extend(leaves.iter().map(|it| (it, block)));
        }
        let columns = ["block", "root_no", "data"];
        batch.tx.insert_many("journal", &columns, &values)?;
        let of_segment = |it: &(&Move, u32)| (it.0.number - 1) / limits::SEGMENT_LEAVES;
        for moves in moves.chunk_by(|a, b| of_segment(a) == of_segment(b)) {
            self.place(batch.tx, moves)?;
        }
        Ok(())
    }

    /// Tells leaves of one segment where their answers stand now.
    fn place(&self, tx: &dyn Db, moves: &[(&Move, u32)]) -> Result<(), Error> {
        let Target { no, leaves, to, .. } = self.root;
        let Some((any, _)) = moves.first() else {
            return Ok(());
        };
        let first = (any.number - 1) / limits::SEGMENT_LEAVES * limits::SEGMENT_LEAVES + 1;
        let last = (first + (limits::SEGMENT_LEAVES - 1)).min(leaves);
        let mut slots = segment::read_states(tx, no, first, last)?;
        for (
            Move {
                number,
                from,
                index,
            },
            block,
        ) in moves
        {
            let slot = slots.get_mut(size(*number - first));
            let slot = slot.filter(|it| it.place() == Some(*from) && self.root.is_as_arrived(**it));
            // Otherwise there would be no end to it.
            let slot = slot.filter(|_| *block > to).ok_or_else(|| {
                Error::Corrupt(format!(
                    "leaf {number} of root number {no} has its answer elsewhere"
                ))
            })?;
            *slot = slot.placed(Place {
                block: *block,
                index: *index,
            });
        }
        segment::rewrite_states(tx, no, first, &slots)
    }
}

/// Turns what was read of a root into steps.
pub(super) struct Steps<'a> {
    step: Step,
    compressor: &'a mut Compressor,
    open: Option<(BlockWriter, Vec<Move>)>,
    /// Numbers of the first and last block that the open one stands for.
    span: Option<(u32, u32, BlockWriter)>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(root: Target, compressor: &'a mut Compressor) -> Self {
        Self {
            step: Step::new(root),
            compressor,
            open: None,
            span: None,
        }
    }

    /// Adds the answer of a leaf, in their order. Returns a step when one is full.
    pub(super) fn answer(
        &mut self,
        number: u32,
        from: Place,
        json: &[u8],
    ) -> Result<Option<Step>, Error> {
        if self.open.is_none() {
            let added = u32::try_from(self.step.answers.len()).unwrap_or(u32::MAX);
            let sequence = self
                .step
                .root
                .blocks
                .saturating_add(added)
                .saturating_add(1);
            self.open = Some((BlockWriter::new(sequence), Vec::new()));
        }
        if let Some((writer, moves)) = &mut self.open {
            let index = writer.answer(number, json);
            moves.push(Move {
                number,
                from,
                index,
            });
            if writer.is_full() {
                self.close_answers()?;
            }
        }
        Ok(self.full())
    }

    /// No more answers come.
    pub(super) fn close_answers(&mut self) -> Result<(), Error> {
        if let Some((writer, moves)) = self.open.take() {
            let data = writer.seal(self.compressor).map_err(unavailable)?;
            let of = |it: &Move| (it.number - 1) / limits::SEGMENT_LEAVES;
            self.step.segments += moves.chunk_by(|a, b| of(a) == of(b)).count();
            self.step.blocks += 1;
            self.step.bytes += data.len();
            self.step.answers.push((data, moves));
        }
        Ok(())
    }

    /// Adds the events of a block none of whose answers is needed any more. Returns a step when one
    /// is full.
    pub(super) fn events(&mut self, number: u32, block: &Block) -> Result<Option<Step>, Error> {
        if block.first < block.last {
            // It was put together before.
            self.close_events()?;
            return Ok(self.full());
        }
        let (first, _, mut writer) = self
            .span
            .take()
            .unwrap_or_else(|| (number, number, BlockWriter::new(block.first)));
        block.records()?.iter().for_each(|it| writer.event(it));
        writer.stands_up_to(block.last);
        self.step.blocks += 1;
        let is_full = writer.is_full_of_events();
        self.span = Some((first, number, writer));
        if is_full || self.step.is_full() {
            self.close_events()?;
        }
        Ok(self.full())
    }

    fn close_events(&mut self) -> Result<(), Error> {
        if let Some((first, last, writer)) = self.span.take() {
            let data = writer.seal(self.compressor).map_err(unavailable)?;
            self.step.bytes += data.len();
            self.step.events.push((first, last, data));
        }
        Ok(())
    }

    /// The last step.
    pub(super) fn finish(mut self) -> Result<Step, Error> {
        self.close_events()?;
        self.step.is_last = true;
        Ok(self.step)
    }

    /// The step that is full, and a new one in its place.
    fn full(&mut self) -> Option<Step> {
        if !self.step.is_full() {
            return None;
        }
        let added = u32::try_from(self.step.answers.len()).unwrap_or(u32::MAX);
        let root = Target {
            blocks: self.step.root.blocks.saturating_add(added),
            ..self.step.root
        };
        Some(std::mem::replace(&mut self.step, Step::new(root)))
    }
}

fn unavailable(error: std::io::Error) -> Error {
    Error::Unavailable(Box::new(error))
}

fn size(leaves: u32) -> usize {
    usize::try_from(leaves).unwrap_or(usize::MAX)
}
