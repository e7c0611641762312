//! A server whose database is PostgreSQL: it does the same as any other, and says what is whose job.

use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Server, binary, new_database, postgres_tool, run};

#[tokio::test]
async fn a_server_on_postgresql_works_and_goes_on_after_a_crash() {
    let mut server = Server::start_on(&new_database().await, &[]).await;
    let agent = Agent::online(&server).await;
    let command = json!({"command": "echo one"});
    let root = server.create(ClientDevOps, command).await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    let before = (server.task(&root).await, server.leaf(&root).await);
    assert!(!server.data().join("sickbay.db").exists());
    server.kill9().await;
    server.restart().await;
    agent.until_online(&server).await;
    let after = (server.task(&root).await, server.leaf(&root).await);
    assert_eq!(before, after);
    let said = server.sickbay(&["admin", "verify"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
}

#[tokio::test]
async fn a_second_node_on_the_same_database_is_refused() {
    let store = new_database().await;
    let first = Server::start_on(&store, &[]).await;
    let folder = first.folder().join("second");
    let second = folder.to_str().unwrap();
    let line = ["server", "--listen", "127.0.0.1:0", "--data", second];
    let said = first.sickbay(&line).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("another node"), "{said:?}");
    assert!(!said.err.contains("panic"), "{said:?}");
}

#[tokio::test]
async fn looking_after_it_says_what_is_the_databases_own_job() {
    let store = new_database().await;
    let mut server = Server::start_on(&store, &[]).await;
    let agent = Agent::online(&server).await;
    let root = server
        .create(ClientDevOps, json!({"command": "echo one"}))
        .await;
    server.ended(&root).await;
    let [backup, restored] = ["backup", "restored"].map(|it| server.folder().join(it));
    let data = server.data().to_str().unwrap().to_owned();
    let (data, to) = (data.as_str(), backup.to_str().unwrap());
    let said = server
        .sickbay(&["admin", "backup", "--data", data, "--to", to])
        .await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("pg_dump"), "{said:?}");
    assert!(backup.join("secret.key").is_file());

    // The database's own tools copy it while the node runs.
    let dump = server.folder().join("dump");
    let mut tool = postgres_tool("pg_dump");
    tool.args(["--format=custom", "--file"]).arg(&dump);
    let said = run(tool.arg(&store)).await;
    assert_eq!(said.code, 0, "{said:?}");

    let offline = ["admin", "verify", "--data", data];
    let said = server.sickbay(&offline).await;
    assert_eq!(said.code, 7, "{said:?}");
    assert!(said.err.contains("running node"), "{said:?}");
    server.terminate().await;
    let said = server.sickbay(&offline).await;
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    assert!(said.err.contains("as the journals tell"), "{said:?}");

    // Both come back, and the keys open what the database has.
    let store = new_database().await;
    let mut tool = postgres_tool("pg_restore");
    let said = run(tool.args(["--dbname", &store]).arg(&dump)).await;
    assert_eq!(said.code, 0, "{said:?}");
    server.move_to(&store);
    let new = restored.to_str().unwrap();
    let said = server
        .sickbay(&["admin", "restore", "--from", to, "--data", new])
        .await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("pg_restore"), "{said:?}");
    std::fs::remove_dir_all(data).unwrap();
    std::fs::rename(&restored, data).unwrap();
    let said = server.sickbay(&offline).await;
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");

    // Nobody starts on an empty file by mistake.
    let mut command = tokio::process::Command::new(binary("sickbay"));
    command.args(["server", "--listen", "127.0.0.1:0", "--data", data]);
    let said = run(&mut command).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("SICKBAY_STORE"), "{said:?}");
    server.restart().await;
    agent.until_online(&server).await;
    assert_eq!(server.task(&root).await.success_count, 1);
}

#[tokio::test]
async fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let mut command = tokio::process::Command::new(binary("sickbay"));
    command.args([
        "server",
        "--store",
        "postgres://sickbay:hidden@db.example/sickbay",
    ]);
    let said = run(&mut command).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("SICKBAY_STORE"), "{said:?}");
    assert!(!said.err.contains("hidden"), "{said:?}");
}
