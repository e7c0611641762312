//! The TLS step on the way to the server, and what a refused certificate says of itself.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::Cause;
use protocol::endpoint::Endpoint;
use protocol::tls::{Fingerprint, client_config};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::network::{Stream, found_in_tls};
use super::probe::Verdict;

/// A certificate that ends sooner than this is worth a warning, in ms.
const ENDS_SOON_MS: i64 = 14 * 24 * 3_600_000;
/// Time for looking at a certificate that was refused, in ms.
const LOOK_MS: u64 = 1_000;

/// The handshake as the agent makes it. `peer` is where the stream leads.
pub(super) async fn handshake(
    server: &Endpoint,
    pin: Option<Fingerprint>,
    stream: TcpStream,
    peer: Option<SocketAddr>,
    limit: Duration,
    now_ms: i64,
) -> Result<(Box<dyn Stream>, Verdict), Verdict> {
    let setup = tokio::task::spawn_blocking(move || client_config(pin)).await;
    let config = match setup {
        Ok(Ok(config)) => config,
        Ok(Err(error)) => return Err(Verdict::skipped(super::chain(&error))),
        Err(error) => return Err(Verdict::skipped(format!("the probe broke: {error}"))),
    };
    let Ok(name) = ServerName::try_from(server.host.clone()) else {
        let host = &server.host;
        return Err(Verdict::skipped(format!(
            "{host} cannot be a TLS server name"
        )));
    };
    let shaking = TlsConnector::from(config).connect(name.clone(), stream);
    match timeout(limit, shaking).await {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            let presented = session.peer_certificates().and_then(<[_]>::first);
            let verdict = match presented.and_then(|it| read(it)) {
                // The pin says more than the dates: those of a pinned certificate do not matter.
                Some(certificate) if pin.is_none() => judge_end(server, &certificate, now_ms),
                _ => Verdict::clear("the handshake succeeds; the certificate is the pinned one"),
            };
            Ok((Box::new(stream), verdict))
        }
        Ok(Err(error)) => {
            let inner = error
                .get_ref()
                .and_then(|it| it.downcast_ref::<rustls::Error>());
            let (cause, why) = inner.map_or_else(
                || (Cause::HandshakeFailed, error.to_string()),
                |it| classify(it, pin),
            );
            let mut evidence = vec![format!("TLS handshake: {why}")];
            if cause != Cause::HandshakeFailed
                && let Some(peer) = peer
            {
                evidence.extend(look(peer, name).await);
            }
            Err(Verdict::of(
                why,
                vec![found_in_tls(cause, server, evidence)],
            ))
        }
        Err(_) => {
            let why = format!("TLS handshake: no answer within {} ms", limit.as_millis());
            let found = found_in_tls(Cause::HandshakeFailed, server, vec![why.clone()]);
            Err(Verdict::of(why, vec![found]))
        }
    }
}

fn classify(error: &rustls::Error, pin: Option<Fingerprint>) -> (Cause, String) {
    use CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return (Cause::HandshakeFailed, error.to_string());
    };
    match (bad, pin) {
        (Bad::ApplicationVerificationFailure, Some(pin)) => {
            let why = format!("the certificate is not the pinned one, whose SHA-256 is {pin}");
            (Cause::CertificateUntrusted, why)
        }
        (Bad::Expired | Bad::ExpiredContext { .. }, _) => {
            (Cause::CertificateExpired, bad.to_string())
        }
        (Bad::NotValidYet | Bad::NotValidYetContext { .. }, _) => {
            (Cause::CertificateNotYetValid, bad.to_string())
        }
        (Bad::NotValidForName | Bad::NotValidForNameContext { .. }, _) => {
            (Cause::CertificateWrongName, bad.to_string())
        }
        (Bad::UnknownIssuer, _) => (Cause::AuthorityUnknown, bad.to_string()),
        _ => (Cause::CertificateUntrusted, bad.to_string()),
    }
}

/// What a certificate says.
struct Certified {
    subject: String,
    issuer: String,
    not_before: String,
    not_after: String,
    not_after_ms: i64,
}

fn read(der: &[u8]) -> Option<Certified> {
    let certificate = Certificate::from_der(der).ok()?;
    let told = certificate.tbs_certificate();
    let ends = told.validity().not_after.to_unix_duration();
    Some(Certified {
        subject: told.subject().to_string(),
        issuer: told.issuer().to_string(),
        not_before: told.validity().not_before.to_string(),
        not_after: told.validity().not_after.to_string(),
        not_after_ms: i64::try_from(ends.as_millis()).ok()?,
    })
}

fn judge_end(server: &Endpoint, certificate: &Certified, now_ms: i64) -> Verdict {
    let ends = &certificate.not_after;
    let note = format!("the handshake succeeds; the certificate ends {ends}");
    let soon = certificate.not_after_ms.saturating_sub(now_ms) < ENDS_SOON_MS;
    let evidence = || {
        vec![format!(
            "the certificate of {} ends {ends}",
            certificate.subject
        )]
    };
    let found = soon.then(|| found_in_tls(Cause::CertificateEndsSoon, server, evidence()));
    Verdict::of(note, found.into_iter().collect())
}

/// What the server presents, seen in a handshake that is always broken off: nothing is sent to it.
async fn look(peer: SocketAddr, name: ServerName<'static>) -> Vec<String> {
    let observer = Arc::new(Observer::default());
    let Some(config) = observing_config(&observer) else {
        return Vec::new();
    };
    let looking = async {
        let stream = TcpStream::connect(peer).await?;
        TlsConnector::from(config).connect(name, stream).await
    };
    // It ends in an error by design.
    drop(timeout(Duration::from_millis(LOOK_MS), looking).await);
    let seen = observer.seen.lock().ok().and_then(|mut it| it.take());
    seen.map_or_else(Vec::new, |der| describe(&der))
}

fn describe(der: &[u8]) -> Vec<String> {
    let mut lines = vec![format!(
        "presented certificate: SHA-256 {}",
        Fingerprint::of(der)
    )];
    if let Some(it) = read(der) {
        lines.push(format!(
            "presented certificate: issued to {} by {}",
            it.subject, it.issuer
        ));
        lines.push(format!(
            "presented certificate: valid from {} until {}",
            it.not_before, it.not_after
        ));
    }
    lines
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

/// Keeps the certificate it is shown and trusts nobody.
#[derive(Debug, Default)]
struct Observer {
    seen: Mutex<Option<Vec<u8>>>,
}

fn refused() -> rustls::Error {
    CertificateError::ApplicationVerificationFailure.into()
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
        Err(refused())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(refused())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(refused())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let pin = Fingerprint::of(b"certificate");
        let cause = |bad: CertificateError, pin| classify(&bad.into(), pin).0;
        assert_eq!(
            cause(CertificateError::Expired, None),
            Cause::CertificateExpired
        );
        assert_eq!(
            cause(CertificateError::NotValidYet, None),
            Cause::CertificateNotYetValid
        );
        assert_eq!(
            cause(CertificateError::UnknownIssuer, None),
            Cause::AuthorityUnknown
        );
        assert_eq!(
            cause(CertificateError::NotValidForName, None),
            Cause::CertificateWrongName
        );
        let (cause, why) = classify(
            &CertificateError::ApplicationVerificationFailure.into(),
            Some(pin),
        );
        assert_eq!(cause, Cause::CertificateUntrusted);
        assert!(why.contains(&pin.to_string()));
        assert_eq!(
            classify(&rustls::Error::HandshakeNotComplete, None).0,
            Cause::HandshakeFailed
        );
    }

    /// A handshake with a throw-away server that is trusted by `pin_of` its certificate.
    async fn shake(pin_of: impl FnOnce(&[u8]) -> Fingerprint) -> Result<Verdict, Verdict> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.unwrap())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                drop(acceptor.accept(stream).await);
            }
        };
        let server = format!("https://localhost:{}", address.port())
            .parse()
            .unwrap();
        let checking = async {
            let stream = TcpStream::connect(address).await.unwrap();
            let pin = Some(pin_of(&certificate));
            let limit = Duration::from_secs(60);
            let ended = handshake(&server, pin, stream, Some(address), limit, 0).await;
            ended.map(|(_, verdict)| verdict)
        };
        tokio::select! { ended = checking => ended, () = serving => unreachable!() }
    }

    #[tokio::test]
    async fn the_pinned_certificate_is_accepted_whatever_its_dates() {
        let verdict = shake(Fingerprint::of).await.unwrap();
        assert!(verdict.findings.is_empty(), "{verdict:?}");
    }

    #[tokio::test]
    async fn another_certificate_than_the_pinned_one_is_shown() {
        let verdict = shake(|_| Fingerprint::of(b"another")).await.unwrap_err();
        assert_eq!(verdict.findings[0].cause, 2307);
        let evidence = &verdict.findings[0].evidence;
        assert!(
            evidence[0].contains("is not the pinned one"),
            "{evidence:?}"
        );
        assert!(
            evidence[1].starts_with("presented certificate: SHA-256 "),
            "{evidence:?}"
        );
        assert!(evidence[2].contains("CN=rcgen"), "{evidence:?}");
    }

    #[test]
    fn a_certificate_that_ends_soon_is_worth_a_warning() {
        let server = "https://sickbay.example".parse().unwrap();
        let certificate = Certified {
            subject: "CN=sickbay.example".into(),
            issuer: "CN=authority".into(),
            not_before: "2026-01-01T00:00:00Z".into(),
            not_after: "2026-04-01T00:00:00Z".into(),
            not_after_ms: protocol::stamp::parse("2026-04-01T00:00:00Z").unwrap(),
        };
        let count = |now: &str| {
            judge_end(&server, &certificate, protocol::stamp::parse(now).unwrap())
                .findings
                .len()
        };
        assert_eq!(count("2026-03-17T00:00:00Z"), 0);
        assert_eq!(count("2026-03-19T00:00:00Z"), 1);
    }
}
