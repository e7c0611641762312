//! The operator's command line: exit codes and output that scripts rely on.

use serde_json::Value;
use tests::{Agent, Server, binary, run};
use tokio::process::Command;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn the_exit_code_says_how_a_task_ended() {
    let server = Server::start(&[]).await;
    let online = Agent::online(&server).await;
    let offline = Agent::enrol(&server).await;
    for (host, command, timeout, code) in [
        (&online, "true", "60", 0),
        (&online, "exit 9", "60", 1),
        (&online, "sleep 600", "1", 3),
        (&offline, "true", "1", 5),
    ] {
        let command = format!("command={command}");
        let args = [
            "task",
            "create",
            "CLIENT_DEV_OPS",
            "--host",
            &host.uuid,
            "-p",
            &command,
            "--timeout",
            timeout,
            "--wait",
            "-o",
            "json",
        ];
        let said = server.sickbay(&args).await;
        assert_eq!(said.code, code, "{command}: {said:?}");
        let task = json(&said.out);
        assert_eq!(task["TotalCount"], 1);
        assert!(
            task["DetailData"].is_array(),
            "unpacked for a program: {task}"
        );
        let id = task["TaskId"].as_str().unwrap();
        assert_eq!(
            server.sickbay(&["task", "wait", id]).await.code,
            code,
            "asked again, said again"
        );
    }
    let said = server
        .sickbay(&["task", "create", "CLIENT_DEV_OPS", "-p", "command=true"])
        .await;
    assert_eq!(said.code, 2, "hosts are chosen on purpose: {said:?}");
    assert!(said.err.contains("--all"), "{said:?}");
    let said = server
        .sickbay(&[
            "task",
            "create",
            "client-dev-ops",
            "--all",
            "-p",
            "comand=true",
        ])
        .await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("comand"), "{said:?}");
}

#[tokio::test]
async fn the_exit_code_says_why_there_was_no_answer() {
    let server = Server::start(&[]).await;
    let call = |endpoint: String, id: &'static str| async move {
        let mut command = Command::new(binary("sickbay"));
        command
            .args(["host", "list"])
            .env("SICKBAY_ENDPOINT", endpoint)
            .env("SICKBAY_ACCESS_KEY_ID", id)
            .env("SICKBAY_ACCESS_KEY_SECRET", "wrong, and long enough");
        run(&mut command).await
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    for (endpoint, id, code, word) in [
        (
            server.url.clone(),
            tests::ROOT_ID,
            4,
            "SignatureDoesNotMatch",
        ),
        (
            server.url.clone(),
            "nobodysKey",
            4,
            "InvalidAccessKeyId.NotFound",
        ),
        (dead, tests::ROOT_ID, 6, "cannot be reached"),
        ("ftp://x".to_owned(), tests::ROOT_ID, 2, "ftp://x"),
    ] {
        let said = call(endpoint, id).await;
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.err.contains(word), "{said:?}");
        assert_eq!(said.err.trim().lines().count(), 1, "{said:?}");
        assert!(said.out.is_empty(), "{said:?}");
    }
    let said = server.sickbay(&["task", "get", &"0".repeat(32)]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("there is no task"), "{said:?}");
    assert_eq!(server.sickbay(&["task", "dance"]).await.code, 2);
}

#[tokio::test]
async fn what_is_written_is_for_programs_unless_a_person_looks() {
    let server = Server::start(&[]).await;
    let online = Agent::online(&server).await;
    let offline = Agent::enrol(&server).await;
    // A pipe gets JSON lines.
    let said = server.sickbay(&["host", "list"]).await;
    let hosts: Vec<Value> = said.out.lines().map(json).collect();
    assert_eq!(hosts.len(), 2, "{said:?}");
    let uuids: Vec<&str> = hosts.iter().filter_map(|it| it["Uuid"].as_str()).collect();
    assert!(uuids.contains(&online.uuid.as_str()) && uuids.contains(&offline.uuid.as_str()));
    let said = server.sickbay(&["host", "list", "-o", "json"]).await;
    assert_eq!(
        json(&said.out).as_array().map(Vec::len),
        Some(2),
        "{said:?}"
    );
    let said = server.sickbay(&["host", "list", "-o", "table"]).await;
    assert!(
        said.out.contains("STATUS") || said.out.contains("UUID"),
        "{said:?}"
    );
    let said = server
        .sickbay(&["host", "get", &online.uuid, "-o", "json"])
        .await;
    assert!(
        said.code == 0 && said.out.contains(&online.uuid),
        "{said:?}"
    );
    json(&said.out);

    // Watching in a pipe is one JSON object per change, the last with the end.
    let args = [
        "task",
        "create",
        "CLIENT_DEV_OPS",
        "--host",
        &online.uuid,
        "-p",
        "command=true",
        "--watch",
    ];
    let said = server.sickbay(&args).await;
    let lines: Vec<Value> = said.out.lines().map(json).collect();
    assert_eq!(
        lines.last().unwrap()["TaskStatusText"],
        "SUCCESS",
        "{said:?}"
    );
    let id = lines[0]["TaskId"].as_str().unwrap().to_owned();

    let said = server.sickbay(&["task", "get", &id, "-o", "table"]).await;
    assert!(
        said.out.contains("1 host: SUCCESS, exit code 0"),
        "{said:?}"
    );
    let said = server.sickbay(&["task", "list", "-o", "name"]).await;
    assert_eq!(said.out.trim(), id);
    let said = server.sickbay(&["task", "leaves", &id]).await;
    assert_eq!(json(said.out.trim())["status"], "SUCCESS", "{said:?}");
    let said = server
        .sickbay(&[
            "api",
            "DescribeOnceTask",
            "TaskType=CLIENT_DEV_OPS",
            "PageSize=1",
        ])
        .await;
    assert_eq!(json(&said.out)["PageInfo"]["TotalCount"], 1, "{said:?}");
    let said = server.sickbay(&["problem", "list", "-o", "json"]).await;
    assert!(
        json(&said.out).as_array().is_some_and(|it| !it.is_empty()),
        "{said:?}"
    );
}

#[tokio::test]
async fn hosts_that_answered_the_same_are_counted_together() {
    let server = Server::start(&[]).await;
    let mut agents = Vec::new();
    for _ in 0..3 {
        agents.push(Agent::online(&server).await);
    }
    let _offline = Agent::enrol(&server).await;
    let first = server.folder().join("first");
    // The first to come is the odd one.
    let command = format!(
        "command=mkdir {} 2>/dev/null && {{ echo no such thing >&2; exit 127; }}; echo well",
        first.display()
    );
    let args = [
        "task",
        "create",
        "CLIENT_DEV_OPS",
        "--all",
        "-p",
        &command,
        "--timeout",
        "3",
        "--wait",
        "-o",
        "name",
    ];
    let said = server.sickbay(&args).await;
    let root = said.out.trim().to_owned();
    let said = server
        .sickbay(&["task", "outcomes", &root, "-o", "json"])
        .await;
    assert_eq!(said.code, 0, "{said:?}");
    let outcomes = json(&said.out);
    let outcomes = outcomes.as_array().unwrap();
    let mut found: Vec<_> = outcomes
        .iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap();
            let count = it["Count"].as_u64().unwrap();
            (count, text("Status"), text("Reason"), text("Label"))
        })
        .collect();
    assert_eq!(found.remove(0), (2, "SUCCESS", "", "exit 0: well"));
    found.sort_unstable();
    assert_eq!(
        found[0],
        (1, "FAIL", "exit_code", "exit 127: no such thing")
    );
    assert_eq!(
        (found[1].0, found[1].1, found[1].2),
        (1, "TIMEOUT", "never_delivered")
    );
    assert_eq!(found.len(), 2);

    let same = outcomes[0]["OutcomeId"].as_str().unwrap();
    let said = server
        .sickbay(&["task", "leaves", &root, "--outcome", same, "-o", "json"])
        .await;
    let leaves = json(&said.out);
    let leaves = leaves.as_array().unwrap();
    assert_eq!(leaves.len(), 2, "{said:?}");
    assert!(leaves.iter().all(|it| it["stdout"] == "well\n"), "{said:?}");
    assert!(
        leaves
            .iter()
            .any(|it| it["leafId"] == outcomes[0]["SampleTaskId"])
    );
    let records = server.request(
        "DescribeOnceTaskLeafRecordPage",
        &[
            ("TaskId", &root),
            ("TaskType", "CLIENT_DEV_OPS"),
            ("OutcomeId", same),
        ],
    );
    assert_eq!(records.send().await.json()["PageInfo"]["TotalCount"], 2);
    let said = server
        .sickbay(&["task", "outcomes", &root, "-o", "csv"])
        .await;
    assert!(said.out.contains("2,SUCCESS,,exit 0: well,"), "{said:?}");
    let said = server.sickbay(&["task", "get", &root, "-o", "table"]).await;
    assert!(
        said.out.contains("2 hosts: SUCCESS, exit code 0"),
        "{said:?}"
    );
    assert!(said.out.contains("1 host: FAIL, exit code 127"), "{said:?}");
}

#[tokio::test]
async fn operators_are_managed_from_the_command_line() {
    let server = Server::start(&[]).await;
    let said = server
        .sickbay(&["install-code", "create", "-o", "json"])
        .await;
    assert_eq!(said.code, 0, "{said:?}");
    let code = json(&said.out)["CaptchaCode"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        Agent::try_enrol(&server.url, &code, None, folder.path())
            .await
            .code,
        0
    );
    let said = server
        .sickbay(&["install-code", "list", "-o", "name"])
        .await;
    assert_eq!(said.out.trim(), code, "{said:?}");
    assert_eq!(
        server
            .sickbay(&["install-code", "delete", &code])
            .await
            .code,
        0
    );
    let said = server.sickbay(&["access", "user", "--help"]).await;
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test]
async fn a_bundle_is_saved_to_a_file_that_did_not_exist() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let args = [
        "task",
        "create",
        "CLIENT_PROBLEM_CHECK",
        "--host",
        &agent.uuid,
        "-p",
        "problemType=other",
        "--wait",
        "-o",
        "name",
    ];
    let said = server.sickbay(&args).await;
    assert_eq!(said.code, 0, "{said:?}");
    let id = said.out.trim();
    let file = server.folder().join("bundle.tar.gz");
    let path = file.to_str().unwrap();
    let said = server
        .sickbay(&["task", "bundle", id, "--file", path])
        .await;
    assert_eq!(said.code, 0, "{said:?}");
    crate::check::verify_bundle(&std::fs::read(&file).unwrap());
    let said = server
        .sickbay(&["task", "bundle", id, "--file", path])
        .await;
    assert_ne!(said.code, 0, "nothing is overwritten: {said:?}");
}

#[tokio::test]
async fn up_once_shows_a_newcomer_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("sickbay"));
    command.args(["up", "--once"]).env("TMPDIR", folder.path());
    let said = run(&mut command).await;
    assert!(matches!(said.code, 0 | 1), "{said:?}");
    let causes = said.out.contains("cause") || said.out.contains("fix");
    assert!(
        !said.out.is_empty() && (said.code == 0 || causes),
        "{said:?}"
    );
    assert!(said.err.contains("enrolled and connected"), "{said:?}");
    assert!(
        !said.err.contains("ERROR") && !said.err.contains("panicked"),
        "{said:?}"
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[tokio::test]
async fn up_with_a_directory_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut hosts = Vec::new();
    for _ in 0..2 {
        let mut command = Command::new(binary("sickbay"));
        command.args(["up", "--once", "--data"]).arg(folder.path());
        let said = run(&mut command).await;
        assert!(matches!(said.code, 0 | 1), "{said:?}");
        let line = said.err.lines().find(|it| it.starts_with("host "));
        hosts.push(line.unwrap().to_owned());
    }
    assert_eq!(hosts[0], hosts[1], "the host keeps its identity");
}
