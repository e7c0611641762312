//! What the kernel's log says of the last day: what it did to the agent, and disks that fail.

mod whose;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::{Context, Subject, command, install, procfs};
use whose::{Life, Mark};

/// Older lines tell of the past, in seconds.
const AGE_SECONDS_MAX: u64 = 24 * 3_600;
/// What hindered the agent longer ago may have been overcome since, in seconds.
const HINDERED_SECONDS_MAX: u64 = 3_600;
/// Records that are read at most.
const RECORDS_MAX: usize = 20_000;
/// Lines of evidence that are shown of one kind.
const SHOWN_MAX: usize = 3;
/// What the kernel writes when a disk fails.
const DISK_MARKS: [&str; 4] = [
    "I/O error, dev ",
    "Buffer I/O error on dev",
    "critical medium error",
    "metadata I/O error",
];
/// What it writes when a file system does not hold what it should: two parts of one line.
const DAMAGE_MARKS: [(&str, &str); 6] = [
    ("EXT4-fs error (device ", ""),
    ("EXT4-fs (", "): Remounting filesystem read-only"),
    ("XFS (", "orruption"),
    ("BTRFS critical (", ""),
    ("BTRFS error (", "corrupt"),
    ("BTRFS error (", "csum"),
];
/// Lines about one killing are this near to each other, in seconds.
const OOM_SECONDS_MAX: u64 = 5;
/// Stands before the control group that may have no more processes.
const REJECTED: &str = "fork rejected by pids controller in ";
/// Drives without a medium and loops over files: their errors say nothing about disks.
const NO_DISKS: [&str; 3] = ["dev fd", "dev sr", "dev loop"];

/// One line of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Since boot.
    pub(super) seconds: u64,
    pub(super) text: String,
}

/// Reads `/dev/kmsg`, record by record, without waiting for more; `Err` says why it cannot.
pub(super) fn read() -> Result<Vec<Line>, String> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open("/dev/kmsg");
    let mut file = opened.map_err(|error| format!("/dev/kmsg cannot be read: {error}"))?;
    let mut lines = Vec::new();
    let mut record = [0; 8_192];
    for _ in 0..RECORDS_MAX {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(size) => {
                let bytes = record.get(..size).unwrap_or_default();
                lines.extend(parse(&String::from_utf8_lossy(bytes)));
            }
            // The record was overwritten while we read; the next read goes on behind it.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(format!("/dev/kmsg cannot be read: {error}")),
        }
    }
    Ok(lines)
}

/// `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT` (kernel: ABI/testing/dev-kmsg).
fn parse(record: &str) -> Option<Line> {
    let (head, text) = record.split_once(';')?;
    let micros: u64 = head.split(',').nth(2)?.parse().ok()?;
    Some(Line {
        seconds: micros / 1_000_000,
        text: text.lines().next()?.to_owned(),
    })
}

/// Errors of disks and file systems of the last day, and whom the kernel killed in the last hour.
pub(super) fn probe_host(context: &Context) -> Verdict {
    look(|lines, now| {
        let disks = judge(lines, now, Cause::KernelDiskErrors, is_disk_error);
        let damage = judge(lines, now, Cause::FileSystemErrors, is_damage);
        let subject = &context.subject;
        let others = judge_others(lines, now, subject);
        disks.into_iter().chain(damage).chain(others).collect()
    })
}

/// Processes other than the agent's that died because the host, and no control group of theirs, had no
/// memory left: a container at its own limit is none of the host's business.
fn judge_others(lines: &[Line], now: u64, subject: &Subject) -> Option<Finding> {
    let recent = recent(lines, now);
    judge(&recent, now, Cause::KernelKilledOthers, |text| {
        let is_of_host = text.starts_with("Out of memory: Killed process ");
        is_of_host && killed(text).is_some_and(|it| !subject.has_process(it))
    })
}

/// What happened of late: what is older may have been overcome.
fn recent(lines: &[Line], now: u64) -> Vec<Line> {
    let is_recent = |it: &&Line| now.saturating_sub(it.seconds) <= HINDERED_SECONDS_MAX;
    lines.iter().filter(is_recent).cloned().collect()
}

/// What the kernel did to the agent in the last day, as far as it explains how the agent is now.
pub(super) async fn probe_agent(context: Arc<Context>) -> Verdict {
    let unit = context.subject.unit.as_str();
    let shown = if command::systemd_runs() && !unit.is_empty() {
        let arguments = ["show", "--no-pager", "-p", whose::PROPERTIES, unit];
        match command::output("systemctl", &arguments, 3_000).await {
            Ok(shown) => shown,
            Err(why) => return Verdict::skipped(why),
        }
    } else {
        String::new()
    };
    let looking = tokio::task::spawn_blocking(move || {
        let subject = &context.subject;
        if !install::is_installed(subject) && procfs::agents(subject).is_empty() {
            return Verdict::skipped("the agent is not installed");
        }
        look(|lines, now| judge_agent(lines, now, subject, &Life::look(subject, &shown, now)))
    });
    let failed = |error| Verdict::skipped(format!("the probe broke: {error}"));
    looking.await.unwrap_or_else(failed)
}

fn look(judge: impl FnOnce(&[Line], u64) -> Vec<Finding>) -> Verdict {
    let lines = match read() {
        Ok(lines) => lines,
        Err(why) => return Verdict::skipped(why),
    };
    let Some(now) = procfs::uptime_seconds() else {
        return Verdict::skipped("/proc/uptime cannot be read");
    };
    let note = format!("{} lines of the kernel's log", lines.len());
    Verdict::of(note, judge(&lines, now))
}

fn judge_agent(lines: &[Line], now: u64, subject: &Subject, life: &Life) -> Vec<Finding> {
    let deaths = [Cause::KilledForMemory, Cause::AgentSegfaulted];
    let hindrances = [
        Cause::KernelTaskHung,
        Cause::CgroupProcessLimit,
        Cause::SelinuxDenies,
        Cause::AppArmorDenies,
        Cause::SystemCallDenied,
    ];
    let is_own = |it: &&Line| told(&it.text, subject).is_some() && life.owns(&mark(it, lines));
    let own: Vec<Line> = lines.iter().filter(is_own).cloned().collect();
    let recent = recent(&own, now);
    let find =
        |lines: &[Line], cause| judge(lines, now, cause, |text| told(text, subject) == Some(cause));
    let dead = deaths.into_iter().filter_map(|it| find(&own, it));
    let hindered = hindrances.into_iter().filter_map(|it| find(&recent, it));
    dead.chain(hindered).collect()
}

/// What the line says of its process; its control group stands in a line before it, if the process was
/// killed for memory (kernel: mm/oom_kill.c).
fn mark<'a>(line: &'a Line, lines: &'a [Line]) -> Mark<'a> {
    let pid = pid_of(&line.text);
    let group = |it: &'a Line| {
        let (_, rest) = it
            .text
            .strip_prefix("oom-kill:")?
            .split_once("task_memcg=")?;
        let (group, rest) = rest.rsplit_once(",task=")?;
        let of = rest.split_once(",pid=")?.1.split(',').next()?;
        let is_near = line.seconds.abs_diff(it.seconds) <= OOM_SECONDS_MAX;
        (is_near && of.parse().ok() == pid).then_some(group)
    };
    let rejected = line.text.split_once(REJECTED).map(|it| it.1.trim());
    Mark {
        seconds: line.seconds,
        pid,
        group: rejected.or_else(|| lines.iter().rev().find_map(group)),
    }
}

/// The number of the process that a line is about.
fn pid_of(text: &str) -> Option<u32> {
    let starts = ["illed process ", "INFO: task ", " pid=", "["];
    let rest = starts.iter().find_map(|it| Some(text.split_once(it)?.1))?;
    let rest = match text.contains("INFO: task ") {
        true => rest.split_once(" blocked")?.0.rsplit_once(':')?.1,
        false => rest,
    };
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
}

/// What a line says happened to the agent.
fn told(text: &str, subject: &Subject) -> Option<Cause> {
    let is_agent = |name: Option<&str>| name.is_some_and(|it| subject.has_process(it));
    if is_agent(killed(text)) {
        return Some(Cause::KilledForMemory);
    }
    if is_agent(faulted(text)) {
        return Some(Cause::AgentSegfaulted);
    }
    if is_agent(hung(text)) {
        return Some(Cause::KernelTaskHung);
    }
    let group = text.split_once(REJECTED);
    // A longer path is that of a container, whose services are not this host's.
    let of_unit = |it: &str| it.trim().strip_prefix("/system.slice/") == Some(&*subject.unit);
    if group.is_some_and(|it| of_unit(it.1)) {
        return Some(Cause::CgroupProcessLimit);
    }
    if !is_agent(quoted(text, "comm=")) {
        return None;
    }
    // Only what is enforced: `permissive=1` and `apparmor="ALLOWED"` hinder nobody.
    if text.contains("avc:  denied") && !text.contains("permissive=1") {
        return Some(Cause::SelinuxDenies);
    }
    if text.contains("apparmor=\"DENIED\"") {
        return Some(Cause::AppArmorDenies);
    }
    // A seccomp filter that ended it by SIGSYS (kernel: AUDIT_SECCOMP).
    let is_seccomp = text.contains("type=1326") && text.contains(" sig=31 ");
    is_seccomp.then_some(Cause::SystemCallDenied)
}

/// The name in `name[4711]: segfault at …` and `traps: name[4711] general protection …`.
fn faulted(text: &str) -> Option<&str> {
    let text = text.strip_prefix("traps: ").unwrap_or(text);
    let (name, rest) = text.split_once('[')?;
    let (pid, what) = rest.split_once(']')?;
    let what = what.trim_start_matches([':', ' ']);
    let marks = [
        "segfault at ",
        "general protection",
        "trap ",
        "stack segment",
    ];
    let is_fault = marks.iter().any(|it| what.starts_with(it));
    (is_fault && pid.bytes().all(|it| it.is_ascii_digit())).then_some(name)
}

/// The name in `INFO: task name:4711 blocked for more than 120 seconds.`
fn hung(text: &str) -> Option<&str> {
    let task = text.split_once("INFO: task ")?.1;
    let (task, _) = task.split_once(" blocked for more than ")?;
    task.rsplit_once(':').map(|it| it.0)
}

/// The text in quotes behind a key.
fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = text.split_once(key)?.1.strip_prefix('"')?;
    rest.split('"').next()
}

fn judge(
    lines: &[Line],
    now_seconds: u64,
    cause: Cause,
    is_telling: impl Fn(&str) -> bool,
) -> Option<Finding> {
    let age = |it: &Line| now_seconds.saturating_sub(it.seconds);
    let telling: Vec<&Line> = lines
        .iter()
        .filter(|it| age(it) <= AGE_SECONDS_MAX && is_telling(&it.text))
        .collect();
    let shown = telling.iter().rev().take(SHOWN_MAX);
    let shown = shown.map(|it| format!("{} min ago: {}", age(it) / 60, it.text));
    let mut evidence: Vec<String> = shown.collect();
    evidence.push(format!("such lines of the last 24 h: {}", telling.len()));
    (!telling.is_empty()).then(|| finding(cause, cause.sentence(), evidence, &[]))
}

/// The name in `Out of memory: Killed process 4711 (name) …`, also of a control group.
fn killed(text: &str) -> Option<&str> {
    let rest = text.split_once("illed process ")?.1;
    rest.split_once('(')?.1.split_once(')').map(|it| it.0)
}

fn is_damage(text: &str) -> bool {
    let has = |(head, word): &(&str, &str)| text.contains(head) && text.contains(word);
    let devices = NO_DISKS.iter().filter_map(|it| it.split(' ').nth(1));
    DAMAGE_MARKS.iter().any(has) && !devices.into_iter().any(|it| of_device(text, it))
}

/// Whether the file system lies on such a device: `EXT4-fs (loop0): …`, `… (device loop0): …`.
fn of_device(text: &str, device: &str) -> bool {
    let marks = ["(", "device "];
    marks
        .iter()
        .any(|it| text.contains(&format!("{it}{device}")))
}

fn is_disk_error(text: &str) -> bool {
    DISK_MARKS.iter().any(|mark| text.contains(mark))
        && !NO_DISKS.iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests;
