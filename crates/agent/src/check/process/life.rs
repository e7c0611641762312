//! What a process of the agent runs, beside whom, and whether it gets its turn.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use model::Cause;
use protocol::answer::Finding;

use super::super::probe::finding;
use super::super::procfs::{self, Process};
use super::super::subject::Subject;

/// An instance that is younger may be a restart, in seconds.
const AGE_SECONDS_MIN: u64 = 60;
/// Share of the time that a process waited for a processor from which on it starves, in percent.
const WAITED_PERCENT: u64 = 50;
/// `SCHED_IDLE` of sched(7).
const POLICY_IDLE: u64 = 5;

/// Whether the file of its program is still the one that it runs. What an interpreter runs is not
/// known by its file.
pub(super) fn program(pid: u32, subject: &Subject) -> Option<Finding> {
    let link = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let bytes = link.as_os_str().as_bytes().strip_suffix(b" (deleted)")?;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    let name = path.file_name()?.to_str()?;
    if !subject.has_process(name) || path.starts_with("/memfd:") {
        return None;
    }
    // As the process itself sees it: it may have another root.
    let inside = Path::new("/proc").join(pid.to_string()).join("root");
    let is_there = inside
        .join(path.strip_prefix("/").ok()?)
        .try_exists()
        .ok()?;
    let cause = if is_there {
        Cause::ProgramReplaced
    } else {
        Cause::ProgramDeleted
    };
    let shown = path.display().to_string();
    let evidence = format!("/proc/{pid}/exe leads to {}", link.display());
    let known = [("PID", &*pid.to_string()), ("PROGRAM", &*shown)];
    Some(finding(cause, cause.sentence(), vec![evidence], &known))
}

/// One process of the agent, as far as it tells instances apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Instance {
    pid: u32,
    parent: u32,
    command: Vec<u8>,
    age_seconds: u64,
}

/// Two daemons that were started alike, neither of them by the other, and stay.
pub(super) fn second(agents: &[u32]) -> Option<Finding> {
    let uptime = procfs::uptime_seconds()?;
    let instance = |pid: &u32| {
        let started = procfs::started_seconds(*pid)?;
        Some(Instance {
            pid: *pid,
            parent: procfs::process(*pid)?.parent,
            command: std::fs::read(format!("/proc/{pid}/cmdline")).ok()?,
            age_seconds: uptime.saturating_sub(started),
        })
    };
    let instances: Vec<Instance> = agents.iter().filter_map(instance).collect();
    let (one, other) = alike(&instances)?;
    let cause = Cause::AgentDuplicated;
    let line = String::from_utf8_lossy(&one.command).replace('\0', " ");
    let evidence = format!(
        "processes {} and {} both run `{}`",
        one.pid,
        other.pid,
        line.trim()
    );
    let known = [("PID", &*other.pid.to_string())];
    Some(finding(cause, cause.sentence(), vec![evidence], &known))
}

fn alike(all: &[Instance]) -> Option<(&Instance, &Instance)> {
    let is_daemon = |it: &&Instance| {
        let has_parent = all.iter().any(|other| other.pid == it.parent);
        // A title such as `sshd: user` is that of a session, whose daemon may have ended since.
        let is_titled = it.command.windows(2).any(|it| it == b": ");
        !has_parent && !is_titled && !it.command.is_empty() && it.age_seconds >= AGE_SECONDS_MIN
    };
    let daemons: Vec<&Instance> = all.iter().filter(is_daemon).collect();
    daemons.iter().enumerate().find_map(|(at, one)| {
        let rest = daemons.iter().skip(at + 1);
        let other = rest.into_iter().find(|it| it.command == one.command)?;
        Some((*one, *other))
    })
}

/// The number at that place behind the name in `/proc/PID/stat`; the state is 0 (proc(5): field 3).
fn field(stat: &str, at: usize) -> Option<u64> {
    let rest = stat.rsplit_once(')')?.1;
    rest.split_whitespace().nth(at)?.parse().ok()
}

/// Time that a process has waited for a processor, in ns: the second number of
/// `/proc/PID/schedstat` (kernel: scheduler/sched-stats).
pub(super) fn waited_ns(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Whether its low priority kept it from running while it wanted to.
pub(super) fn starved(pid: u32, waited_ns: u64, of_ms: u64) -> Option<Finding> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let why = low_priority(&stat)?;
    let percent = waited_ns / 10_000 / of_ms.max(1);
    (percent >= WAITED_PERCENT).then(|| {
        let cause = Cause::AgentStarved;
        let evidence = format!("process {pid} {why} and waited {percent} % of the time");
        let known = [("PID", &*pid.to_string())];
        finding(cause, cause.sentence(), vec![evidence], &known)
    })
}

fn low_priority(stat: &str) -> Option<String> {
    let rest = stat.rsplit_once(')')?.1;
    let nice: i64 = rest.split_whitespace().nth(16)?.parse().ok()?;
    if field(stat, 38) == Some(POLICY_IDLE) {
        return Some("is scheduled only when the host is idle".to_owned());
    }
    (nice > 0).then(|| format!("has the nice value {nice}"))
}

/// An agent that has ended and that nobody collected, where none runs.
pub(super) fn zombie(subject: &Subject) -> Option<Finding> {
    let all = procfs::processes();
    let ours = namespace("self");
    let is_zombie = |it: &&Process| {
        let of_this_host = namespace(&it.parent.to_string()) == ours;
        it.state == 'Z' && subject.has_process(&it.name) && of_this_host
    };
    // The first process of a container is often none that collects, and starts nothing again either.
    let it = all.iter().find(|it| is_zombie(it) && it.parent != 1)?;
    let parent = all.iter().find(|other| other.pid == it.parent);
    let parent = parent.map_or("a process that cannot be seen", |it| it.name.as_str());
    let cause = Cause::AgentZombie;
    let evidence = format!(
        "process {} has ended and is still listed; its parent is {parent} (process {})",
        it.pid, it.parent
    );
    let known = [("PID", &*it.pid.to_string())];
    Some(finding(cause, cause.sentence(), vec![evidence], &known))
}

fn namespace(pid: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(pid: u32, parent: u32, command: &str, age_seconds: u64) -> Instance {
        Instance {
            pid,
            parent,
            command: command.replace(' ', "\0").into_bytes(),
            age_seconds,
        }
    }

    #[test]
    fn two_daemons_started_alike_are_one_too_many() {
        let one = instance(7, 1, "/usr/sbin/x -d", 900);
        let pids = |other: Instance| {
            let all = [one.clone(), other];
            alike(&all).map(|(one, other)| (one.pid, other.pid))
        };
        assert_eq!(pids(instance(9, 1, "/usr/sbin/x -d", 80)), Some((7, 9)));
        assert_eq!(
            pids(instance(9, 7, "/usr/sbin/x -d", 80)),
            None,
            "its child"
        );
        assert_eq!(
            pids(instance(9, 1, "/usr/sbin/x -d -c b", 80)),
            None,
            "another one"
        );
        assert_eq!(pids(instance(9, 1, "/usr/sbin/x -d", 5)), None, "a restart");
        let mut session = instance(9, 1, "", 80);
        session.command = b"sshd: root".to_vec();
        let all = [session.clone(), Instance { pid: 8, ..session }];
        assert!(alike(&all).is_none());
    }

    #[test]
    fn priority_is_read_from_the_kernels_line() {
        let stat = |nice, policy| {
            format!(
                "7 (a b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 {nice} 9 0 77 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 17 0 0 {policy} 0 0 0"
            )
        };
        assert_eq!(low_priority(&stat("0", "0")), None);
        assert_eq!(low_priority(&stat("-5", "0")), None);
        assert_eq!(
            low_priority(&stat("19", "0")).unwrap(),
            "has the nice value 19"
        );
        assert!(low_priority(&stat("0", "5")).unwrap().contains("idle"));
    }

    #[test]
    fn the_program_of_this_process_is_there() {
        let subject = Subject::default();
        assert!(program(std::process::id(), &subject).is_none());
    }
}
