//! Secrets at rest: sealed under a key that is not in the database.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::service::Error;

/// Seals and opens small secrets with AES-256-GCM, and derives the node's other keys.
pub(crate) struct Sealer {
    aead: LessSafeKey,
    derive: hmac::Key,
}

impl Sealer {
    /// Reads the key file, or makes one (mode 0600) if there is none and nothing `is_sealed` yet: a new key opens
    /// nothing that an old one sealed.
    pub(crate) fn open(file: &Path, is_sealed: bool) -> io::Result<Self> {
        let key = match fs::read(file) {
            Ok(key) => key,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_sealed => {
                Self::make(file)?
            }
            Err(error) => return Err(error),
        };
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "the key file is not 32 bytes");
        Self::of(&key).ok_or_else(invalid)
    }

    /// The sealer of a key; `None`: it is not 32 bytes.
    fn of(key: &[u8]) -> Option<Self> {
        let unbound = UnboundKey::new(&AES_256_GCM, key).ok()?;
        Some(Self {
            aead: LessSafeKey::new(unbound),
            derive: hmac::Key::new(hmac::HMAC_SHA256, key),
        })
    }

    fn make(file: &Path) -> io::Result<Vec<u8>> {
        let mut key = vec![0; 32];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| io::Error::other("the operating system gives no random bytes"))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut to = options.open(file)?;
        to.write_all(&key)?;
        to.sync_all()?;
        Ok(key)
    }

    /// Seals `secret`; `context` must be the same when it is opened.
    pub(crate) fn seal(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
        let nonce = crate::random::bytes::<NONCE_LEN>()?;
        let mut sealed = secret.to_vec();
        self.aead
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| Error::internal("sealing a secret failed"))?;
        sealed.splice(..0, nonce);
        Ok(sealed)
    }

    /// Opens what `seal` made.
    pub(crate) fn open_sealed(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let damaged = || Error::internal("a sealed secret does not open: wrong key file?");
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut body = body.to_vec();
        let plain = self
            .aead
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut body)
            .map_err(|_| damaged())?;
        Ok(plain.to_vec())
    }

    /// A key of its own for one purpose, always the same.
    pub(crate) fn derive(&self, purpose: &str) -> hmac::Key {
        let tag = hmac::sign(&self.derive, purpose.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
    }

    /// A sealer of its own for one purpose, always the same.
    pub(crate) fn sealer(&self, purpose: &str) -> Option<Self> {
        Self::of(hmac::sign(&self.derive, purpose.as_bytes()).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_in_its_context_and_unaltered() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        assert!(
            Sealer::open(&file, true).is_err(),
            "a lost key is not made anew"
        );
        assert!(!file.exists());
        let sealer = Sealer::open(&file, false).unwrap();
        let sealed = sealer.seal("key:a", b"secret").unwrap();
        let again = Sealer::open(&file, true).unwrap();
        assert_eq!(again.open_sealed("key:a", &sealed).unwrap(), b"secret");
        assert!(again.open_sealed("key:b", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert!(again.open_sealed("key:a", &forged).is_err());
        }
        assert!(again.open_sealed("key:a", b"short").is_err());
    }
}
