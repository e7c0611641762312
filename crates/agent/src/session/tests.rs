use super::*;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use data_encoding::HEXLOWER;
use model::{Reason, Verdict};
use protocol::answer::{Answer, BundleInfo, CheckReport};
use protocol::frame::{BundleAck, LeafResult, OrderKey, UpFrame, Welcome};
use protocol::order::{Order, sign};
use protocol::work::Work;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::identity::FIRST_KEY;
use crate::work::{Finished, Job, Stop};

mod bundles;
pub(crate) mod node;
mod orders;
mod progress;
mod restart;

use node::{HOST, Node, key, leaf, limited, order, order_key};

/// Length of the bundle that the work `bundle` leaves, in bytes: more than two pieces.
const BUNDLE_BYTES: usize = 300_000;

/// Work that a test commands by its name: `wait` runs until it is stopped, `tell` too, and has told something, `bundle` leaves a bundle,
/// `panic` breaks, anything else is done at once. A collection runs on the second attempt only.
async fn pretend(job: Job, runs_before: usize) -> Finished {
    let command = match &job.work {
        Work::Ops(work) => work.command.as_str(),
        Work::Assets(_) if runs_before == 0 => "wait",
        Work::Assets(_) | Work::Check(_) => "done",
    };
    match command {
        "panic" => panic!("odd"),
        "tell" => {
            job.progress.wrote(b"told\n");
            drop(job.stop.await);
            Finished::bare(Verdict::Fail, Reason::Cancelled, "")
        }
        "wait" => match job.stop.await {
            Ok(Stop::Cancelled) => Finished::bare(Verdict::Fail, Reason::Cancelled, ""),
            _ => Finished::bare(Verdict::Fail, Reason::AgentRestarted, ""),
        },
        "bundle" => with_bundle(&job.work_dir),
        _ => Finished::bare(Verdict::Success, Reason::None, "done"),
    }
}

fn bundle() -> Vec<u8> {
    (0..=250).cycle().take(BUNDLE_BYTES).collect()
}

fn with_bundle(dir: &Path) -> Finished {
    std::fs::create_dir_all(dir).unwrap();
    let path = dir.join("bundle.tar.gz");
    std::fs::write(&path, bundle()).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &bundle());
    let report = CheckReport {
        bundle: Some(BundleInfo {
            bytes: BUNDLE_BYTES as u64,
            sha256: HEXLOWER.encode(digest.as_ref()),
        }),
        ..CheckReport::default()
    };
    Finished {
        answer: Answer {
            check: Some(report),
            ..Answer::default()
        },
        bundle: Some(path),
        ..Finished::bare(Verdict::Success, Reason::None, "")
    }
}

struct Fixture {
    temp: tempfile::TempDir,
    node: Node,
    runs: Arc<AtomicUsize>,
}

struct Running {
    data: DataDir,
    stop: oneshot::Sender<()>,
    agent: JoinHandle<()>,
}

impl Running {
    /// As `kill -9` does, but that work in this process cannot be killed with it.
    async fn die(self) {
        self.agent.abort();
        assert!(self.agent.await.unwrap_err().is_cancelled());
        // A program that another test is starting has a copy of the lock until it is executed.
        while self.data.lock().is_err() {
            tokio::task::yield_now().await;
        }
    }
}

impl Fixture {
    async fn new() -> Self {
        let fixture = Self {
            temp: tempfile::tempdir().unwrap(),
            node: Node::start().await,
            runs: Arc::default(),
        };
        let identity = Identity {
            host_uuid: HOST.parse().unwrap(),
            server: fixture.node.endpoint(),
            pin: None,
            order_keys: fixture.node.order_keys(),
            key_name: FIRST_KEY.into(),
        };
        identity.save(&fixture.data()).unwrap();
        let key = AgentKey::generate().unwrap();
        key.save(&fixture.data(), FIRST_KEY).unwrap();
        fixture
    }

    fn data(&self) -> DataDir {
        DataDir::new(self.temp.path())
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    fn agent(&self, policy: Policy) -> Running {
        let runs = Arc::clone(&self.runs);
        let executor: Executor = Arc::new(move |job| {
            let before = runs.fetch_add(1, Ordering::SeqCst);
            Box::pin(pretend(job, before))
        });
        let data = self.data();
        let identity = Identity::load(&data).unwrap();
        let backoff = Backoff::between(1, 5, 1);
        let agent = Agent::with(data, identity, Arc::new(policy), executor, backoff).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = agent.run(async { drop(stopped.await) });
        Running {
            data: self.data(),
            stop,
            agent: tokio::spawn(run),
        }
    }
}

fn is(result: &LeafResult, status: u32, reason: &str) {
    assert_eq!((result.status, result.reason.as_str()), (status, reason));
}

fn message(result: &LeafResult) -> String {
    let answer: Answer = serde_json::from_slice(&result.answer).unwrap();
    answer.message
}

#[tokio::test]
async fn enrolment_stores_an_identity_once() {
    limited(async {
        let node = Node::start().await;
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::new(&temp.path().join("data"));
        let route = Route::new(node.endpoint(), None).unwrap();

        let (refused, ()) = tokio::join!(enrol(&data, &route, "bad", false), async {
            let mut peer = node.greet().await;
            peer.refuse(refusal::BAD_INSTALL_CODE, false).await;
        });
        assert!(matches!(refused, Err(Error::Refused { .. })));
        let first_key = AgentKey::load(&data, FIRST_KEY).unwrap();

        let (keyless, ()) = tokio::join!(enrol(&data, &route, "code", false), async {
            let mut peer = node.greet().await;
            peer.say(welcome(Vec::new())).await;
        });
        assert!(matches!(keyless, Err(Error::Protocol(_))));
        assert!(matches!(
            Identity::load(&data),
            Err(identity::Error::NotEnrolled)
        ));

        let (enrolled, peer) = tokio::join!(enrol(&data, &route, " code ", false), node.welcome());
        let identity = enrolled.unwrap();
        assert_eq!(peer.hello.install_code, "code");
        assert_eq!(peer.hello.host_uuid, "");
        assert_eq!(peer.hello.public_key, first_key.public());
        assert_eq!(identity.order_keys, node.order_keys());
        assert_eq!(Identity::load(&data).unwrap(), identity);

        let again = enrol(&data, &route, "code", false).await;
        assert!(matches!(again, Err(Error::AlreadyEnrolled(uuid)) if uuid == HOST));
    })
    .await;
}

#[tokio::test]
async fn an_enrolment_by_force_replaces_identity_and_key_in_one_step() {
    limited(async {
        let fixture = Fixture::new().await;
        let data = fixture.data();
        let route = Route::new(fixture.node.endpoint(), None).unwrap();
        let old = Identity::load(&data).unwrap();
        let old_key = AgentKey::load(&data, &old.key_name).unwrap();
        // As a crash between the new key and the new identity leaves it: the old one works.
        let stray = AgentKey::generate().unwrap();
        stray.save(&data, &stray.own_name()).unwrap();
        drop(Journal::open(&data.journal(), config::now()).unwrap());
        let agent = fixture.agent(Policy::default());
        let peer = fixture.node.accept().await;
        assert_eq!(peer.hello.public_key, old_key.public());
        agent.die().await;

        let forced = enrol(&data, &route, "code", true);
        let (forced, peer) = tokio::join!(forced, fixture.node.welcome());
        let new = forced.unwrap();
        assert_eq!(Identity::load(&data).unwrap(), new);
        let new_key = AgentKey::load(&data, &new.key_name).unwrap();
        assert_eq!(peer.hello.public_key, new_key.public());
        assert_ne!(new_key.public(), old_key.public());
        // The old identity's file would still have found its key until the new one was there.
        assert_ne!(new.key_name, old.key_name);
        assert_eq!(data.keys(), [data.key(&new.key_name)]);
        assert!(!data.journal().exists());
        let _agent = fixture.agent(Policy::default());
        let peer = fixture.node.accept().await;
        assert_eq!(peer.hello.public_key, new_key.public());
    })
    .await;
}

fn welcome(order_keys: Vec<OrderKey>) -> DownFrame {
    let host_uuid = HOST.into();
    DownFrame::Welcome(Welcome {
        host_uuid,
        order_keys,
        takes_progress: false,
    })
}

#[tokio::test]
async fn a_server_with_other_keys_than_at_enrolment_is_not_served() {
    limited(async {
        let fixture = Fixture::new().await;
        let enrolled = std::fs::read(fixture.data().identity()).unwrap();
        let _agent = fixture.agent(Policy::default());
        let signed = sign(&order(leaf(1), "done"), &key(2));
        let own = fixture.node.order_keys();
        let other = vec![order_key(&key(2))];
        let both = [own.clone(), other.clone()].concat();
        // The id of the enrolled key over another key.
        let mut posing = other.clone();
        posing[0].id.clone_from(&own[0].id);
        for keys in [other, both, posing, Vec::new()] {
            let mut peer = fixture.node.greet().await;
            peer.say_at_once([welcome(keys), DownFrame::Order(signed.clone())])
                .await;
            assert_eq!(peer.try_hear_any().await, None);
            let state = State::load(&fixture.data()).unwrap();
            assert!(!state.is_online && state.message.contains("enrol again with --force"));
        }
        assert_eq!(fixture.runs(), 0);

        // The agent did not give up: its own server finds it as it was.
        let mut peer = fixture.node.accept().await;
        assert_eq!(peer.hello.held_leaf_ids, Vec::<String>::new());
        peer.order(&fixture.node.sign(&order(leaf(1), "done")))
            .await;
        peer.receipt(leaf(1)).await;
        is(&peer.result(leaf(1)).await, 2, "");
        let now = std::fs::read(fixture.data().identity()).unwrap();
        assert_eq!(now, enrolled);
    })
    .await;
}

#[tokio::test]
async fn an_agent_tries_again_whatever_it_is_told_and_its_work_goes_on() {
    limited(async {
        let fixture = Fixture::new().await;
        let agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order(leaf(1), "wait")))
            .await;
        peer.receipt(leaf(1)).await;
        peer.refuse(refusal::REPLACED, false).await;
        drop(peer);
        let state = || State::load(&fixture.data()).unwrap();
        let why = || state().message;
        for (code, retry) in [
            (refusal::BUSY, true),
            (refusal::UNKNOWN_HOST, false),
            (refusal::UNKNOWN_HOST, false),
            (refusal::BAD_VERSION, false),
        ] {
            let mut peer = fixture.node.greet().await;
            assert_eq!(peer.hello.held_leaf_ids, [leaf(1).to_string()]);
            if code == refusal::BUSY {
                assert!(why().contains("another agent uses the same identity"));
                assert_eq!(state().refusal, refusal::REPLACED);
            }
            peer.refuse(code, retry).await;
        }
        let mut peer = fixture.node.greet().await;
        assert_eq!(why(), "the server refused: not you");
        assert_eq!(state().refusal, refusal::BAD_VERSION);
        peer.say(welcome(fixture.node.order_keys())).await;
        peer.cancel(leaf(1)).await;
        is(&peer.result(leaf(1)).await, 3, "cancelled");
        let state = state();
        assert!(state.is_online && state.refusal.is_empty() && state.replaced_ms.is_some());
        agent.stop.send(()).unwrap();
        peer.ack(leaf(1)).await;
        agent.agent.await.unwrap();
    })
    .await;
}
