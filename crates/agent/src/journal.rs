//! The agent's memory of orders, in files: what waits, what was begun, what came of it, what the
//! server has.
//!
//! Per leaf: `LEAF.order` is durable before its receipt; it becomes `LEAF.begun` before anything
//! starts that must not start twice, and `LEAF.group` names the processes then. `LEAF.result` is
//! durable before the result is sent; it becomes `LEAF.done` when the server has it, and these files
//! stay for a day past the order's deadline, so that a late repeat is answered and never run again.
//!
//! So after a crash an order without any other file was never begun, and may be. What cannot be read
//! as what it should be is moved aside, but its leaf stays known; what cannot be read at all for now
//! is left alone. The session is the only caller. Nothing found in the directory can stop the agent
//! from starting.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::runner::Group;

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
}

/// The journal.
pub struct Journal {
    dir: PathBuf,
    entries: BTreeMap<LeafId, Entry>,
    /// Leaves whose orders waited when the agent stopped and were not handed out since.
    left_waiting: BTreeSet<LeafId>,
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
            if path.extension().is_some_and(|it| it == "tmp") {
                // A write that a crash cut short: its file never counted.
                if let Err(error) = fs::remove_file(&path) {
                    warn!(file.path = %path.display(), error = %error, "a file of the journal cannot be removed");
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
        };
        for (leaf, files) in found {
            journal.recover(leaf, &files, now);
        }
        journal.prune(now);
        Ok(journal)
    }

    fn recover(&mut self, leaf: LeafId, files: &Found, now: UnixMillis) {
        if !files.is_leaf() {
            // What a crash left of a leaf that was being forgotten.
            return self.remove(&[leaf], &["group"]);
        }
        let kept = match files {
            Found { begun: true, .. } => Some(self.read_order(leaf, "begun")),
            Found { order: true, .. } => Some(self.read_order(leaf, "order")),
            _ => None,
        };
        let is_damaged = files.damaged || matches!(kept, Some(Kept::Damaged));
        let deadline = match &kept {
            Some(Kept::Sound(sound)) => UnixMillis(sound.1.deadline_ms),
            _ => now,
        };
        let stage = match files {
            Found { done: true, .. } => Stage::Acknowledged,
            Found { result: true, .. } => Stage::Ended,
            _ => Stage::Taken,
        };
        self.entries.insert(leaf, Entry { stage, deadline });
        if stage != Stage::Taken {
            return;
        }
        if files.begun || is_damaged {
            let message = match self.end_group(leaf) {
                true => "the agent stopped while this ran; it was stopped and is not run again",
                false => "the agent stopped while this ran; it is not run again",
            };
            warn!(leaf.id = %leaf, "this leaf was not finished when the agent stopped");
            let reason = Reason::AgentRestarted;
            self.end(leaf, bare_result(leaf, Status::Fail, reason, message, now));
        } else {
            self.left_waiting.insert(leaf);
        }
    }

    /// Kills what still runs of a leaf. Returns whether anything did.
    fn end_group(&self, leaf: LeafId) -> bool {
        let noted = fs::read_to_string(self.path(leaf, "group")).ok();
        noted.is_some_and(|it| Group::parse(&it).is_some_and(Group::kill))
    }

    /// Orders that waited when the agent stopped, each once. One that cannot be read now is handed
    /// out by a later call.
    pub fn left_waiting(&mut self, now: UnixMillis) -> Vec<(LeafId, SignedOrder)> {
        let mut orders = Vec::new();
        for leaf in std::mem::take(&mut self.left_waiting) {
            match self.read_order(leaf, "order") {
                Kept::Sound(sound) => {
                    let (signed, order) = *sound;
                    let deadline = UnixMillis(order.deadline_ms);
                    let stage = Stage::Taken;
                    self.entries.insert(leaf, Entry { stage, deadline });
                    orders.push((leaf, signed));
                }
                Kept::Unreadable => {
                    self.left_waiting.insert(leaf);
                }
                Kept::Damaged => {
                    let message = "the agent's record of the order is damaged; it is not run";
                    let reason = Reason::AgentFault;
                    self.end(leaf, bare_result(leaf, Status::Fail, reason, message, now));
                }
            }
        }
        orders
    }

    /// How far the leaf has come; `None`: never heard of.
    #[must_use]
    pub fn stage(&self, leaf: LeafId) -> Option<Stage> {
        self.entries.get(&leaf).map(|it| it.stage)
    }

    /// Makes an order durable. It may be confirmed only after this.
    ///
    /// # Errors
    /// The disk does not take it: the work must not start.
    pub fn take(
        &mut self,
        leaf: LeafId,
        deadline: UnixMillis,
        order: &SignedOrder,
    ) -> Result<(), Error> {
        let path = self.path(leaf, "order");
        if let Err(error) = write_atomically(&path, &order.encode_to_vec()) {
            // It may lie there all the same, and must not wait for the next start.
            self.forbid(leaf);
            return Err(self.error(error));
        }
        let stage = Stage::Taken;
        self.entries.insert(leaf, Entry { stage, deadline });
        Ok(())
    }

    /// Makes "this leaf was begun" durable. Work that must not run twice may start only after this.
    /// Returns the file that its process group is to be written to.
    ///
    /// # Errors
    /// The disk does not take it: the work must not start.
    pub fn begin(&mut self, leaf: LeafId) -> Result<PathBuf, Error> {
        // A name of the same length: this works on a full disk, too.
        let begun = self.path(leaf, "begun");
        fs::rename(self.path(leaf, "order"), &begun)
            .and_then(|()| sync_parent(&begun))
            .map_err(|error| self.error(error))?;
        Ok(self.path(leaf, "group"))
    }

    /// Makes sure that no later start of the agent runs the leaf, though its result is not on disk.
    fn forbid(&self, leaf: LeafId) {
        let (order, begun) = (self.path(leaf, "order"), self.path(leaf, "begun"));
        let forbidden = match fs::rename(&order, &begun) {
            // It was begun, or never written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(_) => fs::remove_file(&order),
            Ok(()) => Ok(()),
        };
        if let Err(error) = forbidden.and_then(|()| sync_parent(&order)) {
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
        let deadline = self.entries.get(&leaf).map(|it| it.deadline);
        let entry = Entry {
            stage: Stage::Ended,
            deadline: deadline.unwrap_or(UnixMillis(result.ended_ms)),
        };
        self.entries.insert(leaf, entry);
        self.left_waiting.remove(&leaf);
        if let Err(error) = write_atomically(&self.path(leaf, "result"), &result.encode_to_vec()) {
            warn!(leaf.id = %leaf, error = %error, "a result cannot be written; it stays in memory");
            self.forbid(leaf);
            self.unwritten.insert(leaf, result);
        }
        fs::remove_file(self.path(leaf, "group")).ok();
    }

    /// The leaf's result, if it has ended and can be read now.
    pub fn result(&mut self, leaf: LeafId, now: UnixMillis) -> Option<LeafResult> {
        let kind = match self.stage(leaf)? {
            Stage::Taken => return None,
            Stage::Ended => "result",
            Stage::Acknowledged => "done",
        };
        if let Some(result) = self.unwritten.get(&leaf) {
            return Some(result.clone());
        }
        let path = self.path(leaf, kind);
        let read = match fs::read(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(leaf.id = %leaf, error = %error, "a result cannot be read now; it is tried again");
                return None;
            }
            read => read.ok(),
        };
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
        let old = done
            .into_iter()
            .enumerate()
            .filter(|(at, (deadline, _))| *at < surplus || now.since(*deadline) > REMEMBERED_MS);
        let old: Vec<LeafId> = old.map(|(_, (_, leaf))| leaf).collect();
        if old.is_empty() {
            return;
        }
        // An order without a result would be run: it goes first, for good.
        self.remove(&old, &["order", "begun", "group"]);
        if sync_parent(&self.dir.join("order")).is_err() {
            return;
        }
        let results = [
            "done",
            "order.damaged",
            "begun.damaged",
            "result.damaged",
            "done.damaged",
        ];
        self.remove(&old, &results);
        for leaf in old {
            self.entries.remove(&leaf);
        }
    }

    fn remove(&self, leaves: &[LeafId], kinds: &[&str]) {
        for leaf in leaves {
            for kind in kinds {
                fs::remove_file(self.path(*leaf, kind)).ok();
            }
        }
    }

    fn read_order(&self, leaf: LeafId, kind: &str) -> Kept {
        let path = self.path(leaf, kind);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(leaf.id = %leaf, error = %error, "an order cannot be read now");
                return Kept::Unreadable;
            }
            Err(_) => Vec::new(),
        };
        let signed = SignedOrder::decode(bytes.as_slice()).ok();
        let opened = signed.and_then(|signed| {
            let order = Order::decode(signed.body.as_slice()).ok()?;
            (order.leaf_id == leaf.to_string()).then(|| Kept::Sound(Box::new((signed, order))))
        });
        opened.unwrap_or_else(|| {
            set_aside(&path);
            Kept::Damaged
        })
    }

    fn path(&self, leaf: LeafId, kind: &str) -> PathBuf {
        self.dir.join(format!("{leaf}.{kind}"))
    }
}

/// The files of one leaf.
#[derive(Default)]
struct Found {
    order: bool,
    begun: bool,
    result: bool,
    done: bool,
    /// Any of them was moved aside.
    damaged: bool,
}

impl Found {
    fn note(&mut self, kind: &str) {
        match kind {
            "order" => self.order = true,
            "begun" => self.begun = true,
            "result" => self.result = true,
            "done" => self.done = true,
            kind if kind.ends_with(".damaged") => self.damaged = true,
            _ => {}
        }
    }

    const fn is_leaf(&self) -> bool {
        self.order || self.begun || self.result || self.done || self.damaged
    }
}

/// An order as it lies there.
enum Kept {
    Sound(Box<(SignedOrder, Order)>),
    /// It was moved aside.
    Damaged,
    Unreadable,
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
