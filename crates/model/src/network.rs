//! Blocks of addresses, as policies, selectors and `no_proxy` name them.
//!
//! Owns how they read and which addresses lie in them (RFC 4632, 3.1). Knows no host and no request.

use std::net::IpAddr;

/// An address block: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    /// Reads a block or an address.
    ///
    /// # Errors
    /// It is neither; says so, with the text as its subject.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "is not an address or block like 10.0.0.0/8";
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let written: IpAddr = address.parse().map_err(|_| WRONG)?;
        let bits = if written.is_ipv4() { 32 } else { 128 };
        let prefix_bits: u32 = match prefix {
            None => bits,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| WRONG)?
            }
            Some(_) => return Err(WRONG),
        };
        if prefix_bits > bits {
            return Err("has more prefix bits than an address has");
        }
        // An IPv4 address written as IPv6 (::ffff:…/96 and longer) means the IPv4 block.
        match (written.to_canonical(), prefix_bits.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(prefix_bits)) if written.is_ipv6() => Ok(Self {
                address,
                prefix_bits,
            }),
            _ => Ok(Self {
                address: written,
                prefix_bits,
            }),
        }
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(self, other: IpAddr) -> bool {
        // A shift by all bits is none: a block of prefix 0 has every address.
        match (self.address, other) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                let differing = mine.to_bits() ^ other.to_bits();
                differing
                    .checked_shr(32_u32.saturating_sub(self.prefix_bits))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => {
                let differing = mine.to_bits() ^ other.to_bits();
                differing
                    .checked_shr(128_u32.saturating_sub(self.prefix_bits))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}
