//! Where the agent keeps its files, how it writes them so that a power cut cannot tear them, and the
//! one place where it reads the host's clocks.
//!
//! Never reads or decides what is inside the files: `identity`, `journal` and `policy` do.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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

/// The host's steady clock, in ms since it started: nobody sets it, and it goes on while the host
/// sleeps.
#[must_use]
pub fn steady_ms() -> i64 {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds_ms = since.tv_sec.saturating_mul(1_000);
    seconds_ms.saturating_add(since.tv_nsec / 1_000_000)
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

    /// A private key of the agent, by the name that its identity gives it.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// All private keys that lie there; more than one only where an enrolment was cut short.
    #[must_use]
    pub fn keys(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let paths = files.map(|it| it.path());
        paths
            .filter(|it| it.extension().is_some_and(|it| it == "p8"))
            .collect()
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

    /// Removes what lies there: it belongs to work that a stop or a crash cut short.
    pub fn clear_work(&self) {
        // Whatever else lies in its place would keep all work from starting.
        if fs::remove_dir_all(self.work()).is_err() {
            fs::remove_file(self.work()).ok();
        }
    }

    /// How the agent's connection stands, for `status` and checks.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// Makes the directory, for its owner only. One that is there keeps its mode, since it may be
    /// anything: `--data /` must not lock everybody out.
    ///
    /// # Errors
    /// Those of [`Self::vet`]; others are the operating system's.
    pub fn create(&self) -> io::Result<()> {
        private().recursive(true).create(&self.0)?;
        self.vet()
    }

    /// Makes sure that nobody else can lay an identity or a journal down here. A directory that is
    /// missing is sound.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`]: somebody else can. Others are the operating system's.
    pub fn vet(&self) -> io::Result<()> {
        let about = match fs::metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            about => about?,
        };
        match exposure(&about) {
            None => Ok(()),
            Some(what) => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "others could change what lies there: {what}; give --data a directory of the agent's own"
                ),
            )),
        }
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
    private().recursive(true).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// What lets others than root and this process change a file or directory; `None`: nothing.
#[must_use]
pub fn exposure(about: &Metadata) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    exposure_of(about.mode(), about.uid(), own)
}

fn exposure_of(mode: u32, owner: u32, own: u32) -> Option<String> {
    if owner != 0 && owner != own {
        Some(format!("it belongs to user {owner}"))
    } else if mode & 0o022 != 0 {
        Some(format!("its mode is {:04o}", mode & 0o7777))
    } else {
        None
    }
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
        write_atomically(&data.identity(), b"old").unwrap();
        write_atomically(&data.identity(), b"new").unwrap();
        assert_eq!(fs::read(data.identity()).unwrap(), b"new");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data.identity()), 0o600);
        assert_eq!(mode(data.path()), 0o700);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_others_may_change_is_told_from_what_they_may_not() {
        for (mode, owner, own, found) in [
            (0o40700, 0, 0, None),
            (0o40755, 998, 998, None),
            (0o40755, 0, 998, None),
            (0o40700, 1000, 0, Some("it belongs to user 1000")),
            (0o40700, 1000, 998, Some("it belongs to user 1000")),
            (0o40775, 0, 0, Some("its mode is 0775")),
            (0o41777, 0, 998, Some("its mode is 1777")),
        ] {
            assert_eq!(exposure_of(mode, owner, own).as_deref(), found);
        }
    }

    #[test]
    fn a_data_directory_that_others_may_write_is_refused_and_left_as_it_is() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::new(&temp.path().join("data"));
        data.vet().unwrap();
        fs::create_dir(data.path()).unwrap();
        for (mode, safe) in [(0o755, true), (0o770, false), (0o1777, false)] {
            fs::set_permissions(data.path(), Permissions::from_mode(mode)).unwrap();
            for vetted in [data.create(), data.vet()] {
                let refused = vetted.err().map(|it| it.kind());
                let expected = (!safe).then_some(io::ErrorKind::PermissionDenied);
                assert_eq!(refused, expected, "{mode:o}");
            }
            let now = fs::metadata(data.path()).unwrap().permissions().mode();
            assert_eq!(now & 0o7777, mode);
        }
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
