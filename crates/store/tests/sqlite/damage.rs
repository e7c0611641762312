//! What damage to the stored data does, and that it is found.

use model::{Effect, Event, LeafId, RootId, TaskType};
use store::{
    Error, HostNo, LeafEvent, LeafQuery, PageRequest, RootQuery, SqliteStore, Store, Window,
};

use super::{NOW, create, damage, succeed};

async fn apply(store: &SqliteStore, leaf: LeafId, event: Event) -> Result<Effect, Error> {
    let event = LeafEvent {
        leaf,
        event,
        answer: None,
    };
    let mut results = store.leaf_apply_many(vec![event], NOW).await?;
    results.remove(0).map(|it| it.effect)
}

/// Root 1 has ended, with journal blocks 1 and 2; root 2 runs and was cancelled, with 3 and 4.
async fn with_two_roots(store: &SqliteStore) {
    let root = create(store, 1, 2).await.unwrap();
    let second = create(store, 2, 2).await.unwrap();
    for number in [1, 2] {
        succeed(store, root, number).await.unwrap();
    }
    apply(store, second.leaf(1), Event::Delivered)
        .await
        .unwrap();
    assert!(store.root_cancel(second, NOW).await.unwrap());
}

#[tokio::test]
async fn verify_finds_what_was_damaged_on_purpose() {
    let cases = [
        ("UPDATE root SET success = 1 WHERE no = 2", "row counts"),
        (
            "UPDATE root SET cancelled_ms = 5 WHERE no = 2",
            "says that it was cancelled",
        ),
        (
            "UPDATE root SET cancelled_ms = NULL WHERE no = 2",
            "differ about its cancellation",
        ),
        (
            "UPDATE root SET pack_to = 4 WHERE no = 2",
            "root number 2: it is to be packed and has not ended",
        ),
        (
            "UPDATE root SET ended_ms = 5 WHERE no = 1",
            "says that it ended",
        ),
        (
            "UPDATE root SET ended_ms = 5 WHERE no = 2",
            "state_segment has (0, 0)",
        ),
        (
            "UPDATE root SET success = success - 1 WHERE no = 1",
            "row counts",
        ),
        (
            "UPDATE root SET fail = 99 WHERE no = 1",
            "more leaves than it has",
        ),
        ("UPDATE root SET cum_type = 7 WHERE no = 2", "by type"),
        ("UPDATE root SET rank_source = 7 WHERE no = 2", "by source"),
        (
            "UPDATE root SET created_ms = 1 WHERE no = 2",
            "starts before",
        ),
        ("UPDATE count_block SET success = 1", "counts per block"),
        (
            "UPDATE state_segment SET data = zeroblob(28)",
            "2 leaves are not",
        ),
        ("DELETE FROM state_segment", "state_segment has (0, 0)"),
        ("UPDATE outcome SET count = 3", "the outcomes differ"),
        ("DELETE FROM outcome", "the outcomes differ"),
        (
            "UPDATE state_segment SET data = x'03000000000000000100000001000300000000000000020000000000'",
            "1 leaves are in no outcome and 1 are counted",
        ),
        (
            "UPDATE state_segment SET data = x'03000000000000000200000001000300000000000000010000000100'",
            "2 answers are not where they should be",
        ),
        (
            "UPDATE host_segment SET data = zeroblob(24) WHERE segment >> 12 = 1",
            "host_segment has (1, 24)",
        ),
        (
            "UPDATE host_segment SET data = zeroblob(16) WHERE segment >> 12 = 1",
            "do not ascend",
        ),
        (
            "UPDATE journal SET data = x'01ff' WHERE root_no = 1",
            "ends too early",
        ),
        (
            "UPDATE journal SET data = x'0100000000' WHERE block = 3",
            "root number 2: a journal block",
        ),
        (
            "DELETE FROM journal WHERE block = 3",
            "block 1 of its journal is missing",
        ),
        (
            "DELETE FROM journal WHERE block = 4",
            "its journal has 1 blocks of 2",
        ),
        (
            "UPDATE journal SET root_no = 2 WHERE block = 2",
            "root number 2: block 1 of its journal is missing",
        ),
        (
            "UPDATE type_count SET success = success + 1",
            "level 1, block 0 counts",
        ),
        ("DELETE FROM source_count", "source_count of type"),
        (
            "INSERT INTO journal VALUES (99, 9, x'00')",
            "belong to no root",
        ),
    ];
    for (sql, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        with_two_roots(&store).await;
        assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
        damage(directory.path(), sql);
        let lines = store.verify().await.unwrap();
        assert!(
            lines.iter().any(|it| it.contains(expected)),
            "{sql}: {lines:?}"
        );
    }
}

/// Root 1, damaged by `sql`, and root 2 were running when the store was closed.
async fn reopened_after(directory: &std::path::Path, sql: &str) -> (SqliteStore, RootId, RootId) {
    let store = SqliteStore::open(directory).unwrap();
    let bad = create(&store, 1, 2).await.unwrap();
    succeed(&store, bad, 1).await.unwrap();
    apply(&store, bad.leaf(2), Event::Delivered).await.unwrap();
    let good = create(&store, 2, 2).await.unwrap();
    succeed(&store, good, 1).await.unwrap();
    drop(store);
    damage(directory, sql);
    (SqliteStore::open(directory).unwrap(), bad, good)
}

fn is_corrupt<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Corrupt(_)))
}

const ROOT_DAMAGE: [&str; 5] = [
    "UPDATE journal SET data = x'02' WHERE block = 1",
    "DELETE FROM journal WHERE block = 1",
    "DELETE FROM journal WHERE block = 2",
    "UPDATE journal SET data = x'0100000000' WHERE block = 2",
    "DELETE FROM host_segment WHERE segment >> 12 = 1",
];

const FIRST: PageRequest = PageRequest { number: 1, size: 2 };

#[tokio::test]
async fn a_running_root_that_does_not_rebuild_is_set_aside_and_shown() {
    for sql in ROOT_DAMAGE {
        let directory = tempfile::tempdir().unwrap();
        let (store, bad, good) = reopened_after(directory.path(), sql).await;
        let row = store.root_get(bad).await.unwrap().unwrap();
        assert_eq!((row.totals.success, row.totals.total()), (1, 2), "{sql}");
        assert_eq!(row.ended_at, None);
        let query = RootQuery {
            task_type: TaskType::ClientDevOps,
            source: None,
            window: Window::default(),
        };
        let rows = store.root_page(&query, FIRST).await.unwrap().rows;
        assert_eq!(rows.last(), Some(&row));
        let active = store.root_active().await.unwrap();
        assert!(active.iter().map(|it| it.id).eq([good]));
        let of_root = LeafQuery::Root {
            root: bad,
            statuses: vec![],
            outcome: None,
        };
        assert!(is_corrupt(store.leaf_page(&of_root, FIRST, 0).await));
        assert!(is_corrupt(store.leaf_get(bad.leaf(1)).await));
        assert!(is_corrupt(store.leaf_problems_first(bad, 1, 0).await));
        assert!(is_corrupt(store.leaf_unfinished(bad).await));
        // The list of all leaves goes as far as the damage.
        let of_roots = LeafQuery::Roots {
            roots: query,
            statuses: vec![],
        };
        let page = store.leaf_page(&of_roots, FIRST, 0).await.unwrap();
        assert_eq!((page.rows.len(), page.total), (2, 4));
        let second = PageRequest { number: 2, size: 2 };
        assert!(is_corrupt(store.leaf_page(&of_roots, second, 0).await));
        let lines = store.verify().await.unwrap();
        assert!(lines.iter().any(|it| it.starts_with("root number 1: ")));
        assert!(lines.iter().all(|it| !it.starts_with("root number 2: ")));
    }
}

#[tokio::test]
async fn a_root_that_was_set_aside_takes_no_events_and_the_others_go_on() {
    let unreadable = "UPDATE root SET type = 99 WHERE no = 1";
    for sql in ROOT_DAMAGE.into_iter().chain([unreadable]) {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, bad, good) = reopened_after(directory.path(), sql).await;
        for _ in 0..2 {
            assert!(is_corrupt(
                apply(&store, bad.leaf(2), Event::Delivered).await
            ));
            let all = store.leaf_apply_all(bad, Event::CancelOverdue, NOW).await;
            assert!(is_corrupt(all), "{sql}");
            assert!(is_corrupt(store.root_cancel(bad, NOW).await));
            let of_host = store.leaf_unfinished_of_host(HostNo(2)).await.unwrap();
            assert!(of_host.iter().map(|it| it.id).eq([good.leaf(2)]));
            drop(store);
            store = SqliteStore::open(directory.path()).unwrap();
        }
        succeed(&store, good, 2).await.unwrap();
        let third = create(&store, 3, 1).await.unwrap();
        succeed(&store, third, 1).await.unwrap();
        drop(store);
        let store = SqliteStore::open(directory.path()).unwrap();
        for (root, leaves) in [(good, 2), (third, 1)] {
            let root = store.root_get(root).await.unwrap().unwrap();
            assert_eq!(root.totals.success, leaves);
        }
        assert_eq!(store.root_active().await.unwrap(), []);
    }
}
