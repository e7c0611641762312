//! Hosts: list, look, remove.

use std::sync::Arc;

use model::HostUuid;
use protocol::error::Fault;
use protocol::facts::HostFacts;
use store::{Host, HostFilter, Page, PageRequest, Store};

use super::Error;
use crate::auth::Caller;
use crate::clock::Clock;
use crate::engine::Engine;

/// The service of hosts.
pub(crate) struct Hosts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: Arc<Engine>,
}

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
