//! The address of a server, and which servers may be spoken to without TLS.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A server's address: `https://HOST[:PORT]`, or `http://` on loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Not an address that may be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not of the form.
    #[error("`{0}` is not a server address: write https://HOST:PORT")]
    Malformed(String),
    /// Plain HTTP to another host.
    #[error("`{0}` is plain HTTP to another host: use https://, plain HTTP is for loopback only")]
    PlainToOtherHost(String),
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = || Error::Malformed(text.to_owned());
        let trimmed = text.trim().trim_end_matches('/');
        let (tls, authority) = match trimmed.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(malformed()),
        };
        let (host, port) = split_port(authority).ok_or_else(malformed)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(allowed) {
            return Err(malformed());
        }
        let endpoint = Self {
            tls,
            host: host.to_owned(),
            port: match port {
                Some(port) => port.parse().map_err(|_| malformed())?,
                None if tls => 443,
                None => 80,
            },
        };
        if !tls && !endpoint.is_loopback() {
            return Err(Error::PlainToOtherHost(text.to_owned()));
        }
        Ok(endpoint)
    }
}

fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        Some(_) => None,
        None => Some((authority, None)),
    }
}

impl Endpoint {
    /// Whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// `HOST:PORT`, as in a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, printed: &str) {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.to_string(), printed);
        assert_eq!(printed.parse(), Ok(endpoint));
    }

    #[test]
    fn addresses_read_and_print() {
        check("https://sickbay.example", "https://sickbay.example:443");
        check("https://10.0.0.1:8443/", "https://10.0.0.1:8443");
        check("http://127.0.0.1:8080", "http://127.0.0.1:8080");
        check("http://localhost", "http://localhost:80");
        check("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443");
        check("http://[::1]:1", "http://[::1]:1");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for text in [
            "http://sickbay.example",
            "http://10.0.0.1:80",
            "http://127.0.0.1.example.org",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(error, Error::PlainToOtherHost(text.into()));
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in [
            "",
            "sickbay.example",
            "ftp://a",
            "https://",
            "https://a:b",
            "https://a:70000",
            "https://a:1:2",
            "https://a/b",
            "https://u@a",
            "https://[::1",
            "https://[x]:1",
            "https://[::1]1",
        ] {
            assert_eq!(
                text.parse::<Endpoint>(),
                Err(Error::Malformed(text.into())),
                "{text}"
            );
        }
    }
}
