//! The agent's memory of orders, in files: what waits, what was begun, what came of it, what the
//! server has.
//!
//! A leaf has one file of records (`record`): the order, a mark before anything starts that must not
//! start twice, the result. It is `LEAF.held` until the server has the result and `LEAF.done` for a
//! day past the order's deadline, so that a late repeat is answered and never run again.
//!
//! **What is synced, and what need not be.** Before an order is confirmed: the order. Before a command
//! starts: its mark, which goes with the order into one write where the command starts at once. Before
//! a result is sent: the result. So a command costs two syncs, both of content alone (`fdatasync`),
//! since a file's name and room were made durable before it was anybody's: spares are made a few at a
//! time and their directory is synced once, nearly always while nobody waits. What a crash may undo:
//! - the name `LEAF.held`: the spare with the order in it is found and named at the next start;
//! - the name `LEAF.done`: the result is sent once more, which the server expects;
//! - the process group in the mark: a power cut ends the command, too, and a killed agent undoes nothing;
//! - the removal of an old file: it is old at the next start as well.
//!
//! A record that a crash cut short was never confirmed, begun or sent; what stands before it in the
//! file is written again with the same bytes only.
//!
//! So after a crash an order with nothing behind it was never begun, and may be. One with anything
//! behind it, whole or not, is never run. What cannot be read as what it should be is moved aside, but
//! its leaf stays known; what cannot be read at all for now is left alone. The session is the only
//! caller. Nothing found in the directory can stop the agent from starting.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use model::{LeafId, Reason, Status, UnixMillis};
use prost::Message;
use protocol::answer::Answer;
use protocol::frame::{LeafResult, SignedOrder};
use tracing::warn;

use crate::config::{create_private_dir, sync_parent};
use files::{Found, adopt, end_group, length, named, order_in, set_aside, write_at};
use record::{Kind, encode, parse};
use spares::Spares;

mod files;
mod mark;
mod record;
mod spares;

pub use files::unconfirmed;
pub use mark::Mark;

/// Acknowledged leaves are remembered for this long past their deadline, in ms.
const REMEMBERED_MS: i64 = 24 * 3_600_000;
/// Most acknowledged leaves that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Part of an acknowledged leaf's file that is read for its deadline, in bytes: nearly every order is
/// shorter, and one that is not is remembered for a day from the start.
const ORDER_READ_BYTES: u64 = 64 << 10;

/// Why the journal cannot take an entry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No space or no quota left.
    #[error("the agent's disk is full")]
    DiskFull(#[source] io::Error),
    /// Any other failure of the disk.
    #[error("the agent's journal {0} cannot be used")]
    Io(PathBuf, #[source] io::Error),
}

/// How far a leaf has come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its order is on disk; it waits or runs.
    Taken,
    /// Its result is here and the server has not confirmed it.
    Ended,
    /// The server has its result.
    Acknowledged,
}

#[derive(Clone, Copy)]
struct Entry {
    stage: Stage,
    deadline: UnixMillis,
    /// Length of its records, in bytes; `None`: it has no file that can be written on.
    end: Option<u64>,
    /// Where its mark stands, in bytes; `None`: it was not begun.
    mark_at: Option<u64>,
}

/// The journal.
pub struct Journal {
    dir: PathBuf,
    entries: BTreeMap<LeafId, Entry>,
    /// Leaves whose orders waited when the agent stopped and were not handed out since.
    left_waiting: BTreeSet<LeafId>,
    /// Results that the disk did not take.
    unwritten: BTreeMap<LeafId, LeafResult>,
    spares: Spares,
}

/// A result without any report.
#[must_use]
pub fn bare_result(
    leaf: LeafId,
    status: Status,
    reason: Reason,
    message: &str,
    now: UnixMillis,
) -> LeafResult {
    let answer = Answer {
        message: message.to_owned(),
        ..Answer::default()
    };
    LeafResult {
        leaf_id: leaf.to_string(),
        status: u32::from(status.wire_number()),
        reason: reason.wire().to_owned(),
        answer: serde_json::to_vec(&answer).unwrap_or_default(),
        ended_ms: now.0,
    }
}

impl Journal {
    /// Opens the journal. A leaf that was begun and has no result ran when the agent stopped: what
    /// still runs of it is killed, and it gets the result "agent restarted". One that only waited is
    /// handed out by [`Self::left_waiting`].
    ///
    /// # Errors
    /// The directory cannot be made or listed.
    pub fn open(dir: &Path, now: UnixMillis) -> Result<Self, Error> {
        let failed = |error| Error::Io(dir.to_owned(), error);
        create_private_dir(dir).map_err(failed)?;
        let mut found: BTreeMap<LeafId, Found> = BTreeMap::new();
        for item in fs::read_dir(dir).map_err(failed)? {
            let path = item.map_err(failed)?.path();
            if path.extension().is_some_and(|it| it == "spare") {
                if let Some(leaf) = adopt(&path) {
                    found.entry(leaf).or_default().held = true;
                }
            } else if let Some((leaf, kind)) = named(&path) {
                found.entry(leaf).or_default().note(kind);
            }
        }
        let mut journal = Self {
            dir: dir.to_owned(),
            entries: BTreeMap::new(),
            left_waiting: BTreeSet::new(),
            unwritten: BTreeMap::new(),
            spares: Spares::default(),
        };
        for (leaf, files) in found {
            journal.recover(leaf, &files, now);
        }
        journal.prune(now);
        Ok(journal)
    }

    fn recover(&mut self, leaf: LeafId, files: &Found, now: UnixMillis) {
        if files.done {
            let deadline = self.deadline_of_done(leaf).unwrap_or(now);
            self.note(leaf, Stage::Acknowledged, deadline);
        } else if files.held {
            if self.look(leaf, now).is_some() {
                self.left_waiting.insert(leaf);
            }
        } else if files.damaged {
            self.end(leaf, damaged(leaf, now));
        }
    }

    /// Of a leaf that has no file that can be written on.
    fn note(&mut self, leaf: LeafId, stage: Stage, deadline: UnixMillis) {
        let entry = Entry {
            stage,
            deadline,
            end: None,
            mark_at: None,
        };
        self.entries.insert(leaf, entry);
    }

    /// Reads what was held when the agent stopped. Returns the order if it only waited.
    fn look(&mut self, leaf: LeafId, now: UnixMillis) -> Option<SignedOrder> {
        let path = self.path(leaf, "held");
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(leaf.id = %leaf, error = %error, "an order cannot be read now; it is tried again");
                self.note(leaf, Stage::Taken, now);
                self.left_waiting.insert(leaf);
                return None;
            }
            read => read.unwrap_or_default(),
        };
        let records = parse(&bytes);
        let order = order_in(&records, leaf);
        let deadline = order.as_ref().map(|it| UnixMillis(it.1.deadline_ms));
        let deadline = deadline.unwrap_or(now);
        if records.result.is_some() {
            self.note(leaf, Stage::Ended, deadline);
            return None;
        }
        self.note(leaf, Stage::Taken, deadline);
        let Some((signed, _)) = order else {
            set_aside(&path);
            self.end(leaf, damaged(leaf, now));
            return None;
        };
        if let Some(entry) = self.entries.get_mut(&leaf) {
            entry.end = Some(records.end);
        }
        if records.begun.is_none() && !records.is_broken {
            return Some(signed);
        }
        let message = match end_group(&records) {
            true => "the agent stopped while this ran; it was stopped and is not run again",
            false => "the agent stopped while this ran; it is not run again",
        };
        warn!(leaf.id = %leaf, "this leaf was not finished when the agent stopped");
        let reason = Reason::AgentRestarted;
        self.end(leaf, bare_result(leaf, Status::Fail, reason, message, now));
        None
    }

    fn deadline_of_done(&self, leaf: LeafId) -> Option<UnixMillis> {
        let mut bytes = Vec::new();
        let file = File::open(self.path(leaf, "done")).ok()?;
        file.take(ORDER_READ_BYTES).read_to_end(&mut bytes).ok()?;
        order_in(&parse(&bytes), leaf).map(|it| UnixMillis(it.1.deadline_ms))
    }

    /// Orders that waited when the agent stopped, each once. One that cannot be read now is handed
    /// out by a later call.
    pub fn left_waiting(&mut self, now: UnixMillis) -> Vec<(LeafId, SignedOrder)> {
        let leaves = std::mem::take(&mut self.left_waiting).into_iter();
        leaves
            .filter_map(|leaf| Some((leaf, self.look(leaf, now)?)))
            .collect()
    }

    /// How far the leaf has come; `None`: never heard of.
    #[must_use]
    pub fn stage(&self, leaf: LeafId) -> Option<Stage> {
        self.entries.get(&leaf).map(|it| it.stage)
    }

    /// Makes an order durable, and with `begins` that it is begun, too. It may be confirmed only
    /// after this.
    ///
    /// # Errors
    /// The disk does not take it: the work must not start.
    pub fn take(
        &mut self,
        leaf: LeafId,
        deadline: UnixMillis,
        order: &SignedOrder,
        begins: bool,
    ) -> Result<(), Error> {
        let mut records = encode(Kind::Order, &order.encode_to_vec());
        let mark_at = begins.then(|| length(&records));
        if begins {
            records.extend(Mark::blank());
        }
        self.create(leaf, &records)
            .map_err(|error| self.error(error))?;
        let entry = Entry {
            stage: Stage::Taken,
            deadline,
            end: Some(length(&records)),
            mark_at,
        };
        self.entries.insert(leaf, entry);
        Ok(())
    }

    /// Makes "this leaf was begun" durable, if it is not yet. Work that must not run twice may start
    /// only after this. Returns where its process group is to be noted.
    ///
    /// # Errors
    /// The disk does not take it: the work must not start.
    pub fn begin(&mut self, leaf: LeafId) -> Result<Mark, Error> {
        let at = self.mark(leaf).map_err(|error| self.error(error))?;
        let path = self.path(leaf, "held");
        Ok(Mark { path, at })
    }

    fn mark(&mut self, leaf: LeafId) -> io::Result<u64> {
        let path = self.path(leaf, "held");
        let entry = self.entries.get_mut(&leaf);
        let entry = entry.ok_or(io::ErrorKind::NotFound)?;
        if let Some(at) = entry.mark_at {
            return Ok(at);
        }
        let at = entry.end.ok_or(io::ErrorKind::NotFound)?;
        let record = Mark::blank();
        write_at(&path, at, &record)?;
        entry.mark_at = Some(at);
        entry.end = Some(at + length(&record));
        Ok(at)
    }

    /// Makes a leaf's first records durable, in a file of its own.
    fn create(&mut self, leaf: LeafId, records: &[u8]) -> io::Result<()> {
        let spare = self.spares.take(&self.dir)?;
        let written =
            write_at(&spare, 0, records).and_then(|()| fs::rename(&spare, self.path(leaf, "held")));
        if written.is_err() {
            // It may lie there all the same, and must not wait for the next start.
            self.discard(leaf, &spare);
        }
        written
    }

    /// Makes sure that no later start of the agent runs the leaf, though its result is not on disk.
    fn forbid(&mut self, leaf: LeafId) {
        if self.mark(leaf).is_err() {
            self.discard(leaf, &self.path(leaf, "held"));
        }
    }

    fn discard(&self, leaf: LeafId, path: &Path) {
        if let Err(error) = fs::remove_file(path).and_then(|()| sync_parent(path))
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(leaf.id = %leaf, error = %error, "the order may be run again after a restart");
        }
    }

    fn error(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull(error),
            _ => Error::Io(self.dir.clone(), error),
        }
    }

    /// Keeps a result: on disk, or in memory as long as the disk does not take it.
    pub fn end(&mut self, leaf: LeafId, result: LeafResult) {
        self.left_waiting.remove(&leaf);
        if let Err(error) = self.write(leaf, &result) {
            warn!(leaf.id = %leaf, error = %error, "a result cannot be written; it stays in memory");
            self.forbid(leaf);
            self.unwritten.insert(leaf, result.clone());
        }
        let deadline = self.entries.get(&leaf).map(|it| it.deadline);
        let deadline = deadline.unwrap_or(UnixMillis(result.ended_ms));
        self.note(leaf, Stage::Ended, deadline);
    }

    /// Makes a result durable: behind the leaf's records, or in a file of its own where it has none.
    fn write(&mut self, leaf: LeafId, result: &LeafResult) -> io::Result<()> {
        let record = encode(Kind::Result, &result.encode_to_vec());
        match self.entries.get(&leaf).and_then(|it| it.end) {
            Some(end) => write_at(&self.path(leaf, "held"), end, &record),
            None => self.create(leaf, &record),
        }
    }

    /// The leaf's result, if it has ended and can be read now.
    pub fn result(&mut self, leaf: LeafId, now: UnixMillis) -> Option<LeafResult> {
        let stage = self.stage(leaf)?;
        if let Some(result) = self.unwritten.get(&leaf) {
            return Some(result.clone());
        }
        let path = match stage {
            Stage::Taken => return None,
            Stage::Ended => self.path(leaf, "held"),
            Stage::Acknowledged => self.path(leaf, "done"),
        };
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(leaf.id = %leaf, error = %error, "a result cannot be read now; it is tried again");
                return None;
            }
            read => read.unwrap_or_default(),
        };
        let result = parse(&bytes)
            .result
            .and_then(|it| LeafResult::decode(it).ok());
        if let Some(result) = result.filter(|it| it.leaf_id == leaf.to_string()) {
            return Some(result);
        }
        set_aside(&path);
        let message = "the work ended, but the agent's record of its result is damaged";
        let reason = Reason::AgentFault;
        let lost = bare_result(leaf, Status::Fail, reason, message, now);
        if stage == Stage::Ended {
            self.end(leaf, lost.clone());
        }
        Some(lost)
    }

    /// The server has the result. Its answer stays for repeats.
    pub fn acknowledge(&mut self, leaf: LeafId) {
        let Some(entry) = self.entries.get_mut(&leaf) else {
            return;
        };
        if entry.stage != Stage::Ended {
            return;
        }
        entry.stage = Stage::Acknowledged;
        if let Some(result) = self.unwritten.remove(&leaf) {
            // Without its file the leaf would be run again by a repeat after a restart, so the disk
            // gets one more chance.
            self.create(leaf, &encode(Kind::Result, &result.encode_to_vec()))
                .ok();
        }
        // Not synced: if the name is lost in a crash, the result is sent once more and no harm done.
        if let Err(error) = fs::rename(self.path(leaf, "held"), self.path(leaf, "done")) {
            warn!(leaf.id = %leaf, error = %error, "an acknowledged result cannot be set aside");
        }
        if self.spares.is_empty() {
            // Now, when nobody waits. If the disk takes none, the next order will say so.
            self.spares.make(&self.dir).ok();
        }
    }

    /// Leaves whose results the server has not confirmed, running ones among them.
    #[must_use]
    pub fn held(&self) -> Vec<LeafId> {
        self.select(|stage| stage != Stage::Acknowledged)
    }

    /// Leaves that have ended and whose results the server has not confirmed.
    #[must_use]
    pub fn pending(&self) -> Vec<LeafId> {
        self.select(|stage| stage == Stage::Ended)
    }

    fn select(&self, wanted: impl Fn(Stage) -> bool) -> Vec<LeafId> {
        let chosen = self.entries.iter().filter(|(_, it)| wanted(it.stage));
        chosen.map(|(leaf, _)| *leaf).collect()
    }

    /// Forgets acknowledged leaves that are old or too many.
    pub fn prune(&mut self, now: UnixMillis) {
        let mut done: Vec<(UnixMillis, LeafId)> = self
            .entries
            .iter()
            .filter(|(_, it)| it.stage == Stage::Acknowledged)
            .map(|(leaf, it)| (it.deadline, *leaf))
            .collect();
        done.sort_unstable();
        let surplus = done.len().saturating_sub(REMEMBERED_MAX);
        let old = done
            .into_iter()
            .enumerate()
            .filter(|(at, (deadline, _))| *at < surplus || now.since(*deadline) > REMEMBERED_MS);
        let old: Vec<LeafId> = old.map(|(_, (_, leaf))| leaf).collect();
        for leaf in old {
            for kind in ["done", "damaged"] {
                fs::remove_file(self.path(leaf, kind)).ok();
            }
            self.entries.remove(&leaf);
        }
    }

    fn path(&self, leaf: LeafId, kind: &str) -> PathBuf {
        self.dir.join(format!("{leaf}.{kind}"))
    }
}

fn damaged(leaf: LeafId, now: UnixMillis) -> LeafResult {
    let message = "the agent's record of the order is damaged; it is not run";
    bare_result(leaf, Status::Fail, Reason::AgentFault, message, now)
}

#[cfg(test)]
mod tests;
