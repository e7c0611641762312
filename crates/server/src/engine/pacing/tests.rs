use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use model::{Reason, TaskType, Verdict};

use super::*;
use crate::engine::CONFIRM_MS;
use crate::engine::tests::engine;
use crate::engine::tests::fleet::Fleet;

#[tokio::test]
async fn no_more_hosts_than_asked_have_an_order_at_once() {
    let mut fleet = Fleet::new(9, TaskType::ClientDevOps, "concurrency=2").await;
    fleet.connect(1..=9).await;
    for sweep in [true, true, false] {
        fleet.round(sweep).await;
        assert_eq!(fleet.that_are(Status::Start).await, [1, 2]);
    }
    fleet.happens(1, Event::Delivered).await;
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2]);
    fleet.ends(2, Verdict::Success).await;
    assert_eq!(fleet.that_are(Status::Start).await, [3]);
    for number in [1, 3, 4, 5, 6, 7, 8, 9] {
        let totals = fleet.totals().await;
        assert!(totals.start + totals.dispatch <= 2, "{totals:?}");
        fleet.ends(number, Verdict::Success).await;
    }
    assert_eq!(fleet.totals().await.success, 9);
}

#[tokio::test]
async fn a_wave_waits_for_the_one_before_it_and_goes_on_after_a_restart() {
    let mut fleet = Fleet::new(10, TaskType::ClientDevOps, "waves=1,40%").await;
    fleet.connect(1..=10).await;
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [1]);
    fleet.ends(1, Verdict::Fail).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2, 3, 4]);
    fleet.ends(2, Verdict::Success).await;
    fleet.ends(3, Verdict::Success).await;
    assert_eq!(fleet.totals().await.init, 6);

    fleet.engine = engine(&fleet.store, &fleet.clock);
    fleet.connect(1..=10).await;
    fleet.round(true).await;
    assert_eq!(fleet.totals().await.init, 6, "the second wave still runs");
    fleet.ends(4, Verdict::Success).await;
    assert_eq!(fleet.that_are(Status::Start).await, [5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn hosts_that_are_away_hold_up_no_wave_and_have_their_turn_when_they_come() {
    let mut fleet = Fleet::new(6, TaskType::ClientDevOps, "waves=2").await;
    fleet.connect([3, 5, 6]).await;
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [3, 5]);
    fleet.ends(3, Verdict::Success).await;
    assert_eq!(fleet.that_are(Status::Start).await, [5]);
    fleet.ends(5, Verdict::Success).await;
    assert_eq!(fleet.that_are(Status::Start).await, [6]);
    fleet.connect([1]).await;
    fleet.round(false).await;
    assert_eq!(fleet.that_are(Status::Start).await, [1, 6]);
}

#[tokio::test]
async fn after_too_many_failures_what_waits_ends_and_what_runs_goes_on() {
    let plan = "concurrency=3 stop=2";
    let mut fleet = Fleet::new(8, TaskType::ClientDevOps, plan).await;
    fleet.connect(1..=7).await;
    fleet.round(true).await;
    fleet.ends(1, Verdict::Fail).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2, 3, 4]);
    fleet.ends(3, Verdict::Timeout).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2, 4]);
    assert_eq!(fleet.that_are(Status::Fail).await, [1, 5, 6, 7, 8]);
    let stopped = fleet.store.leaf_get(fleet.leaf(8)).await.unwrap().unwrap();
    assert_eq!(stopped.state.reason, Reason::Stopped);
    fleet.ends(2, Verdict::Success).await;
    fleet.ends(4, Verdict::Success).await;
    let root = fleet.store.root_get(fleet.root).await.unwrap().unwrap();
    assert_eq!(root.totals.status(), Status::Success);
    assert!(root.ended_at.is_some());
    assert!(fleet.store.verify().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_check_that_its_host_never_confirmed_gives_its_place_back() {
    let plan = "concurrency=1";
    let mut fleet = Fleet::new(3, TaskType::ClientProblemCheck, plan).await;
    fleet.connect(1..=2).await;
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [1]);
    assert!(fleet.engine.sessions.remove(fleet.hosts[0], 1));
    fleet
        .engine
        .host_disconnected(fleet.hosts[0])
        .await
        .unwrap();
    fleet.round(true).await;
    assert_eq!(fleet.that_are(Status::Start).await, [2]);
    assert_eq!(
        fleet.that_are(Status::Init).await,
        [1, 3],
        "nobody is asked by hand"
    );
}

#[tokio::test]
async fn an_order_that_is_not_confirmed_is_sent_again() {
    let mut fleet = Fleet::new(2, TaskType::ClientDevOps, "concurrency=1").await;
    fleet.connect(1..=2).await;
    fleet.round(true).await;
    fleet.clock.0.store(CONFIRM_MS, Ordering::SeqCst);
    fleet.round(true).await;
    let mut sent = 0;
    while fleet.lines[0].next().now_or_never().is_some() {
        sent += 1;
    }
    assert_eq!(sent, 2);
    assert_eq!(fleet.that_are(Status::Init).await, [2]);
}
