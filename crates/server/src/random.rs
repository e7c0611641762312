//! Random bytes, and the ids and secrets made of them.

use data_encoding::{BASE64URL_NOPAD, HEXUPPER};
use ring::rand::{SecureRandom, SystemRandom};

use crate::service::Error;

/// `N` random bytes from the operating system.
///
/// # Errors
/// The operating system gives none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::internal("the operating system gives no random bytes"))?;
    Ok(bytes)
}

/// `length` random letters and digits that are not mistaken for one another.
pub(crate) fn code(length: usize) -> Result<String, Error> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut code = String::with_capacity(length);
    while code.len() < length {
        for byte in bytes::<16>()? {
            if code.len() < length
                && let Some(letter) = ALPHABET.get(usize::from(byte % 32))
            {
                code.push(char::from(*letter));
            }
        }
    }
    Ok(code)
}

/// A secret of 192 bits.
pub(crate) fn secret() -> Result<String, Error> {
    Ok(BASE64URL_NOPAD.encode(&bytes::<24>()?))
}

/// A request id: an upper-case UUID, version 4.
pub(crate) fn request_id() -> Result<String, Error> {
    let mut raw = bytes::<16>()?;
    if let Some(byte) = raw.get_mut(6) {
        *byte = (*byte & 0x0f) | 0x40;
    }
    if let Some(byte) = raw.get_mut(8) {
        *byte = (*byte & 0x3f) | 0x80;
    }
    let hex = HEXUPPER.encode(&raw);
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    Ok(format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    ))
}
