//! Where a PostgreSQL database is, as an operator writes it.
//!
//! Owns how the URL is read, and what is taken for granted where it says nothing. The words are those of
//! libpq. Tells nothing of a URL that does not read, since there may be a password in it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use postgres::Config;
use postgres::config::{Host, SslMode};

/// Longest wait for a server to accept a connection, unless the URL says otherwise.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection is given up when what was sent is not acknowledged for so long, likewise.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// A silent connection is probed after so long.
const SILENT: Duration = Duration::from_secs(30);

/// A database on a PostgreSQL server, such as `postgres://user:password@host/database`. As text it is
/// without the password.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) config: Config,
    /// None: not encrypted.
    pub(super) tls: Option<Tls>,
}

/// How the connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) trust: Trust,
    /// Where the authorities are that are trusted; none: the host's own.
    pub(super) authorities: Option<PathBuf>,
    /// Files with our own certificate and its key.
    pub(super) own: Option<(PathBuf, PathBuf)>,
}

/// Which servers are taken for the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Any: nobody reads along, but it may be anybody who answers.
    Any,
    /// One with a certificate of a trusted authority.
    Authority,
    /// One with such a certificate that is made for the name in the URL.
    AuthorityAndName,
}

/// Why a URL does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is of something else.
    #[error("it begins with neither postgres:// nor postgresql://")]
    Scheme,
    /// Some part of it.
    #[error("{0}")]
    Part(String),
    /// An unknown way of encrypting.
    #[error("sslmode is disable, prefer, require, verify-ca or verify-full")]
    Mode,
    /// Half of what belongs together.
    #[error("sslcert and sslkey go together: give both or neither")]
    Own,
}

/// What is ours to read, as it stands in the URL.
#[derive(Default)]
struct Given {
    mode: Option<String>,
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl PostgresUrl {
    /// Whether a password stands in it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }
}

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(UrlError::Scheme);
        }
        let (rest, given) = split(text)?;
        let mut config: Config = rest.parse().map_err(of_part)?;
        config.application_name("sickbay").keepalives_idle(SILENT);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        let (mode, tls) = encryption(&config, given)?;
        config.ssl_mode(mode);
        Ok(Self { config, tls })
    }
}

/// The URL without what is ours to read, and that.
fn split(text: &str) -> Result<(String, Given), UrlError> {
    // A password may have a question mark in it.
    let (user, rest) = text.split_once('@').unwrap_or(("", text));
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (mut given, mut kept) = (Given::default(), Vec::new());
    for part in query.split('&').filter(|it| !it.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = || match percent_decode_str(value).decode_utf8() {
            Ok(value) if !value.is_empty() => Ok(value.into_owned()),
            _ => Err(UrlError::Part(format!("`{key}` has no value"))),
        };
        match key {
            "sslmode" => given.mode = Some(value()?),
            "sslrootcert" => given.authorities = Some(value()?.into()),
            "sslcert" => given.certificate = Some(value()?.into()),
            "sslkey" => given.key = Some(value()?.into()),
            _ => kept.push(part),
        }
    }
    let at = if user.is_empty() { "" } else { "@" };
    let mut rest = format!("{user}{at}{place}");
    if !kept.is_empty() {
        rest = format!("{rest}?{}", kept.join("&"));
    }
    Ok((rest, given))
}

fn encryption(config: &Config, given: Given) -> Result<(SslMode, Option<Tls>), UrlError> {
    let own = match (given.certificate, given.key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(UrlError::Own),
    };
    let usual = if is_local(config) {
        "prefer"
    } else {
        "verify-full"
    };
    let has_authorities = given.authorities.is_some();
    let (mode, trust) = match given.mode.as_deref().unwrap_or(usual) {
        "disable" => return Ok((SslMode::Disable, None)),
        "prefer" => (SslMode::Prefer, Trust::Any),
        // As libpq has it: whoever names an authority wants it to be asked.
        "require" if has_authorities => (SslMode::Require, Trust::Authority),
        "require" => (SslMode::Require, Trust::Any),
        "verify-ca" => (SslMode::Require, Trust::Authority),
        "verify-full" => (SslMode::Require, Trust::AuthorityAndName),
        _ => return Err(UrlError::Mode),
    };
    // Servers do not encrypt on a socket of their own machine.
    if is_socket(config) {
        return Ok((SslMode::Disable, None));
    }
    let tls = Tls {
        trust,
        authorities: given.authorities,
        own,
    };
    Ok((mode, Some(tls)))
}

fn is_socket(config: &Config) -> bool {
    let hosts = config.get_hosts();
    !hosts.is_empty() && hosts.iter().all(|it| matches!(it, Host::Unix(_)))
}

/// Whether no connection leaves this machine.
fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(std::net::IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let address = name.parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|it| it.is_loopback())
        }
    })
}

fn of_part(error: postgres::Error) -> UrlError {
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    UrlError::Part(cause.unwrap_or_else(|| error.to_string()))
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("postgres://")?;
        let addresses = self.config.get_hostaddrs();
        match (self.config.get_hosts().first(), addresses.first()) {
            (Some(Host::Tcp(name)), _) => formatter.write_str(name)?,
            (Some(Host::Unix(path)), _) => write!(formatter, "{}", path.display())?,
            (None, Some(address)) => write!(formatter, "{address}")?,
            (None, None) => {}
        }
        match self.config.get_ports().first() {
            None | Some(5432) => {}
            Some(port) => write!(formatter, ":{port}")?,
        }
        let database = self.config.get_dbname().or_else(|| self.config.get_user());
        write!(formatter, "/{}", database.unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> PostgresUrl {
        text.parse().unwrap()
    }

    fn trust(text: &str) -> Option<(SslMode, Trust)> {
        let url = read(text);
        url.tls.map(|it| (url.config.get_ssl_mode(), it.trust))
    }

    #[test]
    fn a_connection_that_leaves_the_machine_is_verified_unless_told_otherwise() {
        use SslMode::{Prefer, Require};
        for (text, expected) in [
            (
                "postgres://u@db.example/d",
                Some((Require, Trust::AuthorityAndName)),
            ),
            (
                "postgresql://u@10.0.0.1:5433/d",
                Some((Require, Trust::AuthorityAndName)),
            ),
            (
                "postgres://u@localhost,db.example/d",
                Some((Require, Trust::AuthorityAndName)),
            ),
            (
                "postgres://u@localhost/d?hostaddr=10.0.0.1",
                Some((Require, Trust::AuthorityAndName)),
            ),
            (
                "postgres://u@db.example/d?hostaddr=127.0.0.1",
                Some((Prefer, Trust::Any)),
            ),
            ("postgres://u@localhost/d", Some((Prefer, Trust::Any))),
            ("postgres://u@[::1]/d", Some((Prefer, Trust::Any))),
            ("postgres://u@%2Frun%2Fpostgresql/d?sslmode=require", None),
            ("postgres://u@db.example/d?sslmode=disable", None),
            (
                "postgres://u:a?b@db.example/d?sslmode=prefer",
                Some((Prefer, Trust::Any)),
            ),
            (
                "postgres://u@db.example/d?sslmode=require",
                Some((Require, Trust::Any)),
            ),
            (
                "postgres://u@db.example/d?sslmode=require&sslrootcert=ca.pem",
                Some((Require, Trust::Authority)),
            ),
            (
                "postgres://u@db.example/d?connect_timeout=3&sslmode=verify-ca",
                Some((Require, Trust::Authority)),
            ),
            (
                "postgres://u@localhost/d?sslmode=verify-full",
                Some((Require, Trust::AuthorityAndName)),
            ),
        ] {
            assert_eq!(trust(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_ours_to_read_is_left_to_the_library() {
        let url = read(
            "postgres://u:p%3Fq@h:5433/d?connect_timeout=3&sslrootcert=%2Fetc%2Fca.pem&sslcert=c&sslkey=k",
        );
        assert_eq!(url.config.get_password(), Some(b"p?q".as_slice()));
        assert_eq!(
            url.config.get_connect_timeout(),
            Some(&Duration::from_secs(3))
        );
        let tls = url.tls.unwrap();
        assert_eq!(tls.authorities, Some("/etc/ca.pem".into()));
        assert_eq!(tls.own, Some(("c".into(), "k".into())));
    }

    #[test]
    fn a_url_that_does_not_read_says_what_and_tells_no_secret() {
        for (text, expected) in [
            ("mysql://u:secret@h/d", "postgres://"),
            ("postgres://u:secret@h:x/d", "port"),
            ("postgres://u:secret@h/d?sslmode=no", "verify-full"),
            ("postgres://u:secret@h/d?sslmode", "`sslmode` has no value"),
            ("postgres://u:secret@h/d?sslcert=c", "go together"),
            ("postgres://u:secret@h/d?colour=red", "colour"),
        ] {
            let error = text.parse::<PostgresUrl>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn as_text_it_tells_the_place_and_no_secret() {
        for (text, expected) in [
            ("postgres://u:secret@h/d?sslmode=disable", "postgres://h/d"),
            ("postgres://u:secret@h:5433", "postgres://h:5433/u"),
            ("postgres://u@%2Frun/d", "postgres:///run/d"),
            ("postgres:///d?hostaddr=127.0.0.1", "postgres://127.0.0.1/d"),
        ] {
            let url = read(text);
            assert_eq!(url.to_string(), expected, "{text}");
            assert_eq!(format!("{url:?}"), expected, "{text}");
            assert_eq!(url.has_password(), text.contains("secret"), "{text}");
        }
    }
}
