//! The proxy, and what the server says. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Critical, Error};
use crate::{Fix, Text};

pub(super) const ServerUnhealthy: About = About {
    severity: Critical,
    sentence: Text {
        en: "Something answers at the server's address, but it is not a healthy server.",
        zh: "服务器地址有应答，但不是正常的服务器。",
    },
    explanation: "The answer is not what the agent's server would say. A load balancer without a \
                  backend, another web server on that port, or a captive portal answers instead.",
    verify: &["curl -i URL"],
    fixes: &[Fix::CheckServer],
};

pub(super) const ProxyUnreachable: About = About {
    severity: Critical,
    sentence: Text {
        en: "The proxy that the agent uses cannot be reached.",
        zh: "无法连接客户端使用的代理。",
    },
    explanation: "Its name is not resolved, or nobody accepts connections at its address. The \
                  proxy is down, moved, or the setting is old.",
    verify: &["curl -v -x PROXY URL"],
    fixes: &[Fix::MendProxy],
};

pub(super) const ProxyRefuses: About = About {
    severity: Critical,
    sentence: Text {
        en: "The proxy refuses to connect the agent to the server.",
        zh: "代理拒绝将客户端连接到服务器。",
    },
    explanation: "It answers 403 or the like: its rules do not allow this address or port for this \
                  host. Ports other than 443 are a usual reason.",
    verify: &["curl -v -x PROXY URL"],
    fixes: &[Fix::MendProxy],
};

pub(super) const ProxyNeedsAuthentication: About = About {
    severity: Critical,
    sentence: Text {
        en: "The proxy asks for a user name and password.",
        zh: "代理要求身份验证。",
    },
    explanation: "It answers 407. The agent has no credentials for it, or they are wrong or have \
                  expired.",
    verify: &["curl -v -x PROXY URL"],
    fixes: &[Fix::MendProxy],
};

pub(super) const ProxyAnswersWrongly: About = About {
    severity: Critical,
    sentence: Text {
        en: "What answers at the proxy's address does not behave like a proxy.",
        zh: "代理地址的应答不符合代理协议。",
    },
    explanation: "The answer is no valid reply to CONNECT. The port belongs to another service, \
                  the proxy speaks another protocol such as SOCKS, or it fails inside.",
    verify: &["curl -v -x PROXY URL"],
    fixes: &[Fix::MendProxy],
};

pub(super) const ProxyUnwanted: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent uses a proxy although the server is reached only without it.",
        zh: "客户端使用了代理，但只有直连才能访问服务器。",
    },
    explanation: "The direct way works and the way through the proxy does not. A variable such as \
                  https_proxy, meant for other programs, reached the service; no_proxy lacks the \
                  server.",
    verify: &[
        "systemctl show -p Environment UNIT",
        "curl -v --noproxy '*' URL",
    ],
    fixes: &[Fix::MendProxy],
};

pub(super) const ServerRejectsCredential: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server rejects the agent's credential.",
        zh: "服务器拒绝客户端的凭据（401/403）。",
    },
    explanation: "The server was reached and answers 401 or 403. The key or token is wrong, was \
                  revoked or has expired, or belongs to another account or region.",
    verify: &["curl -i URL"],
    fixes: &[Fix::RenewCredential],
};

pub(super) const ServerRejectsRequest: About = About {
    severity: Error,
    sentence: Text {
        en: "The server answers that the agent's request is wrong.",
        zh: "服务器认为客户端请求有误（4xx）。",
    },
    explanation: "A status from 400 to 499 other than 401, 403 and 407. The configured path or \
                  tenant is wrong, the versions do not fit, or the agent is throttled.",
    verify: &["curl -i URL"],
    fixes: &[Fix::MendConfiguration, Fix::UpgradeAgent],
};

pub(super) const ServerFails: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server answers with an error of its own.",
        zh: "服务器内部错误（5xx）。",
    },
    explanation: "A status from 500: the network is fine and the server, or what stands behind its \
                  load balancer, is not. All hosts that use it are affected.",
    verify: &["curl -i URL"],
    fixes: &[Fix::CheckServer],
};

pub(super) const ProxyNotUsed: About = About {
    severity: Critical,
    sentence: Text {
        en: "The host reaches the server only through a proxy, and the agent uses none.",
        zh: "主机只能通过代理访问服务器，但客户端未使用代理。",
    },
    explanation: "The direct way is closed while the proxy that the host's settings name works. \
                  Services do not inherit the variables of login shells; the agent needs its own \
                  setting.",
    verify: &["systemctl show -p Environment UNIT", "curl -v -x PROXY URL"],
    fixes: &[Fix::MendProxy],
};
