//! The mark by which an agent finds a command that outlived the agent that started it.
//!
//! A process id alone may be another process's by now: the mark holds the leader's start and the
//! boot of the host, too. Written by the runner, read and used by the journal.

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::Pid;

use super::tree::Tree;
use crate::inventory::{processes::Stat, read};

/// A process group that a command was started in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Process id of the leader, which is the group's, too.
    leader: i32,
    /// Start of the leader, in clock ticks since the host started.
    started_ticks: u64,
    /// The host's boot.
    boot: String,
}

impl Group {
    /// The group of a leader that started then.
    pub(crate) fn of(leader: Pid, started_ticks: u64) -> Option<Self> {
        Some(Self {
            leader: leader.as_raw_pid(),
            started_ticks,
            boot: boot()?.to_owned(),
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
        })
    }

    /// Kills the group and all descendants, if it is still the one that was marked. Returns whether
    /// any of it ran. A group whose leader has ended is left alone: nothing shows whose it is.
    #[must_use]
    pub fn kill(self) -> bool {
        let leads = |stat: Stat| stat.started_ticks == self.started_ticks && stat.pgrp == stat.pid;
        let is_it =
            boot().is_some_and(|it| it == self.boot) && Stat::read(self.leader).is_some_and(leads);
        match Pid::from_raw(self.leader) {
            Some(leader) if is_it => Tree::new(leader).kill(),
            _ => false,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} {}", self.leader, self.started_ticks, self.boot)
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
        let group = Group::of(Pid::from_raw(leader).unwrap(), started);
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
            ..group
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
