//! The host's limits of processes, open files and watches, and processes that nobody collects.

use std::collections::BTreeMap;

use model::Cause;
use protocol::answer::Finding;

use super::Context;
use super::probe::{Verdict, finding};
use super::procfs::{self, Process};

/// Share of a limit that is nearly all of it, in percent.
const PERCENT_MUCH: u64 = 90;

/// Ended processes of one parent from which on it does not collect them.
const ZOMBIES_MANY: usize = 200;

/// Tasks against `pid_max` and `threads-max`, open files against `file-max`.
pub(super) fn probe(_: &Context) -> Verdict {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let files = std::fs::read_to_string("/proc/sys/fs/file-nr").unwrap_or_default();
    let limits = ["kernel/pid_max", "kernel/threads-max"]
        .into_iter()
        .filter_map(|it| procfs::number(format!("/proc/sys/{it}")));
    let (Some(tasks), Some(tasks_max)) = (parse_tasks(&load), limits.min()) else {
        return Verdict::skipped("/proc/loadavg and /proc/sys/kernel cannot be read");
    };
    let Some((open, open_max)) = parse_file_nr(&files) else {
        return Verdict::skipped("/proc/sys/fs/file-nr cannot be read");
    };
    let note = format!("{tasks} of {tasks_max} tasks, {open} of {open_max} open files");
    let mut findings = judge(tasks, tasks_max, open, open_max);
    findings.extend(judge_zombies(&procfs::processes()));
    Verdict::of(note, findings)
}

/// The parent with the most children that ended and that it did not collect.
fn judge_zombies(all: &[Process]) -> Option<Finding> {
    let mut children: BTreeMap<u32, usize> = BTreeMap::new();
    for it in all.iter().filter(|it| it.state == 'Z') {
        *children.entry(it.parent).or_default() += 1;
    }
    let (parent, count) = children.into_iter().max_by_key(|it| it.1)?;
    (count >= ZOMBIES_MANY).then(|| {
        let named = all.iter().find(|it| it.pid == parent);
        let name = named.map_or("a process that cannot be seen", |it| it.name.as_str());
        let cause = Cause::ZombiesPileUp;
        let evidence = format!("{count} children of {name} (process {parent}) have ended");
        let known = [("PID", &*parent.to_string())];
        finding(cause, cause.sentence(), vec![evidence], &known)
    })
}

/// All tasks: the number after `/` in the fourth field of `/proc/loadavg`.
fn parse_tasks(load: &str) -> Option<u64> {
    let field = load.split_whitespace().nth(3)?;
    field.split_once('/')?.1.parse().ok()
}

/// Open files and their limit: first and third number of `/proc/sys/fs/file-nr`.
fn parse_file_nr(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split_whitespace();
    let open = numbers.next()?.parse().ok()?;
    Some((open, numbers.nth(1)?.parse().ok()?))
}

fn judge(tasks: u64, tasks_max: u64, open: u64, open_max: u64) -> Vec<Finding> {
    let is_much =
        |has: u64, max: u64| u128::from(has) * 100 >= u128::from(max) * u128::from(PERCENT_MUCH);
    let found = |cause: Cause, evidence| finding(cause, cause.sentence(), vec![evidence], &[]);
    let mut findings = Vec::new();
    if is_much(tasks, tasks_max) {
        let evidence = format!("{tasks} processes and threads of at most {tasks_max}");
        findings.push(found(Cause::ProcessesExhausted, evidence));
    }
    if is_much(open, open_max) {
        let evidence = format!("{open} open files of at most {open_max}");
        findings.push(found(Cause::DescriptorsExhausted, evidence));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_numbers_are_read() {
        assert_eq!(parse_tasks("0.95 0.35 0.17 4/112 10616\n"), Some(112));
        assert_eq!(
            parse_file_nr("1184\t0\t9223372036854775807\n"),
            Some((1184, i64::MAX.unsigned_abs()))
        );
        assert_eq!(parse_tasks(""), None);
    }

    #[test]
    fn nine_tenths_of_a_limit_are_found() {
        assert!(judge(100, 32_768, 1_184, u64::MAX).is_empty());
        assert!(judge(29_491, 32_768, 89, 100).is_empty());
        let codes: Vec<u16> = judge(29_492, 32_768, 90, 100)
            .iter()
            .map(|it| it.cause)
            .collect();
        assert_eq!(codes, [2505, 2506]);
    }

    #[test]
    fn a_parent_that_collects_nobody_is_found() {
        let process = |pid, parent, state| Process {
            pid,
            parent,
            name: format!("p{pid}"),
            state,
            ticks: 0,
        };
        let zombies = |count: u32| {
            let ended = (100..100 + count).map(|it| process(it, 7, 'Z'));
            let mut all: Vec<Process> = ended.collect();
            all.push(process(7, 1, 'S'));
            judge_zombies(&all)
        };
        assert!(zombies(199).is_none());
        let found = zombies(200).unwrap();
        assert_eq!(
            found.evidence,
            ["200 children of p7 (process 7) have ended"]
        );
    }

    #[test]
    fn broken_numbers_are_survived() {
        let samples = [
            "0.95 0.35 0.17 4/112 10616\n",
            "1184\t0\t9223372036854775807\n",
        ];
        crate::fuzz::text("limits", &samples, |it| {
            let (open, max) = parse_file_nr(it).unwrap_or_default();
            judge(parse_tasks(it).unwrap_or(0), 0, open, max);
        });
    }
}
