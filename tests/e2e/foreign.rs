//! The command to run by hand, on hosts that are not like this one: another C library, other shells and tools, a proxy in between.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use model::TaskType::ClientProblemCheck;
use serde_json::json;
use tempfile::TempDir;
use tests::{Agent, ConnectProxy, Foreign, Said, Server, binary, run};
use tokio::process::Command;

use crate::manual::{left_behind, manual_command};

/// A task on a host that is offline: its root, leaf and command.
async fn offline_leaf(server: &Server) -> (String, String, String) {
    let root = server
        .create(ClientProblemCheck, json!({"problemType": "offline"}))
        .await;
    let (leaf, command) = manual_command(server, &root).await;
    (root, leaf, command)
}

/// The task has what the person saw.
async fn assert_reported(server: &Server, root: &str, said: &Said) {
    let ended = server.ended(root).await;
    assert_eq!(ended.task_status_text, "SUCCESS", "{said:?}");
    let findings = server.leaf(root).await.1.findings;
    assert_eq!(said.code, i32::from(!findings.is_empty()), "{said:?}");
    for finding in findings {
        assert!(said.out.contains(&finding.cause.to_string()), "{said:?}");
    }
}

#[tokio::test]
async fn a_host_with_busybox_alone_runs_the_command() {
    let Some(host) = Foreign::new("the command is not run on a host without a C library") else {
        return;
    };
    let server = Server::start(&["--tls"]).await;
    let _agent = Agent::enrol(&server).await;
    let (root, leaf, command) = offline_leaf(&server).await;

    let said = host.shell(&command).await;
    assert_reported(&server, &root, &said).await;
    assert_eq!(left_behind(&host.path("var/tmp")), Vec::<String>::new());

    let said = host.shell(&command).await;
    assert_eq!(said.code, 4, "a second use is refused: {said:?}");
    assert!(said.err.contains("copy the current one"), "{said:?}");
    assert_eq!(server.task(&leaf).await.task_status_text, "SUCCESS");
}

#[tokio::test]
async fn names_are_resolved_on_a_host_with_busybox_alone() {
    let Some(host) = Foreign::new("no name is resolved on a host without a C library") else {
        return;
    };
    let server = Server::start(&["--tls"]).await;
    std::fs::write(host.path("etc/hosts"), "127.0.0.1 sickbay.test\n").unwrap();
    let enrol = |name: &str, code: &str| {
        let (_, port) = server.url.rsplit_once(':').unwrap();
        let pin = server.pin.as_deref().unwrap();
        format!(
            "sickbay-agent enrol --server https://{name}:{port} --install-code {code} --pin {pin} --data /data"
        )
    };
    let code = server.install_code().await;
    let said = host.shell(&enrol("other.test", &code)).await;
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.err.contains("cannot be resolved"), "{said:?}");
    let said = host.shell(&enrol("sickbay.test", &code)).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("inet-"), "{said:?}");
}

/// A person's account with these tools and no others.
struct Account {
    home: TempDir,
}

/// What the command needs of a host besides something to fetch and to compare with.
const TOOLS: [&str; 6] = ["uname", "id", "mktemp", "chmod", "rm", "cp"];

impl Account {
    fn new(more: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let account = Self { home };
        for folder in ["bin", "work", "tmp"] {
            std::fs::create_dir(account.path(folder)).unwrap();
        }
        for tool in TOOLS.iter().chain(more) {
            let program = ["/usr/bin", "/bin"].map(|it| Path::new(it).join(tool));
            let program = program.iter().find(|it| it.exists());
            symlink(program.expect(tool), account.path("bin").join(tool)).unwrap();
        }
        account
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs a line by a shell, such as `/bin/dash` or `/bin/busybox sh`.
    async fn shell(&self, shell: &str, line: &str, environment: &[(&str, &str)]) -> Said {
        let mut words = shell.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .args(["-c", line])
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.home.path())
            .env("TMPDIR", self.path("tmp"))
            .envs(environment.iter().copied())
            .current_dir(self.path("work"));
        run(&mut command).await
    }

    fn assert_clean(&self) {
        assert_eq!(left_behind(&self.path("tmp")), Vec::<String>::new());
    }
}

#[tokio::test]
async fn any_posix_shell_and_what_tools_there_are_will_do() {
    let server = Server::start(&["--tls"]).await;
    let _agent = Agent::enrol(&server).await;
    for (shell, tools) in [
        ("/bin/dash", ["curl", "sha256sum"]),
        ("/bin/dash", ["wget", "openssl"]),
        ("/bin/bash", ["wget", "busybox"]),
        ("/bin/busybox sh", ["curl", "openssl"]),
    ] {
        let (root, _, command) = offline_leaf(&server).await;
        let account = Account::new(&tools);
        let said = account.shell(shell, &command, &[]).await;
        assert_reported(&server, &root, &said).await;
        account.assert_clean();
    }
}

#[tokio::test]
async fn what_is_missing_on_a_host_is_said() {
    let server = Server::start(&["--tls"]).await;
    let _agent = Agent::enrol(&server).await;
    let (root, _, command) = offline_leaf(&server).await;
    let dash = "/bin/dash";

    let said = Account::new(&["curl"]).shell(dash, &command, &[]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("none of sha256sum"), "{said:?}");

    let elsewhere = Account::new(&["curl", "sha256sum"]);
    std::fs::remove_file(elsewhere.path("bin/uname")).unwrap();
    let line =
        format!("uname() {{ case $1 in -s) echo Linux ;; *) echo riscv64 ;; esac; }}; {command}");
    let said = elsewhere.shell(dash, &line, &[]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("this is Linux on riscv64"), "{said:?}");

    let unreachable = command.replace("/checker/", "/nothing/");
    let line = format!("uname() {{ /usr/bin/uname \"$@\"; }}; {unreachable}");
    let said = elsewhere.shell(dash, &line, &[]).await;
    elsewhere.assert_clean();
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.err.contains("cannot be fetched"), "{said:?}");

    // Without anything to fetch with, the checker can be carried there.
    let bare = Account::new(&["sha256sum"]);
    let said = bare.shell(dash, &command, &[]).await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("neither curl nor wget"), "{said:?}");
    std::fs::copy(binary("sickbay-agent"), bare.path("work/sickbay-agent")).unwrap();
    let said = bare.shell(dash, &command, &[]).await;
    assert_reported(&server, &root, &said).await;
}

#[tokio::test]
async fn a_host_behind_a_proxy_fetches_and_reports_through_it() {
    // Nobody but the proxy knows where this is.
    let server = Server::start(&["--tls", "--public-url", "https://sickbay.test:8443"]).await;
    let _agent = Agent::enrol(&server).await;
    let proxy = ConnectProxy::start(server.authority(), "me:p@ss").await;
    let url = format!("http://me:p%40ss@{}", proxy.address);
    for (tool, variable) in [
        ("curl", "https_proxy"),
        ("wget", "HTTPS_PROXY"),
        ("wget", "ALL_PROXY"),
    ] {
        let (root, _, command) = offline_leaf(&server).await;
        let account = Account::new(&[tool, "sha256sum"]);
        let said = account
            .shell("/bin/dash", &command, &[(variable, &url)])
            .await;
        assert_reported(&server, &root, &said).await;
        // The download and the report; the check itself may try the way too.
        let seen = proxy.seen();
        assert!(seen.len() >= 2, "{seen:?}: {said:?}");
        assert!(
            seen.iter().all(|it| it == "sickbay.test:8443"),
            "{seen:?}: {said:?}"
        );
    }
}

#[tokio::test]
async fn without_a_way_to_the_server_the_person_gets_everything() {
    let mut server = Server::start(&["--tls"]).await;
    let _agent = Agent::enrol(&server).await;
    let (root, _, command) = offline_leaf(&server).await;
    server.kill9().await;
    let account = Account::new(&["sha256sum"]);
    std::fs::copy(binary("sickbay-agent"), account.path("work/sickbay-agent")).unwrap();
    let said = account.shell("/bin/dash", &command, &[]).await;
    assert!([1, 6].contains(&said.code), "{said:?}");
    assert!(!said.out.is_empty(), "the findings: {said:?}");
    assert!(said.err.contains("could not be reported"), "{said:?}");
    assert!(said.err.contains("run the same command again"), "{said:?}");
    let (_, bundle) = said.err.split_once("lies in ").expect("a bundle");
    let (bundle, _) = bundle.split_once(": hand it over").unwrap();
    crate::check::verify_bundle(&std::fs::read(bundle).unwrap());

    server.restart().await;
    let said = account.shell("/bin/dash", &command, &[]).await;
    assert_reported(&server, &root, &said).await;
}
