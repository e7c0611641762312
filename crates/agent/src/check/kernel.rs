//! What the kernel's log says of the last day: the agent killed for memory, disks that fail.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::{Context, Subject, procfs};

/// Older lines tell of the past, in seconds.
const AGE_SECONDS_MAX: u64 = 24 * 3_600;
/// Records that are read at most.
const RECORDS_MAX: usize = 20_000;
/// Lines of evidence that are shown of one kind.
const SHOWN_MAX: usize = 3;
/// What the kernel writes when a disk fails.
const DISK_MARKS: [&str; 7] = [
    "I/O error, dev ",
    "Buffer I/O error on dev",
    "critical medium error",
    "EXT4-fs error",
    "metadata I/O error",
    "Remounting filesystem read-only",
    "BTRFS error",
];
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

/// Disk errors of the last day.
pub(super) fn probe_disks(_: &Context) -> Verdict {
    look(|lines, now| {
        let cause = Cause::KernelDiskErrors;
        judge(lines, now, cause, is_disk_error)
    })
}

/// Kills of the agent for want of memory of the last day.
pub(super) fn probe_kills(context: &Context) -> Verdict {
    let subject = &context.subject;
    look(|lines, now| judge_kills(lines, now, subject))
}

fn look(judge: impl FnOnce(&[Line], u64) -> Option<Finding>) -> Verdict {
    let lines = match read() {
        Ok(lines) => lines,
        Err(why) => return Verdict::skipped(why),
    };
    let Some(now) = procfs::uptime_seconds() else {
        return Verdict::skipped("/proc/uptime cannot be read");
    };
    let note = format!("{} lines of the kernel's log", lines.len());
    Verdict::of(note, judge(&lines, now).into_iter().collect())
}

fn judge_kills(lines: &[Line], now: u64, subject: &Subject) -> Option<Finding> {
    let is_kill = |it: &str| killed(it).is_some_and(|name| subject.has_process(name));
    judge(lines, now, Cause::KilledForMemory, is_kill)
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

fn is_disk_error(text: &str) -> bool {
    DISK_MARKS.iter().any(|mark| text.contains(mark))
        && !NO_DISKS.iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(records: &[&str], now: u64) -> Vec<u16> {
        let lines: Vec<Line> = records.iter().filter_map(|it| parse(it)).collect();
        let subject = super::super::tests::own("/d".as_ref(), None);
        let kills = judge_kills(&lines, now, &subject);
        let disks = judge(&lines, now, Cause::KernelDiskErrors, is_disk_error);
        kills.iter().chain(&disks).map(|it| it.cause).collect()
    }

    #[test]
    fn records_are_read() {
        let line = parse(
            "3,1200,86400000001,-;blk_update_request: I/O error, dev sda, sector 1\n SUBSYSTEM=block\n",
        );
        let text = "blk_update_request: I/O error, dev sda, sector 1".to_owned();
        assert_eq!(
            line,
            Some(Line {
                seconds: 86_400,
                text
            })
        );
        assert_eq!(parse("odd"), None);
    }

    #[test]
    fn only_the_agents_own_death_of_the_last_day_counts() {
        let own = "3,1,1000000,-;Memory cgroup out of memory: Killed process 81 (sickbay-agent) total-vm:1kB, anon-rss:2kB";
        let other = "3,2,1000000,-;Out of memory: Killed process 82 (java) total-vm:1kB";
        assert_eq!(causes(&[own, other], 100), [2504]);
        assert_eq!(causes(&[own], 2 * 86_400), [0_u16; 0]);
        assert_eq!(causes(&[other], 100), [0_u16; 0]);
    }

    #[test]
    fn an_empty_drive_is_no_failing_disk() {
        let disk = "3,1,1000000,-;I/O error, dev nvme0n1, sector 8 op 0x0:(READ) flags 0x0";
        let floppy = "3,1,1000000,-;blk_update_request: I/O error, dev fd0, sector 0";
        let optical = "3,1,1000000,-;Buffer I/O error on dev sr0, logical block 1";
        assert_eq!(causes(&[disk], 100), [2803]);
        assert_eq!(causes(&[floppy, optical], 100), [0_u16; 0]);
    }
}
