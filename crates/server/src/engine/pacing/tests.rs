use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{HostUuid, Reason, TaskType, Totals, Verdict};
use protocol::frame::DownFrame;
use store::{LeafQuery, NewHost, NewRoot, PageRequest, SqliteStore, Store};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::engine::tests::{START, TestClock, engine};
use crate::engine::{CONFIRM_MS, Session, event_of};

/// Hosts and the frames that were sent to those that are connected.
struct Fleet {
    store: Arc<dyn Store>,
    clock: Arc<TestClock>,
    engine: Engine,
    hosts: Vec<HostNo>,
    lines: Vec<mpsc::Receiver<DownFrame>>,
    root: RootId,
    _folder: tempfile::TempDir,
}

impl Fleet {
    /// A task of this plan for so many hosts, none of them connected.
    async fn new(hosts: u8, task_type: TaskType, plan: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let mut numbers = Vec::new();
        for host in 0..hosts {
            let new = NewHost {
                uuid: HostUuid::from_random([host; 16]),
                public_key: vec![host; 32],
                name: format!("host-{host}"),
                group: "default".to_owned(),
                facts: "{}".to_owned(),
                agent_version: "1".to_owned(),
                created_at: START,
            };
            numbers.push(store.host_add(new).await.unwrap());
        }
        let clock = Arc::default();
        let new = NewRoot {
            id: RootId::new(START, [9; 6]),
            task_type,
            name: String::new(),
            source: String::new(),
            operator: "root".to_owned(),
            work: "{}".to_owned(),
            created_at: START,
            deadline: START.plus(3_600_000),
            request_key: "key".to_owned(),
            request_digest: [0; 32],
            rerun_of: None,
            plan: plan.parse().unwrap(),
        };
        let created = store.root_create(new, numbers.clone()).await.unwrap();
        Self {
            engine: engine(&store, &clock),
            store,
            clock,
            hosts: numbers,
            lines: Vec::new(),
            root: created.id,
            _folder: folder,
        }
    }

    fn leaf(&self, number: u32) -> LeafId {
        self.root.leaf(number)
    }

    /// The hosts of these leaves connect.
    async fn connect(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let host = self.hosts[usize::try_from(number - 1).unwrap()];
            let (frames, line) = mpsc::channel(16);
            self.lines.push(line);
            let session = Session {
                id: u64::from(number),
                uuid: HostUuid::from_random([u8::try_from(number - 1).unwrap(); 16]),
                frames,
                close: CancellationToken::new(),
            };
            assert!(self.engine.sessions.add(host, session));
            self.engine.host_connected(host, &[]).await.unwrap();
        }
    }

    async fn round(&self, sweep: bool) {
        self.engine.round(sweep).await.unwrap();
    }

    async fn happens(&self, number: u32, event: Event) {
        let events = vec![event_of(self.leaf(number), event)];
        let now = START.plus(self.clock.0.load(Ordering::SeqCst));
        let applied = self.store.leaf_apply_many(events, now).await.unwrap();
        for applied in applied {
            applied.unwrap();
        }
        self.engine.leaf_ended(self.leaf(number));
    }

    /// A leaf's host says how it ended, and the engine does what comes of it.
    async fn ends(&self, number: u32, verdict: Verdict) {
        let reason = match verdict {
            Verdict::Success => Reason::None,
            Verdict::Fail | Verdict::Timeout => Reason::ExitCode,
        };
        self.happens(number, Event::Ended { verdict, reason }).await;
        self.round(false).await;
    }

    /// The leaves that stand so.
    async fn that_are(&self, status: Status) -> Vec<u32> {
        let query = LeafQuery::Root {
            root: self.root,
            statuses: vec![status],
        };
        let page = PageRequest {
            number: 1,
            size: 100,
        };
        let found = self.store.leaf_page(&query, page, 0).await.unwrap();
        found.rows.iter().map(|it| it.id.number).collect()
    }

    async fn totals(&self) -> Totals {
        let root = self.store.root_get(self.root).await.unwrap();
        root.unwrap().totals
    }
}

#[tokio::test]
async fn no_more_hosts_than_asked_have_an_order_at_once() {
    let mut fleet = Fleet::new(9, TaskType::ClientDevOps, "concurrency=2").await;
    fleet.connect(1..=9).await;
    for sweep in [true, true, false] {
        fleet.round(sweep).await;
        assert_eq!(fleet.that_are(Status::Start).await, [1, 2]);
    }
    fleet.happens(1, Event::Delivered).await;
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2]);
    fleet.ends(2, Verdict::Success).await;
    assert_eq!(fleet.that_are(Status::Start).await, [3]);
    for number in [1, 3, 4, 5, 6, 7, 8, 9] {
        let totals = fleet.totals().await;
        assert!(totals.start + totals.dispatch <= 2, "{totals:?}");
        fleet.ends(number, Verdict::Success).await;
    }
    assert_eq!(fleet.totals().await.success, 9);
}

#[tokio::test]
async fn a_wave_waits_for_the_one_before_it_and_goes_on_after_a_restart() {
    let mut fleet = Fleet::new(10, TaskType::ClientDevOps, "waves=1,40%").await;
    fleet.connect(1..=10).await;
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [1]);
    fleet.ends(1, Verdict::Fail).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2, 3, 4]);
    fleet.ends(2, Verdict::Success).await;
    fleet.ends(3, Verdict::Success).await;
    assert_eq!(fleet.totals().await.init, 6);

    fleet.engine = engine(&fleet.store, &fleet.clock);
    fleet.connect(1..=10).await;
    fleet.round(true).await;
    assert_eq!(fleet.totals().await.init, 6, "the second wave still runs");
    fleet.ends(4, Verdict::Success).await;
    assert_eq!(fleet.that_are(Status::Start).await, [5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn hosts_that_are_away_hold_up_no_wave_and_have_their_turn_when_they_come() {
    let mut fleet = Fleet::new(6, TaskType::ClientDevOps, "waves=2").await;
    fleet.connect([3, 5, 6]).await;
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [3, 5]);
    fleet.ends(3, Verdict::Success).await;
    assert_eq!(fleet.that_are(Status::Start).await, [5]);
    fleet.ends(5, Verdict::Success).await;
    assert_eq!(fleet.that_are(Status::Start).await, [6]);
    fleet.connect([1]).await;
    fleet.round(false).await;
    assert_eq!(fleet.that_are(Status::Start).await, [1, 6]);
}

#[tokio::test]
async fn after_too_many_failures_what_waits_ends_and_what_runs_goes_on() {
    let plan = "concurrency=3 stop=2";
    let mut fleet = Fleet::new(8, TaskType::ClientDevOps, plan).await;
    fleet.connect(1..=7).await;
    fleet.round(true).await;
    fleet.ends(1, Verdict::Fail).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2, 3, 4]);
    fleet.ends(3, Verdict::Timeout).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2, 4]);
    assert_eq!(fleet.that_are(Status::Fail).await, [1, 5, 6, 7, 8]);
    let stopped = fleet.store.leaf_get(fleet.leaf(8)).await.unwrap().unwrap();
    assert_eq!(stopped.state.reason, Reason::Stopped);
    fleet.ends(2, Verdict::Success).await;
    fleet.ends(4, Verdict::Success).await;
    let root = fleet.store.root_get(fleet.root).await.unwrap().unwrap();
    assert_eq!(root.totals.status(), Status::Success);
    assert!(root.ended_at.is_some());
    assert!(fleet.store.verify().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_check_that_its_host_never_confirmed_gives_its_place_back() {
    let plan = "concurrency=1";
    let mut fleet = Fleet::new(3, TaskType::ClientProblemCheck, plan).await;
    fleet.connect(1..=2).await;
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [1]);
    assert!(fleet.engine.sessions.remove(fleet.hosts[0], 1));
    fleet
        .engine
        .host_disconnected(fleet.hosts[0])
        .await
        .unwrap();
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2]);
    assert_eq!(
        fleet.that_are(Status::Init).await,
        [1, 3],
        "nobody is asked by hand"
    );
}

#[tokio::test]
async fn an_order_that_is_not_confirmed_is_sent_again() {
    let mut fleet = Fleet::new(2, TaskType::ClientDevOps, "concurrency=1").await;
    fleet.connect(1..=2).await;
    fleet.round(true).await;
    fleet.clock.0.store(CONFIRM_MS, Ordering::SeqCst);
    fleet.round(true).await;
    let mut sent = 0;
    while fleet.lines[0].try_recv().is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 2);
    assert_eq!(fleet.that_are(Status::Init).await, [2]);
}
