//! Reads `/proc`: processes, pressure, tables of numbers. Parsing is apart from reading.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Subject;

/// Clock ticks per second in `/proc/PID/stat`: USER_HZ, which is 100 on every platform we run on.
pub(super) const TICKS_PER_SECOND: u64 = 100;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
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
        parent: fields.get(1)?.parse().ok()?,
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

/// The agent's daemons, its main process first.
pub(super) fn agents(subject: &Subject) -> Vec<u32> {
    match subject.own_pid {
        Some(pid) => vec![pid],
        None => Scene::look().agents(subject),
    }
}

/// All processes that can be seen, with what they are called by.
#[derive(Debug)]
pub(super) struct Scene(Vec<Seen>);

#[derive(Debug)]
struct Seen {
    process: Process,
    /// Its program's file; empty: not ours to see.
    program: PathBuf,
    command: Vec<String>,
    /// Whether it belongs to another container.
    is_foreign: bool,
}

impl Scene {
    /// Looks at them once.
    pub(super) fn look() -> Self {
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let ours = namespace("self");
        let seen = |process: Process| {
            let pid = process.pid;
            let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let program = exe.to_str().unwrap_or_default();
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let its = namespace(&pid.to_string());
            Seen {
                // The file of a program that was upgraded while it runs.
                program: program.trim_end_matches(" (deleted)").into(),
                command: words(&command),
                is_foreign: its.is_some() && ours.is_some() && its != ours,
                process,
            }
        };
        let own = std::process::id();
        let alive = processes()
            .into_iter()
            .filter(|it| it.pid != own && it.state != 'Z' && it.state != 'X');
        Self(alive.map(seen).collect())
    }

    /// Whether another container runs such an agent.
    pub(super) fn has_namesake(&self, subject: &Subject) -> bool {
        let mut foreign = self.0.iter().filter(|it| it.is_foreign);
        foreign.any(|it| it.is_agent(subject))
    }

    /// The agent's daemons, its main process first. Not this process unless the check runs inside the
    /// agent, no other command of the same program, no zombie, and none of another container.
    pub(super) fn agents(&self, subject: &Subject) -> Vec<u32> {
        if let Some(pid) = subject.own_pid {
            return vec![pid];
        }
        // A registered agent is known by its data directory; others on this host are not it.
        let registered = subject.identity.as_ref().is_some_and(|it| it.exists());
        let is_agent = |it: &&Seen| {
            !it.is_foreign && it.is_agent(subject) && (!registered || it.serves(subject))
        };
        let agents: Vec<&Process> = self
            .0
            .iter()
            .filter(is_agent)
            .map(|it| &it.process)
            .collect();
        let is_child = |it: &Process| agents.iter().any(|other| other.pid == it.parent);
        let mut pids: Vec<(bool, u32)> = agents.iter().map(|it| (is_child(it), it.pid)).collect();
        pids.sort_unstable();
        pids.into_iter().map(|(_, pid)| pid).collect()
    }
}

/// The words of a command line.
fn words(command_line: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(command_line);
    let words = text.trim_end_matches('\0').split('\0');
    words.map(str::to_owned).collect()
}

impl Seen {
    fn is_agent(&self, subject: &Subject) -> bool {
        let file = self
            .program
            .file_name()
            .and_then(OsStr::to_str)
            .unwrap_or_default();
        let by_name = subject.has_process(&self.process.name)
            || subject.has_process(file)
            || subject
                .processes
                .iter()
                .any(|it| self.program == Path::new(it));
        if by_name && !self.is_script_of(subject) {
            return self.is_daemon(subject, 1);
        }
        self.is_script_of(subject) && self.is_daemon(subject, 2)
    }

    /// Whether an interpreter runs the agent: its first argument is the script.
    fn is_script_of(&self, subject: &Subject) -> bool {
        let script = self.command.get(1).map(Path::new).and_then(Path::file_name);
        script.is_some_and(|it| subject.scripts.iter().any(|name| it == name.as_str()))
    }

    /// Whether its argument at that place is none of another command.
    fn is_daemon(&self, subject: &Subject, at: usize) -> bool {
        let first = self.command.get(at).map_or("", String::as_str);
        !subject.other_arguments.iter().any(|it| it == first)
    }

    /// Whether the process keeps its data where the subject does, as far as can be told.
    fn serves(&self, subject: &Subject) -> bool {
        let (Some((option, usual)), Some(data_dir)) =
            (&subject.data_option, subject.data_dirs.first())
        else {
            return true;
        };
        let Ok(working_dir) = std::fs::read_link(format!("/proc/{}/cwd", self.process.pid)) else {
            return true;
        };
        let its = working_dir.join(value_of(option, &self.command).unwrap_or(usual.as_path()));
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        real(&its) == real(data_dir)
    }
}

/// The value of an option: `OPTION VALUE` or `OPTION=VALUE`.
fn value_of<'a>(option: &str, command: &'a [String]) -> Option<&'a Path> {
    let mut words = command.iter();
    let behind = words.by_ref().find_map(|it| {
        let behind = it.strip_prefix(option)?;
        (behind.is_empty() || behind.starts_with('=')).then_some(behind)
    })?;
    match behind.strip_prefix('=') {
        Some(path) => Some(Path::new(path)),
        None => words.next().map(Path::new),
    }
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

/// `avg10` or `avg60` of the line `some` or `full` of a pressure file, in percent.
pub(super) fn parse_pressure(text: &str, kind: &str, span: &str) -> Option<f64> {
    let line = text.lines().find_map(|it| it.strip_prefix(kind))?;
    let average = line
        .split_whitespace()
        .find_map(|it| it.strip_prefix(span)?.strip_prefix('='));
    average?.parse().ok()
}

/// Pressure on `cpu`, `memory` or `io`; `None`: this kernel does not measure it.
pub(super) fn pressure(resource: &str, kind: &str) -> Option<f64> {
    let text = std::fs::read_to_string(Path::new("/proc/pressure").join(resource)).ok()?;
    parse_pressure(&text, kind, "avg10")
}

/// A file of the kernel's that holds one number.
pub(super) fn number(path: impl AsRef<Path>) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Time since boot, in seconds.
pub(super) fn uptime_seconds() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    text.split(['.', ' ']).next()?.parse().ok()
}

/// When a process started, in seconds since boot (proc(5): field 22 of its stat).
pub(super) fn started_seconds(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit_once(')')?.1;
    let ticks: u64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    Some(ticks / TICKS_PER_SECOND)
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
        assert_eq!(parse_pressure(text, "some", "avg10"), Some(3.54));
        assert_eq!(parse_pressure(text, "full", "avg10"), Some(61.2));
        assert_eq!(parse_pressure("", "full", "avg10"), None);
    }

    fn seen(name: &str, program: &str, command: &str) -> Seen {
        Seen {
            process: Process {
                pid: 7,
                parent: 1,
                name: name.into(),
                state: 'S',
                ticks: 0,
            },
            program: program.into(),
            command: command.split(' ').map(str::to_owned).collect(),
            is_foreign: false,
        }
    }

    #[test]
    fn the_checker_is_not_taken_for_the_agent() {
        let subject = super::super::tests::own("/d".as_ref(), None);
        let is_agent =
            |command: &str| seen("sickbay-agent", "sickbay-agent", command).is_agent(&subject);
        assert!(is_agent("/usr/bin/sickbay-agent run --data /d"));
        assert!(!is_agent("./sickbay-agent check -b eyJ"));
        assert!(subject.has_process("sickbay-agent"));
        assert!(!subject.has_process("sickbay-agent-x"));
    }

    #[test]
    fn an_agent_that_an_interpreter_runs_is_known_by_its_script() {
        let subject = Subject {
            scripts: vec!["salt-minion".into()],
            other_arguments: vec!["--version".into()],
            ..Subject::default()
        };
        let is_agent = |command: &str| seen("python3", "python3.13", command).is_agent(&subject);
        assert!(is_agent("/usr/bin/python3 /usr/bin/salt-minion -d"));
        assert!(!is_agent("/usr/bin/python3 /usr/bin/salt-minion --version"));
        assert!(!is_agent("/usr/bin/python3 /usr/bin/salt-master"));
        assert!(!is_agent("/usr/bin/python3"));
    }

    #[test]
    fn a_name_that_is_a_path_means_that_very_program() {
        let subject = Subject {
            processes: vec!["/opt/x/agent".into()],
            ..Subject::default()
        };
        assert!(seen("agent", "/opt/x/agent", "agent run").is_agent(&subject));
        assert!(!seen("agent", "/opt/y/agent", "agent run").is_agent(&subject));
    }

    #[test]
    fn the_main_process_comes_before_its_children() {
        let subject = Subject {
            processes: vec!["sshd".into()],
            ..Subject::default()
        };
        let mut scene = Scene(vec![
            seen("sshd", "sshd", "sshd"),
            seen("sshd", "sshd", "sshd"),
        ]);
        scene.0[0].process.pid = 3;
        scene.0[0].process.parent = 9;
        scene.0[1].process.pid = 9;
        assert_eq!(scene.agents(&subject), [9, 3]);
    }

    #[test]
    fn the_data_directory_of_an_agent_is_read_from_its_command() {
        let path = |text: &[u8]| value_of("--data", &words(text)).map(Path::to_owned);
        assert_eq!(path(b"sickbay-agent\0run\0--data\0/d\0"), Some("/d".into()));
        assert_eq!(path(b"sickbay-agent\0run\0--data=/e\0"), Some("/e".into()));
        assert_eq!(path(b"sickbay-agent\0run\0"), None);
    }

    #[test]
    fn the_busiest_process_comes_first() {
        let at = |pid, ticks| Process {
            pid,
            parent: 1,
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

    #[test]
    fn broken_tables_of_processes_are_survived() {
        let samples = [
            "4711 (odd (name) x) S 1 4711 4711 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 77 1 2",
            "some avg10=3.54 avg60=3.81 avg300=1.47 total=12426363\nfull avg10=61.20 avg60=0.00\n",
            "VmRSS:\t  1184 kB\nUid:\t0\t0\t0\t0\n",
        ];
        crate::fuzz::text("processes", &samples, |it| {
            parse_stat(it);
            parse_pressure(it, "full", "avg60");
            table_number(it, "VmRSS");
            let command = words(it.as_bytes());
            value_of("--data", &command);
        });
    }
}
