//! The secure connection to the server. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Critical, Warning};
use crate::{Fix, Text};

pub(super) const CertificateExpired: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server's certificate has expired.",
        zh: "服务器证书已过期。",
    },
    explanation: "No careful client speaks to the server until it has a new one, so usually many \
                  hosts go offline at once. If this host's clock is wrong, that is named as a \
                  cause too and comes first.",
    verify: &["openssl s_client -connect ENDPOINT </dev/null | openssl x509 -noout -dates"],
    fixes: &[Fix::RenewCertificate, Fix::SynchroniseClock],
};

pub(super) const CertificateUntrusted: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server's certificate is not the pinned one and not trusted.",
        zh: "服务器证书与固定的证书不符且不受信任。",
    },
    explanation: "Whoever answers cannot prove to be the server that this host was enrolled with. \
                  The certificate was replaced, the name points to another machine, or something \
                  on the way answers in the server's place.",
    verify: &["openssl s_client -connect ENDPOINT -showcerts </dev/null"],
    fixes: &[Fix::StopInterception, Fix::RenewCertificate],
};

pub(super) const HandshakeFailed: About = About {
    severity: Critical,
    sentence: Text {
        en: "The TLS handshake with the server fails.",
        zh: "与服务器的 TLS 握手失败。",
    },
    explanation: "The connection opens, but the two do not agree on how to speak securely, or it \
                  is cut in the middle. The port may belong to a service without TLS, or a filter \
                  on the way ends such connections.",
    verify: &["openssl s_client -connect ENDPOINT </dev/null"],
    fixes: &[Fix::CheckServer, Fix::StopInterception],
};

pub(super) const CertificateEndsSoon: About = About {
    severity: Warning,
    sentence: Text {
        en: "The server's certificate expires within 14 days.",
        zh: "服务器证书将在 14 天内过期。",
    },
    explanation: "All is well until then; after it every host that relies on the certificate goes \
                  offline at the same time. Its automatic renewal has probably failed.",
    verify: &["openssl s_client -connect ENDPOINT </dev/null | openssl x509 -noout -enddate"],
    fixes: &[Fix::RenewCertificate],
};

pub(super) const CertificateWrongName: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server's certificate is for another name.",
        zh: "服务器证书的名称不匹配。",
    },
    explanation: "The agent connects by a name that does not stand in the certificate. The \
                  configuration uses an alias or an address, or the name leads to another server.",
    verify: &[
        "openssl s_client -connect ENDPOINT </dev/null | openssl x509 -noout -ext subjectAltName",
    ],
    fixes: &[Fix::RenewCertificate, Fix::MendConfiguration],
};

pub(super) const CertificateNotYetValid: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server's certificate is not yet valid.",
        zh: "服务器证书尚未生效。",
    },
    explanation: "Its time of validity begins in the future. Either this host's clock is behind, \
                  which is by far the usual reason, or the issuer's is ahead.",
    verify: &[
        "openssl s_client -connect ENDPOINT </dev/null | openssl x509 -noout -startdate",
        "date -u",
    ],
    fixes: &[Fix::SynchroniseClock, Fix::RenewCertificate],
};

pub(super) const AuthorityUnknown: About = About {
    severity: Critical,
    sentence: Text {
        en: "The server's certificate comes from an authority that this host does not trust.",
        zh: "签发服务器证书的机构不受本机信任。",
    },
    explanation: "The chain ends at an issuer that is not in the host's trust store, or an \
                  intermediate certificate is not sent. Private authorities must be installed on \
                  each host.",
    verify: &["openssl s_client -connect ENDPOINT -showcerts </dev/null"],
    fixes: &[Fix::InstallAuthorities, Fix::RenewCertificate],
};

pub(super) const ConnectionIntercepted: About = About {
    severity: Critical,
    sentence: Text {
        en: "A device on the way answers in the server's place and reads the traffic.",
        zh: "途中的设备冒充服务器并解密流量。",
    },
    explanation: "The certificate was issued by a known inspection product or by the \
                  organisation's own proxy authority. Agents that pin their server refuse this, \
                  and they should.",
    verify: &["openssl s_client -connect ENDPOINT </dev/null | openssl x509 -noout -issuer"],
    fixes: &[Fix::StopInterception],
};

pub(super) const ClientCertificateExpired: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's own certificate has expired.",
        zh: "客户端自身的证书已过期。",
    },
    explanation: "The server refuses the connection during or right after the handshake. The host \
                  was off for long, its renewal failed, or its clock was wrong.",
    verify: &["openssl x509 -noout -enddate -in PATH"],
    fixes: &[Fix::RenewCredential],
};

pub(super) const TlsVersionUnsupported: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent and the server have no version of TLS in common.",
        zh: "客户端与服务器没有共同支持的 TLS 版本。",
    },
    explanation: "The handshake ends with a protocol version alert. One side is very old, or a \
                  policy on one side forbids what the other needs.",
    verify: &[
        "openssl s_client -connect ENDPOINT -tls1_2 </dev/null",
        "openssl s_client -connect ENDPOINT -tls1_3 </dev/null",
    ],
    fixes: &[Fix::UpgradeAgent, Fix::CheckServer],
};

pub(super) const AuthoritiesMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "The host's store of trusted certificate authorities is missing or empty.",
        zh: "主机的受信任证书颁发机构库缺失或为空。",
    },
    explanation: "Programs that check certificates trust nobody then, and every TLS connection \
                  fails. The package ca-certificates is not installed, as in slim images, or its \
                  files were removed.",
    verify: &["ls -l /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt"],
    fixes: &[Fix::InstallAuthorities],
};
