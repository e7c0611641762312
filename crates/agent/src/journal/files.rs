//! The files of a journal: their names, and what their records mean.
//!
//! Decides nothing about a leaf. Used by the journal; `sickbay-agent status` counts with it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use model::LeafId;
use prost::Message as _;
use protocol::frame::{LeafResult, SignedOrder};
use protocol::order::Order;
use tracing::warn;

use super::record::{Records, parse};
use crate::runner::Group;

/// The files of one leaf.
#[derive(Default)]
pub(super) struct Found {
    pub(super) held: bool,
    pub(super) done: bool,
    /// One of its files was moved aside.
    pub(super) damaged: bool,
}

impl Found {
    pub(super) fn note(&mut self, kind: &str) {
        match kind {
            "held" => self.held = true,
            "done" => self.done = true,
            "damaged" => self.damaged = true,
            _ => {}
        }
    }
}

/// Number of results in a journal that the server has not confirmed.
#[must_use]
pub fn unconfirmed(dir: &Path) -> usize {
    let items = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = items.map(|it| it.path());
    let held = paths.filter(|it| named(it).is_some_and(|(_, kind)| kind == "held"));
    held.filter(|it| fs::read(it).is_ok_and(|bytes| parse(&bytes).result.is_some()))
        .count()
}

/// Names a spare that a leaf's records were written to right before a crash; removes any other.
pub(super) fn adopt(path: &Path) -> Option<LeafId> {
    let bytes = fs::read(path);
    let leaf = bytes.as_ref().ok().and_then(|it| leaf_of(&parse(it)));
    let dealt_with = match leaf {
        Some(leaf) => fs::rename(path, path.with_file_name(format!("{leaf}.held"))),
        None => bytes.and_then(|_| fs::remove_file(path)),
    };
    if let Err(error) = dealt_with {
        warn!(file.path = %path.display(), error = %error, "a spare file of the journal is left as it is");
    }
    leaf
}

fn leaf_of(records: &Records<'_>) -> Option<LeafId> {
    let text = match records.order {
        Some(signed) => {
            Order::decode(SignedOrder::decode(signed).ok()?.body.as_slice())
                .ok()?
                .leaf_id
        }
        None => LeafResult::decode(records.result?).ok()?.leaf_id,
    };
    text.parse().ok()
}

/// The order among the records, if it is that of the leaf.
pub(super) fn order_in(records: &Records<'_>, leaf: LeafId) -> Option<(SignedOrder, Order)> {
    let signed = SignedOrder::decode(records.order?).ok()?;
    let order = Order::decode(signed.body.as_slice()).ok()?;
    (order.leaf_id == leaf.to_string()).then_some((signed, order))
}

/// Kills what still runs of a leaf that was begun. Returns whether anything did.
pub(super) fn end_group(records: &Records<'_>) -> bool {
    let text = records.begun.and_then(|it| std::str::from_utf8(it).ok());
    text.and_then(Group::parse).is_some_and(Group::kill)
}

/// Makes bytes durable in a file whose name is.
pub(super) fn write_at(path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(bytes, at)?;
    file.sync_data()
}

pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Which leaf a file is of, and what it says.
pub(super) fn named(path: &Path) -> Option<(LeafId, &str)> {
    let (leaf, kind) = path.file_name()?.to_str()?.split_once('.')?;
    Some((leaf.parse().ok()?, kind))
}

/// So that nothing is read from it and its leaf stays known.
pub(super) fn set_aside(path: &Path) {
    warn!(file.path = %path.display(), "a damaged file of the journal was moved aside");
    fs::rename(path, path.with_extension("damaged")).ok();
}
