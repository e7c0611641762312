//! The encrypted way to a server.
//!
//! Owns whom the store trusts, as [`Trust`] says, and how the TLS library is joined to the database's.
//! Certificates are read once, when the store opens.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use postgres::Socket;
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::url::{Tls, Trust};

/// What the protocol is called in the first word (ALPN), as servers from version 17 on expect it.
const PROTOCOL: &[u8] = b"postgresql";

/// Why there is no encrypted connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A file that the URL names.
    #[error("`{path}` does not read: {source}", path = .path.display())]
    File { path: PathBuf, source: pem::Error },
    /// Nobody to trust.
    #[error(
        "this host has no root certificates: install ca-certificates, or name the authority of the \
         database's certificate with sslrootcert=FILE"
    )]
    NoAuthorities,
    #[error(
        "the certificate of the database's server is of no authority that is trusted here: name its \
         authority with sslrootcert=FILE"
    )]
    UnknownAuthority,
    #[error(
        "the certificate of the database's server is not made for the name in the URL: use one of the \
         names in its subjectAltName, or sslmode=verify-ca if its authority serves nobody else"
    )]
    WrongName,
    #[error("the URL has no host name that a certificate can be made for")]
    NoName,
    #[error(
        "the database's server does not speak TLS: switch it on there (ssl = on), or say \
         sslmode=disable if nobody can listen on the way"
    )]
    NotSpoken,
    #[error("{0}")]
    Library(#[from] rustls::Error),
    #[error("the connection broke: {0}")]
    Connection(io::Error),
}

impl Error {
    fn of_handshake(error: io::Error) -> Self {
        let cause = error.get_ref().and_then(|it| it.downcast_ref());
        let Some(cause) = cause.cloned() else {
            return Self::Connection(error);
        };
        match cause {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                Self::UnknownAuthority
            }
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Self::WrongName,
            other => Self::Library(other),
        }
    }
}

/// Makes connections encrypted.
#[derive(Clone)]
pub(super) struct Maker(TlsConnector);

impl Maker {
    /// Reads the certificates.
    pub(super) fn new(tls: &Tls) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier {
            trusted: match tls.trust {
                Trust::Any => None,
                Trust::Authority | Trust::AuthorityAndName => {
                    Some(Trusted::read(tls.authorities.as_deref())?)
                }
            },
            asks_name: tls.trust == Trust::AuthorityAndName,
            provider: Arc::clone(&provider),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &tls.own {
            Some((certificate, key)) => {
                let key_read = PrivateKeyDer::from_pem_file(key).map_err(of_file(key))?;
                builder.with_client_auth_cert(certificates(certificate)?, key_read)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(of_file(path))?;
    if read.is_empty() {
        return Err(of_file(path)(pem::Error::NoItemsFound));
    }
    Ok(read)
}

fn of_file(path: &Path) -> impl Fn(pem::Error) -> Error {
    move |source| Error::File {
        path: path.to_owned(),
        source,
    }
}

/// Who is trusted to say who a server is.
#[derive(Debug)]
struct Trusted {
    roots: RootCertStore,
    /// Those of a file. A server may have one of them itself, as one that signed its own does.
    given: Vec<CertificateDer<'static>>,
}

impl Trusted {
    fn read(path: Option<&Path>) -> Result<Self, Error> {
        let given = path.map(certificates).transpose()?.unwrap_or_default();
        let mut roots = RootCertStore::empty();
        match path {
            Some(_) => roots.add_parsable_certificates(given.iter().cloned()),
            None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        };
        if roots.is_empty() {
            return Err(Error::NoAuthorities);
        }
        Ok(Self { roots, given })
    }
}

#[derive(Debug)]
struct Verifier {
    /// None: everybody.
    trusted: Option<Trusted>,
    asks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !trusted.given.contains(end_entity) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let roots = &trusted.roots;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if self.asks_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl MakeTlsConnect<Socket> for Maker {
    type Stream = Stream;
    type TlsConnect = Connect;
    type Error = Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Connect, Error> {
        let name = ServerName::try_from(host).map_err(|_| Error::NoName)?;
        Ok(Connect {
            connector: self.0.clone(),
            name: name.to_owned(),
        })
    }
}

/// One connection to be made.
pub(super) struct Connect {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl TlsConnect<Socket> for Connect {
    type Stream = Stream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        let connecting = self.connector.connect(self.name, socket);
        Box::pin(async move {
            let connected = connecting.await;
            connected.map(Stream).map_err(Error::of_handshake)
        })
    }
}

/// An encrypted connection.
pub(super) struct Stream(tokio_rustls::client::TlsStream<Socket>);

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        match certificate.and_then(|it| end_point(it)) {
            Some(digest) => ChannelBinding::tls_server_end_point(digest),
            None => ChannelBinding::none(),
        }
    }
}

/// What binds a password's proof to the certificate (RFC 5929, 4.1): the certificate's digest, by the
/// function of its signature, but for those that are too weak. None where that is not defined.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let read = Certificate::from_der(certificate).ok()?;
    let algorithm = match read.signature_algorithm().oid.to_string().as_str() {
        // MD5, SHA-1 and SHA-256, with RSA or ECDSA.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
