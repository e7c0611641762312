//! What running leaves do now, as their hosts said it last.
//!
//! In memory only, and only the newest: nothing waits for it, nothing is woken by it, and a node that
//! starts anew learns it from its hosts again. It is forgotten when the leaf ends, and what is oldest
//! when there is too much of it. Filled by the gateway, shown by the service of tasks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{LeafId, RootId, UnixMillis, limits};
use store::Root;

/// Bytes of an entry beside its texts.
const ENTRY_BYTES: usize = 256;

/// What one leaf does. Its texts have been cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How much is done, below 100, where that is known.
    pub(crate) percent: Option<u8>,
    /// What it is at; may be empty.
    pub(crate) note: String,
    /// The end of its command's output.
    pub(crate) output: String,
    /// Bytes of output up to the end of `output`.
    pub(crate) output_length: u64,
}

impl Progress {
    const fn bytes(&self) -> usize {
        ENTRY_BYTES + self.note.len() + self.output.len()
    }
}

/// What all leaves do that run on this node's hosts.
#[derive(Debug, Default)]
pub(crate) struct Progresses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_leaf: HashMap<LeafId, (u64, Arc<Progress>)>,
    /// The oldest first.
    by_age: BTreeMap<u64, LeafId>,
    bytes: usize,
    next_age: u64,
    generation: u64,
    /// Whether anything changed since the generation did.
    has_changed: bool,
    changed_at: UnixMillis,
}

impl Known {
    fn remove(&mut self, leaf: LeafId) {
        if let Some((age, progress)) = self.by_leaf.remove(&leaf) {
            self.by_age.remove(&age);
            self.bytes -= progress.bytes();
        }
    }
}

impl Progresses {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A leaf's host says what it does. Returns whether that is anything new.
    pub(crate) fn set(&self, leaf: LeafId, progress: Progress) -> bool {
        let mut known = self.lock();
        if known.by_leaf.get(&leaf).is_some_and(|it| *it.1 == progress) {
            return false;
        }
        known.remove(leaf);
        let age = known.next_age;
        known.next_age += 1;
        known.bytes += progress.bytes();
        known.by_age.insert(age, leaf);
        known.by_leaf.insert(leaf, (age, Arc::new(progress)));
        while known.bytes > limits::PROGRESS_BYTES_MAX
            && let Some((_, oldest)) = known.by_age.pop_first()
        {
            known.remove(oldest);
        }
        known.has_changed = true;
        true
    }

    /// What a leaf does, if its host said so.
    pub(crate) fn get(&self, leaf: LeafId) -> Option<Arc<Progress>> {
        let known = self.lock();
        known.by_leaf.get(&leaf).map(|it| Arc::clone(&it.1))
    }

    /// A leaf has ended.
    pub(crate) fn forget(&self, leaf: LeafId) {
        self.lock().remove(leaf);
    }

    /// Forgets the leaves of all roots but these.
    pub(super) fn keep(&self, roots: &[Root]) {
        let mut known = self.lock();
        if known.by_leaf.is_empty() {
            return;
        }
        let roots: HashSet<RootId> = roots.iter().map(|it| it.id).collect();
        let leaves = known.by_leaf.keys();
        let ended: Vec<LeafId> = leaves
            .filter(|it| !roots.contains(&it.root))
            .copied()
            .collect();
        for leaf in ended {
            known.remove(leaf);
        }
    }

    /// Changes when anything that is known does, but not more often than in
    /// [`limits::PROGRESS_SHOWN_MS`]: answers that show it can be kept as long.
    pub(crate) fn generation(&self, now: UnixMillis) -> u64 {
        let mut known = self.lock();
        let is_due = now.since(known.changed_at).abs() >= limits::PROGRESS_SHOWN_MS;
        if known.has_changed && is_due {
            known.generation += 1;
            known.has_changed = false;
            known.changed_at = now;
        }
        known.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(root: u8, number: u32) -> LeafId {
        RootId::new(UnixMillis(0), [root; 6]).leaf(number)
    }

    fn at(note: &str) -> Progress {
        Progress {
            note: note.to_owned(),
            ..Progress::default()
        }
    }

    /// What is counted is what is there.
    fn is_sound(known: &Known) -> bool {
        let bytes: usize = known.by_leaf.values().map(|it| it.1.bytes()).sum();
        bytes == known.bytes && known.by_age.len() == known.by_leaf.len()
    }

    #[test]
    fn only_the_newest_is_known_until_the_leaf_or_its_root_ends() {
        let all = Progresses::default();
        assert!(all.set(leaf(1, 1), at("one")));
        assert!(all.set(leaf(1, 1), at("two")));
        assert!(!all.set(leaf(1, 1), at("two")), "nothing new");
        assert!(all.set(leaf(1, 2), at("other")));
        assert_eq!(all.get(leaf(1, 1)).as_deref(), Some(&at("two")));
        all.forget(leaf(1, 1));
        assert_eq!(all.get(leaf(1, 1)), None);
        assert!(all.get(leaf(1, 2)).is_some());
        all.keep(&[]);
        assert_eq!(all.get(leaf(1, 2)), None);
        let known = all.lock();
        assert!(is_sound(&known) && known.bytes == 0);
    }

    #[test]
    fn beyond_the_limit_what_is_oldest_is_forgotten() {
        let all = Progresses::default();
        let each = 1 << 20;
        let large = |sign: &str| at(&sign.repeat(each - ENTRY_BYTES));
        let most = u32::try_from(limits::PROGRESS_BYTES_MAX / each).unwrap();
        for number in 1..=most {
            all.set(leaf(1, number), large("a"));
        }
        assert!(all.get(leaf(1, 1)).is_some(), "they fit");
        all.set(leaf(1, 1), large("b"));
        all.set(leaf(1, most + 1), at(""));
        assert!(all.get(leaf(1, 1)).is_some(), "it is newer");
        assert!(all.get(leaf(1, 2)).is_none());
        assert!(all.get(leaf(1, 3)).is_some());
        assert!(is_sound(&all.lock()));
    }

    #[test]
    fn a_flood_of_changes_makes_answers_void_a_few_times_a_second() {
        let all = Progresses::default();
        let start = 1_800_000_000_000;
        let mut generations = HashSet::new();
        for ms in 0..10 * limits::PROGRESS_SHOWN_MS {
            all.set(leaf(1, 1), at(&ms.to_string()));
            generations.insert(all.generation(UnixMillis(start + ms)));
        }
        assert_eq!(generations.len(), 10);
        let settled = all.generation(UnixMillis(start + 3_600_000));
        assert_eq!(all.generation(UnixMillis(start + 7_200_000)), settled);
    }
}
