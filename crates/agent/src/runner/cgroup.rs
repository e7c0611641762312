//! A command's control group (cgroup v2): holds all it starts, keeps its limits, kills it at a stroke.
//!
//! Owns where such groups may be made, what is written into them and what they tell afterwards. Never
//! takes a group that was not handed over: that of the host's root, one that the service manager
//! delegated (`Delegate=yes`), or the one that the agent was given. Where there is none, commands run
//! without, and what a group would have limited the runner limits otherwise or not at all.
//!
//! Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst; systemd.resource-control(5) for
//! delegation and its attribute `user.delegate`.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::inventory::read;

/// What our group is called below the host's root.
const NAME: &str = "sickbay-agent";
/// The agent's own group where it shares one with its commands: a group with controllers of its
/// own has no processes (cgroup-v2.rst, "No Internal Process Constraint").
const OWN: &str = "agent";
/// What may be limited, as the kernel calls it.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// Period over which CPU time is counted, in µs: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

/// Where commands get their groups.
#[derive(Debug)]
pub struct Cgroups {
    dir: PathBuf,
    controllers: BTreeSet<String>,
    /// Groups in which something ran on after their command.
    lingering: Mutex<Vec<PathBuf>>,
}

/// What a group is to limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu_percent: Option<u64>,
    pub(super) pids: Option<u64>,
}

impl Cgroups {
    /// The place that this host hands to its agent; `None`: it hands none.
    #[must_use]
    pub fn find() -> Option<Self> {
        let root = mounted(&read::text(Path::new("/proc/self/mounts")).ok()?)?;
        let groups = read::text(Path::new("/proc/self/cgroup")).ok()?;
        let own = own(&groups)?;
        if own == "/" {
            return Self::below(&root.join(NAME)).ok();
        }
        let dir = root.join(own.trim_start_matches('/'));
        if !is_delegated(&dir) {
            return None;
        }
        let mine = dir.join(OWN);
        make(&mine).ok()?;
        fs::write(mine.join("cgroup.procs"), "0").ok()?;
        Self::below(&dir).ok()
    }

    /// The place that somebody named.
    ///
    /// # Errors
    /// It is no control group, or none can be made there.
    pub fn below(dir: &Path) -> io::Result<Self> {
        make(dir)?;
        let offered = read::text(&dir.join("cgroup.controllers"))?;
        for controller in offered.split_ascii_whitespace() {
            if CONTROLLERS.contains(&controller) {
                // One that processes of this group hinder is not there: see below.
                let _left = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
            }
        }
        let enabled = read::text(&dir.join("cgroup.subtree_control"))?;
        let controllers = enabled
            .split_ascii_whitespace()
            .map(|it| it.trim_start_matches('+').to_owned());
        Ok(Self {
            dir: dir.to_owned(),
            controllers: controllers.collect(),
            lingering: Mutex::default(),
        })
    }

    /// Where it is and what it can limit, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let can = CONTROLLERS.into_iter().filter(|it| self.limits(it));
        let can: Vec<&str> = can.collect();
        let can = if can.is_empty() {
            "nothing; they can be killed at once".to_owned()
        } else {
            can.join(", ")
        };
        format!("groups of commands in {}, limit {can}", self.dir.display())
    }

    /// Whether groups made here keep limits of that controller.
    pub(super) fn limits(&self, controller: &str) -> bool {
        self.controllers.contains(controller)
    }

    /// Makes a group; what of `allowed` has no controller is not set.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn make(&self, name: &str, allowed: Allowed) -> io::Result<Cgroup> {
        self.tidy();
        let dir = self.dir.join(name);
        make(&dir)?;
        let group = Cgroup { dir };
        match self.fill(&group, allowed) {
            Ok(()) => Ok(group),
            Err(error) => {
                group.remove();
                Err(error)
            }
        }
    }

    fn fill(&self, group: &Cgroup, allowed: Allowed) -> io::Result<()> {
        if let Some(bytes) = allowed.memory_bytes.filter(|_| self.limits("memory")) {
            group.set("memory.max", &bytes.to_string())?;
            // Otherwise the limit would be this and all of the host's swap.
            let _no_swap = group.set("memory.swap.max", "0");
            // All of it or nothing: half a command is no state that anybody meant.
            group.set("memory.oom.group", "1")?;
        }
        if let Some(pids) = allowed.pids.filter(|_| self.limits("pids")) {
            group.set("pids.max", &pids.to_string())?;
        }
        if let Some(percent) = allowed.cpu_percent.filter(|_| self.limits("cpu")) {
            let time_us = percent.saturating_mul(CPU_PERIOD_US / 100).max(1_000);
            group.set("cpu.max", &format!("{time_us} {CPU_PERIOD_US}"))?;
        }
        Ok(())
    }

    /// Gives a group up; one in which something still runs goes when that has ended.
    pub(super) fn give_up(&self, group: &Cgroup) {
        if !group.remove() {
            self.lingering().push(group.dir.clone());
        }
    }

    fn lingering(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.lingering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tidy(&self) {
        self.lingering().retain(|dir| !Cgroup::at(dir).remove());
    }
}

/// The group of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// A group by its directory, as a [`super::Group`] notes it.
    pub(super) fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.dir.join(file), value)
    }

    /// Where a process writes `0` to be in it. Opened here, so that it may be another user's by then.
    pub(super) fn door(&self) -> io::Result<File> {
        let path = self.dir.join("cgroup.procs");
        OpenOptions::new().write(true).open(path)
    }

    /// The processes in it.
    pub(super) fn pids(&self) -> Vec<i32> {
        let text = read::text(&self.dir.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|it| it.parse().ok()).collect()
    }

    /// Kills all in it and below it, whatever they start meanwhile. Linux before 5.14 cannot.
    pub(super) fn kill(&self) -> bool {
        // Not created where it is not there, unlike a plain write would.
        let path = self.dir.join("cgroup.kill");
        let file = OpenOptions::new().write(true).open(path);
        file.is_ok_and(|mut file| io::Write::write_all(&mut file, b"1").is_ok())
    }

    /// Whether the kernel ended something in it for want of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        self.counted("memory.events", "oom_kill")
    }

    /// Whether it was denied a process.
    pub(super) fn was_denied_pids(&self) -> bool {
        self.counted("pids.events", "max")
    }

    fn counted(&self, file: &str, key: &str) -> bool {
        let text = read::text(&self.dir.join(file)).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(key));
        value.is_some_and(|it| it.trim().parse::<u64>().is_ok_and(|number| number > 0))
    }

    /// Takes it away. Returns whether it is gone.
    pub(super) fn remove(&self) -> bool {
        match fs::remove_dir(&self.dir) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

fn make(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Where cgroup v2 is mounted (proc_pid_mounts(5)).
fn mounted(mounts: &str) -> Option<PathBuf> {
    let mut fields = mounts.lines().map(|it| it.split(' '));
    fields.find_map(|mut it| {
        let (path, kind) = (it.nth(1)?, it.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    })
}

/// The group of this process in cgroup v2 (cgroups(7)).
fn own(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|it| it.strip_prefix("0::"))
}

fn is_delegated(dir: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0_u8; 1];
        rustix::fs::getxattr(dir, *name, &mut value).is_ok_and(|it| it == 1) && value == *b"1"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that looks like a control group.
    fn place(controllers: &str) -> (tempfile::TempDir, Cgroups) {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("cgroup.controllers"), controllers).unwrap();
        fs::write(temp.path().join("cgroup.subtree_control"), "").unwrap();
        let cgroups = Cgroups::below(temp.path()).unwrap();
        (temp, cgroups)
    }

    #[test]
    fn a_group_has_the_limits_for_which_there_is_a_controller() {
        let (temp, cgroups) = place("hugetlb pids");
        let allowed = Allowed {
            memory_bytes: Some(64 << 20),
            cpu_percent: None,
            pids: Some(7),
        };
        let group = cgroups.make("leaf", allowed).unwrap();
        let dir = temp.path().join("leaf");
        assert_eq!(fs::read_to_string(dir.join("pids.max")).unwrap(), "7");
        assert!(!dir.join("memory.max").exists() && !cgroups.limits("memory"));
        assert!(cgroups.summary().ends_with("limit pids"));
        for (file, text, out_of_memory, denied) in [
            ("memory.events", "low 0\noom 1\noom_kill 0\n", false, false),
            ("memory.events", "low 0\noom_kill 2\n", true, false),
            ("pids.events", "max 3\n", true, true),
        ] {
            fs::write(dir.join(file), text).unwrap();
            assert_eq!(group.ran_out_of_memory(), out_of_memory, "{text}");
            assert_eq!(group.was_denied_pids(), denied, "{text}");
        }
    }

    #[test]
    fn memory_and_cpu_are_written_as_the_kernel_reads_them() {
        let (temp, cgroups) = place("memory");
        let wanted = Allowed {
            memory_bytes: Some(64 << 20),
            cpu_percent: Some(150),
            pids: None,
        };
        cgroups.make("a", wanted).unwrap();
        let read = |file: &str| fs::read_to_string(temp.path().join(file)).unwrap();
        assert_eq!(read("a/memory.max"), "67108864");
        assert_eq!(read("a/memory.oom.group"), "1");
        let (temp, cgroups) = place("cpu");
        cgroups.make("a", wanted).unwrap();
        let cpu = fs::read_to_string(temp.path().join("a/cpu.max")).unwrap();
        assert_eq!(cpu, "150000 100000");
    }

    #[test]
    fn what_is_no_control_group_is_none() {
        let temp = tempfile::tempdir().unwrap();
        assert!(Cgroups::below(temp.path()).is_err());
        let mounts = "tmpfs /run tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        assert_eq!(mounted(mounts), Some("/sys/fs/cgroup".into()));
        assert_eq!(mounted("tmpfs /run tmpfs rw 0 0\n"), None);
        let cgroups = "4:memory:/x\n0::/system.slice/a.service\n";
        assert_eq!(own(cgroups), Some("/system.slice/a.service"));
        assert!(!is_delegated(temp.path()));
    }
}
