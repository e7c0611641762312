//! Is the host's clock right?

use std::sync::Arc;

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::{Context, command};

mod jump;
mod time_source;

use time_source::Sources;

/// Difference from which on the clock is wrong, in ms.
const WRONG_MS: u64 = 60_000;
/// Difference from which on a clock that nobody synchronises drifts, in ms.
const DRIFT_MS: u64 = 5_000;

/// The difference to the server's clock, and what systemd knows of synchronisation.
pub(super) async fn probe(context: Arc<Context>) -> Verdict {
    let synchronised = if command::systemd_runs() {
        let arguments = ["show", "-p", "NTPSynchronized"];
        let shown = command::output("timedatectl", &arguments, 2_000).await;
        shown.ok().and_then(|it| parse(&it))
    } else {
        None
    };
    let known = synchronised.map_or("synchronisation unknown", |it| {
        if it {
            "synchronised"
        } else {
            "not synchronised"
        }
    });
    let mut findings = of_source(time_source::ask().await);
    findings.extend(jump::look().await);
    let hardware = time_source::hardware(context.now_ms);
    findings.extend(hardware.map(|it| {
        let cause = Cause::HardwareClockWrong;
        finding(cause, cause.sentence(), vec![it], &[])
    }));
    match context.clock_offset_ms {
        Some(offset) => {
            findings.extend(judge(offset, synchronised));
            Verdict::of(format!("{}; {known}", describe(offset)), findings)
        }
        None if synchronised == Some(true) || !findings.is_empty() => Verdict::of(
            format!("{known}; the server's clock is not known"),
            findings,
        ),
        None => Verdict::skipped(format!("the server's clock is not known; {known}")),
    }
}

fn of_source(sources: Option<Sources>) -> Vec<Finding> {
    let Some(Sources::Silent(names)) = sources else {
        return Vec::new();
    };
    let evidence = vec![format!("no answer from {}", names.join(", "))];
    let cause = Cause::TimeSourceUnreachable;
    vec![finding(cause, cause.sentence(), evidence, &[])]
}

fn parse(shown: &str) -> Option<bool> {
    let value = shown
        .lines()
        .find_map(|it| it.strip_prefix("NTPSynchronized="))?;
    Some(value.trim() == "yes")
}

fn describe(offset_ms: i64) -> String {
    let (seconds, ms) = (
        offset_ms.unsigned_abs() / 1_000,
        offset_ms.unsigned_abs() % 1_000,
    );
    let side = if offset_ms > 0 { "behind" } else { "ahead of" };
    format!("the host's clock is {seconds}.{ms:03} s {side} the server's")
}

/// What a difference to the server's clock means; `synchronised`: what is known of that.
pub(super) fn judge(offset_ms: i64, synchronised: Option<bool>) -> Option<Finding> {
    let away = offset_ms.unsigned_abs();
    let cause = if away > WRONG_MS {
        Cause::ClockWrong
    } else if away > DRIFT_MS && synchronised == Some(false) {
        Cause::ClockNotSynchronised
    } else {
        return None;
    };
    Some(finding(
        cause,
        cause.sentence(),
        vec![describe(offset_ms)],
        &[],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_beyond_a_minute() {
        let cause = |offset, synchronised| judge(offset, synchronised).map(|it| it.cause);
        assert_eq!(cause(60_000, Some(true)), None);
        assert_eq!(cause(60_001, Some(true)), Some(2601));
        assert_eq!(cause(-60_001, None), Some(2601));
        assert_eq!(cause(5_001, Some(false)), Some(2602));
        assert_eq!(cause(5_001, None), None);
        assert_eq!(cause(0, Some(false)), None);
    }

    #[test]
    fn the_evidence_says_which_clock_is_ahead() {
        assert_eq!(
            describe(61_500),
            "the host's clock is 61.500 s behind the server's"
        );
        assert_eq!(
            describe(-42),
            "the host's clock is 0.042 s ahead of the server's"
        );
        assert_eq!(parse("NTPSynchronized=no\n"), Some(false));
        assert_eq!(parse(""), None);
    }
}
