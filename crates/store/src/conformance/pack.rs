//! Cases about packing: what a root answered, put into the order of its leaves once it has ended.

use std::sync::Arc;

use model::{Event, RootId, Status};

use super::naive::{Naive, Numbers};
use super::{FAIL, START, SUCCESS, assert_verified, create, hosts, new_root, page, said};
use crate::{LeafEvent, LeafQuery, Store};

/// Creates root `number` and runs it to its end: leaves are delivered and answer in random order, in
/// many commits; it is cancelled on the way; what does not answer is overdue.
async fn run(store: &impl Store, naive: &mut Naive, number: u8, leaves: u32) -> RootId {
    let mut numbers = Numbers(u64::from(number));
    let new = new_root(number, START.plus(i64::from(number) * 1_000));
    naive.create(&new, &hosts(leaves.into()));
    let root = store.root_create(new, hosts(leaves.into())).await;
    let root = root.unwrap().id;
    for round in 0..30 {
        let now = START.plus(100_000 + round);
        let mut events = Vec::new();
        for _ in 0..leaves / 10 {
            let leaf = numbers.leaf(leaves);
            let event = numbers.of(&[SUCCESS, SUCCESS, FAIL, Event::Delivered, Event::Taken]);
            let text = format!(r#"{{"leaf":{leaf},"text":"{}"}}"#, numbers.below(1 << 40));
            let ends = matches!(event, Event::Ended { .. });
            let answer = ends.then(|| said(text.as_bytes(), u8::try_from(leaf % 5).unwrap()));
            naive.apply(root, leaf, event, answer.clone(), now);
            events.push(LeafEvent {
                leaf: root.leaf(leaf),
                event,
                answer,
            });
        }
        store.leaf_apply_many(events, now).await.unwrap();
        if round == 20 {
            assert!(store.root_cancel(root, now).await.unwrap());
            naive.cancel(root, now);
            all(store, naive, root, Event::CancelAsked, now).await;
        }
    }
    let now = START.plus(200_000);
    all(store, naive, root, Event::DeadlineOverdue, now).await;
    root
}

async fn all(
    store: &impl Store,
    naive: &mut Naive,
    root: RootId,
    event: Event,
    now: model::UnixMillis,
) {
    let leaves = u32::try_from(naive.root(root).leaves.len()).unwrap();
    for leaf in 1..=leaves {
        naive.apply(root, leaf, event, None, now);
    }
    store.leaf_apply_all(root, event, now).await.unwrap();
}

/// Compares all leaves of a root with the model, by page and some by id.
async fn check(store: &impl Store, naive: &Naive, root: RootId) {
    for statuses in [&[][..], &[Status::Fail]] {
        let query = LeafQuery::Root {
            root,
            statuses: statuses.to_vec(),
            outcome: None,
        };
        let expected = naive.leaves(&query);
        for (number, expected) in (1..).zip(expected.chunks(500)) {
            let found = store.leaf_page(&query, page(number, 500), usize::MAX).await;
            assert!(found.unwrap().rows.iter().eq(expected.iter().copied()));
        }
        for leaf in expected.iter().step_by(97) {
            let found = store.leaf_get(leaf.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(*leaf));
        }
    }
}

pub async fn every_answer_is_read_while_a_root_is_packed_and_afterwards<S: Store>(
    open: impl Fn() -> S,
) {
    let (store, mut naive) = (Arc::new(open()), Naive::default());
    let root = run(&*store, &mut naive, 1, 6_000).await;
    let packing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.packed().await.unwrap() })
    };
    let mut is_last = false;
    while !is_last {
        is_last = packing.is_finished();
        check(&*store, &naive, root).await;
    }
    packing.await.unwrap();
    assert_verified(&*store).await;
    drop(store);
    let store = open();
    check(&store, &naive, root).await;
    assert_verified(&store).await;
    let next = run(&store, &mut naive, 2, 300).await;
    drop(store);
    let store = open();
    store.packed().await.unwrap();
    check(&store, &naive, next).await;
    check(&store, &naive, root).await;
    let groups = store.outcome_list(root).await.unwrap();
    assert_eq!(groups, naive.root(root).groups());
    assert_verified(&store).await;
}

pub async fn answers_that_do_not_fit_into_memory_together_are_packed_too<S: Store>(
    open: impl Fn() -> S,
) {
    const LEAVES: u32 = 256;
    const BYTES: usize = 200 << 10;
    const { assert!(256 * BYTES > model::limits::PACK_BYTES_MAX) };
    let store = open();
    let root = create(&store, 1, LEAVES.into()).await;
    // 101 has no divisor in common with the number of leaves, so each comes once.
    let order: Vec<u32> = (0..LEAVES).map(|it| it * 101 % LEAVES + 1).collect();
    let text = |leaf: u32| format!("{leaf:05}").repeat(BYTES / 5);
    for leaves in order.chunks(16) {
        let events = leaves.iter().map(|leaf| LeafEvent {
            leaf: root.leaf(*leaf),
            event: SUCCESS,
            answer: Some(said(text(*leaf).as_bytes(), 1)),
        });
        let now = START.plus(5_000);
        store.leaf_apply_many(events.collect(), now).await.unwrap();
    }
    store.packed().await.unwrap();
    for leaf in 1..=LEAVES {
        let found = store.leaf_get(root.leaf(leaf)).await.unwrap().unwrap();
        assert_eq!(found.answer.unwrap(), text(leaf).as_bytes());
    }
    assert_verified(&store).await;
}

pub async fn a_root_is_dropped_while_it_is_packed<S: Store>(open: impl Fn() -> S) {
    let (store, mut naive) = (open(), Naive::default());
    let root = run(&store, &mut naive, 1, 3_000).await;
    let newer = create(&store, 2, 1).await;
    let later = START.plus(1_000_000);
    loop {
        let dropped = store.root_drop_oldest(later, None, 50).await.unwrap();
        if dropped.is_done {
            break;
        }
    }
    store.packed().await.unwrap();
    assert_eq!(store.root_get(root).await.unwrap(), None);
    assert!(store.root_get(newer).await.unwrap().is_some());
    assert_verified(&store).await;
    // Nothing of it is left that packing might have written.
    let rest = store.root_drop_oldest(later, None, 1).await.unwrap();
    assert!(rest.is_done);
    assert_verified(&store).await;
}
