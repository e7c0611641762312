//! Tests of packing that breaks off, after each of its commits.

use std::path::Path;

use model::{RootId, Said, Status};

use super::{Fate, Fates, NOW, SUCCESS, assert_verified, open};
use crate::sql::task::View;
use crate::sql::{SqlStore, answer};
use crate::sqlite::Sqlite;
use crate::{HostNo, LeafAnswer, LeafEvent, LeafQuery, PageRequest, SqliteStore, Store};

const LEAVES: u32 = 3_500;

/// Creates a root and returns the results of all its leaves, in an order that scatters them.
async fn create(store: &impl Store, number: u8) -> (RootId, Vec<LeafEvent>) {
    let new = crate::conformance::new_root(number, NOW);
    let hosts = (1..=i64::from(LEAVES)).map(HostNo).collect();
    let root = store.root_create(new, hosts).await.unwrap().id;
    // 1,009 has no divisor in common with the number of leaves, so each comes once.
    let order = (0..LEAVES).map(|it| it * 1_009 % LEAVES + 1);
    let events = order.map(|number| LeafEvent {
        leaf: root.leaf(number),
        event: SUCCESS,
        answer: Some(LeafAnswer {
            json: text(number).into_bytes(),
            said: Said::new([1; 14], "said".into()),
            snapshots: Vec::new(),
        }),
    });
    (root, events.collect())
}

fn text(number: u32) -> String {
    format!(r#"{{"leaf":{number}}}"#)
}

async fn apply(store: &impl Store, events: &[LeafEvent]) {
    for events in events.chunks(1_000) {
        for result in store.leaf_apply_many(events.to_vec(), NOW).await.unwrap() {
            result.unwrap();
        }
    }
}

async fn assert_answers(store: &impl Store, root: RootId) {
    let query = LeafQuery::Root {
        root,
        statuses: Vec::new(),
        outcome: None,
    };
    for number in 1..=u64::from(LEAVES).div_ceil(500) {
        let page = PageRequest { number, size: 500 };
        let found = store.leaf_page(&query, page, usize::MAX).await.unwrap();
        for leaf in found.rows {
            let answer = String::from_utf8(leaf.answer.unwrap()).unwrap();
            assert_eq!(answer, text(leaf.id.number));
        }
    }
}

/// A store whose root has ended and which cannot be written to after so many commits of its packing.
/// Returns also whether packing was done before that.
async fn broken_off(dir: &Path, commits: u32) -> (SqlStore<Sqlite>, Fates, RootId, bool) {
    let (store, fate) = open(dir);
    let (root, events) = create(&store, 1).await;
    let (last, events) = events.split_last().unwrap();
    apply(&store, events).await;
    store.packed().await.unwrap();
    *fate.lock().unwrap() = Fate::UnreachableAfter(1 + commits);
    apply(&store, std::slice::from_ref(last)).await;
    let broken_off = async {
        while *fate.lock().unwrap() != Fate::Unreachable {
            tokio::task::yield_now().await;
        }
    };
    let is_done = tokio::select! {
        packed = store.packed() => packed.is_ok(),
        () = broken_off => false,
    };
    (store, fate, root, is_done)
}

#[tokio::test]
async fn packing_that_breaks_off_after_any_commit_leaves_all_in_order_and_goes_on() {
    for commits in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let (store, _, root, is_done) = broken_off(directory.path(), commits).await;
        assert_answers(&store, root).await;
        drop(store);
        let lines = SqliteStore::verify_closed(directory.path()).unwrap();
        assert_eq!(lines, Vec::<String>::new(), "after {commits} commits");
        let (store, _) = open(directory.path());
        assert_answers(&store, root).await;
        store.packed().await.unwrap();
        assert_answers(&store, root).await;
        assert_verified(&store).await;
        if is_done {
            assert!(commits > 3, "{commits}");
            break;
        }
    }
}

#[tokio::test]
async fn packing_goes_on_when_the_connection_is_back() {
    for lost in [Fate::LostCommitStands, Fate::LostCommitFails] {
        let directory = tempfile::tempdir().unwrap();
        let (store, fate, root, _) = broken_off(directory.path(), 2).await;
        *fate.lock().unwrap() = lost;
        while store.ping().await.is_err() {
            tokio::task::yield_now().await;
        }
        store.packed().await.unwrap();
        assert_answers(&store, root).await;
        assert_verified(&store).await;
    }
}

#[tokio::test]
async fn a_damaged_root_is_not_packed_and_the_next_is() {
    for damage in [
        "UPDATE journal SET data = x'02' WHERE block = 3",
        "DELETE FROM journal WHERE block = 3",
        "UPDATE state_segment SET data = zeroblob(3584) WHERE segment & 4095 = 1",
        "UPDATE root SET pack_to = 1000000 WHERE no = 1",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (store, _, first, _) = broken_off(directory.path(), 0).await;
        drop(store);
        let file = rusqlite::Connection::open(directory.path().join("sickbay.db")).unwrap();
        let blocks = |no: i64| {
            let sql = "SELECT count(*) FROM journal WHERE root_no = ?";
            let count = file.query_row(sql, [no], |row| row.get(0));
            count.unwrap()
        };
        file.execute_batch(damage).unwrap();
        let before: i64 = blocks(1);
        let (store, _) = open(directory.path());
        let (second, events) = create(&store, 2).await;
        apply(&store, &events).await;
        store.packed().await.unwrap();
        assert_answers(&store, second).await;
        let packed: i64 = blocks(2);
        assert!(blocks(1) >= before && packed < before * 3 / 2, "{damage}");
        let lines = store.verify().await.unwrap();
        assert!(lines.iter().all(|it| it.starts_with("root number 1: ")));
        assert!(store.root_get(first).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn who_looked_at_a_root_while_it_ran_finds_its_answers_after_it_was_packed() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let (root, events) = create(&store, 1).await;
    let (last, events) = events.split_last().unwrap();
    apply(&store, events).await;
    let before = store.shared.active();
    apply(&store, std::slice::from_ref(last)).await;
    store.packed().await.unwrap();
    let page = store.shared.readers.lend(|tx| {
        let view = View {
            tx,
            active: &before,
        };
        let query = LeafQuery::Root {
            root,
            statuses: vec![Status::Success],
            outcome: None,
        };
        let page = PageRequest {
            number: 1,
            size: LEAVES,
        };
        answer::complete(tx, view.leaf_page(&query, page)?, usize::MAX)
    });
    let page = page.unwrap();
    assert_eq!(page.total, u64::from(LEAVES) - 1);
    for leaf in page.rows {
        assert_eq!(leaf.answer.unwrap(), text(leaf.id.number).as_bytes());
    }
}
