//! The tickets with which an agent that comes back makes a shorter TLS handshake, also after a
//! restart of the node.
//!
//! Owns their keys: derived, never stored; of the node's key, the certificate and the half day. So a
//! ticket ends with the certificate that its agent trusted, and after a day at most. Only for TLS 1.3,
//! where it proves both ends to each other and each connection still agrees on keys of its own: who
//! learns the node's key later can read nothing that was said before. Called by the TLS library.

use std::fmt;
use std::sync::Arc;

use protocol::tls::Fingerprint;
use rustls::server::ProducesTickets;

use crate::auth::Sealer;
use crate::clock::Clock;

/// How long a key makes tickets, in ms; it opens them for as long again.
const PERIOD_MS: i64 = 12 * 60 * 60 * 1_000;
/// How long a ticket is good at least, in s.
const LIFETIME_S: u32 = 12 * 60 * 60;
/// Longer ones are nobody's: these hold the keys of one session and no certificate.
const TICKET_BYTES_MAX: usize = 1_024;

/// See the module.
pub(super) struct Tickets {
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
    certificate: Fingerprint,
}

impl Tickets {
    pub(super) const fn new(
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
        certificate: Fingerprint,
    ) -> Self {
        Self {
            sealer,
            clock,
            certificate,
        }
    }

    fn period(&self) -> i64 {
        self.clock.now().0.div_euclid(PERIOD_MS)
    }

    fn key_of(&self, period: i64) -> Option<Sealer> {
        let purpose = format!("tickets of {} in {period}", self.certificate);
        self.sealer.sealer(&purpose)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.key_of(self.period())?.seal("ticket", plain).ok()
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > TICKET_BYTES_MAX {
            return None;
        }
        let now = self.period();
        let opened = |period| self.key_of(period)?.open_sealed("ticket", ticket).ok();
        opened(now).or_else(|| opened(now - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use model::UnixMillis;

    use super::*;

    #[derive(Default)]
    struct SetClock(AtomicI64);

    impl Clock for SetClock {
        fn now(&self) -> UnixMillis {
            UnixMillis(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_ticket_outlives_a_restart_but_neither_a_day_nor_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let clock = Arc::new(SetClock::default());
        let started = |certificate: &[u8]| {
            let sealer = Arc::new(Sealer::open(&file, false).unwrap());
            let clock: Arc<dyn Clock> = Arc::<SetClock>::clone(&clock);
            Tickets::new(sealer, clock, Fingerprint::of(certificate))
        };
        let ticket = started(b"one").encrypt(b"keys").unwrap();
        let opens = |certificate| started(certificate).decrypt(&ticket).is_some();
        assert_eq!(started(b"one").decrypt(&ticket).unwrap(), b"keys");
        assert!(!opens(b"another"));
        clock.0.store(2 * PERIOD_MS - 1, Ordering::Relaxed);
        assert!(opens(b"one"));
        clock.0.store(2 * PERIOD_MS, Ordering::Relaxed);
        assert!(!opens(b"one"));
        let long = vec![0; TICKET_BYTES_MAX + 1];
        assert!(started(b"one").decrypt(&long).is_none());
    }
}
