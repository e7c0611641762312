//! Connections that are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use model::{Event, Reason, RootId, Said, TaskType, UnixMillis, Verdict};
use store::{Error, HostNo, LeafAnswer, LeafEvent, NewRoot, PostgresStore, Store};

use crate::database::Database;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const LEAVES: u32 = 1_500;
const CALLERS: u32 = 20;

async fn create(store: &PostgresStore) -> RootId {
    let new = NewRoot {
        id: RootId::new(NOW, [1; 6]),
        task_type: TaskType::ClientDevOps,
        name: "name".into(),
        source: "source".into(),
        operator: "operator".into(),
        work: "{}".into(),
        created_at: NOW,
        deadline: NOW.plus(1_000),
        request_key: "request".into(),
        request_digest: [1; 32],
        rerun_of: None,
        plan: model::Plan::default(),
    };
    let hosts = (1..=i64::from(LEAVES)).map(HostNo).collect();
    store.root_create(new, hosts).await.unwrap().id
}

/// Whether it was acknowledged.
async fn succeed(store: &PostgresStore, root: RootId, number: u32) -> bool {
    let event = LeafEvent {
        leaf: root.leaf(number),
        event: Event::Ended {
            verdict: Verdict::Success,
            reason: Reason::None,
        },
        answer: Some(LeafAnswer {
            json: answer(number),
            said: Said::new([1; 14], "noise".into()),
            snapshots: Vec::new(),
        }),
    };
    match store.leaf_apply_many(vec![event], NOW.plus(1)).await {
        Ok(mut results) => results.remove(0).is_ok(),
        Err(Error::Unavailable(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn lost_connections_lose_nothing_that_was_acknowledged() {
    let database = Arc::new(Database::new());
    let store = Arc::new(database.open());
    let root = create(&store).await;
    let next = Arc::new(AtomicU32::new(1));
    let callers = (0..CALLERS).map(|_| {
        let (database, store) = (Arc::clone(&database), Arc::clone(&store));
        let next = Arc::clone(&next);
        tokio::spawn(async move { call(&database, &store, root, &next).await })
    });
    let callers: Vec<_> = callers.collect();
    let mut refused = 0;
    for caller in callers {
        refused += caller.await.unwrap();
    }
    assert!(refused > 0);
    while store.ping().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_all_there(&store, root).await;
    drop(store);
    assert_all_there(&database.open(), root).await;
}

/// Brings results until there are no more, while connections end; returns how many were refused.
async fn call(
    database: &Arc<Database>,
    store: &PostgresStore,
    root: RootId,
    next: &AtomicU32,
) -> u32 {
    let mut refused = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number > LEAVES {
            return refused;
        }
        let ending = number.is_multiple_of(100).then(|| {
            let database = Arc::clone(database);
            tokio::task::spawn_blocking(move || database.end_connections())
        });
        while !succeed(store, root, number).await {
            refused += 1;
            tokio::task::yield_now().await;
        }
        // Acknowledged: it is there for whoever reads.
        let leaf = loop {
            match store.leaf_get(root.leaf(number)).await {
                Ok(leaf) => break leaf.unwrap(),
                Err(Error::Unavailable(_)) => tokio::task::yield_now().await,
                Err(other) => panic!("{other:?}"),
            }
        };
        assert_eq!(leaf.answer, Some(answer(number)));
        if let Some(ending) = ending {
            ending.await.unwrap();
        }
    }
}

fn answer(number: u32) -> Vec<u8> {
    format!("answer {number}").into_bytes()
}

async fn assert_all_there(store: &PostgresStore, root: RootId) {
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    let root = store.root_get(root).await.unwrap().unwrap();
    assert_eq!(root.totals.success, LEAVES);
    assert!(root.ended_at.is_some());
    for number in 1..=LEAVES {
        let leaf = store.leaf_get(root.id.leaf(number)).await.unwrap().unwrap();
        assert_eq!(
            leaf.answer.unwrap(),
            format!("answer {number}").into_bytes()
        );
    }
}

#[tokio::test]
async fn a_store_that_is_idle_when_its_connections_end_goes_on() {
    let database = Database::new();
    let store = database.open();
    let root = create(&store).await;
    assert!(succeed(&store, root, 1).await);
    let generation = store.generation();
    database.end_connections();
    assert_eq!(
        store.root_get(root).await.unwrap().unwrap().totals.success,
        1
    );
    assert!(matches!(store.ping().await, Err(Error::Unavailable(_))));
    store.ping().await.unwrap();
    assert!(store.generation() > generation);
    assert!(succeed(&store, root, 2).await);
    assert_eq!(
        store.root_get(root).await.unwrap().unwrap().totals.success,
        2
    );
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}
