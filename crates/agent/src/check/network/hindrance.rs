//! What on this host hinders packets: asked after they did not get through, never before.
//!
//! Gathers the kernel's tables, the packet filter's rules and what was heard from others, and judges
//! them together. Pure but for [`State::gather`].

use std::io;
use std::net::IpAddr;

use model::Cause;

use super::firewall::{Block, Flow, Printed, Transport};
use super::icmp::Message;
use super::route::Tables;
use super::sockets;

/// Error numbers that connecting and sending end with (errno(3), generic Linux numbering).
const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;
const ENETDOWN: i32 = 100;
const ENETUNREACH: i32 = 101;
const EADDRNOTAVAIL: i32 = 99;
const EHOSTUNREACH: i32 = 113;

/// How it showed that packets do not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symptom {
    /// Nothing came back.
    Silence,
    /// An answer says that nobody listens there.
    Refused,
    /// The kernel knows no way, or somebody says that there is none.
    NoWay,
    /// The kernel does not let this process send.
    Forbidden,
    /// A route or a policy of the kernel says no.
    Prohibited,
    /// A route discards everything.
    Discarded,
    /// There is no local port or address.
    NoPort,
}

impl Symptom {
    /// What an error of connecting or sending means.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        match (error.raw_os_error(), error.kind()) {
            (Some(EPERM), _) => Some(Self::Forbidden),
            (Some(EACCES), _) => Some(Self::Prohibited),
            (Some(EINVAL), _) => Some(Self::Discarded),
            (Some(EADDRNOTAVAIL), _) => Some(Self::NoPort),
            (Some(ENETDOWN | ENETUNREACH | EHOSTUNREACH), _) => Some(Self::NoWay),
            (_, io::ErrorKind::TimedOut) => Some(Self::Silence),
            (_, io::ErrorKind::ConnectionRefused) => Some(Self::Refused),
            (_, io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
                Some(Self::NoWay)
            }
            _ => None,
        }
    }
}

/// What was gathered.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) tables: Tables,
    /// What the host's own rules do to the flow.
    pub(super) block: Option<Block>,
    /// That the table of tracked connections is full.
    pub(super) full_table: Option<String>,
    /// That local ports are used up.
    pub(super) no_ports: Option<String>,
    /// Whether SELinux enforces its policy.
    pub(super) selinux: bool,
    /// What was heard while it was tried; own says whether this host itself said it.
    pub(super) heard: Vec<(Message, bool)>,
}

impl State {
    /// Everything that could hinder that flow.
    pub(super) async fn gather(flow: Flow, heard: &[Message]) -> Self {
        let tables = Tables::read();
        let interface = tables.route_to(flow.to.ip()).map(|it| it.interface.clone());
        let block = Printed::read(flow.to.ip())
            .await
            .block(flow, interface.as_deref());
        let enforces = std::fs::read_to_string("/sys/fs/selinux/enforce");
        let about = heard.iter().filter(|it| it.to == flow.to);
        Self {
            tables,
            block,
            full_table: sockets::full_table(),
            no_ports: sockets::no_ports(),
            selinux: enforces.is_ok_and(|it| it.trim() == "1"),
            heard: about.map(|it| (*it, it.is_ours())).collect(),
        }
    }
}

/// The cause on this host or of whom it heard from, with evidence; `None`: nothing accounts for it.
pub(super) fn judge(flow: Flow, symptom: Symptom, state: &State) -> Option<(Cause, Vec<String>)> {
    use Symptom as S;
    if flow.to.ip().is_loopback() {
        return state
            .block
            .as_ref()
            .filter(|_| symptom == S::Silence)
            .map(blocked);
    }
    let by_rule = |rejects: bool| {
        state
            .block
            .as_ref()
            .filter(|it| it.rejects == rejects)
            .map(blocked)
    };
    let by_own_word = || {
        let (message, _) = state.heard.iter().find(|(_, is_own)| *is_own)?;
        let mut evidence = vec![format!("this host itself said so: {message}")];
        let rule = state.block.as_ref().filter(|it| it.rejects);
        evidence.extend(rule.map(|it| it.rule.clone()));
        Some((Cause::FirewallRejects, evidence))
    };
    match symptom {
        S::Refused => by_own_word().or_else(|| by_rule(true)),
        S::Forbidden => {
            let drops = flow.transport == Transport::Udp || state.block.is_some();
            let cause = if drops {
                Cause::FirewallDrops
            } else {
                Cause::FirewallRejects
            };
            let mut evidence =
                vec!["the kernel does not permit this process to send there".to_owned()];
            evidence.extend(state.block.iter().map(|it| it.rule.clone()));
            Some((cause, evidence))
        }
        S::Prohibited if state.selinux && !is_rejected(state, flow.to.ip()) => None,
        S::Prohibited => Some((
            Cause::NetworkUnreachable,
            vec!["a route of this host prohibits it".to_owned()],
        )),
        S::Discarded => {
            let evidence = "a route of this host discards everything that goes there (blackhole)";
            Some((Cause::NetworkUnreachable, vec![evidence.to_owned()]))
        }
        S::NoPort => {
            let evidence = state.no_ports.clone()?;
            Some((Cause::EphemeralPortsExhausted, vec![evidence]))
        }
        S::NoWay => by_own_word()
            .or_else(|| prohibited(state))
            .or_else(|| by_rule(true))
            .or_else(|| no_link(flow, state))
            .or_else(|| no_gateway(flow, state))
            .or_else(|| no_route(flow, state)),
        S::Silence => by_own_word()
            .or_else(|| prohibited(state))
            .or_else(|| by_rule(false))
            .or_else(|| no_link(flow, state))
            .or_else(|| no_gateway(flow, state))
            .or_else(|| Some((Cause::ConnectionTableFull, vec![state.full_table.clone()?]))),
    }
}

/// What a local rule amounts to.
fn blocked(block: &Block) -> (Cause, Vec<String>) {
    let cause = match block.rejects {
        true => Cause::FirewallRejects,
        false => Cause::FirewallDrops,
    };
    (cause, vec![format!("rule of this host: {}", block.rule)])
}

fn is_rejected(state: &State, address: IpAddr) -> bool {
    state.tables.route_to(address).is_some_and(|it| it.rejects)
}

fn prohibited(state: &State) -> Option<(Cause, Vec<String>)> {
    let told = state
        .heard
        .iter()
        .find(|(it, is_own)| it.is_prohibition() && !is_own);
    told.map(|(it, _)| (Cause::ConnectionProhibited, vec![it.to_string()]))
}

fn no_link(flow: Flow, state: &State) -> Option<(Cause, Vec<String>)> {
    let tables = &state.tables;
    if let Some(route) = tables.route_to(flow.to.ip()) {
        let link = tables.dead_link(&route.interface)?;
        return Some((Cause::InterfaceDown, vec![link.describe()]));
    }
    Some((Cause::InterfaceDown, tables.all_links_down()?))
}

fn no_gateway(flow: Flow, state: &State) -> Option<(Cause, Vec<String>)> {
    let route = state.tables.route_to(flow.to.ip())?;
    let gateway = route.gateway.filter(|it| state.tables.is_unanswered(*it))?;
    let evidence = format!(
        "nobody on {} answers for the gateway {gateway}",
        route.interface
    );
    Some((Cause::GatewayUnreachable, vec![evidence]))
}

fn no_route(flow: Flow, state: &State) -> Option<(Cause, Vec<String>)> {
    let tables = &state.tables;
    let address = flow.to.ip();
    // A host that speaks one kind of IP only has no route of the other: that is no fault of its own.
    let speaks = |it: &super::route::Route| it.is_for(address) && it.interface != "lo";
    let is_of_kind = address.is_ipv4()
        || tables
            .routes
            .iter()
            .any(|it| speaks(it) && it.gateway.is_some());
    if tables.route_to(address).is_some() || tables.has_default(address) || !is_of_kind {
        return None;
    }
    let mut evidence = vec![format!(
        "no route of this host leads to {address}, and it has no default route"
    )];
    evidence.extend(tables.links.iter().map(super::route::Link::describe));
    Some((Cause::NoDefaultRoute, evidence))
}

/// The interface and the gateway on the way, for commands.
pub(super) fn interface(state: &State, flow: Flow) -> Option<String> {
    let route = state.tables.route_to(flow.to.ip());
    let dead = || {
        state
            .tables
            .links
            .iter()
            .find(|it| !it.is_up || !it.has_carrier)
    };
    route
        .map(|it| it.interface.clone())
        .or_else(|| Some(dead()?.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::route::{Link, Neighbour, Route};
    use super::*;

    const FLOW: &str = "10.77.0.1:8443";

    fn flow() -> Flow {
        Flow {
            transport: Transport::Tcp,
            to: FLOW.parse().unwrap(),
        }
    }

    fn state() -> State {
        State {
            tables: Tables {
                routes: vec![Route::default_by("10.77.1.1".parse().unwrap(), "eth0")],
                links: vec![Link {
                    name: "eth0".into(),
                    is_up: true,
                    has_carrier: true,
                }],
                neighbours: Vec::new(),
            },
            ..State::default()
        }
    }

    fn cause(symptom: Symptom, state: &State) -> Option<Cause> {
        judge(flow(), symptom, state).map(|it| it.0)
    }

    fn message(from: &str, code: u8) -> Message {
        Message {
            from: from.parse().unwrap(),
            code,
            to: FLOW.parse().unwrap(),
        }
    }

    #[test]
    fn a_host_that_is_well_hinders_nothing() {
        for symptom in [
            Symptom::Silence,
            Symptom::Refused,
            Symptom::NoWay,
            Symptom::NoPort,
        ] {
            assert_eq!(cause(symptom, &state()), None, "{symptom:?}");
        }
    }

    #[test]
    fn a_rule_counts_where_it_fits_what_is_seen() {
        let with = |rejects| State {
            block: Some(Block {
                rejects,
                rule: "x".into(),
            }),
            ..state()
        };
        assert_eq!(
            cause(Symptom::Silence, &with(false)),
            Some(Cause::FirewallDrops)
        );
        assert_eq!(
            cause(Symptom::Refused, &with(true)),
            Some(Cause::FirewallRejects)
        );
        assert_eq!(
            cause(Symptom::NoWay, &with(true)),
            Some(Cause::FirewallRejects)
        );
        assert_eq!(
            cause(Symptom::Silence, &with(true)),
            None,
            "a rejection is heard at once"
        );
        assert_eq!(
            cause(Symptom::Refused, &with(false)),
            None,
            "what is dropped is not refused"
        );
    }

    #[test]
    fn who_says_no_decides_whose_fault_it_is() {
        let heard = |from, code, own| State {
            heard: vec![(message(from, code), own)],
            ..state()
        };
        let router = heard("10.77.1.1", 13, false);
        assert_eq!(
            cause(Symptom::NoWay, &router),
            Some(Cause::ConnectionProhibited)
        );
        let own = heard("10.77.1.2", 3, true);
        assert_eq!(cause(Symptom::Refused, &own), Some(Cause::FirewallRejects));
        let no_host = heard("10.77.1.1", 1, false);
        assert_eq!(
            cause(Symptom::NoWay, &no_host),
            None,
            "a router that knows no way"
        );
    }

    #[test]
    fn the_link_the_gateway_and_the_route_are_told_apart() {
        let mut down = state();
        down.tables.links[0].is_up = false;
        assert_eq!(cause(Symptom::NoWay, &down), Some(Cause::InterfaceDown));
        down.tables.routes.clear();
        assert_eq!(cause(Symptom::NoWay, &down), Some(Cause::InterfaceDown));
        let mut silent = state();
        silent.tables.neighbours = vec![Neighbour {
            address: "10.77.1.1".parse().unwrap(),
            interface: "eth0".into(),
            answers: false,
        }];
        assert_eq!(
            cause(Symptom::Silence, &silent),
            Some(Cause::GatewayUnreachable)
        );
        let mut gone = state();
        gone.tables.routes.clear();
        assert_eq!(cause(Symptom::NoWay, &gone), Some(Cause::NoDefaultRoute));
        assert_eq!(cause(Symptom::Silence, &gone), None);
        let mut unused = state();
        unused.tables.links.push(Link {
            name: "eth1".into(),
            is_up: false,
            has_carrier: false,
        });
        assert_eq!(
            cause(Symptom::Silence, &unused),
            None,
            "a link that nobody uses"
        );
    }

    #[test]
    fn a_host_without_ipv6_lacks_no_route() {
        let to = Flow {
            to: "[2001:db8::1]:8443".parse().unwrap(),
            ..flow()
        };
        assert_eq!(judge(to, Symptom::NoWay, &state()), None);
    }

    #[test]
    fn what_the_kernel_has_run_out_of_is_named() {
        let full = State {
            full_table: Some("full".into()),
            no_ports: Some("none".into()),
            ..state()
        };
        assert_eq!(
            cause(Symptom::Silence, &full),
            Some(Cause::ConnectionTableFull)
        );
        assert_eq!(
            cause(Symptom::NoPort, &full),
            Some(Cause::EphemeralPortsExhausted)
        );
        assert_eq!(cause(Symptom::Refused, &full), None);
    }

    #[test]
    fn errors_of_the_kernel_are_told_apart() {
        let of = |number| Symptom::of(&io::Error::from_raw_os_error(number));
        assert_eq!(of(EPERM), Some(Symptom::Forbidden));
        assert_eq!(of(EACCES), Some(Symptom::Prohibited));
        assert_eq!(of(EINVAL), Some(Symptom::Discarded));
        assert_eq!(of(111), Some(Symptom::Refused));
        assert_eq!(of(ENETUNREACH), Some(Symptom::NoWay));
        assert_eq!(of(110), Some(Symptom::Silence));
        assert_eq!(
            cause(Symptom::Discarded, &state()),
            Some(Cause::NetworkUnreachable)
        );
        assert_eq!(
            cause(Symptom::Prohibited, &state()),
            Some(Cause::NetworkUnreachable)
        );
        let guarded = State {
            selinux: true,
            ..state()
        };
        assert_eq!(
            cause(Symptom::Prohibited, &guarded),
            None,
            "that may be the policy's doing"
        );
    }
}
