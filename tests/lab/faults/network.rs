//! Faults between the host and its server: names, routes, filters.

use crate::case::Step::{Filter, Host, Names, Server};
use crate::case::{Fault, fault, plain};
use crate::subject::{RSYSLOG, SICKBAY, ZABBIX};
use crate::world::dns::Answer;
use crate::world::{address, at};

/// The agent notices at its next attempt.
const AGAIN: crate::case::Step = Host(
    "if has_systemd; then restart; else pkill --signal=KILL sickbay-agent; \
        setsid sickbay-agent run >/dev/null 2>&1 </dev/null & fi",
);

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "dns-dead",
        &SICKBAY,
        &[
            Host("echo 'nameserver 10.77.0.19' >/etc/resolv.conf"),
            AGAIN,
        ],
        &["ResolverUnanswered"],
    ),
    fault(
        "dns-silent",
        &SICKBAY,
        &[Names(Answer::Silence), AGAIN],
        &["ResolverUnanswered"],
    ),
    plain(
        "dns-silent-plain",
        &SICKBAY,
        &[Names(Answer::Silence), AGAIN],
        &["ResolverUnanswered"],
    ),
    fault(
        "dns-slow",
        &SICKBAY,
        &[Names(Answer::Slowly(4_000)), AGAIN],
        &["ResolverSlow", "ResolverUnanswered"],
    ),
    fault(
        "dns-first-server-dead",
        &SICKBAY,
        &[
            // Nobody has that address: the kernel asks for it in vain.
            Host(
                "dead=$(ip -o -4 address show eth0 | sed 's/.*inet \\([0-9.]*\\)\\.2.*/\\1/').99; \
                    printf \"nameserver $dead\\nnameserver 10.77.0.53\\n\" >/etc/resolv.conf",
            ),
            AGAIN,
        ],
        &["ResolverSlow", "ResolverUnanswered"],
    ),
    fault(
        "dns-nxdomain",
        &SICKBAY,
        &[Names(Answer::Code(3)), AGAIN],
        &["NameNotResolved"],
    ),
    fault(
        "dns-servfail",
        &SICKBAY,
        &[Names(Answer::Code(2)), AGAIN],
        &["NameNotResolved", "ResolverUnanswered"],
    ),
    fault(
        "dns-refused",
        &SICKBAY,
        &[Names(Answer::Code(5)), AGAIN],
        &["NameNotResolved", "ResolverUnanswered"],
    ),
    fault(
        "dns-wrong-address",
        &SICKBAY,
        &[Names(Answer::Address(address(99))), AGAIN],
        &[
            "NameResolvesWrongly",
            "ConnectionTimedOut",
            "NetworkUnreachable",
        ],
    ),
    fault(
        "resolv-conf-empty",
        &SICKBAY,
        &[Host(": >/etc/resolv.conf"), AGAIN],
        &["ResolverNotConfigured"],
    ),
    fault(
        "resolv-conf-missing",
        &SICKBAY,
        &[Host("rm /etc/resolv.conf"), AGAIN],
        &["ResolverNotConfigured"],
    ),
    fault(
        "resolv-conf-dangling",
        &SICKBAY,
        &[
            Host("ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf"),
            AGAIN,
        ],
        &["ResolverNotConfigured"],
    ),
    fault(
        "nsswitch-without-dns",
        &SICKBAY,
        &[
            Host("sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf"),
            AGAIN,
        ],
        &["NameSwitchBroken"],
    ),
    fault(
        "hosts-file-override",
        &SICKBAY,
        &[Host("echo '10.77.0.19 sickbay.lab' >>/etc/hosts"), AGAIN],
        &["NameResolvesWrongly"],
    ),
    fault(
        "hosts-file-loopback",
        &SICKBAY,
        &[Host("echo '127.0.0.1 sickbay.lab' >>/etc/hosts"), AGAIN],
        &["NameResolvesWrongly"],
    ),
    fault(
        "route-gone",
        &SICKBAY,
        &[Host("ip route del default"), AGAIN],
        &["NoDefaultRoute", "NetworkUnreachable"],
    ),
    plain(
        "route-gone-plain",
        &SICKBAY,
        &[Host("ip route del default"), AGAIN],
        &["NoDefaultRoute", "NetworkUnreachable"],
    ),
    fault(
        "route-blackhole",
        &SICKBAY,
        &[Host("ip route add blackhole 10.77.0.1"), AGAIN],
        &["NetworkUnreachable"],
    ),
    fault(
        "route-prohibited",
        &SICKBAY,
        &[Host("ip route add prohibit 10.77.0.1"), AGAIN],
        &["NetworkUnreachable"],
    ),
    fault(
        "route-to-nowhere",
        &SICKBAY,
        &[
            Host(
                "ip route replace default via $(ip -o -4 address show eth0 | sed 's/.*inet \\([0-9.]*\\)\\.2.*/\\1/').99",
            ),
            AGAIN,
        ],
        &["GatewayUnreachable", "NetworkUnreachable"],
    ),
    fault(
        "interface-down",
        &SICKBAY,
        &[Host("ip link set eth0 down"), AGAIN],
        &["InterfaceDown"],
    ),
    fault(
        "address-gone",
        &SICKBAY,
        &[Host("ip address flush dev eth0"), AGAIN],
        &["NetworkUnreachable", "NoDefaultRoute", "InterfaceDown"],
    ),
    fault(
        "local-filter-drops",
        &SICKBAY,
        &[
            Host(
                "nft add table inet lab; nft 'add chain inet lab out { type filter hook output priority 0; }'; \
                    nft add rule inet lab out tcp dport 8443 drop",
            ),
            AGAIN,
        ],
        &["FirewallDrops"],
    ),
    fault(
        "local-filter-rejects",
        &SICKBAY,
        &[
            Host(
                "iptables -A OUTPUT -p tcp --dport 8443 -j REJECT --reject-with icmp-port-unreachable",
            ),
            AGAIN,
        ],
        &["FirewallRejects"],
    ),
    fault(
        "local-filter-drops-answers",
        &SICKBAY,
        &[Host("iptables -A INPUT -s 10.77.0.1 -j DROP"), AGAIN],
        &["FirewallDrops"],
    ),
    fault(
        "local-filter-drops-names",
        &SICKBAY,
        &[Host("iptables -A OUTPUT -p udp --dport 53 -j DROP"), AGAIN],
        &["FirewallDrops"],
    ),
    fault(
        "port-dropped",
        &SICKBAY,
        &[Filter("ip saddr HOST tcp dport 8443 drop"), AGAIN],
        &["ConnectionTimedOut"],
    ),
    plain(
        "port-dropped-plain",
        &SICKBAY,
        &[Filter("ip saddr HOST tcp dport 8443 drop"), AGAIN],
        &["ConnectionTimedOut"],
    ),
    fault(
        "port-reset",
        &SICKBAY,
        &[
            Filter("ip saddr HOST tcp dport 8443 reject with tcp reset"),
            AGAIN,
        ],
        &["ConnectionRefused"],
    ),
    fault(
        "port-rejected",
        &SICKBAY,
        &[
            Filter("ip saddr HOST tcp dport 8443 reject with icmp type admin-prohibited"),
            AGAIN,
        ],
        &["ConnectionProhibited"],
    ),
    fault(
        "packets-lost",
        &SICKBAY,
        &[
            Filter("ip saddr HOST numgen random mod 100 < 40 drop"),
            AGAIN,
        ],
        &["PacketLoss", "ConnectionTimedOut"],
    ),
    fault(
        "large-packets-lost",
        &SICKBAY,
        &[
            Host("iptables -A INPUT -p tcp --sport 8443 -m length --length 600: -j DROP"),
            AGAIN,
        ],
        &["PathMtuBlackHole", "FirewallDrops"],
    ),
    fault(
        "server-closed",
        &SICKBAY,
        &[Server(at::CLOSED), AGAIN],
        &["ConnectionRefused"],
    ),
    fault(
        "server-mute",
        &SICKBAY,
        &[Server(at::MUTE), AGAIN],
        &["HandshakeFailed"],
    ),
    fault(
        "zabbix-dns-nxdomain",
        &ZABBIX,
        &[Names(Answer::Code(3)), Host("restart")],
        &["NameNotResolved"],
    ),
    fault(
        "zabbix-server-dropped",
        &ZABBIX,
        &[
            Filter("ip saddr HOST ip daddr 10.77.0.70 drop"),
            Host("restart"),
        ],
        &["ConnectionTimedOut"],
    ),
    fault(
        "zabbix-server-refuses",
        &ZABBIX,
        &[
            Filter("ip saddr HOST tcp dport 10051 reject with tcp reset"),
            Host("restart"),
        ],
        &["ConnectionRefused"],
    ),
    fault(
        "rsyslog-server-dropped",
        &RSYSLOG,
        &[
            Filter("ip saddr HOST tcp dport 514 drop"),
            Host("restart; logger lost"),
        ],
        &["ConnectionTimedOut"],
    ),
    fault(
        "ports-used-up",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; echo 60000 60003 >/proc/sys/net/ipv4/ip_local_port_range; \
                systemd-run --quiet --unit=leak bash -c 'for n in 1 2 3 4; do exec {hold}<>/dev/tcp/10.77.0.1/8443; \
                done; sleep 3600'; wait_for sh -c '[ $(ss -tn state established dport = :8443 | wc -l) -ge 5 ]'; \
                restart",
        )],
        &["EphemeralPortsExhausted"],
    ),
];
