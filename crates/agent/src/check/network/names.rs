//! The first step on the way to a server: its name. How programs of this host resolve it, what each
//! name server says, and how the host is set up to do so.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use model::Cause;
use tokio::time::{Instant, timeout};

use super::resolver::{self, Asked, Reply};
use crate::resolve;

/// Addresses of a name that are looked at.
const ADDRESSES_MAX: usize = 6;
/// Time after the host's own answer in which name servers are still listened to, in ms.
const GRACE_MS: u64 = 300;
/// A resolution that takes longer is slow, in ms.
const SLOW_MS: u128 = 2_000;
/// It is slow from here on where the first name server does not answer and another one does, in ms.
const LATE_MS: u128 = 500;
/// Sources of nsswitch.conf(5) that know names of other hosts.
const SOURCES: [&str; 9] = [
    "dns", "resolve", "ldap", "nis", "nisplus", "sss", "winbind", "wins", "nss_tls",
];
/// Sources that are part of the C library.
const BUILT_IN: [&str; 2] = ["files", "dns"];
/// Where modules of the name service switch lie.
const MODULE_FOLDERS: [&str; 8] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];

/// `/etc/resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ResolvConf {
    /// It names these.
    Servers(Vec<SocketAddr>),
    /// It names none, and why.
    None(String),
}

/// How the host is set up to resolve names.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) conf: ResolvConf,
    /// What is wrong with the name service switch.
    pub(super) switch: Option<String>,
    /// Addresses that `/etc/hosts` has for the name.
    pub(super) listed: Vec<IpAddr>,
    /// The host's own name.
    pub(super) own_name: String,
}

/// How the host resolves a name.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) host: String,
    /// What programs are told, or why they are told nothing.
    pub(super) told: Result<Vec<IpAddr>, String>,
    pub(super) took: Duration,
    /// What name servers say, those that were not waited for left out.
    pub(super) asked: Vec<Asked>,
    pub(super) setup: Setup,
}

impl Setup {
    fn read(name: &str) -> Self {
        let text = |path: &str| std::fs::read_to_string(path);
        let own_name = text("/proc/sys/kernel/hostname").unwrap_or_default();
        let switch = text("/etc/nsswitch.conf").ok();
        Self {
            conf: parse_conf(Path::new("/etc/resolv.conf"), text("/etc/resolv.conf")),
            switch: switch.and_then(|it| judge_switch(&it, &has_module)),
            listed: parse_hosts(&text("/etc/hosts").unwrap_or_default(), name),
            own_name: own_name.trim().to_owned(),
        }
    }
}

impl Names {
    /// Resolves the name as programs do, and asks each name server besides.
    pub(super) async fn look(host: &str, limit: Duration) -> Self {
        let started = Instant::now();
        let setup = Setup::read(host);
        let servers = match &setup.conf {
            ResolvConf::Servers(servers) => servers.clone(),
            // What the C library asks then (resolv.conf(5)).
            ResolvConf::None(_) => vec![(Ipv4Addr::LOCALHOST, 53).into()],
        };
        let mut asking = resolver::ask_all(&servers, host, limit);
        let looking = timeout(limit, resolve::as_programs_do(host)).await;
        let took = started.elapsed();
        let told = match looking {
            Ok(Ok(found)) => {
                let mut addresses: Vec<IpAddr> = Vec::new();
                for it in found {
                    if !addresses.contains(&it) && addresses.len() < ADDRESSES_MAX {
                        addresses.push(it);
                    }
                }
                match addresses.is_empty() {
                    true => Err(format!("{host} has no address")),
                    false => Ok(addresses),
                }
            }
            Ok(Err(error)) => Err(format!("resolving {host}: {error}")),
            Err(_) => Err(format!(
                "resolving {host}: no answer within {} ms",
                limit.as_millis()
            )),
        };
        let rest = match told {
            Ok(_) => Duration::from_millis(GRACE_MS),
            Err(_) => limit.saturating_sub(took) + Duration::from_millis(GRACE_MS),
        };
        let mut asked = Vec::new();
        let listening = async {
            while let Some(ended) = asking.join_next().await {
                asked.extend(ended);
            }
        };
        timeout(rest, listening).await.ok();
        asked.sort_by_key(|it| (it.server, it.v6));
        Self {
            host: host.to_owned(),
            told,
            took,
            asked,
            setup,
        }
    }

    /// What each name server said, for a person.
    pub(super) fn evidence(&self) -> Vec<String> {
        self.asked.iter().map(ToString::to_string).collect()
    }

    /// Addresses that name servers say the name has.
    pub(super) fn answered(&self) -> Vec<IpAddr> {
        let all = self.asked.iter().flat_map(|it| it.reply.addresses());
        let mut all: Vec<IpAddr> = all.copied().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The time from which on a resolution is slow, in ms: sooner where it is known what it waited for.
    fn slow_ms(&self) -> u128 {
        let ResolvConf::Servers(servers) = &self.setup.conf else {
            return SLOW_MS;
        };
        let answers = |server: &SocketAddr| {
            let is_answer = |it: &Asked| matches!(it.reply, Reply::Answer { .. });
            self.asked
                .iter()
                .any(|it| it.server == *server && is_answer(it))
        };
        match servers.as_slice() {
            [first, others @ ..] if !answers(first) && others.iter().any(answers) => LATE_MS,
            _ => SLOW_MS,
        }
    }

    /// The cause, where the name is not resolved, or late.
    pub(super) fn judge(&self) -> Option<(Cause, Vec<String>)> {
        let with = |why: &str| {
            let mut evidence = vec![why.to_owned()];
            evidence.extend(self.evidence());
            evidence
        };
        let why = match &self.told {
            Ok(_) if self.took.as_millis() < self.slow_ms() => return None,
            Ok(_) => {
                let why = format!("resolving {} took {} ms", self.host, self.took.as_millis());
                return Some((Cause::ResolverSlow, with(&why)));
            }
            Err(why) => why,
        };
        if let Some(fault) = &self.setup.switch {
            let mut evidence = with(why);
            evidence.insert(1, fault.clone());
            return Some((Cause::NameSwitchBroken, evidence));
        }
        let timed_out = why.contains("no answer within");
        if !self.answered().is_empty() {
            // A server knows the name, so programs wait for another that does not answer.
            return timed_out.then(|| (Cause::ResolverSlow, with(why)));
        }
        let answers = self
            .asked
            .iter()
            .any(|it| matches!(it.reply, Reply::Answer { .. }));
        match &self.setup.conf {
            ResolvConf::None(fault) if !answers => Some((
                Cause::ResolverNotConfigured,
                vec![why.clone(), fault.clone()],
            )),
            _ if !answers => Some((Cause::ResolverUnanswered, with(why))),
            _ => Some((Cause::NameNotResolved, with(why))),
        }
    }

    /// Why what programs are told cannot be the server's address. To be asked where connecting to it
    /// failed; `reached`: another address, which name servers tell, where a server does answer.
    pub(super) fn misled(&self, reached: Option<IpAddr>, lies: &[IpAddr]) -> Option<Vec<String>> {
        let told = self.told.as_ref().ok()?;
        let shown = |all: &[IpAddr]| {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            all.join(", ")
        };
        let mut evidence = vec![format!(
            "{} is {} for programs of this host",
            self.host,
            shown(told)
        )];
        evidence.extend(self.evidence());
        let is_listed =
            !self.setup.listed.is_empty() && told.iter().all(|it| self.setup.listed.contains(it));
        if is_listed {
            evidence.push(format!("/etc/hosts says {}", shown(&self.setup.listed)));
        }
        let is_local = is_local(&self.host, &self.setup.own_name);
        if told.iter().all(IpAddr::is_unspecified) {
            evidence.push("this is no address of any host".to_owned());
        } else if told.iter().all(IpAddr::is_loopback) && !is_local {
            evidence.push("this is an address of this host itself".to_owned());
        } else if let Some(reached) = reached.filter(|it| is_listed && !told.contains(it)) {
            evidence.push(format!(
                "the server is reached at {reached}, which name servers tell"
            ));
        } else if told.iter().all(|it| lies.contains(it)) {
            evidence.push("a name server tells this for a name that cannot exist".to_owned());
        } else {
            return None;
        }
        Some(evidence)
    }

    /// Addresses that name servers tell for a name that never exists (RFC 6761, 6.4).
    pub(super) async fn lies(&self, limit: Duration) -> Vec<IpAddr> {
        let ResolvConf::Servers(servers) = &self.setup.conf else {
            return Vec::new();
        };
        let asking = servers
            .iter()
            .map(|it| resolver::ask(*it, "no-such-host.invalid", false, limit));
        let asked = futures_util::future::join_all(asking).await;
        asked
            .iter()
            .flat_map(|it| it.reply.addresses().to_vec())
            .collect()
    }
}

/// Whether the name is meant to be this host.
fn is_local(host: &str, own_name: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let own = own_name.to_ascii_lowercase();
    let short = |it: &str| it.split('.').next().unwrap_or_default().to_owned();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.ends_with(".localdomain")
        || host == own
        || (!own.is_empty() && short(&host) == short(&own))
}

fn parse_conf(path: &Path, text: std::io::Result<String>) -> ResolvConf {
    let shown = path.display();
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let target = std::fs::read_link(path);
            let why = target.map_or_else(
                |_| format!("{shown} cannot be read: {error}"),
                |it| {
                    format!(
                        "{shown} is a link to {}, which cannot be read: {error}",
                        it.display()
                    )
                },
            );
            return ResolvConf::None(why);
        }
    };
    let servers = resolver::parse(&text);
    match servers.is_empty() {
        true => ResolvConf::None(format!("{shown} names no name server")),
        false => ResolvConf::Servers(servers),
    }
}

/// What is wrong with the line `hosts:`, if there is one: without one the C library uses DNS.
fn judge_switch(text: &str, has_module: &dyn Fn(&str) -> bool) -> Option<String> {
    let lines = text
        .lines()
        .map(|it| it.split('#').next().unwrap_or_default().trim());
    let line = lines.filter_map(|it| it.strip_prefix("hosts:")).next()?;
    // Reactions stand in brackets.
    let mut sources = Vec::new();
    let mut depth = false;
    for word in line.split_whitespace() {
        depth |= word.starts_with('[');
        if !depth {
            sources.push(word);
        }
        depth &= !word.ends_with(']');
    }
    let usable = |it: &&str| SOURCES.contains(it) && (BUILT_IN.contains(it) || has_module(it));
    if sources.iter().any(usable) {
        return None;
    }
    let line = line.trim();
    Some(match sources.iter().find(|it| SOURCES.contains(*it)) {
        Some(it) => format!(
            "/etc/nsswitch.conf says \"hosts: {line}\", and the module {it} is not installed"
        ),
        None => format!("/etc/nsswitch.conf says \"hosts: {line}\", without dns"),
    })
}

fn has_module(source: &str) -> bool {
    let name = format!("libnss_{source}.so.2");
    MODULE_FOLDERS
        .iter()
        .any(|it| Path::new(it).join(&name).exists())
}

/// Addresses of a name in hosts(5).
fn parse_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let lines = text
        .lines()
        .map(|it| it.split('#').next().unwrap_or_default());
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|it| it.eq_ignore_ascii_case(name))
            .then_some(address)
    };
    lines.filter_map(of_line).collect()
}

#[cfg(test)]
mod tests;
