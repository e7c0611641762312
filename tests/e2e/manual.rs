//! The command for a host without a connection: pasted by a person, it completes the same leaf.

use std::path::Path;

use model::TaskType::{AssetsCollection, ClientProblemCheck};
use serde_json::{Value, json};
use tests::{Agent, Server, shell, until};

use crate::check::{fetch, verify_bundle};

/// The leaf of a task on a host that is offline, once it has its command to run by hand.
pub(crate) async fn manual_command(server: &Server, root: &str) -> (String, String) {
    until("the manual command is issued", async || {
        let (leaf, detail) = server.leaf(root).await;
        let issued = leaf.task_status_text == "DISPATCH" && detail.res_code == ["1003"];
        issued.then(|| (leaf.task_id, detail.res_msg[0].clone()))
    })
    .await
}

/// What the command says where the tests are not run by root.
fn is_about_root(line: &str) -> bool {
    line.contains("this is not root")
}

pub(crate) fn left_behind(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

async fn round(server: &Server) {
    let agent = Agent::enrol(server).await;
    let param = json!({"problemType": "offline", "uuids": agent.uuid});
    let root = server.create(ClientProblemCheck, param).await;
    let (leaf, command) = manual_command(server, &root).await;
    assert!(!command.contains('\n'), "one line to paste: {command}");

    // What the person gets is what the command was made for, or nothing runs.
    let home = tempfile::tempdir().unwrap();
    let (_, digest) = command.split_once("case ").unwrap();
    let (_, digest) = digest.split_once(" in ").unwrap();
    let (digest, _) = digest.split_once("*)").unwrap();
    assert_eq!(digest.len(), 64, "{command}");
    let other: String = digest
        .chars()
        .map(|it| if it == '0' { '1' } else { '0' })
        .collect();
    let said = shell(&command.replace(digest, &other), home.path()).await;
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("nothing was run"), "{said:?}");
    assert!(said.out.is_empty(), "no check ran: {said:?}");
    assert_eq!(
        server.task(&leaf).await.task_status_text,
        "DISPATCH",
        "the leaf waits on"
    );

    let said = shell(&command, home.path()).await;
    let ended = server.ended(&root).await;
    assert_eq!(
        (ended.task_status_text.as_str(), ended.progress.as_str()),
        ("SUCCESS", "100%"),
        "{said:?}"
    );
    let (task, detail) = server.leaf(&root).await;
    assert_eq!(task.task_id, leaf, "the same leaf");
    let json = serde_json::to_value(&detail).unwrap();
    assert_eq!(json["dispatchType"], "manual");
    assert!(detail.probes.len() >= 10, "{:?}", detail.probes);
    assert_eq!(
        said.code,
        i32::from(!detail.findings.is_empty()),
        "{said:?}"
    );
    for finding in &detail.findings {
        assert!(
            said.out.contains(&finding.cause.to_string()),
            "the person sees what was found: {said:?}"
        );
    }
    if server.pin.is_none() {
        verify_bundle(&fetch(server, &detail.url).await.body);
    }
    let mut bundle = Vec::new();
    server
        .client()
        .download(&detail.url, &mut bundle)
        .await
        .unwrap();
    verify_bundle(&bundle);

    let said = shell(&command, home.path()).await;
    assert_eq!(said.code, 4, "a second run is refused: {said:?}");
    let lines: Vec<&str> = said.err.lines().filter(|it| !is_about_root(it)).collect();
    assert!(
        lines.len() == 1 && lines[0].contains("copy the current one"),
        "{said:?}"
    );
    assert_eq!(
        left_behind(home.path()),
        Vec::<String>::new(),
        "nothing is left behind"
    );
    assert_eq!(server.task(&leaf).await.task_status_text, "SUCCESS");
}

#[tokio::test]
async fn a_pasted_command_completes_the_leaf_of_an_offline_host() {
    round(&Server::start(&[]).await).await;
}

#[tokio::test]
async fn a_pasted_command_trusts_the_servers_own_certificate_and_no_other() {
    round(&Server::start(&["--tls"]).await).await;
}

#[tokio::test]
async fn a_command_that_was_copied_before_a_crash_works_after_it() {
    let mut server = Server::start(&[]).await;
    let _agent = Agent::enrol(&server).await;
    let root = server
        .create(ClientProblemCheck, json!({"problemType": "other"}))
        .await;
    let (_, command) = manual_command(&server, &root).await;
    server.kill9().await;
    server.restart().await;
    assert_eq!(
        manual_command(&server, &root).await.1,
        command,
        "it stays the same"
    );
    let home = tempfile::tempdir().unwrap();
    let said = shell(&command, home.path()).await;
    assert_eq!(server.ended(&root).await.success_count, 1, "{said:?}");
}

#[tokio::test]
async fn a_pasted_command_of_a_cancelled_task_is_refused() {
    let server = Server::start(&[]).await;
    let _agent = Agent::enrol(&server).await;
    let root = server
        .create(ClientProblemCheck, json!({"problemType": "other"}))
        .await;
    let (_, command) = manual_command(&server, &root).await;
    server
        .client()
        .cancel_task(root.parse().unwrap())
        .await
        .unwrap();
    let home = tempfile::tempdir().unwrap();
    let said = shell(&command, home.path()).await;
    assert_eq!(said.code, 4, "{said:?}");
    assert_eq!(server.leaf(&root).await.1.reason, "cancelled");
}

#[tokio::test]
async fn a_pasted_command_collects_assets_too() {
    let server = Server::start(&[]).await;
    let _agent = Agent::enrol(&server).await;
    let root = server
        .create(
            AssetsCollection,
            json!({"items": "ACCOUNT_SNAPSHOT,SYSTEM_SNAPSHOT"}),
        )
        .await;
    let (_, command) = manual_command(&server, &root).await;
    let home = tempfile::tempdir().unwrap();
    let said = shell(&command, home.path()).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(server.ended(&root).await.success_count, 1);
    let assets = server.leaf(&root).await.1.assets.unwrap();
    assert!(assets.accounts.is_some() && assets.system.is_some());
}

#[tokio::test]
async fn a_check_without_a_server_still_tells_the_person() {
    let home = tempfile::tempdir().unwrap();
    let agent = tests::binary("sickbay-agent");
    let data = home.path().join("none");
    let said = shell(
        &format!("{} check --json --data {}", agent.display(), data.display()),
        home.path(),
    )
    .await;
    let answer: Value =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert!(answer["probes"].as_array().unwrap().len() >= 10, "{answer}");
    let causes = answer["findings"].as_array().unwrap().len();
    assert_eq!(said.code, i32::from(causes > 0), "{said:?}");
}

#[tokio::test]
async fn the_commands_of_all_offline_hosts_are_listed_and_run_by_one_script() {
    let server = Server::start(&[]).await;
    let agents = [Agent::enrol(&server).await, Agent::enrol(&server).await];
    let root = server
        .create(ClientProblemCheck, json!({"problemType": "offline"}))
        .await;
    let listed = until("both have a command", async || {
        let said = server
            .sickbay(&["task", "commands", &root, "-o", "jsonl"])
            .await;
        assert_eq!(said.code, 0, "{said:?}");
        let rows = said.out.lines().map(|it| serde_json::from_str(it).unwrap());
        let rows: Vec<Value> = rows.collect();
        (rows.len() == 2).then_some(rows)
    })
    .await;
    for agent in &agents {
        let row = listed.iter().find(|it| it["uuid"] == agent.uuid).unwrap();
        let leaf = server.task(row["leafId"].as_str().unwrap()).await;
        assert!(leaf.detail_data.contains(&agent.uuid), "{leaf:?}");
    }

    // In place of ssh: the same words, on this host.
    let home = tempfile::tempdir().unwrap();
    let script = server
        .sickbay(&["task", "commands", &root, "--script"])
        .await;
    std::fs::write(home.path().join("all.sh"), &script.out).unwrap();
    std::fs::write(
        home.path().join("ssh"),
        "test \"$1\" = -- && sh -c \"$3\"\n",
    )
    .unwrap();
    let all = format!("cd {} && SSH='sh ./ssh' sh all.sh", home.path().display());
    let said = shell(&all, home.path()).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(server.ended(&root).await.success_count, 2, "{said:?}");

    let said = server
        .sickbay(&["task", "commands", &root, "-o", "jsonl"])
        .await;
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    assert!(said.err.contains("no host of task"), "{said:?}");
    let said = shell(&all, home.path()).await;
    assert_eq!(said.code, 1, "used commands are told: {said:?}");
    assert_eq!(said.err.matches("not reported").count(), 2, "{said:?}");
}
