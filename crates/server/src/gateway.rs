//! The agents' entrance: a WebSocket session per connected host or stand-alone checker.

mod greeting;
mod session;
mod socket;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Peer};
use socket::Socket;

/// Owns the tasks of all sessions, so that a stopping node can wait for them.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    /// Every session runs in here.
    pub(crate) tasks: TaskTracker,
    /// Tells every session to end.
    pub(crate) shutdown: CancellationToken,
    next_session: std::sync::atomic::AtomicU64,
}

impl Gateway {
    fn next_id(&self) -> u64 {
        self.next_session
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}

/// Upgrades a connection to a session (RFC 6455, section 4.2).
pub(crate) async fn agent_door(
    State(app): State<App>,
    mut request: Request<Body>,
) -> Response<Body> {
    let peer = request
        .extensions()
        .get::<Peer>()
        .copied()
        .unwrap_or_default();
    let headers = request.headers();
    let says = |name: header::HeaderName, word: &str| {
        let value = headers.get(name).and_then(|it| it.to_str().ok());
        value.is_some_and(|it| {
            it.split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(word))
        })
    };
    let asks = says(header::CONNECTION, "upgrade")
        && says(header::UPGRADE, "websocket")
        && says(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .map(|it| derive_accept_key(it.as_bytes()));
    let (true, Some(accept)) = (asks, key) else {
        return plain(
            StatusCode::UPGRADE_REQUIRED,
            "agents connect here by WebSocket\n",
        );
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let in_session = app.clone();
    app.gateway.tasks.spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let socket = Socket::new(TokioIo::new(upgraded), Role::Server).await;
                session::run(in_session, socket, peer).await;
            }
            Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
        }
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Body::empty());
    response.unwrap_or_else(|_| plain(StatusCode::BAD_REQUEST, "the WebSocket key is not valid\n"))
}

/// A plain text answer.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
