//! The way through an HTTP proxy: `https_proxy`, `all_proxy`, `no_proxy`, in small letters first and then
//! in capitals, as curl reads them, and the CONNECT method (RFC 9110, 9.3.6).

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use data_encoding::BASE64;
use model::Network;
use percent_encoding::percent_decode_str;
use protocol::endpoint::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Error, dial};

/// Longest answer of a proxy that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 8 << 10;
/// Time that a proxy has for its answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Its name or address.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// `user:password` in Base64.
    login: Option<String>,
}

impl Proxy {
    /// The proxy that the environment names for TLS to `endpoint`.
    pub(super) fn from_environment(endpoint: &Endpoint) -> Result<Option<Self>, Error> {
        Self::named_by(endpoint, |name| std::env::var(name).ok())
    }

    /// The proxy for TLS to `endpoint` that these variables name.
    pub(crate) fn named_by(
        endpoint: &Endpoint,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Error> {
        let read = |names: &[&str]| {
            let mut values = names.iter().filter_map(|it| variable(it));
            values.find(|it| !it.is_empty()).unwrap_or_default()
        };
        let proxy = read(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
        let exempt = read(&["no_proxy", "NO_PROXY"]);
        let through = endpoint.tls && !endpoint.is_loopback() && !proxy.is_empty();
        if through && !is_exempt(&endpoint.host, &exempt) {
            Self::parse(&proxy).map(Some)
        } else {
            Ok(None)
        }
    }

    fn parse(text: &str) -> Result<Self, Error> {
        // The login is left out of the complaint: it ends up in logs.
        let (login, address) = match text.rsplit_once('@') {
            Some((head, address)) => (Some(head.trim_start_matches("http://")), address),
            None => (None, text.trim_start_matches("http://")),
        };
        let bad = || Error::BadProxy(address.to_owned());
        let is_other = |(scheme, _): (&str, &str)| scheme != "http";
        if text.split_once("://").is_some_and(is_other) || address.contains("://") {
            return Err(bad());
        }
        // An https address of the same form, for the sake of its parser.
        let parsed: Endpoint = format!("https://{address}").parse().map_err(|_| bad())?;
        let named = address
            .trim_end_matches('/')
            .ends_with(&format!(":{}", parsed.port));
        Ok(Self {
            host: parsed.host,
            port: if named { parsed.port } else { 80 },
            // In an address, what is special there is percent-encoded (RFC 3986, 3.2.1).
            login: login.map(|it| {
                let bytes: Vec<u8> = percent_decode_str(it).collect();
                BASE64.encode(&bytes)
            }),
        })
    }

    /// `HOST:PORT`.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// A connection to `endpoint` through this proxy.
    pub(super) async fn open(&self, endpoint: &Endpoint) -> Result<TcpStream, Error> {
        let mut stream = dial(&self.host, self.port).await?;
        let named = format!("the proxy {}", self.authority());
        let answer = timeout(ANSWER_TIME_MAX, self.ask(&mut stream, endpoint)).await;
        let answer = answer
            .map_err(|_| Error::TimedOut(named.clone()))?
            .map_err(|error| Error::Unreachable(named, error))?;
        let mut words = answer.split(' ');
        let is_http = words.next().is_some_and(|it| it.starts_with("HTTP/1."));
        if is_http && words.next().is_some_and(|it| it.starts_with('2')) {
            return Ok(stream);
        }
        Err(Error::ProxyRefused {
            proxy: self.authority(),
            answer: answer.escape_debug().take(200).collect(),
        })
    }

    /// Sends the request; the first line of the answer. Reads not one byte past the answer's head:
    /// what follows belongs to TLS.
    pub(crate) async fn ask(
        &self,
        stream: &mut TcpStream,
        endpoint: &Endpoint,
    ) -> io::Result<String> {
        let target = endpoint.authority();
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(login) = &self.login {
            request.push_str(&format!("Proxy-Authorization: Basic {login}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < ANSWER_BYTES_MAX {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head);
        Ok(head.lines().next().unwrap_or_default().to_owned())
    }
}

/// Without its login.
impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, .. } = self;
        match host.contains(':') {
            true => write!(f, "http://[{host}]:{port}"),
            false => write!(f, "http://{host}:{port}"),
        }
    }
}

/// Whether `no_proxy` covers the host: `*`, the host itself, a domain that it is under, or a network.
fn is_exempt(host: &str, list: &str) -> bool {
    list.split([',', ' ']).any(|item| {
        let domain = item.trim_start_matches("*.").trim_start_matches('.');
        let is_under = || {
            let cut = host.len().checked_sub(domain.len());
            let parts = cut.and_then(|it| host.split_at_checked(it));
            parts.is_some_and(|(head, tail)| {
                tail.eq_ignore_ascii_case(domain) && (head.is_empty() || head.ends_with('.'))
            })
        };
        item == "*" || (!domain.is_empty() && is_under()) || is_in_network(host, item)
    })
}

/// Whether the host is an address in the network, such as `10.0.0.0/8`.
fn is_in_network(host: &str, network: &str) -> bool {
    let (host, network) = (host.parse::<IpAddr>(), Network::parse(network));
    host.is_ok_and(|host| network.is_ok_and(|it| it.contains(host)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn addresses_read_with_and_without_login_and_port() {
        let proxy = |host: &str, port, login: Option<&str>| Proxy {
            host: host.into(),
            port,
            login: login.map(|it| BASE64.encode(it.as_bytes())),
        };
        for (text, expected) in [
            (
                "http://proxy.example:3128",
                proxy("proxy.example", 3128, None),
            ),
            ("proxy.example", proxy("proxy.example", 80, None)),
            (
                "http://proxy.example:443/",
                proxy("proxy.example", 443, None),
            ),
            ("http://u:p@h@[::1]:8", proxy("::1", 8, Some("u:p@h"))),
            ("http://u:p%40%2f@p:8", proxy("p", 8, Some("u:p@/"))),
        ] {
            assert_eq!(Proxy::parse(text).unwrap(), expected, "{text}");
        }
        for bad in ["https://p:1", "socks5://p:1", "http://u:secret@p:x"] {
            let error = Proxy::parse(bad).unwrap_err().to_string();
            assert!(error.contains("is not a proxy address"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn exemptions_are_hosts_and_domains() {
        let list =
            "localhost, .corp.example,DB.example *.web.example,10.0.0.0/8,fd00::/8,192.0.2.7";
        for host in [
            "localhost",
            "a.corp.example",
            "corp.example",
            "x.db.Example",
            "x.web.example",
            "10.255.0.1",
            "fd12::1",
            "192.0.2.7",
        ] {
            assert!(is_exempt(host, list), "{host}");
        }
        for host in [
            "example",
            "xcorp.example",
            "a.example",
            "11.0.0.1",
            "fe80::1",
            "::a00:1",
            "192.0.2.70",
        ] {
            assert!(!is_exempt(host, list), "{host}");
        }
        assert!(is_exempt("192.0.2.1", "0.0.0.0/0") && is_exempt("::1", "::/0"));
        assert!(!is_exempt("192.0.2.1", "0.0.0.0/33") && !is_exempt("10.0.0.1", "10.0.0.0/x"));
        assert!(is_exempt("any", "*"));
        assert!(!is_exempt("any", ""));
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let named = |endpoint: &str, set: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = set.iter().find(|(it, _)| *it == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let proxy = Proxy::named_by(&endpoint.parse().unwrap(), variable);
            proxy.unwrap().map(|it| it.host)
        };
        let remote = "https://sickbay.example:8443";
        let (small, capital) = (("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:1"));
        assert_eq!(named(remote, &[capital, small]).as_deref(), Some("a"));
        assert_eq!(
            named(remote, &[("https_proxy", ""), capital]).as_deref(),
            Some("b")
        );
        assert_eq!(named(remote, &[("ALL_PROXY", "c:1")]).as_deref(), Some("c"));
        assert_eq!(named(remote, &[("http_proxy", "http://d:1")]), None);
        assert_eq!(named(remote, &[small, ("NO_PROXY", ".example")]), None);
        assert_eq!(named("https://127.0.0.1:1", &[small]), None);
    }

    #[tokio::test]
    async fn a_refusal_of_the_proxy_is_told_in_its_words() {
        for (answer, opens) in [
            (
                "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n",
                true,
            ),
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false),
            ("SSH-2.0-Server\r\n\r\n", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 512];
                let read = stream.read(&mut head).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8_lossy(&head[..read]).into_owned()
            });
            let proxy = Proxy::parse(&format!("http://me:it@127.0.0.1:{port}")).unwrap();
            let opened = proxy
                .open(&"https://sickbay.example".parse().unwrap())
                .await;
            let request = server.await.unwrap();
            assert!(request.starts_with("CONNECT sickbay.example:443 HTTP/1.1\r\n"));
            assert!(request.contains("\r\nProxy-Authorization: Basic bWU6aXQ=\r\n"));
            match opened {
                Ok(_) => assert!(opens),
                Err(error) => assert!(
                    !opens && error.to_string().contains(answer.trim()),
                    "{error}"
                ),
            }
        }
    }
}
