//! The node's certificate: given files, or its own, made on first start and kept.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::tls::Fingerprint;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

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
    pub(crate) acceptor: TlsAcceptor,
    /// The fingerprint to pin; `None` where clients trust it by their own roots.
    pub(crate) fingerprint: Option<Fingerprint>,
}

impl Certificate {
    /// Reads the certificate, or makes the node's own.
    pub(crate) fn open(source: &CertificateSource, data: &Path) -> io::Result<Self> {
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
        let fingerprint = chain.first().map(|it| Fingerprint::of(it));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|it| it.with_no_client_auth().with_single_cert(chain, private))
            .map_err(|error| named(&certificate, &error))?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            fingerprint: fingerprint.filter(|_| *source == CertificateSource::Own),
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
