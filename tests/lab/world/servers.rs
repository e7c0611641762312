//! Servers that misbehave, each at an address of its own, and those of other vendors.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, Issued, Wish};
use super::{Answers, address, dns, ip};

/// Addresses of the world, by the last byte; the control plane has `.1`.
pub(crate) mod at {
    /// The certificate expired.
    pub(crate) const EXPIRED: u8 = 11;
    /// The certificate is not valid yet.
    pub(crate) const NOT_YET: u8 = 12;
    /// The certificate is another server's.
    pub(crate) const OTHER_NAME: u8 = 13;
    /// The certificate is from an authority that nobody knows.
    pub(crate) const UNTRUSTED: u8 = 14;
    /// The certificate is from a proxy that looks into TLS.
    pub(crate) const INTERCEPTED: u8 = 15;
    /// Plain HTTP.
    pub(crate) const NO_TLS: u8 = 16;
    /// A sound certificate, and an answer that the server behind it is gone.
    pub(crate) const GATEWAY: u8 = 17;
    /// Connections are accepted and nothing is ever said.
    pub(crate) const MUTE: u8 = 18;
    /// Nobody listens.
    pub(crate) const CLOSED: u8 = 19;
    /// A proxy, on several ports: 3128 works, 3129 wants a password, 3130 forbids, 3131 is mute.
    pub(crate) const PROXY: u8 = 60;
    /// A Zabbix server.
    pub(crate) const ZABBIX: u8 = 70;
    /// A server that takes logs.
    pub(crate) const LOGS: u8 = 71;
}

/// Starts all of them, and the name server.
pub(super) async fn start(authority: &Authority, answers: &Answers) -> anyhow::Result<()> {
    for last in [
        53,
        at::EXPIRED,
        at::NOT_YET,
        at::OTHER_NAME,
        at::UNTRUSTED,
        at::INTERCEPTED,
        at::NO_TLS,
        at::GATEWAY,
        at::MUTE,
        at::CLOSED,
        at::PROXY,
        at::ZABBIX,
        at::LOGS,
    ] {
        ip(&[
            "address",
            "add",
            &format!("{}/32", address(last)),
            "dev",
            "lo",
        ])
        .await?;
    }
    let names = UdpSocket::bind((address(53), 53)).await?;
    tokio::spawn(dns::serve(names, Arc::clone(answers)));
    let stranger = Authority::new("Unknown Root")?;
    let inspector = Authority::new("Corporate TLS Inspection CA")?;
    let expired = Wish {
        days: Some([(2020, 1, 1), (2021, 1, 1)]),
        ..Wish::default()
    };
    let not_yet = Wish {
        days: Some([(2090, 1, 1), (2091, 1, 1)]),
        ..Wish::default()
    };
    let other_name = Wish {
        name: "other.lab",
        ..Wish::default()
    };
    for (last, issued) in [
        (at::EXPIRED, authority.issue(&expired)?),
        (at::NOT_YET, authority.issue(&not_yet)?),
        (at::OTHER_NAME, authority.issue(&other_name)?),
        (at::UNTRUSTED, stranger.issue(&Wish::default())?),
        (at::INTERCEPTED, inspector.issue(&Wish::default())?),
        (at::GATEWAY, authority.issue(&Wish::default())?),
    ] {
        let acceptor = acceptor(&issued)?;
        listen(last, 8443, move |stream| gateway(acceptor.clone(), stream)).await?;
    }
    listen(at::NO_TLS, 8443, plain).await?;
    listen(at::MUTE, 8443, mute).await?;
    listen(at::PROXY, 3128, |stream| proxy(stream, None)).await?;
    listen(at::PROXY, 3129, |stream| {
        proxy(stream, Some("407 Proxy Authentication Required"))
    })
    .await?;
    listen(at::PROXY, 3130, |stream| {
        proxy(stream, Some("403 Forbidden"))
    })
    .await?;
    listen(at::PROXY, 3131, mute).await?;
    listen(at::ZABBIX, 10051, zabbix).await?;
    listen(at::LOGS, 514, swallow).await
}

async fn listen<F>(
    last: u8,
    port: u16,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> anyhow::Result<()>
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let at = SocketAddr::new(address(last).into(), port);
    let listener = TcpListener::bind(at)
        .await
        .with_context(|| format!("listening at {at}"))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that goes away is no fault of the laboratory.
            tokio::spawn(serve(stream));
        }
    });
    Ok(())
}

fn acceptor(issued: &Issued) -> anyhow::Result<TlsAcceptor> {
    let key = PrivateKeyDer::try_from(issued.key_der.clone()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(issued.der.clone())], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn gateway(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    stream.read(&mut [0; 4096]).await.map(drop)?;
    stream
        .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await?;
    stream.shutdown().await
}

async fn plain(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0; 4096]).await.map(drop)?;
    stream
        .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await
}

async fn mute(mut stream: TcpStream) -> std::io::Result<()> {
    swallow_all(&mut stream).await
}

async fn swallow(mut stream: TcpStream) -> std::io::Result<()> {
    swallow_all(&mut stream).await
}

async fn swallow_all(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

/// CONNECT to the control plane, or a refusal.
async fn proxy(mut stream: TcpStream, refusal: Option<&'static str>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|it| it == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    if let Some(why) = refusal {
        let challenge = "Proxy-Authenticate: Basic realm=\"lab\"";
        let answer = format!(
            "HTTP/1.1 {why}\r\n{challenge}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        return stream.write_all(answer.as_bytes()).await;
    }
    let mut server = TcpStream::connect((address(1), 8443)).await?;
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    copy_bidirectional(&mut stream, &mut server).await.map(drop)
}

/// Answers every request of an agent with "nothing to do" (the protocol's header, and JSON).
async fn zabbix(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0; 16_384]).await.map(drop)?;
    let body = br#"{"response":"success","data":[]}"#;
    let mut answer = b"ZBXD\x01".to_vec();
    answer.extend(u64::try_from(body.len()).unwrap_or(0).to_le_bytes());
    answer.extend(body);
    stream.write_all(&answer).await
}
