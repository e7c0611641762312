//! How a task's hosts have their turns.

use model::TaskType::ClientDevOps;
use protocol::api::task::{HostDetail, Task};
use serde_json::json;
use tests::{Agent, Server};

use crate::ops::Gate;

fn that_are<'a>(leaves: &'a [(Task, HostDetail)], status: &str) -> Vec<&'a HostDetail> {
    let are = leaves
        .iter()
        .filter(|(leaf, _)| leaf.task_status_text == status);
    are.map(|(_, detail)| detail).collect()
}

#[tokio::test]
async fn waves_wait_for_one_another_across_a_crash_and_say_so() {
    let mut server = Server::start(&[]).await;
    let agents = [
        Agent::online(&server).await,
        Agent::online(&server).await,
        Agent::online(&server).await,
    ];
    let _offline = Agent::enrol(&server).await;
    let gate = Gate::new(agents[0].folder(), "gate");
    let command = format!("command={}", gate.wait());
    let create = ["task", "create", "CLIENT_DEV_OPS", "--all", "-p", &command];
    let paced = ["--concurrency", "2", "--waves", "1,100%", "-o", "json"];
    let said = server.sickbay(&[&create[..], &paced].concat()).await;
    assert_eq!(said.code, 0, "{said:?}");
    let created: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let root = created["TaskId"].as_str().unwrap().to_owned();

    server
        .until_task(&root, "the first wave runs", |it| {
            it.detail_data.contains("\"message\":\"running\"")
        })
        .await;
    server.kill9().await;
    server.restart().await;
    for agent in &agents {
        agent.until_online(&server).await;
    }
    let leaves = server.leaves(&root).await;
    assert_eq!(that_are(&leaves, "DISPATCH").len(), 1);
    let waiting = that_are(&leaves, "INIT");
    let says = |what: &str| {
        let say = waiting.iter().filter(|it| it.message.starts_with(what));
        say.count()
    };
    assert_eq!(says("paced: wave 2 of 2"), 2, "{waiting:?}");
    assert_eq!(says("host offline: not back since"), 1, "{waiting:?}");

    gate.open();
    let done = server
        .until_task(&root, "all that are there have ended", |it| {
            it.success_count == 3
        })
        .await;
    assert_eq!((done.unfinished_count, done.task_status), (1, 1));
}

#[tokio::test]
async fn after_too_many_failures_the_rest_is_left_out() {
    let server = Server::start(&[]).await;
    let _agents = [Agent::online(&server).await, Agent::online(&server).await];
    let pacing = json!({"concurrency": 1, "stopAfterFailures": 1});
    let param = json!({"command": "exit 7", "pacing": pacing});
    let root = server.create(ClientDevOps, param).await;
    let ended = server.ended(&root).await;
    assert_eq!(ended.task_status_text, "FAIL");
    assert!(
        ended
            .result_info
            .starts_with("stopped after too many failures")
    );
    let leaves = server.leaves(&root).await;
    let mut reasons: Vec<&str> = leaves.iter().map(|(_, it)| it.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["exit_code", "stopped"]);

    let rerun = ["task", "rerun", &root, "--reason", "stopped", "-o", "json"];
    let said = server.sickbay(&rerun).await;
    let again: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(again["TotalCount"], 1, "{said:?}");
}

#[tokio::test]
async fn each_host_has_a_time_of_its_own_though_it_goes_away_in_the_middle() {
    let server = Server::start(&[]).await;
    let stays = Agent::online(&server).await;
    let mut goes = Agent::online(&server).await;
    let gate = Gate::new(stays.folder(), "gate");
    let command = format!("command=echo begun; {}", gate.wait());
    let create = ["task", "create", "CLIENT_DEV_OPS", "--all", "-p", &command];
    let timed = ["--leaf-timeout", "2", "--timeout", "600", "-o", "json"];
    let said = server.sickbay(&[&create[..], &timed].concat()).await;
    assert_eq!(said.code, 0, "{said:?}");
    let created: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let root = created["TaskId"].as_str().unwrap().to_owned();
    server
        .until_task(&root, "both hosts run it", |it| {
            it.task_status_text == "DISPATCH"
        })
        .await;
    goes.kill9().await;
    let ended = server.ended(&root).await;
    assert_eq!(
        (ended.timeout_count, ended.task_status_text.as_str()),
        (2, "TIMEOUT")
    );
    for (_, detail) in server.leaves(&root).await {
        assert_eq!(detail.reason, "deadline");
        let is_kept = detail.stdout.as_deref() == Some("begun\n");
        assert!(is_kept || detail.uuid == goes.uuid, "{detail:?}");
    }
}
