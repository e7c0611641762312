//! One commit in the making.
//!
//! Owns what the commands of one commit have changed so far: it stands beside the published memory,
//! which stays untouched until the commit has succeeded. Commands run on it one after the other and
//! see what those before them did. Called by the writer.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use model::{Effect, Event, LeafState, RootId, Said, Status, Totals, UnixMillis, limits};

use super::active::{Active, Publication, RootChange};
use super::db::{Db, Value, params};
use super::rank_count::Counts;
use super::snapshot::Snapshots;
use super::{outcome, pack, segment};
use crate::fold::{self, Fold, Place, Slot};
use crate::journal::{self, BlockWriter, Compressor};
use crate::outcome::Outcomes;
use crate::{Applied, Error, HostNo, LeafAnswer, LeafSlot};

/// See the module.
pub(super) struct Batch<'a> {
    /// The open write transaction.
    pub(super) tx: &'a dyn Db,
    /// What is published.
    pub(super) active: &'a Active,
    stages: BTreeMap<i64, Stage<'a>>,
    created: HashMap<RootId, i64>,
    blocks: Blocks<'a>,
    /// Lists of hosts that came with results.
    pub(super) snapshots: Snapshots,
    publication: Publication,
}

impl<'a> Batch<'a> {
    /// An empty one; the next journal block gets number `block`.
    pub(super) fn new(
        tx: &'a dyn Db,
        active: &'a Active,
        block: u32,
        compressor: &'a mut Compressor,
    ) -> Self {
        Self {
            tx,
            active,
            stages: BTreeMap::new(),
            created: HashMap::new(),
            blocks: Blocks {
                next: block,
                sealed: Vec::new(),
                compressor,
                failed: None,
            },
            snapshots: Snapshots::default(),
            publication: Publication::default(),
        }
    }

    /// A root was inserted.
    pub(super) fn root_created(&mut self, fold: Fold) {
        self.publication.no_max = Some(fold.no);
        if fold.root.ended_at.is_none() {
            self.created.insert(fold.root.id, fold.no);
            self.stages
                .insert(fold.no, Stage::new(Base::New(Box::new(fold))));
        }
    }

    /// The numbers of so many journal blocks, which the caller inserts.
    pub(super) fn block_numbers(&mut self, count: usize) -> Result<Range<u32>, Error> {
        let first = self.blocks.next;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let end = first.checked_add(count);
        self.blocks.next =
            end.ok_or_else(|| Error::Unavailable("the journal has no numbers left".into()))?;
        Ok(first..self.blocks.next)
    }

    /// A host was inserted.
    pub(super) fn host_added(&mut self, host: HostNo) {
        self.publication.hosts_added.push(host);
    }

    /// A host was marked as removed.
    pub(super) fn host_removed(&mut self, host: HostNo) {
        self.publication.hosts_removed.push(host);
    }

    /// The unfinished root of this id, with where its events go.
    pub(super) fn stage(&mut self, id: RootId) -> Option<(&mut Stage<'a>, &mut Blocks<'a>)> {
        let published = self.active.find(id);
        let no = match published {
            Some(fold) => fold.no,
            None => *self.created.get(&id)?,
        };
        if let Some(fold) = published {
            self.stages
                .entry(no)
                .or_insert_with(|| Stage::new(Base::Published(fold)));
        }
        Some((self.stages.get_mut(&no)?, &mut self.blocks))
    }

    /// Writes down all that was staged. Returns what to publish after the commit and the number of
    /// the next journal block.
    ///
    /// # Errors
    /// If anything of it cannot be written: then nothing may be committed.
    pub(super) fn finish(self) -> Result<(Publication, u32), Error> {
        let (mut stages, mut blocks) = (self.stages, self.blocks);
        for stage in stages.values_mut() {
            stage.close_block(&mut blocks);
        }
        blocks.write(self.tx)?;
        let mut publication = self.publication;
        for stage in stages.values() {
            publication.to_pack |= stage.write(self.tx, blocks.next.saturating_sub(1))?;
        }
        self.snapshots.write(self.tx, |host| {
            let there = [self.active.hosts(), &publication.hosts_added];
            let is_there = there.iter().any(|it| it.binary_search(&host).is_ok());
            is_there && !publication.hosts_removed.contains(&host)
        })?;
        publication.roots = stages.into_values().map(Stage::into_change).collect();
        Ok((publication, blocks.next))
    }
}

/// The journal blocks of one commit.
pub(super) struct Blocks<'a> {
    next: u32,
    sealed: Vec<(u32, i64, Vec<u8>)>,
    compressor: &'a mut Compressor,
    failed: Option<std::io::Error>,
}

impl Blocks<'_> {
    /// A new block, the one of this place among those of its root.
    fn open(&mut self, sequence: u32) -> (u32, BlockWriter) {
        let block = self.next;
        match block.checked_add(1) {
            Some(next) => self.next = next,
            None => self.failed = Some(std::io::Error::other("the journal has no numbers left")),
        }
        (block, BlockWriter::new(sequence))
    }

    fn seal(&mut self, root: i64, (block, writer): (u32, BlockWriter)) {
        match writer.seal(self.compressor) {
            Ok(data) => self.sealed.push((block, root, data)),
            Err(error) => self.failed = Some(error),
        }
    }

    fn write(&mut self, tx: &dyn Db) -> Result<(), Error> {
        if let Some(error) = self.failed.take() {
            return Err(Error::Unavailable(Box::new(error)));
        }
        self.sealed.sort_unstable_by_key(|it| it.0);
        let rows = self.sealed.iter();
        let values: Vec<_> = rows
            .flat_map(|(block, root, data)| [Value::from(*block), (*root).into(), data.into()])
            .collect();
        tx.insert_many("journal", &["block", "root_no", "data"], &values)
    }
}

enum Base<'a> {
    Published(&'a Fold),
    New(Box<Fold>),
}

/// What the commit has changed of one unfinished root.
pub(super) struct Stage<'a> {
    base: Base<'a>,
    slots: HashMap<u32, Slot>,
    totals: Totals,
    outcomes: Arc<Outcomes>,
    /// Blocks of the root's journal, with those of this commit.
    blocks: u32,
    cancelled: Option<UnixMillis>,
    ended: Option<UnixMillis>,
    block: Option<(u32, BlockWriter)>,
    is_written: bool,
}

impl<'a> Stage<'a> {
    fn new(base: Base<'a>) -> Self {
        let fold = match &base {
            Base::Published(fold) => fold,
            Base::New(fold) => &**fold,
        };
        Self {
            totals: fold.root.totals,
            outcomes: Arc::clone(&fold.outcomes),
            blocks: fold.blocks,
            cancelled: fold.root.cancelled_at,
            slots: HashMap::new(),
            ended: None,
            block: None,
            is_written: true,
            base,
        }
    }

    fn fold(&self) -> &Fold {
        match &self.base {
            Base::Published(fold) => fold,
            Base::New(fold) => fold,
        }
    }

    /// The host of leaf `number`, if what it reports is an inventory.
    pub(super) fn inventoried(&self, number: u32) -> Option<HostNo> {
        let fold = self.fold();
        let is_inventory = fold.root.task_type.takes_inventory();
        fold.host(number).filter(|_| is_inventory)
    }

    fn slot(&self, number: u32) -> Option<Slot> {
        let staged = self.slots.get(&number).copied();
        staged.or_else(|| self.fold().slot(number))
    }

    /// Marks the root as cancelled; returns whether it was not yet.
    pub(super) fn cancel(&mut self, blocks: &mut Blocks<'_>, now: UnixMillis) -> bool {
        let is_news = self.cancelled.is_none() && self.ended.is_none();
        if is_news {
            self.room(blocks).1.cancelled(now);
            self.cancelled = Some(now);
            self.is_written = false;
        }
        is_news
    }

    /// What an event does to a leaf. A leaf of a cancelled root is not taken any more.
    fn next(&self, before: LeafState, event: Event, now: UnixMillis) -> (LeafState, Effect) {
        if event == Event::Taken && self.cancelled.is_some() {
            return (before, Effect::Unchanged);
        }
        before.next(event, now)
    }

    fn is_kept(&self, event: Event) -> bool {
        journal::is_kept(event, self.fold().root.task_type)
    }

    /// Whether the journal would tell another end of this leaf if it did not tell that it was taken.
    fn depends_on_taken(&self, before: LeafState, event: Event, after: LeafState) -> bool {
        let waiting = LeafState {
            status: Status::Init,
            ..before
        };
        before.status == Status::Start
            && !self.is_kept(Event::Taken)
            && waiting.next(event, after.at).0 != after
    }

    /// Runs one event on leaf `number`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such leaf; [`Error::Corrupt`] if the answer is longer than
    /// [`limits::ANSWER_BYTES_MAX`].
    pub(super) fn apply(
        &mut self,
        blocks: &mut Blocks<'_>,
        number: u32,
        event: Event,
        answer: Option<&LeafAnswer>,
        now: UnixMillis,
    ) -> Result<Applied, Error> {
        let slot = self.slot(number).ok_or(Error::NotFound)?;
        let answer = answer.filter(|_| matches!(event, Event::Ended { .. }));
        if answer.is_some_and(|it| it.json.len() > limits::ANSWER_BYTES_MAX) {
            return Err(Error::Corrupt("an answer is too long".into()));
        }
        let created = self.fold().root.created_at;
        let now = fold::clamp(now, created);
        let before = slot.state(created);
        let (after, effect) = self.next(before, event, now);
        if effect == Effect::Moved {
            let mut place = slot.place();
            if self.is_kept(event) {
                if self.depends_on_taken(before, event, after) {
                    self.room(blocks)
                        .1
                        .leaf(number, Event::Taken, before.at, None);
                }
                let (block, writer) = self.room(blocks);
                let index = writer.leaf(number, event, now, answer);
                place = answer.map(|_| Place { block, index }).or(place);
                self.is_written = false;
            }
            self.put(number, before, after, place, answer.map(|it| &it.said));
        }
        Ok(Applied {
            before,
            after,
            effect,
            root_ended: effect == Effect::Moved && self.end(now),
        })
    }

    /// Runs one event on every unfinished leaf; see [`crate::Store::leaf_apply_all`].
    pub(super) fn apply_all(
        &mut self,
        blocks: &mut Blocks<'_>,
        event: Event,
        now: UnixMillis,
    ) -> Vec<(LeafSlot, Applied)> {
        let root = &self.fold().root;
        let (id, created) = (root.id, root.created_at);
        let now = fold::clamp(now, created);
        let (leaves, is_taken_kept) = (self.fold().leaves(), self.is_kept(Event::Taken));
        let (mut started, mut results, mut has_moved) = (Vec::new(), Vec::new(), false);
        for number in 1..=leaves {
            let (Some(slot), Some(host)) = (self.slot(number), self.fold().host(number)) else {
                break;
            };
            if slot.status == Status::Start && !is_taken_kept {
                started.push(number);
            }
            let before = slot.state(created);
            let (after, effect) = self.next(before, event, now);
            if effect == Effect::Moved {
                self.put(number, before, after, slot.place(), None);
                has_moved = true;
            }
            if effect != Effect::Unchanged {
                let leaf = LeafSlot {
                    id: id.leaf(number),
                    host,
                    state: after,
                };
                let applied = Applied {
                    before,
                    after,
                    effect,
                    root_ended: false,
                };
                results.push((leaf, applied));
            }
        }
        if has_moved && self.is_kept(event) {
            self.close_block(blocks);
            self.room(blocks).1.all(event, now, &started);
            self.close_block(blocks);
            self.is_written = false;
        }
        if has_moved
            && self.end(now)
            && let Some((_, last)) = results.last_mut()
        {
            last.root_ended = true;
        }
        results
    }

    fn put(
        &mut self,
        number: u32,
        before: LeafState,
        after: LeafState,
        place: Option<Place>,
        said: Option<&Said>,
    ) {
        let created = self.fold().root.created_at;
        let outcome = if after.status.is_final() {
            Arc::make_mut(&mut self.outcomes).add(after, said, number)
        } else {
            0
        };
        let slot = Slot::new(after, place, outcome, created);
        self.slots.insert(number, slot);
        self.totals.apply(before, after, Effect::Moved);
    }

    /// Whether the root has just ended.
    fn end(&mut self, now: UnixMillis) -> bool {
        let has_ended = self.totals.unfinished() == 0;
        if has_ended {
            self.ended = Some(now);
        }
        has_ended
    }

    /// A block with room for one more record.
    fn room(&mut self, blocks: &mut Blocks<'_>) -> (u32, &mut BlockWriter) {
        if self.block.as_ref().is_some_and(|(_, it)| it.is_full()) {
            self.close_block(blocks);
        }
        let (block, writer) = self.block.get_or_insert_with(|| {
            self.blocks += 1;
            blocks.open(self.blocks)
        });
        (*block, writer)
    }

    fn close_block(&mut self, blocks: &mut Blocks<'_>) {
        if let Some(block) = self.block.take() {
            blocks.seal(self.fold().no, block);
        }
    }

    /// Writes down the root; its journal has no block of a number beyond `block`. Returns whether it has
    /// ended and is to be packed.
    fn write(&self, tx: &dyn Db, block: u32) -> Result<bool, Error> {
        if self.is_written {
            return Ok(false);
        }
        let fold = self.fold();
        let slots: Option<Vec<Slot>> = self.ended.map(|_| {
            (1_u32..)
                .zip(fold.slots())
                .map(|(number, old)| self.slots.get(&number).copied().unwrap_or(old))
                .collect()
        });
        let is_to_pack = slots.as_deref().is_some_and(pack::is_worth);
        tx.execute(
            "UPDATE root SET success = ?, fail = ?, timeout = ?, cancelled_ms = ?, ended_ms = ?,
               blocks = ?, pack_to = ? WHERE no = ?",
            params![
                self.totals.success,
                self.totals.fail,
                self.totals.timeout,
                self.cancelled.map(|it| it.0),
                self.ended.map(|it| it.0),
                self.blocks,
                is_to_pack.then_some(block),
                fold.no,
            ],
        )?;
        if let Some(slots) = slots {
            segment::write_states(tx, fold.no, &slots)?;
            segment::write_counts(tx, fold.no, &slots)?;
            Counts::of_rows(tx, "no = ?", &[fold.no.into()])?.add(tx)?;
            outcome::write(tx, fold.no, self.outcomes.all())?;
        }
        Ok(is_to_pack)
    }

    fn into_change(self) -> RootChange {
        let no = self.fold().no;
        RootChange {
            no,
            slots: self.slots,
            outcomes: self.outcomes,
            blocks: self.blocks,
            cancelled: self.cancelled,
            ended: self.ended.is_some(),
            created: match self.base {
                Base::Published(_) => None,
                Base::New(fold) => Some(fold),
            },
        }
    }
}
