//! What is on hosts, asked entry by entry over all of them.
//!
//! Owns the node's [`index::Index`]: before each answer it learns the lists that were written since the last
//! one, so an answer is as true as one from the lists themselves, and a node that has just started learns all
//! of them once. Entries that are shown are read from their lists.

pub(crate) mod index;

use std::collections::HashMap;
use std::sync::Arc;

use model::{HostUuid, limits};
use protocol::asset;
use store::{HostFilter, HostMatch, HostNo, PageRequest, Snapshot, Store};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::Error;
use index::{Filter, Index, Matches, Part, Place};

/// How often an answer is begun anew because a list that it shows was replaced meanwhile.
const ATTEMPTS: usize = 3;
/// Hosts that are looked at together for a name or an address.
const HOSTS: u32 = 500;

/// The service of properties.
pub(crate) struct Properties {
    store: Arc<dyn Store>,
    seen: Arc<RwLock<Seen>>,
}

/// What was learnt so far.
#[derive(Debug, Default)]
struct Seen {
    index: Index,
    /// The hosts that were there, ascending.
    hosts: Vec<HostNo>,
    /// What [`Store::generation`] was before that; none: it is not learnt to the end.
    generation: Option<u64>,
}

/// Matches with the lists they are in.
#[derive(Debug)]
pub(crate) struct Found {
    /// Each entry's list, and its place in it.
    pub(crate) entries: Vec<(Arc<Snapshot>, usize)>,
    /// How many there are in all, if they were counted.
    pub(crate) total: u64,
    /// The place of the last, if there are more beyond it.
    pub(crate) next: Option<Place>,
}

impl Properties {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            seen: Arc::default(),
        }
    }

    /// Up to `size` entries that match, by host and in the order of its list.
    pub(crate) async fn find(
        &self,
        filter: &Filter,
        part: Part,
        size: usize,
    ) -> Result<Found, Error> {
        for attempt in 1.. {
            let matches = self.search(filter.clone(), part, size).await?;
            let lists = self.lists(filter, &matches).await?;
            let current = |(place, change): &(Place, i64)| {
                let list = lists.get(&place.host).filter(|it| it.change == *change)?;
                Some((Arc::clone(list), usize::try_from(place.entry).ok()?))
            };
            let entries: Vec<_> = matches.places.iter().filter_map(current).collect();
            if entries.len() == matches.places.len() || attempt == ATTEMPTS {
                let last = matches.places.last().map(|it| it.0);
                return Ok(Found {
                    entries,
                    total: matches.total,
                    next: last.filter(|_| matches.has_more),
                });
            }
        }
        Err(Error::internal("the last attempt returns"))
    }

    /// Matches of this moment.
    async fn search(&self, filter: Filter, part: Part, size: usize) -> Result<Matches, Error> {
        let seen = self.seen().await?;
        // It may look at millions of entries.
        let search = tokio::task::spawn_blocking(move || seen.index.find(&filter, part, size));
        search.await.map_err(Error::internal)
    }

    /// The index as it is now.
    async fn seen(&self) -> Result<OwnedRwLockReadGuard<Seen>, Error> {
        let seen = Arc::clone(&self.seen).read_owned().await;
        if seen.generation == Some(self.store.generation()) {
            return Ok(seen);
        }
        drop(seen);
        let mut seen = Arc::clone(&self.seen).write_owned().await;
        let generation = self.store.generation();
        loop {
            let after = seen.index.last_change();
            let most = limits::SNAPSHOT_CHANGES_MAX;
            let news = self.store.snapshot_changes(after, most).await?;
            if news.is_empty() {
                break;
            }
            let learning = tokio::task::spawn_blocking(move || {
                news.iter().for_each(|it| learn(&mut seen.index, it));
                seen
            });
            seen = learning.await.map_err(Error::internal)?;
        }
        let hosts = self.store.host_numbers().await?;
        if hosts != seen.hosts {
            seen.index.keep(&hosts);
            seen.hosts = hosts;
        }
        seen.generation = Some(generation);
        Ok(seen.downgrade())
    }

    /// The lists that matches are in, by host.
    async fn lists(
        &self,
        filter: &Filter,
        matches: &Matches,
    ) -> Result<HashMap<HostNo, Arc<Snapshot>>, Error> {
        let mut hosts: Vec<HostNo> = matches.places.iter().map(|it| it.0.host).collect();
        hosts.dedup();
        let mut lists = HashMap::new();
        for part in hosts.chunks(limits::SNAPSHOT_HOSTS_MAX) {
            let found = self.store.snapshot_list(part, &[filter.item]).await?;
            lists.extend(found.into_iter().map(|it| (it.host, Arc::new(it))));
        }
        Ok(lists)
    }

    /// The hosts of this uuid: one or none.
    pub(crate) async fn hosts_of_uuid(&self, uuid: &str) -> Result<Vec<HostNo>, Error> {
        let Ok(uuid) = uuid.parse::<HostUuid>() else {
            return Ok(Vec::new());
        };
        let host = self.store.host_get(&uuid).await?;
        Ok(host.map(|it| it.number).into_iter().collect())
    }

    /// The hosts with this in their name, or with exactly this address, ascending.
    pub(crate) async fn hosts_of_remark(&self, remark: &str) -> Result<Vec<HostNo>, Error> {
        let filter = HostFilter {
            criteria: vec![
                HostMatch::Name(remark.to_owned()),
                HostMatch::Address(remark.to_owned()),
            ],
            any: true,
        };
        let mut hosts = Vec::new();
        for number in 1.. {
            let page = PageRequest {
                number,
                size: HOSTS,
            };
            let found = self.store.host_page(&filter, page).await?;
            let is_last = found.rows.is_empty();
            hosts.extend(found.rows.into_iter().map(|it| it.number));
            if is_last || u64::try_from(hosts.len()).is_ok_and(|it| it >= found.total) {
                break;
            }
        }
        hosts.sort_unstable();
        Ok(hosts)
    }
}

/// Puts a list into the index: one that does not read has no entries, and `admin verify` tells of it.
fn learn(index: &mut Index, list: &Snapshot) {
    let entries = asset::properties(list.item, &list.json).unwrap_or_else(|error| {
        tracing::error!(host.number = list.host.0, item = list.item.wire(), %error, "a list of a host does not read");
        Some(Vec::new())
    });
    index.learn(list.item, list.host, list.change, entries);
}
