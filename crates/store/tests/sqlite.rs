//! The SQLite store: the cases of every store, and what is particular to one file on a disk.
#![expect(clippy::unwrap_used, reason = "these are tests")]

#[path = "sqlite/copy.rs"]
mod copy;
#[path = "sqlite/damage.rs"]
mod damage;
#[path = "sqlite/pack.rs"]
mod pack;

use std::path::Path;

use model::{Event, Reason, RootId, Said, TaskType, UnixMillis, Verdict};
use rusqlite::Connection;
use store::{Error, HostNo, LeafAnswer, LeafEvent, NewRoot, Options, SqliteStore, Store};

store::store_conformance!(in_a_new_directory());

fn in_a_new_directory() -> impl Fn() -> SqliteStore {
    let directory = tempfile::tempdir().unwrap();
    move || SqliteStore::open(directory.path()).unwrap()
}

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

async fn create(store: &SqliteStore, number: u8, leaves: i64) -> Result<RootId, Error> {
    let new = NewRoot {
        id: RootId::new(NOW, [number; 6]),
        task_type: TaskType::ClientDevOps,
        name: "name".into(),
        source: "source".into(),
        operator: "operator".into(),
        work: "{}".into(),
        created_at: NOW,
        deadline: NOW.plus(1_000),
        request_key: format!("{number}"),
        request_digest: [number; 32],
        rerun_of: None,
        plan: model::Plan::default(),
    };
    let hosts = (1..=leaves).map(HostNo).collect();
    Ok(store.root_create(new, hosts).await?.id)
}

/// Ends one leaf well, with an answer that does not compress.
async fn succeed(store: &SqliteStore, root: RootId, number: u32) -> Result<(), Error> {
    let event = success(root, number, 1_000);
    let mut results = store.leaf_apply_many(vec![event], NOW).await?;
    results.remove(0).map(|_| ())
}

/// Ends some leaves well in one call, with short answers that do not compress.
async fn succeed_all(store: &SqliteStore, root: RootId, leaves: &[u32]) -> Result<(), Error> {
    let events = leaves.iter().map(|it| success(root, *it, 50)).collect();
    let results = store.leaf_apply_many(events, NOW).await?;
    results.into_iter().try_for_each(|it| it.map(|_| ()))
}

/// The good end of a leaf, with an answer of so many times eight bytes.
fn success(root: RootId, number: u32, words: usize) -> LeafEvent {
    let mut noise = u64::from(number) + 1;
    let answer = std::iter::repeat_with(|| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise.to_le_bytes()
    });
    LeafEvent {
        leaf: root.leaf(number),
        event: Event::Ended {
            verdict: Verdict::Success,
            reason: Reason::None,
        },
        answer: Some(LeafAnswer {
            json: answer.take(words).flatten().collect(),
            said: Said::new([1; 14], "noise".into()),
            snapshots: Vec::new(),
        }),
    }
}

fn damage(directory: &Path, sql: &str) {
    let connection = Connection::open(directory.join("sickbay.db")).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_work_goes_on_when_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let small = Options {
        pages_max: Some(100),
    };
    let store = SqliteStore::open_with(directory.path(), small).unwrap();
    let root = create(&store, 1, 1_000).await.unwrap();
    let mut good = 0;
    let error = loop {
        match succeed(&store, root, good + 1).await {
            Ok(()) => good += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full(_)), "{error:?}");
    assert!(good > 10);
    let refused = create(&store, 2, 100_000).await;
    assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    for _ in 0..3 {
        let again = succeed(&store, root, good + 1).await;
        assert!(matches!(again, Err(Error::Full(_))), "{again:?}");
        let read = store.root_get(root).await.unwrap().unwrap();
        assert_eq!(read.totals.success, good);
    }
    assert_eq!(store.root_active().await.unwrap().len(), 1);
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    drop(store);
    let store = SqliteStore::open(directory.path()).unwrap();
    for number in 1..=good {
        let leaf = store.leaf_get(root.leaf(number)).await.unwrap().unwrap();
        assert_eq!(leaf.answer.unwrap().len(), 8_000);
    }
    succeed(&store, root, good + 1).await.unwrap();
    create(&store, 2, 100_000).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_files_as_they_are_at_any_moment_open_with_all_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let root = create(&store, 1, 100).await.unwrap();
    for number in 1..=100 {
        succeed(&store, root, number).await.unwrap();
        if number % 20 == 0 {
            let copy = tempfile::tempdir().unwrap();
            for name in ["sickbay.db", "sickbay.db-wal"] {
                std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
            }
            let copied = SqliteStore::open(copy.path()).unwrap();
            let read = copied.root_get(root).await.unwrap().unwrap();
            assert_eq!(read.totals.success, number);
            assert_eq!(copied.verify().await.unwrap(), Vec::<String>::new());
        }
    }
}

#[test]
fn data_of_a_newer_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(directory.path()).unwrap());
    damage(directory.path(), "PRAGMA user_version = 1000");
    let refused = SqliteStore::open(directory.path());
    let Err(Error::Unavailable(source)) = refused else {
        panic!("opened");
    };
    assert!(source.to_string().contains("newer"), "{source}");
}

#[test]
fn only_one_at_a_time_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let first = SqliteStore::open(directory.path()).unwrap();
    let second = SqliteStore::open(directory.path());
    assert!(matches!(second, Err(Error::Unavailable(_))));
    drop(first);
    SqliteStore::open(directory.path()).unwrap();
}
