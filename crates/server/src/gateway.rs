//! The agents' entrance: a WebSocket session per connected host or stand-alone checker.

mod greeting;
mod intake;
mod progress;
mod rates;
mod report;
mod session;
mod socket;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use model::LeafId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Peer};
use crate::listen::Place;
pub(crate) use rates::Purpose;
use rates::Rates;
use socket::{Socket, accept_key};

/// Owns the tasks of all sessions, so that a stopping node can wait for them.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    /// Every session runs in here.
    pub(crate) tasks: TaskTracker,
    /// Tells every session to end.
    pub(crate) shutdown: CancellationToken,
    next_session: std::sync::atomic::AtomicU64,
    pub(crate) rates: Rates,
    /// Leaves that a stand-alone checker is at.
    checked: Arc<Mutex<HashSet<LeafId>>>,
}

/// The turn of one stand-alone checker at a leaf; it ends when this is dropped.
struct CheckTurn {
    leaf: LeafId,
    checked: Arc<Mutex<HashSet<LeafId>>>,
}

impl Drop for CheckTurn {
    fn drop(&mut self) {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.remove(&self.leaf);
    }
}

impl Gateway {
    /// Lets one checker at a time be at a leaf.
    fn check_alone(&self, leaf: LeafId) -> Option<CheckTurn> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.insert(leaf).then(|| CheckTurn {
            leaf,
            checked: Arc::clone(&self.checked),
        })
    }

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
    let place = request.extensions().get::<Arc<Place>>().cloned();
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
        .map(|it| accept_key(it.as_bytes()));
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
                let socket = Socket::new(TokioIo::new(upgraded));
                session::run(in_session, socket, peer, place).await;
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

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use model::limits;
    use prost::Message as _;
    use protocol::frame::{
        Down, DownFrame, Hello, PROTOCOL_VERSION, Refused, Up, UpFrame, refusal,
    };
    use tokio::net::TcpStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_util::sync::CancellationToken;

    use crate::{Node, Options};

    /// What a node says to a stranger with these facts.
    async fn greeted(node: std::net::SocketAddr, facts: String) -> Refused {
        let stream = TcpStream::connect(node).await.unwrap();
        let address = format!("ws://{node}/agent");
        let (mut socket, _) = tokio_tungstenite::client_async(address, stream)
            .await
            .unwrap();
        let hello = Hello {
            version: PROTOCOL_VERSION,
            install_code: "code".to_owned(),
            facts,
            ..Hello::default()
        };
        let hello = Up::from(UpFrame::Hello(hello)).encode_to_vec();
        socket.send(Message::Binary(hello.into())).await.unwrap();
        loop {
            let Some(Ok(Message::Binary(bytes))) = socket.next().await else {
                panic!("no refusal");
            };
            match Down::decode(bytes).unwrap().frame.unwrap() {
                DownFrame::Challenge(_) => {}
                DownFrame::Refused(refused) => return refused,
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_greeting_has_facts_of_a_limited_size() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            data: folder.path().to_owned(),
            database: crate::Database::File,
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate: None,
            root_key: None,
            public_url: None,
            checker: folder.path().join("none"),
            roots_running_max: 1,
            retention: crate::Retention::default(),
        };
        let node = Node::open(options).await.unwrap();
        let address = node.address();
        let stop = CancellationToken::new();
        let running = tokio::spawn(node.run(stop.clone()));
        let most = " ".repeat(limits::FACTS_BYTES_MAX);
        let refused = greeted(address, most.clone()).await;
        assert_eq!(refused.code, refusal::BAD_IDENTITY, "the size is fine");
        let refused = greeted(address, most + " ").await;
        assert_eq!(refused.code, refusal::BAD_FRAME);
        assert!(refused.message.contains("too large"), "{refused:?}");
        stop.cancel();
        running.await.unwrap();
    }
}
