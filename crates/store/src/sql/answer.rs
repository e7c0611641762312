//! The answers of leaves that were picked.
//!
//! Owns how they are fetched from the journal, one block at a time. Used for pages and by `verify`.

use super::db::{Db, params};
use super::page::{Pick, Picked};
use super::segment;
use crate::fold::Place;
use crate::journal::Block;
use crate::{Error, Leaf, Page};

/// Completes rows that were picked; reads the journal for up to so many bytes of answers.
pub(super) fn complete(
    tx: &dyn Db,
    picked: Picked,
    answers_bytes_max: usize,
) -> Result<Page<Leaf>, Error> {
    let mut rows: Vec<Leaf> = picked
        .picks
        .iter()
        .map(|pick| Leaf {
            id: pick.root.leaf(pick.number),
            host: pick.host,
            state: pick.slot.state(pick.created),
            answer: None,
            answer_left_out: false,
        })
        .collect();
    if answers_bytes_max > 0 {
        let placed = rows.iter_mut().zip(&picked.picks);
        let mut wanted: Vec<_> = placed
            .filter_map(|(row, pick)| Some((pick.slot.place()?, pick, row)))
            .collect();
        wanted.sort_by_key(|(place, ..)| place.block);
        let mut answers = Answers::new(tx);
        let mut room = answers_bytes_max;
        for (place, pick, row) in wanted {
            if room == 0 {
                row.answer_left_out = true;
                continue;
            }
            let read = answers.read(place, pick.number);
            let answer = read.or_else(|error| answers.read_moved(pick, place, error))?;
            room = room.saturating_sub(answer.len());
            row.answer = Some(answer);
        }
    }
    Ok(Page {
        rows,
        total: picked.total,
    })
}

/// Reads answers from the journal; fast if the places come in the order of their blocks.
pub(super) struct Answers<'a> {
    tx: &'a dyn Db,
    open: Option<(u32, Block)>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(tx: &'a dyn Db) -> Self {
        Self { tx, open: None }
    }

    /// The answer of leaf `number` at this place.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is none.
    pub(super) fn read(&mut self, place: Place, number: u32) -> Result<Vec<u8>, Error> {
        let block = match self.open.take().filter(|it| it.0 == place.block) {
            Some((_, block)) => block,
            None => self.block(place.block)?,
        };
        let answer = block.answer(place.index, number);
        self.open = Some((place.block, block));
        answer
    }

    /// The answer that was not at `place`. A root that was running a moment ago can have ended and been
    /// packed since its memory was looked at: then the file says where the answer stands now.
    fn read_moved(&mut self, pick: &Pick, place: Place, error: Error) -> Result<Vec<u8>, Error> {
        let (Pick { no, number, .. }, Error::Corrupt(_)) = (*pick, &error) else {
            return Err(error);
        };
        let stored = segment::read_states(self.tx, no, number, number);
        let stored = stored.ok().and_then(|it| it.first()?.place());
        match stored.filter(|it| *it != place) {
            Some(place) => self.read(place, number),
            None => Err(error),
        }
    }

    fn block(&self, number: u32) -> Result<Block, Error> {
        let sql = "SELECT data FROM journal WHERE block = ?";
        let block = self
            .tx
            .row(sql, params![number], |row| Block::open(row.get(0)?))?;
        block.ok_or_else(|| Error::Corrupt(format!("journal block {number} is gone")))
    }
}
