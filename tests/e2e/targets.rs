//! Which hosts a task is for: selectors, and doing it again.

use model::Reason;
use model::Status;
use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Server};

#[tokio::test]
async fn a_selector_means_the_hosts_that_match_when_the_task_is_made() {
    let server = Server::start(&[]).await;
    let online = Agent::online(&server).await;
    let offline = Agent::enrol(&server).await;
    let preview = server
        .client()
        .preview_targets(Some(client::HostChoice::Selector("status = online")))
        .await;
    let preview = preview.unwrap();
    assert_eq!((preview.total_count, preview.online_count), (1, 1));
    assert_eq!(preview.sample[0].uuid, online.uuid);

    let param = json!({"command": "true", "selector": "status = online"});
    let root = server.create(ClientDevOps, param).await;
    let ended = server.ended(&root).await;
    assert_eq!((ended.success_count, ended.total_count), (1, 1));

    let not = format!("arch ~ 86 and not uuid = {}", online.uuid);
    let param = json!({"command": "true", "selector": not, "timeoutSeconds": 600});
    let root = server.create(ClientDevOps, param).await;
    let leaves = server.leaves(&root).await;
    assert_eq!(leaves.len(), 1);
    assert_eq!(leaves[0].1.uuid, offline.uuid);
}

#[tokio::test]
async fn a_selector_that_means_no_host_or_nothing_creates_nothing() {
    let server = Server::start(&[]).await;
    Agent::enrol(&server).await;
    for (selector, why) in [
        ("os = plan9", "no host matches the selector"),
        ("os = ", "expected a value at the end"),
        (
            "colour = red",
            "at character 1 is not a key; keys are account.name, arch, group",
        ),
    ] {
        let param = json!({"command": "true", "selector": selector}).to_string();
        let params = [
            ("TaskType", "CLIENT_DEV_OPS"),
            ("TaskName", "CLIENT_DEV_OPS"),
            ("Param", param.as_str()),
        ];
        let reply = server.request("GenerateOnceTask", &params).send().await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert_eq!(reply.json()["Code"], json!("IllegalParam"));
        assert!(reply.text().contains(why), "{}", reply.text());
    }
    assert!(server.tasks(ClientDevOps).await.is_empty());
    let dry = ["task", "create", "CLIENT_DEV_OPS", "-p", "command=true"];
    let dry = [
        &dry[..],
        &["--selector", "name ~ e", "--dry-run", "-o", "json"],
    ]
    .concat();
    server.sickbay(&dry).await;
    assert!(server.tasks(ClientDevOps).await.is_empty());
}

#[tokio::test]
async fn a_task_is_done_again_only_where_it_did_not_succeed() {
    let server = Server::start(&[]).await;
    let good = Agent::online(&server).await;
    let bad = Agent::online(&server).await;
    bad.set_policy("commands = false\n");
    let mut bad = bad;
    bad.terminate().await;
    bad.start();
    bad.until_online(&server).await;
    let away = Agent::enrol(&server).await;
    let param = json!({"command": "true", "timeoutSeconds": 2});
    let root = server.create(ClientDevOps, param).await;
    let ended = server.ended(&root).await;
    assert_eq!(
        (ended.success_count, ended.fail_count, ended.timeout_count),
        (1, 1, 1)
    );

    let client = server.client();
    let id = root.parse().unwrap();
    let again = client.rerun_task(id, &[], &[], &[]).await.unwrap();
    assert_eq!(again.total_count, 2);
    let rerun = server.task(&again.task_id).await;
    assert_eq!(rerun.rerun_of, root);
    let uuids: Vec<String> = server
        .leaves(&again.task_id)
        .await
        .into_iter()
        .map(|it| it.1.uuid)
        .collect();
    assert_eq!(uuids, [bad.uuid.clone(), away.uuid.clone()]);

    let reasons = [Reason::NeverDelivered];
    let again = client
        .rerun_task(id, &[Status::Timeout], &reasons, &[])
        .await
        .unwrap();
    let leaves = server.leaves(&again.task_id).await;
    assert_eq!(leaves.len(), 1);
    assert_eq!(leaves[0].1.uuid, away.uuid);
    assert_ne!(leaves[0].1.uuid, good.uuid);
    let none = client
        .rerun_task(id, &[Status::Timeout], &[Reason::NotConfirmed], &[])
        .await
        .unwrap_err();
    assert!(
        none.to_string().contains("no host of that task is left"),
        "{none}"
    );
    // What is still to come would be done twice.
    let early = client
        .rerun_task(id, &[Status::Fail, Status::Start], &[], &[])
        .await
        .unwrap_err();
    assert!(early.to_string().contains("names START"), "{early}");
}

#[tokio::test]
async fn a_task_is_done_again_once_for_one_token() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let param = json!({"command": "false", "uuids": [agent.uuid]});
    let root = server.create(ClientDevOps, param).await;
    server.ended(&root).await;
    let rerun = async |more: &[(&str, &str)]| {
        let mut params = vec![("TaskId", root.as_str()), ("ClientToken", "once")];
        params.extend(more);
        server.request("RerunOnceTask", &params).send().await
    };
    let first = rerun(&[]).await.json()["TaskId"].clone();
    server.ended(first.as_str().unwrap()).await;
    assert_eq!(rerun(&[]).await.json()["TaskId"], first);
    let other = rerun(&[("StatusList.1", "TIMEOUT")]).await;
    crate::refusals::refused(&other, 400, "IdempotentParameterMismatch");
    assert_eq!(server.tasks(ClientDevOps).await.len(), 2);
    let long = "x".repeat(65);
    let wrong = [("TaskId", root.as_str()), ("ClientToken", &long)];
    let wrong = server.request("RerunOnceTask", &wrong).send().await;
    assert!(
        wrong.text().contains("ClientToken must be 1 to 64"),
        "{}",
        wrong.text()
    );
}

#[tokio::test]
async fn a_task_is_done_again_on_the_hosts_that_are_named() {
    let server = Server::start(&[]).await;
    let agents = [
        Agent::online(&server).await,
        Agent::online(&server).await,
        Agent::online(&server).await,
    ];
    let param = json!({"command": "true", "uuids": [agents[0].uuid, agents[1].uuid]});
    let root = server.create(ClientDevOps, param).await;
    server.ended(&root).await;

    let [first, other, stranger] = agents.each_ref().map(|it| it.uuid.as_str());
    let rerun = ["task", "rerun", &root, "-o", "json"];
    let said = server
        .sickbay(&[&rerun[..], &["--host", first]].concat())
        .await;
    let again: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let again = again["TaskId"].as_str().unwrap();
    let leaves = server.leaves(again).await;
    assert_eq!(leaves.len(), 1);
    assert_eq!(leaves[0].1.uuid, first);
    assert_eq!(server.task(again).await.rerun_of, root);

    for refused in [
        &["--host", stranger][..],
        &["--host", other, "--status", "FAIL"],
        &["--host", other, "--reason", "never_delivered"],
        &["--host", "inet-of-nobody"],
    ] {
        let said = server.sickbay(&[&rerun[..], refused].concat()).await;
        assert_ne!(said.code, 0, "{said:?}");
        let uuid = refused[1];
        assert!(said.err.contains(uuid), "{said:?}");
    }
    assert_eq!(server.tasks(ClientDevOps).await.len(), 2);
}
