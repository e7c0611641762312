//! A small node for tests: greets as a real one does, and says and hears what the test wants.

use std::future::Future;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use model::{LeafId, RootId, UnixMillis};
use prost::Message as _;
use protocol::endpoint::Endpoint;
use protocol::frame::{
    Ack, Cancel, Challenge, Down, DownFrame, Heartbeat, Hello, LeafResult, OrderKey, Refused,
    SignedOrder, Up, UpFrame, Welcome, session_message,
};
use protocol::order::{Order, key_id, sign};
use protocol::work::{OpsWork, Work};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::config;

pub(crate) const HOST: &str = "inet-1";

/// Fails a test that hangs.
pub(crate) async fn limited<T>(test: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, test)
        .await
        .expect("the test hangs")
}

pub(crate) fn leaf(number: u32) -> LeafId {
    RootId::new(UnixMillis(1_700_000_000_000), [7; 6]).leaf(number)
}

/// An order that may run: a command, issued now, with an hour's time.
pub(crate) fn order(leaf: LeafId, command: &str) -> Order {
    let work = Work::Ops(OpsWork {
        command: command.into(),
        ..OpsWork::default()
    });
    let now = config::now().0;
    Order {
        leaf_id: leaf.to_string(),
        host_uuid: HOST.into(),
        task_type: 2,
        work: serde_json::to_string(&work).unwrap(),
        issued_ms: now,
        deadline_ms: now + 3_600_000,
        operator: "ops".into(),
        progress_ms: 0,
    }
}

pub(crate) struct Node {
    listener: TcpListener,
    key: Ed25519KeyPair,
}

pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
    pub(crate) hello: Hello,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            key: key(1),
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        let address = self.listener.local_addr().unwrap();
        format!("http://{address}").parse().unwrap()
    }

    pub(crate) fn sign(&self, order: &Order) -> SignedOrder {
        sign(order, &self.key)
    }

    pub(crate) fn order_keys(&self) -> Vec<OrderKey> {
        vec![order_key(&self.key)]
    }

    /// Takes a connection up to the greeting, whose signature it verifies.
    pub(crate) async fn greet(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut peer = Peer {
            socket: accept_async(stream).await.unwrap(),
            hello: Hello::default(),
        };
        let nonce = vec![9; 32];
        let challenge = Challenge {
            nonce: nonce.clone(),
            now_ms: config::now().0,
            version: 1,
        };
        peer.say(DownFrame::Challenge(challenge)).await;
        let UpFrame::Hello(hello) = peer.hear().await else {
            panic!("no greeting")
        };
        if hello.ticket.is_empty() {
            let message = session_message(&nonce, &hello.host_uuid);
            let public = UnparsedPublicKey::new(&ED25519, &hello.public_key);
            public.verify(&message, &hello.signature).unwrap();
        }
        peer.hello = hello;
        peer
    }

    /// Takes a connection and welcomes it.
    pub(crate) async fn welcome(&self) -> Peer {
        let mut peer = self.greet().await;
        let welcome = Welcome {
            host_uuid: HOST.into(),
            order_keys: self.order_keys(),
            takes_progress: true,
        };
        peer.say(DownFrame::Welcome(welcome)).await;
        peer
    }

    /// Opens a session, which it is when the agent has said that it is there.
    pub(crate) async fn accept(&self) -> Peer {
        let mut peer = self.welcome().await;
        let first = peer.try_hear_any().await;
        assert_eq!(first, Some(UpFrame::Heartbeat(Heartbeat { now_ms: 0 })));
        peer
    }
}

pub(crate) fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

pub(crate) fn order_key(key: &Ed25519KeyPair) -> OrderKey {
    let public_key = key.public_key().as_ref().to_vec();
    OrderKey {
        id: key_id(&public_key),
        public_key,
    }
}

impl Peer {
    /// Says several things before the agent can answer the first.
    pub(crate) async fn say_at_once(&mut self, frames: impl IntoIterator<Item = DownFrame>) {
        for frame in frames {
            let bytes = Down::from(frame).encode_to_vec();
            self.socket.feed(Message::binary(bytes)).await.unwrap();
        }
        self.socket.flush().await.unwrap();
    }

    pub(crate) async fn say(&mut self, frame: DownFrame) {
        let bytes = Down::from(frame).encode_to_vec();
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    pub(crate) async fn order(&mut self, order: &SignedOrder) {
        self.say(DownFrame::Order(order.clone())).await;
    }

    pub(crate) async fn cancel(&mut self, leaf: LeafId) {
        let leaf_id = leaf.to_string();
        self.say(DownFrame::Cancel(Cancel { leaf_id })).await;
    }

    pub(crate) async fn ack(&mut self, leaf: LeafId) {
        let leaf_id = leaf.to_string();
        self.say(DownFrame::Ack(Ack { leaf_id })).await;
    }

    pub(crate) async fn refuse(&mut self, code: &str, retry: bool) {
        let refused = Refused {
            code: code.into(),
            message: "not you".into(),
            retry,
            retry_after_ms: 0,
        };
        self.say(DownFrame::Refused(refused)).await;
    }

    /// Says what time it is by the node's clock.
    pub(crate) async fn beat(&mut self, now_ms: i64) {
        self.say(DownFrame::Heartbeat(Heartbeat { now_ms })).await;
    }

    /// The agent's next frame; `None`: the connection is closed.
    pub(crate) async fn try_hear_any(&mut self) -> Option<UpFrame> {
        loop {
            let message = self.socket.next().await?.ok()?;
            if let Message::Binary(bytes) = message {
                return Up::decode(bytes).unwrap().frame;
            }
        }
    }

    /// The agent's next frame but signs of life; `None`: the connection is closed.
    pub(crate) async fn try_hear(&mut self) -> Option<UpFrame> {
        loop {
            match self.try_hear_any().await? {
                UpFrame::Heartbeat(_) => {}
                frame => return Some(frame),
            }
        }
    }

    pub(crate) async fn hear(&mut self) -> UpFrame {
        self.try_hear().await.expect("the agent closed the session")
    }

    pub(crate) async fn receipt(&mut self, leaf: LeafId) {
        match self.hear().await {
            UpFrame::Receipt(receipt) => assert_eq!(receipt.leaf_id, leaf.to_string()),
            other => panic!("no receipt: {other:?}"),
        }
    }

    pub(crate) async fn result(&mut self, leaf: LeafId) -> LeafResult {
        match self.hear().await {
            UpFrame::Result(result) => {
                assert_eq!(result.leaf_id, leaf.to_string());
                result
            }
            other => panic!("no result: {other:?}"),
        }
    }
}
