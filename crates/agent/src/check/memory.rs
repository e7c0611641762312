//! Is the host out of memory, or the agent at the limit of its control group?

mod pressure;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;

use super::Context;
use super::probe::{Verdict, finding};
use super::procfs::{self, table_number};

/// Share of the time that some task waited for memory, from which on pressure is high, in percent.
const PRESSURE_PERCENT: f64 = 10.0;
/// Working set from which on a control group is at its limit, in percent of it.
const GROUP_PERCENT: u64 = 95;

/// Time over which swap is watched, in ms.
const SAMPLE_MS: u64 = 500;

/// Memory of the host, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Memory {
    total: u64,
    available: u64,
    swap_total: u64,
    swap_free: u64,
}

fn parse(meminfo: &str) -> Option<Memory> {
    Some(Memory {
        total: table_number(meminfo, "MemTotal")?,
        available: table_number(meminfo, "MemAvailable")?,
        swap_total: table_number(meminfo, "SwapTotal").unwrap_or(0),
        swap_free: table_number(meminfo, "SwapFree").unwrap_or(0),
    })
}

/// Available memory together with pressure, or with swap where pressure is not measured; and whether
/// programs wait for memory and swap is thrashed.
pub(super) async fn probe(_: Arc<Context>) -> Verdict {
    let before = pressure::swapped();
    if before.is_some() {
        tokio::time::sleep(Duration::from_millis(SAMPLE_MS)).await;
    }
    let swapped = before.zip(pressure::swapped());
    let swap = swapped.and_then(|(before, after)| pressure::judge_swap(before, after, SAMPLE_MS));
    let mut verdict = available();
    verdict.add(swap.into_iter().chain(pressure::stalled()).collect());
    verdict
}

fn available() -> Verdict {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let Some(memory) = parse(&meminfo) else {
        return Verdict::skipped("/proc/meminfo cannot be read");
    };
    let pressure = procfs::pressure("memory", "some");
    let found = is_exhausted(memory, pressure).then(|| {
        let mut evidence = vec![describe(memory, pressure)];
        evidence.extend(procfs::largest(5));
        let cause = Cause::MemoryExhausted;
        finding(cause, cause.sentence(), evidence, &[])
    });
    Verdict::of(describe(memory, pressure), found.into_iter().collect())
}

fn describe(memory: Memory, pressure: Option<f64>) -> String {
    let mib = |kib: u64| kib / 1024;
    let pressure = pressure.map_or_else(String::new, |it| format!(", pressure {it} %"));
    format!(
        "{} of {} MiB available, {} of {} MiB swap free{pressure}",
        mib(memory.available),
        mib(memory.total),
        mib(memory.swap_free),
        mib(memory.swap_total),
    )
}

fn is_exhausted(memory: Memory, pressure: Option<f64>) -> bool {
    let below = |part: u64, whole: u64, percent: u64| {
        part.saturating_mul(100) < whole.saturating_mul(percent)
    };
    match pressure {
        Some(pressure) => below(memory.available, memory.total, 3) && pressure > PRESSURE_PERCENT,
        None => {
            let swap_gone = memory.swap_total == 0 || below(memory.swap_free, memory.swap_total, 5);
            below(memory.available, memory.total, 2) && swap_gone
        }
    }
}

/// A control group that limits memory, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    path: PathBuf,
    /// Used, without what the kernel can drop at once.
    working_set: u64,
    max: u64,
}

/// The agent's control group and those above it.
pub(super) fn probe_limit(context: &Context) -> Verdict {
    let Some(pid) = procfs::agents(&context.subject).first().copied() else {
        return Verdict::skipped("no process of the agent runs");
    };
    let Ok(membership) = std::fs::read_to_string(format!("/proc/{pid}/cgroup")) else {
        return Verdict::skipped(format!("/proc/{pid}/cgroup cannot be read"));
    };
    let groups = groups(&membership);
    let Some(tightest) = groups
        .iter()
        .max_by_key(|it| u128::from(it.working_set) * 1_000 / u128::from(it.max.max(1)))
    else {
        return Verdict::clear("no control group limits its memory");
    };
    let (used, max) = (tightest.working_set >> 20, tightest.max >> 20);
    let note = format!("{used} of {max} MiB in {}", tightest.path.display());
    Verdict::of(note, judge(tightest).into_iter().collect())
}

fn judge(group: &Group) -> Option<Finding> {
    let is_full =
        u128::from(group.working_set) * 100 >= u128::from(group.max) * u128::from(GROUP_PERCENT);
    is_full.then(|| {
        let (used, max) = (group.working_set, group.max);
        let evidence = format!(
            "{}: {used} of {max} bytes, file cache not counted",
            group.path.display()
        );
        let cause = Cause::CgroupMemoryLimit;
        finding(cause, cause.sentence(), vec![evidence], &[])
    })
}

fn groups(membership: &str) -> Vec<Group> {
    let legacy = path_of(membership, "memory").map(|it| ("/sys/fs/cgroup/memory", it, &VERSION_1));
    let unified = path_of(membership, "").map(|it| ("/sys/fs/cgroup", it, &VERSION_2));
    let Some((root, path, files)) = legacy.or(unified) else {
        return Vec::new();
    };
    let inside = Path::new(path.trim_start_matches('/'));
    inside
        .ancestors()
        .filter_map(|it| read_group(&Path::new(root).join(it), files))
        .collect()
}

/// The path of the hierarchy with that controller; version 2 names none (cgroups(7)).
fn path_of<'a>(membership: &'a str, controller: &str) -> Option<&'a str> {
    membership.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|it| it == controller)
            .then_some(path)
    })
}

struct Files {
    used: &'static str,
    max: &'static str,
    /// In `memory.stat`: file cache that is not in use.
    droppable: &'static str,
}

const VERSION_1: Files = Files {
    used: "memory.usage_in_bytes",
    max: "memory.limit_in_bytes",
    droppable: "total_inactive_file",
};
const VERSION_2: Files = Files {
    used: "memory.current",
    max: "memory.max",
    droppable: "inactive_file",
};

fn read_group(path: &Path, files: &Files) -> Option<Group> {
    let max = procfs::number(path.join(files.max))?;
    // Version 1 writes "no limit" as a number near the end of the range.
    if max >= 1 << 60 {
        return None;
    }
    let used = procfs::number(path.join(files.used))?;
    let stat = std::fs::read_to_string(path.join("memory.stat")).unwrap_or_default();
    let droppable = stat
        .lines()
        .find_map(|it| it.strip_prefix(files.droppable)?.trim().parse().ok());
    Some(Group {
        path: path.to_owned(),
        working_set: used.saturating_sub(droppable.unwrap_or(0)),
        max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_exhausted_only_when_it_is_missed() {
        let text = "MemTotal:       24684092 kB\nMemFree:          462572 kB\nMemAvailable:     337492 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n";
        let memory = parse(text).unwrap();
        assert_eq!(memory.available, 337_492);
        assert!(is_exhausted(memory, Some(25.0)));
        assert!(!is_exhausted(memory, Some(0.5)));
        assert!(is_exhausted(memory, None));
        let swapping = Memory {
            swap_total: 1_000_000,
            swap_free: 900_000,
            ..memory
        };
        assert!(!is_exhausted(swapping, None));
        assert!(!is_exhausted(
            Memory {
                available: 2_000_000,
                ..memory
            },
            Some(90.0)
        ));
    }

    #[test]
    fn the_control_group_is_found_in_both_versions() {
        let unified = "0::/system.slice/sickbay-agent.service\n";
        assert_eq!(
            path_of(unified, ""),
            Some("/system.slice/sickbay-agent.service")
        );
        assert_eq!(path_of(unified, "memory"), None);
        let legacy = "9:name=systemd:/\n4:cpu,memory:/docker/e441\n0::/\n";
        assert_eq!(path_of(legacy, "memory"), Some("/docker/e441"));
    }

    #[test]
    fn a_full_control_group_is_found() {
        let group = |working_set| Group {
            path: "/sys/fs/cgroup/x".into(),
            working_set,
            max: 100 << 20,
        };
        assert!(judge(&group(94 << 20)).is_none());
        assert_eq!(judge(&group(95 << 20)).unwrap().cause, 2507);
    }

    #[test]
    fn broken_figures_are_survived() {
        let samples = [
            "MemTotal: 24684092 kB\nMemAvailable: 337492 kB\nSwapTotal: 5 kB\nSwapFree: 1 kB\n",
            "9:name=systemd:/\n4:cpu,memory:/docker/e441\n0::/\n",
        ];
        crate::fuzz::text("memory", &samples, |it| {
            if let Some(memory) = parse(it) {
                is_exhausted(memory, None);
                describe(memory, None);
            }
            path_of(it, "memory");
        });
    }
}
