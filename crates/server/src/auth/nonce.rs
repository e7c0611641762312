//! Nonces that were used, for as long as a request with one could still be replayed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use model::{UnixMillis, limits};

/// How many generations cover [`limits::NONCE_MS`].
const GENERATIONS: usize = 3;

/// Used nonces by generation, youngest first. Only a keyed hash of each is kept: 8 bytes, which
/// nobody outside can make collide.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    generations: VecDeque<Generation>,
    turned_at: UnixMillis,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Generation {
    used: HashSet<u64>,
    of_key: HashMap<String, usize>,
}

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Burnt {
    /// It was new and is used now.
    New,
    /// It was used before.
    Used,
    /// This key used too many: refuse it until the oldest are forgotten.
    TooManyOfKey,
    /// There are too many to remember at all.
    TooMany,
}

impl Nonces {
    /// Uses the nonce of that key, if it is new.
    pub(crate) fn burn(&mut self, key_id: &str, nonce: &str, now: UnixMillis) -> Burnt {
        self.turn(now);
        let hash = self.hasher.hash_one((key_id, nonce));
        if self.generations.iter().any(|it| it.used.contains(&hash)) {
            return Burnt::Used;
        }
        let of_key = |it: &Generation| it.of_key.get(key_id).copied().unwrap_or_default();
        if self.generations.iter().map(of_key).sum::<usize>() >= limits::NONCES_OF_KEY_MAX {
            return Burnt::TooManyOfKey;
        }
        if self
            .generations
            .iter()
            .map(|it| it.used.len())
            .sum::<usize>()
            >= limits::NONCES_MAX
        {
            return Burnt::TooMany;
        }
        if let Some(young) = self.generations.front_mut() {
            young.used.insert(hash);
            match young.of_key.get_mut(key_id) {
                Some(count) => *count += 1,
                None => drop(young.of_key.insert(key_id.to_owned(), 1)),
            }
        }
        Burnt::New
    }

    fn turn(&mut self, now: UnixMillis) {
        let generations = i64::try_from(GENERATIONS).unwrap_or(i64::MAX);
        let life = limits::NONCE_MS / generations + 1;
        if self.generations.is_empty() || now.since(self.turned_at).abs() > life {
            self.generations.push_front(Generation::default());
            self.generations.truncate(GENERATIONS + 1);
            self.turned_at = now;
        }
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
        for minute in 0..=31 {
            let at = start.plus(minute * 60_000);
            assert_eq!(nonces.burn("a", "n", at), Burnt::Used, "{minute}");
            assert_eq!(nonces.burn("a", &minute.to_string(), at), Burnt::New);
        }
        for minute in 32..60 {
            nonces.burn("c", &minute.to_string(), start.plus(minute * 60_000));
        }
        assert_eq!(nonces.burn("a", "n", start.plus(60 * 60_000)), Burnt::New);
    }
}
