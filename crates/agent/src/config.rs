//! Where the agent keeps its files, how it writes them so that a power cut cannot tear them, and the
//! one place where it reads the host's clock.
//!
//! Never reads or decides what is inside the files: `identity`, `journal` and `policy` do.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::UnixMillis;

/// Where the agent keeps its files unless told otherwise.
pub const DATA_DIR: &str = "/var/lib/sickbay-agent";
/// The host's local policy.
pub const POLICY_FILE: &str = "/etc/sickbay/agent.toml";

/// The host's clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the agent's one reading of the host's clock; everything else is handed the time"
)]
pub fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ms = since.map(|it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
    UnixMillis(ms.unwrap_or_default())
}

/// The files in the agent's data directory.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The files under `path`; touches nothing.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Who the agent is and whom it obeys.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.0.join("identity.json")
    }

    /// The agent's private key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.0.join("key.p8")
    }

    /// Orders and results.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// Bundles and other files of running work; emptied when the agent starts.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    /// How the agent's connection stands, for `status`.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// Makes the directory, for its owner only.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(&self) -> io::Result<()> {
        create_private_dir(&self.0)
    }

    /// Takes the directory for this process until the lock is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`]: another process has it. Others are the operating system's.
    pub fn lock(&self) -> io::Result<DataLock> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.lock_file())?;
        file.try_lock().map_err(io::Error::from)?;
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(DataLock { _file: file })
    }

    /// Process id of the agent that has the directory, if one has. Never makes a file.
    #[must_use]
    pub fn lock_holder(&self) -> Option<u32> {
        let mut file = File::open(self.lock_file()).ok()?;
        if file.try_lock_shared().is_ok() {
            return None;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }
}

/// A data directory that is taken.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Makes a directory and those above it that are missing; the last is for its owner only.
///
/// # Errors
/// The operating system's.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Replaces a file as a whole: after a crash there is the old one or the new one. Mode 0600.
///
/// # Errors
/// The operating system's; the old file is untouched then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_added_extension("tmp");
    let written = write_through(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // Half a file helps nobody and holds space on a disk that may be full.
        fs::remove_file(&fresh).ok();
    }
    written?;
    sync_parent(path)
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes changes of names in the file's directory durable.
///
/// # Errors
/// The operating system's.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_are_for_their_owner_only() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::new(&temp.path().join("a/b"));
        data.create().unwrap();
        write_atomically(&data.key(), b"old").unwrap();
        write_atomically(&data.key(), b"new").unwrap();
        assert_eq!(fs::read(data.key()).unwrap(), b"new");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data.key()), 0o600);
        assert_eq!(mode(data.path()), 0o700);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_data_directory_has_one_agent() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::new(temp.path());
        assert_eq!(data.lock_holder(), None);
        let lock = data.lock().unwrap();
        let second = data.lock().unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(data.lock_holder(), Some(std::process::id()));
        drop(lock);
        assert_eq!(data.lock_holder(), None);
    }
}
