//! The accept loop: connections in, TLS around them, HTTP/1.1 inside.
//!
//! Owns how many connections there are, and how long each may take over what it does.

mod handshake;
mod places;
mod stall;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::limits;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use crate::app::Peer;
use crate::gateway::plain;
use handshake::Handshakes;
pub(crate) use places::{Block, Place};
use places::{Places, connections_max};
use stall::Stall;

/// How TLS is spoken, and what those get who do not speak it.
pub(crate) struct Tls {
    /// With agents.
    pub(crate) agents: Arc<ServerConfig>,
    /// With everybody else.
    pub(crate) others: Arc<ServerConfig>,
    pub(crate) in_the_open: Router,
}

/// Accepts connections until `shutdown`, then waits for the requests that run.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    shutdown: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let places = Places::new(connections_max());
    let tls = tls.map(|it| {
        (
            Arc::new(Handshakes::new(it.agents, it.others)),
            it.in_the_open,
        )
    });
    let (handshakes, in_the_open) = tls.unzip();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, address, free) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = places.take(free, address.ip()) else {
            tracing::debug!(peer.address = %address, "too many connections of one address");
            continue;
        };
        let limit = Duration::from_millis(limits::WRITE_STALL_MS_MAX);
        let door = Door {
            peer: Peer {
                address: address.ip(),
                secure: handshakes.is_some(),
            },
            place: Arc::new(place),
            router: router.clone(),
            in_the_open: in_the_open.clone(),
        };
        let (handshakes, shutdown) = (handshakes.clone(), shutdown.clone());
        tasks.spawn(door.connection(Stall::new(stream, limit), handshakes, shutdown));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn accept(
    listener: &TcpListener,
    places: &Places,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let free = places.free().await?;
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true).ok();
    Ok((stream, address, free))
}

/// What one connection leads to.
struct Door {
    peer: Peer,
    place: Arc<Place>,
    router: Router,
    in_the_open: Option<Router>,
}

impl Door {
    async fn connection(
        mut self,
        stream: Stall<TcpStream>,
        handshakes: Option<Arc<Handshakes>>,
        shutdown: CancellationToken,
    ) {
        let Some(handshakes) = handshakes else {
            return self.http(stream, shutdown).await;
        };
        let address = self.peer.address;
        let limit = Duration::from_millis(limits::HANDSHAKE_MS_MAX);
        let accepting = async {
            match self.in_the_open.take() {
                Some(router) if speaks_http(stream.inner()).await => Ok(Err((stream, router))),
                _ => handshakes.accept(stream).await.map(Ok),
            }
        };
        match tokio::time::timeout(limit, accepting).await {
            Ok(Ok(Ok(stream))) => self.http(stream, shutdown).await,
            Ok(Ok(Err((stream, router)))) => {
                self.router = router;
                self.peer.secure = false;
                self.http(stream, shutdown).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(peer.address = %address, %error, "a TLS handshake failed")
            }
            Err(_) => tracing::debug!(peer.address = %address, "a TLS handshake took too long"),
        }
    }

    async fn http<S>(self, stream: S, shutdown: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = self.peer;
        let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            // A session holds the place for as long as it lives.
            request.extensions_mut().insert(Arc::clone(&self.place));
            let limit = Duration::from_millis(limits::REQUEST_MS_MAX);
            in_time(limit, self.router.clone().call(request))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(limits::REQUEST_HEAD_MS_MAX))
            .max_headers(limits::REQUEST_HEADERS_MAX)
            .max_buf_size(limits::REQUEST_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer.address = %peer.address, %error, "a connection broke");
        }
    }
}

/// Answers a request, body and all, within a time.
async fn in_time(
    limit: Duration,
    answer: impl Future<Output = Result<Response<Body>, Infallible>>,
) -> Result<Response<Body>, Infallible> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            let text = "the request took too long\n";
            let mut response = plain(StatusCode::REQUEST_TIMEOUT, text);
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            Ok(response)
        }
    }
}

/// Whether the first word is one of HTTP: a method, where TLS has a number (RFC 8446, 5.1).
async fn speaks_http(stream: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = stream.peek(&mut first).await;
    peeked.is_ok() && first.iter().all(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::any;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_request_that_never_ends_is_answered() {
        let never = std::future::pending();
        let answer = in_time(Duration::ZERO, never).await.unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(answer.headers()[header::CONNECTION], "close");
        let quick = async { Ok(plain(StatusCode::OK, "ok")) };
        let answer = in_time(Duration::from_secs(60), quick).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn who_speaks_no_tls_gets_what_is_in_the_open() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let private = made.signing_key.serialize_der();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![made.cert.der().clone()],
                rustls::pki_types::PrivateKeyDer::Pkcs8(private.into()),
            )
            .unwrap();
        let config = Arc::new(config);
        let tls = Tls {
            agents: Arc::clone(&config),
            others: config,
            in_the_open: Router::new().route("/open", any(async || "open")),
        };
        let router = Router::new().route("/secret", any(async || "secret"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, Some(tls), router, stop.clone()));
        for (path, status) in [("/open", "200 OK"), ("/secret", "404 Not Found")] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{answer}"
            );
        }
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_has_a_place_for_as_long_as_its_request_lives() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (places, mut taken) = tokio::sync::mpsc::channel(1);
        let router = Router::new().route(
            "/",
            any(async move |request: Request<Body>| {
                let place = request.extensions().get::<Arc<Place>>().cloned();
                places.send(place).await.unwrap();
                "ok"
            }),
        );
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, None, router, stop.clone()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let place = taken.recv().await.unwrap().unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        stop.cancel();
        serving.await.unwrap();
        assert_eq!(Arc::strong_count(&place), 1, "only the taker holds it");
    }
}
