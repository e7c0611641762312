//! What must not be seen: secrets in files and logs, the agent's own environment and files in commands.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use model::TaskType::ClientDevOps;
use serde_json::{Value, json};
use tests::{Agent, Program, Request, Server, binary};
use tokio::process::Command;

/// Calls `look` with every file under a folder.
fn for_each_file(folder: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for_each_file(&path, look);
        } else {
            look(&path, &std::fs::read(&path).unwrap());
        }
    }
}

fn holds(content: &[u8], needle: &str) -> bool {
    content
        .windows(needle.len())
        .any(|it| it == needle.as_bytes())
}

#[tokio::test]
async fn secrets_lie_in_no_file_and_work_in_no_log() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::online(&server).await;
    let client = server.client();
    client.create_user("ann").await.unwrap();
    let key = client.create_key("ann").await.unwrap();
    let token = client.create_token(None, None, false).await.unwrap();
    let bearer = client.create_token(None, None, true).await.unwrap();
    let param = json!({"command": "echo out-zebra; : command-zebra", "env": {"X": "env-zebra"}});
    let root = server.create(ClientDevOps, param).await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    let wrong = Request {
        secret: "secret-zebra-and-more".to_owned(),
        ..server.request("ListUsers", &[])
    };
    assert_eq!(wrong.send().await.status, 400);

    let secrets = [
        key.access_key_secret,
        token.access_key_secret.unwrap(),
        token.security_token.unwrap(),
        bearer.bearer_token.unwrap(),
        "secret-zebra".to_owned(),
        tests::ROOT_SECRET.to_owned(),
    ];
    for_each_file(server.folder(), &mut |path, content| {
        for secret in &secrets {
            assert!(!holds(content, secret), "{} holds a secret", path.display());
        }
    });
    let mut open = Vec::new();
    for folder in [server.data(), &agent.data()] {
        for_each_file(folder, &mut |path, _| {
            if path.metadata().unwrap().permissions().mode() & 0o077 != 0 {
                open.push(path.to_owned());
            }
        });
        // A closed folder closes all that is in it.
        if folder.metadata().unwrap().permissions().mode() & 0o077 == 0 {
            open.clear();
        }
        assert!(open.is_empty(), "others can read {open:?}");
    }
    for log in [
        std::fs::read_to_string(server.folder().join("server.log")).unwrap(),
        agent.program().log(),
    ] {
        for line in log.lines() {
            assert!(!line.contains("zebra"), "{line}");
        }
    }
}

#[tokio::test]
async fn a_command_sees_nothing_of_the_agents() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let root = server
        .create(
            ClientDevOps,
            json!({"command": "env; ls -l /proc/self/fd; pwd"}),
        )
        .await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    let stdout = server.leaf(&root).await.1.stdout.unwrap();
    for word in [
        "CARGO",
        "SICKBAY",
        "RUST_",
        "socket:",
        agent.data().to_str().unwrap(),
    ] {
        assert!(!stdout.contains(word), "`{word}`:\n{stdout}");
    }
    assert!(stdout.contains("PATH="), "{stdout}");
}

#[tokio::test]
async fn a_root_key_is_made_once_and_kept_for_the_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut command = Command::new(binary("sickbay"));
        command
            .args(["server", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data);
        let mut program =
            Program::start::<&str>(&mut command, &folder.path().join("log"), true, []);
        let lines = program.lines_until("root access key ").await;
        let url = lines[0].strip_prefix("listening on ").unwrap();
        let file = data.join("root-key.json");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&file).unwrap();
        let key: Value = serde_json::from_str(&text).unwrap();
        let members: Vec<&str> = key
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_str)
            .collect();
        let id = lines
            .last()
            .unwrap()
            .strip_prefix("root access key ")
            .unwrap()
            .to_owned();
        let secret = members.iter().find(|it| **it != id).unwrap();
        assert!(
            !lines.iter().any(|it| it.contains(*secret)),
            "the secret is not printed"
        );
        let mut cli = Command::new(binary("sickbay"));
        cli.args(["host", "list"])
            .env("SICKBAY_ENDPOINT", url)
            .env("SICKBAY_ACCESS_KEY_ID", &id)
            .env("SICKBAY_ACCESS_KEY_SECRET", secret);
        assert_eq!(tests::run(&mut cli).await.code, 0);
        ids.push(id);
        program.signal(rustix::process::Signal::TERM);
        program.ended().await;
    }
    assert_eq!(ids[0], ids[1], "made once");
}
