//! A problem check of another product's agent: one that a profile of the host's own describes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use model::TaskType::ClientProblemCheck;
use serde_json::{Value, json};
use tests::{Agent, Program, Said, Server, binary, run};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Writes a file that only this user may change.
fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

/// Lays down an agent that does nothing, and its profile. Its name is its program's, too.
fn lay_down(folder: &Path, name: &str, port: u16) {
    let program = folder.join(name);
    fs::copy("/bin/sleep", &program).unwrap();
    write(
        &folder.join("faked/faked.json"),
        &format!("{{\"server\": \"127.0.0.1:{port}\"}}"),
    );
    write(&folder.join("faked/log"), "started\n");
    let folder = folder.display();
    let profile = format!(
        r#"name = "{name}"
title = "An agent that does nothing"
sources = ["https://faked.example/manual"]
programs = ["{folder}/{name}"]
[process]
names = ["{name}"]
[paths]
data = ["{folder}/faked"]
logs = ["{{data}}/log"]
[[config]]
path = "{{data}}/faked.json"
format = "json"
[[endpoints]]
key = "server"
[[log_lines]]
pattern = "cannot write {{file}}: *denied"
cause = "PathNotAccessible"
example = "cannot write /x: permission denied"
"#
    );
    write(
        &Path::new(&folder.to_string()).join(format!("profiles/{name}.toml")),
        &profile,
    );
}

async fn agent(folder: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(binary("sickbay-agent"));
    command
        .args(args)
        .arg("--profiles")
        .arg(folder.join("profiles"));
    run(&mut command).await
}

/// Codes of what a check found about the agent itself: the machine that tests may be busy or full.
fn causes(findings: &Value) -> Vec<u64> {
    let findings = findings.as_array().unwrap();
    let codes = findings.iter().map(|it| it["cause"].as_u64().unwrap());
    let mut codes: Vec<u64> = codes
        .filter(|it| (2100..2400).contains(it) || [2405, 2801, 2802].contains(it))
        .collect();
    codes.sort_unstable();
    codes
}

#[tokio::test]
async fn an_agent_that_a_profile_of_ones_own_describes_is_examined() {
    const NAME: &str = "sb-faked";
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    lay_down(folder, NAME, listener.local_addr().unwrap().port());
    let mut command = Command::new(folder.join(NAME));
    let running = Program::start(&mut command, &folder.join("out"), false, ["100000"]);

    let said = agent(folder, &["check", "--subject", NAME, "--json"]).await;
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(causes(&report["findings"]), [0; 0], "{report:#}");
    let probe = |name: &str| {
        let probes = report["probes"].as_array().unwrap();
        probes.iter().find(|it| it["name"] == name).unwrap().clone()
    };
    assert_eq!(probe("tcp")["outcome"], "clear", "{report:#}");
    assert_eq!(probe("http")["note"], "no HTTP path of the server is known");
    assert!(
        probe("profiles")["note"]
            .as_str()
            .unwrap()
            .starts_with("sb-faked from ")
    );

    let said = agent(folder, &["check", "--subject", "auto", "--json"]).await;
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let detected = report["detected"].as_array().unwrap();
    let found = detected.iter().find(|it| it["name"] == NAME).unwrap();
    assert_eq!(
        (&found["running"], &found["enabled"]),
        (&json!(true), &json!(false))
    );
    let of_it = |it: &&Value| it["name"] == "tcp" && it["subject"] == NAME;
    assert!(
        report["probes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| of_it(&it)),
        "{report:#}"
    );

    drop((running, listener));
    write(
        &folder.join("faked/log"),
        "cannot write /var/x: permission denied\n",
    );
    let said = agent(folder, &["check", "--subject", NAME, "--json"]).await;
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(said.code, 1, "{report:#}");
    assert_eq!(
        causes(&report["findings"]),
        [2102, 2303, 2405],
        "{report:#}"
    );
    let evidence = report["findings"].to_string();
    assert!(evidence.contains("file: /var/x"), "{evidence}");
    write(&folder.join("faked/faked.json"), "{\n\"server\": \n}");
    let said = agent(folder, &["check", "--subject", NAME]).await;
    assert!(
        said.out.contains("2108") && said.out.contains("faked.json, line 3"),
        "{said:?}"
    );
}

#[tokio::test]
async fn an_unknown_agent_is_answered_with_those_that_are_known() {
    let server = Server::start(&[]).await;
    let mut host = Agent::enrol(&server).await;
    lay_down(host.folder(), "sb-absent", 9);
    fs::remove_file(host.folder().join("sb-absent")).unwrap();
    host.start();
    host.until_online(&server).await;
    let examined = async |subject: &str| {
        let root = server
            .create(ClientProblemCheck, json!({"subject": subject}))
            .await;
        server.ended(&root).await;
        server.leaf(&root).await.1
    };
    let detail = examined("nothing-like-it").await;
    assert_eq!(
        (detail.status.as_str(), detail.reason.as_str()),
        ("FAIL", "not_started")
    );
    for name in [
        "no profile `nothing-like-it`",
        "auto",
        "node-exporter",
        "sb-absent",
    ] {
        assert!(detail.message.contains(name), "{}", detail.message);
    }
    let detail = examined("sb-absent").await;
    assert_eq!(detail.status, "SUCCESS");
    assert!(detail.cause_code.contains(&"2101".to_owned()), "{detail:?}");
    let subject = ["-p", "subject=sb-absent", "--wait"];
    let create = ["task", "create", "CLIENT_PROBLEM_CHECK", "--all"];
    let said = server.sickbay(&[&create[..], &subject[..]].concat()).await;
    let root = said.err.trim().strip_prefix("created task ").unwrap();
    let detail = server.leaf(root).await.1;
    assert!(detail.cause_code.contains(&"2101".to_owned()), "{detail:?}");
    assert_ne!(
        server
            .request(
                "GenerateOnceTask",
                &[
                    ("TaskType", "CLIENT_PROBLEM_CHECK"),
                    ("Param", r#"{"subject":"No Such"}"#),
                ]
            )
            .send()
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn profiles_are_listed_shown_and_checked() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    lay_down(folder, "sb-listed", 9);
    write(
        &folder.join("profiles/faulty.toml"),
        "name = \"faulty\"\ntitle = 3\n",
    );
    let said = agent(folder, &["profile", "list"]).await;
    assert_eq!(said.code, 1, "a file has a fault");
    assert!(
        said.out.contains("sb-listed") && said.out.contains("auditd"),
        "{said:?}"
    );
    assert!(said.err.contains("faulty.toml:2: "), "{said:?}");
    let said = agent(folder, &["profile", "show", "auditd"]).await;
    assert!(said.out.starts_with("name = \"auditd\"\n"), "{said:?}");
    let check = async |name: &str| {
        let mut command = Command::new(binary("sickbay-agent"));
        command
            .args(["profile", "check"])
            .arg(folder.join("profiles").join(name));
        run(&mut command).await.code
    };
    assert_eq!(
        (check("sb-listed.toml").await, check("faulty.toml").await),
        (0, 1)
    );
}
