//! The case about more roots than one block of counts has, of all levels but the largest.

use model::{Event, RootId, Status, TaskType, UnixMillis};

use super::naive::{Naive, Numbers};
use super::{FAIL, START, SUCCESS, assert_verified, event, hosts, new_root, page};
use crate::{LeafQuery, RootQuery, Store, Window};

const ROOTS: i64 = 1_100;
const STATUSES: [&[Status]; 4] = [
    &[Status::Fail],
    &[Status::Success, Status::Timeout],
    &[Status::Init, Status::Fail],
    &[Status::Timeout],
];

pub async fn statuses_across_a_thousand_roots_are_as_a_naive_model_has_them<S: Store>(
    open: impl Fn() -> S,
) {
    let mut numbers = Numbers(11);
    let (mut store, mut naive) = (open(), Naive::default());
    let later = START.plus(10_000_000);
    let mut events = Vec::new();
    for number in 0..ROOTS {
        // Many in one moment, then a long pause.
        let at = START.plus(number / 7 * 5_000);
        let mut new = new_root(1, at);
        let [.., high, low] = number.to_be_bytes();
        new.id = RootId::new(at, [0, 0, 0, 0, high, low]);
        new.request_key = number.to_string();
        new.source = numbers.of(&["console", "agent", "agent"]).into();
        let leaves = numbers.leaf(3);
        naive.create(&new, &hosts(leaves.into()));
        let root = new.id;
        store.root_create(new, hosts(leaves.into())).await.unwrap();
        // One in fifty runs on, but none of the oldest.
        let is_running = number > 200 && numbers.below(50) == 0;
        for leaf in 1..=leaves {
            let what = numbers.of(&[SUCCESS, SUCCESS, FAIL, Event::DeadlineOverdue]);
            if !(is_running && leaf == leaves) {
                naive.apply(root, leaf, what, None, later);
                events.push(event(root, leaf, what));
            }
        }
    }
    for result in store.leaf_apply_many(events, later).await.unwrap() {
        result.unwrap();
    }
    check(&store, &naive, &mut numbers).await;
    drop(store);
    store = open();
    for count in [0, 5, 40, 150] {
        let left = u64::try_from(naive.roots.len() - count).unwrap();
        let (keep, old) = (Some(left), UnixMillis(0));
        while !store.root_drop_oldest(old, keep, 64).await.unwrap().is_done {}
        naive.drop_oldest(count);
        check(&store, &naive, &mut numbers).await;
        assert_verified(&store).await;
    }
}

async fn check(store: &impl Store, naive: &Naive, numbers: &mut Numbers) {
    let starts: Vec<_> = naive.roots.iter().map(|it| it.created_at).collect();
    for statuses in STATUSES {
        for source in [None, Some("agent")] {
            for is_open in [true, false] {
                let mut edges = [numbers.of(&starts), numbers.of(&starts)];
                edges.sort_unstable();
                let [start, end] = edges.map(|it| (!is_open).then_some(it));
                let query = LeafQuery::Roots {
                    roots: RootQuery {
                        task_type: TaskType::ClientDevOps,
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

async fn check_query(store: &impl Store, naive: &Naive, query: &LeafQuery, numbers: &mut Numbers) {
    let expected = naive.leaves(query);
    let total = u64::try_from(expected.len()).unwrap();
    let last = total.div_ceil(20).max(1);
    for number in [1, last, last + 1, numbers.below(last) + 1] {
        let found = store.leaf_page(query, page(number, 20), 0).await.unwrap();
        assert_eq!(found.total, total, "{query:?}");
        let skip = usize::try_from((number - 1) * 20).unwrap();
        let wanted = expected.iter().skip(skip).take(20).map(|it| it.id);
        let found: Vec<_> = found.rows.iter().map(|it| it.id).collect();
        assert_eq!(found, wanted.collect::<Vec<_>>(), "{query:?}, {number}");
    }
}
