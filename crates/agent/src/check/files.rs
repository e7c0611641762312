//! Ownership and permissions of the agent's files, and whether it can write its data.

mod owner;
mod places;

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::subject::Subject;
use super::{Context, procfs};

/// Owner, mode and a trial file in the data directories; modes of private files.
pub(super) fn probe(context: &Context) -> Verdict {
    let subject = &context.subject;
    let agent_uid = procfs::agents(subject)
        .first()
        .and_then(|pid| procfs::effective_uid(*pid));
    let mut findings = Vec::new();
    let mut notes = Vec::new();
    for dir in &subject.data_dirs {
        match std::fs::metadata(dir) {
            Ok(about) => {
                let owned = Owned::of(&about);
                notes.push(format!("{} {owned}", dir.display()));
                findings.extend(judge_dir(dir, &owned, agent_uid));
                let tried = subject.trial.then(|| trial(dir, agent_uid));
                match tried {
                    Some(Ok(note)) => notes.push(note.to_owned()),
                    Some(Err(found)) => findings.extend(found),
                    None => {}
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => notes.push(format!("{}: {error}", dir.display())),
        }
    }
    for (path, mode_max) in &subject.private_files {
        if let Ok(about) = std::fs::metadata(path) {
            notes.push(format!("private {}", path.display()));
            findings.extend(judge_private(path, about.mode(), *mode_max));
        }
    }
    findings.extend(immutable(subject));
    if agent_uid.is_none() {
        findings.extend(owner::logs(subject));
        findings.extend(places::faults(subject));
    }
    if notes.is_empty() && findings.is_empty() {
        let dirs = subject.data_dirs.iter().map(|it| it.display().to_string());
        let dirs: Vec<String> = dirs.collect();
        return Verdict::skipped(match dirs.as_slice() {
            [] => "the agent has no files of its own".to_owned(),
            dirs => format!("there is no data directory {}", dirs.join(", ")),
        });
    }
    Verdict::of(notes.join("; "), findings)
}

/// Data directories and log files that nobody may change, not even root (FS_IOC_GETFLAGS(2const)).
fn immutable(subject: &Subject) -> Vec<Finding> {
    let identity = subject.identity.iter();
    let paths = subject
        .data_dirs
        .iter()
        .chain(&subject.log_files)
        .chain(identity);
    let found = paths.filter(|it| is_immutable(it)).map(|path| {
        let shown = path.display().to_string();
        let summary = format!("{shown} is marked immutable, so the agent cannot change it.");
        let evidence = format!("{shown} has the attribute i of chattr(1)");
        wrong(Cause::PathImmutable, path, summary, evidence)
    });
    found.collect()
}

fn is_immutable(path: &Path) -> bool {
    let is_plain = std::fs::metadata(path).is_ok_and(|it| it.is_file() || it.is_dir());
    let flags = is_plain.then(|| File::open(path).ok().map(rustix::fs::ioctl_getflags));
    let flags = flags.flatten().and_then(Result::ok);
    flags.is_some_and(|it| it.contains(rustix::fs::IFlags::IMMUTABLE))
}

/// Root may write anywhere: a trial as another user than the agent's says nothing.
fn trial(dir: &Path, agent_uid: Option<u32>) -> Result<&'static str, Option<Finding>> {
    if agent_uid != Some(rustix::process::geteuid().as_raw()) {
        return Ok("writing was not tried: this is not the agent's user");
    }
    match try_write(dir) {
        Ok(()) => Ok("a trial file was written"),
        Err(error) => Err(judge_write(dir, &error)),
    }
}

#[derive(Clone, Copy)]
struct Owned {
    is_dir: bool,
    uid: u32,
    mode: u32,
}

impl Owned {
    fn of(about: &Metadata) -> Self {
        Self {
            is_dir: about.is_dir(),
            uid: about.uid(),
            mode: about.mode() & 0o7777,
        }
    }
}

impl std::fmt::Display for Owned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "has mode {:04o} and belongs to user {}",
            self.mode, self.uid
        )
    }
}

fn wrong(cause: Cause, path: &Path, summary: String, evidence: String) -> Finding {
    let shown = path.display().to_string();
    finding(cause, summary, vec![evidence], &[("PATH", &shown)])
}

fn judge_dir(dir: &Path, owned: &Owned, agent_uid: Option<u32>) -> Vec<Finding> {
    let shown = dir.display();
    let mut findings = Vec::new();
    if !owned.is_dir {
        let summary = format!("The data directory {shown} is not a directory.");
        let evidence = format!("{shown} {owned}");
        findings.push(wrong(Cause::PathNotAccessible, dir, summary, evidence));
    } else if owned.mode & 0o002 != 0 {
        let summary = format!("Every user may write into the data directory {shown}.");
        let evidence = format!("{shown} {owned}; 0700 is right");
        findings.push(wrong(Cause::PathExposed, dir, summary, evidence));
    }
    if let Some(uid) = agent_uid.filter(|it| *it != owned.uid && *it != 0) {
        let summary =
            format!("The data directory {shown} belongs to another user than the agent's.");
        let evidence =
            format!("{shown} {owned}, the agent runs as user {uid}; chown -R {uid} {shown}");
        findings.push(wrong(Cause::PathWrongOwner, dir, summary, evidence));
    }
    findings
}

fn judge_private(path: &Path, mode: u32, mode_max: u32) -> Option<Finding> {
    // What others than the owner may do beyond what is allowed; the owner may do anything.
    let excess = mode & 0o077 & !mode_max;
    (excess != 0).then(|| {
        let shown = path.display();
        let who = if excess & 0o007 == 0 {
            "Its group"
        } else {
            "Every user"
        };
        let summary = format!("{who} may read or write the agent's private file {shown}.");
        let evidence = format!(
            "{shown} has mode {:04o}; {mode_max:04o} is right",
            mode & 0o7777
        );
        wrong(Cause::PathExposed, path, summary, evidence)
    })
}

/// Writes and removes a small file.
fn try_write(dir: &Path) -> io::Result<()> {
    let path = dir.join(format!(".check-{}", std::process::id()));
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
        .open(&path);
    let written = opened.and_then(|mut file| io::Write::write_all(&mut file, b"trial\n"));
    match std::fs::remove_file(&path) {
        Err(error) if written.is_ok() => Err(error),
        _ => written,
    }
}

/// Whether room is left, and no inode.
fn has_no_inode(dir: &Path) -> bool {
    rustix::fs::statvfs(dir).is_ok_and(|it| it.f_files > 0 && it.f_favail == 0 && it.f_bavail > 0)
}

fn judge_write(dir: &Path, error: &io::Error) -> Option<Finding> {
    let cause = match error.kind() {
        ErrorKind::StorageFull if has_no_inode(dir) => Cause::InodesExhausted,
        ErrorKind::StorageFull => Cause::DiskFull,
        ErrorKind::QuotaExceeded => Cause::QuotaExceeded,
        ErrorKind::ReadOnlyFilesystem => Cause::MountReadOnly,
        ErrorKind::PermissionDenied => Cause::PathNotAccessible,
        _ => return None,
    };
    let shown = dir.display().to_string();
    let evidence = vec![format!("writing a trial file into {shown}: {error}")];
    Some(finding(
        cause,
        cause.sentence(),
        evidence,
        &[("PATH", &shown)],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_directory_of_the_agents_user_is_well() {
        let dir = Path::new("/var/lib/sickbay-agent");
        let count = |uid, mode, agent| {
            judge_dir(
                dir,
                &Owned {
                    is_dir: true,
                    uid,
                    mode,
                },
                agent,
            )
            .len()
        };
        assert_eq!(count(0, 0o700, Some(0)), 0);
        assert_eq!(count(998, 0o750, Some(998)), 0);
        assert_eq!(count(998, 0o700, Some(0)), 0, "root may use it");
        assert_eq!(count(0, 0o755, None), 0);
        assert_eq!(count(0, 0o777, Some(0)), 1);
        assert_eq!(count(0, 0o700, Some(998)), 1);
        assert!(judge_private(dir, 0o100_600, 0o600).is_none());
        assert!(judge_private(dir, 0o100_644, 0o600).is_some());
        assert!(judge_private(dir, 0o100_640, 0o640).is_none());
        assert!(judge_private(dir, 0o100_660, 0o640).is_some());
    }

    #[test]
    fn a_failed_trial_names_its_cause() {
        let cause = |kind| judge_write(Path::new("/d"), &io::Error::from(kind)).map(|it| it.cause);
        assert_eq!(cause(ErrorKind::StorageFull), Some(2401));
        assert_eq!(cause(ErrorKind::QuotaExceeded), Some(2406));
        assert_eq!(cause(ErrorKind::ReadOnlyFilesystem), Some(2404));
        assert_eq!(cause(ErrorKind::PermissionDenied), Some(2405));
        assert_eq!(cause(ErrorKind::Interrupted), None);
    }

    #[test]
    fn a_trial_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        try_write(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
