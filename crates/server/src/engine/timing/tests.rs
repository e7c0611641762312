use std::sync::atomic::Ordering;

use model::{Reason, TaskType, Verdict};

use super::*;
use crate::engine::tests::engine;
use crate::engine::tests::fleet::Fleet;

const LIMIT_MS: i64 = 60_000;
/// The last moment of a leaf that was handed out, or confirmed, at 0.
const OVER_MS: i64 = LIMIT_MS + limits::DEADLINE_GRACE_MS;

async fn fleet(task_type: TaskType) -> Fleet {
    let mut fleet = Fleet::new(3, task_type, "leaf-ms=60000").await;
    fleet.connect(1..=2).await;
    fleet.round(true).await;
    fleet
}

impl Fleet {
    async fn at(&self, ms: i64) {
        self.clock.0.store(ms, Ordering::SeqCst);
        self.round(false).await;
    }

    async fn end(&self, number: u32) -> (Status, Reason) {
        let leaf = self.store.leaf_get(self.leaf(number)).await;
        let state = leaf.unwrap().unwrap().state;
        (state.status, state.reason)
    }
}

#[tokio::test]
async fn a_host_that_went_away_in_the_middle_has_its_time_and_its_grace() {
    let fleet = fleet(TaskType::ClientDevOps).await;
    fleet.clock.0.store(5_000, Ordering::SeqCst);
    fleet.happens(1, Event::Delivered).await;
    fleet.happens(2, Event::Delivered).await;
    fleet.ends(2, Verdict::Success).await;
    assert!(fleet.engine.sessions.remove(fleet.hosts[0], 1));
    fleet.at(OVER_MS).await;
    fleet.at(OVER_MS + 4_999).await;
    assert_eq!(fleet.end(1).await.0, Status::Dispatch);
    fleet.at(OVER_MS + 5_000).await;
    assert_eq!(fleet.end(1).await, (Status::Timeout, Reason::Deadline));
    assert_eq!(fleet.end(2).await.0, Status::Success);
    assert_eq!(fleet.end(3).await.0, Status::Init, "never handed out");
}

#[tokio::test]
async fn an_order_that_is_never_confirmed_ends_in_time_too() {
    let fleet = fleet(TaskType::ClientDevOps).await;
    fleet.at(OVER_MS - 1).await;
    assert_eq!(fleet.end(1).await.0, Status::Start);
    fleet.at(OVER_MS).await;
    assert_eq!(fleet.end(1).await, (Status::Timeout, Reason::NotConfirmed));
}

#[tokio::test]
async fn what_was_handed_out_before_a_restart_is_still_timed() {
    let mut fleet = fleet(TaskType::ClientDevOps).await;
    fleet.happens(1, Event::Delivered).await;
    fleet.clock.0.store(1_000, Ordering::SeqCst);
    fleet.engine = engine(&fleet.store, &fleet.clock);
    fleet.at(OVER_MS).await;
    assert_eq!(
        fleet.end(1).await.0,
        Status::Dispatch,
        "hosts come back first"
    );
    fleet.at(1_000 + limits::SETTLE_MS).await;
    assert_eq!(fleet.end(1).await, (Status::Timeout, Reason::Deadline));
}

#[tokio::test]
async fn a_leaf_that_waits_again_has_its_whole_time_again() {
    let mut fleet = fleet(TaskType::ClientProblemCheck).await;
    assert!(fleet.engine.sessions.remove(fleet.hosts[0], 1));
    fleet
        .engine
        .host_disconnected(fleet.hosts[0])
        .await
        .unwrap();
    fleet.at(OVER_MS).await;
    assert_eq!(
        fleet.end(1).await.0,
        Status::Init,
        "offline hosts are not timed"
    );
    fleet.connect([1]).await;
    fleet.at(2 * OVER_MS - 1).await;
    assert_eq!(fleet.end(1).await.0, Status::Start);
    fleet.at(2 * OVER_MS).await;
    assert_eq!(fleet.end(1).await.0, Status::Timeout);
}

#[tokio::test]
async fn a_timed_out_host_makes_room_for_the_next() {
    let plan = "concurrency=1 leaf-ms=60000";
    let mut fleet = Fleet::new(2, TaskType::ClientDevOps, plan).await;
    fleet.connect(1..=2).await;
    fleet.round(true).await;
    fleet.happens(1, Event::Delivered).await;
    fleet.at(OVER_MS).await;
    fleet.at(OVER_MS).await;
    assert_eq!(fleet.end(1).await, (Status::Timeout, Reason::Deadline));
    assert_eq!(fleet.end(2).await.0, Status::Start);
}
