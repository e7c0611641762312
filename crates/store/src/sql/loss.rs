//! Tests of what a lost connection does, on one that is lost when it is told to.

mod packing;

use std::cell::Cell;
use std::path::Path;
use std::sync::{Arc, Mutex};

use model::{Effect, Event, Reason, RootId, Said, Status, TaskType, UnixMillis, Verdict};

use super::SqlStore;
use super::db::{Db, Driver, Each, Value};
use crate::sqlite::{Options, Place, Sqlite};
use crate::{Applied, Error, HostNo, LeafAnswer, LeafEvent, NewHost, Store};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const SUCCESS: Event = Event::Ended {
    verdict: Verdict::Success,
    reason: Reason::None,
};

/// What the connection is about to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Fine,
    /// It is lost in the next commit, which stands.
    LostCommitStands,
    /// It is lost in the next commit, which does not.
    LostCommitFails,
    /// It is lost likewise, and there is no new one.
    Unreachable,
    /// After so many commits that stand it is lost likewise.
    UnreachableAfter(u32),
}

type Fates = Arc<Mutex<Fate>>;

/// A file whose connection is lost.
#[derive(Debug)]
struct Lossy {
    place: Place,
    fate: Fates,
}

impl Driver for Lossy {
    fn place(&self) -> String {
        self.place.place()
    }

    fn reads_in_place(&self) -> bool {
        true
    }

    fn open_writer(&self) -> Result<Box<dyn Db>, Error> {
        if *self.fate.lock().unwrap() == Fate::Unreachable {
            return Err(Error::Unavailable("unreachable".into()));
        }
        Ok(Box::new(Connection {
            inner: self.place.open_writer()?,
            fate: Arc::clone(&self.fate),
            is_lost: Cell::new(false),
        }))
    }

    fn open_reader(&self) -> Result<Box<dyn Db>, Error> {
        self.place.open_reader()
    }
}

struct Connection {
    inner: Box<dyn Db>,
    fate: Fates,
    is_lost: Cell<bool>,
}

impl Db for Connection {
    fn begin(&self) -> Result<(), Error> {
        self.inner.begin()
    }

    fn commit(&self) -> Result<(), Error> {
        let mut fate = self.fate.lock().unwrap();
        match *fate {
            Fate::Fine => return self.inner.commit(),
            Fate::LostCommitStands => self.inner.commit()?,
            Fate::UnreachableAfter(0) => *fate = Fate::Unreachable,
            Fate::UnreachableAfter(left) => {
                *fate = Fate::UnreachableAfter(left - 1);
                return self.inner.commit();
            }
            Fate::LostCommitFails | Fate::Unreachable => {}
        }
        if *fate != Fate::Unreachable {
            *fate = Fate::Fine;
        }
        self.is_lost.set(true);
        Err(Error::Unavailable("lost".into()))
    }

    fn rollback(&self) -> Result<(), Error> {
        self.inner.rollback()
    }

    fn begin_part(&self) -> Result<(), Error> {
        self.inner.begin_part()
    }

    fn end_part(&self) -> Result<(), Error> {
        self.inner.end_part()
    }

    fn undo_part(&self) -> Result<(), Error> {
        self.inner.undo_part()
    }

    fn is_spoiled(&self) -> bool {
        self.inner.is_spoiled()
    }

    fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        self.inner.execute(sql, params)
    }

    fn query(&self, sql: &str, params: &[Value<'_>], each: Each<'_>) -> Result<(), Error> {
        self.inner.query(sql, params, each)
    }

    fn insert_many(
        &self,
        table: &str,
        columns: &[&str],
        values: &[Value<'_>],
    ) -> Result<(), Error> {
        self.inner.insert_many(table, columns, values)
    }

    fn put_many(&self, table: &str, columns: &[&str], values: &[Value<'_>]) -> Result<(), Error> {
        self.inner.put_many(table, columns, values)
    }

    fn check(&self) -> Result<Vec<String>, Error> {
        self.inner.check()
    }

    fn close(self: Box<Self>) {
        self.inner.close();
    }
}

fn open(dir: &Path) -> (SqlStore<Sqlite>, Fates) {
    let fate = Fates::default();
    let lossy = Lossy {
        place: Place::new(dir, Options::default()),
        fate: Arc::clone(&fate),
    };
    (SqlStore::start(Arc::new(lossy)).unwrap(), fate)
}

async fn create(store: &impl Store, number: u8, task_type: TaskType) -> Result<RootId, Error> {
    let mut new = crate::conformance::new_root(number, NOW);
    new.task_type = task_type;
    let hosts = vec![HostNo(1), HostNo(2)];
    store.root_create(new, hosts).await.map(|it| it.id)
}

async fn apply(store: &impl Store, root: RootId, event: Event) -> Result<Applied, Error> {
    let event = LeafEvent {
        leaf: root.leaf(1),
        event,
        answer: Some(LeafAnswer {
            json: b"answer".to_vec(),
            said: Said::new([1; 14], "answer".into()),
            snapshots: Vec::new(),
        }),
    };
    store.leaf_apply_many(vec![event], NOW).await?.remove(0)
}

async fn succeeded(store: &impl Store, root: RootId) -> u32 {
    store.root_get(root).await.unwrap().unwrap().totals.success
}

async fn assert_verified(store: &impl Store) {
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

fn is_unavailable<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Unavailable(_)))
}

#[tokio::test]
async fn news_whose_commit_was_lost_can_be_told_again() {
    for (lost, effect) in [
        (Fate::LostCommitStands, Effect::Unchanged),
        (Fate::LostCommitFails, Effect::Moved),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (store, fate) = open(directory.path());
        let root = create(&store, 1, TaskType::ClientDevOps).await.unwrap();
        *fate.lock().unwrap() = lost;
        assert!(is_unavailable(apply(&store, root, SUCCESS).await));
        // Nobody was told that it is stored, so nobody is shown it yet.
        assert_eq!(succeeded(&store, root).await, 0);
        let applied = apply(&store, root, SUCCESS).await.unwrap();
        assert_eq!(
            (applied.after.status, applied.effect),
            (Status::Success, effect)
        );
        assert_eq!(succeeded(&store, root).await, 1);
        let leaf = store.leaf_get(root.leaf(1)).await.unwrap().unwrap();
        assert_eq!(leaf.answer.unwrap(), b"answer");
        assert_verified(&store).await;
        drop(store);
        let (store, _) = open(directory.path());
        assert_eq!(succeeded(&store, root).await, 1);
        assert_verified(&store).await;
    }
}

#[tokio::test]
async fn a_root_and_a_host_whose_commit_was_lost_are_found_when_asked_for_again() {
    for lost in [Fate::LostCommitStands, Fate::LostCommitFails] {
        let directory = tempfile::tempdir().unwrap();
        let (store, fate) = open(directory.path());
        let host = NewHost {
            uuid: "inet-eae04867-002f-423d-af00-c72cd629b248".parse().unwrap(),
            public_key: vec![1; 32],
            name: "name".into(),
            group: String::new(),
            labels: model::Labels::default(),
            agent_version: String::new(),
            facts: "{}".into(),
            created_at: NOW,
        };
        *fate.lock().unwrap() = lost;
        assert!(is_unavailable(
            create(&store, 1, TaskType::ClientDevOps).await
        ));
        let root = create(&store, 1, TaskType::ClientDevOps).await.unwrap();
        assert_eq!(store.leaf_unfinished(root).await.unwrap().len(), 2);
        *fate.lock().unwrap() = lost;
        assert!(is_unavailable(store.host_add(host.clone()).await));
        let again = store.host_add(host).await;
        match lost {
            Fate::LostCommitStands => assert!(matches!(again, Err(Error::Conflict))),
            _ => assert_eq!(again.unwrap(), HostNo(1)),
        }
        assert_eq!(store.host_numbers().await.unwrap(), [HostNo(1)]);
        create(&store, 2, TaskType::ClientDevOps).await.unwrap();
        assert_verified(&store).await;
    }
}

#[tokio::test]
async fn what_was_in_memory_only_is_gone_with_the_connection() {
    let directory = tempfile::tempdir().unwrap();
    let (store, fate) = open(directory.path());
    let root = create(&store, 1, TaskType::ClientProblemCheck).await;
    let root = root.unwrap();
    let taken = apply(&store, root, Event::Taken).await.unwrap();
    assert_eq!(taken.after.status, Status::Start);
    let generation = store.generation();
    *fate.lock().unwrap() = Fate::LostCommitStands;
    assert!(is_unavailable(store.ping().await));
    store.ping().await.unwrap();
    let leaf = store.leaf_get(root.leaf(1)).await.unwrap().unwrap();
    assert_eq!(leaf.state.status, Status::Init);
    assert!(store.generation() > generation);
    assert_verified(&store).await;
}

#[tokio::test]
async fn reading_goes_on_while_nothing_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let (store, fate) = open(directory.path());
    let root = create(&store, 1, TaskType::ClientDevOps).await.unwrap();
    *fate.lock().unwrap() = Fate::Unreachable;
    for _ in 0..3 {
        assert!(is_unavailable(apply(&store, root, SUCCESS).await));
        assert_eq!(store.leaf_unfinished(root).await.unwrap().len(), 2);
    }
    *fate.lock().unwrap() = Fate::Fine;
    while is_unavailable(store.ping().await) {
        tokio::task::yield_now().await;
    }
    apply(&store, root, SUCCESS).await.unwrap();
    assert_eq!(succeeded(&store, root).await, 1);
    assert_verified(&store).await;
}
