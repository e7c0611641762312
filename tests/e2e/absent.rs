//! Hosts that went away in the middle. Named so that it runs first: the wait for a confirmation takes its time.

use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Server};

use crate::ops::Gate;

#[tokio::test]
async fn a_cancelled_command_whose_host_is_gone_ends_without_it() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::online(&server).await;
    let gate = Gate::new(server.folder(), "gate");
    let root = server
        .create(ClientDevOps, json!({"command": gate.wait()}))
        .await;
    server
        .until_task(&root, "the command runs", |it| {
            it.task_status_text == "DISPATCH"
        })
        .await;
    agent.kill9().await;
    agent.until_offline(&server).await;
    server
        .client()
        .cancel_task(root.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(
        server.task(&root).await.unfinished_count,
        1,
        "the host may still confirm"
    );
    let ended = server.ended(&root).await;
    assert_eq!(
        (ended.fail_count, ended.result_info.as_str()),
        (1, "cancelled")
    );
    // What the host says later changes nothing.
    agent.start();
    agent.until_online(&server).await;
    let next = server
        .create(ClientDevOps, json!({"command": "true"}))
        .await;
    server.ended(&next).await;
    assert_eq!(server.leaf(&root).await.1.reason, "cancelled");
}
