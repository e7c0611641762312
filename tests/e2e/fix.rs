//! From a finding to its fix: on exactly the hosts that have it, after a preview.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use model::TaskType::{ClientDevOps, ClientProblemCheck};
use serde_json::{Value, json};
use tests::{Agent, Server};

/// Lets everybody read and write it, as the fault that is to be found.
fn expose(path: &Path) {
    let mode = std::fs::Permissions::from_mode(0o707);
    std::fs::set_permissions(path, mode).unwrap();
}

fn is_exposed(path: &Path) -> bool {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o007 != 0
}

#[tokio::test]
async fn a_fix_runs_where_the_check_found_the_need_and_nowhere_else() {
    let server = Server::start(&[]).await;
    let (sick, well) = (Agent::online(&server).await, Agent::online(&server).await);
    expose(&sick.data());
    let both = json!({"mode": 1, "uuids": [sick.uuid, well.uuid]});
    let check = server.create(ClientProblemCheck, both).await;
    server.ended(&check).await;

    let create = ["task", "create", "CLIENT_DEV_OPS", "--from-task", &check];
    let with = |more: &[&'static str]| [&create[..], more].concat();
    let preview = server
        .sickbay(&with(&["--fix", "2419", "--dry-run", "-o", "json"]))
        .await;
    assert_eq!(preview.code, 0, "{preview:?}");
    let preview: Value = serde_json::from_str(&preview.out).unwrap();
    let path = sick.data().display().to_string();
    assert_eq!(
        preview,
        json!({
            "Fix": 1315, "LeftOut": {},
            "Commands": [{
                "Command": format!("[ ! -L {path} ] && chmod o-rwx -- {path}"), "Uuids": [sick.uuid], "OfflineCount": 0,
            }],
        })
    );
    // Nobody is there to agree.
    let alone = server.sickbay(&with(&["--fix", "2419"])).await;
    assert_eq!(alone.code, 2, "{alone:?}");
    assert!(alone.err.contains("--yes"), "{alone:?}");
    assert!(server.tasks(ClientDevOps).await.is_empty());
    assert!(is_exposed(&sick.data()));

    let done = server
        .sickbay(&with(&["--fix", "1315", "--yes", "--wait"]))
        .await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!is_exposed(&sick.data()));
    let tasks = server.tasks(ClientDevOps).await;
    assert_eq!(tasks.len(), 1);
    let leaves = server.leaves(&tasks[0].task_id).await;
    let uuids: Vec<&str> = leaves.iter().map(|(_, it)| it.uuid.as_str()).collect();
    assert_eq!(uuids, [sick.uuid.as_str()]);

    // The next check finds nothing to mend, and says so.
    let again = server
        .create(ClientProblemCheck, json!({"mode": 1, "uuids": sick.uuid}))
        .await;
    server.ended(&again).await;
    let nothing = [
        "task",
        "create",
        "CLIENT_DEV_OPS",
        "--from-task",
        &again,
        "--fix",
        "1315",
        "--yes",
    ];
    let said = server.sickbay(&nothing).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("no host"), "{said:?}");
}

#[tokio::test]
async fn a_fix_that_wants_a_person_or_has_no_command_is_not_run() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let param = json!({"command": "true", "uuids": agent.uuid});
    let command = server.create(ClientDevOps, param).await;
    server.ended(&command).await;
    for (task_type, code, from, word) in [
        ("CLIENT_DEV_OPS", "1301", &command, "no command"),
        ("CLIENT_DEV_OPS", "1315", &command, "CLIENT_PROBLEM_CHECK"),
        ("ASSET_SECURITY_CHECK", "1315", &command, "CLIENT_DEV_OPS"),
    ] {
        let line = [
            "task",
            "create",
            task_type,
            "--from-task",
            from,
            "--fix",
            code,
            "--yes",
        ];
        let said = server.sickbay(&line).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(word), "{said:?}");
    }
}
