use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use model::{HostUuid, RootId, TaskType, UnixMillis, limits};
use prost::Message as _;
use protocol::frame::{
    Down, DownFrame, Heartbeat, Hello, PROTOCOL_VERSION, Up, UpFrame, session_message,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use store::{NewHost, NewRoot};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::app::{App, Peer};
use crate::gateway::session;
use crate::gateway::socket::Socket;
use crate::{Node, Options};

#[test]
fn a_session_may_say_so_much_at_once_and_goes_on_when_time_has_gone_by() {
    let start = Instant::now();
    let mut allowance = Allowance::new(start);
    for _ in 0..SESSION_PROGRESS_FRAMES_MAX {
        assert!(allowance.spend(start));
    }
    assert!(!allowance.spend(start), "one too many");
    let later = start + Duration::from_secs(1);
    for _ in 0..SESSION_PROGRESS_PER_SECOND {
        assert!(allowance.spend(later));
    }
    assert!(!allowance.spend(later));
    let much_later = start + Duration::from_hours(1);
    for _ in 0..SESSION_PROGRESS_FRAMES_MAX {
        assert!(allowance.spend(much_later));
    }
    assert!(!allowance.spend(much_later), "no more than at once");
}

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn uuid(seed: u8) -> HostUuid {
    HostUuid::from_random([seed; 16])
}

/// A node with a task for the hosts 1 and 2.
struct House {
    app: App,
    root: RootId,
    _node: Node,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::open(Options {
            data: folder.path().to_owned(),
            database: crate::Database::File,
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate: None,
            root_key: None,
            public_url: None,
            checker: folder.path().join("none"),
            roots_running_max: 1,
            retention: crate::Retention::default(),
        });
        let node = node.await.unwrap();
        let app = node.app.clone();
        let now = app.clock.now();
        let mut hosts = Vec::new();
        for seed in [1, 2] {
            let new = NewHost {
                uuid: uuid(seed),
                public_key: key(seed).public_key().as_ref().to_vec(),
                name: format!("host-{seed}"),
                group: "default".to_owned(),
                labels: model::Labels::default(),
                facts: "{}".to_owned(),
                agent_version: "1".to_owned(),
                created_at: now,
            };
            hosts.push(app.store.host_add(new).await.unwrap());
        }
        let new = NewRoot {
            id: RootId::new(now, [9; 6]),
            task_type: TaskType::ClientDevOps,
            name: String::new(),
            source: String::new(),
            operator: "root".to_owned(),
            work: "{}".to_owned(),
            created_at: now,
            deadline: now.plus(3_600_000),
            request_key: "key".to_owned(),
            request_digest: [0; 32],
            rerun_of: None,
            plan: "".parse().unwrap(),
        };
        let created = app.store.root_create(new, hosts).await.unwrap();
        Self {
            app,
            root: created.id,
            _node: node,
            _folder: folder,
        }
    }

    fn noted(&self, leaf: LeafId) -> Option<String> {
        let progress = self.app.engine.progress.get(leaf);
        progress.map(|it| it.note.clone())
    }
}

/// An agent that says what it likes.
struct Hostile(WebSocketStream<DuplexStream>);

impl Hostile {
    /// Opens a session as host 1, up to the order of its leaf.
    async fn connect(house: &House) -> Self {
        let (near, far) = tokio::io::duplex(limits::FRAME_BYTES_MAX);
        let (app, socket) = (house.app.clone(), Socket::new(near));
        house.app.gateway.tasks.spawn(async move {
            session::run(app, socket, Peer::default(), None).await;
        });
        let mut agent = Self(WebSocketStream::from_raw_socket(far, Role::Client, None).await);
        let DownFrame::Challenge(challenge) = agent.hear().await else {
            panic!("no challenge")
        };
        let uuid = uuid(1).to_string();
        let message = session_message(&challenge.nonce, &uuid);
        let hello = Hello {
            version: PROTOCOL_VERSION,
            public_key: key(1).public_key().as_ref().to_vec(),
            signature: key(1).sign(&message).as_ref().to_vec(),
            host_uuid: uuid,
            facts: "{}".to_owned(),
            ..Hello::default()
        };
        agent.say(UpFrame::Hello(hello)).await;
        let DownFrame::Welcome(welcome) = agent.hear().await else {
            panic!("no welcome")
        };
        assert!(welcome.takes_progress);
        agent.say(UpFrame::Heartbeat(Heartbeat { now_ms: 0 })).await;
        while !matches!(agent.hear().await, DownFrame::Order(_)) {}
        agent
    }

    async fn say(&mut self, frame: UpFrame) {
        let bytes = Up::from(frame).encode_to_vec();
        self.0.send(Message::binary(bytes)).await.unwrap();
    }

    async fn hear(&mut self) -> DownFrame {
        loop {
            if let Message::Binary(bytes) = self.0.next().await.unwrap().unwrap() {
                return Down::decode(bytes).unwrap().frame.unwrap();
            }
        }
    }

    async fn tell(&mut self, leaf_id: String, note: &str) {
        let note = note.to_owned();
        let frame = Progress {
            leaf_id,
            note,
            ..Progress::default()
        };
        self.say(UpFrame::Progress(frame)).await;
    }

    /// Waits until everything that was said has been taken: frames are taken in order.
    async fn is_heard(&mut self) {
        self.say(UpFrame::Heartbeat(Heartbeat { now_ms: 0 })).await;
        while !matches!(self.hear().await, DownFrame::Heartbeat(_)) {}
    }
}

#[tokio::test]
async fn a_host_says_what_its_own_leaves_do_while_they_run_and_of_no_others() {
    let house = House::new().await;
    let mut agent = Hostile::connect(&house).await;
    let (own, other) = (house.root.leaf(1), house.root.leaf(2));
    let unknown = RootId::new(UnixMillis(5), [5; 6]).leaf(1);
    let changes = house.app.store.generation();
    for leaf in [own, other, unknown] {
        agent.tell(leaf.to_string(), "first\u{1b}[2J").await;
    }
    agent.is_heard().await;
    assert_eq!(house.noted(own).as_deref(), Some("first\u{fffd}[2J"));
    assert_eq!((house.noted(other), house.noted(unknown)), (None, None));
    agent.tell(own.to_string(), "second").await;
    agent.is_heard().await;
    assert_eq!(house.noted(own).as_deref(), Some("second"));
    assert_eq!(house.app.store.generation(), changes, "nothing is stored");

    let result = protocol::frame::LeafResult {
        leaf_id: own.to_string(),
        status: 2,
        ..Default::default()
    };
    agent.say(UpFrame::Result(result)).await;
    agent.tell(own.to_string(), "late").await;
    agent.is_heard().await;
    assert_eq!(house.noted(own), None);
}
