//! Has the user that an agent runs as inotify instances and watches left?
//!
//! The kernel counts both per user (inotify(7)). Descriptors of processes that are not ours to see are
//! not counted, so the figures are lower bounds and nobody is accused wrongly.

use std::collections::BTreeMap;
use std::path::Path;

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::{Context, procfs};

const LIMITS: &str = "/proc/sys/fs/inotify";
/// Descriptors that are looked at.
const DESCRIPTORS_MAX: usize = 100_000;
/// Lines of one descriptor that are counted.
const WATCHES_MAX: usize = 2_000_000;
/// What is used from which on nothing is left, in percent.
const PERCENT_MUCH: u64 = 99;

/// What one user, or one process, has of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    instances: u64,
    watches: u64,
}

/// What each user has, against the limits.
pub(super) fn probe(_: &Context) -> Verdict {
    let limit = |name: &str| procfs::number(Path::new(LIMITS).join(name));
    let (Some(instances), Some(watches)) = (limit("max_user_instances"), limit("max_user_watches"))
    else {
        return Verdict::skipped("this kernel tells no limits of inotify");
    };
    let max = Count { instances, watches };
    let mut left = DESCRIPTORS_MAX;
    let mut all = Vec::new();
    for process in procfs::processes() {
        let dir = Path::new("/proc").join(process.pid.to_string());
        let count = of_process(&dir, &mut left);
        if count != Count::default()
            && let Some(uid) = procfs::effective_uid(process.pid)
        {
            all.push((uid, process.name, count));
        }
    }
    let users = by_user(&all);
    let most = users
        .values()
        .copied()
        .fold(Count::default(), |a, b| Count {
            instances: a.instances.max(b.instances),
            watches: a.watches.max(b.watches),
        });
    let note = format!(
        "at most {} of {instances} inotify instances and {} of {watches} watches of a user",
        most.instances, most.watches
    );
    let findings = users
        .iter()
        .filter_map(|(uid, it)| judge(*uid, *it, max, &all));
    Verdict::of(note, findings.take(1).collect())
}

/// Descriptors of inotify, and the lines `inotify wd:…` in their `fdinfo` (proc_pid_fdinfo(5)).
fn of_process(dir: &Path, left: &mut usize) -> Count {
    let mut count = Count::default();
    for entry in std::fs::read_dir(dir.join("fd"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let Some(rest) = left.checked_sub(1) else {
            break;
        };
        *left = rest;
        let is_inotify =
            std::fs::read_link(entry.path()).is_ok_and(|it| it.as_os_str() == "anon_inode:inotify");
        if is_inotify {
            let info = dir.join("fdinfo").join(entry.file_name());
            let text = std::fs::read_to_string(info).unwrap_or_default();
            count.instances += 1;
            count.watches += watches(&text);
        }
    }
    count
}

fn watches(fdinfo: &str) -> u64 {
    let lines = fdinfo.lines().filter(|it| it.starts_with("inotify wd:"));
    u64::try_from(lines.take(WATCHES_MAX).count()).unwrap_or(u64::MAX)
}

fn by_user(all: &[(u32, String, Count)]) -> BTreeMap<u32, Count> {
    let mut users: BTreeMap<u32, Count> = BTreeMap::new();
    for (uid, _, count) in all {
        let user = users.entry(*uid).or_default();
        user.instances += count.instances;
        user.watches += count.watches;
    }
    users
}

fn judge(uid: u32, has: Count, max: Count, all: &[(u32, String, Count)]) -> Option<Finding> {
    let is_much =
        |has: u64, max: u64| u128::from(has) * 100 >= u128::from(max) * u128::from(PERCENT_MUCH);
    let (what, used, of): (_, _, fn(&Count) -> u64) = if is_much(has.watches, max.watches) {
        ("watches", max.watches, |it| it.watches)
    } else if is_much(has.instances, max.instances) {
        ("instances", max.instances, |it| it.instances)
    } else {
        return None;
    };
    let mut evidence = vec![format!(
        "user {uid} has {} of {used} inotify {what}",
        of(&has)
    )];
    let mut largest: Vec<&(u32, String, Count)> = all.iter().filter(|it| it.0 == uid).collect();
    largest.sort_by_key(|(_, name, count)| (std::cmp::Reverse(of(count)), name.clone()));
    let shown = largest.iter().take(3);
    evidence.extend(shown.map(|(_, name, count)| format!("{name} has {}", of(count))));
    let cause = Cause::WatchesExhausted;
    Some(finding(cause, cause.sentence(), evidence, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_and_watches_of_a_process_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir(at("fd")).unwrap();
        std::fs::create_dir(at("fdinfo")).unwrap();
        std::os::unix::fs::symlink("anon_inode:inotify", at("fd/3")).unwrap();
        std::os::unix::fs::symlink("/dev/null", at("fd/4")).unwrap();
        let info = "pos:\t0\nflags:\t00\ninotify wd:2 ino:7 sdev:1\ninotify wd:1 ino:3 sdev:1\n";
        std::fs::write(at("fdinfo/3"), info).unwrap();
        let (instances, watches) = (1, 2);
        let counted = Count { instances, watches };
        assert_eq!(of_process(dir.path(), &mut 10), counted);
        assert_eq!(of_process(dir.path(), &mut 0), Count::default());
    }

    #[test]
    fn a_user_has_none_left_only_at_the_limit_itself() {
        let count = |instances, watches| Count { instances, watches };
        let max = count(128, 8_192);
        let all = [
            (0, "syncer".to_owned(), count(2, 8_000)),
            (0, "agentd".to_owned(), count(1, 192)),
            (7, "editor".to_owned(), count(90, 100)),
        ];
        let users = by_user(&all);
        let found = judge(0, users[&0], max, &all).unwrap();
        assert_eq!(found.cause, 2513);
        assert_eq!(found.evidence[0], "user 0 has 8192 of 8192 inotify watches");
        assert_eq!(found.evidence[1], "syncer has 8000");
        assert!(judge(7, users[&7], max, &all).is_none());
        assert!(judge(7, count(128, 0), max, &all).is_some());
        assert!(judge(7, count(126, 8_000), max, &all).is_none());
    }
}
