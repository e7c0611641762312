//! Where in a leaf's file the process group of its command is noted.
//!
//! Made by the journal when the leaf is begun, written by the runner when the command has started.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::record::{Kind, encode};
use crate::runner::Group;

/// Length of a mark's content, in bytes: a process id, a start, a boot and the control group's directory.
const MARK_BYTES: usize = 96 + 256;

/// See the module.
#[derive(Debug)]
pub struct Mark {
    pub(super) path: PathBuf,
    /// Where the record stands, in bytes.
    pub(super) at: u64,
}

impl Mark {
    /// The record of a leaf that is begun and has no process group yet.
    pub(super) fn blank() -> Vec<u8> {
        Self::record("")
    }

    fn record(text: &str) -> Vec<u8> {
        encode(Kind::Begun, format!("{text:MARK_BYTES$}").as_bytes())
    }

    /// Notes the group. Not synced: a power cut ends the command, too.
    ///
    /// # Errors
    /// The operating system's; the leaf is begun all the same.
    pub fn write(&self, group: &Group) -> io::Result<()> {
        let record = Self::record(&group.to_string());
        if record.len() != Self::blank().len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.write_all_at(&record, self.at)
    }
}
