//! The account of the bundles that a node keeps: whose they are, how large, how old.
//!
//! Owns the decision which bundle goes when there is no room. Never touches a file: that is the
//! caller's.

use std::collections::{HashMap, HashSet};

use model::{LeafId, RootId, UnixMillis, limits};
use store::HostNo;

/// One bundle that is kept or arriving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Whose it is.
    pub(super) host: HostNo,
    /// Its size, in bytes; of one that is arriving, the size it will have.
    pub(super) bytes: u64,
    /// When it last grew.
    pub(super) at: UnixMillis,
    /// Whether all of it is there.
    pub(super) is_whole: bool,
    /// Its SHA-256; empty: not known since the node was started.
    pub(super) sha256: Vec<u8>,
}

/// How much may be kept, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub(super) node: u64,
    pub(super) host: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            node: limits::BUNDLES_BYTES_MAX,
            host: limits::HOST_BUNDLES_BYTES_MAX,
        }
    }
}

/// All bundles of a node.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    kept: HashMap<LeafId, Kept>,
    of_host: HashMap<HostNo, u64>,
    total: u64,
    swept: Option<UnixMillis>,
}

impl Shelf {
    pub(super) fn get(&self, leaf: LeafId) -> Option<&Kept> {
        self.kept.get(&leaf)
    }

    pub(super) fn get_mut(&mut self, leaf: LeafId) -> Option<&mut Kept> {
        self.kept.get_mut(&leaf)
    }

    pub(super) fn put(&mut self, leaf: LeafId, kept: Kept) {
        self.remove(leaf);
        *self.of_host.entry(kept.host).or_default() += kept.bytes;
        self.total += kept.bytes;
        self.kept.insert(leaf, kept);
    }

    pub(super) fn remove(&mut self, leaf: LeafId) -> Option<Kept> {
        let kept = self.kept.remove(&leaf)?;
        self.total -= kept.bytes;
        if let Some(bytes) = self.of_host.get_mut(&kept.host) {
            *bytes -= kept.bytes;
            if *bytes == 0 {
                self.of_host.remove(&kept.host);
            }
        }
        Some(kept)
    }

    /// Takes out what has to go so that `bytes` more of `host` fit: first the oldest bundles of a
    /// host that has too many, then the oldest of whoever has the most, so that nobody who sends much
    /// takes the place of those who send little.
    pub(super) fn make_room(
        &mut self,
        quota: Quota,
        host: HostNo,
        bytes: u64,
    ) -> Vec<(LeafId, Kept)> {
        let mut gone = Vec::new();
        loop {
            let own = self.of_host.get(&host).copied().unwrap_or_default();
            let from = if own.saturating_add(bytes) > quota.host {
                Some(host)
            } else if self.total.saturating_add(bytes) > quota.node {
                let most = self
                    .of_host
                    .iter()
                    .max_by_key(|(host, bytes)| (**bytes, **host));
                most.map(|(host, _)| *host)
            } else {
                None
            };
            let Some(leaf) = from.and_then(|it| self.oldest_of(it)) else {
                return gone;
            };
            gone.extend(self.remove(leaf).map(|it| (leaf, it)));
        }
    }

    fn oldest_of(&self, host: HostNo) -> Option<LeafId> {
        let of_host = self.kept.iter().filter(|(_, it)| it.host == host);
        let oldest = of_host.min_by_key(|(leaf, it)| (it.at, **leaf));
        oldest.map(|(leaf, _)| *leaf)
    }

    /// Whether [`Self::too_old`] is due.
    pub(super) fn is_dusty(&self, now: UnixMillis) -> bool {
        self.swept
            .is_none_or(|it| now.since(it) >= limits::BUNDLE_SWEEP_MS)
    }

    /// Takes out what was kept for long enough, and what stopped arriving.
    pub(super) fn too_old(&mut self, now: UnixMillis) -> Vec<(LeafId, Kept)> {
        self.swept = Some(now);
        let days_ms = limits::BUNDLE_DAYS_MAX * 24 * 3_600_000;
        let most_ms = |it: &Kept| match it.is_whole {
            true => days_ms,
            false => limits::BUNDLE_PART_MS_MAX,
        };
        let old = self.kept.iter();
        let old = old.filter(|(_, it)| now.since(it.at) > most_ms(it));
        let old = old.map(|(leaf, _)| *leaf).collect();
        self.remove_all(old)
    }

    /// Takes out what belongs to these roots.
    pub(super) fn of_roots(&mut self, roots: &HashSet<RootId>) -> Vec<(LeafId, Kept)> {
        let of_roots = self.kept.keys().filter(|it| roots.contains(&it.root));
        let of_roots = of_roots.copied().collect();
        self.remove_all(of_roots)
    }

    fn remove_all(&mut self, leaves: Vec<LeafId>) -> Vec<(LeafId, Kept)> {
        let gone = leaves.into_iter();
        gone.filter_map(|leaf| self.remove(leaf).map(|it| (leaf, it)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota {
        node: 100,
        host: 60,
    };

    fn leaf(number: u32) -> LeafId {
        model::RootId::new(UnixMillis(1), [7; 6]).leaf(number)
    }

    fn kept(host: i64, bytes: u64, at: i64) -> Kept {
        Kept {
            host: HostNo(host),
            bytes,
            at: UnixMillis(at),
            is_whole: true,
            sha256: Vec::new(),
        }
    }

    fn shelf(all: &[(i64, u64)]) -> Shelf {
        let mut shelf = Shelf::default();
        for (at, (host, bytes)) in (1..).zip(all) {
            shelf.put(leaf(at), kept(*host, *bytes, i64::from(at)));
        }
        shelf
    }

    fn gone(shelf: &mut Shelf, host: i64, bytes: u64) -> Vec<u32> {
        let gone = shelf.make_room(QUOTA, HostNo(host), bytes);
        gone.into_iter().map(|(leaf, _)| leaf.number).collect()
    }

    #[test]
    fn a_host_that_has_too_many_gives_up_its_oldest() {
        let mut shelf = shelf(&[(2, 10), (1, 20), (1, 20), (1, 20)]);
        assert_eq!(gone(&mut shelf, 2, 20), [0; 0]);
        assert_eq!(gone(&mut shelf, 1, 1), [2]);
        assert_eq!(gone(&mut shelf, 1, 20), [0; 0]);
        assert_eq!(gone(&mut shelf, 1, 60), [3, 4]);
    }

    #[test]
    fn on_a_full_node_whoever_has_the_most_gives_way() {
        let mut shelf = shelf(&[(3, 10), (1, 30), (2, 20), (1, 30)]);
        assert_eq!(gone(&mut shelf, 3, 10), [0; 0]);
        assert_eq!(gone(&mut shelf, 3, 11), [2]);
        assert_eq!(gone(&mut shelf, 4, 60), [4]);
    }

    #[test]
    fn what_is_replaced_counts_once() {
        let mut shelf = shelf(&[(1, 50)]);
        shelf.put(leaf(1), kept(1, 10, 2));
        assert_eq!(
            (shelf.total, shelf.of_host.get(&HostNo(1))),
            (10, Some(&10))
        );
        shelf.remove(leaf(1));
        assert_eq!((shelf.total, shelf.of_host.len()), (0, 0));
    }

    #[test]
    fn old_bundles_and_broken_off_ones_go() {
        let mut shelf = shelf(&[(1, 1), (1, 1)]);
        shelf.get_mut(leaf(2)).unwrap().is_whole = false;
        let at = |ms: i64| UnixMillis(2).plus(ms);
        assert!(shelf.is_dusty(at(0)));
        let part_ms = limits::BUNDLE_PART_MS_MAX;
        assert_eq!(shelf.too_old(at(part_ms)), []);
        assert!(!shelf.is_dusty(at(part_ms + limits::BUNDLE_SWEEP_MS - 1)));
        assert!(shelf.is_dusty(at(part_ms + limits::BUNDLE_SWEEP_MS)));
        assert_eq!(shelf.too_old(at(part_ms + 1))[0].0, leaf(2));
        let day_ms = 24 * 3_600_000;
        assert_eq!(shelf.too_old(at(30 * day_ms - 1)), []);
        assert_eq!(shelf.too_old(at(30 * day_ms))[0].0, leaf(1));
    }
}
