//! The vendor's own clients, unmodified, against a running server with an enrolled agent.

use std::path::{Path, PathBuf};

use client::HostQuery;
use serde_json::json;
use tests::{Agent, ROOT_ID, ROOT_SECRET, Server, binary, run};
use tokio::process::Command;

/// The Python with the clients, which tests/run sets up beside the built programs.
fn python() -> PathBuf {
    let program = binary("sickbay");
    let target = program.parent().and_then(Path::parent).unwrap();
    let python = target.join("python/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: run tests/run, which sets it up",
        python.display()
    );
    python
}

async fn drive(script: &str) {
    let server = Server::start(&[]).await;
    let online = Agent::online(&server).await;
    let offline = Agent::enrol(&server).await;
    let client = server.client();
    client.create_user("nobody").await.unwrap();
    let forbidden = client.create_key("nobody").await.unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("python")
        .join(script);
    let mut command = Command::new(python());
    command
        .arg("-B")
        .arg(path)
        .env("SICKBAY_HOST", server.authority())
        .env("SICKBAY_KEY", json!([ROOT_ID, ROOT_SECRET]).to_string())
        .env(
            "SICKBAY_FORBIDDEN",
            json!([forbidden.access_key_id, forbidden.access_key_secret]).to_string(),
        )
        .env("SICKBAY_ONLINE", &online.uuid)
        .env("SICKBAY_OFFLINE", &offline.uuid)
        // The clients look for their own configuration here.
        .env("HOME", server.folder());
    let said = run(&mut command).await;
    assert!(
        said.code == 0 && said.out.ends_with("all is well\n"),
        "{}\n{}",
        said.out,
        said.err
    );
    let hosts = client
        .hosts(&HostQuery::default(), 100)
        .take(9)
        .await
        .unwrap();
    assert_eq!(hosts.len(), 2);
}

#[tokio::test]
async fn the_current_python_client_drives_the_whole_loop() {
    drive("once_v3.py").await;
}

#[tokio::test]
async fn the_old_python_client_drives_the_whole_loop() {
    drive("once_v1.py").await;
}
