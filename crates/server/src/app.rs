//! What the entrances share: the services of one node.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use protocol::api::access::GetServerInfo;
use protocol::endpoint::Endpoint;
use store::{HostFilter, PageRequest, Store};

use crate::api::Kept;
use crate::auth::Auth;
use crate::body::Bodies;
use crate::clock::Clock;
use crate::download::Readiness;
use crate::engine::{Engine, Signer};
use crate::gateway::Gateway;
use crate::service::access::Access;
use crate::service::audit::Audit;
use crate::service::host::Hosts;
use crate::service::install_code::InstallCodes;
use crate::service::property::Properties;
use crate::service::target::Resolver;
use crate::service::task::Tasks;
use crate::service::{Bundles, Checker, Error, Verification};

/// The services of one node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Services>);

impl std::ops::Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

/// The services themselves.
pub(crate) struct Services {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) auth: Auth,
    pub(crate) access: Access,
    pub(crate) audit: Audit,
    pub(crate) tasks: Tasks,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) hosts: Hosts,
    pub(crate) install_codes: InstallCodes,
    pub(crate) properties: Properties,
    pub(crate) verification: Verification,
    pub(crate) engine: Arc<Engine>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) bundles: Arc<Bundles>,
    pub(crate) checker: Arc<Checker>,
    pub(crate) gateway: Gateway,
    pub(crate) readiness: Readiness,
    pub(crate) bodies: Bodies,
    pub(crate) kept: Kept,
    /// The address that everybody is to use, if the node was told one.
    pub(crate) public_url: Option<String>,
    /// Whether it listens on loopback only.
    pub(crate) only_loopback: bool,
    /// Fingerprint of the node's own certificate.
    pub(crate) fingerprint: Option<String>,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: IpAddr,
    /// Whether the connection is TLS.
    pub(crate) secure: bool,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            secure: false,
        }
    }
}

impl App {
    pub(crate) fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }

    /// The address under which a caller sees this control plane: the public one, or the one that
    /// was asked, if it is one.
    pub(crate) fn base_url(&self, peer: Peer, host: &str) -> Option<String> {
        if let Some(url) = &self.public_url {
            return Some(url.clone());
        }
        let scheme = if peer.secure { "https" } else { "http" };
        let text = format!("{scheme}://{host}");
        text.parse::<Endpoint>().ok().map(|it| it.to_string())
    }

    /// The address for manual commands, which are run elsewhere than here: not a loopback address,
    /// unless this node can only be reached there.
    pub(crate) fn base_for_hosts(&self, base: Option<&str>) -> Option<String> {
        let base = base?;
        let endpoint: Option<Endpoint> = base.parse().ok();
        let loopback = endpoint.is_some_and(|it| it.is_loopback());
        (!loopback || self.only_loopback).then(|| base.to_owned())
    }

    /// What this control plane says of itself.
    pub(crate) async fn server_info(&self) -> Result<GetServerInfo, Error> {
        let page = PageRequest { number: 1, size: 1 };
        let hosts = self
            .store
            .host_page(&HostFilter::default(), page)
            .await?
            .total;
        let running = self.store.root_active().await?.len();
        Ok(GetServerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint: self.fingerprint.clone(),
            public_url: self.public_url.clone(),
            hosts,
            hosts_online: u64::try_from(self.engine.sessions.count()).unwrap_or(u64::MAX),
            roots_running: u32::try_from(running).unwrap_or(u32::MAX),
        })
    }
}
