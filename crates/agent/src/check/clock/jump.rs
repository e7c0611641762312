//! Was the clock set by a large step while the host ran?
//!
//! Seen by who looks at the clock all the time and says so: journald in the kernel's log (a step back),
//! and the difference between the clock and the time since boot during the check itself.

use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;

use super::super::kernel::Line;
use super::super::probe::finding;

/// What journald writes when the clock went back (systemd: journald-manager.c).
const WENT_BACK: &str = "Time jumped backwards, rotating";
/// A host that starts without a clock of its own is set right soon after, in seconds since boot.
const BOOT_SECONDS: u64 = 900;
/// What is longer ago has been overcome, in seconds.
const AGE_SECONDS_MAX: u64 = 3_600;
/// A step that is smaller confuses nobody, in ms.
const STEP_MS: i64 = 2_000;
/// Time over which both clocks are watched, in ms.
const SAMPLE_MS: u64 = 200;

/// The clock minus the time since boot, in ms: constant unless the clock is set.
fn offset_ms() -> i64 {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let boot_ms = boot
        .tv_sec
        .saturating_mul(1_000)
        .saturating_add(boot.tv_nsec / 1_000_000);
    crate::config::now().0.saturating_sub(boot_ms)
}

/// Watches for a moment, and reads what the kernel's log says; nothing where that cannot be read.
pub(super) async fn look() -> Option<Finding> {
    let before = offset_ms();
    tokio::time::sleep(Duration::from_millis(SAMPLE_MS)).await;
    let step = step(before, offset_ms());
    let reading = tokio::task::spawn_blocking(|| {
        let lines = super::super::kernel::read().ok()?;
        logged(&lines, super::super::procfs::uptime_seconds()?)
    });
    let evidence = match step {
        Some(evidence) => evidence,
        None => reading.await.ok().flatten()?,
    };
    let cause = Cause::ClockJumped;
    Some(finding(cause, cause.sentence(), vec![evidence], &[]))
}

fn step(before: i64, after: i64) -> Option<String> {
    let step = after.saturating_sub(before);
    (step.saturating_abs() >= STEP_MS)
        .then(|| format!("it was set by {step} ms while the check looked at it"))
}

fn logged(lines: &[Line], now_seconds: u64) -> Option<String> {
    let last = lines.iter().rev().find(|it| it.text.contains(WENT_BACK))?;
    let age = now_seconds.saturating_sub(last.seconds);
    let is_telling = last.seconds > BOOT_SECONDS && age <= AGE_SECONDS_MAX;
    is_telling.then(|| format!("{} min ago: {}", age / 60, last.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_counts_when_it_is_recent_and_not_that_of_the_start() {
        let at = |seconds, now| {
            let text = "systemd-journald[212]: Time jumped backwards, rotating.".to_owned();
            logged(&[Line { seconds, text }], now)
        };
        assert!(at(5_000, 5_120).unwrap().starts_with("2 min ago"));
        assert_eq!(at(20, 60), None, "a host without a clock of its own");
        assert_eq!(at(5_000, 9_000), None, "overcome");
        assert_eq!(logged(&[], 9_000), None);
    }

    #[test]
    fn a_clock_that_is_slewed_does_not_jump() {
        assert_eq!(step(1_000, 1_001), None);
        assert_eq!(step(1_000, -998), None);
        assert!(step(1_000, 3_600_000).is_some());
        assert!(step(i64::MAX, i64::MIN).is_some());
        assert_eq!(step(offset_ms(), offset_ms()), None);
    }
}
