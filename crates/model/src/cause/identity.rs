//! Who the host is, and whether the server lets it in. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Critical, Error, Warning};
use crate::{Fix, Text};

pub(super) const EnrolmentRevoked: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server does not know this host, or removed it.",
        zh: "服务器不认识此主机，或已将其移除。",
    },
    explanation: "The agent connects and is turned away. The host was removed from the server, or \
                  the server was set up anew.",
    verify: &["journalctl -u UNIT -n 50"],
    fixes: &[Fix::EnrolAgain],
};

pub(super) const DuplicateIdentity: About = About {
    severity: Critical,
    sentence: Text {
        en: "Another host uses the same identity: this one was cloned.",
        zh: "另一台主机使用相同的标识：此主机是克隆的。",
    },
    explanation: "The server sees one host in two places that push each other off the line. The \
                  image was made from a host that was already enrolled.",
    verify: &["cat /etc/machine-id", "ls -l DATA"],
    fixes: &[Fix::EnrolAgain],
};

pub(super) const MachineIdDuplicated: About = About {
    severity: Error,
    sentence: Text {
        en: "Another host has the same machine id.",
        zh: "另一台主机具有相同的 machine-id。",
    },
    explanation: "Agents that derive their identity from /etc/machine-id are one host to their \
                  server, and DHCP may give both one address. The image was cloned without \
                  removing the file.",
    verify: &["cat /etc/machine-id"],
    fixes: &[Fix::RenewMachineId],
};

pub(super) const MachineIdInvalid: About = About {
    severity: Error,
    sentence: Text {
        en: "The host's machine id is missing or malformed.",
        zh: "主机的 machine-id 缺失或格式错误。",
    },
    explanation: "It must be 32 hexadecimal digits. Agents that derive their identity from it fail \
                  or make a new identity on each start, and journald keeps no log.",
    verify: &["cat /etc/machine-id"],
    fixes: &[Fix::RenewMachineId],
};

pub(super) const HostNameClash: About = About {
    severity: Warning,
    sentence: Text {
        en: "The host's name is a default one or leads to another host.",
        zh: "主机名为默认名称，或指向另一台主机。",
    },
    explanation: "Reports of several hosts are taken for one another. The host was never named, or \
                  a clone kept its name.",
    verify: &["hostname", "getent ahosts \"$(hostname)\""],
    fixes: &[Fix::RenameHost],
};

pub(super) const IdentityUnreadable: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent cannot read its identity or key.",
        zh: "客户端无法读取其身份或密钥文件。",
    },
    explanation: "The file is there, but its owner or mode keeps the agent out. It cannot prove \
                  who it is and stays offline.",
    verify: &["ls -l PATH"],
    fixes: &[Fix::MendPermissions],
};

pub(super) const IdentityCorrupt: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's identity or key file is damaged.",
        zh: "客户端的身份或密钥文件已损坏。",
    },
    explanation: "The file is empty or cannot be understood. A full disk or a power failure while \
                  it was written is the usual reason; a backup of it is as good as a new \
                  enrolment.",
    verify: &["ls -l PATH"],
    fixes: &[Fix::EnrolAgain],
};

pub(super) const CredentialRejected: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's log says that its credential is rejected.",
        zh: "客户端日志显示其凭据被拒绝。",
    },
    explanation: "The server was reached and says no. The key, token or password was changed, revoked or mistyped, or belongs to \
                  another account or region.",
    verify: &["tail -n 200 LOG", "journalctl -u UNIT -n 200"],
    fixes: &[Fix::RenewCredential],
};

pub(super) const LicenceExpired: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's licence or enrolment has expired.",
        zh: "客户端的许可证或注册已过期。",
    },
    explanation: "The agent runs and connects, and is refused or does less than it should. Renew \
                  it with the maker or with whoever runs the server.",
    verify: &["tail -n 200 LOG", "journalctl -u UNIT -n 200"],
    fixes: &[Fix::RenewLicence],
};
