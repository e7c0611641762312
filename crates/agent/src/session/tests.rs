use super::*;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use data_encoding::HEXLOWER;
use model::{Reason, Verdict};
use protocol::answer::{Answer, BundleInfo, CheckReport};
use protocol::frame::{BundleAck, LeafResult, UpFrame};
use protocol::order::{Order, sign};
use protocol::work::Work;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::work::{Finished, Job, Stop};

pub(crate) mod node;

use node::{HOST, Node, key, leaf, limited, order};

/// Length of the bundle that the work `bundle` leaves, in bytes: more than two pieces.
const BUNDLE_BYTES: usize = 300_000;

/// Work that a test commands by its name: `wait` runs until it is stopped, `bundle` leaves a bundle,
/// anything else is done at once.
async fn pretend(job: Job) -> Finished {
    let Work::Ops(work) = job.work else {
        panic!("tests order commands only")
    };
    match work.command.as_str() {
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
    stop: oneshot::Sender<()>,
    agent: JoinHandle<Result<(), Error>>,
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
            order_keys: Vec::new(),
        };
        identity.save(&fixture.data()).unwrap();
        AgentKey::generate().unwrap().save(&fixture.data()).unwrap();
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
            runs.fetch_add(1, Ordering::SeqCst);
            Box::pin(pretend(job))
        });
        let data = self.data();
        let identity = Identity::load(&data).unwrap();
        let backoff = Backoff::between(1, 5, 1);
        let agent = Agent::with(data, identity, Arc::new(policy), executor, backoff).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = agent.run(async { drop(stopped.await) });
        Running {
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
        let first_key = AgentKey::load(&data).unwrap();

        let (enrolled, peer) = tokio::join!(enrol(&data, &route, " code ", false), node.accept());
        let identity = enrolled.unwrap();
        assert_eq!(peer.hello.install_code, "code");
        assert_eq!(peer.hello.host_uuid, "");
        assert_eq!(peer.hello.public_key, first_key.public());
        assert_eq!(identity.order_keys, node.order_keys());
        assert_eq!(Identity::load(&data).unwrap(), identity);

        let again = enrol(&data, &route, "code", false).await;
        assert!(matches!(again, Err(Error::AlreadyEnrolled(uuid)) if uuid == HOST));
        let (forced, peer) = tokio::join!(enrol(&data, &route, "code", true), node.accept());
        forced.unwrap();
        assert_ne!(peer.hello.public_key, first_key.public());
        let now = AgentKey::load(&data).unwrap();
        assert_eq!(peer.hello.public_key, now.public());
    })
    .await;
}

#[tokio::test]
async fn an_order_runs_once_however_often_it_is_sent() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        let signed = fixture.node.sign(&order(leaf(1), "done"));
        peer.order(&signed).await;
        peer.receipt(leaf(1)).await;
        let result = peer.result(leaf(1)).await;
        is(&result, 2, "");
        peer.order(&signed).await;
        assert_eq!(peer.result(leaf(1)).await, result);
        peer.ack(leaf(1)).await;
        peer.order(&signed).await;
        assert_eq!(peer.result(leaf(1)).await, result);
        assert_eq!(fixture.runs(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_unconfirmed_result_is_sent_again_on_the_next_session() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        assert_eq!(peer.hello.held_leaf_ids, Vec::<String>::new());
        peer.order(&fixture.node.sign(&order(leaf(1), "done")))
            .await;
        peer.receipt(leaf(1)).await;
        let result = peer.result(leaf(1)).await;
        drop(peer);

        let mut peer = fixture.node.accept().await;
        assert_eq!(peer.hello.held_leaf_ids, [leaf(1).to_string()]);
        assert_eq!(peer.result(leaf(1)).await, result);
        peer.ack(leaf(1)).await;
        // A refusal is answered after the acknowledgement was taken: then nothing is held.
        peer.order(&fixture.node.sign(&order(leaf(1), "done")))
            .await;
        peer.result(leaf(1)).await;
        drop(peer);
        let peer = fixture.node.accept().await;
        assert_eq!(peer.hello.held_leaf_ids, Vec::<String>::new());
        assert_eq!(fixture.runs(), 1);
    })
    .await;
}

#[tokio::test]
async fn orders_that_must_not_run_are_answered_and_do_not_run() {
    limited(async {
        let fixture = Fixture::new().await;
        let policy = Policy {
            commands: false,
            ..Policy::default()
        };
        let _agent = fixture.agent(policy);
        let mut peer = fixture.node.accept().await;
        let now = config::now().0;
        let good = || order(leaf(1), "done");
        let mut other_host = good();
        other_host.host_uuid = "inet-2".into();
        let mut late = order(leaf(2), "done");
        late.deadline_ms = now - 1_000;
        let mut future = order(leaf(3), "done");
        future.issued_ms = now + limits::CLOCK_WINDOW_MS + 60_000;
        let mut mismatch = order(leaf(4), "done");
        mismatch.task_type = 1;
        let mut unknown = order(leaf(5), "done");
        unknown.work = r#"{"kind":"dance"}"#.into();
        let forbidden = order(leaf(6), "done");
        let sound = |order: &Order| fixture.node.sign(order);
        let mut altered = sound(&good());
        altered.signature[0] ^= 1;
        for (signed, number, status, reason, word) in [
            (sign(&good(), &key(2)), 1, 3, "refused", "does not know"),
            (altered, 1, 3, "refused", "altered or forged"),
            (sound(&other_host), 1, 3, "refused", "another host"),
            (sound(&late), 2, 4, "deadline", "had passed"),
            (sound(&future), 3, 3, "refused", "in the future"),
            (sound(&mismatch), 4, 3, "refused", "not of its task type"),
            (sound(&unknown), 5, 3, "refused", "does not know such work"),
            (sound(&forbidden), 6, 3, "refused", "(commands)"),
        ] {
            peer.order(&signed).await;
            let result = peer.result(leaf(number)).await;
            is(&result, status, reason);
            assert!(message(&result).contains(word), "{}", message(&result));
        }
        assert_eq!(fixture.runs(), 0);
        drop(peer);
        // What nobody vouched for left no trace.
        let peer = fixture.node.accept().await;
        let held: Vec<String> = (2..=6).map(|it| leaf(it).to_string()).collect();
        assert_eq!(peer.hello.held_leaf_ids, held);
    })
    .await;
}

#[tokio::test]
async fn cancelling_ends_what_runs_and_what_waits() {
    limited(async {
        let fixture = Fixture::new().await;
        let policy = Policy {
            work_at_once_max: 1,
            ..Policy::default()
        };
        let _agent = fixture.agent(policy);
        let mut peer = fixture.node.accept().await;
        for number in [1, 2, 3] {
            let signed = fixture.node.sign(&order(leaf(number), "wait"));
            peer.order(&signed).await;
            peer.receipt(leaf(number)).await;
        }
        peer.cancel(leaf(2)).await;
        let result = peer.result(leaf(2)).await;
        is(&result, 3, "cancelled");
        assert_eq!(message(&result), "cancelled before it ran");
        assert_eq!(fixture.runs(), 1);
        // A repeat of what runs is confirmed and not started again.
        peer.order(&fixture.node.sign(&order(leaf(1), "wait")))
            .await;
        peer.receipt(leaf(1)).await;
        for number in [1, 3] {
            peer.cancel(leaf(number)).await;
            is(&peer.result(leaf(number)).await, 3, "cancelled");
        }
        assert_eq!(fixture.runs(), 2);
    })
    .await;
}

#[tokio::test]
async fn so_many_orders_may_wait_and_no_more() {
    limited(async {
        let fixture = Fixture::new().await;
        let policy = Policy {
            work_at_once_max: 1,
            ..Policy::default()
        };
        let _agent = fixture.agent(policy);
        let mut peer = fixture.node.accept().await;
        let most = u32::try_from(desk::ORDERS_WAITING_MAX).unwrap() + 1;
        for number in 1..=most {
            let signed = fixture.node.sign(&order(leaf(number), "wait"));
            peer.order(&signed).await;
            peer.receipt(leaf(number)).await;
        }
        let one_more = fixture.node.sign(&order(leaf(most + 1), "wait"));
        peer.order(&one_more).await;
        is(&peer.result(leaf(most + 1)).await, 3, "not_started");
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_stops_ends_its_work_and_reports_it() {
    limited(async {
        let fixture = Fixture::new().await;
        let agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order(leaf(1), "wait")))
            .await;
        peer.receipt(leaf(1)).await;
        agent.stop.send(()).unwrap();
        is(&peer.result(leaf(1)).await, 3, "agent_restarted");
        peer.ack(leaf(1)).await;
        assert_eq!(peer.try_hear().await, None);
        agent.agent.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn work_that_a_crash_cut_short_is_reported_and_not_run_again() {
    limited(async {
        let fixture = Fixture::new().await;
        let agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        let signed = fixture.node.sign(&order(leaf(1), "wait"));
        peer.order(&signed).await;
        peer.receipt(leaf(1)).await;
        agent.agent.abort();
        assert!(agent.agent.await.unwrap_err().is_cancelled());

        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        is(&peer.result(leaf(1)).await, 3, "agent_restarted");
        peer.order(&signed).await;
        is(&peer.result(leaf(1)).await, 3, "agent_restarted");
        assert_eq!(fixture.runs(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_bundle_arrives_before_its_result_and_resumes_on_a_new_session() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut arrived = Vec::new();
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order(leaf(1), "bundle")))
            .await;
        peer.receipt(leaf(1)).await;
        for session in 0..2 {
            let UpFrame::BundleOpen(open) = peer.hear().await else {
                panic!("no bundle")
            };
            assert_eq!(open.size, BUNDLE_BYTES as u64);
            while arrived.len() < BUNDLE_BYTES {
                peer.say(bundle_ack(arrived.len(), "")).await;
                let UpFrame::BundleChunk(chunk) = peer.hear().await else {
                    panic!("no piece")
                };
                assert_eq!(chunk.offset, arrived.len() as u64);
                assert!(chunk.data.len() <= limits::BUNDLE_CHUNK_BYTES);
                arrived.extend_from_slice(&chunk.data);
                if session == 0 {
                    break;
                }
            }
            if session == 0 {
                drop(peer);
                peer = fixture.node.accept().await;
            }
        }
        assert_eq!(arrived, bundle());
        peer.say(bundle_ack(arrived.len(), "")).await;
        is(&peer.result(leaf(1)).await, 2, "");
        assert!(!fixture.data().work().join(leaf(1).to_string()).exists());
    })
    .await;
}

#[tokio::test]
async fn a_bundle_that_is_not_wanted_does_not_hold_up_its_result() {
    limited(async {
        let fixture = Fixture::new().await;
        let _agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.order(&fixture.node.sign(&order(leaf(1), "bundle")))
            .await;
        peer.receipt(leaf(1)).await;
        assert!(matches!(peer.hear().await, UpFrame::BundleOpen(_)));
        peer.say(bundle_ack(0, "too large")).await;
        is(&peer.result(leaf(1)).await, 2, "");
    })
    .await;
}

fn bundle_ack(received: usize, refused: &str) -> DownFrame {
    DownFrame::BundleAck(BundleAck {
        leaf_id: leaf(1).to_string(),
        received: received as u64,
        refused: refused.into(),
    })
}

#[tokio::test]
async fn an_agent_tries_again_until_it_is_told_not_to() {
    limited(async {
        let fixture = Fixture::new().await;
        let agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.greet().await;
        peer.refuse(refusal::BUSY, true).await;
        drop(peer);
        let mut peer = fixture.node.greet().await;
        peer.refuse(refusal::UNKNOWN_HOST, false).await;
        let error = agent.agent.await.unwrap().unwrap_err();
        assert_eq!(chain(&error), "the server refused: not you");

        let agent = fixture.agent(Policy::default());
        let mut peer = fixture.node.accept().await;
        peer.refuse(refusal::REPLACED, false).await;
        let error = agent.agent.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Replaced));
    })
    .await;
}
