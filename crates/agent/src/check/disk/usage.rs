//! What takes the room of a disk: files that the agent writes, and files that were deleted while a process
//! still holds them open.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use model::Cause;
use protocol::answer::Finding;

use super::super::probe::finding;
use super::super::procfs;
use super::super::subject::Subject;
use super::MIB;

/// A log file below this is not huge, whatever the disk; in bytes.
const HUGE_BYTES: u64 = 512 * MIB;
/// Share of its file system that a huge file, or what was deleted, takes; in percent.
const SHARE_PERCENT: u64 = 10;
/// What was deleted is not worth a word below this, in bytes.
const DELETED_BYTES: u64 = 64 * MIB;
/// Descriptors of all processes that are looked at.
const DESCRIPTORS_MAX: usize = 100_000;

/// Files that the agent writes and that take much of their disk.
pub(super) fn huge(subject: &Subject) -> Vec<Finding> {
    let files = subject.log_files.iter().chain(&subject.outputs);
    let found = files.filter_map(|path| {
        let about = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
        let bytes = taken(&about);
        let total = total(path)?;
        (bytes >= HUGE_BYTES && is_much(bytes, total)).then(|| {
            let shown = path.display().to_string();
            let evidence = format!(
                "{shown} takes {} MiB of a file system of {} MiB",
                bytes / MIB,
                total / MIB
            );
            let cause = Cause::AgentFilesHuge;
            let known = [("PATH", &*shown), ("LOG", &*shown)];
            finding(cause, cause.sentence(), vec![evidence], &known)
        })
    });
    found.collect()
}

/// What the disk really holds of it: a file with holes takes less than it is long.
fn taken(about: &Metadata) -> u64 {
    about.blocks().saturating_mul(512)
}

fn is_much(bytes: u64, total: u64) -> bool {
    u128::from(bytes) * 100 >= u128::from(total) * u128::from(SHARE_PERCENT)
}

fn total(path: &Path) -> Option<u64> {
    let numbers = rustix::fs::statvfs(path).ok()?;
    Some(numbers.f_blocks.saturating_mul(numbers.f_frsize))
}

/// A file without a name that a process holds.
struct Held {
    pid: u32,
    descriptor: PathBuf,
    target: String,
    bytes: u64,
}

/// The largest file without a name, where it takes much of its disk.
pub(super) fn deleted() -> Option<Finding> {
    let mut seen: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut largest: Option<Held> = None;
    let pids = procfs::processes().into_iter().map(|it| it.pid);
    let links = pids.flat_map(|pid| {
        let list = std::fs::read_dir(format!("/proc/{pid}/fd"));
        let list = list.into_iter().flatten().flatten();
        list.map(move |it| (pid, it.path()))
    });
    for (pid, descriptor) in links.take(DESCRIPTORS_MAX) {
        let Some(held) = held(pid, descriptor, &mut seen) else {
            continue;
        };
        if largest.as_ref().is_none_or(|it| it.bytes < held.bytes) {
            largest = Some(held);
        }
    }
    let held = largest.filter(|it| it.bytes >= DELETED_BYTES)?;
    let total = total(&held.descriptor)?;
    is_much(held.bytes, total).then(|| {
        let name = procfs::process(held.pid).map_or_else(String::new, |it| it.name);
        let evidence = format!(
            "{name} (process {}) holds {}, which takes {} MiB",
            held.pid,
            held.target,
            held.bytes / MIB
        );
        let cause = Cause::DeletedFileHoldsSpace;
        let known = [("PID", &*held.pid.to_string())];
        finding(cause, cause.sentence(), vec![evidence], &known)
    })
}

fn held(pid: u32, descriptor: PathBuf, seen: &mut BTreeSet<(u64, u64)>) -> Option<Held> {
    let target = std::fs::read_link(&descriptor).ok()?.display().to_string();
    // Memory that a program shares lies on no disk.
    let in_memory = ["/memfd:", "/dev/shm/", "/SYSV", "/anon_hugepage"];
    if !target.ends_with(" (deleted)") || in_memory.iter().any(|it| target.starts_with(it)) {
        return None;
    }
    let about = std::fs::metadata(&descriptor).ok()?;
    let is_new = about.is_file() && about.nlink() == 0 && seen.insert((about.dev(), about.ino()));
    is_new.then(|| Held {
        pid,
        descriptor,
        target,
        bytes: taken(&about),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_without_a_name_is_seen_in_whoever_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hoard");
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(&[7; 65_536]).unwrap();
        file.sync_all().unwrap();
        let descriptor = {
            use std::os::fd::AsRawFd as _;
            PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
        };
        let mut seen = BTreeSet::new();
        assert!(
            held(1, descriptor.clone(), &mut seen).is_none(),
            "it has a name"
        );
        std::fs::remove_file(&path).unwrap();
        let held_now = held(1, descriptor.clone(), &mut seen).unwrap();
        assert!(held_now.bytes >= 65_536 && held_now.target.contains("hoard"));
        assert!(held(1, descriptor, &mut seen).is_none(), "once");
    }

    #[test]
    fn only_a_file_that_takes_much_of_its_disk_is_huge() {
        assert!(is_much(600 * MIB, 4_000 * MIB));
        assert!(!is_much(600 * MIB, 40_000 * MIB));
    }
}
