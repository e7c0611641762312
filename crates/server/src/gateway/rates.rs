//! How fast hosts may enrol and checkers may be fetched and come in.
//!
//! Owns one rate per address and purpose and one per install code, in memory. Judges nothing else.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use model::{UnixMillis, limits};

use crate::listen::Block;

const MINUTE_MS: i64 = 60_000;

/// The rates of a node's doors for strangers.
#[derive(Debug)]
pub(crate) struct Rates {
    enrolments: Rate<Block>,
    downloads: Rate<Block>,
    checkers: Rate<Block>,
    sign_ins: Rate<Block>,
    of_code: Rate<String>,
}

/// What a stranger comes for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// To enrol a host.
    Enrolment,
    /// To fetch the checker.
    Download,
    /// To report as the checker of a manual command.
    Checker,
    /// To sign in at the console.
    SignIn,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            enrolments: Rate::new(limits::ADDRESS_ENROLMENTS_PER_MINUTE),
            downloads: Rate::new(limits::ADDRESS_CHECKERS_PER_MINUTE),
            checkers: Rate::new(limits::ADDRESS_CHECKERS_PER_MINUTE),
            sign_ins: Rate::new(limits::ADDRESS_SIGN_INS_PER_MINUTE),
            of_code: Rate::new(limits::CODE_ENROLMENTS_PER_MINUTE),
        }
    }
}

impl Rates {
    /// Counts somebody who comes from an address. Loopback addresses stand for many hosts behind a
    /// proxy or tunnel: theirs are not counted.
    ///
    /// # Errors
    /// How long to wait, in ms.
    pub(crate) fn take_address(
        &self,
        purpose: Purpose,
        address: IpAddr,
        now: UnixMillis,
    ) -> Result<(), i64> {
        let block = Block::of(address);
        if block.is_loopback() {
            return Ok(());
        }
        let rate = match purpose {
            Purpose::Enrolment => &self.enrolments,
            Purpose::Download => &self.downloads,
            Purpose::Checker => &self.checkers,
            Purpose::SignIn => &self.sign_ins,
        };
        rate.take(block, now)
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
        if free_at.len() >= limits::RATES_MAX && !free_at.contains_key(&key) {
            free_at.retain(|_, it| *it > now);
            if free_at.len() >= limits::RATES_MAX {
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
    fn an_address_has_a_rate_for_each_purpose() {
        let rates = Rates::default();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let other = "192.0.2.2".parse().unwrap();
        for (purpose, most) in [
            (Purpose::Enrolment, limits::ADDRESS_ENROLMENTS_PER_MINUTE),
            (Purpose::Download, limits::ADDRESS_CHECKERS_PER_MINUTE),
            (Purpose::Checker, limits::ADDRESS_CHECKERS_PER_MINUTE),
        ] {
            let from = || rates.take_address(purpose, address, NOW);
            assert_eq!(taken(from), most, "{purpose:?}");
            let wait_ms = MINUTE_MS / most;
            assert_eq!(from(), Err(wait_ms), "one more after a share of the minute");
            let later = || rates.take_address(purpose, address, NOW.plus(wait_ms));
            assert!(later().is_ok() && later().is_err());
            assert!(rates.take_address(purpose, other, NOW).is_ok());
        }
    }

    #[test]
    fn a_code_has_a_rate() {
        let rates = Rates::default();
        let with = || rates.take_code("code", NOW);
        assert_eq!(taken(with), limits::CODE_ENROLMENTS_PER_MINUTE);
        assert!(rates.take_code("other", NOW).is_ok());
        let later = || rates.take_code("code", NOW.plus(MINUTE_MS));
        assert_eq!(taken(later), limits::CODE_ENROLMENTS_PER_MINUTE);
    }

    #[test]
    fn loopback_stands_for_many() {
        let rates = Rates::default();
        let address: IpAddr = "127.0.0.1".parse().unwrap();
        let from = |_| rates.take_address(Purpose::Enrolment, address, NOW).is_ok();
        assert!((0..=limits::ADDRESS_ENROLMENTS_PER_MINUTE).all(from));
    }

    #[test]
    fn only_so_many_rates_are_remembered() {
        let rate = Rate::new(1);
        for key in 0..limits::RATES_MAX {
            rate.take(key, NOW).unwrap();
        }
        let next = limits::RATES_MAX;
        assert_eq!(rate.take(next, NOW), Err(MINUTE_MS));
        assert_eq!(rate.take(next, NOW.plus(MINUTE_MS)), Ok(()));
    }
}
