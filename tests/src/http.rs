//! Requests made by hand, so that they can be wrong in every way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::sign::{Outgoing, canonical, sign_v1, sign_v3};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{ROOT_ID, ROOT_SECRET};
use crate::wait::PATIENCE;

/// Now, in ms since the Unix epoch.
///
/// # Panics
/// The clock stands before 1970.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "requests are signed with the machine's own time, as a client's are"
)]
pub fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time after 1970");
    i64::try_from(since.as_millis()).expect("a time that fits")
}

/// A text that no other call returns, for nonces and names.
#[must_use]
pub fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A request to be signed. Everything may be changed before it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// Host and port.
    pub host: String,
    /// HTTP method.
    pub method: String,
    /// Operation.
    pub action: String,
    /// Version of the API.
    pub version: String,
    /// Its parameters.
    pub params: Vec<(String, String)>,
    /// Id of the key.
    pub key_id: String,
    /// Secret of the key.
    pub secret: String,
    /// Token of a temporary key.
    pub token: Option<String>,
    /// When it is signed, in ms since the Unix epoch.
    pub date_ms: i64,
    /// The nonce.
    pub nonce: String,
}

impl Request {
    /// A request of the root key, made now.
    #[must_use]
    pub fn new(host: &str, action: &str, params: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            host: host.to_owned(),
            method: "POST".to_owned(),
            action: action.to_owned(),
            version: "2018-12-03".to_owned(),
            params: params.iter().map(owned).collect(),
            key_id: ROOT_ID.to_owned(),
            secret: ROOT_SECRET.to_owned(),
            token: None,
            date_ms: now_ms(),
            nonce: unique(),
        }
    }

    fn outgoing<'a>(&'a self, params: &'a [(String, String)]) -> Outgoing<'a> {
        Outgoing {
            method: &self.method,
            host: &self.host,
            action: &self.action,
            version: &self.version,
            params,
            access_key_id: &self.key_id,
            secret: &self.secret,
            security_token: self.token.as_deref(),
            date_ms: self.date_ms,
            nonce: &self.nonce,
        }
    }

    /// The query of a request with signature V1.
    #[must_use]
    pub fn query_v1(&self) -> String {
        sign_v1(&self.outgoing(&self.params))
    }

    /// Sends it with signature V3, the parameters in a form body.
    pub async fn send(&self) -> Reply {
        self.send_with(&[]).await
    }

    /// Sends it with signature V3 and further headers, which are not signed.
    pub async fn send_with(&self, more: &[(&str, &str)]) -> Reply {
        let pairs = self
            .params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let body = canonical::query(pairs);
        let signed = sign_v3(&self.outgoing(&[]), body.as_bytes());
        let headers = signed
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = headers.chain(more.iter().copied()).collect();
        Reply::to(&self.host, &self.method, "/", &headers, body.as_bytes()).await
    }

    /// Sends it with signature V1, the parameters in the query.
    pub async fn send_v1(&self) -> Reply {
        let target = format!("/?{}", self.query_v1());
        Reply::to(
            &self.host,
            &self.method,
            &target,
            &[("host", &self.host)],
            b"",
        )
        .await
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// What `host` answers to this, on a connection of its own.
    ///
    /// # Panics
    /// There is no answer.
    pub async fn to(
        host: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(body);
        let exchange = async {
            let mut stream = TcpStream::connect(host).await.expect("a connection");
            let mut answer = Vec::new();
            let (mut from, mut to) = stream.split();
            // A server that has seen enough answers and closes before it was told everything.
            let sending = async { to.write_all(&bytes).await.ok() };
            let receiving = async { from.read_to_end(&mut answer).await.ok() };
            tokio::join!(sending, receiving);
            answer
        };
        let answer = tokio::time::timeout(PATIENCE, exchange)
            .await
            .expect("an answer in time");
        Self::parse(&answer)
            .unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&answer)))
    }

    fn parse(answer: &[u8]) -> Option<Self> {
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
        let head = std::str::from_utf8(answer.get(..end)?).ok()?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = lines.filter_map(header).collect();
        let body = answer.get(end + 4..)?;
        let chunked = headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if chunked {
            unchunk(body)?
        } else {
            body.to_vec()
        };
        Some(Self {
            status,
            headers,
            body,
        })
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(it, _)| it == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|it| it == b"\r\n")?;
        let size = std::str::from_utf8(body.get(..end)?).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        let start = end + 2;
        whole.extend(body.get(start..start + size)?);
        body = body.get(start + size + 2..)?;
    }
}
