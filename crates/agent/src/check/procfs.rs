//! Reads `/proc`: processes, pressure, tables of numbers. Parsing is apart from reading.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Subject;
use crate::config::DATA_DIR;

/// Clock ticks per second in `/proc/PID/stat`: USER_HZ, which is 100 on every platform we run on.
pub(super) const TICKS_PER_SECOND: u64 = 100;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
    /// State letter, proc(5).
    pub(super) state: char,
    /// CPU time used, in ticks.
    pub(super) ticks: u64,
}

/// Reads `/proc/PID/stat`. The name may contain spaces and brackets.
pub(super) fn parse_stat(text: &str) -> Option<Process> {
    let (head, tail) = text.rsplit_once(')')?;
    let (pid, name) = head.split_once(" (")?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        pid: pid.trim().parse().ok()?,
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        ticks: number(11)?.saturating_add(number(12)?),
    })
}

pub(super) fn process(pid: u32) -> Option<Process> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// All processes that can be seen, by number.
pub(super) fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
    let mut all: Vec<Process> = pids.filter_map(process).collect();
    all.sort_by_key(|it| it.pid);
    all
}

/// The agent's daemons. Not this process unless the check runs inside the agent, no other command of
/// the same program, no zombie, and none of another container.
pub(super) fn agents(subject: &Subject) -> Vec<u32> {
    if let Some(pid) = subject.own_pid {
        return vec![pid];
    }
    let own = std::process::id();
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let our_namespace = namespace("self");
    // An enrolled agent is known by its data directory; others on this host are not it.
    let enrolled = subject.identity.as_ref().is_some_and(|it| it.exists());
    let is_ours = |pid: u32| match (namespace(&pid.to_string()), &our_namespace) {
        (Some(its), Some(ours)) => its == *ours,
        _ => true,
    };
    processes()
        .into_iter()
        .filter(|it| it.pid != own && it.state != 'Z' && it.state != 'X')
        .filter(|it| is_agent(subject, it) && is_ours(it.pid))
        .filter(|it| !enrolled || serves(it.pid, &subject.data_dir))
        .map(|it| it.pid)
        .collect()
}

fn is_agent(subject: &Subject, process: &Process) -> bool {
    let exe = std::fs::read_link(format!("/proc/{}/exe", process.pid)).unwrap_or_default();
    let program = exe.file_name().and_then(OsStr::to_str).unwrap_or_default();
    // The file of a program that was upgraded while it runs.
    let program = program.trim_end_matches(" (deleted)");
    let named = subject.has_process(&process.name) || subject.has_process(program);
    named && {
        let command_line = std::fs::read(format!("/proc/{}/cmdline", process.pid));
        is_daemon_command(subject, &command_line.unwrap_or_default())
    }
}

/// Whether the process keeps its data there, as far as can be told.
fn serves(pid: u32, data_dir: &Path) -> bool {
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let Ok(working_dir) = std::fs::read_link(format!("/proc/{pid}/cwd")) else {
        return true;
    };
    let named = data_argument(&command_line).unwrap_or_else(|| PathBuf::from(DATA_DIR));
    let its = working_dir.join(named);
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(&its) == real(data_dir)
}

/// The value of `--data`.
fn data_argument(command_line: &[u8]) -> Option<PathBuf> {
    let text = String::from_utf8_lossy(command_line);
    let mut words = text.split('\0');
    let value = words.by_ref().find_map(|it| it.strip_prefix("--data"))?;
    match value.strip_prefix('=') {
        Some(path) => Some(path.into()),
        None => words.next().map(PathBuf::from),
    }
}

fn is_daemon_command(subject: &Subject, command_line: &[u8]) -> bool {
    let mut words = command_line.split(|it| *it == 0);
    let first = words.nth(1).unwrap_or_default();
    !subject
        .other_commands
        .iter()
        .any(|it| it.as_bytes() == first)
}

/// The number after `name:` in a table such as `/proc/meminfo` or `/proc/PID/status`, in its unit.
pub(super) fn table_number(text: &str, name: &str) -> Option<u64> {
    let rest = text
        .lines()
        .find_map(|it| it.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The effective user id of a process.
pub(super) fn effective_uid(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// `avg10` of the line `some` or `full` of a pressure file, in percent.
pub(super) fn parse_pressure(text: &str, kind: &str) -> Option<f64> {
    let line = text.lines().find_map(|it| it.strip_prefix(kind))?;
    let average = line
        .split_whitespace()
        .find_map(|it| it.strip_prefix("avg10="));
    average?.parse().ok()
}

/// Pressure on `cpu`, `memory` or `io`; `None`: this kernel does not measure it.
pub(super) fn pressure(resource: &str, kind: &str) -> Option<f64> {
    let text = std::fs::read_to_string(Path::new("/proc/pressure").join(resource)).ok()?;
    parse_pressure(&text, kind)
}

/// A file that holds one number.
pub(super) fn number(path: impl AsRef<Path>) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Time since boot, in seconds.
pub(super) fn uptime_seconds() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    text.split(['.', ' ']).next()?.parse().ok()
}

/// The largest processes by resident memory, one line each.
pub(super) fn largest(count: usize) -> Vec<String> {
    let resident = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        table_number(&status, "VmRSS")
    };
    let mut all: Vec<(u64, Process)> = processes()
        .into_iter()
        .filter_map(|it| Some((resident(it.pid)?, it)))
        .collect();
    all.sort_by_key(|it| std::cmp::Reverse(it.0));
    all.iter()
        .take(count)
        .map(|(kib, it)| format!("{} MiB: {} (process {})", kib / 1024, it.name, it.pid))
        .collect()
}

/// The processes that used most CPU between two looks, one line each.
pub(super) fn busiest(before: &[Process], after: &[Process], count: usize) -> Vec<String> {
    let used = |it: &Process| {
        let earlier = before
            .iter()
            .find(|old| old.pid == it.pid && old.name == it.name);
        it.ticks.saturating_sub(earlier.map_or(0, |old| old.ticks))
    };
    let mut all: Vec<(u64, &Process)> = after.iter().map(|it| (used(it), it)).collect();
    all.sort_by_key(|(ticks, it)| (std::cmp::Reverse(*ticks), it.pid));
    all.iter()
        .take_while(|(ticks, _)| *ticks > 0)
        .take(count)
        .map(|(ticks, it)| {
            let ms = ticks * 1_000 / TICKS_PER_SECOND;
            format!("{ms} ms of CPU: {} (process {})", it.name, it.pid)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_and_spaces_are_read() {
        let text =
            "4711 (odd (name) x) S 1 4711 4711 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 77 1 2";
        let read = parse_stat(text).unwrap();
        assert_eq!(
            (read.pid, read.name.as_str(), read.state, read.ticks),
            (4711, "odd (name) x", 'S', 200)
        );
        assert_eq!(parse_stat("4711 (cut"), None);
    }

    #[test]
    fn pressure_is_read() {
        let text = "some avg10=3.54 avg60=3.81 avg300=1.47 total=12426363\nfull avg10=61.20 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(parse_pressure(text, "some"), Some(3.54));
        assert_eq!(parse_pressure(text, "full"), Some(61.2));
        assert_eq!(parse_pressure("", "full"), None);
    }

    #[test]
    fn the_checker_is_not_taken_for_the_agent() {
        let subject = Subject::sickbay("/d".as_ref(), None, None);
        assert!(is_daemon_command(
            &subject,
            b"/usr/bin/sickbay-agent\0run\0--data\0/d\0"
        ));
        assert!(!is_daemon_command(
            &subject,
            b"./sickbay-agent\0check\0-b\0eyJ\0"
        ));
        assert!(subject.has_process("sickbay-agent"));
        assert!(!subject.has_process("sickbay-agent-x"));
    }

    #[test]
    fn the_data_directory_of_an_agent_is_read_from_its_command() {
        let path = |text: &[u8]| data_argument(text);
        assert_eq!(path(b"sickbay-agent\0run\0--data\0/d\0"), Some("/d".into()));
        assert_eq!(path(b"sickbay-agent\0run\0--data=/e\0"), Some("/e".into()));
        assert_eq!(path(b"sickbay-agent\0run\0"), None);
    }

    #[test]
    fn the_busiest_process_comes_first() {
        let at = |pid, ticks| Process {
            pid,
            name: format!("p{pid}"),
            state: 'R',
            ticks,
        };
        let lines = busiest(
            &[at(1, 10), at(2, 10)],
            &[at(1, 15), at(2, 60), at(3, 0)],
            5,
        );
        assert_eq!(
            lines,
            [
                "500 ms of CPU: p2 (process 2)",
                "50 ms of CPU: p1 (process 1)"
            ]
        );
    }
}
