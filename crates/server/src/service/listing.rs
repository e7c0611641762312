//! Lists of hosts that are being paged through.
//!
//! To find the hosts of a selector all hosts are looked at, perhaps with their inventories: that is done
//! for the first page, and the pages after it are cut from the same list, so they fit together.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Selector, UnixMillis, limits};
use store::HostNo;

/// The lists, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Listings(Mutex<VecDeque<Listing>>);

#[derive(Debug)]
struct Listing {
    selector: Selector,
    made_at: UnixMillis,
    hosts: Arc<[HostNo]>,
}

impl Listings {
    /// The list of this selector, if it was made not long ago.
    pub(super) fn find(&self, selector: &Selector, now: UnixMillis) -> Option<Arc<[HostNo]>> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = lists.iter().find(|it| it.selector == *selector)?;
        let is_young = now.since(list.made_at).abs() <= limits::LISTING_MS;
        is_young.then(|| Arc::clone(&list.hosts))
    }

    /// Keeps a list for its next pages, in the place of the one before, and returns it.
    pub(super) fn keep(
        &self,
        selector: Selector,
        now: UnixMillis,
        hosts: Vec<HostNo>,
    ) -> Arc<[HostNo]> {
        let hosts: Arc<[HostNo]> = hosts.into();
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|it| {
            it.selector != selector && now.since(it.made_at).abs() <= limits::LISTING_MS
        });
        if lists.len() >= limits::LISTINGS_MAX {
            lists.pop_front();
        }
        lists.push_back(Listing {
            selector,
            made_at: now,
            hosts: Arc::clone(&hosts),
        });
        hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_kept_for_a_while_and_only_so_many_are() {
        let lists = Listings::default();
        let selector = |number: usize| Selector::parse(&format!("name = h{number}")).unwrap();
        let now = UnixMillis(1_000_000);
        for number in 0..=limits::LISTINGS_MAX {
            let host = HostNo(i64::try_from(number).unwrap());
            lists.keep(selector(number), now, vec![host]);
        }
        assert_eq!(lists.find(&selector(0), now), None, "the oldest went");
        let found = |at| lists.find(&selector(1), at).map(|it| it.to_vec());
        let last = now.plus(limits::LISTING_MS);
        assert_eq!(found(last), Some(vec![HostNo(1)]));
        assert_eq!(found(last.plus(1)), None);
        lists.keep(selector(1), now, Vec::new());
        assert_eq!(found(now), Some(Vec::new()));
    }
}
