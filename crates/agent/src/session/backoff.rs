//! How long to wait before the next connection: random, longer with each failure, bounded.
//!
//! Random over the whole range, so that many agents that lost one node do not come back together.

use std::time::Duration;

use model::limits;
use ring::rand::{SecureRandom, SystemRandom};

/// The waits between attempts to connect.
#[derive(Debug)]
pub(crate) struct Backoff {
    shortest_ms: u64,
    longest_ms: u64,
    failures: u32,
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
        Self::between(limits::RECONNECT_MS_MIN, limits::RECONNECT_MS_MAX, seed)
    }

    /// Waits between these bounds, in ms, in a sequence that `seed` decides.
    pub(crate) const fn between(shortest_ms: u64, longest_ms: u64, seed: u64) -> Self {
        Self {
            shortest_ms,
            longest_ms,
            failures: 0,
            state: seed,
        }
    }

    /// The wait after one more failure; at least `floor_ms`, if the server asked for that.
    pub(crate) fn next(&mut self, floor_ms: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let doubled = self.shortest_ms.saturating_mul(1 << self.failures.min(32));
        // On top of the server's wish, and the wider the longer it is: those that were sent away
        // together must not come back together.
        let ceiling = doubled.min(self.longest_ms).max(floor_ms / 2);
        let wait = self.pick(self.shortest_ms, ceiling);
        Duration::from_millis(floor_ms.saturating_add(wait))
    }

    /// The connection held: start over.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
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
        let waits = std::iter::repeat_with(|| backoff.next(0).as_millis());
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
            backoff.next(0);
        }
        backoff.reset();
        assert!(backoff.next(0) <= Duration::from_secs(1));
        backoff.reset();
        let asked = backoff.next(30_000);
        assert!(asked >= Duration::from_millis(30_500) && asked <= Duration::from_secs(45));
    }
}
