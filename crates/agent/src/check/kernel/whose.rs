//! Whose fate a line of the kernel's log tells: the kernel serves all containers of a machine and names
//! processes as they call themselves, so a name alone says little.
//!
//! Says which lines can be about the agent as it runs, or as it ran last. Called by [`super`].

use std::path::Path;

use super::super::procfs::{self, Scene};
use super::super::subject::Subject;

/// Clocks of different sources agree to this, in seconds.
const SLACK_SECONDS: u64 = 3;
/// Where nothing tells when the agent was started last, only this much of the log counts, in seconds.
const UNKNOWN_SECONDS: u64 = 3_600;
/// Namespace of process numbers that the kernel itself uses (kernel: include/linux/proc_ns.h).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";
/// What systemd is asked of the unit.
pub(super) const PROPERTIES: &str = "LoadState,ExecMainPID,ExecMainCode,ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic";

/// What a line says of the process that it is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark<'a> {
    /// Since boot.
    pub(super) seconds: u64,
    /// In the kernel's own numbers.
    pub(super) pid: Option<u32>,
    /// Path of its control group, from the kernel's own root.
    pub(super) group: Option<&'a str>,
}

/// What is known of the agent's current life, or of its last one.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// Whether we see other process numbers than the kernel writes.
    pub(super) is_contained: bool,
    /// Its processes.
    pub(super) pids: Vec<u32>,
    /// Control groups that it is, or was, in.
    pub(super) groups: Vec<String>,
    /// When it began, in seconds since boot; what the kernel did before is not why the agent is as it is.
    pub(super) began: u64,
    /// When a signal ended the unit's main process, in seconds since boot.
    pub(super) ended: Option<u64>,
    /// Whether a container runs a process of the same name.
    pub(super) has_namesake: bool,
}

impl Life {
    /// Looks at the processes and at what was left behind; `shown` is what systemd says of the unit.
    pub(super) fn look(subject: &Subject, shown: &str, uptime_seconds: u64) -> Self {
        let scene = Scene::look();
        let pids = scene.agents(subject);
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let mut life = Self {
            is_contained: namespace != Path::new(FIRST_NAMESPACE),
            has_namesake: scene.has_namesake(subject),
            groups: pids.iter().flat_map(|it| groups_of(*it)).collect(),
            ..Self::default()
        };
        let text = |key: &str| {
            let mut values = shown.lines().filter_map(|it| it.split_once('='));
            values.find(|it| it.0 == key).map_or("", |it| it.1)
        };
        let seconds = |key| text(key).parse::<u64>().unwrap_or(0) / 1_000_000;
        let started = pids.first().and_then(|it| procfs::started_seconds(*it));
        if text("LoadState") == "loaded" {
            life.groups.push(format!("/system.slice/{}", subject.unit));
            life.pids.extend(text("ExecMainPID").parse::<u32>().ok());
            let by_signal = matches!(text("ExecMainCode"), "2" | "3");
            let ended = seconds("ExecMainExitTimestampMonotonic");
            life.ended = (by_signal && pids.is_empty() && ended > 0).then_some(ended);
            // A unit that was not started since boot cannot have died.
            life.began = match seconds("ExecMainStartTimestampMonotonic") {
                0 => u64::MAX,
                began => began,
            };
        } else {
            let left = left_behind(subject, uptime_seconds);
            life.began = left.unwrap_or_else(|| uptime_seconds.saturating_sub(UNKNOWN_SECONDS));
        }
        life.began = started.unwrap_or(life.began);
        life.pids.extend(pids);
        life
    }

    /// Whether the line can be about the agent in this life.
    pub(super) fn owns(&self, it: &Mark<'_>) -> bool {
        let at_its_end = |ended: u64| ended.abs_diff(it.seconds) <= SLACK_SECONDS;
        if self.ended.is_some_and(at_its_end) {
            return true;
        }
        if self.is_contained || it.seconds.saturating_add(SLACK_SECONDS) < self.began {
            return false;
        }
        if it.pid.is_some_and(|pid| self.pids.contains(&pid)) {
            return true;
        }
        match it.group {
            Some(group) => self.groups.iter().any(|own| is_inside(group, own)),
            None => !self.has_namesake,
        }
    }
}

/// Whether a control group is another, or below it.
fn is_inside(group: &str, own: &str) -> bool {
    let rest = group.strip_prefix(own);
    rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

/// Paths of the control groups of a process, but for the root, which holds everything.
fn groups_of(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let paths = text.lines().filter_map(|it| it.splitn(3, ':').nth(2));
    paths.filter(|it| *it != "/").map(str::to_owned).collect()
}

/// When the agent that is gone was last known to live, in seconds since boot: it writes its pid file when
/// it starts, and its log until it ends.
fn left_behind(subject: &Subject, uptime_seconds: u64) -> Option<u64> {
    let changed = |path: &std::path::PathBuf| {
        let changed = std::fs::symlink_metadata(path).ok()?.modified().ok()?;
        let age = changed.elapsed().ok()?.as_secs();
        Some(uptime_seconds.saturating_sub(age))
    };
    let newest = |paths: &[std::path::PathBuf]| paths.iter().filter_map(changed).max();
    newest(&subject.runtime_files).max(newest(&subject.log_files))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life() -> Life {
        Life {
            pids: vec![81],
            groups: vec!["/system.slice/x.service".into()],
            began: 1_000,
            ..Life::default()
        }
    }

    fn at(seconds: u64, pid: u32, group: Option<&str>) -> Mark<'_> {
        Mark {
            seconds,
            pid: Some(pid),
            group,
        }
    }

    #[test]
    fn what_befell_a_namesake_in_a_container_is_not_the_agents_fate() {
        let box_path = Some("/docker/4f1/system.slice/x.service");
        let own = Some("/system.slice/x.service/worker");
        assert!(!life().owns(&at(2_000, 7, box_path)));
        assert!(!life().owns(&at(2_000, 7, Some("/system.slice/x.service-other"))));
        assert!(life().owns(&at(2_000, 7, own)));
        assert!(life().owns(&at(2_000, 81, None)));
        assert!(life().owns(&at(2_000, 7, None)), "a worker");
        let beside = Life {
            has_namesake: true,
            ..life()
        };
        assert!(!beside.owns(&at(2_000, 7, None)));
        assert!(beside.owns(&at(2_000, 81, None)));
    }

    #[test]
    fn a_death_before_the_life_began_is_past() {
        assert!(!life().owns(&at(900, 81, None)));
        assert!(life().owns(&at(999, 81, None)), "clocks differ a little");
        let never = Life {
            began: u64::MAX,
            ..life()
        };
        assert!(!never.owns(&at(2_000, 81, None)));
    }

    #[test]
    fn in_a_container_only_what_the_service_manager_saw_at_that_moment_counts() {
        let contained = Life {
            is_contained: true,
            ..life()
        };
        let own = Some("/system.slice/x.service");
        assert!(
            !contained.owns(&at(2_000, 81, own)),
            "those are the machine's"
        );
        let killed = Life {
            ended: Some(2_001),
            ..contained
        };
        assert!(killed.owns(&at(2_000, 4_000, Some("/box/system.slice/x.service"))));
        assert!(!killed.owns(&at(1_500, 4_000, None)));
    }
}
