//! A disk below a server that fails when it is told to, and that can lose what was not synced.
//!
//! A library put in front of the server's own (`shim/disk.c`) writes down every change and every sync.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The size of the pieces that a disk writes whole, in bytes.
const SECTOR: usize = 512;

/// See the module.
#[derive(Debug)]
pub struct Disk {
    shim: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    log: PathBuf,
    sick: PathBuf,
}

/// What a disk fails with.
#[derive(Clone, Copy, Debug)]
pub enum Sickness {
    /// No space is left.
    Full,
    /// It is read-only.
    ReadOnly,
    /// It cannot be written.
    Broken,
}

/// One line of the log.
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
    Sync,
    Rename(PathBuf),
    Unlink,
}

impl Disk {
    /// A disk that holds all of `folder`: the data directory `data` in it, and the server's log.
    ///
    /// # Panics
    /// There is no C compiler.
    #[must_use]
    pub fn new(folder: &Path, data: &Path) -> Self {
        let shim = folder.join("disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/disk.c");
        let said = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&shim, &source])
            .arg("-ldl")
            .status()
            .expect("a C compiler");
        assert!(said.success(), "the shim is not built");
        Self {
            shim,
            folder: folder.to_owned(),
            data: data.to_owned(),
            log: folder.join("disk.log"),
            sick: folder.join("disk.sick"),
        }
    }

    /// The environment of a program that is to work on it.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 4] {
        [
            ("LD_PRELOAD", &self.shim),
            ("DISK_FOLDER", &self.folder),
            ("DISK_LOG", &self.log),
            ("DISK_SICK", &self.sick),
        ]
    }

    /// Lets every change fail from now on.
    ///
    /// # Panics
    /// The file that says so cannot be written.
    pub fn sicken(&self, sickness: Sickness) {
        // Numbers of errno(3): ENOSPC, EROFS, EIO.
        let number = match sickness {
            Sickness::Full => "28",
            Sickness::ReadOnly => "30",
            Sickness::Broken => "5",
        };
        // At once: the program may look at any moment.
        let part = self.sick.with_extension("part");
        std::fs::write(&part, number).expect("a file");
        std::fs::rename(part, &self.sick).expect("a file");
    }

    /// Lets changes succeed again.
    ///
    /// # Panics
    /// It was not sick.
    pub fn heal(&self) {
        std::fs::remove_file(&self.sick).expect("a sick disk");
    }

    /// The power was lost, after the program's end: of what was not synced, some is there, some is not and some is torn, as `random`
    /// says. Names are taken as they were at the end.
    ///
    /// # Panics
    /// The data directory cannot be made anew.
    pub fn lose_power(&self, mut random: impl FnMut(u64) -> u64) {
        let log = std::fs::read(&self.log).expect("a log");
        let mut files: BTreeMap<PathBuf, File> = BTreeMap::new();
        for (path, change) in changes(&log) {
            match change {
                Change::Rename(to) => {
                    if let Some(file) = files.remove(&path) {
                        files.insert(to, file);
                    }
                }
                Change::Unlink => drop(files.remove(&path)),
                Change::Sync => {
                    if let Some(file) = files.get_mut(&path) {
                        file.settle();
                    }
                }
                change => files.entry(path).or_default().waiting.push_back(change),
            }
        }
        // What is there now is all that a second loss can know of the first.
        let mut after = Vec::new();
        for (path, mut file) in files {
            file.tear(&mut random);
            std::fs::write(&path, &file.bytes).expect("a file of the data directory");
            let (length, name) = (file.bytes.len(), path.display());
            after.extend(format!("write 0 {length} {name}\n").into_bytes());
            after.extend(file.bytes);
            after.extend(format!("sync 0 0 {name}\n").into_bytes());
        }
        std::fs::write(&self.log, after).expect("a log");
        // The index in shared memory is made anew by whoever opens the database first.
        for entry in std::fs::read_dir(&self.data).expect("the data directory") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|it| it == "db-shm") {
                std::fs::remove_file(path).expect("a file of the data directory");
            }
        }
    }
}

#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    waiting: VecDeque<Change>,
}

impl File {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Write { offset, data } => {
                let end = offset + data.len();
                if self.bytes.len() < end {
                    self.bytes.resize(end, 0);
                }
                self.bytes[offset..end].copy_from_slice(&data);
            }
            Change::Truncate(length) => self.bytes.resize(length, 0),
            Change::Sync | Change::Rename(_) | Change::Unlink => {}
        }
    }

    fn settle(&mut self) {
        while let Some(change) = self.waiting.pop_front() {
            self.apply(change);
        }
    }

    fn tear(&mut self, random: &mut impl FnMut(u64) -> u64) {
        while let Some(change) = self.waiting.pop_front() {
            match (random(3), change) {
                (0, _) => {}
                (1, Change::Write { offset, mut data }) => {
                    let sectors = u64::try_from(data.len().div_ceil(SECTOR)).unwrap_or(1);
                    let kept = usize::try_from(random(sectors.max(1))).unwrap_or(0) * SECTOR;
                    data.truncate(kept);
                    self.apply(Change::Write { offset, data });
                }
                (_, change) => self.apply(change),
            }
        }
    }
}

/// Every change that is whole in the log; the end of it may not be.
fn changes(log: &[u8]) -> impl Iterator<Item = (PathBuf, Change)> {
    let mut rest = log;
    std::iter::from_fn(move || {
        let end = rest.iter().position(|it| *it == b'\n')?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let mut words = line.splitn(4, ' ');
        let operation = words.next()?.to_owned();
        let offset: usize = words.next()?.parse().ok()?;
        let length: usize = words.next()?.parse().ok()?;
        let path = PathBuf::from(words.next()?);
        let data = rest.get(end + 1..end + 1 + length)?;
        rest = &rest[end + 1 + length..];
        let change = match operation.as_str() {
            "write" => Change::Write {
                offset,
                data: data.to_vec(),
            },
            "truncate" => Change::Truncate(offset),
            "sync" => Change::Sync,
            "rename" => Change::Rename(String::from_utf8_lossy(data).into_owned().into()),
            "unlink" => Change::Unlink,
            other => panic!("the shim wrote `{other}`"),
        };
        Some((path, change))
    })
}
