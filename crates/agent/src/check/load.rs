//! Are the host's processors or disks overloaded?
//!
//! A busy host is not a sick one: both verdicts ask for several signs at once.

mod competitor;

use std::sync::Arc;
use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;

use super::Context;
use super::probe::{Verdict, finding};
use super::procfs::{self, pressure};

/// Time over which the processors are watched, in ms.
const SAMPLE_MS: u64 = 500;
/// Busy share of all processors from which on they are saturated, in percent.
const BUSY_PERCENT: f64 = 95.0;
/// Load per processor from which on tasks queue badly.
const LOAD_PER_PROCESSOR: f64 = 4.0;
/// Share of the time that some task waited for a processor, in percent.
const CPU_PRESSURE_PERCENT: f64 = 50.0;
/// Share of the time that every task waited for disks, in percent.
const IO_PRESSURE_PERCENT: f64 = 60.0;

/// Time that the processors spent, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    busy: u64,
    total: u64,
    processors: u32,
}

/// Reads `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn parse_times(text: &str) -> Option<Times> {
    let line = text.lines().find_map(|it| it.strip_prefix("cpu "))?;
    let all: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .filter_map(|it| it.parse().ok())
        .collect();
    let sum = |of: &[u64]| of.iter().copied().fold(0, u64::saturating_add);
    let idle = sum(all
        .get(3..)
        .unwrap_or_default()
        .get(..2)
        .unwrap_or_default());
    let total = sum(&all);
    let numbered = |it: &&str| {
        it.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    Some(Times {
        busy: total.checked_sub(idle)?,
        total,
        processors: u32::try_from(text.lines().filter(numbered).count())
            .ok()?
            .max(1),
    })
}

fn times() -> Option<Times> {
    parse_times(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// Busy share, load per processor and pressure together; on a busy host also what other agents use.
pub(super) async fn probe_cpu(context: Arc<Context>) -> Verdict {
    let (before, processes_before) = (times(), procfs::processes());
    tokio::time::sleep(Duration::from_millis(SAMPLE_MS)).await;
    let (after, processes_after) = (times(), procfs::processes());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load
        .split_whitespace()
        .next()
        .and_then(|it| it.parse().ok());
    let (Some(before), Some(after), Some(load)) = (before, after, load) else {
        return Verdict::skipped("/proc/stat and /proc/loadavg cannot be read");
    };
    let seen = Cpu {
        busy_percent: percent(
            after.busy.saturating_sub(before.busy),
            after.total.saturating_sub(before.total),
        ),
        load,
        processors: after.processors,
        pressure: pressure("cpu", "some"),
    };
    let busiest = procfs::busiest(&processes_before, &processes_after, 5);
    let mut verdict = Verdict::of(seen.to_string(), seen.judge(busiest).into_iter().collect());
    if seen.busy_percent > BUSY_PERCENT {
        let others = context.running.iter();
        let others = others.filter(|it| it.name != context.subject.name).cloned();
        let busy = competitor::look(others.collect()).await;
        verdict.add(busy.into_iter().collect());
    }
    verdict
}

fn percent(part: u64, whole: u64) -> f64 {
    let small = |it: u64| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    if whole == 0 {
        0.0
    } else {
        small(part) * 100.0 / small(whole)
    }
}

struct Cpu {
    busy_percent: f64,
    load: f64,
    processors: u32,
    pressure: Option<f64>,
}

impl std::fmt::Display for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            busy_percent,
            load,
            processors,
            ..
        } = self;
        write!(
            f,
            "{busy_percent:.0} % busy, load {load} on {processors} processors"
        )?;
        self.pressure
            .map_or(Ok(()), |it| write!(f, ", pressure {it} %"))
    }
}

impl Cpu {
    fn judge(&self, busiest: Vec<String>) -> Option<Finding> {
        let overloaded = self.busy_percent > BUSY_PERCENT
            && self.load > LOAD_PER_PROCESSOR * f64::from(self.processors)
            && self.pressure.is_none_or(|it| it > CPU_PRESSURE_PERCENT);
        overloaded.then(|| {
            let mut evidence = vec![self.to_string()];
            evidence.extend(busiest);
            let cause = Cause::CpuOverloaded;
            finding(cause, cause.sentence(), evidence, &[])
        })
    }
}

/// Pressure on disks.
pub(super) fn probe_io(_: &Context) -> Verdict {
    match pressure("io", "full") {
        Some(full) => Verdict::of(
            format!("every task waited for disks {full} % of the last 10 s"),
            judge_io(full).into_iter().collect(),
        ),
        None => Verdict::skipped("this kernel does not measure pressure"),
    }
}

fn judge_io(full: f64) -> Option<Finding> {
    (full > IO_PRESSURE_PERCENT).then(|| {
        let cause = Cause::IoOverloaded;
        let evidence = format!("every task waited for disks {full} % of the last 10 s");
        finding(cause, cause.sentence(), vec![evidence], &[])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_times_are_read() {
        let text = "cpu  100 1 50 800 49 0 0 0 9 9\ncpu0 50 0 25 400 25 0 0 0 0 0\ncpu1 50 1 25 400 24 0 0 0 0 0\nintr 1\n";
        assert_eq!(
            parse_times(text),
            Some(Times {
                busy: 151,
                total: 1000,
                processors: 2
            })
        );
        assert_eq!(percent(151, 1000), 15.1);
    }

    #[test]
    fn a_busy_host_is_not_overloaded_by_one_sign_alone() {
        let cpu = |busy_percent, load, pressure| Cpu {
            busy_percent,
            load,
            processors: 2,
            pressure,
        };
        for fine in [
            cpu(100.0, 3.0, Some(80.0)),
            cpu(40.0, 30.0, Some(80.0)),
            cpu(100.0, 9.0, Some(20.0)),
        ] {
            assert!(fine.judge(Vec::new()).is_none(), "{fine}");
        }
        let found = cpu(99.0, 9.0, None)
            .judge(vec!["480 ms of CPU: cc".into()])
            .unwrap();
        assert_eq!(found.evidence[1], "480 ms of CPU: cc");
    }

    #[test]
    fn disks_are_overloaded_when_everything_waits() {
        assert!(judge_io(60.0).is_none());
        assert!(judge_io(60.1).is_some());
    }

    #[test]
    fn broken_times_are_survived() {
        let sample = "cpu  100 1 50 800 49 0 0 0 9 9\ncpu0 50 0 25 400 25 0 0 0 0 0\nintr 1\n";
        crate::fuzz::text("processors", &[sample], |it| {
            let _ = parse_times(it);
        });
    }
}
