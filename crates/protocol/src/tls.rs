//! Whom a client of ours trusts: the certificate with a pinned fingerprint, or the host's own roots.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// SHA-256 of a certificate's DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// Why no trust can be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a fingerprint.
    #[error(
        "`{0}` is not a certificate fingerprint: 64 hexadecimal digits of SHA-256, colons allowed"
    )]
    NotAFingerprint(String),
    /// The host has no root certificates.
    #[error(
        "this host has no root certificates: install ca-certificates, or give the server's fingerprint"
    )]
    NoRoots,
    /// The TLS library refuses the set-up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits, colons allowed.
    ///
    /// # Errors
    /// [`Error::NotAFingerprint`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let digits: String = text.trim().chars().filter(|it| *it != ':').collect();
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
        bytes
            .ok()
            .and_then(|it| it.try_into().ok())
            .map(Self)
            .ok_or_else(|| Error::NotAFingerprint(text.to_owned()))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// What an agent calls its protocol in its first word (ALPN, RFC 7301), so that a node tells a fleet
/// that comes back from everybody else.
pub const AGENT_PROTOCOL: &[u8] = b"sickbay-agent";

/// An agent's TLS set-up: that of [`client_config`], and it says that it is an agent.
///
/// # Errors
/// Those of [`client_config`].
pub fn agent_config(pin: Option<Fingerprint>) -> Result<Arc<ClientConfig>, Error> {
    let mut config = Arc::unwrap_or_clone(client_config(pin)?);
    // A proxy in front of the node may end a handshake that offers nothing it knows.
    config.alpn_protocols = vec![AGENT_PROTOCOL.to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A client's TLS set-up: trusts exactly the certificate `pin`, or without one the host's roots.
///
/// # Errors
/// The host has no roots, or the TLS library refuses.
pub fn client_config(pin: Option<Fingerprint>) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?;
    let config = match pin {
        Some(pin) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { pin, provider })),
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(Error::NoRoots);
            }
            builder.with_root_certificates(roots)
        }
    };
    Ok(Arc::new(config.with_no_client_auth()))
}

/// Accepts one certificate. Its name and dates do not matter: the pin says more than either.
#[derive(Debug)]
struct Pinned {
    pin: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Fingerprint::of(end_entity) == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_read_with_and_without_colons() {
        let print = Fingerprint::of(b"certificate");
        let plain = print.to_string();
        let colons = plain
            .as_bytes()
            .chunks(2)
            .map(|it| std::str::from_utf8(it).unwrap().to_uppercase());
        assert_eq!(Fingerprint::parse(&plain).unwrap(), print);
        assert_eq!(
            Fingerprint::parse(&colons.collect::<Vec<_>>().join(":")).unwrap(),
            print
        );
        for bad in ["", "00", "zz", &format!("{plain}00")] {
            assert!(Fingerprint::parse(bad).is_err(), "{bad}");
        }
    }
}
