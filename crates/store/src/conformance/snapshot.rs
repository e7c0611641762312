//! Cases about the lists of what is on a host.

use model::AssetItem::{Packages, Ports, System};
use model::{HostUuid, LeafId, RootId, TaskType, UnixMillis};

use super::{FAIL, START, SUCCESS, answered, apply, assert_verified, hosts, new_root};
use crate::{HostNo, LeafAnswer, LeafEvent, NewHost, NewRoot, NewSnapshot, Snapshot, Store};

fn uuid(number: usize) -> HostUuid {
    format!("inet-{number}").parse().unwrap()
}

async fn add_hosts(store: &impl Store) {
    for number in 1..=3 {
        let host = NewHost {
            uuid: uuid(number),
            public_key: vec![1; 32],
            name: String::new(),
            group: String::new(),
            labels: model::Labels::default(),
            facts: "{}".into(),
            agent_version: String::new(),
            created_at: START,
        };
        store.host_add(host).await.unwrap();
    }
}

async fn create(store: &impl Store, number: u8, task_type: TaskType) -> RootId {
    let new = NewRoot {
        task_type,
        ..new_root(number, START.plus(i64::from(number) * 1_000))
    };
    store.root_create(new, hosts(3)).await.unwrap().id
}

/// A result with lists, each of which says `text`.
fn with_lists(leaf: LeafEvent, items: &[model::AssetItem], text: &str) -> LeafEvent {
    let list = |item: &model::AssetItem| NewSnapshot::new(*item, text.as_bytes()).unwrap();
    let answer = leaf.answer.map(|answer| LeafAnswer {
        snapshots: items.iter().map(list).collect(),
        ..answer
    });
    LeafEvent { answer, ..leaf }
}

fn snapshot(
    leaf: LeafId,
    item: model::AssetItem,
    at: UnixMillis,
    change: i64,
    text: &str,
) -> Snapshot {
    Snapshot {
        host: HostNo(i64::from(leaf.number)),
        item,
        leaf,
        taken_at: at,
        change,
        json: text.as_bytes().to_vec(),
    }
}

pub async fn the_last_list_of_a_host_is_kept_with_its_result<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    add_hosts(&store).await;
    let first = create(&store, 1, TaskType::AssetSecurityCheck).await;
    let second = create(&store, 2, TaskType::AssetsCollection).await;
    let other = create(&store, 3, TaskType::ClientDevOps).await;
    let all = [HostNo(1), HostNo(2), HostNo(3), HostNo(9)];
    let (early, late) = (START.plus(10_000), START.plus(20_000));
    let one = answered(first, 1, SUCCESS, "{}");
    let both = with_lists(one.clone(), &[Ports, Packages], "old");
    let events = vec![
        both.clone(),
        with_lists(answered(first, 2, FAIL, "{}"), &[Ports], "failed"),
        with_lists(answered(other, 2, SUCCESS, "{}"), &[Ports], "no inventory"),
        with_lists(answered(first, 3, SUCCESS, "{}"), &[System], "gone"),
    ];
    let results = store.leaf_apply_many(events, early).await.unwrap();
    assert!(results.iter().all(Result::is_ok));
    let again = with_lists(answered(second, 1, SUCCESS, "{}"), &[Ports], "new");
    apply(&store, again, late).await.unwrap();
    // It has ended: what comes late changes nothing.
    apply(&store, with_lists(one, &[Ports], "late"), late)
        .await
        .unwrap();
    let items = [Packages, Ports, System];
    let before = store.snapshot_list(&all, &[System]).await.unwrap();
    assert_eq!(before, [snapshot(first.leaf(3), System, early, 3, "gone")]);
    assert!(store.host_remove(&uuid(3), late).await.unwrap());
    for _ in 0..2 {
        let kept = store.snapshot_list(&all, &items).await.unwrap();
        let expected = [
            snapshot(first.leaf(1), Packages, early, 2, "old"),
            snapshot(second.leaf(1), Ports, late, 4, "new"),
        ];
        assert_eq!(kept, expected);
        let changes = async |after, most| store.snapshot_changes(after, most).await.unwrap();
        assert_eq!(changes(0, 9).await, expected);
        assert_eq!(changes(1, 1).await, expected[..1], "as many as asked for");
        assert_eq!(changes(2, 9).await, expected[1..]);
        assert_eq!(changes(4, 9).await, []);
        assert_verified(&store).await;
        drop(store);
        store = open();
    }
    let late = with_lists(answered(second, 3, SUCCESS, "{}"), &[Ports], "removed");
    apply(&store, late, START.plus(30_000)).await.unwrap();
    assert_eq!(store.snapshot_list(&all[2..], &items).await.unwrap(), []);
    let next = with_lists(answered(second, 2, SUCCESS, "{}"), &[System], "next");
    apply(&store, next, START.plus(40_000)).await.unwrap();
    let numbers = store.snapshot_changes(4, 9).await.unwrap();
    let numbers: Vec<i64> = numbers.iter().map(|it| it.change).collect();
    assert_eq!(
        numbers,
        [5],
        "a number is given once, also where its list is gone"
    );
}
