//! One HTTP/1.1 connection to a server, with TLS or, on loopback, without.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use protocol::endpoint::Endpoint;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What the network or TLS said.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;
/// Sends requests into one connection.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// Time that a connection may take to stand, TLS included, in ms.
const CONNECT_MS_MAX: u64 = 10_000;

/// Connects. `tls` is there exactly if the endpoint speaks it.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Sender, Source> {
    let connecting = async {
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        stream.set_nodelay(true)?;
        let Some(config) = tls else {
            return start(stream).await;
        };
        let name = ServerName::try_from(endpoint.host.clone())?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name, stream).await;
        start(stream.map_err(|error| no_tls(error, endpoint))?).await
    };
    tokio::time::timeout(Duration::from_millis(CONNECT_MS_MAX), connecting)
        .await
        .map_err(|_| format!("no connection stood within {CONNECT_MS_MAX} ms"))?
}

/// What a handshake failed of; who answers in plain HTTP gives no other sign of it.
fn no_tls(error: std::io::Error, endpoint: &Endpoint) -> Source {
    use rustls::{Error, InvalidMessage};
    let said = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
    match said {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => format!(
            "the server speaks no TLS there, but plain HTTP perhaps: is it http://{}?",
            endpoint.authority()
        )
        .into(),
        _ => error.into(),
    }
}

async fn start<S>(stream: S) -> Result<Sender, Source>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the last sender; its error reaches the request that waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}
