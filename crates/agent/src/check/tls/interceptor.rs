//! Who issues certificates in the place of servers: products that look into TLS, by the names that they
//! give their authorities.

/// Parts of issuers' names, in lower case: products, and what companies call their own.
const MARKS: [&str; 44] = [
    "zscaler",
    "fortinet",
    "fortigate",
    "palo alto networks",
    "pan-os",
    "blue coat",
    "bluecoat",
    "netskope",
    "sophos",
    "kaspersky",
    "cisco umbrella",
    "cisco secure access",
    "mcafee web gateway",
    "skyhigh",
    "barracuda",
    "check point",
    "sonicwall",
    "forcepoint",
    "websense",
    "squid",
    "mitmproxy",
    "charles proxy",
    "portswigger",
    "do_not_trust",
    "untangle",
    "watchguard",
    "iboss",
    "menlo security",
    "lightspeed",
    "avast",
    "avg web",
    "eset ssl",
    "bitdefender",
    "smoothwall",
    "contentkeeper",
    "sangfor",
    "trend micro",
    "tls inspection",
    "ssl inspection",
    "https inspection",
    "tls proxy",
    "ssl proxy",
    "decryption",
    "web gateway",
];

/// Whether an issuer's distinguished name is that of somebody who looks into TLS.
pub(super) fn is_known(issuer: &str) -> bool {
    let issuer = issuer.to_lowercase();
    MARKS.iter().any(|it| issuer.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspectors_are_known_and_authorities_are_not() {
        for issuer in [
            "CN=Corporate TLS Inspection CA",
            "CN=Zscaler Intermediate Root CA (zscaler.net),O=Zscaler Inc.,C=US",
            "CN=FG100D3G12345678,O=Fortinet,C=US",
            "CN=mitmproxy,O=mitmproxy",
        ] {
            assert!(is_known(issuer), "{issuer}");
        }
        for issuer in [
            "CN=R11,O=Let's Encrypt,C=US",
            "CN=Unknown Root",
            "CN=DigiCert Global G2 TLS RSA SHA256 2020 CA1",
        ] {
            assert!(!is_known(issuer), "{issuer}");
        }
    }
}
