//! The hashes of signature V3 and their HMACs, and a comparison that takes the same time for every
//! wrong answer.
//!
//! SHA-256 comes from ring. SM3 (GB/T 32905-2016) has no HMAC there, so RFC 2104 is spelled out
//! over the plain hash.

use data_encoding::HEXLOWER;
use ring::{digest, hmac};
use sm3::{Digest as _, Sm3};

/// The hash function of a V3 signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sm3,
}

impl Hash {
    /// The hash of `data` in lower-case hex.
    pub(super) fn hex(self, data: &[u8]) -> String {
        match self {
            Self::Sha256 => HEXLOWER.encode(digest::digest(&digest::SHA256, data).as_ref()),
            Self::Sm3 => HEXLOWER.encode(&Sm3::digest(data)),
        }
    }

    /// The HMAC of `data` under `key` in lower-case hex.
    pub(super) fn hmac_hex(self, key: &[u8], data: &[u8]) -> String {
        match self {
            Self::Sha256 => {
                HEXLOWER.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref())
            }
            Self::Sm3 => HEXLOWER.encode(&sm3_hmac(key, data)),
        }
    }
}

fn sm3_hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    const BLOCK_BYTES: usize = 64;
    let mut block = [0_u8; BLOCK_BYTES];
    let hashed;
    let key = if key.len() > BLOCK_BYTES {
        hashed = Sm3::digest(key);
        hashed.as_slice()
    } else {
        key
    };
    for (slot, byte) in block.iter_mut().zip(key) {
        *slot = *byte;
    }
    let inner = Sm3::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(data)
        .finalize();
    Sm3::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

/// Whether two texts are equal, without telling by the time taken where they differ: ring compares
/// their MACs.
pub(super) fn same(expected: &str, presented: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"signature comparison");
    hmac::verify(
        &key,
        expected.as_bytes(),
        hmac::sign(&key, presented.as_bytes()).as_ref(),
    )
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        assert_eq!(
            Hash::Sha256.hex(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            Hash::Sm3.hex(b"abc"),
            "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
        );
    }

    #[test]
    fn a_key_longer_than_a_block_is_its_hash() {
        let long = [7_u8; 65];
        assert_eq!(sm3_hmac(&long, b"x"), sm3_hmac(&Sm3::digest(long), b"x"));
        assert_ne!(
            sm3_hmac(&[7; 64], b"x"),
            sm3_hmac(&Sm3::digest([7; 64]), b"x")
        );
    }

    #[test]
    fn only_equal_texts_are_the_same() {
        assert!(same("abc", "abc"));
        for other in ["", "ab", "abd", "ABC", "abcd"] {
            assert!(!same("abc", other), "{other}");
        }
    }
}
