//! The way to a node: TCP, a proxy where the environment names one, TLS, WebSocket.
//!
//! Opens one connection and says exactly why it could not; never tries again and never speaks a
//! frame. `session`, enrolment and the checker call it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use model::limits;
use protocol::endpoint::Endpoint;
use protocol::tls::{self, Fingerprint};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::resolve;

pub(crate) mod proxy;

use proxy::Proxy;

/// Time to set up one TCP connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// How long one address is waited for before the next one is tried too (RFC 8305, 5).
const NEXT_ADDRESS_MS: u64 = 250;
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;
/// Buffers of an idle connection, in bytes.
const BUFFER_BYTES: usize = 4 << 10;

/// What a connection runs over: TCP, or TLS on it.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// An open connection.
pub type Socket = WebSocketStream<Box<dyn Wire>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name has no address.
    #[error("the name `{0}` cannot be resolved")]
    Resolve(String, #[source] resolve::Error),
    /// Nobody listens there.
    #[error("{0} refuses connections: is the server running there?")]
    Refused(String),
    /// No answer.
    #[error("{0} does not answer: a firewall or route may be in the way")]
    TimedOut(String),
    /// Any other failure of the network.
    #[error("{0} cannot be reached")]
    Unreachable(String, #[source] io::Error),
    /// The proxy in the environment is no address.
    #[error("`{0}` in the environment is not a proxy address: write http://HOST:PORT")]
    BadProxy(String),
    /// The proxy does not let it through.
    #[error("the proxy {proxy} refuses to connect to the server: {answer}")]
    ProxyRefused {
        /// Host and port of the proxy.
        proxy: String,
        /// The first line of its answer.
        answer: String,
    },
    /// Somebody else's certificate.
    #[error("the server's certificate is not the pinned one (expected {0})")]
    WrongPin(Fingerprint),
    /// The host has no trust to begin with.
    #[error("no secure connection can be made")]
    NoTrust(#[source] tls::Error),
    /// The TLS handshake failed.
    #[error("the secure connection to {0} failed")]
    Tls(String, #[source] io::Error),
    /// Something answers there that is no node.
    #[error("{server} answers, but is not a Sickbay server: {answer}")]
    NotASickbayServer {
        /// The server's address.
        server: String,
        /// What it said.
        answer: String,
    },
}

/// Where to connect and whom to trust there; made once and used for every connection.
#[derive(Clone)]
pub struct Route {
    endpoint: Endpoint,
    pin: Option<Fingerprint>,
    tls: Option<Arc<ClientConfig>>,
    proxy: Option<Proxy>,
}

impl Route {
    /// The route to `endpoint`, through the proxy that the environment names for it.
    ///
    /// # Errors
    /// [`Error::NoTrust`] or [`Error::BadProxy`].
    pub fn new(endpoint: Endpoint, pin: Option<Fingerprint>) -> Result<Self, Error> {
        let tls = match endpoint.tls {
            true => Some(tls::agent_config(pin).map_err(Error::NoTrust)?),
            false => None,
        };
        let proxy = Proxy::from_environment(&endpoint)?;
        Ok(Self {
            endpoint,
            pin,
            tls,
            proxy,
        })
    }

    /// The server.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The certificate to trust.
    #[must_use]
    pub const fn pin(&self) -> Option<Fingerprint> {
        self.pin
    }

    /// Opens a connection to the node's `/agent`.
    ///
    /// # Errors
    /// [`Error`] says at which step it failed.
    pub async fn open(&self) -> Result<Socket, Error> {
        let tcp = match &self.proxy {
            Some(proxy) => proxy.open(&self.endpoint).await?,
            None => dial(&self.endpoint.host, self.endpoint.port).await?,
        };
        let limit = Duration::from_millis(limits::HANDSHAKE_MS_MAX);
        let upgrade = async {
            let wire: Box<dyn Wire> = match &self.tls {
                Some(config) => self.secure(Arc::clone(config), tcp).await?,
                None => Box::new(tcp),
            };
            self.upgrade(wire).await
        };
        timeout(limit, upgrade)
            .await
            .map_err(|_| Error::TimedOut(self.endpoint.authority()))?
    }

    async fn secure(
        &self,
        config: Arc<ClientConfig>,
        tcp: TcpStream,
    ) -> Result<Box<dyn Wire>, Error> {
        let failed = |error| Error::Tls(self.endpoint.authority(), error);
        let name = ServerName::try_from(self.endpoint.host.clone())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        match TlsConnector::from(config).connect(name, tcp).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(match self.pin {
                Some(pin) if is_wrong_pin(&error) => Error::WrongPin(pin),
                _ => failed(error),
            }),
        }
    }

    async fn upgrade(&self, wire: Box<dyn Wire>) -> Result<Socket, Error> {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(Some(limits::FRAME_BYTES_MAX))
            .max_frame_size(Some(limits::FRAME_BYTES_MAX));
        let address = format!("ws://{}/agent", self.endpoint.authority());
        match client_async_with_config(address, wire, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(WsError::Io(error)) => Err(Error::Unreachable(self.endpoint.authority(), error)),
            Err(error) => Err(Error::NotASickbayServer {
                server: self.endpoint.to_string(),
                answer: match error {
                    WsError::Http(response) => format!("HTTP {}", response.status()),
                    other => other.to_string(),
                },
            }),
        }
    }
}

fn is_wrong_pin(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|it| it.downcast_ref());
    let ours = CertificateError::ApplicationVerificationFailure;
    matches!(cause, Some(rustls::Error::InvalidCertificate(it)) if *it == ours)
}

/// Connects to the first address of `host` that answers. Tries them one after the other, and does
/// not wait for the end of one before it begins with the next.
async fn dial(host: &str, port: u16) -> Result<TcpStream, Error> {
    let found = resolve::addresses(host).await;
    let found = found.map_err(|error| Error::Resolve(host.to_owned(), error))?;
    let addresses = found.addresses.into_iter().take(ADDRESSES_MAX);
    let trials = (0..).zip(addresses).map(|(number, address)| async move {
        tokio::time::sleep(Duration::from_millis(NEXT_ADDRESS_MS * number)).await;
        connect(SocketAddr::new(address, port)).await
    });
    let mut trials: FuturesUnordered<_> = trials.collect();
    let mut last = None;
    while let Some(tried) = trials.next().await {
        match tried {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::Resolve(host.to_owned(), resolve::Error::NoAddress)))
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Error> {
    let connecting = timeout(CONNECT_TIME_MAX, TcpStream::connect(address)).await;
    match connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => {
            // Frames are small and one waits for the other: without this each would wait too.
            stream.set_nodelay(true).ok();
            Ok(stream)
        }
        Err(error) => Err(match error.kind() {
            io::ErrorKind::ConnectionRefused => Error::Refused(address.to_string()),
            io::ErrorKind::TimedOut => Error::TimedOut(address.to_string()),
            _ => Error::Unreachable(address.to_string(), error),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn listener() -> (TcpListener, Endpoint) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, format!("http://{address}").parse().unwrap())
    }

    async fn open(endpoint: Endpoint) -> Error {
        let opened = Route::new(endpoint, None).unwrap().open().await;
        opened.err().unwrap()
    }

    #[tokio::test]
    async fn a_closed_port_and_an_unknown_name_are_told_apart() {
        let (listener, endpoint) = listener().await;
        drop(listener);
        assert!(matches!(open(endpoint).await, Error::Refused(_)));
        // Longer than a name may be, so that no resolver needs to be asked.
        let nowhere = dial(&"x".repeat(300), 1).await.unwrap_err();
        assert!(matches!(nowhere, Error::Resolve(..)));
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_keep_the_others_from_being_tried() {
        let (listener, endpoint) = listener().await;
        // `localhost` is ::1 too, where nobody listens on this port.
        let stream = dial("localhost", endpoint.port).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[tokio::test]
    async fn only_the_pinned_certificate_is_trusted() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let right = Fingerprint::of(&certificate);
        let private =
            rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], private)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        for (pin, opens) in [(right, true), (Fingerprint::of(b"another"), false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = format!("https://{}", listener.local_addr().unwrap());
            let acceptor = acceptor.clone();
            let server = tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = acceptor.accept(stream).await.ok()?;
                tokio_tungstenite::accept_async(stream).await.ok().map(drop)
            });
            let route = Route::new(endpoint.parse().unwrap(), Some(pin)).unwrap();
            match route.open().await {
                Ok(_) => assert!(opens),
                Err(error) => {
                    let line = format!("is not the pinned one (expected {pin})");
                    assert!(!opens && error.to_string().ends_with(&line), "{error}");
                }
            }
            assert_eq!(server.await.unwrap().is_some(), opens);
        }
    }

    #[tokio::test]
    async fn another_web_server_is_named_as_such() {
        let (listener, endpoint) = listener().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 512];
            let read = stream.read(&mut head).await.unwrap();
            assert!(head[..read].starts_with(b"GET /agent HTTP/1.1\r\n"));
            let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        });
        let error = open(endpoint).await;
        server.await.unwrap();
        assert!(error.to_string().ends_with("HTTP 404 Not Found"), "{error}");
    }
}
