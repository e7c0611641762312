//! How long to wait before the next connection: random, longer with each failure, bounded.
//!
//! Random over the whole range, so that many agents that lost one node do not come back together.

use std::time::Duration;

use model::limits;
use ring::rand::{SecureRandom, SystemRandom};

/// Half the first wait after the server's last word, in ms.
const PATIENT_MS_MIN: u64 = 30_000;
/// Longest wait after the server's last word, in ms.
const PATIENT_MS_MAX: u64 = 600_000;
/// A session that held for so long shows that the server's last word is no longer true.
const HELD_PATIENTLY: Duration = Duration::from_millis(PATIENT_MS_MAX);

/// A session that held for so long was greeted properly and got on.
const GOT_ON: Duration = Duration::from_secs(5);
/// Failures that such a session leaves: the next wait has a bound of 8 s.
const FAILURES_GOT_ON: u32 = 3;

/// How long a failure asks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It may be over soon.
    Usual,
    /// Trying again soon cannot help.
    Longest,
    /// The server's word: two agents may be in each other's way.
    Long,
    /// The server's word: people have to mend it.
    VeryLong,
}

/// The waits between attempts to connect.
#[derive(Debug)]
pub(crate) struct Backoff {
    shortest_ms: u64,
    longest_ms: u64,
    patient_ms: (u64, u64),
    failures: u32,
    /// Last words of the server without a session of [`HELD_PATIENTLY`] between them.
    refusals: u32,
    state: u64,
}

impl Backoff {
    /// Waits between [`limits::RECONNECT_MS_MIN`] and [`limits::RECONNECT_MS_MAX`], different on
    /// every host.
    pub(crate) fn new() -> Self {
        let mut seed = [0; 8];
        // Without random numbers TLS fails long before: any seed will do then.
        SystemRandom::new().fill(&mut seed).ok();
        let seed = u64::from_le_bytes(seed);
        Self {
            patient_ms: (PATIENT_MS_MIN, PATIENT_MS_MAX),
            ..Self::between(limits::RECONNECT_MS_MIN, limits::RECONNECT_MS_MAX, seed)
        }
    }

    /// Waits between these bounds, in ms, whatever the failure, in a sequence that `seed` decides.
    pub(crate) const fn between(shortest_ms: u64, longest_ms: u64, seed: u64) -> Self {
        Self {
            shortest_ms,
            longest_ms,
            patient_ms: (shortest_ms, longest_ms),
            failures: 0,
            refusals: 0,
            state: seed,
        }
    }

    /// The wait after one more failure; at least `floor_ms`, if the server asked for that.
    pub(crate) fn next(&mut self, patience: Patience, floor_ms: u64) -> Duration {
        match patience {
            Patience::Usual => self.usual(floor_ms),
            Patience::Longest => {
                self.failures = u32::MAX;
                let wait = self.pick(self.longest_ms / 2, self.longest_ms);
                Duration::from_millis(wait)
            }
            Patience::Long => self.patiently(1, floor_ms),
            Patience::VeryLong => self.patiently(2, floor_ms),
        }
    }

    fn usual(&mut self, floor_ms: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let doubled = self.shortest_ms.saturating_mul(1 << self.failures.min(32));
        // On top of the server's wish, and the wider the longer it is: those that were sent away
        // together must not come back together.
        let ceiling = doubled.min(self.longest_ms).max(floor_ms / 2);
        let wait = self.pick(self.shortest_ms, ceiling);
        Duration::from_millis(floor_ms.saturating_add(wait))
    }

    fn patiently(&mut self, times: u64, floor_ms: u64) -> Duration {
        let (shortest_ms, longest_ms) = self.patient_ms;
        let first_ms = shortest_ms.saturating_mul(times);
        self.refusals = self.refusals.saturating_add(1);
        let doubled = first_ms.saturating_mul(1 << self.refusals.min(32));
        let ceiling = doubled.min(longest_ms);
        let wait = self.pick(ceiling / 2, ceiling);
        Duration::from_millis(wait.max(floor_ms))
    }

    /// A session held for so long: if that was long enough, start over. One that held less takes back some failures:
    /// a node that failed twice in a short time is found again soon, one that fails again and again is not stormed.
    pub(crate) fn held(&mut self, time: Duration) {
        if time >= Duration::from_millis(limits::RECONNECT_MS_MAX) {
            self.failures = 0;
        } else if time >= GOT_ON {
            self.failures = self.failures.min(FAILURES_GOT_ON);
        }
        if time >= HELD_PATIENTLY {
            self.refusals = 0;
        }
    }

    /// A number between `low` and `high`, both included.
    pub(crate) fn pick(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        low.saturating_add(self.random() % span)
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    const fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(seed: u64, count: usize) -> Vec<u64> {
        let mut backoff = Backoff::between(500, 60_000, seed);
        let waits = std::iter::repeat_with(|| backoff.next(Patience::Usual, 0).as_millis());
        waits
            .take(count)
            .map(|it| u64::try_from(it).unwrap())
            .collect()
    }

    #[test]
    fn waits_stay_in_their_bounds_and_the_bounds_double() {
        for seed in 0..200 {
            for (failure, wait) in waits(seed, 20).into_iter().enumerate() {
                let ceiling = (1_000_u64 << failure).min(60_000);
                assert!((500..=ceiling).contains(&wait), "{seed} {failure} {wait}");
            }
        }
    }

    #[test]
    fn hosts_spread_over_the_whole_range() {
        let late: Vec<u64> = (0..1_000).map(|seed| waits(seed, 10)[9]).collect();
        for quarter in 0..4 {
            let range = quarter * 15_000..(quarter + 1) * 15_000;
            let here = late.iter().filter(|it| range.contains(*it)).count();
            assert!((150..350).contains(&here), "{range:?}: {here}");
        }
    }

    #[test]
    fn a_held_connection_starts_over_and_the_servers_wish_is_added() {
        let mut backoff = Backoff::between(500, 60_000, 1);
        for _ in 0..50 {
            backoff.next(Patience::Usual, 0);
        }
        backoff.held(Duration::from_mins(1));
        assert!(backoff.next(Patience::Usual, 0) <= Duration::from_secs(1));
        assert!(backoff.next(Patience::Longest, 0) >= Duration::from_secs(30));
        backoff.held(Duration::from_mins(1));
        let asked = backoff.next(Patience::Usual, 30_000);
        assert!(asked >= Duration::from_millis(30_500) && asked <= Duration::from_secs(45));
    }

    #[test]
    fn a_session_that_got_on_shortens_the_waits_but_a_crash_loop_is_not_stormed() {
        let mut backoff = Backoff::between(500, 60_000, 1);
        let mut longest = Duration::ZERO;
        for _ in 0..50 {
            backoff.next(Patience::Usual, 0);
            // Greeted, and gone at once.
            backoff.held(Duration::from_secs(1));
            longest = longest.max(backoff.next(Patience::Usual, 0));
        }
        assert!(longest > Duration::from_secs(30), "{longest:?}");
        for _ in 0..50 {
            backoff.held(GOT_ON);
            let wait = backoff.next(Patience::Usual, 0);
            assert!(wait <= Duration::from_secs(8), "{wait:?}");
        }
    }

    #[test]
    fn after_the_servers_last_word_the_agent_waits_long_and_longer_until_a_session_holds() {
        let minutes = |it: u64| Duration::from_mins(it);
        let mut backoff = Backoff::new();
        let mut is_between = |patience, low, high| {
            let wait = backoff.next(patience, 1_000);
            assert!(low <= wait && wait <= high, "{wait:?}");
        };
        is_between(Patience::Long, minutes(1) / 2, minutes(1));
        is_between(Patience::Long, minutes(1), minutes(2));
        for _ in 0..5 {
            is_between(Patience::Long, minutes(2), minutes(10));
        }
        is_between(Patience::Long, minutes(5), minutes(10));
        is_between(Patience::VeryLong, minutes(5), minutes(10));
        backoff.held(minutes(9));
        assert!(backoff.next(Patience::Long, 0) >= minutes(5));
        backoff.held(minutes(10));
        let first = backoff.next(Patience::VeryLong, 0);
        assert!(first >= minutes(1) && first <= minutes(2));
        assert_eq!(backoff.next(Patience::VeryLong, 3_600_000), minutes(60));
    }
}
