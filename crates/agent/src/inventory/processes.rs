//! Processes: `/proc/PID/{stat,status,cmdline,exe}` (proc(5)).
//!
//! A process that ends while it is read is left out. The runner uses [`stats`] to find the tree of a
//! command.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
};

use protocol::answer::Process;

use super::{Unread, accounts::parse_passwd, read};
use crate::check::redact::redact;

const SUBJECT: &str = "processes";
/// Read of a command line before it is redacted and clipped, in bytes.
const CMDLINE_READ_BYTES: u64 = 16 << 10;
const CMDLINE_BYTES_MAX: usize = 1 << 10;
const FIELD_BYTES_MAX: usize = 256;
/// Clock ticks in a second as `/proc` counts them: `USER_HZ`, 100 on all architectures that Linux
/// still has (include/asm-generic/param.h).
const TICKS_PER_SECOND: i64 = 100;

/// What `/proc/PID/stat` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Process id.
    pub(crate) pid: i32,
    /// Short name.
    pub(crate) name: String,
    /// State letter.
    pub(crate) state: char,
    /// Parent's process id.
    pub(crate) ppid: i32,
    /// Process group.
    pub(crate) pgrp: i32,
    /// Start, in clock ticks since the host started.
    pub(crate) started_ticks: u64,
}

impl Stat {
    /// The process with that id; `None`: there is none.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        Self::parse(&read::text(&folder(pid).join("stat")).ok()?)
    }

    /// Whether it has ended and only waits for its parent to notice.
    pub(crate) const fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    fn parse(text: &str) -> Option<Self> {
        // The name may hold anything, `)` and spaces too: the last `)` ends it.
        let (head, tail) = text.rsplit_once(')')?;
        let (pid, name) = head.split_once('(')?;
        let mut fields = tail.split_ascii_whitespace();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            name: name.to_owned(),
            state: fields.next()?.chars().next()?,
            ppid: fields.next()?.parse().ok()?,
            pgrp: fields.next()?.parse().ok()?,
            started_ticks: fields.nth(16)?.parse().ok()?,
        })
    }
}

/// All processes that can be seen.
pub(crate) fn stats() -> Vec<Stat> {
    pids().into_iter().filter_map(Stat::read).collect()
}

/// The ids of all processes that can be seen, ascending.
pub(super) fn pids() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let mut pids: Vec<i32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

pub(super) fn folder(pid: i32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// When the host started, in ms since the Unix epoch; 0 if it cannot be read.
pub(super) fn booted_ms() -> i64 {
    let text = read::text(Path::new("/proc/stat")).unwrap_or_default();
    let seconds: Option<i64> = read::value(&text, "btime", ' ').and_then(|it| it.parse().ok());
    seconds.unwrap_or(0).saturating_mul(1_000)
}

pub(super) fn collect(unread: &mut Unread) -> Vec<Process> {
    let booted_ms = booted_ms();
    let users = users(&unread.more(SUBJECT, Path::new("/etc/passwd")));
    let pids = unread.cap(SUBJECT, pids());
    let processes: Vec<Process> = pids
        .into_iter()
        .filter_map(|pid| process(pid, booted_ms, &users))
        .collect();
    if processes.is_empty() {
        unread.lacks("processes: /proc shows none");
    }
    if !rustix::process::geteuid().is_root() {
        unread.say("processes: without root, paths of other users' programs cannot be read");
    }
    processes
}

fn users(passwd: &str) -> HashMap<u32, String> {
    let mut users = HashMap::new();
    for entry in parse_passwd(passwd) {
        users.entry(entry.uid).or_insert(entry.name);
    }
    users
}

fn process(pid: i32, booted_ms: i64, users: &HashMap<u32, String>) -> Option<Process> {
    let folder = folder(pid);
    let stat = Stat::read(pid)?;
    let status = read::text(&folder.join("status")).ok()?;
    let (uid, rss_bytes) = parse_status(&status);
    let cmdline = read::text_up_to(&folder.join("cmdline"), CMDLINE_READ_BYTES);
    let path = std::fs::read_link(folder.join("exe")).unwrap_or_default();
    let ticks = i64::try_from(stat.started_ticks).unwrap_or(0);
    Some(Process {
        pid,
        ppid: stat.ppid,
        name: read::clip(&stat.name, FIELD_BYTES_MAX),
        path: read::clip(&path.to_string_lossy(), FIELD_BYTES_MAX),
        cmdline: command_line(&cmdline.unwrap_or_default()),
        user: uid.map_or_else(String::new, |uid| {
            users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
        }),
        rss_bytes,
        started_ms: booted_ms.saturating_add(ticks.saturating_mul(1_000) / TICKS_PER_SECOND),
        state: stat.state.to_string(),
    })
}

/// Effective user and resident bytes; a kernel thread has none.
fn parse_status(status: &str) -> (Option<u32>, u64) {
    let number = |key, position| {
        let value: &str = read::value(status, key, ':')?;
        value.split_ascii_whitespace().nth(position)
    };
    let uid = number("Uid", 1).and_then(|uid| uid.parse().ok());
    let rss_kib: u64 = number("VmRSS", 0)
        .and_then(|rss| rss.parse().ok())
        .unwrap_or(0);
    (uid, rss_kib.saturating_mul(1_024))
}

/// A command line as one would type it, without secrets.
fn command_line(raw: &str) -> String {
    let raw = raw.trim_end_matches('\0');
    // One argument alone is a title that the program gave itself.
    let text = if raw.contains('\0') {
        raw.split('\0').map(quoted).collect::<Vec<_>>().join(" ")
    } else {
        raw.to_owned()
    };
    read::clip(&redact(&text).0, CMDLINE_BYTES_MAX)
}

/// Quotes show where an argument with spaces ends, and so how far a secret goes: that of
/// `--password="two words"` too.
fn quoted(argument: &str) -> Cow<'_, str> {
    if !argument.contains(char::is_whitespace) {
        return Cow::Borrowed(argument);
    }
    let quote = if argument.contains('"') { '\'' } else { '"' };
    let option = argument
        .split_once('=')
        .filter(|(name, _)| name.starts_with('-') && !name.contains(char::is_whitespace));
    Cow::Owned(match option {
        Some((name, value)) => format!("{name}={quote}{value}{quote}"),
        None => format!("{quote}{argument}{quote}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = "4242 (a) b (c) S 17 4240 4240 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99887 8 9";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.pid, stat.name.as_str()), (4242, "a) b (c"));
        assert_eq!((stat.state, stat.ppid, stat.pgrp), ('S', 17, 4240));
        assert_eq!(stat.started_ticks, 99_887);
        assert_eq!(Stat::parse("4242 (cut"), None);
    }

    #[test]
    fn the_status_gives_the_effective_user_and_the_memory() {
        let status = "Name:\tx\nUid:\t1000\t33\t0\t0\nVmRSS:\t    2048 kB\n";
        assert_eq!(parse_status(status), (Some(33), 2 << 20));
        assert_eq!(parse_status("Uid:\t0\t0\t0\t0\n"), (Some(0), 0));
    }

    #[test]
    fn a_command_line_is_spaced_and_clipped() {
        assert_eq!(command_line("sleep\x0010\0"), "sleep 10");
        assert_eq!(
            command_line("nginx: master process\0\0"),
            "nginx: master process"
        );
        assert_eq!(command_line("sh\0-c\0id; w\0"), "sh -c \"id; w\"");
        assert_eq!(command_line(&"x".repeat(5_000)).len(), CMDLINE_BYTES_MAX);
    }

    #[test]
    fn secrets_in_a_command_line_do_not_leave_the_host() {
        for raw in [
            "tool\0--password\0hunter2 and more\0",
            "tool\0--password=hunter2 and more\0-v\0",
            "tool\0https://ada:hunter2@example.org/\0",
        ] {
            let text = command_line(raw);
            assert!(
                !text.contains("hunter2") && !text.contains("more"),
                "{text}"
            );
        }
    }
}
