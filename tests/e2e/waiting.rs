//! Hosts that are not there, tasks that are too many, and how waiting ends.

use model::TaskType::{AssetsCollection, ClientDevOps, ClientProblemCheck};
use serde_json::json;
use tests::{Agent, Server};

#[tokio::test]
async fn what_never_reached_its_host_says_so() {
    let server = Server::start(&[]).await;
    let agent = Agent::enrol(&server).await;
    let param = json!({"command": "id", "uuids": agent.uuid, "timeoutSeconds": 1});
    let command = server.create(ClientDevOps, param).await;
    let (_, detail) = server.leaf(&command).await;
    assert!(
        detail.message.starts_with("host offline since "),
        "{}",
        detail.message
    );
    assert!(
        detail.res_code.is_empty(),
        "a command is never to be run by hand: {detail:?}"
    );
    let param = json!({"problemType": "offline", "timeoutSeconds": 2});
    let check = server.create(ClientProblemCheck, param).await;

    for (root, reason) in [(command, "never_delivered"), (check, "manual_not_run")] {
        let ended = server.ended(&root).await;
        assert_eq!(
            (ended.task_status, ended.task_status_text.as_str()),
            (4, "TIMEOUT"),
            "{reason}"
        );
        assert_eq!(
            (
                ended.timeout_count,
                ended.total_count,
                ended.progress.as_str()
            ),
            (1, 1, "100%")
        );
        let (_, detail) = server.leaf(&root).await;
        assert_eq!(detail.reason, reason);
        assert!(
            detail.res_code.is_empty(),
            "what has ended is no longer to be run by hand: {detail:?}"
        );
        let records = server.request(
            "DescribeOnceTaskLeafRecordPage",
            &[
                ("TaskId", &root),
                ("TaskType", &ended.task_type),
                ("StatusList.1", "TIMEOUT"),
            ],
        );
        let record = &records.send().await.json()["OnceTasks"][0];
        assert_eq!(record["ResultInfo"], json!(reason.to_uppercase()));
    }
}

#[tokio::test]
async fn a_host_that_comes_back_does_what_waited_for_it() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::enrol(&server).await;
    let command = server
        .create(ClientDevOps, json!({"command": "echo late"}))
        .await;
    let check = server
        .create(ClientProblemCheck, json!({"problemType": "other"}))
        .await;
    let waits = |it: &protocol::api::task::Task| it.detail_data.contains("1003");
    server
        .until_task(&check, "the check is offered by hand", waits)
        .await;
    agent.start();
    assert_eq!(server.ended(&command).await.success_count, 1);
    assert_eq!(
        server.leaf(&command).await.1.stdout.as_deref(),
        Some("late\n")
    );
    assert_eq!(server.ended(&check).await.success_count, 1);
    assert!(
        !server
            .leaf(&check)
            .await
            .1
            .res_code
            .contains(&"1003".to_owned()),
        "nothing is left to do by hand"
    );
}

#[tokio::test]
async fn no_more_tasks_than_allowed_run_at_once_and_cancelling_makes_room() {
    let server = Server::start(&["--tasks-running-max", "2"]).await;
    let _agent = Agent::enrol(&server).await;
    let first = server.create(ClientDevOps, json!({"command": "id"})).await;
    let second = server.create(AssetsCollection, json!({})).await;
    let third = || {
        let params = [
            ("TaskType", "CLIENT_DEV_OPS"),
            ("TaskName", "CLIENT_DEV_OPS"),
            ("Param", "{\"command\":\"id\"}"),
        ];
        server.request("GenerateOnceTask", &params)
    };
    let refused = third().send().await;
    assert_eq!(refused.status, 400);
    let body = refused.json();
    assert_eq!(
        (&body["Code"], &body["CanCreate"]),
        (&json!("TaskLimitExceeded"), &json!(false))
    );
    assert_eq!(
        server.tasks(ClientDevOps).await.len(),
        1,
        "nothing was created"
    );

    for root in [&first, &second] {
        server
            .client()
            .cancel_task(root.parse().unwrap())
            .await
            .unwrap();
        let task = server.task(root).await;
        assert_eq!(
            (task.fail_count, task.unfinished_count),
            (1, 0),
            "what only waits ends at once"
        );
        assert_eq!(task.result_info, "cancelled");
        assert_eq!(server.leaf(root).await.1.reason, "cancelled");
    }
    let created = third().send().await;
    assert_eq!(
        (created.status, &created.json()["CanCreate"]),
        (200, &json!(true))
    );
    let again = server.client().cancel_task(first.parse().unwrap()).await;
    assert!(again.is_ok(), "cancelling twice does no harm: {again:?}");
}

#[tokio::test]
async fn a_repeated_token_creates_no_second_task() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let file = agent.folder().join("marks");
    let param =
        json!({"command": format!("echo x >>{}", file.display()), "clientToken": "deploy-7"});
    let first = server.create(ClientDevOps, param.clone()).await;
    server.ended(&first).await;
    assert_eq!(server.create(ClientDevOps, param).await, first);
    let other = json!({"command": "id", "clientToken": "deploy-7"}).to_string();
    let ops = "CLIENT_DEV_OPS";
    let params = [
        ("TaskType", ops),
        ("TaskName", ops),
        ("Param", other.as_str()),
    ];
    let reply = server.request("GenerateOnceTask", &params).send().await;
    crate::refusals::refused(&reply, 400, "IdempotentParameterMismatch");
    assert_eq!(server.tasks(ClientDevOps).await.len(), 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x\n");
}

/// Asks for the same task `count` times at once.
async fn create_at_once(
    server: &Server,
    count: usize,
    param: &serde_json::Value,
) -> Vec<tests::Reply> {
    let param = param.to_string();
    let params = [
        ("TaskType", "CLIENT_DEV_OPS"),
        ("TaskName", "CLIENT_DEV_OPS"),
        ("Param", param.as_str()),
    ];
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..count {
        let request = server.request("GenerateOnceTask", &params);
        asking.spawn(async move { request.send().await });
    }
    asking.join_all().await
}

#[tokio::test]
async fn limits_and_tokens_hold_when_many_ask_at_once() {
    let server = Server::start(&["--tasks-running-max", "3"]).await;
    let _agent = Agent::enrol(&server).await;
    let replies = create_at_once(&server, 8, &json!({"command": "id", "clientToken": "one"})).await;
    let ids: std::collections::BTreeSet<String> = replies
        .iter()
        .map(|it| it.json()["TaskId"].to_string())
        .collect();
    assert_eq!(ids.len(), 1, "one token, one task: {replies:?}");
    let replies = create_at_once(&server, 8, &json!({"command": "id"})).await;
    assert_eq!(
        replies.iter().filter(|it| it.status == 200).count(),
        2,
        "{replies:?}"
    );
    assert_eq!(server.tasks(ClientDevOps).await.len(), 3);
}

#[tokio::test]
async fn a_request_that_is_sent_again_after_a_crash_creates_no_second_task() {
    let mut server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let file = agent.folder().join("marks");
    let param = json!({"command": format!("echo x >>{}", file.display())}).to_string();
    let params = [
        ("TaskType", "CLIENT_DEV_OPS"),
        ("TaskName", "CLIENT_DEV_OPS"),
        ("Param", param.as_str()),
    ];
    let request = server.request("GenerateOnceTask", &params);
    let created = request.send().await.json();
    let root = created["TaskId"].as_str().unwrap();
    server.ended(root).await;
    server.kill9().await;
    server.restart().await;
    let again = request.send().await;
    assert!(
        again.status == 400 || again.json()["TaskId"] == created["TaskId"],
        "{}",
        again.text()
    );
    assert_eq!(server.tasks(ClientDevOps).await.len(), 1);
    agent.until_online(&server).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x\n");
}

#[tokio::test]
async fn lists_page_exactly_and_hosts_are_found_by_what_they_are() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let offline = Agent::enrol(&server).await;
    let mut roots = Vec::new();
    for number in 0..5 {
        let root = server
            .create(
                ClientDevOps,
                json!({"command": format!("exit {number}"), "uuids": agent.uuid}),
            )
            .await;
        server.ended(&root).await;
        roots.insert(0, root);
    }
    for (page, expected) in [
        (1, &roots[0..2]),
        (2, &roots[2..4]),
        (3, &roots[4..5]),
        (9, &roots[0..0]),
    ] {
        let page = page.to_string();
        let params = [
            ("TaskType", "CLIENT_DEV_OPS"),
            ("PageSize", "2"),
            ("CurrentPage", page.as_str()),
        ];
        let answer = server
            .request("DescribeOnceTask", &params)
            .send()
            .await
            .json();
        let rows = answer["TaskManageResponseList"].as_array().unwrap();
        let ids: Vec<&str> = rows
            .iter()
            .map(|it| it["TaskId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, expected, "page {page}");
        assert_eq!(answer["PageInfo"]["TotalCount"], json!(5), "page {page}");
    }
    // The window has both ends.
    let start = server
        .task(&roots[2])
        .await
        .task_start_time
        .unwrap()
        .to_string();
    for (from, to, count) in [
        (start.as_str(), start.as_str(), 1),
        (&start, "9999999999999", 3),
        ("0", &start, 3),
    ] {
        let params = [
            ("TaskType", "CLIENT_DEV_OPS"),
            ("StartTimeQuery", from),
            ("EndTimeQuery", to),
        ];
        let answer = server
            .request("DescribeOnceTask", &params)
            .send()
            .await
            .json();
        assert_eq!(
            answer["PageInfo"]["TotalCount"],
            json!(count),
            "{from} to {to}"
        );
    }
    for (statuses, count) in [
        (vec!["FAIL"], 4),
        (vec!["SUCCESS"], 1),
        (vec!["SUCCESS", "FAIL"], 5),
        (vec!["INIT"], 0),
    ] {
        let mut params = vec![("TaskType", "CLIENT_DEV_OPS")];
        params.extend(
            ["StatusList.1", "StatusList.2"]
                .into_iter()
                .zip(statuses.iter().copied()),
        );
        let answer = server
            .request("DescribeOnceTaskLeafRecordPage", &params)
            .send()
            .await
            .json();
        assert_eq!(
            answer["PageInfo"]["TotalCount"],
            json!(count),
            "{statuses:?}"
        );
        let rows = answer["OnceTasks"].as_array().unwrap();
        assert!(
            rows.iter()
                .all(|it| statuses.contains(&it["StatusText"].as_str().unwrap())),
            "{rows:?}"
        );
    }
    for (name, value, expected) in [
        ("clientStatus", "online", vec![&agent.uuid]),
        ("clientStatus", "offline", vec![&offline.uuid]),
        ("uuid", offline.uuid.as_str(), vec![&offline.uuid]),
    ] {
        let criteria = json!([{"name": name, "value": value}]).to_string();
        let answer = server
            .request("DescribeCloudCenterInstances", &[("Criteria", &criteria)])
            .send()
            .await
            .json();
        let rows = answer["Instances"].as_array().unwrap();
        let uuids: Vec<&str> = rows.iter().map(|it| it["Uuid"].as_str().unwrap()).collect();
        assert_eq!(uuids, expected, "{name}={value}");
    }
}
