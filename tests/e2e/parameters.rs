//! A parameter that cannot be used is named, and a task that cannot be carried out is not created.

use model::limits;
use serde_json::json;
use tests::{Agent, Server};

use crate::refusals::refused;

/// Operation, its parameters, the code of the refusal, and a word of its sentence.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

#[tokio::test]
async fn a_parameter_that_cannot_be_used_is_named() {
    let server = Server::start(&[]).await;
    let (roots, leaves, hosts) = (
        "DescribeOnceTask",
        "DescribeOnceTaskLeafRecordPage",
        "DescribeCloudCenterInstances",
    );
    let ops = ("TaskType", "CLIENT_DEV_OPS");
    let of_nobody = "0".repeat(31) + "1";
    let cases: &[Case<'_>] = &[
        (roots, &[], "MissingParameter", "TaskType"),
        (
            roots,
            &[("TaskType", ""), ("RootTaskId", "")],
            "MissingParameter",
            "TaskType",
        ),
        (
            roots,
            &[("TaskType", "CLIENT_FAIR_WEATHER")],
            "InvalidParameter",
            "TaskType",
        ),
        (
            roots,
            &[ops, ("PageSize", "0")],
            "InvalidParameter",
            "PageSize must be 1 to 100, was 0",
        ),
        (
            roots,
            &[ops, ("PageSize", "101")],
            "InvalidParameter",
            "PageSize must be 1 to 100, was 101",
        ),
        (
            "DescribeOnceTaskOutcomes",
            &[],
            "MissingParameter",
            "RootTaskId",
        ),
        (
            "DescribeOnceTaskOutcomes",
            &[("RootTaskId", &of_nobody)],
            "InvalidParameter",
            "root task",
        ),
        (
            leaves,
            &[ops, ("OutcomeId", &of_nobody)],
            "InvalidParameter",
            "OutcomeId",
        ),
        (
            roots,
            &[ops, ("PageSize", "ten")],
            "InvalidParameter",
            "PageSize",
        ),
        (
            roots,
            &[ops, ("CurrentPage", "0")],
            "InvalidParameter",
            "CurrentPage",
        ),
        (
            roots,
            &[ops, ("CurrentPage", "-1")],
            "InvalidParameter",
            "CurrentPage",
        ),
        (
            roots,
            &[ops, ("StartTimeQuery", "2"), ("EndTimeQuery", "1")],
            "InvalidParameter",
            "reversed",
        ),
        (
            roots,
            &[ops, ("StartTimeQuery", "noon")],
            "InvalidParameter",
            "StartTimeQuery",
        ),
        (
            roots,
            &[ops, ("TaskId", "17")],
            "InvalidParameter",
            "TaskId",
        ),
        (
            roots,
            &[("RootTaskId", "x")],
            "InvalidParameter",
            "RootTaskId",
        ),
        (leaves, &[], "MissingParameter", "TaskType"),
        (
            leaves,
            &[ops, ("PageSize", "501")],
            "InvalidParameter",
            "1 to 500",
        ),
        (
            leaves,
            &[ops, ("StatusList.1", "DONE")],
            "InvalidParameter",
            "StatusList",
        ),
        (
            hosts,
            &[("PageSize", "501")],
            "InvalidParameter",
            "1 to 500",
        ),
        (hosts, &[("Criteria", "{")], "InvalidParameter", "Criteria"),
        (
            hosts,
            &[("Criteria", "[{\"name\":\"mood\",\"value\":\"good\"}]")],
            "InvalidParameter",
            "mood",
        ),
        (
            hosts,
            &[("LogicalExp", "XOR")],
            "InvalidParameter",
            "LogicalExp",
        ),
        (
            "GenerateOnceTask",
            &[ops, ("TaskName", "x")],
            "MissingParameter",
            "Param",
        ),
        (
            "GenerateOnceTask",
            &[("TaskName", "x"), ("Param", "{}")],
            "MissingParameter",
            "TaskType",
        ),
        (
            "GenerateOnceTask",
            &[ops, ("Param", "{}")],
            "MissingParameter",
            "TaskName",
        ),
        (
            "GetLastOnceTaskInfo",
            &[ops],
            "MissingParameter",
            "TaskName",
        ),
        (
            "GetOnceTaskResultInfo",
            &[ops, ("TaskName", "x")],
            "MissingParameter",
            "TaskId",
        ),
        ("ListUnfinishedOnceTask", &[ops], "-101", "Target"),
        ("CancelOnceTask", &[], "MissingParameter", "TaskId"),
        (
            "CancelOnceTask",
            &[("TaskId", "last")],
            "InvalidParameter",
            "TaskId",
        ),
        (
            "CancelOnceTask",
            &[("TaskId", &of_nobody)],
            "InvalidParameter",
            "leaf",
        ),
        (
            "AddInstallCode",
            &[("Os", "beos")],
            "InvalidParameter",
            "Os",
        ),
        (
            "AddInstallCode",
            &[("OnlyImage", "perhaps")],
            "InvalidParameter",
            "OnlyImage",
        ),
        ("GetAssetDetailByUuid", &[], "MissingParameter", "Uuid"),
        (
            "RefreshAssets",
            &[("AssetType", "cloud")],
            "InvalidParameter",
            "AssetType",
        ),
        (
            "ModifyPushAllTask",
            &[("Tasks", "PORT_SNAPSHOT,PORTS"), ("Uuids", "inet-1")],
            "InvalidParameter",
            "Tasks",
        ),
        (
            "ModifyPushAllTask",
            &[("Tasks", "PORT_SNAPSHOT")],
            "MissingParameter",
            "Uuids",
        ),
        (
            "DescribePropertyProcDetail",
            &[("PageSize", "101")],
            "InvalidParameter",
            "PageSize",
        ),
        (
            "DescribePropertyProcDetail",
            &[("ProcTimeStart", "2"), ("ProcTimeEnd", "1")],
            "InvalidParameter",
            "ProcTimeStart",
        ),
        (
            "DescribePropertyPortDetail",
            &[("Extend", "2")],
            "InvalidParameter",
            "Extend",
        ),
        (
            "DescribePropertyUserDetail",
            &[("IsRoot", "yes")],
            "InvalidParameter",
            "IsRoot",
        ),
        (
            "DescribePropertySoftwareDetail",
            &[("UseNextToken", "true"), ("NextToken", "1")],
            "InvalidParameter",
            "NextToken",
        ),
        (
            "DescribeAgentInstallStatus",
            &[("Uuids", ",")],
            "InvalidParameter",
            "Uuids",
        ),
        (
            "CreateToken",
            &[("DurationSeconds", "59")],
            "InvalidParameter",
            "60 to 43200",
        ),
        (
            "PutUserPolicy",
            &[("UserName", "a"), ("PolicyName", "p")],
            "MissingParameter",
            "PolicyDocument",
        ),
    ];
    for (action, params, code, word) in cases {
        let message = refused(&server.request(action, params).send().await, 400, code);
        assert!(message.contains(word), "{action} {params:?}: {message}");
        let in_query = refused(&server.request(action, params).send_v1().await, 400, code);
        assert_eq!(in_query, message, "the same wherever parameters stand");
    }
    let unheard = server
        .request(roots, &[ops, ("Format", "CSV")])
        .send()
        .await;
    assert!(refused(&unheard, 400, "InvalidParameter").contains("JSON or XML"));
    let twice = server.request(roots, &[ops, ops]).send().await;
    assert!(refused(&twice, 400, "InvalidParameter").contains("once only"));
    for (action, params) in [
        ("CancelOnceTask", [("TaskId", "0".repeat(32))]),
        ("DeleteInstallCode", [("CaptchaCode", "nope".to_owned())]),
        (
            "GetAssetDetailByUuid",
            [(
                "Uuid",
                "inet-00000000-0000-4000-8000-000000000000".to_owned(),
            )],
        ),
        ("DeleteUser", [("UserName", "nobody".to_owned())]),
    ] {
        let params: Vec<_> = params
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        refused(
            &server.request(action, &params).send().await,
            404,
            "EntityNotExist",
        );
    }
}

#[tokio::test]
async fn a_task_that_cannot_be_carried_out_is_not_created() {
    let server = Server::start(&[]).await;
    let create = |task_type: &'static str, param: String| {
        let params = [
            ("TaskType", task_type),
            ("TaskName", task_type),
            ("Param", &param),
        ];
        server.request("GenerateOnceTask", &params)
    };
    let (ops, check) = ("CLIENT_DEV_OPS", "CLIENT_PROBLEM_CHECK");
    let command = || json!({"command": "id"}).to_string();
    let message = refused(&create(ops, command()).send().await, 400, "IllegalParam");
    assert!(message.contains("no host is enrolled"), "{message}");
    let agent = Agent::enrol(&server).await;
    let stranger = "inet-00000000-0000-4000-8000-000000000000";
    for (task_type, param, word) in [
        (ops, "command=id".to_owned(), "JSON"),
        (ops, "[]".to_owned(), "object"),
        (ops, "{}".to_owned(), "command"),
        (ops, json!({"command": "  "}).to_string(), "command"),
        (
            ops,
            json!({"command": "id", "comand": "id"}).to_string(),
            "comand",
        ),
        (
            ops,
            json!({"command": "id", "uuids": stranger}).to_string(),
            stranger,
        ),
        (
            ops,
            json!({"command": "id", "uuids": [agent.uuid, stranger]}).to_string(),
            "not known to this control plane: inet-00000000",
        ),
        (
            ops,
            json!({"command": "id", "uuids": ""}).to_string(),
            "names no host",
        ),
        (
            ops,
            json!({"command": "id", "uuids": "a b"}).to_string(),
            "a b",
        ),
        (
            ops,
            json!({"command": "id", "uuids": 7}).to_string(),
            "uuids",
        ),
        (
            ops,
            json!({"command": "id", "timeoutSeconds": 0}).to_string(),
            "timeoutSeconds",
        ),
        (
            ops,
            json!({"command": "id", "timeoutSeconds": 604_801}).to_string(),
            "604800",
        ),
        (
            ops,
            json!({"command": "id", "problemType": "offline"}).to_string(),
            "problemType",
        ),
        (ops, json!({"command": "a\u{0}b"}).to_string(), "U+0000"),
        (
            ops,
            json!({"command": "x".repeat(limits::COMMAND_BYTES_MAX + 1)}).to_string(),
            "65536",
        ),
        (
            ops,
            json!({"command": "id", "runbook": "restart"}).to_string(),
            "leave out command",
        ),
        (check, json!({"problemType": "cold"}).to_string(), "cold"),
        (check, json!({"mode": 3}).to_string(), "mode"),
        (
            "ASSETS_COLLECTION",
            json!({"items": "SOUL_SNAPSHOT"}).to_string(),
            "SOUL_SNAPSHOT",
        ),
    ] {
        let message = refused(
            &create(task_type, param.clone()).send().await,
            400,
            "IllegalParam",
        );
        let shown: String = param.chars().take(80).collect();
        assert!(message.contains(word), "{shown}: {message}");
    }
    for task_type in model::TaskType::ALL {
        assert!(
            server.tasks(task_type).await.is_empty(),
            "nothing was created"
        );
    }
}
