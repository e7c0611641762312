//! Nonces that were used, for as long as a request with one could still be replayed.

use std::collections::HashSet;

use model::{UnixMillis, limits};
use ring::digest::{SHA256, digest};

/// Two generations of used nonces: each is kept for at least [`limits::NONCE_MS`].
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    young: HashSet<[u8; 16]>,
    old: HashSet<[u8; 16]>,
    turned_at: UnixMillis,
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Burnt {
    /// It was new and is used now.
    New,
    /// It was used before.
    Used,
    /// There are too many to remember: refuse until the next generation.
    TooMany,
}

impl Nonces {
    /// Uses the nonce of that key, if it is new.
    pub(crate) fn burn(&mut self, key_id: &str, nonce: &str, now: UnixMillis) -> Burnt {
        if now.since(self.turned_at).abs() > limits::NONCE_MS {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = now;
        }
        let hash = digest(&SHA256, format!("{key_id}\0{nonce}").as_bytes());
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        if self.old.contains(&short) || self.young.contains(&short) {
            return Burnt::Used;
        }
        if self.young.len() + self.old.len() >= limits::NONCES_MAX {
            return Burnt::TooMany;
        }
        self.young.insert(short);
        Burnt::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_works_once_per_key_for_31_minutes() {
        let mut nonces = Nonces::default();
        let start = UnixMillis(1_000_000_000_000);
        assert_eq!(nonces.burn("a", "n", start), Burnt::New);
        assert_eq!(nonces.burn("b", "n", start), Burnt::New);
        for ms in [0, 1, limits::NONCE_MS] {
            assert_eq!(nonces.burn("a", "n", start.plus(ms)), Burnt::Used, "{ms}");
        }
        assert_eq!(
            nonces.burn("a", "n", start.plus(2 * limits::NONCE_MS + 2)),
            Burnt::Used
        );
        assert_eq!(
            nonces.burn("a", "n", start.plus(4 * limits::NONCE_MS + 4)),
            Burnt::New
        );
    }
}
