//! Do programs wait for memory, and does the host move it to and from swap all the time?
//!
//! A kernel without pressure figures or a host without swap has nothing to tell, and nothing is said.

use model::Cause;
use protocol::answer::Finding;

use super::super::probe::finding;
use super::super::procfs::{self, parse_pressure};

/// Share of the time that every task waited for memory from which on they do so much of the time, in
/// percent, of the last 10 s and of the last minute.
const STALLED_PERCENT: f64 = 20.0;
/// Pages per second, in each direction, from which on swap is thrashed: 4 MiB/s.
const PAGES_PER_SECOND: u64 = 1_024;

/// Pages that went to and came from swap since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Swapped {
    into: u64,
    out: u64,
}

/// Reads `pswpin` and `pswpout` of `/proc/vmstat`.
pub(super) fn swapped() -> Option<Swapped> {
    parse(&std::fs::read_to_string("/proc/vmstat").ok()?)
}

fn parse(vmstat: &str) -> Option<Swapped> {
    let number = |name: &str| {
        let mut rows = vmstat.lines().filter_map(|it| it.split_once(' '));
        let row = rows.find(|(key, _)| *key == name)?;
        row.1.trim().parse().ok()
    };
    Some(Swapped {
        into: number("pswpin")?,
        out: number("pswpout")?,
    })
}

/// What two looks at swap, so long apart, show. Both directions at once: a program that was idle and
/// comes back is only read, one that goes idle only written.
pub(super) fn judge_swap(before: Swapped, after: Swapped, ms: u64) -> Option<Finding> {
    let rate = |from: u64, to: u64| to.saturating_sub(from).saturating_mul(1_000) / ms.max(1);
    let (read, written) = (rate(before.into, after.into), rate(before.out, after.out));
    (read >= PAGES_PER_SECOND && written >= PAGES_PER_SECOND).then(|| {
        let mut evidence = vec![format!(
            "{read} pages a second come back from swap and {written} go there"
        )];
        evidence.extend(procfs::largest(3));
        let cause = Cause::SwapThrashing;
        finding(cause, cause.sentence(), evidence, &[])
    })
}

/// The kernel's pressure figures.
pub(super) fn stalled() -> Option<Finding> {
    judge(&std::fs::read_to_string("/proc/pressure/memory").ok()?)
}

/// Every task, not some, and for a minute: one program at its own limit is not the host's pressure.
fn judge(text: &str) -> Option<Finding> {
    let now = parse_pressure(text, "full", "avg10")?;
    let minute = parse_pressure(text, "full", "avg60")?;
    (now >= STALLED_PERCENT && minute >= STALLED_PERCENT).then(|| {
        let mut evidence = vec![format!(
            "every task waited for memory {now} % of the last 10 s and {minute} % of the last minute"
        )];
        evidence.extend(procfs::largest(3));
        let cause = Cause::MemoryPressure;
        finding(cause, cause.sentence(), evidence, &[])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_thrashed_only_in_both_directions() {
        let at = |into, out| Swapped { into, out };
        let found = |after| judge_swap(at(100, 100), after, 500).map(|it| it.cause);
        assert_eq!(found(at(612, 612)), Some(2508));
        assert_eq!(found(at(99_000, 100)), None, "it only comes back");
        assert_eq!(found(at(100, 99_000)), None, "it only goes");
        assert_eq!(found(at(0, 0)), None, "the counters began anew");
        let read = parse("pgpgin 5\npswpin 7\npswpout 9\n");
        assert_eq!(read, Some(at(7, 9)));
        assert_eq!(parse("pgpgin 5\n"), None, "this kernel has no swap");
    }

    #[test]
    fn pressure_must_last_a_minute_and_stop_everything() {
        let text = |now: &str, minute: &str| {
            format!(
                "some avg10=90.00 avg60=90.00 avg300=9.00 total=1\nfull avg10={now} avg60={minute} avg300=0.00 total=1\n"
            )
        };
        assert_eq!(judge(&text("20.00", "31.00")).unwrap().cause, 2509);
        assert!(judge(&text("80.00", "8.00")).is_none());
        assert!(judge(&text("0.00", "40.00")).is_none());
        assert!(judge("").is_none());
    }

    #[test]
    fn broken_figures_are_survived() {
        let samples = [
            "pgpgin 5\npswpin 7\npswpout 9\n",
            "some avg10=90.00 avg60=90.00 total=1\nfull avg10=30.00 avg60=30.00 total=1\n",
        ];
        crate::fuzz::text("pressure", &samples, |it| {
            judge(it);
            let none = Swapped { into: 0, out: 0 };
            parse(it).and_then(|it| judge_swap(none, it, 0));
        });
    }
}
