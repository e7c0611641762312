use model::TaskType::{AssetSecurityCheck, AssetsCollection, ClientDevOps, ClientProblemCheck};
use model::limits::{COMMAND_BYTES_MAX, SCRIPT_BYTES_MAX, STDIN_BYTES_MAX};
use serde_json::json;

use super::*;

const UUID: &str = "inet-795dcad1-360f-49d2-b01e-b7da7f1c0000";

fn refused(task_type: TaskType, param: &str, words: &[&str]) {
    let fault = TaskParam::parse(task_type, param).unwrap_err();
    assert_eq!(fault.code, Code::IllegalParam, "{param}");
    assert!(fault.message.starts_with("Illegal param: "), "{param}");
    for word in words {
        assert!(fault.message.contains(word), "{param}: {}", fault.message);
    }
}

#[test]
fn the_documented_examples_are_accepted() {
    let check = TaskParam::parse(
        ClientProblemCheck,
        &format!("{{\"mode\":1,\"problemType\":\"offline\",\"uuids\":\"{UUID}\"}}"),
    );
    assert_eq!(
        check.unwrap(),
        TaskParam {
            work: Work::Check(CheckWork {
                problem_type: "offline".to_owned(),
                mode: 1,
                subject: "sickbay".to_owned(),
            }),
            hosts: Targets::Uuids(vec![UUID.parse().unwrap()]),
            timeout_ms: TASK_TIMEOUT_MS_DEFAULT,
            plan: Plan::default(),
            client_token: None,
        }
    );
    let items = "ACCOUNT_SNAPSHOT,PORT_SNAPSHOT,PROC_SNAPSHOT,SOFTWARE_SNAPSHOT,CROND_SNAPSHOT,SCA_SNAPSHOT,LKM_SNAPSHOT,AUTORUN_SNAPSHOT,SCA_PROXY_SNAPSHOT";
    let assets =
        TaskParam::parse(AssetsCollection, &json!({ "items": items }).to_string()).unwrap();
    assert_eq!(assets.hosts, Targets::All);
    let Work::Assets(work) = assets.work else {
        panic!("{assets:?}");
    };
    assert_eq!(work.items.len(), 7);
    assert_eq!(work.items[0], AssetItem::Accounts);

    let ops = json!({"uuids": "h1", "command": "uptime"}).to_string();
    assert!(TaskParam::parse(ClientDevOps, &ops).is_ok());
    let assets = json!({"uuids": "h1", "items": "PORT_SNAPSHOT"}).to_string();
    assert!(TaskParam::parse(AssetSecurityCheck, &assets).is_ok());
}

#[test]
fn a_masked_uuid_is_named() {
    let param = r#"{"uuids":"inet-795dcad1-360f-49d2-b01e-b7da7f1c****"}"#;
    refused(
        ClientProblemCheck,
        param,
        &[
            "inet-795dcad1-360f-49d2-b01e-b7da7f1c****",
            "a host uuid is",
        ],
    );
}

#[test]
fn hosts_come_in_any_spelling_each_once_in_order() {
    for uuids in [
        json!({"uuids": "b,a,b"}),
        json!({"uuids": " b , a ,,b,"}),
        json!({"uuids": ["b", "a", "b"]}),
        json!({"uuid": "b,a"}),
    ] {
        let param = TaskParam::parse(ClientProblemCheck, &uuids.to_string()).unwrap();
        let expected = ["b", "a"].map(|it| it.parse().unwrap()).to_vec();
        assert_eq!(param.hosts, Targets::Uuids(expected), "{uuids}");
    }
    for empty in [r#"{"uuids":""}"#, r#"{"uuids":[]}"#, r#"{"uuid":" , "}"#] {
        refused(ClientProblemCheck, empty, &["names no host", "all hosts"]);
    }
    refused(
        ClientProblemCheck,
        r#"{"uuids":null}"#,
        &["uuids must be", "null"],
    );
    refused(
        ClientProblemCheck,
        r#"{"uuids":[1]}"#,
        &["array of strings"],
    );
    refused(
        ClientProblemCheck,
        r#"{"uuids":"a","uuid":"a"}"#,
        &["not both"],
    );
}

#[test]
fn what_is_no_object_or_unknown_or_twice_there_is_refused() {
    for param in ["", "x", "[]", "\"a\"", "null", "{", "{} {}"] {
        refused(ClientProblemCheck, param, &["a JSON object"]);
    }
    refused(
        ClientDevOps,
        r#"{"comand":"w"}"#,
        &["comand", "command, script, args, runAs, env", "uuids"],
    );
    refused(
        ClientProblemCheck,
        r#"{"command":"w"}"#,
        &["\"command\" is not a key of CLIENT_PROBLEM_CHECK"],
    );
    refused(
        ClientDevOps,
        r#"{"command":"a","command":"b"}"#,
        &["\"command\" stands twice"],
    );
    refused(
        ClientDevOps,
        r#"{"runbook":"x"}"#,
        &["no runbook", "restart-agent"],
    );
}

#[test]
fn a_check_has_defaults_and_knows_its_values() {
    let Work::Check(work) = TaskParam::parse(ClientProblemCheck, "{}").unwrap().work else {
        panic!("not a check");
    };
    assert_eq!((work.problem_type.as_str(), work.mode), ("other", 1));
    refused(
        ClientProblemCheck,
        r#"{"problemType":"ofline"}"#,
        &["ofline", "offline"],
    );
    refused(
        ClientProblemCheck,
        r#"{"subject":"Os Query"}"#,
        &["Os Query", "not the name of a profile"],
    );
    let named = TaskParam::parse(ClientProblemCheck, r#"{"subject":"node-exporter"}"#).unwrap();
    assert!(matches!(named.work, Work::Check(work) if work.subject == "node-exporter"));
    for mode in ["0", "3", "\"1\"", "1.5"] {
        refused(
            ClientProblemCheck,
            &format!("{{\"mode\":{mode}}}"),
            &["mode must be 1"],
        );
    }
}

#[test]
fn a_command_is_complete_and_within_its_limit() {
    let param = json!({"command": "ls", "args": ["-l"], "runAs": "nobody", "env": {"A": "1"}});
    let Work::Ops(work) = TaskParam::parse(ClientDevOps, &param.to_string())
        .unwrap()
        .work
    else {
        panic!("not a command");
    };
    assert_eq!(work.args, Some(vec!["-l".to_owned()]));
    assert_eq!(work.env["A"], "1");

    let command = |bytes: usize| json!({"command": "x".repeat(bytes)}).to_string();
    assert!(TaskParam::parse(ClientDevOps, &command(COMMAND_BYTES_MAX)).is_ok());
    refused(
        ClientDevOps,
        &command(COMMAND_BYTES_MAX + 1),
        &["at most 65536 bytes"],
    );
    for (param, word) in [
        (json!({}), "command is missing"),
        (json!({"command": " "}), "command is missing"),
        (json!({"command": 1}), "command must be a string"),
        (
            json!({"command": "a", "args": "b"}),
            "args must be an array",
        ),
        (json!({"command": "a", "runAs": ""}), "runAs must be"),
        (
            json!({"command": "a", "env": ["A=1"]}),
            "env must be an object",
        ),
        (json!({"command": "a", "env": {"A": 1}}), "must be a string"),
        (json!({"command": "a", "env": {"A=B": "1"}}), "not the name"),
        (json!({"command": "a\u{0}b"}), "U+0000"),
        (json!({"command": "a", "cwd": "srv"}), "from the root"),
        (json!({"command": "a", "limits": 5}), "limits must be"),
        (json!({"command": "a", "limits": {"cpu": 5}}), "cpuPercent"),
        (
            json!({"command": "a", "limits": {"pids": 0}}),
            "limits.pids must be a whole number from 1",
        ),
        (json!({"command": "a", "script": "#!/bin/sh\n"}), "not both"),
        (json!({"script": "echo\n"}), "#!/bin/sh"),
        (json!({"script": "#!sh\n"}), "interpreter"),
        (json!({"script": "#!/bin/sh\r\nid\r\n"}), "CR"),
    ] {
        refused(ClientDevOps, &param.to_string(), &[word]);
    }
}

fn ops(param: serde_json::Value) -> Result<crate::work::OpsWork, Fault> {
    match TaskParam::parse(ClientDevOps, &param.to_string())?.work {
        Work::Ops(work) => Ok(work),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_its_input_and_its_limits_have_limits_of_their_own() {
    let script = |bytes: usize| format!("#!/bin/sh\n{}", "#".repeat(bytes - 10));
    let work = ops(json!({
        "script": script(SCRIPT_BYTES_MAX),
        "args": ["-l"],
        "cwd": "/srv",
        "stdin": "\u{0}".repeat(STDIN_BYTES_MAX),
        "limits": {"memoryBytes": 8 << 20, "cpuPercent": 50, "pids": 1, "outputBytes": 1 << 30},
    }))
    .unwrap();
    assert_eq!(work.script.map(|it| it.len()), Some(SCRIPT_BYTES_MAX));
    assert_eq!(work.limits.cpu_percent, Some(50));
    let long = json!({"script": script(SCRIPT_BYTES_MAX + 1)});
    let fault = ops(long).unwrap_err();
    assert!(fault.message.contains("script must be at most 65536"));
    let long = json!({"command": "w", "stdin": "x".repeat(STDIN_BYTES_MAX + 1)});
    assert!(ops(long).unwrap_err().message.contains("stdin must be"));
    for (key, least) in [("memoryBytes", 8 << 20), ("outputBytes", 1)] {
        let with = |number: u64| ops(json!({"command": "w", "limits": {key: number}}));
        assert!(with(least).is_ok() && with(least - 1).is_err(), "{key}");
    }
}

#[test]
fn a_runbook_says_all_that_runs() {
    let param = json!({"runbook": "collect-logs", "parameters": {"unit": "a.service", "lines": 5}});
    let parsed = TaskParam::parse(ClientDevOps, &param.to_string()).unwrap();
    assert_eq!(parsed.plan.leaf_timeout_ms, Some(60_000));
    let work = ops(param).unwrap();
    assert!(work.command.ends_with("-n 5 -u a.service"), "{work:?}");
    let own = "title = \"t\"\ncommand = \"id\"\n";
    let work = ops(json!({"runbook": "own", "runbookText": own})).unwrap();
    assert_eq!(work.command, "id");
    for (param, words) in [
        (json!({"runbook": "collect-logs"}), "needs a value for unit"),
        (
            json!({"runbook": "collect-logs", "parameters": {"unit": "a;b"}}),
            "unit of the runbook collect-logs must be",
        ),
        (
            json!({"runbook": "own", "runbookText": own, "env": {"LD_PRELOAD": "/x"}}),
            "leave out env",
        ),
        (json!({"command": "id", "parameters": {}}), "give runbook"),
        (
            json!({"runbook": "own", "runbookText": own, "runAs": "root"}),
            "the agent's own user only",
        ),
    ] {
        let fault = ops(param).unwrap_err();
        assert!(fault.message.contains(words), "{}", fault.message);
    }
}

#[test]
fn items_are_known_ones() {
    refused(
        AssetsCollection,
        r#"{"items":"PORTS"}"#,
        &["PORTS", "PORT_SNAPSHOT"],
    );
    refused(
        AssetsCollection,
        r#"{"items":"SCA_SNAPSHOT"}"#,
        &["nothing that can be collected"],
    );
    let Work::Assets(all) = TaskParam::parse(AssetsCollection, "{}").unwrap().work else {
        panic!("not assets");
    };
    assert_eq!(all.items, AssetItem::ALL);
}

#[test]
fn time_and_token_have_limits() {
    let timeout = |seconds: i64| {
        TaskParam::parse(
            ClientProblemCheck,
            &json!({"timeoutSeconds": seconds}).to_string(),
        )
    };
    let max = TASK_TIMEOUT_MS_MAX / 1_000;
    assert_eq!(timeout(1).unwrap().timeout_ms, 1_000);
    assert_eq!(timeout(max).unwrap().timeout_ms, TASK_TIMEOUT_MS_MAX);
    for seconds in [0, -1, max + 1, i64::MAX] {
        assert_eq!(timeout(seconds).unwrap_err().code, Code::IllegalParam);
    }
    let token = |text: &str| {
        TaskParam::parse(
            ClientProblemCheck,
            &json!({"clientToken": text}).to_string(),
        )
    };
    let longest = "t".repeat(CLIENT_TOKEN_BYTES_MAX);
    assert_eq!(token(&longest).unwrap().client_token, Some(longest.clone()));
    for text in ["", "a b", "é", &format!("{longest}t")] {
        assert_eq!(token(text).unwrap_err().code, Code::IllegalParam, "{text}");
    }
}

#[test]
fn a_refusal_stays_small() {
    let param = json!({"uuids": "é*".repeat(100_000)}).to_string();
    let fault = TaskParam::parse(ClientProblemCheck, &param).unwrap_err();
    assert!(fault.message.len() < 1_000);
}

#[test]
fn a_selector_names_hosts_instead_of_uuids() {
    let parsed = TaskParam::parse(ClientDevOps, r#"{"command":"w","selector":"os = debian"}"#);
    let selector = model::Selector::parse("os = debian").unwrap();
    assert_eq!(parsed.unwrap().hosts, Targets::Selector(selector));
    refused(
        ClientDevOps,
        r#"{"command":"w","selector":"os = debian","uuids":"a"}"#,
        &["uuids or a selector, not both"],
    );
    refused(
        ClientDevOps,
        r#"{"command":"w","selector":"colour = red"}"#,
        &["selector: `colour` at character 1 is not a key"],
    );
}

#[test]
fn pacing_is_read_in_each_spelling() {
    let plan = |pacing: serde_json::Value| {
        let param = json!({"command": "id", "pacing": pacing}).to_string();
        let plan = TaskParam::parse(ClientDevOps, &param).unwrap().plan;
        plan.to_string()
    };
    let whole = json!({"concurrency": 20, "waves": ["1", "10%", "100%"], "stopAfterFailures": 5});
    assert_eq!(plan(whole), "concurrency=20 waves=1,10%,100% stop=5");
    for waves in [json!("1, 10%"), json!([1, "10%"])] {
        assert_eq!(plan(json!({ "waves": waves })), "waves=1,10%");
    }
    let most = ROOT_HOSTS_MAX;
    for key in ["concurrency", "stopAfterFailures"] {
        plan(json!({ key: 1 }));
        plan(json!({ key: most }));
    }
}

#[test]
fn pacing_that_cannot_be_kept_is_refused_by_name() {
    let past = ROOT_HOSTS_MAX + 1;
    for (pacing, words) in [
        (json!("fast"), &["pacing must be", "concurrency"][..]),
        (json!({}), &["says nothing", "leave it out"]),
        (
            json!({"wave": ["1"]}),
            &["\"wave\" is not a key of pacing", "waves"],
        ),
        (
            json!({"concurrency": 0}),
            &["pacing.concurrency", "from 1 to 1048576"],
        ),
        (
            json!({ "concurrency": past }),
            &["pacing.concurrency", "from 1 to"],
        ),
        (
            json!({"stopAfterFailures": "5"}),
            &["pacing.stopAfterFailures"],
        ),
        (json!({"waves": []}), &["pacing.waves must be an array"]),
        (
            json!({"waves": ["10%", "all"]}),
            &["pacing.waves", "\"all\""],
        ),
        (
            json!({"waves": "10%,1%"}),
            &["pacing.waves", "1% after 10%"],
        ),
        (
            json!({"waves": (1..=17).collect::<Vec<_>>()}),
            &["at most 16 waves"],
        ),
    ] {
        let param = json!({"command": "id", "pacing": pacing}).to_string();
        refused(ClientDevOps, &param, words);
    }
}

#[test]
fn each_host_may_have_a_time_of_its_own() {
    let plan = |extra: &str| {
        let param = format!(r#"{{"command":"id",{extra}}}"#);
        TaskParam::parse(ClientDevOps, &param).unwrap().plan
    };
    assert_eq!(plan(r#""timeoutSeconds":9"#).leaf_timeout_ms, None);
    let both = plan(r#""leafTimeoutSeconds":1,"pacing":{"concurrency":2}"#);
    assert_eq!(both.to_string(), "concurrency=2 leaf-ms=1000");
    let week = plan(r#""leafTimeoutSeconds":604800,"timeoutSeconds":604800"#);
    assert_eq!(week.leaf_timeout_ms, Some(TASK_TIMEOUT_MS_MAX));
    for (bad, words) in [
        (
            "0",
            &["leafTimeoutSeconds must be a whole number from 1 to 604800"][..],
        ),
        ("604801", &["leafTimeoutSeconds must be a whole number"]),
        ("\"9\"", &["leafTimeoutSeconds must be a whole number"]),
        (
            "3601",
            &["at most timeoutSeconds, which is 3600", "give a longer"],
        ),
    ] {
        let param = format!(r#"{{"command":"id","leafTimeoutSeconds":{bad}}}"#);
        refused(ClientDevOps, &param, words);
    }
}
