//! What the entrances share: the services of one node.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use protocol::api::access::GetServerInfo;
use store::{HostFilter, PageRequest, Store};

use crate::auth::{Auth, Circumstances};
use crate::clock::Clock;
use crate::engine::{Engine, Signer};
use crate::gateway::Gateway;
use crate::service::access::Access;
use crate::service::host::Hosts;
use crate::service::install_code::InstallCodes;
use crate::service::task::Tasks;
use crate::service::{Bundles, Checker, Error};

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
    pub(crate) tasks: Tasks,
    pub(crate) hosts: Hosts,
    pub(crate) install_codes: InstallCodes,
    pub(crate) engine: Arc<Engine>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) bundles: Arc<Bundles>,
    pub(crate) checker: Arc<Checker>,
    pub(crate) gateway: Gateway,
    /// The address that everybody is to use, if the node was told one.
    pub(crate) public_url: Option<String>,
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

impl From<Peer> for Circumstances {
    fn from(peer: Peer) -> Self {
        Self {
            source: peer.address,
            secure: peer.secure,
        }
    }
}

impl App {
    pub(crate) fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }

    /// The address under which a caller sees this control plane: the public one, or the one that
    /// was asked.
    pub(crate) fn base_url(&self, peer: Peer, host: &str) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let scheme = if peer.secure { "https" } else { "http" };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        let host = if host.bytes().all(allowed) {
            host
        } else {
            "localhost"
        };
        format!("{scheme}://{host}")
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
