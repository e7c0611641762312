//! The mark by which an agent finds a command that outlived the agent that started it.
//!
//! A process id alone may be another process's by now: the mark holds the leader's start and the
//! boot of the host, too. Written by the runner, read and used by the journal.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::process::Pid;

use super::cgroup::Cgroup;
use super::tree::Tree;
use crate::inventory::{processes::Stat, read};

/// Longest name of a control group's directory in a mark, in bytes.
const CGROUP_BYTES_MAX: usize = 256;

/// A process group that a command was started in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Process id of the leader, which is the group's, too.
    leader: i32,
    /// Start of the leader, in clock ticks since the host started.
    started_ticks: u64,
    /// The host's boot.
    boot: String,
    /// The directory of its control group.
    cgroup: Option<PathBuf>,
}

impl Group {
    /// The group of a leader that started then.
    pub(crate) fn of(leader: Pid, started_ticks: u64, cgroup: Option<&Path>) -> Option<Self> {
        let dir = cgroup.map(Path::to_owned);
        Some(Self {
            leader: leader.as_raw_pid(),
            started_ticks,
            boot: boot()?.to_owned(),
            // A mark has its length; in such a place a later agent goes without.
            cgroup: dir.filter(|it| {
                it.to_str().is_some_and(|text| {
                    text.len() <= CGROUP_BYTES_MAX && !text.contains(char::is_whitespace)
                })
            }),
        })
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace();
        Some(Self {
            leader: fields.next()?.parse().ok()?,
            started_ticks: fields.next()?.parse().ok()?,
            boot: fields.next()?.to_owned(),
            cgroup: fields.next().map(PathBuf::from),
        })
    }

    /// Kills the group and all descendants, if it is still the one that was marked. Returns whether
    /// any of it ran. A group whose leader has ended is left alone, since nothing shows whose it is,
    /// unless it has a control group: that is the command's whatever has ended.
    #[must_use]
    pub fn kill(self) -> bool {
        let is_same_boot = boot().is_some_and(|it| it == self.boot);
        let held = self.cgroup.as_deref().filter(|_| is_same_boot);
        let held = held.map(Cgroup::at).is_some_and(|it| {
            let ran = !it.pids().is_empty() && it.kill();
            it.remove();
            ran
        });
        let leads = |stat: Stat| stat.started_ticks == self.started_ticks && stat.pgrp == stat.pid;
        let is_it = is_same_boot && Stat::read(self.leader).is_some_and(leads);
        match Pid::from_raw(self.leader) {
            Some(leader) if is_it => Tree::new(leader, None).kill() || held,
            _ => held,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.leader, self.started_ticks, self.boot)?;
        match &self.cgroup {
            Some(dir) => writeln!(f, " {}", dir.display()),
            None => writeln!(f),
        }
    }
}

/// The boot that this process runs in.
fn boot() -> Option<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(known) = BOOT.get() {
        return Some(known);
    }
    let text = read::text(Path::new("/proc/sys/kernel/random/boot_id")).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| BOOT.get_or_init(|| text.to_owned()).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Child, Command};

    fn sleeper() -> (Child, Group) {
        let mut command = Command::new("sleep");
        let child = command.arg("1000").process_group(0).spawn().unwrap();
        let leader = i32::try_from(child.id()).unwrap();
        let started = Stat::read(leader).unwrap().started_ticks;
        let group = Group::of(Pid::from_raw(leader).unwrap(), started, None);
        (child, group.unwrap())
    }

    #[test]
    fn a_marked_group_is_killed_and_one_that_only_has_its_number_is_not() {
        let (mut child, group) = sleeper();
        let later = Group {
            started_ticks: group.started_ticks + 1,
            ..group.clone()
        };
        let elsewhere = Group {
            boot: "another".into(),
            ..group.clone()
        };
        assert!(!later.kill() && !elsewhere.kill());
        assert!(child.try_wait().unwrap().is_none());
        assert_eq!(Group::parse(&group.to_string()), Some(group.clone()));
        assert!(group.clone().kill());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(!group.kill());
    }

    #[test]
    fn a_torn_mark_means_nothing() {
        for text in ["", "12", "12 34", "a b c"] {
            assert_eq!(Group::parse(text), None);
        }
    }
}
