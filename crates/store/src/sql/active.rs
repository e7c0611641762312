//! What is in memory of what is committed: the unfinished roots and the list of hosts.
//!
//! Owns [`Active`]. Only the writer changes it, and only after a commit; readers take a snapshot of it
//! and then one of the file. The file may then be ahead of the memory, never behind, so: what is in
//! memory is read from memory, and roots above [`Active::no_max`] do not exist yet. While a snapshot
//! is held, a change copies what it touches: pieces of a root's leaves, never all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use model::{RootId, UnixMillis};

use crate::fold::{Fold, Slot};
use crate::outcome::Outcomes;
use crate::{Error, HostNo};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Active {
    roots: BTreeMap<i64, Arc<Fold>>,
    numbers: HashMap<RootId, i64>,
    damaged: BTreeSet<i64>,
    hosts: Arc<Vec<HostNo>>,
    no_max: i64,
}

/// What a commit changed.
#[derive(Debug, Default)]
pub(super) struct Publication {
    pub(super) roots: Vec<RootChange>,
    pub(super) no_max: Option<i64>,
    pub(super) hosts_added: Vec<HostNo>,
    pub(super) hosts_removed: Vec<HostNo>,
    /// Whether a root has ended whose answers are to be put into the order of its leaves.
    pub(super) to_pack: bool,
}

/// What a commit changed of an unfinished root.
#[derive(Debug)]
pub(super) struct RootChange {
    pub(super) no: i64,
    pub(super) created: Option<Box<Fold>>,
    pub(super) slots: HashMap<u32, Slot>,
    pub(super) outcomes: Arc<Outcomes>,
    pub(super) blocks: u32,
    pub(super) cancelled: Option<UnixMillis>,
    pub(super) ended: bool,
}

impl Active {
    /// Starts from what the file says. `damaged` are the unfinished roots that are not in `folds`
    /// because their journals do not read; `hosts` ascend.
    pub(super) fn new(
        folds: Vec<Fold>,
        damaged: BTreeSet<i64>,
        hosts: Vec<HostNo>,
        no_max: i64,
    ) -> Self {
        let mut active = Self {
            damaged,
            hosts: Arc::new(hosts),
            no_max,
            ..Self::default()
        };
        for fold in folds {
            active.add(fold);
        }
        active
    }

    /// Number of the newest root that was committed and made known.
    pub(super) fn no_max(&self) -> i64 {
        self.no_max
    }

    /// Hosts that are not removed, ascending.
    pub(super) fn hosts(&self) -> &[HostNo] {
        &self.hosts
    }

    /// The unfinished root of this number.
    pub(super) fn get(&self, no: i64) -> Option<&Fold> {
        self.roots.get(&no).map(Arc::as_ref)
    }

    /// For a root of the file whose leaves are asked for.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it was set aside when the store opened.
    pub(super) fn check(&self, no: i64, id: RootId) -> Result<(), Error> {
        if self.is_damaged(no) {
            return Err(Error::Corrupt(format!(
                "root {id} was set aside: its journal is damaged"
            )));
        }
        Ok(())
    }

    /// Whether the root of this number was set aside when the store opened.
    pub(super) fn is_damaged(&self, no: i64) -> bool {
        self.damaged.contains(&no)
    }

    /// Numbers of the unfinished roots that were set aside.
    pub(super) fn damaged(&self) -> impl Iterator<Item = i64> {
        self.damaged.iter().copied()
    }

    /// The unfinished root of this id.
    pub(super) fn find(&self, id: RootId) -> Option<&Fold> {
        self.get(*self.numbers.get(&id)?)
    }

    /// The unfinished roots, oldest first.
    pub(super) fn folds(&self) -> impl DoubleEndedIterator<Item = &Fold> {
        self.roots.values().map(Arc::as_ref)
    }

    /// Makes a commit known.
    pub(super) fn publish(&mut self, publication: Publication) {
        for change in publication.roots {
            self.change(change);
        }
        self.no_max = publication.no_max.unwrap_or(self.no_max);
        if publication.hosts_added.is_empty() && publication.hosts_removed.is_empty() {
            return;
        }
        let hosts = Arc::make_mut(&mut self.hosts);
        hosts.extend(publication.hosts_added);
        for host in publication.hosts_removed {
            if let Ok(at) = hosts.binary_search(&host) {
                hosts.remove(at);
            }
        }
    }

    fn add(&mut self, fold: Fold) {
        self.numbers.insert(fold.root.id, fold.no);
        self.roots.insert(fold.no, Arc::new(fold));
    }

    fn change(&mut self, change: RootChange) {
        if change.ended {
            if let Some(fold) = self.roots.remove(&change.no) {
                self.numbers.remove(&fold.root.id);
            }
            return;
        }
        if let Some(fold) = change.created {
            self.add(*fold);
        }
        if let Some(fold) = self.roots.get_mut(&change.no) {
            let fold = Arc::make_mut(fold);
            fold.root.cancelled_at = change.cancelled;
            fold.blocks = change.blocks;
            fold.outcomes = change.outcomes;
            for (number, slot) in change.slots {
                fold.set(number, slot);
            }
        }
    }
}
