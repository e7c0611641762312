//! Cases about roots.

use model::{Event, RootId, TaskType, Totals, UnixMillis, limits};

use super::{START, assert_verified, create, hosts, new_root, page};
use crate::{Created, Error, HostNo, LeafQuery, Root, RootQuery, Store, Window};

fn query(task_type: TaskType) -> RootQuery {
    RootQuery {
        task_type,
        source: None,
        window: Window::default(),
    }
}

pub async fn a_root_reads_back_as_it_was_created<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let new = new_root(1, START);
    let created = store.root_create(new.clone(), hosts(3)).await.unwrap();
    assert_eq!(
        created,
        Created {
            id: new.id,
            existed: false
        }
    );
    let expected = Root {
        id: new.id,
        task_type: new.task_type,
        name: new.name,
        source: new.source,
        operator: new.operator,
        work: new.work,
        created_at: START,
        deadline: new.deadline,
        cancelled_at: None,
        ended_at: None,
        rerun_of: new.rerun_of,
        plan: new.plan,
        totals: Totals::new(3),
    };
    assert_eq!(store.root_get(new.id).await.unwrap().unwrap(), expected);
    let active = store.root_active().await.unwrap();
    assert_eq!(active, std::slice::from_ref(&expected));
    let last = store.root_last(&query(TaskType::ClientDevOps)).await;
    assert_eq!(last.unwrap(), Some(expected.clone()));
    let other = store.root_last(&query(TaskType::AssetsCollection)).await;
    assert_eq!(other.unwrap(), None);
    let unknown = RootId::new(START, [9; 6]);
    assert_eq!(store.root_get(unknown).await.unwrap(), None);
    drop(store);
    let store = open();
    assert_eq!(store.root_get(new.id).await.unwrap().unwrap(), expected);
    assert_eq!(store.root_active().await.unwrap(), [expected]);
    assert_verified(&store).await;
}

pub async fn the_same_request_creates_only_once<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    let first = create(&store, 1, 3).await;
    for again in 2..4 {
        let mut new = new_root(again, START.plus(60_000));
        new.request_key = "request 1".into();
        new.request_digest = [1; 32];
        let found = store.root_create(new.clone(), hosts(5)).await.unwrap();
        assert_eq!(
            found,
            Created {
                id: first,
                existed: true
            }
        );
        assert_eq!(store.root_get(new.id).await.unwrap(), None);
        drop(store);
        store = open();
    }
    let mut same_id = new_root(1, START.plus(1_000));
    same_id.request_key = "another".into();
    let refused = store.root_create(same_id, hosts(1)).await;
    assert!(matches!(refused, Err(Error::Conflict)));
    assert_eq!(store.root_active().await.unwrap().len(), 1);
}

pub async fn the_same_key_with_another_request_is_refused<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    let root = create(&store, 1, 3).await;
    for _ in 0..2 {
        let (key, mut digest) = ("request 1", [1; 32]);
        let found = store.root_of_request(key, &digest).await;
        assert_eq!(found.unwrap(), Some(root));
        let unknown = store.root_of_request("request 2", &digest).await;
        assert_eq!(unknown.unwrap(), None);
        digest[31] = 2;
        let refused = store.root_of_request(key, &digest).await;
        assert!(matches!(refused, Err(Error::Conflict)));
        let mut new = new_root(2, START.plus(60_000));
        new.request_key = key.into();
        let refused = store.root_create(new.clone(), hosts(1)).await;
        assert!(matches!(refused, Err(Error::Conflict)));
        assert_eq!(store.root_get(new.id).await.unwrap(), None);
        drop(store);
        store = open();
    }
    assert_verified(&store).await;
}

pub async fn a_root_never_starts_before_the_one_before_it<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let (first, second) = (new_root(1, START.plus(500)), new_root(2, START));
    let (first, second) = (
        store.root_create(first, hosts(1)).await.unwrap().id,
        store.root_create(second, hosts(1)).await.unwrap().id,
    );
    for id in [first, second] {
        let root = store.root_get(id).await.unwrap().unwrap();
        assert_eq!(root.created_at, START.plus(500));
    }
    assert_verified(&store).await;
}

pub async fn roots_are_paged_newest_first_within_type_source_and_window<S: Store>(
    open: impl Fn() -> S,
) {
    let store = open();
    for number in 0..40 {
        let mut new = new_root(number, START.plus(i64::from(number / 2) * 10));
        if number % 4 == 3 {
            new.task_type = TaskType::AssetSecurityCheck;
        }
        new.source = ["console", "", "agent"][usize::from(number) % 3].into();
        store
            .root_create(new, hosts(i64::from(number % 3)))
            .await
            .unwrap();
    }
    let ends = [
        None,
        Some(-1),
        Some(0),
        Some(35),
        Some(100),
        Some(190),
        Some(500),
    ];
    for (task_type, is_asset) in [
        (TaskType::ClientDevOps, false),
        (TaskType::AssetSecurityCheck, true),
    ] {
        for (at, source) in [None, Some("console"), Some(""), Some("agent"), Some("?")]
            .into_iter()
            .enumerate()
        {
            for (start, end) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))) {
                let expected: Vec<String> = (0..40_i64)
                    .rev()
                    .filter(|n| (n % 4 == 3) == is_asset)
                    .filter(|n| at == 0 || usize::try_from(n % 3).unwrap() + 1 == at)
                    .filter(|n| start.is_none_or(|it| n / 2 * 10 >= it))
                    .filter(|n| end.is_none_or(|it| n / 2 * 10 <= it))
                    .map(|n| format!("task {n}"))
                    .collect();
                let query = RootQuery {
                    task_type,
                    source: source.map(Into::into),
                    window: Window {
                        start: start.map(|it| START.plus(it)),
                        end: end.map(|it| START.plus(it)),
                    },
                };
                check_pages(&store, &query, &expected).await;
            }
        }
    }
    assert_verified(&store).await;
}

async fn check_pages(store: &impl Store, query: &RootQuery, expected: &[String]) {
    for number in 1..=3 {
        let found = store.root_page(query, page(number, 7)).await.unwrap();
        let skip = usize::try_from(number - 1).unwrap() * 7;
        let names: Vec<_> = found.rows.into_iter().map(|it| it.name).collect();
        let wanted: Vec<_> = expected.iter().skip(skip).take(7).cloned().collect();
        assert_eq!(names, wanted, "{query:?}, page {number}");
        assert_eq!(found.total, u64::try_from(expected.len()).unwrap());
    }
    let past = store.root_page(query, page(u64::MAX, 100)).await.unwrap();
    assert_eq!(past.rows, []);
    let last = store.root_last(query).await.unwrap();
    assert_eq!(last.map(|it| it.name).as_ref(), expected.first());
}

pub async fn a_root_is_cancelled_once<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let root = create(&store, 1, 2).await;
    let now = START.plus(5_000);
    assert!(store.root_cancel(root, now).await.unwrap());
    assert!(!store.root_cancel(root, now.plus(1)).await.unwrap());
    let unknown = RootId::new(START, [9; 6]);
    let refused = store.root_cancel(unknown, now).await;
    assert!(matches!(refused, Err(Error::NotFound)));
    drop(store);
    let store = open();
    let read = store.root_get(root).await.unwrap().unwrap();
    assert_eq!(read.cancelled_at, Some(now));
    assert_eq!(read.totals, Totals::new(2));
    let ended = store.leaf_apply_all(root, Event::CancelAsked, now).await;
    assert_eq!(ended.unwrap().len(), 2);
    let read = store.root_get(root).await.unwrap().unwrap();
    assert_eq!((read.cancelled_at, read.ended_at), (Some(now), Some(now)));
    let other = create(&store, 2, 1).await;
    store
        .leaf_apply_all(other, Event::DeadlinePassed, now)
        .await
        .unwrap();
    assert!(!store.root_cancel(other, now).await.unwrap());
    assert_verified(&store).await;
}

pub async fn a_root_without_leaves_has_ended<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let root = create(&store, 1, 0).await;
    create(&store, 2, 1).await;
    let read = store.root_get(root).await.unwrap().unwrap();
    assert_eq!(read.ended_at, Some(read.created_at));
    assert_eq!(store.root_active().await.unwrap().len(), 1);
    let query = LeafQuery::Root {
        root,
        statuses: vec![],
        outcome: None,
    };
    let leaves = store
        .leaf_page(&query, page(1, 10), usize::MAX)
        .await
        .unwrap();
    assert_eq!((leaves.rows.len(), leaves.total), (0, 0));
    assert_verified(&store).await;
}

pub async fn hosts_out_of_order_are_refused<S: Store>(open: impl Fn() -> S) {
    let store = open();
    for bad in [[2, 1], [1, 1]] {
        let hosts = bad.map(HostNo).to_vec();
        assert!(store.root_create(new_root(1, START), hosts).await.is_err());
    }
    assert_eq!(store.root_active().await.unwrap(), []);
    create(&store, 1, 2).await;
    assert_verified(&store).await;
}

pub async fn one_root_takes_the_most_hosts<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let most = i64::try_from(limits::ROOT_HOSTS_MAX).unwrap();
    let refused = store.root_create(new_root(1, START), hosts(most + 1)).await;
    assert!(refused.is_err());
    let root = create(&store, 1, most).await;
    let neighbour = create(&store, 2, 1).await;
    let total = u32::try_from(most).unwrap();
    let now = UnixMillis(START.0 + 9_000);
    store
        .leaf_apply_all(root, Event::DeadlinePassed, now)
        .await
        .unwrap();
    let read = store.root_get(root).await.unwrap().unwrap();
    assert_eq!(read.totals.timeout, total);
    for (id, host) in [(root.leaf(total), most), (neighbour.leaf(1), 1)] {
        let leaf = store.leaf_get(id).await.unwrap().unwrap();
        assert_eq!(leaf.host, HostNo(host));
    }
    assert_eq!(store.leaf_get(root.leaf(total + 1)).await.unwrap(), None);
    assert_verified(&store).await;
}
