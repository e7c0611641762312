//! The node's certificate: given files, or its own, made on first start and kept; and how TLS is
//! spoken with it.

mod tickets;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::tls::Fingerprint;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::auth::Sealer;
use crate::clock::Clock;
use tickets::Tickets;

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// The node's own, in its data directory. Clients pin its fingerprint.
    Own,
    /// PEM files that the operator gives; clients trust it by their own roots.
    Files {
        /// The certificate and its chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// A certificate ready for use.
pub(crate) struct Certificate {
    /// With agents: tickets that outlive a restart, and only TLS 1.3, where these are harmless.
    pub(crate) agents: Arc<ServerConfig>,
    /// With everybody else.
    pub(crate) others: Arc<ServerConfig>,
    /// The fingerprint to pin; `None` where clients trust it by their own roots.
    pub(crate) fingerprint: Option<Fingerprint>,
}

impl Certificate {
    /// Reads the certificate, or makes the node's own.
    pub(crate) fn open(
        source: &CertificateSource,
        data: &Path,
        sealer: &Arc<Sealer>,
        clock: &Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let (certificate, key) = match source {
            CertificateSource::Files { certificate, key } => (certificate.clone(), key.clone()),
            CertificateSource::Own => own(&data.join("tls"))?,
        };
        let named = |path: &Path, error: &dyn std::fmt::Display| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: {error}", path.display()),
            )
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&certificate)
            .and_then(Iterator::collect)
            .map_err(|error| named(&certificate, &error));
        let chain = chain?;
        let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| named(&key, &error))?;
        let first = chain
            .first()
            .ok_or_else(|| named(&certificate, &"no certificate"))?;
        let fingerprint = Fingerprint::of(first);
        let config = |versions: &[&'static SupportedProtocolVersion]| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let (chain, private) = (chain.clone(), private.clone_key());
            ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(versions)
                .and_then(|it| it.with_no_client_auth().with_single_cert(chain, private))
                .map_err(|error| named(&certificate, &error))
        };
        let mut agents = config(&[&rustls::version::TLS13])?;
        let tickets = Tickets::new(Arc::clone(sealer), Arc::clone(clock), fingerprint);
        agents.ticketer = Arc::new(tickets);
        Ok(Self {
            agents: Arc::new(agents),
            others: Arc::new(config(rustls::DEFAULT_VERSIONS)?),
            fingerprint: Some(fingerprint).filter(|_| *source == CertificateSource::Own),
        })
    }
}

fn own(folder: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    fs::create_dir_all(folder)?;
    let names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    write_private(&key, &made.signing_key.serialize_pem())?;
    write_private(&certificate, &made.cert.pem())?;
    Ok((certificate, key))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use protocol::tls::agent_config;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, HandshakeKind};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;
    use crate::clock::SteadyClock;

    /// The certificate of a node that starts on this directory.
    fn started(data: &Path) -> Certificate {
        let sealer = Arc::new(Sealer::open(&data.join("secret.key"), false).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SteadyClock::default());
        Certificate::open(&CertificateSource::Own, data, &sealer, &clock).unwrap()
    }

    async fn agreed(node: Arc<ServerConfig>, agent: &Arc<ClientConfig>) -> HandshakeKind {
        let (near, far) = tokio::io::duplex(16 << 10);
        let accepts = async {
            let mut stream = TlsAcceptor::from(node).accept(near).await.unwrap();
            stream.write_all(b"!").await.unwrap();
            stream.flush().await.unwrap();
        };
        let connects = async {
            let name = ServerName::try_from("localhost").unwrap();
            let connector = TlsConnector::from(Arc::clone(agent));
            let mut stream = connector.connect(name, far).await.unwrap();
            // Tickets come after the handshake, before the first word.
            stream.read_exact(&mut [0]).await.unwrap();
            stream.get_ref().1.handshake_kind().unwrap()
        };
        tokio::join!(accepts, connects).1
    }

    #[tokio::test]
    async fn an_agent_resumes_its_session_with_a_node_that_was_restarted() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let first = started(data);
        let agent = agent_config(first.fingerprint).unwrap();
        assert_eq!(agreed(first.agents, &agent).await, HandshakeKind::Full);
        let again = agreed(started(data).agents, &agent).await;
        assert_eq!(again, HandshakeKind::Resumed);
        let stranger = agent_config(first.fingerprint).unwrap();
        let other = agreed(started(data).agents, &stranger).await;
        assert_eq!(other, HandshakeKind::Full);
    }
}
