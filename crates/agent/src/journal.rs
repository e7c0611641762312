//! The agent's memory of orders, in files: what was started, what came of it, what the server has.
//!
//! Per leaf: `LEAF.order` is durable before the work starts; `LEAF.result` before the result is
//! sent; it becomes `LEAF.done` when the server has it, and both files stay for a day past the
//! order's deadline, so that a late repeat is answered and never run again. The session is the only
//! caller. Nothing found in the directory can stop the agent from starting.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::{LeafId, Reason, Status, UnixMillis};
use prost::Message;
use protocol::answer::Answer;
use protocol::frame::{LeafResult, SignedOrder};
use protocol::order::Order;
use tracing::warn;

use crate::config::{create_private_dir, sync_parent, write_atomically};

/// Acknowledged leaves are remembered for this long past their deadline, in ms.
const REMEMBERED_MS: i64 = 24 * 3_600_000;
/// Most acknowledged leaves that are remembered.
const REMEMBERED_MAX: usize = 10_000;

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
    Started,
    /// Its result is here and the server has not confirmed it.
    Ended,
    /// The server has its result.
    Acknowledged,
}

#[derive(Clone, Copy)]
struct Entry {
    stage: Stage,
    deadline: UnixMillis,
}

/// The journal.
pub struct Journal {
    dir: PathBuf,
    entries: BTreeMap<LeafId, Entry>,
    /// Results that the disk did not take.
    unwritten: BTreeMap<LeafId, LeafResult>,
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
    /// Opens the journal. A leaf that was started and has no result was running when the agent
    /// stopped: it gets the result "agent restarted" and is never run again.
    ///
    /// # Errors
    /// The directory cannot be made or listed.
    pub fn open(dir: &Path, now: UnixMillis) -> Result<Self, Error> {
        let failed = |error| Error::Io(dir.to_owned(), error);
        create_private_dir(dir).map_err(failed)?;
        let mut found: BTreeMap<LeafId, Found> = BTreeMap::new();
        for item in fs::read_dir(dir).map_err(failed)? {
            let path = item.map_err(failed)?.path();
            match named(&path) {
                Some((leaf, "order")) => found.entry(leaf).or_default().order = true,
                Some((leaf, "result")) => found.entry(leaf).or_default().result = true,
                Some((leaf, "done")) => found.entry(leaf).or_default().done = true,
                // A write that a crash cut short: its file never counted.
                _ if path.extension().is_some_and(|it| it == "tmp") => {
                    fs::remove_file(&path).map_err(failed)?;
                }
                _ => {}
            }
        }
        let mut journal = Self {
            dir: dir.to_owned(),
            entries: BTreeMap::new(),
            unwritten: BTreeMap::new(),
        };
        for (leaf, files) in found {
            journal.recover(leaf, &files, now);
        }
        journal.prune(now);
        Ok(journal)
    }

    fn recover(&mut self, leaf: LeafId, files: &Found, now: UnixMillis) {
        let deadline = if files.order {
            self.deadline_of(leaf)
        } else {
            None
        };
        let entry = |stage| Entry {
            stage,
            deadline: deadline.unwrap_or(now),
        };
        if files.done {
            self.entries.insert(leaf, entry(Stage::Acknowledged));
        } else if files.result {
            self.entries.insert(leaf, entry(Stage::Ended));
        } else {
            warn!(leaf.id = %leaf, "this leaf was not finished when the agent stopped");
            self.entries.insert(leaf, entry(Stage::Started));
            let message = "the agent stopped while this ran; it is not run again";
            let reason = Reason::AgentRestarted;
            self.end(leaf, bare_result(leaf, Status::Fail, reason, message, now));
        }
    }

    /// How far the leaf has come; `None`: never heard of.
    #[must_use]
    pub fn stage(&self, leaf: LeafId) -> Option<Stage> {
        self.entries.get(&leaf).map(|it| it.stage)
    }

    /// Makes "this leaf was started" durable. The work may start only after this.
    ///
    /// # Errors
    /// The disk does not take it: the work must not start.
    pub fn start(
        &mut self,
        leaf: LeafId,
        deadline: UnixMillis,
        order: &SignedOrder,
    ) -> Result<(), Error> {
        let path = self.path(leaf, "order");
        write_atomically(&path, &order.encode_to_vec()).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull(error),
            _ => Error::Io(self.dir.clone(), error),
        })?;
        let stage = Stage::Started;
        self.entries.insert(leaf, Entry { stage, deadline });
        Ok(())
    }

    /// Keeps a result: on disk, or in memory as long as the disk does not take it.
    pub fn end(&mut self, leaf: LeafId, result: LeafResult) {
        let deadline = self.entries.get(&leaf).map(|it| it.deadline);
        let entry = Entry {
            stage: Stage::Ended,
            deadline: deadline.unwrap_or(UnixMillis(result.ended_ms)),
        };
        self.entries.insert(leaf, entry);
        if let Err(error) = write_atomically(&self.path(leaf, "result"), &result.encode_to_vec()) {
            warn!(leaf.id = %leaf, error = %error, "a result cannot be written; it stays in memory");
            self.unwritten.insert(leaf, result);
        }
    }

    /// The leaf's result, if it has ended.
    pub fn result(&mut self, leaf: LeafId, now: UnixMillis) -> Option<LeafResult> {
        let kind = match self.stage(leaf)? {
            Stage::Started => return None,
            Stage::Ended => "result",
            Stage::Acknowledged => "done",
        };
        if let Some(result) = self.unwritten.get(&leaf) {
            return Some(result.clone());
        }
        let path = self.path(leaf, kind);
        let read = fs::read(&path).ok();
        let result = read.and_then(|it| LeafResult::decode(it.as_slice()).ok());
        if let Some(result) = result.filter(|it| it.leaf_id == leaf.to_string()) {
            return Some(result);
        }
        set_aside(&path);
        let message = "the work ended, but the agent's record of its result is damaged";
        let reason = Reason::AgentFault;
        let lost = bare_result(leaf, Status::Fail, reason, message, now);
        if kind == "result" {
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
            // Without its files the leaf would be run again by a repeat after a restart, so the
            // disk gets one more chance.
            if write_atomically(&self.path(leaf, "done"), &result.encode_to_vec()).is_ok() {
                return;
            }
        }
        let done = self.path(leaf, "done");
        if let Err(error) = fs::rename(self.path(leaf, "result"), &done) {
            warn!(leaf.id = %leaf, error = %error, "an acknowledged result cannot be set aside");
        }
        // Not synced: if the name is lost in a crash, the result is sent once more and no harm done.
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
        for (at, (deadline, leaf)) in done.into_iter().enumerate() {
            if at < surplus || now.since(deadline) > REMEMBERED_MS {
                // The order first: an order without a result would look like a crash.
                fs::remove_file(self.path(leaf, "order")).ok();
                fs::remove_file(self.path(leaf, "done")).ok();
                self.entries.remove(&leaf);
            }
        }
        sync_parent(&self.dir.join("order")).ok();
    }

    fn deadline_of(&self, leaf: LeafId) -> Option<UnixMillis> {
        let path = self.path(leaf, "order");
        let order = fs::read(&path)
            .ok()
            .and_then(|it| SignedOrder::decode(it.as_slice()).ok())
            .and_then(|it| Order::decode(it.body.as_slice()).ok())
            .filter(|it| it.leaf_id == leaf.to_string());
        if order.is_none() {
            set_aside(&path);
        }
        order.map(|it| UnixMillis(it.deadline_ms))
    }

    fn path(&self, leaf: LeafId, kind: &str) -> PathBuf {
        self.dir.join(format!("{leaf}.{kind}"))
    }
}

#[derive(Default)]
struct Found {
    order: bool,
    result: bool,
    done: bool,
}

fn named(path: &Path) -> Option<(LeafId, &str)> {
    let (leaf, kind) = path.file_name()?.to_str()?.split_once('.')?;
    Some((leaf.parse().ok()?, kind))
}

fn set_aside(path: &Path) {
    warn!(file.path = %path.display(), "a damaged file of the journal was moved aside");
    fs::rename(path, path.with_added_extension("damaged")).ok();
}

#[cfg(test)]
mod tests;
