//! Commands with a name: shown, run, and the only ones on a host that wants no others.

use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Server};

const OWN: &str = r#"
title = "Greet somebody"
command = "echo hello WHOM"
before = "[ WHOM != nobody ] || { echo not nobody >&2; false; }"
after = "[ WHOM != king ]"

[parameters.whom]
type = "string"
help = "whom to greet"
"#;

#[tokio::test]
async fn a_runbook_is_shown_and_run_and_its_checks_are_outcomes() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let own = server.folder().join("greet.toml");
    std::fs::write(&own, OWN).unwrap();
    let own = own.to_str().unwrap();
    let said = server.sickbay(&["runbook", "list", "-o", "json"]).await;
    for name in ["restart-agent", "fix-1404"] {
        assert!(said.out.contains(&format!("\"{name}\"")), "{said:?}");
    }
    let said = server.sickbay(&["runbook", "show", own]).await;
    assert!(said.out.contains("whom to greet"), "{said:?}");

    let create = async |whom: &str, last: &str| {
        let whom = format!("whom={whom}");
        let args = [
            "task",
            "create",
            "CLIENT_DEV_OPS",
            "--host",
            &agent.uuid,
            "--runbook",
            own,
            "-p",
            &whom,
            last,
        ];
        server.sickbay(&args).await
    };
    let said = create("a'; id", "--dry-run").await;
    assert!(said.err.contains(r"echo hello 'a'\''; id'"), "{said:?}");
    assert_eq!(said.code, 0, "{said:?}");
    for (whom, reason, output) in [
        ("a'; id", "", Some("hello a'; id\n")),
        ("nobody", "check_before", None),
        ("king", "check_after", Some("hello king\n")),
    ] {
        let param = json!({"runbook": "greet", "runbookText": OWN, "parameters": {"whom": whom}});
        let root = server.create(ClientDevOps, param).await;
        server.ended(&root).await;
        let (_, detail) = server.leaf(&root).await;
        assert_eq!(detail.reason, reason, "{detail:?}");
        assert_eq!(detail.stdout.as_deref(), output);
    }
    let said = create("--x", "--wait").await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("whom"), "{said:?}");
    assert_eq!(create("world", "--wait").await.code, 0);
}

#[tokio::test]
async fn a_host_that_wants_some_runbooks_only_refuses_the_rest_by_the_rule_s_line() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::enrol(&server).await;
    agent.set_policy("commands = true\nallowed_runbooks = [\"fix-1501\", \"greet\"]\n");
    agent.start();
    agent.until_online(&server).await;
    let unit = json!({"unit": "x.service"});
    for (param, what) in [
        (json!({"command": "id"}), "commands that are no runbook"),
        (
            json!({"runbook": "restart-agent", "parameters": unit}),
            "the runbook `restart-agent`",
        ),
        (
            json!({"runbook": "greet", "runbookText": OWN, "parameters": {"whom": "x"}}),
            "of which there is no copy here",
        ),
    ] {
        let root = server.create(ClientDevOps, param).await;
        server.ended(&root).await;
        let (_, detail) = server.leaf(&root).await;
        assert_eq!(detail.reason, "refused");
        let rule = "agent.toml line 2: allowed_runbooks = ";
        assert!(
            detail.message.contains(what) && detail.message.contains(rule),
            "{}",
            detail.message
        );
    }
}
