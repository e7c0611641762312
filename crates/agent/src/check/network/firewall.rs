//! This host's own packet filter: what its rules do to a packet to the server, and to the answer.
//!
//! Owns the walk over chains; [`nft`] and [`save`] read the rules as the host's tools print them. A rule
//! whose conditions cannot be decided decides nothing, unless it names the very server or port.

use std::net::{IpAddr, SocketAddr};

use super::route::contains;
use crate::check::command;

mod nft;
mod save;

/// Time that a tool has to print its rules, in ms.
const PRINT_MS: u64 = 1_500;
/// Chains that may jump into each other.
const DEPTH_MAX: usize = 16;

/// What is spoken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// Where packets of one kind go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) transport: Transport,
    pub(super) to: SocketAddr,
}

/// Where in the kernel a chain is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hook {
    Input,
    Output,
}

/// A packet of a flow: the first one out, or its answer in.
#[derive(Clone, Copy, Debug)]
struct Packet<'a> {
    flow: Flow,
    hook: Hook,
    /// The interface that it goes through, if known.
    interface: Option<&'a str>,
    /// Whose it is: it is this process that tries.
    user: u32,
}

/// What a rule does with what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Accept,
    Drop,
    Reject,
    Return,
    Call { chain: String, returns: bool },
}

/// A rule as seen by one packet.
#[derive(Clone, Debug)]
struct Rule {
    /// Whether it matches; `None`: that cannot be decided.
    fits: Option<bool>,
    /// Whether a condition that holds is about the server's very address or port.
    is_pointed: bool,
    verdict: Option<Verdict>,
    text: String,
}

/// A chain of one table.
#[derive(Clone, Debug, Default)]
struct Chain {
    /// Table and name.
    key: (String, String),
    /// The hook that calls it, and whether its policy is to drop.
    base: Option<(Hook, bool)>,
    rules: Vec<Rule>,
}

/// What stops a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Whether an error is answered, rather than nothing.
    pub(super) rejects: bool,
    /// The rule, for a person.
    pub(super) rule: String,
}

/// How the walk through a chain ended.
enum End {
    Stopped(Block),
    Accepted,
    Returned,
}

/// The rules as printed.
#[derive(Clone, Debug, Default)]
pub(super) struct Printed {
    /// `nft -j list ruleset`.
    nft: String,
    /// `iptables-save` of every make, of the kind of address that is asked about.
    saves: Vec<String>,
}

impl Printed {
    /// Asks the host's tools; those that are not there or may not look say nothing.
    pub(super) async fn read(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { "ip" } else { "ip6" };
        let names = format!("/proc/net/{prefix}_tables_names");
        // The older make prints nothing new where the kernel has none of its tables.
        let has_old = std::fs::read_to_string(names).is_ok_and(|it| !it.trim().is_empty());
        let (save, old) = (
            format!("{prefix}tables-save"),
            format!("{prefix}tables-legacy-save"),
        );
        let printed = async |program: &str, args: &[&str]| {
            command::output(program, args, PRINT_MS)
                .await
                .unwrap_or_default()
        };
        let legacy = async {
            match has_old {
                true => printed(&old, &[]).await,
                false => String::new(),
            }
        };
        let (nft, save, old) = tokio::join!(
            printed("nft", &["-j", "list", "ruleset"]),
            printed(&save, &[]),
            legacy
        );
        Self {
            nft,
            saves: vec![save, old],
        }
    }

    /// What stops packets of that flow, or their answers.
    pub(super) fn block(&self, flow: Flow, interface: Option<&str>) -> Option<Block> {
        let user = rustix::process::geteuid().as_raw();
        [Hook::Output, Hook::Input].into_iter().find_map(|hook| {
            let packet = Packet {
                flow,
                hook,
                interface,
                user,
            };
            let saved = self.saves.iter().map(|it| save::parse(it, packet));
            let families = std::iter::once(nft::parse(&self.nft, packet)).chain(saved);
            families
                .into_iter()
                .find_map(|chains| walk_all(&chains, hook))
        })
    }
}

/// The first chain at that hook that stops the packet.
fn walk_all(chains: &[Chain], hook: Hook) -> Option<Block> {
    let bases = chains
        .iter()
        .filter(|it| it.base.is_some_and(|(at, _)| at == hook));
    bases.into_iter().find_map(|chain| {
        let mut walk = Walk {
            chains,
            doubtful: false,
        };
        let drops = chain.base.is_some_and(|(_, drops)| drops);
        match walk.through(chain, 0) {
            End::Stopped(block) => Some(block),
            End::Accepted => None,
            End::Returned if drops && !walk.doubtful => {
                let (table, name) = &chain.key;
                let rule = format!("table {table}, chain {name}: dropped, for no rule accepts it");
                Some(Block {
                    rejects: false,
                    rule,
                })
            }
            End::Returned => None,
        }
    })
}

struct Walk<'a> {
    chains: &'a [Chain],
    /// Whether a rule that could not be decided may have let the packet go.
    doubtful: bool,
}

impl Walk<'_> {
    fn through(&mut self, chain: &Chain, depth: usize) -> End {
        for rule in &chain.rules {
            let Some(verdict) = &rule.verdict else {
                continue;
            };
            let certain = rule.fits == Some(true) && (!self.doubtful || rule.is_pointed);
            let stops = matches!(verdict, Verdict::Drop | Verdict::Reject);
            match (rule.fits, verdict) {
                (Some(false), _) => {}
                (Some(true), Verdict::Accept) => return End::Accepted,
                (Some(true), Verdict::Return) => return End::Returned,
                (
                    Some(true),
                    Verdict::Call {
                        chain: name,
                        returns,
                    },
                ) => match self.call(chain, name, depth) {
                    End::Returned if *returns => {}
                    ended => return ended,
                },
                _ if stops => {
                    if certain || (rule.fits.is_none() && rule.is_pointed) {
                        let (table, name) = &chain.key;
                        let rule = format!("table {table}, chain {name}: {}", rule.text);
                        let rejects = *verdict == Verdict::Reject;
                        return End::Stopped(Block { rejects, rule });
                    }
                }
                _ => self.doubtful = true,
            }
        }
        End::Returned
    }

    fn call(&mut self, from: &Chain, name: &str, depth: usize) -> End {
        let (table, _) = &from.key;
        let called = self
            .chains
            .iter()
            .find(|it| it.key.0 == *table && it.key.1 == name);
        match called {
            Some(chain) if depth < DEPTH_MAX => self.through(chain, depth + 1),
            _ => {
                self.doubtful = true;
                End::Returned
            }
        }
    }
}

/// Conditions of one rule, gathered one by one.
#[derive(Debug, Default)]
struct Conditions {
    fails: bool,
    is_doubtful: bool,
    is_pointed: bool,
}

impl Conditions {
    fn add(&mut self, holds: Option<bool>) {
        self.fails |= holds == Some(false);
        self.is_doubtful |= holds.is_none();
    }

    /// A condition about the server's address or port.
    fn add_pointed(&mut self, holds: Option<bool>, is_narrow: bool) {
        self.add(holds);
        self.is_pointed |= holds == Some(true) && is_narrow;
    }

    fn fits(&self) -> Option<bool> {
        match (self.fails, self.is_doubtful) {
            (true, _) => Some(false),
            (false, true) => None,
            (false, false) => Some(true),
        }
    }
}

impl Packet<'_> {
    fn is_output(&self) -> bool {
        self.hook == Hook::Output
    }

    /// The address or port of the server is the packet's own `source`, or else its target.
    fn is_servers(&self, source: bool) -> bool {
        source != self.is_output()
    }

    fn transport(&self) -> &'static str {
        match self.flow.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }

    /// Whether the packet's state is among those named.
    fn is_in_state<'b>(&self, mut states: impl Iterator<Item = &'b str>) -> bool {
        let own = if self.is_output() {
            "new"
        } else {
            "established"
        };
        states.any(|it| it.eq_ignore_ascii_case(own))
    }

    /// Whether it goes through an interface of that name, which may end in a wildcard sign.
    fn goes_through(&self, name: &str, is_output: bool, wildcard: char) -> Option<bool> {
        if is_output != self.is_output() {
            return Some(false);
        }
        let own = match self.interface {
            Some(own) => own,
            // Whatever it is, it is not the way to oneself.
            None if name == "lo" => return Some(self.flow.to.ip().is_loopback()),
            None => return None,
        };
        Some(match name.strip_suffix(wildcard) {
            Some(head) => own.starts_with(head),
            None => own == name,
        })
    }

    /// Whether it belongs to that user.
    fn is_of_user(&self, user: u64) -> bool {
        self.is_output() && u64::from(self.user) == user
    }

    /// Whether the server's address is in that network.
    fn is_within(&self, net: &str) -> Option<bool> {
        let (address, prefix) = net.split_once('/').unwrap_or((net, ""));
        let address: IpAddr = address.parse().ok()?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = if prefix.is_empty() {
            whole
        } else {
            prefix.parse().ok()?
        };
        Some(contains(address, prefix, self.flow.to.ip()))
    }

    /// Whether the server's port is one of those, `LOW` to `HIGH`.
    fn is_port_within(&self, low: u64, high: u64) -> bool {
        (low..=high).contains(&u64::from(self.flow.to.port()))
    }
}

/// Whether a network names one machine.
fn is_narrow(net: &str) -> bool {
    net.split_once('/')
        .is_none_or(|(_, prefix)| prefix == "32" || prefix == "128")
}

#[cfg(test)]
mod tests;
