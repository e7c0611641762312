//! Faults of what answers at the server's address: certificates, proxies, other servers.

use crate::case::Step::{Filter, Host, Server};
use crate::case::{Fault, Step, fault, plain};
use crate::subject::SICKBAY;
use crate::world::at;

const AGAIN: Step = Host("restart");
/// Time is told by a library in front of everyone's; the kernel's clock is the machine's.
const AHEAD: Step = Host("tell_time +7300d; restart");

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "certificate-expired",
        &SICKBAY,
        &[Server(at::EXPIRED), AGAIN],
        &["CertificateExpired"],
    ),
    plain(
        "certificate-expired-plain",
        &SICKBAY,
        &[
            Server(at::EXPIRED),
            Host(
                "pkill --signal=KILL sickbay-agent; setsid sickbay-agent run >/dev/null 2>&1 </dev/null &",
            ),
        ],
        &["CertificateExpired"],
    ),
    fault(
        "certificate-not-yet-valid",
        &SICKBAY,
        &[Server(at::NOT_YET), AGAIN],
        &["CertificateNotYetValid"],
    ),
    fault(
        "certificate-of-another-name",
        &SICKBAY,
        &[Server(at::OTHER_NAME), AGAIN],
        &["CertificateWrongName"],
    ),
    fault(
        "certificate-untrusted",
        &SICKBAY,
        &[Server(at::UNTRUSTED), AGAIN],
        &["AuthorityUnknown"],
    ),
    fault(
        "tls-intercepted",
        &SICKBAY,
        &[Server(at::INTERCEPTED), AGAIN],
        &["ConnectionIntercepted"],
    ),
    fault(
        "certificates-gone",
        &SICKBAY,
        &[Host("rm -r /etc/ssl/certs"), AGAIN],
        &["AuthoritiesMissing"],
    ),
    fault(
        "server-without-tls",
        &SICKBAY,
        &[Server(at::NO_TLS), AGAIN],
        &["HandshakeFailed", "ServerUnhealthy"],
    ),
    fault(
        "server-behind-broken-gateway",
        &SICKBAY,
        &[Server(at::GATEWAY), AGAIN],
        &["ServerFails", "ServerUnhealthy"],
    ),
    fault("clock-ahead", &SICKBAY, &[AHEAD], &["ClockWrong"]),
    fault(
        "clock-an-hour-behind",
        &SICKBAY,
        &[Host("tell_time -3600s; restart")],
        &["ClockWrong"],
    ),
    fault(
        "proxy-refuses-connections",
        &SICKBAY,
        &[Host(
            "drop_in '[Service]' 'Environment=HTTPS_PROXY=http://proxy.lab:3199'; restart",
        )],
        &["ProxyUnreachable"],
    ),
    fault(
        "proxy-wants-password",
        &SICKBAY,
        &[Host(
            "drop_in '[Service]' 'Environment=HTTPS_PROXY=http://proxy.lab:3129'; restart",
        )],
        &["ProxyNeedsAuthentication"],
    ),
    fault(
        "proxy-forbids",
        &SICKBAY,
        &[Host(
            "drop_in '[Service]' 'Environment=HTTPS_PROXY=http://proxy.lab:3130'; restart",
        )],
        &["ProxyRefuses"],
    ),
    fault(
        "proxy-mute",
        &SICKBAY,
        &[Host(
            "drop_in '[Service]' 'Environment=HTTPS_PROXY=http://proxy.lab:3131'; restart",
        )],
        &["ProxyUnreachable", "ProxyAnswersWrongly"],
    ),
    fault(
        "proxy-name-wrong",
        &SICKBAY,
        &[Host(
            "drop_in '[Service]' 'Environment=HTTPS_PROXY=http://porxy.lab:3128'; restart",
        )],
        &["ProxyUnreachable"],
    ),
    fault(
        "proxy-not-used",
        &SICKBAY,
        &[
            Filter("ip saddr HOST ip daddr 10.77.0.1 tcp dport 8443 drop"),
            Host("echo 'HTTPS_PROXY=http://proxy.lab:3128' >>/etc/environment; restart"),
        ],
        &["ProxyNotUsed"],
    ),
];
