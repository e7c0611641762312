//! Certificates of every kind, made on the spot.

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// Somebody who issues certificates.
#[derive(Debug)]
pub(crate) struct Authority {
    /// Its own certificate.
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// How a certificate is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Whom it names.
    pub(crate) name: &'static str,
    /// The first and the day after the last year, month and day; otherwise it holds now.
    pub(crate) days: Option<[(i32, u8, u8); 2]>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            name: "sickbay.lab",
            days: None,
        }
    }
}

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
    pub(crate) key_pem: String,
    pub(crate) key_der: Vec<u8>,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// No key can be made.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().context("a key")?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            pem,
            issuer: Issuer::new(params, key),
        })
    }

    /// A certificate of a server.
    ///
    /// # Errors
    /// No key can be made.
    pub(crate) fn issue(&self, wish: &Wish) -> anyhow::Result<Issued> {
        let mut params = CertificateParams::new(vec![wish.name.to_owned()])?;
        params
            .distinguished_name
            .push(DnType::CommonName, wish.name);
        if let Some([(year, month, day), (until_year, until_month, until_day)]) = wish.days {
            params.not_before = date_time_ymd(year, month, day);
            params.not_after = date_time_ymd(until_year, until_month, until_day);
        }
        let key = KeyPair::generate().context("a key")?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            key_pem: key.serialize_pem(),
            key_der: key.serialize_der(),
        })
    }
}
