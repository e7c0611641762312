//! The way to the server. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Critical, Error, Warning};
use crate::{Fix, Text};

pub(super) const NameNotResolved: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server's name cannot be resolved.",
        zh: "无法解析服务器的域名。",
    },
    explanation: "A name server answers, and says that there is no such name. The name is \
                  misspelt, exists only in an internal zone that this host does not ask, or its \
                  record was removed.",
    verify: &["getent ahosts SERVER"],
    fixes: &[Fix::MendDns],
};

pub(super) const ResolverUnanswered: About = About {
    severity: Critical,
    sentence: Text {
        en: "No configured name server answers.",
        zh: "已配置的 DNS 服务器均无响应。",
    },
    explanation: "Queries are sent and nothing comes back, so every name fails after a long wait. \
                  The servers are down, their addresses are wrong, or a firewall drops port 53.",
    verify: &["cat /etc/resolv.conf", "getent ahosts SERVER"],
    fixes: &[Fix::MendDns, Fix::OpenFirewall],
};

pub(super) const ConnectionRefused: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server's host refuses connections on that port.",
        zh: "服务器主机拒绝该端口的连接。",
    },
    explanation: "The host answers at once that nothing listens there. The server does not run, \
                  listens on another port or address, or a firewall answers with a reset in its \
                  name.",
    verify: &["nc -vz SERVER PORT"],
    fixes: &[Fix::CheckServer, Fix::OpenFirewall],
};

pub(super) const NetworkUnreachable: About = About {
    severity: Critical,
    sentence: Text {
        en: "There is no route to the server.",
        zh: "没有到服务器的路由。",
    },
    explanation: "The kernel has no way to send packets to that address, or a router says that it \
                  has none. The interface is down, a route is missing, or a tunnel is not up.",
    verify: &["ip route get ADDRESS"],
    fixes: &[Fix::MendRoute],
};

pub(super) const ConnectionTimedOut: About = About {
    severity: Critical,
    sentence: Text {
        en: "Connecting to the server gets no answer: something on the way drops it.",
        zh: "连接服务器无响应：途中的设备丢弃了数据包。",
    },
    explanation: "This host sends and its own rules let it, but nothing comes back. A firewall, a \
                  security group or a router between the two drops the packets silently, or the \
                  server is down.",
    verify: &["nc -vz -w 5 SERVER PORT"],
    fixes: &[Fix::OpenFirewall, Fix::CheckServer],
};

pub(super) const ResolverSlow: About = About {
    severity: Warning,
    sentence: Text {
        en: "Names are resolved slowly.",
        zh: "域名解析缓慢。",
    },
    explanation: "Each new connection waits for seconds before it begins, and short time limits \
                  fail. Usually the first server in the list is dead and only the second answers, \
                  or a search list makes needless queries.",
    verify: &["cat /etc/resolv.conf", "getent ahosts SERVER"],
    fixes: &[Fix::MendDns],
};

pub(super) const NameResolvesWrongly: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server's name resolves to an address that cannot be the server's.",
        zh: "服务器域名解析到了错误的地址。",
    },
    explanation: "The agent connects to nothing or to a stranger. Typically a forgotten line in \
                  /etc/hosts, a name server that answers all names, or a block list that answers \
                  0.0.0.0.",
    verify: &["getent ahosts SERVER", "grep -n SERVER /etc/hosts"],
    fixes: &[Fix::MendHosts, Fix::MendDns],
};

pub(super) const NameSwitchBroken: About = About {
    severity: Critical,
    sentence: Text {
        en: "The host's name service switch does not use DNS.",
        zh: "主机的名称服务切换（nsswitch）未使用 DNS。",
    },
    explanation: "The line \"hosts:\" of /etc/nsswitch.conf lacks dns or an equal of it, names a \
                  module that is not installed, or the file cannot be read. Programs then resolve \
                  no name although the name servers answer.",
    verify: &["grep hosts: /etc/nsswitch.conf"],
    fixes: &[Fix::MendNameSwitch],
};

pub(super) const NoDefaultRoute: About = About {
    severity: Critical,
    sentence: Text {
        en: "The host has no default route.",
        zh: "主机没有默认路由。",
    },
    explanation: "It reaches its own subnet and nothing beyond. DHCP failed, the network \
                  configuration lost its gateway, or an interface that carried the route is down.",
    verify: &["ip route show default"],
    fixes: &[Fix::MendRoute],
};

pub(super) const InterfaceDown: About = About {
    severity: Critical,
    sentence: Text {
        en: "The network interface that leads to the server is down.",
        zh: "通往服务器的网络接口未启用。",
    },
    explanation: "No packet leaves through it. It was switched off by hand or by a failed \
                  configuration, or its cable or virtual port has no carrier.",
    verify: &["ip -brief link"],
    fixes: &[Fix::BringInterfaceUp],
};

pub(super) const PathMtuBlackHole: About = About {
    severity: Critical,
    sentence: Text {
        en: "Large packets to the server are lost on the way.",
        zh: "发往服务器的大数据包在途中丢失。",
    },
    explanation: "Connections open and then hang as soon as real data flows, often in the TLS \
                  handshake. A link on the way has a smaller MTU and the messages that would say \
                  so are filtered; tunnels are the usual place.",
    verify: &["ping -M do -s 1472 -c 3 SERVER"],
    fixes: &[Fix::LowerMtu],
};

pub(super) const FirewallRejects: About = About {
    severity: Critical,
    sentence: Text {
        en: "This host's own firewall rejects connections to the server.",
        zh: "本机防火墙拒绝了到服务器的连接。",
    },
    explanation: "A local rule answers with an error at once, so the agent fails fast. Rules for \
                  outgoing traffic were tightened without an exception for the agent.",
    verify: &["nft list ruleset", "iptables -S OUTPUT"],
    fixes: &[Fix::MendLocalFirewall],
};

pub(super) const FirewallDrops: About = About {
    severity: Critical,
    sentence: Text {
        en: "This host's own firewall drops packets to or from the server.",
        zh: "本机防火墙丢弃了与服务器之间的数据包。",
    },
    explanation: "A local rule discards them silently, so the agent waits until its time is over. \
                  Rules for outgoing traffic, or for the answers, were tightened without an \
                  exception for the agent.",
    verify: &["nft list ruleset", "iptables -S"],
    fixes: &[Fix::MendLocalFirewall],
};

pub(super) const ConnectionProhibited: About = About {
    severity: Critical,
    sentence: Text {
        en: "A router or firewall on the way rejects connections to the server.",
        zh: "途中的路由器或防火墙拒绝了到服务器的连接。",
    },
    explanation: "It answers that traffic to the server is administratively prohibited. The way \
                  exists and is closed on purpose: a security group, an access list or a \
                  perimeter firewall lacks a rule.",
    verify: &["traceroute -n -T -p PORT SERVER"],
    fixes: &[Fix::OpenFirewall],
};

pub(super) const ConnectionTableFull: About = About {
    severity: Critical,
    sentence: Text {
        en: "The kernel's table of tracked connections is full.",
        zh: "内核连接跟踪表已满。",
    },
    explanation: "New connections are dropped at random for every program on the host while old \
                  ones go on. Very many short connections, an attack, or a small table on a busy \
                  gateway is the reason.",
    verify: &["sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max"],
    fixes: &[Fix::RaiseConnectionTable],
};

pub(super) const EphemeralPortsExhausted: About = About {
    severity: Critical,
    sentence: Text {
        en: "The host has no free local ports for outgoing connections.",
        zh: "主机用于外连的本地端口已耗尽。",
    },
    explanation: "Connecting fails with \"cannot assign requested address\". A program opens \
                  connections faster than they are released from TIME-WAIT, or never closes them.",
    verify: &["ss -s", "sysctl net.ipv4.ip_local_port_range"],
    fixes: &[Fix::WidenPorts],
};

pub(super) const PacketLoss: About = About {
    severity: Error,
    sentence: Text {
        en: "Many packets between this host and the server are lost.",
        zh: "本机与服务器之间丢包严重。",
    },
    explanation: "Connections work but are slow and break. A saturated or faulty link, a wrong \
                  duplex setting, or a policing device on the way is the reason; counters of the \
                  interface tell whether it is this host's.",
    verify: &["ip -s link", "ping -c 20 SERVER"],
    fixes: &[Fix::FindLoss],
};

pub(super) const AddressFamilyBroken: About = About {
    severity: Warning,
    sentence: Text {
        en: "The server is reached by one version of IP and not by the other.",
        zh: "服务器只能通过 IPv4 或 IPv6 之一访问。",
    },
    explanation: "The name has addresses of both kinds and one kind does not work from here. \
                  Connections begin slowly or fail with programs that try only the first address.",
    verify: &["curl -4 -v URL", "curl -6 -v URL"],
    fixes: &[Fix::MendRoute, Fix::MendDns],
};

pub(super) const ResolverNotConfigured: About = About {
    severity: Critical,
    sentence: Text {
        en: "The host has no name server configured.",
        zh: "主机未配置 DNS 服务器。",
    },
    explanation: "/etc/resolv.conf is missing, empty, names no server, or is a link to a file that \
                  is not there. Usually the service that writes it does not run.",
    verify: &["ls -l /etc/resolv.conf", "cat /etc/resolv.conf"],
    fixes: &[Fix::MendDns],
};

pub(super) const GatewayUnreachable: About = About {
    severity: Critical,
    sentence: Text {
        en: "The gateway on the way to the server does not answer.",
        zh: "通往服务器的网关无响应。",
    },
    explanation: "The route exists, but nobody in the local network answers for the gateway's \
                  address. The gateway is down, its address is wrong, or this host is in a wrong \
                  VLAN or port group.",
    verify: &["ip route get ADDRESS", "ip neigh"],
    fixes: &[Fix::MendRoute],
};
