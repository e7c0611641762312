//! The TLS step on the way to the server, and what a refused certificate says of itself.

use std::net::SocketAddr;
use std::time::Duration;

use model::Cause;
use protocol::endpoint::Endpoint;
use protocol::tls::{Error, Fingerprint, client_config};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::network::{Stream, found_in_tls};
use super::probe::Verdict;

use self::observer::look;

mod interceptor;
mod observer;

/// A certificate that ends sooner than this is worth a warning, in ms.
const ENDS_SOON_MS: i64 = 14 * 24 * 3_600_000;

/// Why there is no secure connection.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing came back in time.
    Stalled(String),
    /// It is known.
    Told(Verdict),
}

/// The handshake as the agent makes it. `peer` is where the stream leads.
pub(super) async fn handshake(
    server: &Endpoint,
    pin: Option<Fingerprint>,
    stream: TcpStream,
    peer: Option<SocketAddr>,
    limit: Duration,
    now_ms: i64,
) -> Result<(Box<dyn Stream>, Verdict), Failed> {
    let setup = tokio::task::spawn_blocking(move || client_config(pin)).await;
    let config = match setup {
        Ok(Ok(config)) => config,
        Ok(Err(error @ Error::NoRoots)) => {
            let found = found_in_tls(Cause::AuthoritiesMissing, server, vec![error.to_string()]);
            return Err(Failed::Told(Verdict::of(error.to_string(), vec![found])));
        }
        Ok(Err(error)) => return Err(Failed::Told(Verdict::skipped(super::chain(&error)))),
        Err(error) => {
            let why = format!("the probe broke: {error}");
            return Err(Failed::Told(Verdict::skipped(why)));
        }
    };
    let Ok(name) = ServerName::try_from(server.host.clone()) else {
        let why = format!("{} cannot be a TLS server name", server.host);
        return Err(Failed::Told(Verdict::skipped(why)));
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
            Err(Failed::Told(
                refused(server, cause, why, peer, name, now_ms).await,
            ))
        }
        Err(_) => {
            let why = format!("TLS handshake: no answer within {} ms", limit.as_millis());
            Err(Failed::Stalled(why))
        }
    }
}

/// Whether the server says anything at all in the handshake.
pub(super) async fn answers(
    server: &Endpoint,
    pin: Option<Fingerprint>,
    stream: TcpStream,
    limit: Duration,
) -> bool {
    !matches!(
        handshake(server, pin, stream, None, limit, 0).await,
        Err(Failed::Stalled(_))
    )
}

/// A handshake that was broken off, and what the server has to show.
async fn refused(
    server: &Endpoint,
    cause: Cause,
    why: String,
    peer: Option<SocketAddr>,
    name: ServerName<'static>,
    now_ms: i64,
) -> Verdict {
    let mut evidence = vec![format!("TLS handshake: {why}")];
    let (Some(peer), true) = (peer, shows_certificate(cause)) else {
        return Verdict::of(why, vec![found_in_tls(cause, server, evidence)]);
    };
    let seen = look(peer, name.clone(), None).await;
    let issuer = seen
        .certificate
        .as_deref()
        .and_then(read)
        .map(|it| it.issuer);
    let is_mistrusted = matches!(cause, Cause::AuthorityUnknown | Cause::CertificateUntrusted);
    let cause = match issuer {
        Some(issuer) if is_mistrusted && interceptor::is_known(&issuer) => {
            Cause::ConnectionIntercepted
        }
        _ => cause,
    };
    evidence.extend(
        seen.certificate
            .as_deref()
            .map(describe)
            .into_iter()
            .flatten(),
    );
    let mut findings = vec![found_in_tls(cause, server, evidence)];
    if matches!(
        cause,
        Cause::CertificateExpired | Cause::CertificateNotYetValid
    ) {
        // A stranger's word, so it has to fit the certificate.
        let told = look(peer, name, Some(server)).await.date_ms;
        let certificate = seen.certificate.as_deref().and_then(read);
        let fits = |ms: &i64| {
            certificate.is_some_and(|it| (it.not_before_ms..=it.not_after_ms).contains(ms))
        };
        let offset = told.filter(fits).map(|it| it.saturating_sub(now_ms));
        findings.extend(offset.and_then(|it| super::clock::judge(it, None)));
    }
    Verdict::of(why, findings)
}

/// Whether it helps to see what the server presents.
const fn shows_certificate(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::CertificateExpired
            | Cause::CertificateNotYetValid
            | Cause::CertificateWrongName
            | Cause::CertificateUntrusted
            | Cause::AuthorityUnknown
    )
}

fn classify(error: &rustls::Error, pin: Option<Fingerprint>) -> (Cause, String) {
    use CertificateError as Bad;
    let bad = match error {
        rustls::Error::InvalidCertificate(bad) => bad,
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => return (Cause::TlsVersionUnsupported, error.to_string()),
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            return (Cause::ClientCertificateExpired, error.to_string());
        }
        _ => return (Cause::HandshakeFailed, error.to_string()),
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
    not_before_ms: i64,
    not_after_ms: i64,
}

fn read(der: &[u8]) -> Option<Certified> {
    let certificate = Certificate::from_der(der).ok()?;
    let told = certificate.tbs_certificate();
    let ms = |it: Duration| i64::try_from(it.as_millis()).ok();
    Some(Certified {
        subject: told.subject().to_string(),
        issuer: told.issuer().to_string(),
        not_before: told.validity().not_before.to_string(),
        not_after: told.validity().not_after.to_string(),
        not_before_ms: ms(told.validity().not_before.to_unix_duration())?,
        not_after_ms: ms(told.validity().not_after.to_unix_duration())?,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
        let alert = |it| classify(&rustls::Error::AlertReceived(it), None).0;
        assert_eq!(
            alert(AlertDescription::ProtocolVersion),
            Cause::TlsVersionUnsupported
        );
        assert_eq!(
            alert(AlertDescription::HandshakeFailure),
            Cause::HandshakeFailed
        );
        assert_eq!(
            alert(AlertDescription::CertificateExpired),
            Cause::ClientCertificateExpired
        );
    }

    /// A handshake with a throw-away server that is trusted by `pin_of` its certificate.
    async fn shake(pin_of: impl FnOnce(&[u8]) -> Fingerprint) -> Result<Verdict, Failed> {
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
        let failed = shake(|_| Fingerprint::of(b"another")).await.unwrap_err();
        let Failed::Told(verdict) = failed else {
            panic!("it answers: {failed:?}");
        };
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
            not_before_ms: protocol::stamp::parse("2026-01-01T00:00:00Z").unwrap(),
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

    #[test]
    fn a_broken_certificate_is_survived() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["host.example".to_owned()]).unwrap();
        let sample = params.self_signed(&key).unwrap();
        assert!(read(sample.der()).is_some());
        crate::fuzz::bytes("certificates", &[sample.der()], |it| drop(read(it)));
    }
}
