//! Cases about dropping the oldest roots.

use model::{Event, RootId, TaskType, UnixMillis};

use super::naive::{Naive, Numbers};
use super::pages::check;
use super::{
    START, SUCCESS, answered, apply, assert_verified, create, event, hosts, new_root, page, said,
};
use crate::{Error, LeafQuery, RootQuery, Store, Window};

/// Drops until it is done, a few rows at a time.
async fn drop_all(store: &impl Store, before: UnixMillis, keep_max: Option<u64>) -> Vec<RootId> {
    let mut roots = Vec::new();
    loop {
        let dropped = store.root_drop_oldest(before, keep_max, 7).await.unwrap();
        roots.extend(dropped.roots);
        if dropped.is_done {
            return roots;
        }
    }
}

const NEVER: UnixMillis = UnixMillis(i64::MIN);

pub async fn every_page_stays_right_when_the_oldest_roots_are_dropped<S: Store>(
    open: impl Fn() -> S,
) {
    let kinds = [TaskType::ClientDevOps, TaskType::ClientProblemCheck];
    let mut numbers = Numbers(7);
    let (mut store, mut naive) = (open(), Naive::default());
    let sizes = [3, 1_500, 0, 300, 1, 40, 7, 2, 256, 5, 9, 1];
    for (number, size) in (1..).zip(sizes) {
        let mut new = new_root(number, START.plus(i64::from(number) * 1_000));
        new.task_type = kinds[usize::from(number % 3 == 1)];
        new.source = numbers.of(&["console", "agent"]).into();
        naive.create(&new, &hosts(size));
        let root = store.root_create(new, hosts(size)).await.unwrap().id;
        let now = START.plus(100_000);
        let text = format!(r#"{{"root":{number}}}"#);
        for leaf in 1..=u32::try_from(size).unwrap().min(4) {
            naive.apply(root, leaf, SUCCESS, Some(said(text.as_bytes(), 1)), now);
            let one = answered(root, leaf, SUCCESS, &text);
            apply(&store, one, now).await.unwrap();
        }
        // The last few run on.
        if number < 10 {
            for leaf in 1..=u32::try_from(size).unwrap() {
                naive.apply(root, leaf, Event::DeadlineOverdue, None, now);
            }
            let overdue = store.leaf_apply_all(root, Event::DeadlineOverdue, now);
            overdue.await.unwrap();
        }
    }
    for before in [0, 1_000, 2_000, 4_500, 9_000] {
        let before = START.plus(before);
        let old = naive.roots.iter().take_while(|it| it.created_at < before);
        let old: Vec<RootId> = old.map(|it| it.id).collect();
        assert_eq!(drop_all(&store, before, None).await, old);
        naive.drop_oldest(old.len());
        for id in old {
            assert_eq!(store.root_get(id).await.unwrap(), None);
            assert_eq!(store.leaf_get(id.leaf(1)).await.unwrap(), None);
        }
        check(&store, &naive, kinds, &mut numbers).await;
        assert_verified(&store).await;
        drop(store);
        store = open();
        naive.crash();
        check(&store, &naive, kinds, &mut numbers).await;
    }
    let newer = new_root(13, START.plus(13_000));
    naive.create(&newer, &hosts(30));
    store.root_create(newer, hosts(30)).await.unwrap();
    check(&store, &naive, kinds, &mut numbers).await;
    assert_verified(&store).await;
}

pub async fn a_root_that_runs_and_the_newest_are_not_dropped<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let later = START.plus(1_000_000);
    assert_eq!(drop_all(&store, later, Some(0)).await, []);
    let mut roots = Vec::new();
    for number in 1..=5 {
        roots.push(create(&store, number, 1).await);
    }
    for at in [0, 1, 3, 4] {
        let end = event(roots[at], 1, SUCCESS);
        apply(&store, end, later).await.unwrap();
    }
    assert_eq!(drop_all(&store, NEVER, None).await, []);
    assert_eq!(drop_all(&store, NEVER, Some(5)).await, []);
    assert_eq!(drop_all(&store, NEVER, Some(4)).await, roots[..1]);
    let digest = [1; 32];
    let forgotten = store.root_of_request("request 1", &digest).await;
    assert_eq!(forgotten.unwrap(), None);
    let late = apply(&store, event(roots[0], 1, SUCCESS), later).await;
    assert!(matches!(late, Err(Error::NotFound)), "{late:?}");
    assert_eq!(drop_all(&store, later, None).await, roots[1..2]);
    apply(&store, event(roots[2], 1, SUCCESS), later)
        .await
        .unwrap();
    assert_eq!(drop_all(&store, later, Some(0)).await, roots[2..4]);
    assert_eq!(drop_all(&store, later, Some(0)).await, []);
    assert!(store.root_get(roots[4]).await.unwrap().is_some());
    assert_verified(&store).await;
    let next = create(&store, 1, 1).await;
    let next = store.root_get(next).await.unwrap().unwrap();
    assert_eq!(next.created_at, START.plus(5_000), "not before the last");
    assert_verified(&store).await;
}

pub async fn dropping_goes_on_where_it_stopped_and_is_never_half_seen<S: Store>(
    open: impl Fn() -> S,
) {
    let mut store = open();
    let (old, new) = (create(&store, 1, 2_000).await, create(&store, 2, 3).await);
    let now = START.plus(10_000);
    for leaf in 1..=50 {
        let one = answered(old, leaf, SUCCESS, r#"{"a":1}"#);
        apply(&store, one, now).await.unwrap();
    }
    let all = store.leaf_apply_all(old, Event::DeadlineOverdue, now).await;
    assert_eq!(all.unwrap().len(), 1_950);
    let query = LeafQuery::Roots {
        roots: RootQuery {
            task_type: TaskType::ClientDevOps,
            source: None,
            window: Window::default(),
        },
        statuses: vec![],
    };
    let (mut calls, mut dropped) = (0, Vec::new());
    loop {
        let one = store.root_drop_oldest(now, None, 10).await.unwrap();
        dropped.extend(one.roots);
        calls += 1;
        let found = store.leaf_page(&query, page(1, 10), usize::MAX).await;
        let found = found.unwrap();
        assert_eq!((found.total, found.rows.len()), (3, 3));
        assert!(found.rows.iter().all(|it| it.id.root == new));
        assert_verified(&store).await;
        drop(store);
        store = open();
        if one.is_done {
            break;
        }
    }
    assert_eq!(dropped, [old]);
    assert!(calls > 5, "{calls}");
}
