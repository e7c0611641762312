//! The one place that asks the operating system for the time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::UnixMillis;

/// Tells the time. Everything that needs it is given one.
pub(crate) trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> UnixMillis;
}

/// The operating system's clock, made steady: when it is stepped, the old time goes on by the
/// monotonic clock until the new one has stood for a minute. A clock that is wrong for a moment must
/// not end tasks.
#[derive(Debug, Default)]
pub(crate) struct SteadyClock {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// Time minus monotonic time, in ms, as it is told.
    told: Option<i64>,
    /// The same as the operating system has it since `since`, while it differs.
    stepped: Option<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    offset: i64,
    since: i64,
}

/// Differences up to this are followed at once, in ms: a clock that is being slewed.
const SLEW_MS: i64 = 2_000;
/// How long a stepped clock must stand before it is believed, in ms.
const PROOF_MS: i64 = 60_000;

impl State {
    /// The time to tell when the clocks read `wall` and `monotonic`, in ms.
    fn tell(&mut self, wall: i64, monotonic: i64) -> i64 {
        let offset = wall - monotonic;
        let told = *self.told.get_or_insert(offset);
        if (offset - told).abs() <= SLEW_MS {
            self.told = Some(offset);
            self.stepped = None;
            return wall;
        }
        let step = match self.stepped {
            Some(step) if (offset - step.offset).abs() <= SLEW_MS => step,
            _ => {
                let differs_ms = offset - told;
                tracing::warn!(differs_ms, "the clock was stepped; believed in a minute");
                *self.stepped.insert(Step {
                    offset,
                    since: monotonic,
                })
            }
        };
        if monotonic - step.since >= PROOF_MS {
            tracing::warn!(differs_ms = offset - told, "the clock's step is believed");
            self.told = Some(offset);
            self.stepped = None;
            return wall;
        }
        monotonic + told
    }
}

impl Clock for SteadyClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let wall = since.map_or(0, millis);
        let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let monotonic = monotonic.tv_sec * 1_000 + monotonic.tv_nsec / 1_000_000;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        UnixMillis(state.tell(wall, monotonic))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_taken_back_is_never_told() {
        let mut state = State::default();
        assert_eq!(state.tell(1_000_000, 0), 1_000_000);
        assert_eq!(state.tell(1_001_500, 1_000), 1_001_500, "slewed");
        assert_eq!(state.tell(9_002_000, 2_000), 1_002_500, "stepped");
        assert_eq!(state.tell(9_030_000, 30_000), 1_030_500, "still not proved");
        assert_eq!(state.tell(1_031_500, 31_000), 1_031_500, "taken back");
    }

    #[test]
    fn a_step_that_stands_for_a_minute_is_believed() {
        let mut state = State::default();
        state.tell(1_000_000, 0);
        assert_eq!(state.tell(500_000, 1_000), 1_001_000);
        assert_eq!(state.tell(559_999, 60_999), 1_060_999);
        assert_eq!(state.tell(560_000, 61_000), 560_000);
        assert_eq!(state.tell(561_000, 62_000), 561_000);
    }
}
