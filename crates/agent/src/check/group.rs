//! What the agent's control groups keep from it: frozen, out of processes, or throttled. Both versions
//! (cgroups(7); kernel: admin-guide/cgroup-v1 and cgroup-v2). Memory is [`super::memory`]'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;

use super::Context;
use super::probe::{Verdict, finding};
use super::procfs;

const ROOT: &str = "/sys/fs/cgroup";
/// Time between two looks at the counters, in ms.
const SAMPLE_MS: u64 = 1_500;
/// Periods of the quota that must have been used for a verdict.
const PERIODS_MIN: u64 = 5;
/// Share of them in which it was throttled from which on that hinders it, in percent.
const THROTTLED_PERCENT: u64 = 50;

/// The control groups of the agent's main process and those above them.
pub(super) async fn probe(context: Arc<Context>) -> Verdict {
    let reading = Arc::clone(&context);
    let looking = tokio::task::spawn_blocking(move || {
        let pid = procfs::agents(&reading.subject).first().copied();
        pid.map(|pid| (pid, std::fs::read_to_string(format!("/proc/{pid}/cgroup"))))
    });
    let (pid, membership) = match looking.await {
        Ok(Some((pid, Ok(membership)))) => (pid, membership),
        Ok(Some((pid, Err(error)))) => {
            return Verdict::skipped(format!("/proc/{pid}/cgroup cannot be read: {error}"));
        }
        _ => return Verdict::skipped("no process of the agent runs"),
    };
    let mut findings = Vec::new();
    findings.extend(frozen(&directories(&membership, "freezer"), pid));
    findings.extend(
        directories(&membership, "pids")
            .iter()
            .find_map(|it| full(it)),
    );
    let throttled = directories(&membership, "cpu");
    let before: Vec<Option<Counters>> = throttled.iter().map(|it| counters(it)).collect();
    let mut note = "no quota of its processors".to_owned();
    if before.iter().any(Option::is_some) {
        tokio::time::sleep(Duration::from_millis(SAMPLE_MS)).await;
        for (dir, before) in throttled.iter().zip(before) {
            let (Some(before), Some(after)) = (before, counters(dir)) else {
                continue;
            };
            let used = after.since(before);
            if used.periods > 0 {
                note = format!(
                    "throttled in {} of {} periods",
                    used.throttled, used.periods
                );
            }
            findings.extend(used.judge(dir));
        }
    }
    Verdict::of(note, findings)
}

/// The directories of a controller, the process's own first; of version 2 where version 1 has it not.
fn directories(membership: &str, controller: &str) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for line in membership.lines() {
        let Some((list, path)) = line.split_once(':').and_then(|it| it.1.split_once(':')) else {
            continue;
        };
        let has = list.split(',').any(|it| it == controller);
        let roots = match list {
            "" => vec![Path::new(ROOT).to_owned(), Path::new(ROOT).join("unified")],
            _ if has => vec![Path::new(ROOT).join(list), Path::new(ROOT).join(controller)],
            _ => continue,
        };
        let inside = Path::new(path.trim_start_matches('/'));
        for root in roots {
            dirs.extend(inside.ancestors().map(|it| root.join(it)));
        }
    }
    dirs
}

fn text(dir: &Path, file: &str) -> Option<String> {
    let text = std::fs::read_to_string(dir.join(file)).ok()?;
    Some(text.trim().to_owned())
}

fn frozen(dirs: &[PathBuf], pid: u32) -> Option<Finding> {
    let is_frozen = |dir: &&PathBuf| {
        let legacy = text(dir, "freezer.state").is_some_and(|it| it != "THAWED");
        let events = text(dir, "cgroup.events").unwrap_or_default();
        legacy || events.lines().any(|it| it == "frozen 1")
    };
    let dir = dirs.iter().find(is_frozen)?;
    let cause = Cause::AgentFrozen;
    let evidence = format!("process {pid} is in {}, which is frozen", dir.display());
    let known = [("PID", &*pid.to_string())];
    Some(finding(cause, cause.sentence(), vec![evidence], &known))
}

/// A group that has all the processes it may have, and was refused one.
fn full(dir: &Path) -> Option<Finding> {
    let current: u64 = text(dir, "pids.current")?.parse().ok()?;
    let max: u64 = text(dir, "pids.max")?.parse().ok()?;
    // Some groups are as large as they are meant to be: it must have been refused.
    let events = text(dir, "pids.events")?;
    let refused = events.lines().find_map(|it| it.strip_prefix("max "))?;
    let refused: u64 = refused.parse().ok()?;
    (current >= max && refused > 0).then(|| {
        let cause = Cause::CgroupProcessLimit;
        let evidence = format!(
            "{}: {current} of {max} processes and threads, refused {refused} times",
            dir.display()
        );
        finding(cause, cause.sentence(), vec![evidence], &[])
    })
}

/// Of `cpu.stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counters {
    periods: u64,
    throttled: u64,
}

fn counters(dir: &Path) -> Option<Counters> {
    parse(&text(dir, "cpu.stat")?)
}

/// `None`: it has no quota.
fn parse(stat: &str) -> Option<Counters> {
    let number = |name| {
        let line = stat.lines().find_map(|it| it.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let counters = Counters {
        periods: number("nr_periods ")?,
        throttled: number("nr_throttled ")?,
    };
    (counters.periods > 0).then_some(counters)
}

impl Counters {
    const fn since(self, before: Self) -> Self {
        Self {
            periods: self.periods.saturating_sub(before.periods),
            throttled: self.throttled.saturating_sub(before.throttled),
        }
    }

    fn judge(self, dir: &Path) -> Option<Finding> {
        let Self { periods, throttled } = self;
        let is_much = throttled.saturating_mul(100) >= periods.saturating_mul(THROTTLED_PERCENT);
        (periods >= PERIODS_MIN && is_much).then(|| {
            let cause = Cause::CgroupCpuThrottled;
            let evidence = format!(
                "{}: throttled in {throttled} of the last {periods} periods",
                dir.display()
            );
            finding(cause, cause.sentence(), vec![evidence], &[])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_both_versions_are_looked_for() {
        let unified = directories("0::/system.slice/x.service\n", "pids");
        assert_eq!(
            unified[0],
            Path::new("/sys/fs/cgroup/system.slice/x.service")
        );
        assert!(unified.contains(&"/sys/fs/cgroup/system.slice".into()));
        let legacy = directories("4:cpu,cpuacct:/x\n7:pids:/y\n", "cpu");
        assert_eq!(legacy[0], Path::new("/sys/fs/cgroup/cpu,cpuacct/x"));
        assert!(legacy.contains(&"/sys/fs/cgroup/cpu/x".into()));
        assert!(!legacy.contains(&"/sys/fs/cgroup/pids/y".into()));
    }

    fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        dir
    }

    #[test]
    fn a_group_is_full_only_when_it_was_refused_a_process() {
        let full = |max, refused| {
            let events = format!("max {refused}\n");
            let files = [
                ("pids.current", "9\n"),
                ("pids.max", max),
                ("pids.events", &*events),
            ];
            full(group(&files).path()).is_some()
        };
        assert!(full("9\n", 3));
        assert!(!full("9\n", 0), "as large as it is meant to be");
        assert!(!full("max\n", 3));
        assert!(!full("10\n", 3), "there is room again");
    }

    #[test]
    fn frozen_groups_are_known_in_both_versions() {
        let is_frozen = |name, content| {
            let dir = group(&[(name, content)]);
            frozen(&[dir.path().to_owned()], 7).is_some()
        };
        assert!(is_frozen("freezer.state", "FROZEN\n"));
        assert!(!is_frozen("freezer.state", "THAWED\n"));
        assert!(is_frozen("cgroup.events", "populated 1\nfrozen 1\n"));
        assert!(!is_frozen("cgroup.events", "populated 1\nfrozen 0\n"));
    }

    #[test]
    fn only_a_group_that_stands_still_much_of_the_time_is_throttled() {
        let at = |periods, throttled| Counters { periods, throttled };
        let stat = "usage_usec 5\nnr_periods 40\nnr_throttled 12\nthrottled_usec 3\n";
        assert_eq!(parse(stat), Some(at(40, 12)));
        assert_eq!(
            parse("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"),
            None
        );
        let judge = |it: Counters| it.since(at(40, 12)).judge(Path::new("/g")).is_some();
        assert!(judge(at(50, 22)));
        assert!(!judge(at(50, 16)));
        assert!(!judge(at(43, 15)), "too few to tell");
    }
}
