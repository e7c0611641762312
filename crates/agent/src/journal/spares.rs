//! Files that wait for a leaf, so that taking one needs no sync of a directory.
//!
//! A spare's name and room are durable before it is handed out. Used by the journal alone.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::config::sync_parent;

/// Spares that are made at once.
const SPARES: usize = 8;
/// Room of each: an order and a short result. More is allocated when it is written.
const ROOM_BYTES: u64 = 4 << 10;

/// See the module.
#[derive(Default)]
pub(super) struct Spares {
    paths: Vec<PathBuf>,
    /// Number of the next one.
    next: u64,
}

impl Spares {
    pub(super) const fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Hands out a spare; makes some if there is none.
    ///
    /// # Errors
    /// The disk does not take one.
    pub(super) fn take(&mut self, dir: &Path) -> io::Result<PathBuf> {
        if self.is_empty() {
            self.make(dir)?;
        }
        self.paths.pop().ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// Makes some.
    ///
    /// # Errors
    /// The disk takes none.
    pub(super) fn make(&mut self, dir: &Path) -> io::Result<()> {
        let mut paths = Vec::new();
        while paths.len() < SPARES {
            let path = dir.join(format!("{}.spare", self.next));
            self.next += 1;
            match make(&path) {
                Ok(()) => paths.push(path),
                // One that could not be dealt with when the journal was opened.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if paths.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        sync_parent(&dir.join("spare"))?;
        self.paths = paths;
        Ok(())
    }
}

fn make(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, ROOM_BYTES) {
        // A file system that cannot: the room comes with what is written, and is synced with it.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => {
            fs::remove_file(path).ok();
            Err(error.into())
        }
    }
}
