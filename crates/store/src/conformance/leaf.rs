//! Cases about what happens to leaves.

use std::sync::Arc;

use model::{Dispatch, Effect, Event, LeafState, Reason, Status, TaskType, Totals, limits};

use super::{
    FAIL, START, SUCCESS, answered, apply, assert_verified, create, event, hosts, new_root, page,
};
use crate::{Error, HostNo, LeafQuery, LeafSlot, NewRoot, Store};

pub async fn a_leaf_goes_its_way_and_ends_its_root<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    let root = create(&store, 1, 2).await;
    let way = [
        (Event::Taken, Status::Start),
        (Event::Delivered, Status::Dispatch),
        (SUCCESS, Status::Success),
    ];
    for (at, (what, status)) in (1..).zip(way) {
        let now = START.plus(at * 10_000);
        let done = apply(&store, answered(root, 2, what, r#"{"out":1}"#), now).await;
        let done = done.unwrap();
        assert_eq!((done.effect, done.root_ended), (Effect::Moved, false));
        assert_eq!(done.after.status, status);
        let leaf = store.leaf_get(root.leaf(2)).await.unwrap().unwrap();
        assert_eq!((leaf.host, leaf.state), (HostNo(2), done.after));
        assert_eq!(leaf.answer.is_some(), status == Status::Success);
        assert_verified(&store).await;
    }
    let now = START.plus(50_000);
    let done = apply(&store, event(root, 1, FAIL), now).await.unwrap();
    assert!(done.root_ended);
    for _ in 0..2 {
        let read = store.root_get(root).await.unwrap().unwrap();
        assert_eq!(read.ended_at, Some(now));
        assert_eq!((read.totals.success, read.totals.fail), (1, 1));
        assert_eq!(store.root_active().await.unwrap(), []);
        let leaf = store.leaf_get(root.leaf(2)).await.unwrap().unwrap();
        assert_eq!(leaf.answer.as_deref(), Some(&br#"{"out":1}"#[..]));
        assert_eq!(leaf.state.at, START.plus(30_000));
        let leaf = store.leaf_get(root.leaf(1)).await.unwrap().unwrap();
        assert_eq!((leaf.state, leaf.answer), (done.after, None));
        assert_verified(&store).await;
        drop(store);
        store = open();
    }
}

pub async fn the_first_final_event_wins<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let root = create(&store, 1, 3).await;
    let now = START.plus(10_000);
    // Once within one call, once in calls of their own.
    let both = vec![
        answered(root, 1, FAIL, "1"),
        answered(root, 1, SUCCESS, "2"),
    ];
    let results = store.leaf_apply_many(both, now).await.unwrap();
    let effects: Vec<_> = results.into_iter().map(|it| it.unwrap().effect).collect();
    assert_eq!(effects, [Effect::Moved, Effect::Unchanged]);
    apply(&store, answered(root, 2, SUCCESS, "1"), now)
        .await
        .unwrap();
    for (what, at) in [(FAIL, 1), (SUCCESS, 2), (Event::Delivered, 3)] {
        let late = apply(&store, answered(root, 2, what, "2"), now.plus(at)).await;
        assert_eq!(late.unwrap().effect, Effect::Unchanged);
    }
    drop(store);
    let store = open();
    for (number, status) in [(1, Status::Fail), (2, Status::Success)] {
        let leaf = store.leaf_get(root.leaf(number)).await.unwrap().unwrap();
        assert_eq!((leaf.state.status, leaf.state.at), (status, now));
        assert_eq!(leaf.answer.as_deref(), Some(&b"1"[..]));
    }
    assert_verified(&store).await;
}

pub async fn a_bad_event_spoils_only_itself<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let root = create(&store, 1, 2).await;
    let unknown = model::RootId::new(START, [9; 6]);
    let events = vec![
        event(root, 1, SUCCESS),
        event(root, 0, SUCCESS),
        event(root, 3, SUCCESS),
        event(unknown, 1, SUCCESS),
        event(root, 2, SUCCESS),
    ];
    let results = store.leaf_apply_many(events, START).await.unwrap();
    let good: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, false, false, true]);
    for bad in [1, 2, 3] {
        assert!(matches!(results[bad], Err(Error::NotFound)));
    }
    let read = store.root_get(root).await.unwrap().unwrap();
    assert_eq!(read.totals.success, 2);
    let none = store.leaf_apply_all(unknown, SUCCESS, START).await;
    assert!(matches!(none, Err(Error::NotFound)));
    assert_eq!(store.leaf_apply_many(vec![], START).await.unwrap().len(), 0);
    assert_verified(&store).await;
}

pub async fn a_taken_leaf_waits_again_after_a_crash_if_its_work_only_reads<S: Store>(
    open: impl Fn() -> S,
) {
    let mut store = open();
    let now = START.plus(10_000);
    let mut roots = vec![];
    for (number, task_type) in (1..).zip([TaskType::ClientDevOps, TaskType::AssetSecurityCheck]) {
        let new = NewRoot {
            task_type,
            ..new_root(number, START)
        };
        let root = store.root_create(new, hosts(4)).await.unwrap().id;
        for (number, what) in [
            (1, Event::Taken),
            (2, Event::Taken),
            (2, Event::Delivered),
            (3, Event::Taken),
            (3, Event::TakenBack),
        ] {
            apply(&store, event(root, number, what), now).await.unwrap();
        }
        roots.push(root);
    }
    drop(store);
    store = open();
    for (root, (init, start)) in roots.iter().zip([(2, 1), (3, 0)]) {
        let read = store.root_get(*root).await.unwrap().unwrap();
        let expected = Totals {
            init,
            start,
            dispatch: 1,
            ..Totals::default()
        };
        assert_eq!(read.totals, expected);
    }
    assert_verified(&store).await;
    // What was sent and never confirmed is not told to be never delivered.
    for (root, reason) in roots
        .iter()
        .zip([Reason::NotConfirmed, Reason::NeverDelivered])
    {
        let ended = store.leaf_apply_all(*root, Event::DeadlineOverdue, now.plus(1));
        assert_eq!(ended.await.unwrap().len(), 4);
        let leaf = store.leaf_get(root.leaf(1)).await.unwrap().unwrap();
        assert_eq!(leaf.state.reason, reason);
    }
    assert_verified(&store).await;
}

pub async fn why_a_taken_leaf_ended_is_known_after_a_crash<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let new = NewRoot {
        task_type: TaskType::AssetsCollection,
        ..new_root(1, START)
    };
    let root = store.root_create(new, hosts(2)).await.unwrap().id;
    for what in [Event::Taken, Event::DeadlinePassed] {
        apply(&store, event(root, 1, what), START.plus(5))
            .await
            .unwrap();
    }
    drop(store);
    let store = open();
    let leaf = store.leaf_get(root.leaf(1)).await.unwrap().unwrap();
    assert_eq!(leaf.state.reason, Reason::NotConfirmed);
    assert_verified(&store).await;
}

pub async fn a_leaf_of_a_cancelled_root_is_not_taken<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    let root = create(&store, 1, 2).await;
    let now = START.plus(10_000);
    apply(&store, event(root, 1, Event::Taken), now)
        .await
        .unwrap();
    assert!(store.root_cancel(root, now).await.unwrap());
    for _ in 0..2 {
        let done = apply(&store, event(root, 2, Event::Taken), now).await;
        let done = done.unwrap();
        assert_eq!(done.before, done.after);
        assert_eq!(
            (done.after.status, done.effect),
            (Status::Init, Effect::Unchanged)
        );
        let none = store.leaf_apply_all(root, Event::Taken, now).await;
        assert_eq!(none.unwrap(), []);
        drop(store);
        store = open();
    }
    let done = apply(&store, event(root, 1, Event::Delivered), now).await;
    assert_eq!(done.unwrap().after.status, Status::Dispatch);
    assert_verified(&store).await;
}

pub async fn problems_come_first_then_what_is_unfinished<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    let root = create(&store, 1, 5).await;
    let now = START.plus(10_000);
    for (number, what) in [(1, SUCCESS), (3, Event::Delivered), (5, FAIL)] {
        let text = format!("{number}");
        apply(&store, answered(root, number, what, &text), now)
            .await
            .unwrap();
    }
    for _ in 0..2 {
        let found = store.leaf_problems_first(root, 4, 1).await.unwrap();
        let seen = found.rows.iter().map(|it| {
            let answer = it.answer.as_deref();
            (it.id.number, answer, it.answer_left_out)
        });
        let expected = [
            (5, Some(&b"5"[..]), false),
            (2, None, false),
            (3, None, false),
            (4, None, false),
        ];
        assert!(seen.eq(expected), "{:?}", found.rows);
        assert_eq!(found.total, 5);
        drop(store);
        store = open();
    }
    let found = store.leaf_problems_first(root, 5, 1).await.unwrap();
    assert_eq!(found.rows.iter().filter(|it| it.answer_left_out).count(), 1);
    let unknown = model::RootId::new(START, [9; 6]);
    let found = store.leaf_problems_first(unknown, 5, 1).await.unwrap();
    assert_eq!((found.rows.len(), found.total), (0, 0));
}

pub async fn what_was_acknowledged_is_there_after_a_crash<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    let root = create(&store, 1, 400).await;
    for number in 1..=400_u32 {
        let now = START.plus(i64::from(number) * 100);
        let text = format!(r#"{{"leaf":{number},"text":"{}"}}"#, "x".repeat(50));
        apply(&store, answered(root, number, SUCCESS, &text), now)
            .await
            .unwrap();
        if number % 67 == 0 || number == 400 {
            drop(store);
            store = open();
            let read = store.root_get(root).await.unwrap().unwrap();
            assert_eq!(read.totals.success, number);
            let query = LeafQuery::Root {
                root,
                statuses: vec![Status::Success],
                outcome: None,
            };
            let found = store
                .leaf_page(&query, page(1, 500), usize::MAX)
                .await
                .unwrap();
            assert_eq!(found.total, u64::from(number));
            for (leaf, number) in found.rows.into_iter().zip(1_u32..) {
                let answer = String::from_utf8(leaf.answer.unwrap()).unwrap();
                assert!(answer.starts_with(&format!(r#"{{"leaf":{number},"#)));
            }
            assert_verified(&store).await;
        }
    }
}

pub async fn cancelling_spares_what_a_node_has_taken<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let root = create(&store, 1, 4).await;
    let now = START.plus(10_000);
    for (number, what) in [
        (2, Event::Taken),
        (3, Event::Delivered),
        (4, Event::ManualIssued),
    ] {
        apply(&store, event(root, number, what), now).await.unwrap();
    }
    let results = store
        .leaf_apply_all(root, Event::CancelAsked, now.plus(1))
        .await
        .unwrap();
    let seen: Vec<_> = results
        .iter()
        .map(|(leaf, done)| (leaf.id.number, leaf.host, done.effect, done.root_ended))
        .collect();
    let expected = [
        (1, HostNo(1), Effect::Moved, false),
        (2, HostNo(2), Effect::Kill, false),
        (3, HostNo(3), Effect::Kill, false),
        (4, HostNo(4), Effect::Moved, false),
    ];
    assert_eq!(seen, expected);
    // The taken leaf confirms and succeeds: after a crash that must still be so.
    for what in [Event::Delivered, SUCCESS] {
        apply(&store, event(root, 2, what), now.plus(2))
            .await
            .unwrap();
    }
    drop(store);
    let store = open();
    let mut states = vec![];
    for number in 1..=4 {
        let leaf = store.leaf_get(root.leaf(number)).await.unwrap().unwrap();
        states.push((leaf.state.status, leaf.state.reason));
    }
    let expected = [
        (Status::Fail, Reason::Cancelled),
        (Status::Success, Reason::None),
        (Status::Dispatch, Reason::None),
        (Status::Fail, Reason::Cancelled),
    ];
    assert_eq!(states, expected);
    let last = store
        .leaf_apply_all(root, Event::CancelOverdue, now.plus(3))
        .await
        .unwrap();
    assert_eq!(last.len(), 1);
    assert!(last[0].1.root_ended);
    assert_verified(&store).await;
}

pub async fn an_event_on_all_leaves_counts_each_of_them<S: Store>(open: impl Fn() -> S) {
    let mut store = open();
    let root = create(&store, 1, 3_000).await;
    let now = START.plus(10_000);
    apply(&store, event(root, 1_500, Event::Delivered), now)
        .await
        .unwrap();
    apply(&store, event(root, 1_600, FAIL), now).await.unwrap();
    let results = store.leaf_apply_all(root, Event::DeadlineOverdue, now.plus(5));
    let results = results.await.unwrap();
    assert_eq!(results.len(), 2_999);
    let ended = results.iter().filter(|(_, done)| done.root_ended).count();
    assert_eq!(ended, 1);
    assert!(results.last().unwrap().1.root_ended);
    for _ in 0..2 {
        let read = store.root_get(root).await.unwrap().unwrap();
        assert_eq!((read.totals.timeout, read.totals.fail), (2_999, 1));
        assert_eq!(read.ended_at, Some(now.plus(5)));
        let leaf = store.leaf_get(root.leaf(1_500)).await.unwrap().unwrap();
        assert_eq!(leaf.state.reason, Reason::Deadline);
        let leaf = store.leaf_get(root.leaf(1_501)).await.unwrap().unwrap();
        assert_eq!(leaf.state.reason, Reason::NeverDelivered);
        assert_verified(&store).await;
        drop(store);
        store = open();
    }
}

pub async fn late_news_about_a_finished_root_changes_nothing<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let root = create(&store, 1, 1).await;
    let now = START.plus(10_000);
    let done = apply(&store, answered(root, 1, FAIL, "1"), now)
        .await
        .unwrap();
    let late = apply(&store, answered(root, 1, SUCCESS, "2"), now.plus(1))
        .await
        .unwrap();
    assert_eq!((late.before, late.after), (done.after, done.after));
    assert_eq!((late.effect, late.root_ended), (Effect::Unchanged, false));
    let none = store.leaf_apply_all(root, Event::CancelAsked, now).await;
    assert_eq!(none.unwrap(), []);
    assert_eq!(store.leaf_unfinished(root).await.unwrap(), []);
    let missing = apply(&store, event(root, 2, SUCCESS), now).await;
    assert!(matches!(missing, Err(Error::NotFound)));
    assert_verified(&store).await;
}

pub async fn the_unfinished_leaves_of_a_host_are_found_oldest_first<S: Store>(
    open: impl Fn() -> S,
) {
    let store = open();
    let mut roots = vec![];
    for number in 1..=4 {
        let at = START.plus(i64::from(number) * 1_000);
        let only = [3, 5, 8].map(HostNo).to_vec();
        let hosts = if number == 2 { hosts(4) } else { only };
        let created = store.root_create(new_root(number, at), hosts).await;
        roots.push(created.unwrap().id);
    }
    let now = START.plus(10_000);
    apply(&store, event(roots[2], 2, SUCCESS), now)
        .await
        .unwrap();
    let of_host = |host| store.leaf_unfinished_of_host(HostNo(host));
    let ids = |slots: Vec<LeafSlot>| slots.into_iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(
        ids(of_host(5).await.unwrap()),
        [roots[0].leaf(2), roots[3].leaf(2)]
    );
    assert_eq!(ids(of_host(2).await.unwrap()), [roots[1].leaf(2)]);
    assert_eq!(of_host(3).await.unwrap().len(), 4);
    assert_eq!(of_host(99).await.unwrap(), []);
    let left = store.leaf_unfinished(roots[2]).await.unwrap();
    let expected = [(1, 3), (3, 8)].map(|(number, host)| LeafSlot {
        id: roots[2].leaf(number),
        host: HostNo(host),
        state: LeafState::new(START.plus(3_000)),
    });
    assert_eq!(left, expected);
}

pub async fn an_answer_may_be_as_long_as_the_limit_and_no_longer<S: Store>(open: impl Fn() -> S) {
    let store = open();
    let root = create(&store, 1, 3).await;
    let long = "x".repeat(limits::ANSWER_BYTES_MAX);
    let longer = format!("{long}x");
    let events = vec![
        answered(root, 1, SUCCESS, &long),
        answered(root, 2, SUCCESS, &longer),
        answered(root, 3, FAIL, &long),
    ];
    let results = store.leaf_apply_many(events, START).await.unwrap();
    let good: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true]);
    drop(store);
    let store = open();
    for number in [1, 3] {
        let leaf = store.leaf_get(root.leaf(number)).await.unwrap().unwrap();
        assert_eq!(leaf.answer.unwrap().len(), limits::ANSWER_BYTES_MAX);
    }
    let leaf = store.leaf_get(root.leaf(2)).await.unwrap().unwrap();
    assert_eq!(leaf.state.status, Status::Init);
    assert_eq!(leaf.state.dispatch, Dispatch::Auto);
}

pub async fn many_callers_at_once_all_get_their_own_results<S: Store>(open: impl Fn() -> S) {
    let store = Arc::new(open());
    let root = create(&*store, 1, 300).await;
    let mut callers = tokio::task::JoinSet::new();
    for number in 1..=300_u32 {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            let now = START.plus(5_000);
            let text = format!("{number}");
            let done = apply(&*store, answered(root, number, SUCCESS, &text), now).await;
            let leaf = store.leaf_get(root.leaf(number)).await.unwrap().unwrap();
            assert_eq!(leaf.state, done.as_ref().unwrap().after);
            assert_eq!(leaf.answer.unwrap(), text.as_bytes());
            // A refused command in the same commits spoils nobody else's.
            let refused = store.user_add("same", now).await;
            (done.unwrap().root_ended, refused.is_ok())
        });
    }
    let results = callers.join_all().await;
    assert_eq!(results.iter().filter(|it| it.0).count(), 1);
    assert_eq!(results.iter().filter(|it| it.1).count(), 1);
    let read = store.root_get(root).await.unwrap().unwrap();
    assert_eq!(read.totals.success, 300);
    assert_verified(&*store).await;
}

pub async fn readers_see_one_moment_while_a_root_ends<S: Store>(open: impl Fn() -> S) {
    let store = Arc::new(open());
    let root = create(&*store, 1, 200).await;
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 1..=200 {
                let now = START.plus(i64::from(number));
                apply(&*store, answered(root, number, SUCCESS, "{}"), now)
                    .await
                    .unwrap();
            }
        })
    };
    let query = |statuses: &[Status]| LeafQuery::Root {
        root,
        statuses: statuses.to_vec(),
        outcome: None,
    };
    let (mut seen, mut is_last) = (0, false);
    while !is_last {
        is_last = writer.is_finished();
        let done = query(&[Status::Success]);
        let done = store
            .leaf_page(&done, page(1, 500), usize::MAX)
            .await
            .unwrap();
        let rows = u64::try_from(done.rows.len()).unwrap();
        assert_eq!(rows, done.total);
        assert!(done.rows.iter().all(|it| it.answer.is_some()));
        assert!(done.total >= seen, "what was seen is gone");
        seen = done.total;
        let read = store.root_get(root).await.unwrap().unwrap();
        assert_eq!(read.totals.total(), 200);
        assert_eq!(read.ended_at.is_some(), read.totals.success == 200);
        let all = store.leaf_page(&query(&[]), page(2, 150), 0).await;
        let all = all.unwrap();
        assert_eq!((all.rows.len(), all.total), (50, 200));
    }
    writer.await.unwrap();
    assert_eq!(seen, 200);
}
