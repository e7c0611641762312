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
mod tests {
    use super::*;

    /// An agent that runs since boot as process 81.
    fn life() -> Life {
        Life {
            pids: vec![81],
            groups: vec!["/system.slice/sickbay-agent.service".into()],
            ..Life::default()
        }
    }

    fn causes(records: &[&str], now: u64) -> Vec<u16> {
        let lines: Vec<Line> = records.iter().filter_map(|it| parse(it)).collect();
        let subject = super::super::tests::own("/d".as_ref(), None);
        let own = judge_agent(&lines, now, &subject, &life());
        let disks = judge(&lines, now, Cause::KernelDiskErrors, is_disk_error);
        let damage = judge(&lines, now, Cause::FileSystemErrors, is_damage);
        let all = own.iter().chain(&disks).chain(&damage);
        all.map(|it| it.cause).collect()
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
    fn whom_the_host_killed_of_late_is_told_from_a_container_at_its_limit() {
        let cause = |text: &str, now| {
            let line = parse(&format!("3,1,1000000,-;{text}")).unwrap();
            let subject = super::super::tests::own("/d".as_ref(), None);
            judge_others(&[line], now, &subject).map(|it| it.cause)
        };
        let java = "Out of memory: Killed process 82 (java) total-vm:1kB";
        assert_eq!(cause(java, 100), Some(2804));
        assert_eq!(cause(java, 9_000), None);
        assert_eq!(
            cause(
                &java.replace("Out of memory", "Memory cgroup out of memory"),
                100
            ),
            None
        );
        assert_eq!(cause(&java.replace("java", "sickbay-agent"), 100), None);
    }

    #[test]
    fn the_death_of_a_namesake_in_a_container_is_told_by_its_control_group() {
        let killing = |group: &str| {
            let about = format!(
                "6,1,1000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={group},task_memcg={group},task=sickbay-agent,pid=9,uid=0"
            );
            let killed = "3,2,1000001,-;Memory cgroup out of memory: Killed process 9 (sickbay-agent) total-vm:1kB";
            causes(&[&about, killed], 100)
        };
        assert_eq!(killing("/docker/4f1"), [0_u16; 0]);
        assert_eq!(killing("/system.slice/sickbay-agent.service"), [2504]);
    }

    #[test]
    fn the_number_of_the_process_is_read_from_each_kind_of_line() {
        for text in [
            "Out of memory: Killed process 81 (x y) total-vm:1kB",
            "traps: x[81] general protection fault ip:0 sp:0 error:0",
            "x[81]: segfault at 0 ip 0000 sp 0000 error 4 in x[40+1]",
            "INFO: task x:y:81 blocked for more than 120 seconds.",
            "audit: type=1400 audit(1.2:3): avc:  denied  { read } for  pid=81 comm=\"x\"",
        ] {
            assert_eq!(pid_of(text), Some(81), "{text}");
        }
        assert_eq!(pid_of("cgroup: fork rejected"), None);
    }

    #[test]
    fn an_empty_drive_is_no_failing_disk() {
        let disk = "3,1,1000000,-;I/O error, dev nvme0n1, sector 8 op 0x0:(READ) flags 0x0";
        let floppy = "3,1,1000000,-;blk_update_request: I/O error, dev fd0, sector 0";
        let optical = "3,1,1000000,-;Buffer I/O error on dev sr0, logical block 1";
        assert_eq!(causes(&[disk], 100), [2803]);
        assert_eq!(causes(&[floppy, optical], 100), [0_u16; 0]);
    }

    #[test]
    fn damaged_file_systems_are_told_from_lines_that_only_name_one() {
        let at = |text: &str| causes(&[&format!("3,1,1000000,-;{text}")], 100);
        assert_eq!(
            at(
                "EXT4-fs error (device sda1): ext4_lookup:1855: inode #2: comm x: deleted inode referenced: 12"
            ),
            [2407]
        );
        assert_eq!(
            at("XFS (dm-0): Metadata corruption detected at xfs_agi_verify"),
            [2407]
        );
        assert_eq!(
            at("EXT4-fs (sda1): Remounting filesystem read-only"),
            [2407]
        );
        for fine in [
            "EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: errors=remount-ro",
            "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro. Quota mode: none.",
            "XFS (dm-0): Ending clean mount",
            "EXT4-fs error (device loop0): ext4_lookup: deleted inode referenced: 12",
        ] {
            assert_eq!(at(fine), [0_u16; 0], "{fine}");
        }
    }

    #[test]
    fn what_the_kernel_did_to_the_agent_is_found() {
        let at = |text: &str| causes(&[&format!("3,1,1000000,-;{text}")], 100);
        assert_eq!(
            at("sickbay-agent[81]: segfault at 0 ip 0000 sp 0000 error 4 in x[40+1]"),
            [2805]
        );
        assert_eq!(
            at("traps: sickbay-agent[81] general protection fault ip:0 sp:0 error:0"),
            [2805]
        );
        assert_eq!(
            at("INFO: task sickbay-agent:81 blocked for more than 120 seconds."),
            [2806]
        );
        assert_eq!(
            at("cgroup: fork rejected by pids controller in /system.slice/sickbay-agent.service"),
            [2511]
        );
        assert_eq!(
            at(
                "audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"open\" profile=\"x\" name=\"/etc/x\" pid=1 comm=\"sickbay-agent\""
            ),
            [2414]
        );
        assert_eq!(
            at(
                "audit: type=1400 audit(1.2:3): avc:  denied  { read } for  pid=1 comm=\"sickbay-agent\" name=\"x\" permissive=0"
            ),
            [2413]
        );
        assert_eq!(
            at(
                "audit: type=1326 audit(1.2:3): auid=1 comm=\"sickbay-agent\" exe=\"/x\" sig=31 arch=c000003e syscall=41"
            ),
            [2808]
        );
        for other in [
            "java[81]: segfault at 0 ip 0000 sp 0000 error 4",
            "audit: type=1400 audit(1.2:3): avc:  denied  { read } for  pid=1 comm=\"sickbay-agent\" permissive=1",
            "audit: type=1400 audit(1.2:3): apparmor=\"ALLOWED\" pid=1 comm=\"sickbay-agent\"",
            "cgroup: fork rejected by pids controller in /system.slice/cron.service",
            "cgroup: fork rejected by pids controller in /box/1/system.slice/sickbay-agent.service",
        ] {
            assert_eq!(at(other), [0_u16; 0], "{other}");
        }
    }

    #[test]
    fn a_broken_kernel_log_is_survived() {
        let samples = [
            "3,1,1000000,-;Memory cgroup out of memory: Killed process 81 (sickbay-agent) total-vm:1kB",
            "3,1,1,-;traps: sickbay-agent[81] general protection fault ip:0 sp:0 error:0",
            "3,1,1,-;INFO: task sickbay-agent:81 blocked for more than 120 seconds.",
            "3,1,1,-;audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" comm=\"sickbay-agent\"",
            "3,1,1,-;EXT4-fs error (device sda1): ext4_lookup:1855: inode #2: comm x: deleted inode",
            "3,1,1,-;cgroup: fork rejected by pids controller in /system.slice/sickbay-agent.service",
        ];
        let subject = super::super::tests::own("/d".as_ref(), None);
        crate::fuzz::text("kernel log", &samples, |it| {
            let lines: Vec<Line> = it.split('\n').filter_map(parse).collect();
            judge_agent(&lines, 100, &subject);
            judge_others(&lines, 100, &subject);
            judge(&lines, 100, Cause::FileSystemErrors, is_damage);
            is_disk_error(it);
        });
    }
}
