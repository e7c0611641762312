//! Hosts: list, look, label, show their inventory, remove.

use std::sync::Arc;

use model::label::{self, LabelChange};
use model::{AssetItem, HostUuid, Selector};
use protocol::api::label::SetHostLabels;
use protocol::api::param::Targets;
use protocol::error::{Code, Fault};
use protocol::facts::HostFacts;
use store::{Host, HostFilter, HostNo, Page, PageRequest, Snapshot, Store};

use super::target::Resolver;
use super::{Error, Listings};
use crate::auth::Caller;
use crate::clock::Clock;
use crate::engine::Engine;

/// The service of hosts.
pub(crate) struct Hosts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) listings: Listings,
}

/// Hosts that are labelled in one commit: others wait for it.
const PART: usize = 500;

/// A host with all that its row shows.
#[derive(Debug)]
pub(crate) struct HostView {
    pub(crate) host: Host,
    pub(crate) facts: HostFacts,
    pub(crate) online: bool,
}

impl Hosts {
    fn view(&self, host: Host) -> HostView {
        HostView {
            facts: serde_json::from_str(&host.facts).unwrap_or_default(),
            online: self.engine.sessions.is_online(host.number),
            host,
        }
    }

    /// These hosts, by number.
    pub(crate) async fn views(&self, numbers: &[HostNo]) -> Result<Vec<HostView>, Error> {
        let hosts = self.store.host_get_many(numbers).await?;
        Ok(hosts.into_iter().map(|it| self.view(it)).collect())
    }

    /// A page of hosts.
    pub(crate) async fn page(
        &self,
        filter: &HostFilter,
        page: PageRequest,
    ) -> Result<Page<HostView>, Error> {
        let found = self.store.host_page(filter, page).await?;
        Ok(Page {
            total: found.total,
            rows: found.rows.into_iter().map(|it| self.view(it)).collect(),
        })
    }

    /// A page of the hosts that a selector meant when the first page was asked for.
    pub(crate) async fn selected(
        &self,
        selector: Selector,
        page: PageRequest,
    ) -> Result<Page<HostView>, Error> {
        let now = self.clock.now();
        let kept = self.listings.find(&selector, now);
        let found = match kept.filter(|_| page.number > 1) {
            Some(kept) => kept,
            None => {
                let targets = Targets::Selector(selector.clone());
                let resolved = self.resolver.hosts(&targets).await?;
                self.listings.keep(selector, now, resolved.hosts)
            }
        };
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let room = usize::try_from(page.size).unwrap_or(usize::MAX);
        let shown: Vec<HostNo> = found.iter().skip(skip).take(room).copied().collect();
        Ok(Page {
            total: u64::try_from(found.len()).unwrap_or(u64::MAX),
            rows: self.views(&shown).await?,
        })
    }

    /// Changes the labels of hosts, in parts: a change that is broken off can be asked for again.
    pub(crate) async fn label(
        &self,
        caller: &Caller,
        targets: &Targets,
        change: &LabelChange,
    ) -> Result<SetHostLabels, Error> {
        let hosts = self.resolver.hosts(targets).await?.hosts;
        for part in hosts.chunks(PART) {
            for host in self.store.host_get_many(part).await? {
                change
                    .apply(&host.labels)
                    .map_err(|error| refused(&host, &error))?;
            }
        }
        let mut changed = 0;
        for part in hosts.chunks(PART) {
            changed += match self.store.host_label(part, change).await {
                Err(store::Error::Conflict) => return Err(overtaken(changed)),
                other => other?,
            };
        }
        tracing::info!(hosts = changed, operator = %caller.name, "labels of hosts were changed");
        Ok(SetHostLabels {
            total_count: u64::try_from(hosts.len()).unwrap_or(u64::MAX),
            changed_count: changed,
        })
    }

    /// One host, if it is there and not removed.
    pub(crate) async fn find(&self, uuid: &str) -> Result<Option<HostView>, Error> {
        let Ok(uuid) = uuid.parse::<HostUuid>() else {
            return Ok(None);
        };
        let host = self.store.host_get(&uuid).await?;
        let there = host.filter(|it| it.removed_at.is_none());
        Ok(there.map(|it| self.view(it)))
    }

    /// One host.
    pub(crate) async fn get(&self, uuid: &str) -> Result<HostView, Error> {
        let found = self.find(uuid).await?;
        found.ok_or_else(|| Fault::not_exist("host", uuid).into())
    }

    /// What the last inventories of a host said, and how long ago, in ms.
    pub(crate) async fn inventory(
        &self,
        uuid: &str,
        items: &[AssetItem],
    ) -> Result<Vec<(Snapshot, i64)>, Error> {
        let view = self.get(uuid).await?;
        let lists = self.store.snapshot_list(&[view.host.number], items).await?;
        let now = self.clock.now();
        let aged = lists.into_iter().map(|it| {
            let age = now.since(it.taken_at).max(0);
            (it, age)
        });
        Ok(aged.collect())
    }

    /// Removes a host: its session is closed and its key opens no other.
    pub(crate) async fn remove(&self, caller: &Caller, uuid: &str) -> Result<(), Error> {
        let view = self.get(uuid).await?;
        self.store
            .host_remove(&view.host.uuid, self.clock.now())
            .await?;
        self.engine.sessions.close(view.host.number);
        tracing::info!(host.id = %view.host.uuid, operator = %caller.name, "a host was removed");
        Ok(())
    }

    /// Hosts that are connected.
    pub(crate) fn online(&self) -> Vec<store::HostNo> {
        self.engine.sessions.online()
    }
}

fn refused(host: &Host, error: &label::Error) -> Error {
    let text = format!(
        "Illegal param: host {}: {error}. Nothing was changed.",
        host.uuid
    );
    Fault::new(Code::IllegalParam, text).into()
}

/// Somebody else has labelled one of the hosts since it was looked at.
fn overtaken(changed: u64) -> Error {
    let text = format!(
        "Illegal param: a host has got other labels meanwhile and would have too many. {changed} hosts were changed."
    );
    Fault::new(Code::IllegalParam, text).into()
}
