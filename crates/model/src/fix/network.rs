//! What to do about the network. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::{About, Action};
use crate::Text;

pub(super) const MendDns: About = About {
    sentence: Text {
        en: "Correct name resolution: the name servers in /etc/resolv.conf must answer and know \
             the name.",
        zh: "修正域名解析：/etc/resolv.conf 中的 DNS 服务器必须可用并能解析该域名。",
    },
    action: None,
};

pub(super) const OpenFirewall: About = About {
    sentence: Text {
        en: "Let the host reach the server's port: check security groups, routers and firewalls on \
             the way.",
        zh: "放行主机到服务器端口的访问：检查途中的安全组、路由器和防火墙。",
    },
    action: None,
};

pub(super) const MendRoute: About = About {
    sentence: Text {
        en: "Give the host a route to the server.",
        zh: "为主机配置到服务器的路由。",
    },
    action: None,
};

pub(super) const CheckServer: About = About {
    sentence: Text {
        en: "Check that the server runs and listens at that address and port.",
        zh: "检查服务器是否在该地址和端口运行并监听。",
    },
    action: None,
};

pub(super) const RenewCertificate: About = About {
    sentence: Text {
        en: "Renew the server's certificate, or enrol the agent again if the certificate was \
             replaced on purpose.",
        zh: "更新服务器证书；若证书是有意更换的，请重新注册客户端。",
    },
    action: None,
};

pub(super) const StopInterception: About = About {
    sentence: Text {
        en: "Exclude the server's address from TLS inspection by proxies on the way.",
        zh: "将服务器地址从途中代理的 TLS 检查中排除。",
    },
    action: None,
};

pub(super) const MendNameSwitch: About = About {
    sentence: Text {
        en: "Let the line \"hosts:\" of /etc/nsswitch.conf say \"files dns\", or install the \
             module that it names.",
        zh: "将 /etc/nsswitch.conf 的 hosts 行改为 files dns，或安装其指定的模块。",
    },
    action: None,
};

pub(super) const MendHosts: About = About {
    sentence: Text {
        en: "Remove or correct the line for the server in /etc/hosts.",
        zh: "删除或修正 /etc/hosts 中该服务器的条目。",
    },
    action: None,
};

pub(super) const BringInterfaceUp: About = About {
    sentence: Text {
        en: "Find out why the interface is down, then bring it up.",
        zh: "查明接口停用的原因，然后启用。",
    },
    action: Some(Action {
        command: "ip link set dev INTERFACE up",
        unattended: false,
    }),
};

pub(super) const LowerMtu: About = About {
    sentence: Text {
        en: "Let the ICMP message \"fragmentation needed\" pass, or lower the interface's MTU to \
             what the path carries.",
        zh: "放行 ICMP“需要分片”消息，或将接口 MTU 降到路径支持的大小。",
    },
    action: None,
};

pub(super) const MendLocalFirewall: About = About {
    sentence: Text {
        en: "Add a rule to this host's firewall that lets the agent reach its server.",
        zh: "在本机防火墙中添加允许客户端访问服务器的规则。",
    },
    action: None,
};

pub(super) const RaiseConnectionTable: About = About {
    sentence: Text {
        en: "Find who opens so many connections; as first aid, double the table.",
        zh: "找出大量建立连接的程序；应急时可将连接跟踪表加倍。",
    },
    action: Some(Action {
        command: "sysctl -w net.netfilter.nf_conntrack_max=\"$(( $(cat \
                  /proc/sys/net/netfilter/nf_conntrack_max) * 2 ))\"",
        unattended: false,
    }),
};

pub(super) const WidenPorts: About = About {
    sentence: Text {
        en: "Find the program that opens so many connections; widen net.ipv4.ip_local_port_range \
             if they are needed.",
        zh: "找出大量建立连接的程序；确有需要时扩大 net.ipv4.ip_local_port_range。",
    },
    action: None,
};

pub(super) const FindLoss: About = About {
    sentence: Text {
        en: "Find the link that loses packets: the interface's counters first, then hop by hop.",
        zh: "查找丢包的链路：先看接口计数器，再逐跳检查。",
    },
    action: None,
};

pub(super) const MendProxy: About = About {
    sentence: Text {
        en: "Correct the agent's proxy setting or the proxy's rules.",
        zh: "修正客户端的代理设置或代理规则。",
    },
    action: None,
};

pub(super) const InstallAuthorities: About = About {
    sentence: Text {
        en: "Install the certificate authorities: the package ca-certificates, and your own \
             authority if the server uses one.",
        zh: "安装证书颁发机构：ca-certificates 软件包，以及服务器使用的自有机构证书。",
    },
    action: None,
};
