//! Many hosts and one task, and what becomes of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Event, HostUuid, LeafId, Reason, RootId, Status, TaskType, Totals, Verdict};
use store::{HostNo, LeafQuery, NewHost, NewRoot, PageRequest, SqliteStore, Store};

use super::{START, TestClock, engine};
use crate::engine::{Engine, Line, Session, event_of};

/// Hosts and the frames that were sent to those that are connected.
pub(in crate::engine) struct Fleet {
    pub(in crate::engine) store: Arc<dyn Store>,
    pub(in crate::engine) clock: Arc<TestClock>,
    pub(in crate::engine) engine: Engine,
    pub(in crate::engine) hosts: Vec<HostNo>,
    pub(in crate::engine) lines: Vec<Arc<Line>>,
    pub(in crate::engine) root: RootId,
    _folder: tempfile::TempDir,
}

impl Fleet {
    /// A task of this plan for so many hosts, none of them connected.
    pub(in crate::engine) async fn new(hosts: u8, task_type: TaskType, plan: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let mut numbers = Vec::new();
        for host in 0..hosts {
            let new = NewHost {
                uuid: HostUuid::from_random([host; 16]),
                public_key: vec![host; 32],
                name: format!("host-{host}"),
                group: "default".to_owned(),
                labels: model::Labels::default(),
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

    pub(in crate::engine) fn leaf(&self, number: u32) -> LeafId {
        self.root.leaf(number)
    }

    /// The hosts of these leaves connect.
    pub(in crate::engine) async fn connect(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let host = self.hosts[usize::try_from(number - 1).unwrap()];
            let line = Arc::new(Line::default());
            self.lines.push(Arc::clone(&line));
            let session = Session {
                id: u64::from(number),
                uuid: HostUuid::from_random([u8::try_from(number - 1).unwrap(); 16]),
                line,
            };
            assert!(self.engine.sessions.add(host, session));
            self.engine.host_connected(host, &[]).await.unwrap();
        }
    }

    pub(in crate::engine) async fn round(&self, sweep: bool) {
        self.engine.round(sweep).await.unwrap();
    }

    pub(in crate::engine) async fn happens(&self, number: u32, event: Event) {
        let events = vec![event_of(self.leaf(number), event)];
        let now = START.plus(self.clock.0.load(Ordering::SeqCst));
        let applied = self.store.leaf_apply_many(events, now).await.unwrap();
        for applied in applied {
            if applied.unwrap().after.status.is_final() {
                self.engine.leaf_ended(self.leaf(number));
            }
        }
    }

    /// A leaf's host says how it ended, and the engine does what comes of it.
    pub(in crate::engine) async fn ends(&self, number: u32, verdict: Verdict) {
        let reason = match verdict {
            Verdict::Success => Reason::None,
            Verdict::Fail | Verdict::Timeout => Reason::ExitCode,
        };
        self.happens(number, Event::Ended { verdict, reason }).await;
        self.round(false).await;
    }

    /// The leaves that stand so.
    pub(in crate::engine) async fn that_are(&self, status: Status) -> Vec<u32> {
        let query = LeafQuery::Root {
            root: self.root,
            statuses: vec![status],
            outcome: None,
        };
        let page = PageRequest {
            number: 1,
            size: 100,
        };
        let found = self.store.leaf_page(&query, page, 0).await.unwrap();
        found.rows.iter().map(|it| it.id.number).collect()
    }

    pub(in crate::engine) async fn totals(&self) -> Totals {
        let root = self.store.root_get(self.root).await.unwrap();
        root.unwrap().totals
    }
}
