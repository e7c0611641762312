//! Cases about outcomes: who answered the same.

use model::{Event, OutcomeId, Reason, Said, Status, limits};

use super::{FAIL, START, SUCCESS, apply, assert_verified, create, event, page, said};
use crate::{LeafAnswer, LeafEvent, LeafQuery, Store};

pub async fn hosts_that_answered_the_same_are_counted_together<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let root = create(&store, 1, 6).await;
    let now = START.plus(5_000);
    let answers = [
        (5, SUCCESS, 1),
        (2, SUCCESS, 1),
        (3, SUCCESS, 2),
        (4, FAIL, 1),
    ];
    for (number, what, kind) in answers {
        let answer = Some(said(format!("{{\"at\":{number}}}").as_bytes(), kind));
        let one = LeafEvent {
            answer,
            ..event(root, number, what)
        };
        // Said again, it does not count again.
        for _ in 0..2 {
            apply(&store, one.clone(), now).await.unwrap();
        }
    }
    let fail = OutcomeId::new(Status::Fail, Reason::ExitCode, Some(&said(b"", 1).said));
    let expected = |numbers: &[(&str, u32, u32)], groups: Vec<crate::OutcomeGroup>| {
        let found: Vec<_> = groups
            .iter()
            .map(|it| (it.label.as_str(), it.count, it.sample.number))
            .collect();
        assert_eq!(found, numbers);
    };
    let answered = [("kind 1", 2, 2), ("kind 2", 1, 3), ("kind 1", 1, 4)];
    expected(&answered, store.outcome_list(root).await.unwrap());
    drop(store);
    let store = open();
    expected(&answered, store.outcome_list(root).await.unwrap());
    let ended = store.leaf_apply_all(root, Event::DeadlineOverdue, now);
    ended.await.unwrap();
    let all = [("kind 1", 2, 2), ("", 2, 1), answered[1], answered[2]];
    let mut all = all;
    all[..2].sort_by_key(|it| it.2);
    expected(&all, store.outcome_list(root).await.unwrap());
    let query = LeafQuery::Root {
        root,
        statuses: Vec::new(),
        outcome: Some(fail),
    };
    let found = store.leaf_page(&query, page(1, 10), 100).await.unwrap();
    assert_eq!((found.total, found.rows[0].id.number), (1, 4));
    assert_eq!(found.rows[0].answer.as_deref(), Some(&b"{\"at\":4}"[..]));
    assert_verified(&store).await;
    drop(store);
    let store = open();
    expected(&all, store.outcome_list(root).await.unwrap());
    let dropped = store.root_drop_oldest(now, None, 1_000);
    assert_eq!(dropped.await.unwrap().roots, []);
    create(&store, 9, 1).await;
    let dropped = store.root_drop_oldest(now, None, 1_000).await.unwrap();
    assert_eq!(dropped.roots, [root]);
    assert_eq!(store.outcome_list(root).await.unwrap(), []);
    assert_verified(&store).await;
}

pub async fn outcomes_beyond_the_limit_are_one_group_of_each_status<S: Store>(
    open: impl Fn() -> S,
) {
    let store = open();
    let most = u32::try_from(limits::ROOT_OUTCOMES_MAX).unwrap();
    let root = create(&store, 1, i64::from(most) + 21).await;
    let now = START.plus(5_000);
    let events = (1..=most + 20).map(|number| {
        let mut digest = [0; 14];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        LeafEvent {
            answer: Some(LeafAnswer {
                json: b"{}".to_vec(),
                said: Said::new(digest, number.to_string()),
                snapshots: Vec::new(),
            }),
            ..event(root, number, if number % 2 == 0 { FAIL } else { SUCCESS })
        }
    });
    let results = store.leaf_apply_many(events.collect(), now).await.unwrap();
    assert!(results.iter().all(Result::is_ok));
    let groups = store.outcome_list(root).await.unwrap();
    assert_eq!(groups.len(), limits::ROOT_OUTCOMES_MAX + 2);
    let counts: u32 = groups.iter().map(|it| it.count).sum();
    let ended = store.root_get(root).await.unwrap().unwrap().totals.ended();
    assert_eq!(counts, ended);
    for (group, status) in groups.iter().zip([Status::Success, Status::Fail]) {
        assert_eq!((group.id, group.count), (OutcomeId::other(status), 10));
        let query = LeafQuery::Root {
            root,
            statuses: vec![status],
            outcome: Some(group.id),
        };
        let found = store.leaf_page(&query, page(2, 4), 0).await.unwrap();
        let numbers: Vec<u32> = found.rows.iter().map(|it| it.id.number).collect();
        let first = group.sample.number + 8;
        assert_eq!(numbers, [first, first + 2, first + 4, first + 6]);
        assert_eq!(found.total, 10);
    }
    apply(&store, event(root, most + 21, Event::CancelAsked), now)
        .await
        .unwrap();
    let groups = store.outcome_list(root).await.unwrap();
    assert_eq!(
        (groups[0].id, groups[0].count),
        (OutcomeId::other(Status::Fail), 11)
    );
    assert_verified(&store).await;
    drop(store);
    let store = open();
    assert_eq!(store.outcome_list(root).await.unwrap(), groups);
    assert_verified(&store).await;
}
