//! The loss of power: what was not synced is gone, in part or torn; what was answered is there.

use std::collections::BTreeSet;

use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Server};

/// Losses, and tasks before each.
const ROUNDS: u64 = 4;
const TASKS: usize = 30;
/// Bytes of a command: enough of them for the write-ahead log to go into the database now and then.
const COMMAND_BYTES: usize = 60_000;

/// Numbers from a seed (Knuth, The Art of Computer Programming 2, 3.3.4, line 26: MMIX).
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

#[tokio::test]
async fn what_was_answered_survives_the_loss_of_power() {
    let mut server = Server::start_on_faulty_disk(&["--tasks-running-max", "1000"]).await;
    let mut agent = Agent::enrol(&server).await;
    agent.start();
    let mut created = Vec::new();
    let mut ended = BTreeSet::new();
    for round in 0..ROUNDS {
        agent.until_online(&server).await;
        for number in 0..TASKS {
            let padding = "x".repeat(COMMAND_BYTES);
            let command = format!(": {padding}; echo {round}-{number}");
            let param = json!({"command": command});
            created.push(server.create(ClientDevOps, param).await);
        }
        // The first ones have ended; where the others are is left to chance.
        for root in created.iter().take(created.len() - TASKS / 2) {
            server.ended(root).await;
        }
        for task in server.tasks(ClientDevOps).await {
            if task.success_count == 1 {
                ended.insert(task.task_id);
            }
        }
        server.kill9().await;
        server.disk().lose_power(numbers(round));
        let data = server.data().to_str().unwrap().to_owned();
        let said = server.sickbay(&["admin", "verify", "--data", &data]).await;
        assert_eq!(
            (said.code, said.out.as_str()),
            (0, ""),
            "seed {round}: {said:?}"
        );
        server.restart().await;
        let listed = server.tasks(ClientDevOps).await;
        let ids: Vec<_> = listed.iter().rev().map(|it| &it.task_id).collect();
        assert_eq!(ids, created.iter().collect::<Vec<_>>(), "seed {round}");
        for task in listed {
            let expected = u32::from(ended.contains(&task.task_id));
            assert!(task.success_count >= expected, "seed {round}: {task:?}");
        }
    }
    for root in &created {
        assert_eq!(server.ended(root).await.success_count, 1, "{root}");
    }
}
