//! How fast hosts may enrol.
//!
//! Owns one rate per address and one per install code, in memory. Judges nothing else of an
//! enrolment.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use model::{UnixMillis, limits};

use crate::listen::Block;

const MINUTE_MS: i64 = 60_000;

/// The rates of enrolment.
#[derive(Debug)]
pub(super) struct Enrolments {
    of_address: Rate<Block>,
    of_code: Rate<String>,
}

impl Default for Enrolments {
    fn default() -> Self {
        Self {
            of_address: Rate::new(limits::ADDRESS_ENROLMENTS_PER_MINUTE),
            of_code: Rate::new(limits::CODE_ENROLMENTS_PER_MINUTE),
        }
    }
}

impl Enrolments {
    /// Counts an enrolment from an address. Loopback addresses stand for many hosts behind a proxy
    /// or tunnel: theirs are counted by code only.
    ///
    /// # Errors
    /// How long to wait, in ms.
    pub(super) fn take_address(&self, address: IpAddr, now: UnixMillis) -> Result<(), i64> {
        let block = Block::of(address);
        if block.is_loopback() {
            return Ok(());
        }
        self.of_address.take(block, now)
    }

    /// Counts an enrolment with a code, which is known by its id.
    ///
    /// # Errors
    /// How long to wait, in ms.
    pub(super) fn take_code(&self, code_id: &str, now: UnixMillis) -> Result<(), i64> {
        self.of_code.take(code_id.to_owned(), now)
    }
}

/// So many a minute for each key, all at once or one after the other (the generic cell rate
/// algorithm: of each key only the time is kept at which its whole minute's worth is free again).
#[derive(Debug)]
struct Rate<K> {
    interval_ms: i64,
    free_at: Mutex<HashMap<K, UnixMillis>>,
}

impl<K: Eq + Hash> Rate<K> {
    fn new(per_minute: i64) -> Self {
        Self {
            interval_ms: MINUTE_MS / per_minute,
            free_at: Mutex::default(),
        }
    }

    fn take(&self, key: K, now: UnixMillis) -> Result<(), i64> {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        if free_at.len() >= limits::ENROLMENT_RATES_MAX && !free_at.contains_key(&key) {
            free_at.retain(|_, it| *it > now);
            if free_at.len() >= limits::ENROLMENT_RATES_MAX {
                return Err(MINUTE_MS);
            }
        }
        let entry = free_at.entry(key).or_insert(now);
        let after = (*entry).max(now).plus(self.interval_ms);
        let wait_ms = after.since(now) - MINUTE_MS;
        if wait_ms > 0 {
            return Err(wait_ms);
        }
        *entry = after;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn taken(mut take: impl FnMut() -> Result<(), i64>) -> i64 {
        let mut taken = 0;
        while take().is_ok() {
            taken += 1;
        }
        taken
    }

    #[test]
    fn an_address_and_a_code_have_a_rate_each() {
        let enrolments = Enrolments::default();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let from = || enrolments.take_address(address, NOW);
        assert_eq!(taken(from), limits::ADDRESS_ENROLMENTS_PER_MINUTE);
        assert_eq!(from(), Err(100), "one more in a tenth of a second");
        assert!(enrolments.take_address(address, NOW.plus(100)).is_ok());
        assert!(enrolments.take_address(address, NOW.plus(100)).is_err());
        let other = "192.0.2.2".parse().unwrap();
        assert!(enrolments.take_address(other, NOW).is_ok());

        let with = || enrolments.take_code("code", NOW);
        assert_eq!(taken(with), limits::CODE_ENROLMENTS_PER_MINUTE);
        assert!(enrolments.take_code("other", NOW).is_ok());
        let later = || enrolments.take_code("code", NOW.plus(MINUTE_MS));
        assert_eq!(taken(later), limits::CODE_ENROLMENTS_PER_MINUTE);
    }

    #[test]
    fn loopback_stands_for_many() {
        let enrolments = Enrolments::default();
        let address: IpAddr = "127.0.0.1".parse().unwrap();
        let most = limits::ADDRESS_ENROLMENTS_PER_MINUTE;
        assert!((0..=most).all(|_| enrolments.take_address(address, NOW).is_ok()));
    }

    #[test]
    fn only_so_many_rates_are_remembered() {
        let rate = Rate::new(1);
        for key in 0..limits::ENROLMENT_RATES_MAX {
            rate.take(key, NOW).unwrap();
        }
        let next = limits::ENROLMENT_RATES_MAX;
        assert_eq!(rate.take(next, NOW), Err(MINUTE_MS));
        assert_eq!(rate.take(next, NOW.plus(MINUTE_MS)), Ok(()));
    }
}
