//! The way through an HTTP proxy: `HTTPS_PROXY`, `NO_PROXY` and the CONNECT method (RFC 9110, 9.3.6).

use std::io;
use std::time::Duration;

use data_encoding::BASE64;
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
pub(super) struct Proxy {
    host: String,
    port: u16,
    /// `user:password` in Base64.
    login: Option<String>,
}

impl Proxy {
    /// The proxy that the environment names for TLS to `endpoint`.
    pub(super) fn from_environment(endpoint: &Endpoint) -> Result<Option<Self>, Error> {
        let read = |upper, lower| {
            let value = std::env::var(upper).or_else(|_| std::env::var(lower));
            value.unwrap_or_default()
        };
        let proxy = read("HTTPS_PROXY", "https_proxy");
        let exempt = read("NO_PROXY", "no_proxy");
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
        if text.starts_with("https://") || address.contains("://") {
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
            login: login.map(|it| BASE64.encode(it.as_bytes())),
        })
    }

    /// A connection to `endpoint` through this proxy.
    pub(super) async fn open(&self, endpoint: &Endpoint) -> Result<TcpStream, Error> {
        let mut stream = dial(&self.host, self.port).await?;
        let named = format!("the proxy {}:{}", self.host, self.port);
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
            proxy: format!("{}:{}", self.host, self.port),
            answer: answer.escape_debug().take(200).collect(),
        })
    }

    /// Sends the request; the first line of the answer. Reads not one byte past the answer's head:
    /// what follows belongs to TLS.
    async fn ask(&self, stream: &mut TcpStream, endpoint: &Endpoint) -> io::Result<String> {
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

/// Whether `NO_PROXY` covers the host: `*`, the host itself, or a domain that it is under.
fn is_exempt(host: &str, list: &str) -> bool {
    list.split(',').map(str::trim).any(|item| {
        let domain = item.trim_start_matches('.');
        let is_under = || {
            host.strip_suffix(domain)
                .is_some_and(|head| head.ends_with('.'))
        };
        item == "*" || (!domain.is_empty() && (host == domain || is_under()))
    })
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
        let list = "localhost, .corp.example,db.example";
        for host in [
            "localhost",
            "a.corp.example",
            "corp.example",
            "x.db.example",
        ] {
            assert!(is_exempt(host, list), "{host}");
        }
        for host in ["example", "xcorp.example", "a.example"] {
            assert!(!is_exempt(host, list), "{host}");
        }
        assert!(is_exempt("any", "*"));
        assert!(!is_exempt("any", ""));
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
