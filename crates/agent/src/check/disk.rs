//! File systems that the agent needs: full, out of inodes, read-only.

mod usage;

use std::path::{Path, PathBuf};

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::{Context, Subject};

const MIB: u64 = 1 << 20;
/// Below this a file system is full, if it is also 2 % of it; in bytes.
const FULL_BYTES: u64 = 50 * MIB;
/// A file system with this much left is not full, whatever share it is; in bytes.
const ROOMY_BYTES: u64 = 1 << 30;
/// A file system with this much left is not nearly full, whatever share it is; in bytes.
const AMPLE_BYTES: u64 = 10 << 30;
/// A file system with this many inodes left has some, whatever share it is.
const INODES_FEW: u64 = 5_000;

/// Space, inodes and mode of the file systems of data, logs, `/tmp` and `/`.
pub(super) fn probe(context: &Context) -> Verdict {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounts = parse_mounts(&mountinfo);
    let written = written_dirs(&context.subject);
    let paths = written
        .iter()
        .map(|it| (it.as_path(), true))
        .chain([(Path::new("/tmp"), false), (Path::new("/"), false)]);
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut notes = Vec::new();
    let mut findings = Vec::new();
    for (path, is_written) in paths {
        let Ok(path) = path.canonicalize() else {
            continue;
        };
        let mount = mount_of(&mounts, &path);
        let point = mount.map_or_else(|| path.clone(), |it| it.point.clone());
        if is_written && mount.is_some_and(Mount::is_read_only) {
            findings.extend(mount.map(|it| read_only(it, &path)));
        }
        if seen.contains(&point) || mount.is_some_and(Mount::is_read_only) {
            continue;
        }
        match rustix::fs::statvfs(&path) {
            Ok(numbers) => {
                let space = Space::of(&numbers, rustix::process::geteuid().is_root());
                notes.push(format!("{} {}", point.display(), space));
                findings.extend(space.judge(&point));
            }
            Err(error) => notes.push(format!("{}: {error}", path.display())),
        }
        seen.push(point);
    }
    findings.extend(usage::huge(&context.subject));
    let is_short = |it: &Finding| {
        [Cause::DiskFull, Cause::DiskNearlyFull]
            .iter()
            .any(|cause| cause.code() == it.cause)
    };
    if findings.iter().any(is_short) {
        findings.extend(usage::deleted());
    }
    Verdict::of(notes.join("; "), findings)
}

/// What is short on the file system of that path for those who are not root, if anything is.
pub(super) fn shortage(path: &Path) -> Option<Cause> {
    let space = Space::of(&rustix::fs::statvfs(path).ok()?, false);
    let found = space.judge(path);
    let short = [Cause::InodesExhausted, Cause::DiskFull];
    let is_found = |it: &Cause| found.iter().any(|found| found.cause == it.code());
    short.into_iter().find(is_found)
}

/// Whether the file system of that path is mounted read-only, as the check sees it.
pub(super) fn is_read_only(path: &Path) -> Option<bool> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = parse_mounts(&mountinfo);
    mount_of(&mounts, path).map(Mount::is_read_only)
}

/// Existing directories that the agent writes to.
fn written_dirs(subject: &Subject) -> Vec<PathBuf> {
    let files = subject.log_files.iter().chain(&subject.outputs);
    let files = files.filter(|it| it.exists());
    let dirs = files.filter_map(|it| it.parent().map(Path::to_owned));
    let own = subject.data_dirs.iter().chain(&subject.log_dirs).cloned();
    let mut dirs: Vec<PathBuf> = dirs.chain(own).collect();
    dirs.sort();
    dirs.dedup();
    dirs.retain(|it| it.is_dir());
    dirs
}

fn read_only(mount: &Mount, path: &Path) -> Finding {
    let shown = path.display().to_string();
    finding(
        Cause::MountReadOnly,
        format!("{shown} lies on a file system that is mounted read-only."),
        vec![mount.line.clone()],
        &[("PATH", &shown)],
    )
}

/// The mount of a program from which nothing may be executed, as the kernel lists it.
pub(super) fn mount_without_exec(program: &Path) -> Option<String> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = parse_mounts(&mountinfo);
    let path = program.canonicalize().ok()?;
    let mount = mount_of(&mounts, &path)?;
    let has_noexec = mount.options.split(',').any(|it| it == "noexec");
    has_noexec.then(|| mount.line.clone())
}

/// Mount points whose type is so, each with its line.
pub(super) fn mounts_where(
    mountinfo: &str,
    is_so: impl Fn(&str) -> bool,
) -> Vec<(PathBuf, String)> {
    let mounts = parse_mounts(mountinfo).into_iter();
    let mounts = mounts.filter(|it| {
        let tail = it.line.split_once(" - ").map_or("", |it| it.1);
        is_so(tail.split(' ').next().unwrap_or_default())
    });
    mounts.map(|it| (it.point, it.line)).collect()
}

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    options: String,
    super_options: String,
    line: String,
}

impl Mount {
    fn is_read_only(&self) -> bool {
        let has_ro = |options: &str| options.split(',').any(|it| it == "ro");
        has_ro(&self.options) || has_ro(&self.super_options)
    }
}

/// See proc_pid_mountinfo(5): optional fields end with a lone `-`.
fn parse_mounts(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let (head, tail) = line.split_once(" - ")?;
            let mut fields = head.split(' ').skip(4);
            Some(Mount {
                point: PathBuf::from(unescape(fields.next()?)),
                options: fields.next()?.to_owned(),
                super_options: tail.split(' ').nth(2).unwrap_or_default().to_owned(),
                line: line.to_owned(),
            })
        })
        .collect()
}

/// Undoes the kernel's `\040` for a space and the like.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let octal = part.get(..3).and_then(|it| u8::from_str_radix(it, 8).ok());
        match (octal, part.get(3..)) {
            (Some(byte), Some(rest)) => {
                plain.push(char::from(byte));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// The mount that a path lies on: the longest mount point above it, of equal ones the last.
fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|it| path.starts_with(&it.point))
        .max_by_key(|it| it.point.components().count())
}

/// Room on a file system, in bytes and inodes.
#[derive(Clone, Copy, Debug)]
struct Space {
    total: u64,
    available: u64,
    inodes: u64,
    inodes_available: u64,
}

impl Space {
    fn of(numbers: &rustix::fs::StatVfs, is_root: bool) -> Self {
        // What is kept for root is there for an agent that runs as root.
        let (blocks, inodes) = if is_root {
            (numbers.f_bfree, numbers.f_ffree)
        } else {
            (numbers.f_bavail, numbers.f_favail)
        };
        Self {
            total: numbers.f_blocks.saturating_mul(numbers.f_frsize),
            available: blocks.saturating_mul(numbers.f_frsize),
            inodes: numbers.f_files,
            inodes_available: inodes,
        }
    }

    fn used_percent(self) -> u64 {
        let used = u128::from(self.total.saturating_sub(self.available));
        let percent = used * 100 / u128::from(self.total.max(1));
        u64::try_from(percent).unwrap_or(100)
    }

    fn is_full(self) -> bool {
        let Self {
            total, available, ..
        } = self;
        available < total / 100 && available < ROOMY_BYTES
            || available < FULL_BYTES && available < total / 50
    }

    fn judge(self, point: &Path) -> Vec<Finding> {
        let mut findings = Vec::new();
        let shown = point.display().to_string();
        let found = |cause, summary| {
            finding(
                cause,
                summary,
                vec![format!("{shown} {self}")],
                &[("PATH", &shown)],
            )
        };
        // Pseudo file systems have no size.
        if self.total > 0 && self.is_full() {
            let summary = format!("The file system {shown} is full.");
            findings.push(found(Cause::DiskFull, summary));
        } else if self.used_percent() > 95 && self.available < AMPLE_BYTES {
            let summary = format!("The file system {shown} is {} % full.", self.used_percent());
            findings.push(found(Cause::DiskNearlyFull, summary));
        }
        let few = self.inodes_available < INODES_FEW
            && self.inodes_available.saturating_mul(100) < self.inodes;
        // Some file systems make inodes as they need them and report none.
        if self.inodes > 0 && few {
            let summary = format!("The file system {shown} has no free inodes.");
            findings.push(found(Cause::InodesExhausted, summary));
        }
        findings
    }
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (free, total) = (self.available / MIB, self.total / MIB);
        let used = self.used_percent();
        write!(f, "{used} % used, {free} of {total} MiB free, ")?;
        write!(
            f,
            "{} of {} inodes free",
            self.inodes_available, self.inodes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn causes(total: u64, available: u64, inodes: u64, inodes_available: u64) -> Vec<u16> {
        let space = Space {
            total,
            available,
            inodes,
            inodes_available,
        };
        space
            .judge(Path::new("/var"))
            .iter()
            .map(|it| it.cause)
            .collect()
    }

    #[test]
    fn a_disk_is_full_when_little_is_left_in_share_and_in_size() {
        assert_eq!(causes(100 * GIB, 50 * GIB, 1_000_000, 900_000), [0_u16; 0]);
        assert_eq!(
            causes(10_000 * GIB, 90 * GIB, 0, 0),
            [0_u16; 0],
            "1 % of much is much"
        );
        assert_eq!(
            causes(64 * MIB, 40 * MIB, 0, 0),
            [0_u16; 0],
            "a small one with room"
        );
        assert_eq!(causes(0, 0, 0, 0), [0_u16; 0], "no size");
        assert_eq!(causes(100 * GIB, 900 * MIB, 0, 0), [2401]);
        assert_eq!(causes(3 * GIB, 49 * MIB, 0, 0), [2401]);
        assert_eq!(causes(100 * GIB, 4 * GIB, 0, 0), [2402]);
    }

    #[test]
    fn inodes_run_out_where_there_are_any() {
        assert_eq!(causes(100 * GIB, 50 * GIB, 6_000_000, 12), [2403]);
        assert_eq!(causes(100 * GIB, 50 * GIB, 6_000_000, 59_000), [0_u16; 0]);
        assert_eq!(causes(GIB, GIB, 40, 0), [2403], "a small one");
    }

    #[test]
    fn the_mount_of_a_path_is_found() {
        let text = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n\
                    30 27 8:1 / /var/lib/my\\040data rw,noatime shared:2 - ext4 /dev/sdb1 ro,errors=remount-ro\n\
                    31 27 0:25 / /snap/x/1 ro,nodev - squashfs /dev/loop0 ro\n";
        let mounts = parse_mounts(text);
        let of = |path: &str| mount_of(&mounts, Path::new(path)).unwrap();
        assert!(!of("/var/lib").is_read_only());
        assert_eq!(
            of("/var/lib/my data/agent").point,
            Path::new("/var/lib/my data")
        );
        assert!(
            of("/var/lib/my data/agent").is_read_only(),
            "the kernel turned it read-only"
        );
        let found = read_only(of("/var/lib/my data"), Path::new("/var/lib/my data"));
        assert_eq!(found.known["PATH"], "/var/lib/my data");
    }

    #[test]
    fn broken_mounts_are_survived() {
        let sample = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
                      1 0 0:1 / / rw - overlay overlay rw,lowerdir=/a:/b\n";
        crate::fuzz::text("mounts", &[sample], |it| {
            let mounts = parse_mounts(it);
            mount_of(&mounts, Path::new("/mnt 2/x")).map(Mount::is_read_only);
            mounts_where(it, |kind| kind == "nfs4");
        });
    }
}
