//! Which way packets to an address take, as the kernel tells in `/proc/net` and `/sys/class/net`.
//!
//! Knows the main table only: that there is no way is concluded by nobody unless a connection failed so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::check::procfs;

/// `RTF_UP`, `RTF_REJECT` (linux/route.h).
const ROUTE_UP: u32 = 0x1;
const ROUTE_REJECTS: u32 = 0x200;
/// Metric of the kernel's own entry that says that there is no IPv6 route.
const METRIC_NONE: u32 = u32::MAX;
/// `IFF_UP` (linux/if.h).
const INTERFACE_UP: u64 = 0x1;
/// `ATF_COM`: the neighbour answered (linux/if_arp.h).
const NEIGHBOUR_COMPLETE: u32 = 0x2;
/// Hardware types of links that lead elsewhere: Ethernet, InfiniBand, PPP (linux/if_arp.h).
const LINK_TYPES: [u64; 3] = [1, 32, 512];
/// Beginnings of names of interfaces that never lead to a server by themselves.
const INNER_LINKS: [&str; 12] = [
    "docker", "br-", "veth", "virbr", "vnet", "cni", "cali", "flannel", "dummy", "gretap",
    "erspan", "ifb",
];

/// What the kernel knows of ways.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) routes: Vec<Route>,
    pub(super) links: Vec<Link>,
    pub(super) neighbours: Vec<Neighbour>,
}

/// An entry of a routing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    net: IpAddr,
    prefix: u32,
    metric: u32,
    pub(super) gateway: Option<IpAddr>,
    pub(super) interface: String,
    /// The kernel answers with an error.
    pub(super) rejects: bool,
}

/// A network interface that could lead to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) is_up: bool,
    pub(super) has_carrier: bool,
}

/// Somebody in the local network who was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) address: IpAddr,
    pub(super) interface: String,
    pub(super) answers: bool,
}

impl Tables {
    /// As they are now.
    pub(super) fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut routes = parse_routes(&text("/proc/net/route"));
        routes.extend(parse_routes6(&text("/proc/net/ipv6_route")));
        Self {
            routes,
            links: links(),
            neighbours: parse_neighbours(&text("/proc/net/arp")),
        }
    }

    /// The route that an address falls under.
    pub(super) fn route_to(&self, address: IpAddr) -> Option<&Route> {
        let fitting = self
            .routes
            .iter()
            .filter(|it| contains(it.net, it.prefix, address));
        fitting.max_by_key(|it| (it.prefix, std::cmp::Reverse(it.metric)))
    }

    /// Whether there is a default route of the address's kind.
    pub(super) fn has_default(&self, address: IpAddr) -> bool {
        let is_default = |it: &Route| it.prefix == 0 && !it.rejects && it.is_for(address);
        self.routes.iter().any(is_default)
    }

    /// Links that cannot carry a packet; `None`: one can, or there are none.
    pub(super) fn all_links_down(&self) -> Option<Vec<String>> {
        let is_usable = |it: &Link| it.is_up && it.has_carrier;
        if self.links.is_empty() || self.links.iter().any(is_usable) {
            return None;
        }
        Some(self.links.iter().map(Link::describe).collect())
    }

    /// The link of that name, if it cannot carry a packet.
    pub(super) fn dead_link(&self, name: &str) -> Option<&Link> {
        let named = self.links.iter().find(|it| it.name == name);
        named.filter(|it| !it.is_up || !it.has_carrier)
    }

    /// Whether nobody in the local network answers for that address.
    pub(super) fn is_unanswered(&self, address: IpAddr) -> bool {
        self.neighbours
            .iter()
            .any(|it| it.address == address && !it.answers)
    }
}

impl Route {
    /// Whether it is about addresses of that kind.
    pub(super) fn is_for(&self, address: IpAddr) -> bool {
        self.net.is_ipv4() == address.is_ipv4()
    }

    /// A default route.
    #[cfg(test)]
    pub(super) fn default_by(gateway: IpAddr, interface: &str) -> Self {
        Self {
            net: Ipv4Addr::UNSPECIFIED.into(),
            prefix: 0,
            metric: 0,
            gateway: Some(gateway),
            interface: interface.to_owned(),
            rejects: false,
        }
    }
}

impl Link {
    /// How it is, for a person.
    pub(super) fn describe(&self) -> String {
        let Self { name, .. } = self;
        match (self.is_up, self.has_carrier) {
            (false, _) => format!("the interface {name} is switched off"),
            (true, false) => format!("the interface {name} has no carrier"),
            (true, true) => format!("the interface {name} is up"),
        }
    }
}

/// Whether the network contains the address.
pub(super) fn contains(net: IpAddr, prefix: u32, address: IpAddr) -> bool {
    match (net, address) {
        (IpAddr::V4(net), IpAddr::V4(address)) => {
            let shift = 32_u32.saturating_sub(prefix);
            let cut = |it: Ipv4Addr| it.to_bits().checked_shr(shift).unwrap_or(0);
            cut(net) == cut(address)
        }
        (IpAddr::V6(net), IpAddr::V6(address)) => {
            let shift = 128_u32.saturating_sub(prefix);
            let cut = |it: Ipv6Addr| it.to_bits().checked_shr(shift).unwrap_or(0);
            cut(net) == cut(address)
        }
        _ => false,
    }
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`: hexadecimal, in the machine's order.
fn parse_routes(text: &str) -> Vec<Route> {
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
        let address = |at: usize| hex(at).map(|it| Ipv4Addr::from(it.to_ne_bytes()));
        let flags = hex(3)?;
        let gateway = address(2)?;
        Some(Route {
            net: address(1)?.into(),
            prefix: hex(7)?.count_ones(),
            metric: words.get(6)?.parse().ok()?,
            gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
            interface: (*words.first()?).to_owned(),
            rejects: flags & ROUTE_REJECTS != 0,
        })
        .filter(|_| flags & ROUTE_UP != 0)
    };
    text.lines().skip(1).filter_map(parse).collect()
}

/// `net prefix source prefix gateway metric references uses flags interface`, all hexadecimal.
fn parse_routes6(text: &str) -> Vec<Route> {
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
        let address = |at: usize| {
            u128::from_str_radix(words.get(at)?, 16)
                .ok()
                .map(Ipv6Addr::from)
        };
        let flags = hex(8)?;
        let gateway = address(4)?;
        Some(Route {
            net: address(0)?.into(),
            prefix: hex(1)?,
            metric: hex(5)?,
            gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
            interface: (*words.get(9)?).to_owned(),
            rejects: flags & ROUTE_REJECTS != 0,
        })
        .filter(|it| flags & ROUTE_UP != 0 && it.metric != METRIC_NONE)
    };
    text.lines().filter_map(parse).collect()
}

/// `address type flags hardware mask device`.
fn parse_neighbours(text: &str) -> Vec<Neighbour> {
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let flags = words.get(2)?.strip_prefix("0x")?;
        Some(Neighbour {
            address: words.first()?.parse().ok()?,
            interface: (*words.get(5)?).to_owned(),
            answers: u32::from_str_radix(flags, 16).ok()? & NEIGHBOUR_COMPLETE != 0,
        })
    };
    text.lines().skip(1).filter_map(parse).collect()
}

/// Whether the host cannot reach itself.
pub(super) fn is_loopback_down() -> bool {
    let flags = std::fs::read_to_string("/sys/class/net/lo/flags").unwrap_or_default();
    are_down(&flags)
}

/// Flags of an interface as sysfs shows them.
fn are_down(flags: &str) -> bool {
    let flags = u64::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
    flags.is_ok_and(|it| it & INTERFACE_UP == 0)
}

fn links() -> Vec<Link> {
    let folder = Path::new("/sys/class/net");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let read = |name: String| {
        let of = |what: &str| folder.join(&name).join(what);
        let leads_out = LINK_TYPES.contains(&procfs::number(of("type"))?);
        let is_inner = INNER_LINKS.iter().any(|it| name.starts_with(it));
        let flags = std::fs::read_to_string(of("flags")).ok()?;
        let flags = u64::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()?;
        let carrier = procfs::number(of("carrier"));
        (leads_out && !is_inner).then(|| Link {
            is_up: flags & INTERFACE_UP != 0,
            has_carrier: carrier != Some(0),
            name: name.clone(),
        })
    };
    let names = entries.filter_map(|it| it.file_name().into_string().ok());
    let mut links: Vec<Link> = names.filter_map(read).collect();
    links.sort_by(|a, b| a.name.cmp(&b.name));
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        *\t01004D0A\t00000000\t0205\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
    const ROUTES6: &str = "\
        fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";

    #[test]
    fn an_interface_is_down_by_its_flags() {
        assert!(are_down("0x8\n"));
        assert!(!are_down("0x9\n"));
        assert!(!are_down(""), "nothing is known");
    }

    #[test]
    fn the_most_specific_route_counts() {
        let mut routes = parse_routes(ROUTES);
        routes.extend(parse_routes6(ROUTES6));
        let tables = Tables {
            routes,
            ..Tables::default()
        };
        let to = |it: &str| tables.route_to(it.parse().unwrap()).unwrap();
        assert_eq!(to("9.9.9.9").gateway, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(to("192.0.2.9").gateway, None);
        assert!(to("10.77.0.1").rejects && !to("10.77.0.2").rejects);
        assert_eq!(to("2001:db8::1").gateway, Some("fd00::1".parse().unwrap()));
        assert_eq!(tables.routes.len(), 5, "the kernel's own entry is none");
    }

    #[test]
    fn a_neighbour_without_address_does_not_answer() {
        let text = "IP address       HW type     Flags       HW address            Mask     Device\n\
            192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0\n\
            192.0.2.99       0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        let tables = Tables {
            neighbours: parse_neighbours(text),
            ..Tables::default()
        };
        assert!(!tables.is_unanswered("192.0.2.1".parse().unwrap()));
        assert!(tables.is_unanswered("192.0.2.99".parse().unwrap()));
    }

    #[test]
    fn one_link_that_is_up_is_enough() {
        let link = |name: &str, is_up, has_carrier| Link {
            name: name.into(),
            is_up,
            has_carrier,
        };
        let of = |links| {
            Tables {
                links,
                ..Tables::default()
            }
            .all_links_down()
        };
        assert_eq!(
            of(vec![link("eth0", true, true), link("eth1", false, true)]),
            None
        );
        assert_eq!(of(Vec::new()), None);
        let down = of(vec![link("eth0", true, false)]).unwrap();
        assert_eq!(down, ["the interface eth0 has no carrier"]);
    }

    #[test]
    fn broken_tables_are_survived() {
        let samples = [
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
            "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n",
            "IP address       HW type     Flags       HW address            Mask     Device\n10.0.0.1         0x1         0x0         00:00:00:00:00:00     *        eth0\n",
        ];
        crate::fuzz::text("routes", &samples, |it| {
            let address = std::net::IpAddr::from([10, 0, 0, 7]);
            let routes = parse_routes(it).into_iter().chain(parse_routes6(it));
            assert!(routes.filter(|it| it.is_for(address)).count() < 100_000);
            parse_neighbours(it);
        });
    }
}
