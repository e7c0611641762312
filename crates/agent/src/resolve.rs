//! Addresses of names: `/etc/hosts`, then the name servers of `/etc/resolv.conf`, then getent(1).
//!
//! The C library's own way loads plug-ins at run time, which a statically linked program cannot rely
//! on and a host with another C library does not have. So this program asks for itself, wherever it
//! runs; what only plug-ins know (mDNS, a directory service) is asked of `getent`, where there is
//! one. Keeps nothing and caches nothing. Called by `connect` and the check's `dns` probe.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::timeout;

pub(crate) mod config;
pub(crate) mod exchange;
mod getent;
pub(crate) mod message;

pub(crate) use getent::ask as ask_getent;

use config::Config;
use exchange::Said;
use message::{Kind, NAME_ERROR, Question};

/// How long the other half of a name (IPv4, IPv6) is waited for when one half has addresses.
const OTHER_HALF_MS: u64 = 500;

/// The addresses of a name as other programs of this host find them: as `getent` says, or where there is
/// no such program, as this one finds them. Or why there is none.
pub(crate) async fn as_programs_do(host: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    match ask_getent(host).await {
        Some(known) if known.is_empty() => Err("getent finds no address".to_owned()),
        Some(known) => Ok(known),
        None => match addresses(host).await {
            Ok(found) => Ok(found.addresses),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be a host's name.
    #[error("it is not a host name")]
    NotAName,
    /// Nobody knows it.
    #[error("neither /etc/hosts nor the name servers know it")]
    Unknown,
    /// It is known and has no address.
    #[error("it has no address")]
    NoAddress,
    /// No name server said anything.
    #[error("no name server answers")]
    Silent,
    /// The name servers answered with an error (RFC 1035, 4.1.1).
    #[error("the name servers answer with error code {0}")]
    Failed(u8),
}

/// Who knew a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The name is an address.
    Itself,
    /// `/etc/hosts`, or a name that stands for this host everywhere (RFC 6761, 6.3).
    Hosts,
    /// A name server.
    Dns,
    /// The host's C library and its plug-ins.
    Getent,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Itself => "as given",
            Self::Hosts => "by /etc/hosts",
            Self::Dns => "by DNS",
            Self::Getent => "by getent alone",
        })
    }
}

/// The addresses of a name, each once, in the order in which they are to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) source: Source,
}

/// Looks a name up on this host.
///
/// # Errors
/// It has no address that could be found.
pub(crate) async fn addresses(host: &str) -> Result<Found, Error> {
    let (hosts, resolv) = (Path::new("/etc/hosts"), Path::new("/etc/resolv.conf"));
    match look_up(host, hosts, &Config::read(resolv)).await {
        Err(Error::NotAName) => Err(Error::NotAName),
        Err(error) => match getent::ask(host).await {
            Some(known) if !known.is_empty() => Ok(Found {
                addresses: in_turns(known),
                source: Source::Getent,
            }),
            _ => Err(error),
        },
        found => found,
    }
}

async fn look_up(host: &str, hosts: &Path, config: &Config) -> Result<Found, Error> {
    if let Ok(address) = host.parse() {
        return Ok(Found {
            addresses: vec![address],
            source: Source::Itself,
        });
    }
    let question = Question::new(host, Kind::A).ok_or(Error::NotAName)?;
    let known = config::in_hosts(hosts, question.name());
    if !known.is_empty() {
        return Ok(Found {
            addresses: in_turns(known),
            source: Source::Hosts,
        });
    }
    if question.name() == "localhost" || question.name().ends_with(".localhost") {
        return Ok(Found {
            addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            source: Source::Hosts,
        });
    }
    let mut why = Error::Unknown;
    for name in config.candidates(host) {
        match in_dns(&name, config).await {
            Ok(addresses) => {
                return Ok(Found {
                    addresses: in_turns(addresses),
                    source: Source::Dns,
                });
            }
            // Nobody will answer for the next name either.
            Err(Error::Silent) => return Err(Error::Silent),
            // "No such name" is the least telling: others stand.
            Err(Error::Unknown) => {}
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// Asks for both kinds of addresses at once.
async fn in_dns(name: &str, config: &Config) -> Result<Vec<IpAddr>, Error> {
    let one = Box::pin(of_kind(name, Kind::A, config));
    let other = Box::pin(of_kind(name, Kind::Aaaa, config));
    let (first, rest) = match select(one, other).await {
        Either::Left((first, rest)) | Either::Right((first, rest)) => (first, rest),
    };
    let second = match &first {
        Ok(_) => {
            let limit = Duration::from_millis(OTHER_HALF_MS);
            timeout(limit, rest).await.unwrap_or(Err(Error::Silent))
        }
        Err(_) => rest.await,
    };
    match (first, second) {
        (Ok(mut some), Ok(more)) => {
            some.extend(more);
            Ok(some)
        }
        (Ok(some), Err(_)) | (Err(_), Ok(some)) => Ok(some),
        // A name that exists for one kind of address exists.
        (Err(Error::NoAddress), Err(_)) | (Err(_), Err(Error::NoAddress)) => Err(Error::NoAddress),
        (Err(error), Err(_)) => Err(error),
    }
}

/// Addresses of one kind: each server in turn, as often as the configuration says, until one knows.
async fn of_kind(name: &str, kind: Kind, config: &Config) -> Result<Vec<IpAddr>, Error> {
    let question = Question::new(name, kind).ok_or(Error::NotAName)?;
    let mut why = Error::Silent;
    for _ in 0..config.attempts {
        for server in &config.servers {
            match exchange::ask(*server, &question, config.timeout).await {
                Said::Nothing => {}
                Said::Answer(answer) if answer.code == NAME_ERROR => return Err(Error::Unknown),
                Said::Answer(answer) if answer.code != 0 => why = Error::Failed(answer.code),
                Said::Answer(answer) if answer.addresses.is_empty() => {
                    return Err(Error::NoAddress);
                }
                Said::Answer(answer) => return Ok(answer.addresses),
            }
        }
        // A server that said it cannot will say so again.
        if why != Error::Silent {
            break;
        }
    }
    Err(why)
}

/// Each address once, IPv6 and IPv4 by turns: if one of them leads nowhere, the next is tried soon
/// (RFC 8305, 4).
fn in_turns(found: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut sixes, mut fours): (Vec<_>, Vec<_>) = found.into_iter().partition(IpAddr::is_ipv6);
    sixes.reverse();
    fours.reverse();
    let mut addresses = Vec::new();
    while !(sixes.is_empty() && fours.is_empty()) {
        for address in [sixes.pop(), fours.pop()].into_iter().flatten() {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    addresses
}

#[cfg(test)]
mod tests;
