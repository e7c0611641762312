//! How leaves end when hosts do not answer, on a real store and a clock that the test moves.

pub(super) mod fleet;

use std::sync::atomic::{AtomicI64, Ordering};

use model::{HostUuid, Plan, Reason, TaskType};
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use store::{NewHost, NewRoot, SqliteStore};

use super::*;

pub(super) const START: UnixMillis = UnixMillis(1_800_000_000_000);
const HOUR_MS: i64 = 3_600_000;

#[derive(Default)]
pub(super) struct TestClock(pub(super) AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        START.plus(self.0.load(Ordering::SeqCst))
    }
}

/// A node that starts now.
pub(super) fn engine(store: &Arc<dyn Store>, clock: &Arc<TestClock>) -> Engine {
    let order = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let signer = Signer::new(order, hmac::Key::new(hmac::HMAC_SHA256, b"key"));
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    Engine::new(Arc::clone(store), clock, Arc::new(signer))
}

struct House {
    store: Arc<dyn Store>,
    clock: Arc<TestClock>,
    host: HostNo,
    uuid: HostUuid,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let uuid = HostUuid::from_random([1; 16]);
        let new = NewHost {
            uuid: uuid.clone(),
            public_key: vec![1; 32],
            name: "a".to_owned(),
            group: "default".to_owned(),
            labels: model::Labels::default(),
            facts: "{}".to_owned(),
            agent_version: "1".to_owned(),
            created_at: START,
        };
        Self {
            host: store.host_add(new).await.unwrap(),
            clock: Arc::default(),
            store,
            uuid,
            _folder: folder,
        }
    }

    /// A node that starts now.
    fn engine(&self) -> Engine {
        engine(&self.store, &self.clock)
    }

    /// A command for the host, which has until `deadline_ms` after the start.
    async fn command(&self, deadline_ms: i64) -> LeafId {
        let new = NewRoot {
            id: RootId::new(START, [9; 6]),
            task_type: TaskType::ClientDevOps,
            name: String::new(),
            source: String::new(),
            operator: "root".to_owned(),
            work: "{}".to_owned(),
            created_at: self.clock.now(),
            deadline: START.plus(deadline_ms),
            request_key: "key".to_owned(),
            request_digest: [0; 32],
            rerun_of: None,
            plan: Plan::default(),
        };
        let created = self.store.root_create(new, vec![self.host]).await.unwrap();
        created.id.leaf(1)
    }

    async fn happens(&self, leaf: LeafId, event: Event) {
        let events = vec![event_of(leaf, event)];
        let applied = self.store.leaf_apply_many(events, self.clock.now()).await;
        applied.unwrap().pop().unwrap().unwrap();
    }

    async fn at(&self, engine: &Engine, ms: i64) {
        self.clock.0.store(ms, Ordering::SeqCst);
        engine.round(true).await.unwrap();
    }

    async fn end(&self, leaf: LeafId) -> (Status, Reason) {
        let state = self.store.leaf_get(leaf).await.unwrap().unwrap().state;
        (state.status, state.reason)
    }
}

#[tokio::test]
async fn a_cancelled_task_ends_as_cancelled_though_its_deadline_passes_first() {
    let house = House::new().await;
    let engine = house.engine();
    let leaf = house.command(1_000).await;
    house.happens(leaf, Event::Delivered).await;
    house.store.root_cancel(leaf.root, START).await.unwrap();
    let just_before = limits::CANCEL_GRACE_MS - 1;
    house.at(&engine, just_before).await;
    assert_eq!(house.end(leaf).await, (Status::Dispatch, Reason::None));
    house.at(&engine, limits::CANCEL_GRACE_MS).await;
    assert_eq!(house.end(leaf).await, (Status::Fail, Reason::Cancelled));
}

#[tokio::test]
async fn a_host_has_its_grace_after_the_deadline_and_no_more() {
    let house = House::new().await;
    let engine = house.engine();
    let leaf = house.command(1_000).await;
    house.happens(leaf, Event::Delivered).await;
    let last = 1_000 + limits::DEADLINE_GRACE_MS;
    house.at(&engine, last - 1).await;
    assert_eq!(house.end(leaf).await, (Status::Dispatch, Reason::None));
    house.at(&engine, last).await;
    assert_eq!(house.end(leaf).await, (Status::Timeout, Reason::Deadline));
}

#[tokio::test]
async fn a_node_that_starts_anew_gives_hosts_time_to_hand_over() {
    for cancelled in [false, true] {
        let house = House::new().await;
        let leaf = house.command(1_000).await;
        house.happens(leaf, Event::Delivered).await;
        if cancelled {
            house.store.root_cancel(leaf.root, START).await.unwrap();
        }
        house.clock.0.store(HOUR_MS, Ordering::SeqCst);
        let engine = house.engine();
        house.at(&engine, HOUR_MS + limits::SETTLE_MS - 1).await;
        assert_eq!(house.end(leaf).await.0, Status::Dispatch, "{cancelled}");
        house.at(&engine, HOUR_MS + limits::SETTLE_MS).await;
        let status = if cancelled {
            Status::Fail
        } else {
            Status::Timeout
        };
        assert_eq!(house.end(leaf).await.0, status);
    }
}

#[tokio::test]
async fn a_command_that_may_have_arrived_is_not_taken_back_when_sending_it_again_fails() {
    let house = House::new().await;
    let engine = house.engine();
    let leaf = house.command(HOUR_MS).await;
    house.happens(leaf, Event::Taken).await;
    let line = Arc::new(Line::default());
    line.close();
    let session = Session {
        id: 1,
        uuid: house.uuid.clone(),
        line,
    };
    assert!(engine.sessions.add(house.host, session));
    house.at(&engine, CONFIRM_MS).await;
    assert_eq!(house.end(leaf).await.0, Status::Start);
    house.at(&engine, HOUR_MS + limits::DEADLINE_GRACE_MS).await;
    let ended = (Status::Timeout, Reason::NotConfirmed);
    assert_eq!(house.end(leaf).await, ended);
}

#[tokio::test]
async fn nothing_is_handed_out_past_the_deadline_by_a_node_that_starts_anew() {
    for taken in [false, true] {
        let house = House::new().await;
        let leaf = house.command(1_000).await;
        if taken {
            house.happens(leaf, Event::Taken).await;
        }
        house.clock.0.store(HOUR_MS, Ordering::SeqCst);
        let engine = house.engine();
        let line = Arc::new(Line::default());
        let session = Session {
            id: 1,
            uuid: house.uuid.clone(),
            line: Arc::clone(&line),
        };
        assert!(engine.sessions.add(house.host, session));
        house.at(&engine, HOUR_MS + CONFIRM_MS).await;
        let status = if taken { Status::Start } else { Status::Init };
        assert_eq!(house.end(leaf).await.0, status, "it may be handed over yet");
        engine.host_connected(house.host, &[]).await.unwrap();
        let reason = if taken {
            Reason::NotConfirmed
        } else {
            Reason::NeverDelivered
        };
        assert_eq!(house.end(leaf).await, (Status::Timeout, reason));
        let sent = futures_util::FutureExt::now_or_never(line.next());
        assert!(sent.is_none(), "no order was sent");
    }
}
