//! Who this agent is: its key, its host's uuid, its server and the keys whose orders it obeys.
//!
//! Owns `identity.json` and the key that it names. The private key never leaves this module but as
//! signatures. Replacing `identity.json` replaces both in one step, since a new key has a new name.
//!
//! The order keys of the enrolment are the trust anchor: nothing that a server says later replaces
//! them. Only a new set that is signed by a key of the old one could; there is no such message yet.

use std::io;
use std::path::PathBuf;

use data_encoding::BASE64;
use model::HostUuid;
use protocol::endpoint::Endpoint;
use protocol::frame::{OrderKey, session_message};
use protocol::tls::Fingerprint;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};

use crate::config::{DataDir, write_atomically};

/// Name of the first key, made before there is an identity.
pub const FIRST_KEY: &str = "key.p8";

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Never enrolled.
    #[error("this host is not enrolled: run `sickbay-agent enrol` first")]
    NotEnrolled,
    /// Enrolled, and the key of the enrolment is gone.
    #[error("the key {0} of this host's enrolment is missing: enrol again with --force")]
    KeyMissing(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot use {0}")]
    Io(PathBuf, #[source] io::Error),
    /// A file does not hold what belongs there.
    #[error("{0} is damaged: enrol again with --force")]
    Damaged(PathBuf),
    /// The operating system gives no random numbers.
    #[error("no key could be made: the operating system gives no random numbers")]
    NoRandom,
}

/// Whom the agent speaks to, as whom, and whom it obeys.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The host.
    pub host_uuid: HostUuid,
    /// The server.
    pub server: Endpoint,
    /// The certificate to trust; `None`: the host's own roots decide.
    pub pin: Option<Fingerprint>,
    /// The keys whose orders are obeyed: those that the server showed at enrolment.
    pub order_keys: Vec<OrderKey>,
    /// Name of the agent's own key in the data directory.
    pub key_name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityFile {
    host_uuid: String,
    server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin: Option<String>,
    order_keys: Vec<KeyFile>,
    #[serde(default = "first_key")]
    key_name: String,
}

fn first_key() -> String {
    FIRST_KEY.to_owned()
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyFile {
    id: String,
    public_key: String,
}

impl Identity {
    /// Reads the identity.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`] where there is none; otherwise the file is unreadable or damaged.
    pub fn load(data: &DataDir) -> Result<Self, Error> {
        let path = data.identity();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NotEnrolled);
            }
            Err(error) => return Err(Error::Io(path, error)),
        };
        serde_json::from_slice(&text)
            .ok()
            .and_then(Self::from_file)
            .ok_or(Error::Damaged(path))
    }

    /// Writes the identity.
    ///
    /// # Errors
    /// The file cannot be written; the old one is untouched then.
    pub fn save(&self, data: &DataDir) -> Result<(), Error> {
        let file = IdentityFile {
            host_uuid: self.host_uuid.to_string(),
            server: self.server.to_string(),
            pin: self.pin.map(|it| it.to_string()),
            order_keys: self
                .order_keys
                .iter()
                .map(|it| KeyFile {
                    id: it.id.clone(),
                    public_key: BASE64.encode(&it.public_key),
                })
                .collect(),
            key_name: self.key_name.clone(),
        };
        let path = data.identity();
        let json = serde_json::to_vec_pretty(&file).unwrap_or_default();
        write_atomically(&path, &json).map_err(|error| Error::Io(path, error))
    }

    fn from_file(file: IdentityFile) -> Option<Self> {
        let pin = file.pin.map(|it| Fingerprint::parse(&it)).transpose();
        let keys = file.order_keys.into_iter().map(|it| {
            Some(OrderKey {
                id: it.id,
                public_key: BASE64.decode(it.public_key.as_bytes()).ok()?,
            })
        });
        let is_name = file.key_name.ends_with(".p8") && !file.key_name.contains('/');
        is_name.then_some(())?;
        Some(Self {
            host_uuid: file.host_uuid.parse().ok()?,
            server: file.server.parse().ok()?,
            pin: pin.ok()?,
            order_keys: keys.collect::<Option<_>>()?,
            key_name: file.key_name,
        })
    }
}

/// The agent's own key.
pub struct AgentKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl AgentKey {
    /// A new key, in memory only.
    ///
    /// # Errors
    /// [`Error::NoRandom`].
    pub fn generate() -> Result<Self, Error> {
        let pkcs8 =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| Error::NoRandom)?;
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| Error::NoRandom)?;
        Ok(Self {
            pair,
            pkcs8: pkcs8.as_ref().to_vec(),
        })
    }

    /// Reads the key.
    ///
    /// # Errors
    /// [`Error::KeyMissing`] where there is none; otherwise the file is unreadable or damaged.
    pub fn load(data: &DataDir, name: &str) -> Result<Self, Error> {
        let path = data.key(name);
        let pkcs8 = match std::fs::read(&path) {
            Ok(pkcs8) => pkcs8,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::KeyMissing(path));
            }
            Err(error) => return Err(Error::Io(path, error)),
        };
        match Ed25519KeyPair::from_pkcs8(&pkcs8) {
            Ok(pair) => Ok(Self { pair, pkcs8 }),
            Err(_) => Err(Error::Damaged(path)),
        }
    }

    /// Writes the key.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, data: &DataDir, name: &str) -> Result<(), Error> {
        let path = data.key(name);
        write_atomically(&path, &self.pkcs8).map_err(|error| Error::Io(path, error))
    }

    /// A name for its file that no other key has.
    #[must_use]
    pub fn own_name(&self) -> String {
        format!("key-{}.p8", protocol::order::key_id(self.public()))
    }

    /// The public half, 32 bytes.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The signature that opens a session.
    #[must_use]
    pub fn sign_session(&self, nonce: &[u8], host_uuid: &str) -> Vec<u8> {
        let message = session_message(nonce, host_uuid);
        self.pair.sign(&message).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_and_a_damaged_one_says_what_to_do() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::new(temp.path());
        assert!(matches!(Identity::load(&data), Err(Error::NotEnrolled)));
        let identity = Identity {
            host_uuid: "inet-1".parse().unwrap(),
            server: "https://sickbay.example:8443".parse().unwrap(),
            pin: Some(Fingerprint::of(b"certificate")),
            order_keys: vec![OrderKey {
                id: "ab".into(),
                public_key: vec![7; 32],
            }],
            key_name: "key-1.p8".into(),
        };
        identity.save(&data).unwrap();
        assert_eq!(Identity::load(&data).unwrap(), identity);
        let text = std::fs::read_to_string(data.identity()).unwrap();
        for damaged in ["{}", &text.replace("key-1", "../key-1")] {
            std::fs::write(data.identity(), damaged).unwrap();
            let error = Identity::load(&data).unwrap_err();
            assert!(error.to_string().ends_with("enrol again with --force"));
        }
    }

    #[test]
    fn a_key_reads_back() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::new(temp.path());
        let key = AgentKey::generate().unwrap();
        key.save(&data, FIRST_KEY).unwrap();
        let read = AgentKey::load(&data, FIRST_KEY).unwrap();
        assert_eq!(read.public(), key.public());
        std::fs::write(data.key(FIRST_KEY), b"torn").unwrap();
        let torn = AgentKey::load(&data, FIRST_KEY);
        assert!(matches!(torn, Err(Error::Damaged(_))));
        let gone = AgentKey::load(&data, "gone.p8");
        assert!(matches!(gone, Err(Error::KeyMissing(_))));
    }
}
