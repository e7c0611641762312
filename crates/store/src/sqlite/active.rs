//! What is in memory of what is committed: the unfinished roots and the list of hosts.
//!
//! Owns [`Active`]. Only the writer changes it, and only after a commit; readers look at it under a
//! lock and at the file in a snapshot taken under the same lock. The file may then be ahead of the
//! memory by one commit, never behind, so: what is in memory is read from memory, and roots above
//! [`Active::no_max`] do not exist yet.

use std::collections::{BTreeMap, HashMap};

use model::{RootId, UnixMillis};

use crate::HostNo;
use crate::fold::{Fold, Slot};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Active {
    roots: BTreeMap<i64, Fold>,
    numbers: HashMap<RootId, i64>,
    hosts: Vec<HostNo>,
    no_max: i64,
}

/// What a commit changed.
#[derive(Debug, Default)]
pub(super) struct Publication {
    pub(super) roots: Vec<RootChange>,
    pub(super) no_max: Option<i64>,
    pub(super) hosts_added: Vec<HostNo>,
    pub(super) hosts_removed: Vec<HostNo>,
}

/// What a commit changed of an unfinished root.
#[derive(Debug)]
pub(super) struct RootChange {
    pub(super) no: i64,
    pub(super) created: Option<Box<Fold>>,
    pub(super) slots: HashMap<u32, Slot>,
    pub(super) cancelled: Option<UnixMillis>,
    pub(super) ended: bool,
}

impl Active {
    /// Starts from what the file says. `hosts` ascend.
    pub(super) fn new(folds: Vec<Fold>, hosts: Vec<HostNo>, no_max: i64) -> Self {
        let mut active = Self {
            hosts,
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
        self.roots.get(&no)
    }

    /// The unfinished root of this id.
    pub(super) fn find(&self, id: RootId) -> Option<&Fold> {
        self.get(*self.numbers.get(&id)?)
    }

    /// The unfinished roots, oldest first.
    pub(super) fn folds(&self) -> impl DoubleEndedIterator<Item = &Fold> {
        self.roots.values()
    }

    /// Makes a commit known.
    pub(super) fn publish(&mut self, publication: Publication) {
        for change in publication.roots {
            self.change(change);
        }
        self.no_max = publication.no_max.unwrap_or(self.no_max);
        self.hosts.extend(publication.hosts_added);
        for host in publication.hosts_removed {
            if let Ok(at) = self.hosts.binary_search(&host) {
                self.hosts.remove(at);
            }
        }
    }

    fn add(&mut self, fold: Fold) {
        self.numbers.insert(fold.root.id, fold.no);
        self.roots.insert(fold.no, fold);
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
            fold.root.cancelled_at = change.cancelled;
            for (number, slot) in change.slots {
                fold.set(number, slot);
            }
        }
    }
}
