//! Looks at what a server presents without trusting it: for a person's eyes, when a handshake failed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::endpoint::Endpoint;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::check::http;

/// Time for a look, in ms.
const LOOK_MS: u64 = 1_000;

/// What a server shows to somebody who does not trust it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) certificate: Option<Vec<u8>>,
    /// Its clock, in ms since the Unix epoch.
    pub(super) date_ms: Option<i64>,
}

/// Looks at what the server presents. `ask`: also asks it for the time, with a request that holds
/// nothing; else the handshake is broken off and nothing is sent.
pub(super) async fn look(
    peer: SocketAddr,
    name: ServerName<'static>,
    ask: Option<&Endpoint>,
) -> Seen {
    let observer = Arc::new(Observer {
        goes_on: ask.is_some(),
        ..Observer::default()
    });
    let Some(config) = observing_config(&observer) else {
        return Seen::default();
    };
    let looking = async {
        let stream = TcpStream::connect(peer).await?;
        let mut stream = TlsConnector::from(config).connect(name, stream).await?;
        match ask {
            Some(server) => http::head(server, "/", &mut stream).await,
            None => Ok(Vec::new()),
        }
    };
    // Without a question it ends in an error by design.
    let said = timeout(Duration::from_millis(LOOK_MS), looking).await;
    let head = said.ok().and_then(Result::ok).unwrap_or_default();
    Seen {
        certificate: observer.seen.lock().ok().and_then(|mut it| it.take()),
        date_ms: http::date_ms(&String::from_utf8_lossy(&head)),
    }
}

fn observing_config(observer: &Arc<Observer>) -> Option<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?;
    let verifier: Arc<dyn ServerCertVerifier> = Arc::<Observer>::clone(observer);
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Some(Arc::new(config))
}

/// Keeps the certificate it is shown. What comes after is told to a person, and trusted by nobody.
#[derive(Debug, Default)]
struct Observer {
    seen: Mutex<Option<Vec<u8>>>,
    /// Whether the handshake is brought to its end.
    goes_on: bool,
}

impl Observer {
    fn verdict<T>(&self, assertion: T) -> Result<T, rustls::Error> {
        match self.goes_on {
            true => Ok(assertion),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some(end_entity.to_vec());
        }
        self.verdict(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verdict(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verdict(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
