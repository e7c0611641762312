//! The case about pages of leaves: a random life of many roots, compared with the naive model.

use model::{Effect, Event, LeafId, OutcomeId, RootId, Status, TaskType, UnixMillis};

use super::naive::{Naive, NaiveRoot, Numbers};
use super::{START, assert_verified, hosts, new_root, page, said};
use crate::{HostNo, Leaf, LeafEvent, LeafQuery, RootQuery, Store, Window};

const STATUSES: [&[Status]; 7] = [
    &[],
    &Status::ALL,
    &[Status::Init],
    &[Status::Fail],
    &[Status::Success, Status::Timeout],
    &[Status::Start, Status::Dispatch],
    &[Status::Init, Status::Timeout],
];

pub async fn every_page_is_as_a_naive_model_has_it<S: Store>(open: impl Fn() -> S) {
    for seed in [1, 42] {
        live(&open, seed).await;
    }
}

/// One life. Roots of both seeds share the store; their types keep them apart.
async fn live<S: Store>(open: &impl Fn() -> S, seed: u64) {
    let kinds = match seed {
        1 => [TaskType::ClientDevOps, TaskType::ClientProblemCheck],
        _ => [TaskType::AssetSecurityCheck, TaskType::AssetsCollection],
    };
    let mut numbers = Numbers(seed);
    let (mut store, mut naive) = (open(), Naive::default());
    let mut now = START.plus(i64::try_from(seed).unwrap() * 1_000_000);
    let sizes = [1, 1_500, 0, 7, 256, 40, 1_024, 300, 2];
    for (number, size) in (1..).zip(sizes) {
        now = now.plus(1_000);
        let mut new = new_root(number + u8::try_from(seed).unwrap(), now);
        new.request_key = format!("{seed} {number}");
        new.task_type = kinds[usize::from(number % 4 == 2)];
        new.source = numbers.of(&["console", "agent"]).into();
        let first = i64::try_from(numbers.below(50)).unwrap();
        let hosts: Vec<_> = hosts(size)
            .into_iter()
            .map(|HostNo(it)| HostNo(first + it * 3))
            .collect();
        naive.create(&new, &hosts);
        store.root_create(new, hosts).await.unwrap();
        for _ in 0..30 {
            now = now.plus(1);
            step(&store, &mut naive, &mut numbers, now).await;
        }
        if number % 3 == 0 {
            check(&store, &naive, kinds, &mut numbers).await;
            assert_verified(&store).await;
            drop(store);
            store = open();
            naive.crash();
        }
    }
    check(&store, &naive, kinds, &mut numbers).await;
    let ids: Vec<_> = naive.roots.iter().map(|it| it.id).collect();
    for id in ids {
        now = now.plus(1);
        apply_all(&store, &mut naive, id, Event::DeadlineOverdue, now).await;
    }
    check(&store, &naive, kinds, &mut numbers).await;
    assert_verified(&store).await;
}

/// Some events on random leaves of random roots in one call; now and then one on all of a root.
async fn step(store: &impl Store, naive: &mut Naive, numbers: &mut Numbers, now: UnixMillis) {
    let roots: Vec<(RootId, u32)> = naive
        .roots
        .iter()
        .map(|it| (it.id, u32::try_from(it.leaves.len()).unwrap()))
        .filter(|it| it.1 > 0)
        .collect();
    if numbers.below(40) == 0 {
        let (root, _) = numbers.of(&roots);
        let event = numbers.event();
        apply_all(store, naive, root, event, now).await;
        return;
    }
    if numbers.below(60) == 0 {
        let (root, _) = numbers.of(&roots);
        let is_news = store.root_cancel(root, now).await.unwrap();
        assert_eq!(is_news, naive.cancel(root, now));
        return;
    }
    let (mut events, mut effects) = (vec![], vec![]);
    for _ in 0..numbers.below(60) {
        let (root, leaves) = numbers.of(&roots);
        let (number, event) = (numbers.leaf(leaves), numbers.event());
        let text = format!(r#"{{"at":{}}}"#, now.0).into_bytes();
        let has_answer = matches!(event, Event::Ended { .. }) && numbers.below(4) > 0;
        let kind = u8::try_from(numbers.below(4) + 1).unwrap();
        let answer = has_answer.then(|| said(&text, kind));
        effects.push(naive.apply(root, number, event, answer.clone(), now));
        let leaf = root.leaf(number);
        events.push(LeafEvent {
            leaf,
            event,
            answer,
        });
    }
    let results = store.leaf_apply_many(events, now).await.unwrap();
    let found: Vec<_> = results.into_iter().map(|it| it.unwrap().effect).collect();
    assert_eq!(found, effects);
}

async fn apply_all(
    store: &impl Store,
    naive: &mut Naive,
    root: RootId,
    event: Event,
    now: UnixMillis,
) {
    let leaves = u32::try_from(naive.root(root).leaves.len()).unwrap();
    let expected: Vec<(LeafId, Effect)> = (1..=leaves)
        .map(|it| (root.leaf(it), naive.apply(root, it, event, None, now)))
        .filter(|it| it.1 != Effect::Unchanged)
        .collect();
    let results = store.leaf_apply_all(root, event, now).await.unwrap();
    let found: Vec<_> = results
        .into_iter()
        .map(|(leaf, done)| (leaf.id, done.effect))
        .collect();
    assert_eq!(found, expected);
}

pub(super) async fn check(
    store: &impl Store,
    naive: &Naive,
    kinds: [TaskType; 2],
    numbers: &mut Numbers,
) {
    for root in &naive.roots {
        let read = store.root_get(root.id).await.unwrap().unwrap();
        assert_eq!(read.totals, root.totals());
        assert_eq!(read.cancelled_at, root.cancelled_at);
        check_problems_first(store, root).await;
        assert_eq!(read.ended_at.is_some(), read.totals.unfinished() == 0);
        let unfinished = store.leaf_unfinished(root.id).await.unwrap();
        let expected = root.leaves.iter().filter(|it| !it.state.status.is_final());
        let found = unfinished.iter().map(|it| (it.id, it.state.status));
        assert!(found.eq(expected.map(|it| (it.id, it.state.status))));
        for statuses in STATUSES {
            let query = LeafQuery::Root {
                root: root.id,
                statuses: statuses.to_vec(),
                outcome: None,
            };
            check_query(store, naive, &query, numbers).await;
        }
        check_outcomes(store, naive, root, numbers).await;
    }
    let starts: Vec<_> = naive.roots.iter().map(|it| it.created_at).collect();
    for statuses in STATUSES {
        for source in [None, Some("agent")] {
            for _ in 0..3 {
                let start = (numbers.below(2) > 0).then(|| numbers.of(&starts));
                let end = (numbers.below(2) > 0).then(|| numbers.of(&starts));
                let query = LeafQuery::Roots {
                    roots: RootQuery {
                        task_type: numbers.of(&kinds),
                        source: source.map(Into::into),
                        window: Window { start, end },
                    },
                    statuses: statuses.to_vec(),
                };
                check_query(store, naive, &query, numbers).await;
            }
        }
    }
}

/// All groups; then the pages of one of them, of one that is not there, and of each status of both.
async fn check_outcomes(
    store: &impl Store,
    naive: &Naive,
    root: &NaiveRoot,
    numbers: &mut Numbers,
) {
    let groups = store.outcome_list(root.id).await.unwrap();
    assert_eq!(groups, root.groups());
    let sum: u32 = groups.iter().map(|it| it.count).sum();
    assert_eq!(sum, root.totals().ended());
    let mut ids = vec![OutcomeId::other(Status::Fail)];
    if !groups.is_empty() {
        let all: Vec<OutcomeId> = groups.iter().map(|it| it.id).collect();
        ids.push(numbers.of(&all));
    }
    for id in ids {
        for statuses in [
            &[][..],
            &[Status::Fail],
            &[Status::Success, Status::Timeout],
        ] {
            let query = LeafQuery::Root {
                root: root.id,
                statuses: statuses.to_vec(),
                outcome: Some(id),
            };
            check_query(store, naive, &query, numbers).await;
        }
    }
}

/// The first, the last, one past the end, and two pages between.
async fn check_query(store: &impl Store, naive: &Naive, query: &LeafQuery, numbers: &mut Numbers) {
    let expected = naive.leaves(query);
    let total = u64::try_from(expected.len()).unwrap();
    for size in [3, 500] {
        let last = total.div_ceil(u64::from(size));
        let middle = [numbers.below(last) + 1, numbers.below(last) + 1];
        for number in [1, last.max(1), last + 1].into_iter().chain(middle) {
            let found = store.leaf_page(query, page(number, size), usize::MAX).await;
            let found = found.unwrap();
            assert_eq!(found.total, total, "{query:?}");
            let skip = usize::try_from((number - 1) * u64::from(size)).unwrap();
            let wanted = expected.iter().skip(skip);
            let wanted = wanted.take(usize::try_from(size).unwrap());
            let wanted: Vec<Leaf> = wanted.map(|it| (*it).clone()).collect();
            assert_eq!(found.rows, wanted, "{query:?}, page {number} of {size}");
        }
    }
}

async fn check_problems_first(store: &impl Store, root: &NaiveRoot) {
    let mut expected: Vec<&Leaf> = root.leaves.iter().collect();
    expected.sort_by_key(|it| match it.state.status {
        Status::Fail | Status::Timeout => 0,
        Status::Init | Status::Start | Status::Dispatch => 1,
        Status::Success => 2,
    });
    for size in [0, 3, 100, 2_000] {
        let found = store.leaf_problems_first(root.id, size, usize::MAX).await;
        let found = found.unwrap();
        assert_eq!(usize::try_from(found.total).unwrap(), expected.len());
        let wanted = expected.iter().take(usize::try_from(size).unwrap());
        assert!(found.rows.iter().eq(wanted.copied()), "{size}");
    }
}
