//! The agent's process: does it run, does it hang, what does it use?

mod life;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;
use tokio::time::{Instant, sleep};

use super::probe::{Verdict, finding};
use super::procfs::{Process, TICKS_PER_SECOND, table_number};
use super::{Context, Subject, install, procfs, tail};

/// Time between two looks at a process, in ms.
const SAMPLE_MS: u64 = 300;
/// Part of a pid file that is read, in bytes.
const PID_BYTES_MAX: u64 = 64;
/// Looks that must agree before a process is called busy or stuck.
const SAMPLES: usize = 5;

/// Present, not stuck, and modest in CPU, memory and descriptors.
pub(super) async fn probe(context: Arc<Context>) -> Verdict {
    let subject = &context.subject;
    let agents = procfs::agents(subject);
    let Some(pid) = agents.first().copied() else {
        return missing(subject);
    };
    let embedded = subject.is_embedded();
    let (since, waited_before) = (Instant::now(), life::waited_ns(pid));
    let samples = sample(pid, subject.limits.cpu_percent).await;
    let Some(last) = samples.last() else {
        return Verdict::skipped(format!("process {pid} ended while it was examined"));
    };
    let busiest_percent = samples.iter().map(|it| it.percent).min().unwrap_or(0);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let resident = table_number(&status, "VmRSS").unwrap_or(0) << 10;
    let descriptors = descriptors(pid);
    let mut findings = Vec::new();
    findings.extend(judge_state(pid, &samples));
    findings.extend(life::second(&agents));
    if !embedded {
        findings.extend(life::program(pid, subject));
        let waited = life::waited_ns(pid).zip(waited_before);
        let waited = waited.map(|(after, before)| after.saturating_sub(before));
        let of_ms = super::millis(since.elapsed());
        findings.extend(waited.and_then(|it| life::starved(pid, it, of_ms)));
        findings.extend(judge_cpu(pid, &samples, subject.limits.cpu_percent));
        findings.extend(judge_memory(pid, resident, subject.limits.memory_mib << 20));
    }
    let much = subject.limits.descriptors_percent;
    findings
        .extend(descriptors.and_then(|(open, limit)| judge_descriptors(pid, open, limit, much)));
    let open = descriptors.map_or_else(
        || "unknown (needs root)".to_owned(),
        |(open, limit)| format!("{open} of {limit}"),
    );
    Verdict::of(
        format!(
            "process {pid} ({}), state {}, {busiest_percent} % CPU, {} MiB, descriptors {open}",
            last.process.name,
            last.process.state,
            resident >> 20
        ),
        findings,
    )
}

fn missing(subject: &Subject) -> Verdict {
    if !install::is_installed(subject) {
        return Verdict::skipped("the agent is not installed");
    }
    let names = subject.process_names();
    let mut evidence = vec![format!("no process named {names}")];
    evidence.extend(subject.runtime_files.iter().filter_map(|it| left_over(it)));
    let found = finding(
        Cause::AgentNotRunning,
        Cause::AgentNotRunning.sentence(),
        evidence,
        &[],
    );
    let zombie = life::zombie(subject);
    Verdict::of("no process", zombie.into_iter().chain([found]).collect())
}

/// A pid file that an agent left behind when it died.
fn left_over(path: &Path) -> Option<String> {
    let (text, _) = tail::read(path, PID_BYTES_MAX).ok()?;
    let pid: u32 = text.trim().parse().ok()?;
    let shown = path.display();
    Some(match procfs::process(pid) {
        Some(other) => format!("{shown} names process {pid}, which is {}", other.name),
        None => format!("{shown} names process {pid}, which is gone"),
    })
}

struct Sample {
    process: Process,
    /// CPU used since the look before, in percent of one processor.
    percent: u64,
}

/// Looks until the process is seen idle or well, at most [`SAMPLES`] times.
async fn sample(pid: u32, cpu_percent_max: u64) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    let Some(mut before) = procfs::process(pid) else {
        return samples;
    };
    let mut since = Instant::now();
    while samples.len() < SAMPLES {
        sleep(Duration::from_millis(SAMPLE_MS)).await;
        let Some(process) = procfs::process(pid) else {
            return Vec::new();
        };
        let ms = super::millis(since.elapsed()).max(1);
        let ticks = process.ticks.saturating_sub(before.ticks);
        let percent = ticks * 1_000 / TICKS_PER_SECOND * 100 / ms;
        since = Instant::now();
        before = process.clone();
        let is_well = !is_stuck(&process) && percent < cpu_percent_max;
        samples.push(Sample { process, percent });
        if is_well {
            break;
        }
    }
    samples
}

/// Uninterruptible wait, stopped, or stopped by a tracer (proc(5)).
fn is_stuck(process: &Process) -> bool {
    matches!(process.state, 'D' | 'T' | 't')
}

fn found(cause: Cause, pid: u32, evidence: String) -> Finding {
    let known = [("PID", &*pid.to_string())];
    finding(cause, cause.sentence(), vec![evidence], &known)
}

fn judge_state(pid: u32, samples: &[Sample]) -> Option<Finding> {
    let first = samples.first()?;
    let unmoved = samples
        .iter()
        .all(|it| is_stuck(&it.process) && it.process.ticks == first.process.ticks);
    (samples.len() >= SAMPLES && unmoved).then(|| {
        let state = first.process.state;
        let evidence = format!(
            "process {pid} was in state {state} and did not move in {SAMPLES} samples of {SAMPLE_MS} ms each"
        );
        let cause = if state == 'D' {
            Cause::AgentStuck
        } else {
            Cause::AgentFrozen
        };
        found(cause, pid, evidence)
    })
}

fn judge_cpu(pid: u32, samples: &[Sample], percent_max: u64) -> Option<Finding> {
    let least = samples.iter().map(|it| it.percent).min()?;
    (samples.len() >= SAMPLES && least >= percent_max).then(|| {
        let evidence = format!(
            "process {pid} used at least {least} % of a processor in {SAMPLES} samples of {SAMPLE_MS} ms each"
        );
        found(Cause::AgentHighCpu, pid, evidence)
    })
}

fn judge_memory(pid: u32, resident: u64, max: u64) -> Option<Finding> {
    (resident > max).then(|| {
        let (has, normal) = (resident >> 20, max >> 20);
        found(
            Cause::AgentHighMemory,
            pid,
            format!("process {pid} holds {has} MiB of memory; up to {normal} MiB is normal"),
        )
    })
}

fn judge_descriptors(pid: u32, open: u64, limit: u64, percent_max: u64) -> Option<Finding> {
    (open.saturating_mul(100) >= limit.saturating_mul(percent_max)).then(|| {
        let evidence = format!("process {pid} has {open} of {limit} descriptors open");
        found(Cause::AgentDescriptorsExhausted, pid, evidence)
    })
}

/// Open descriptors and their limit; `None`: not ours to see, or without limit.
fn descriptors(pid: u32) -> Option<(u64, u64)> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    Some((u64::try_from(open).ok()?, parse_limit(&limits)?))
}

/// The soft limit of open files in `/proc/PID/limits`.
fn parse_limit(text: &str) -> Option<u64> {
    let rest = text
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(state: char, percents: &[u64]) -> Vec<Sample> {
        let sample = |percent: &u64| Sample {
            process: Process {
                pid: 7,
                parent: 1,
                name: "sickbay-agent".into(),
                state,
                ticks: 50,
            },
            percent: *percent,
        };
        percents.iter().map(sample).collect()
    }

    #[test]
    fn only_a_process_busy_in_every_sample_uses_much_cpu() {
        assert!(judge_cpu(7, &samples('R', &[99, 90, 80, 85, 100]), 80).is_some());
        assert!(judge_cpu(7, &samples('R', &[99, 90, 3]), 80).is_none());
        assert!(judge_cpu(7, &samples('R', &[99, 90, 80, 85, 79]), 80).is_none());
    }

    #[test]
    fn a_process_that_never_leaves_its_wait_is_stuck() {
        let found = judge_state(7, &samples('D', &[0; 5])).unwrap();
        assert_eq!(
            found.evidence[0],
            "process 7 was in state D and did not move in 5 samples of 300 ms each"
        );
        assert_eq!(found.known["PID"], "7");
        assert_eq!(found.cause, Cause::AgentStuck.code());
        let stopped = judge_state(7, &samples('T', &[0; 5])).unwrap();
        assert_eq!(stopped.cause, Cause::AgentFrozen.code());
        assert!(judge_state(7, &samples('S', &[0; 5])).is_none());
        assert!(judge_state(7, &samples('D', &[0; 2])).is_none());
    }

    #[test]
    fn descriptors_and_memory_have_limits() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n";
        assert_eq!(parse_limit(text), Some(1024));
        assert!(judge_descriptors(7, 921, 1024, 90).is_none());
        assert!(judge_descriptors(7, 922, 1024, 90).is_some());
        assert!(judge_memory(7, 512 << 20, 512 << 20).is_none());
        assert!(judge_memory(7, (512 << 20) + 1, 512 << 20).is_some());
    }
}
