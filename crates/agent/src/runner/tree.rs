//! The processes that a command has started: finding and signalling them.
//!
//! A process belongs to the tree if it is in the command's control group or process group, or descends
//! from a process of the tree. Where there is no control group, one that leaves the process group *and*
//! loses its parent before it was seen escapes. Used by the runner.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group},
};

use super::cgroup::Cgroup;
use super::group::Group;
use crate::inventory::processes::{Stat, stats};

/// How often the tree is looked at while it ends.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The processes of one command. Kills them when it is dropped before [`Tree::forget`].
pub(super) struct Tree {
    leader: Pid,
    /// Processes seen so far and their start, in clock ticks: the pair is never used twice.
    seen: BTreeMap<i32, u64>,
    /// Its control group.
    cgroup: Option<Cgroup>,
    is_forgotten: bool,
}

impl Tree {
    /// The tree of a process that leads its own group and has not been waited for.
    pub(super) fn new(leader: Pid, cgroup: Option<Cgroup>) -> Self {
        let raw = leader.as_raw_pid();
        let seen = Stat::read(raw).map(|stat| (raw, stat.started_ticks));
        Self {
            leader,
            seen: seen.into_iter().collect(),
            cgroup,
            is_forgotten: false,
        }
    }

    /// What a later agent finds it by; `None`: it cannot be told.
    pub(super) fn group(&self) -> Option<Group> {
        let started_ticks = self.seen.get(&self.leader.as_raw_pid())?;
        let dir = self.cgroup.as_ref().map(Cgroup::dir);
        Group::of(self.leader, *started_ticks, dir)
    }

    /// Its control group.
    pub(super) fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// Kills all of it. Returns whether anything ran.
    pub(super) fn kill(mut self) -> bool {
        let ran = !self.look().is_empty();
        self.signal(Signal::KILL);
        self.forget();
        ran
    }

    /// Sends a signal to every process of the tree.
    pub(super) fn signal(&mut self, signal: Signal) {
        if signal == Signal::KILL {
            let _old_kernel = self.cgroup.as_ref().map(Cgroup::kill);
        }
        // A look before, because children of what dies now no longer show whose they are.
        self.look();
        let group = (!self.is_number_reused()).then_some(self.leader);
        if let Some(group) = group {
            let _gone = kill_process_group(group, signal);
        }
        // Those outside the group alone: some programs take a second request for impatience.
        let group = group.map(Pid::as_raw_pid);
        for stat in self.look() {
            if Some(stat.pgrp) != group
                && let Some(pid) = Pid::from_raw(stat.pid)
            {
                let _gone = kill_process(pid, signal);
            }
        }
    }

    /// Kills what is left of the group, and nothing else. Returns whether there was something.
    pub(super) fn kill_group(&self) -> bool {
        // Nearly always no process has the group's number any more, not even a dead one, and to ask
        // for that is quicker than to look at every process. One that left the group is not meant here.
        if test_kill_process_group(self.leader) == Err(Errno::SRCH) || self.is_number_reused() {
            return false;
        }
        let group = self.leader.as_raw_pid();
        let is_left = stats()
            .iter()
            .any(|stat| stat.pgrp == group && !stat.is_dead());
        let _gone = kill_process_group(self.leader, Signal::KILL);
        is_left
    }

    /// Resolves when no process of the tree runs.
    pub(super) async fn gone(&mut self) {
        while !self.look().is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The tree has been dealt with.
    pub(super) fn forget(&mut self) {
        self.is_forgotten = true;
    }

    /// A group's number is free again once its leader and all members are gone. A process that has
    /// the number and is not our leader shows that this happened.
    fn is_number_reused(&self) -> bool {
        let raw = self.leader.as_raw_pid();
        Stat::read(raw).is_some_and(|stat| self.seen.get(&raw) != Some(&stat.started_ticks))
    }

    /// All processes of the tree that run now.
    fn look(&mut self) -> Vec<Stat> {
        let mut running = stats();
        let is_reused = self.is_number_reused();
        let mut members = BTreeSet::new();
        let held = self.cgroup.as_ref().map(Cgroup::pids).unwrap_or_default();
        let mut news: Vec<&Stat> = running
            .iter()
            .filter(|stat| {
                held.contains(&stat.pid)
                    || self.seen.get(&stat.pid) == Some(&stat.started_ticks)
                    || (!is_reused && stat.pgrp == self.leader.as_raw_pid())
            })
            .collect();
        while let Some(stat) = news.pop() {
            if members.insert(stat.pid) {
                self.seen.insert(stat.pid, stat.started_ticks);
                news.extend(running.iter().filter(|child| child.ppid == stat.pid));
            }
        }
        running.retain(|stat| members.contains(&stat.pid) && !stat.is_dead());
        running
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.is_forgotten {
            self.signal(Signal::KILL);
        }
    }
}
