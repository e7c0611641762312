//! Looking after what is stored: verify, backup, restore, retention.

use client::{Error, HostQuery};
use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Server, until};

async fn hosts(server: &Server) -> Vec<String> {
    let client = server.client();
    let mut pages = client.hosts(&HostQuery::default(), 100);
    let hosts = pages.take(usize::MAX).await.unwrap();
    hosts.into_iter().map(|it| it.uuid).collect()
}

/// Runs so many tasks to their end.
async fn work(server: &Server, count: u32) -> Vec<String> {
    let mut roots = Vec::new();
    for number in 0..count {
        let command = json!({"command": format!("echo {number}")});
        let root = server.create(ClientDevOps, command).await;
        server.ended(&root).await;
        roots.push(root);
    }
    roots
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_restored_with_all_its_tasks() {
    let mut server = Server::start(&["--tls"]).await;
    let agent = Agent::online(&server).await;
    let before = work(&server, 3).await;
    let backup = server.folder().join("backup");
    let data = server.data().to_str().unwrap().to_owned();
    let (data, to) = (data.as_str(), backup.to_str().unwrap());
    let line = ["admin", "backup", "--data", data, "--to", to, "--bundles"];
    let said = server.sickbay(&line).await;
    assert_eq!(said.code, 0, "{said:?}");
    for name in ["sickbay.db", "secret.key", "tls/key.pem"] {
        assert!(backup.join(name).is_file(), "{name}");
    }
    let said = server.sickbay(&line).await;
    assert_eq!(said.code, 1, "nothing is overwritten: {said:?}");
    let said = server.sickbay(&["admin", "verify", "--data", to]).await;
    assert_eq!(said.code, 0, "{said:?}");
    // What comes after is not in it.
    let after = work(&server, 1).await;
    let mut tasks = Vec::new();
    for root in &before {
        tasks.push((server.task(root).await, server.leaf(root).await));
    }

    server.kill9().await;
    std::fs::rename(data, server.folder().join("broken")).unwrap();
    let line = ["admin", "restore", "--from", to, "--data", data];
    let said = server.sickbay(&line).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = server.sickbay(&line).await;
    assert_eq!(said.code, 1, "nothing is overwritten: {said:?}");
    assert!(said.err.contains("not empty"), "{said:?}");
    server.restart().await;
    agent.until_online(&server).await;
    assert_eq!(hosts(&server).await, std::slice::from_ref(&agent.uuid));
    for (root, seen) in before.iter().zip(tasks) {
        assert_eq!((server.task(root).await, server.leaf(root).await), seen);
    }
    let listed = server.tasks(ClientDevOps).await;
    assert_eq!(listed.len(), before.len(), "without {after:?}");
    work(&server, 1).await;
    let said = server.sickbay(&["admin", "verify"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
}

#[tokio::test]
async fn a_damaged_counter_is_found_online_and_offline() {
    let mut server = Server::start(&[]).await;
    let _agent = Agent::online(&server).await;
    work(&server, 2).await;
    let said = server.sickbay(&["admin", "verify"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    let data = server.data().to_str().unwrap().to_owned();
    let offline = ["admin", "verify", "--data", &data];
    let said = server.sickbay(&offline).await;
    assert_eq!(said.code, 7, "nothing was compared: {said:?}");
    assert!(said.err.contains("running node"), "{said:?}");
    assert!(said.err.contains("leave out --data"), "{said:?}");

    let database = rusqlite::Connection::open(server.data().join("sickbay.db")).unwrap();
    database
        .execute("UPDATE root SET success = 0, fail = 1 WHERE no = 1", [])
        .unwrap();
    drop(database);
    let said = server.sickbay(&["-o", "name", "admin", "verify"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("root number 1: "), "{said:?}");
    // What is counted over roots is compared with their rows.
    assert!(lines[1..].iter().all(|it| it.contains("_count of type 2")));
    server.terminate().await;
    let said = server
        .sickbay(&[&["-o", "name"], &offline[..]].concat())
        .await;
    assert_eq!(
        (said.code, said.out.lines().collect()),
        (1, lines),
        "{said:?}"
    );
}

#[tokio::test]
async fn verifying_needs_its_permission() {
    let server = Server::start(&[]).await;
    let client = server.client();
    client.create_user("ann").await.unwrap();
    let key = client.create_key("ann").await.unwrap();
    let ann = server.client_as(&key.access_key_id, &key.access_key_secret, None);
    let refused = ann.verify_store().await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused}");
    let allowed = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "sickbay:VerifyStore", "Resource": "*"}
    ]})
    .to_string();
    client.put_policy("ann", "verify", &allowed).await.unwrap();
    assert_eq!(ann.verify_store().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn only_so_many_tasks_are_kept() {
    let mut server = Server::start(&["--keep-tasks", "2"]).await;
    let agent = Agent::online(&server).await;
    let roots = work(&server, 4).await;
    server.kill9().await;
    server.restart().await;
    let kept = until("old tasks are dropped", async || {
        let tasks = server.tasks(ClientDevOps).await;
        (tasks.len() == 2).then_some(tasks)
    })
    .await;
    let kept = kept.into_iter().map(|it| it.task_id);
    assert!(kept.eq([roots[3].clone(), roots[2].clone()]));
    let said = server.sickbay(&["task", "get", &roots[0]]).await;
    assert_eq!(said.code, 1, "{said:?}");
    agent.until_online(&server).await;
    work(&server, 1).await;
    assert_eq!(
        server.tasks(ClientDevOps).await.len(),
        3,
        "until it is looked again"
    );
    let said = server.sickbay(&["admin", "verify"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
}
