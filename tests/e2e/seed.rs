//! The documented example of a problem check over ten hosts: one has answered, nine are to be visited by hand.

use std::collections::BTreeSet;

use model::TaskType::ClientProblemCheck;
use serde_json::{Value, json};
use tests::{Agent, Server};

/// Keys that the API documents for each host in `DetailData`.
const DOCUMENTED: [&str; 12] = [
    "dispatchType",
    "causeCode",
    "causeMsg",
    "resCode",
    "resMsg",
    "problemType",
    "uuid",
    "instanceId",
    "instanceName",
    "internetIp",
    "intranetIp",
    "url",
];
/// Keys of our own that may stand beside them.
const OURS: [&str; 12] = [
    "status", "reason", "message", "exitCode", "signal", "stdout", "stderr", "findings", "probes",
    "detected", "assets", "online",
];

#[tokio::test]
async fn one_of_ten_hosts_has_answered() {
    let server = Server::start(&[]).await;
    let online = Agent::online(&server).await;
    let mut uuids = vec![online.uuid.clone()];
    for _ in 0..9 {
        uuids.push(Agent::enrol(&server).await.uuid);
    }
    let param = json!({"problemType": "offline", "mode": 1, "uuids": uuids.join(",")});
    let root = server.create(ClientProblemCheck, param).await;
    server
        .until_task(&root, "the connected host answers", |it| {
            it.success_count == 1
        })
        .await;
    server
        .until_task(&root, "the others have their manual command", |it| {
            it.detail_data.matches("\"manual\"").count() == 9
        })
        .await;

    let reply = server
        .request("DescribeOnceTask", &[("TaskType", "CLIENT_PROBLEM_CHECK")])
        .send()
        .await;
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!(
        answer["PageInfo"],
        json!({"Count": 1, "CurrentPage": 1, "PageSize": 20, "TotalCount": 1})
    );
    let task = &answer["TaskManageResponseList"][0];
    for (member, expected) in [
        ("TaskId", json!(root)),
        ("TaskType", json!("CLIENT_PROBLEM_CHECK")),
        ("TaskName", json!("CLIENT_PROBLEM_CHECK")),
        ("Progress", json!("10%")),
        ("TaskStatus", json!(1)),
        ("SuccessCount", json!(1)),
        ("FailCount", json!(0)),
        ("Source", json!("test")),
    ] {
        assert_eq!(task[member], expected, "{member}");
    }
    assert!(
        ["INIT", "START", "DISPATCH"].contains(&task["TaskStatusText"].as_str().unwrap()),
        "{task}"
    );
    assert!(
        task["TaskStartTime"].is_i64() && task.get("TaskEndTime").is_none(),
        "{task}"
    );

    let details: Vec<Value> =
        serde_json::from_str(task["DetailData"].as_str().expect("a string")).unwrap();
    assert_eq!(details.len(), 10);
    let (documented, ours): (BTreeSet<_>, BTreeSet<_>) = (DOCUMENTED.into(), OURS.into());
    for detail in &details {
        let keys: BTreeSet<&str> = detail
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let missing: Vec<_> = documented.difference(&keys).collect();
        assert!(missing.is_empty(), "{missing:?} in {detail}");
        let strange: Vec<_> = keys
            .iter()
            .filter(|it| !documented.contains(*it) && !ours.contains(*it))
            .collect();
        assert!(strange.is_empty(), "{strange:?} in {detail}");
        assert_eq!(detail["problemType"], "offline");
        assert_eq!(detail["instanceId"], detail["uuid"]);
        if detail["uuid"] == json!(online.uuid) {
            assert_eq!(detail["dispatchType"], "auto");
            continue;
        }
        assert_eq!(detail["dispatchType"], "manual", "{detail}");
        assert_eq!(detail["resCode"], json!(["1003"]));
        let command = detail["resMsg"][0].as_str().unwrap();
        assert!(
            command.contains("/checker/sickbay-agent") && command.contains(" check -b "),
            "{command}"
        );
        assert_eq!(
            (&detail["causeCode"], &detail["causeMsg"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(detail["url"], "");
    }
    let listed: BTreeSet<&str> = details
        .iter()
        .filter_map(|it| it["uuid"].as_str())
        .collect();
    assert_eq!(listed, uuids.iter().map(String::as_str).collect());

    // The same counts wherever one asks.
    let info = server.client().last_task(ClientProblemCheck).await.unwrap();
    assert_eq!(
        (info.finish_count, info.total_count, info.task_info.progress),
        (1, 10, Some(10))
    );
    let reply = server.request(
        "DescribeOnceTask",
        &[
            ("RootTaskId", &root),
            ("PageSize", "3"),
            ("CurrentPage", "4"),
        ],
    );
    let answer = reply.send().await.json();
    assert_eq!(
        answer["PageInfo"],
        json!({"Count": 1, "CurrentPage": 4, "PageSize": 3, "TotalCount": 10})
    );
}
