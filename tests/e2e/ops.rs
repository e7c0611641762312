//! Commands: how they end, what they said, and what stops them.

use std::path::{Path, PathBuf};

use model::TaskType::ClientDevOps;
use serde_json::{Value, json};
use tests::{Agent, Server, until};

/// A file for whose removal a command waits. Gone with the test's folder, so that no command outlives its test.
pub(crate) struct Gate(PathBuf);

impl Gate {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        std::fs::write(&path, "").unwrap();
        Self(path)
    }

    pub(crate) fn open(&self) {
        std::fs::remove_file(&self.0).unwrap();
    }

    /// A line of sh that ends when the gate opens.
    pub(crate) fn wait(&self) -> String {
        format!("while [ -e {} ]; do sleep 0.02; done", self.0.display())
    }
}

/// Whether it runs; one that has ended and that nobody has waited for does not.
pub(crate) fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|it| !it.contains(") Z "))
}

/// Runs commands on one host, each in a task of its own, and returns what came of them.
async fn outcome(
    server: &Server,
    param: Value,
) -> (protocol::api::task::Task, protocol::api::task::HostDetail) {
    let root = server.create(ClientDevOps, param).await;
    server.ended(&root).await;
    server.leaf(&root).await
}

#[tokio::test]
async fn a_command_answers_with_its_exit_code_and_output() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;

    let (task, detail) = outcome(
        &server,
        json!({"command": "echo hello; echo oops >&2", "uuids": agent.uuid}),
    )
    .await;
    assert_eq!(
        (task.task_status_text.as_str(), task.progress.as_str()),
        ("SUCCESS", "100%")
    );
    assert_eq!((detail.exit_code, detail.signal), (Some(0), None));
    assert_eq!(detail.stdout.as_deref(), Some("hello\n"));
    assert_eq!(detail.stderr.as_deref(), Some("oops\n"));

    let (task, detail) = outcome(&server, json!({"command": "exit 3"})).await;
    assert_eq!((task.task_status, task.fail_count), (3, 1));
    assert_eq!(
        (detail.reason.as_str(), detail.exit_code),
        ("exit_code", Some(3))
    );

    let (_, detail) = outcome(&server, json!({"command": "kill -9 $$"})).await;
    assert_eq!((detail.reason.as_str(), detail.signal), ("signal", Some(9)));

    // With args there is no shell: nothing of it is expanded.
    let param =
        json!({"command": "printf", "args": ["%s|%s", "a b", "$HOME;id"], "env": {"X": "1"}});
    let (_, detail) = outcome(&server, param).await;
    assert_eq!(detail.stdout.as_deref(), Some("a b|$HOME;id"));

    let param = json!({"command": "printf %s \"$GREETING\"", "env": {"GREETING": "grüß dich"}});
    let (_, detail) = outcome(&server, param).await;
    assert_eq!(detail.stdout.as_deref(), Some("grüß dich"));

    let (_, detail) = outcome(&server, json!({"command": "id", "runAs": "nobody-here"})).await;
    assert_eq!(
        (detail.status.as_str(), detail.reason.as_str()),
        ("FAIL", "no_such_user")
    );
    assert!(detail.message.contains("nobody-here"), "{}", detail.message);

    if rustix::process::geteuid().is_root() {
        let (_, detail) = outcome(
            &server,
            json!({"command": "id -un; echo $HOME", "runAs": "nobody"}),
        )
        .await;
        assert!(detail.stdout.unwrap().starts_with("nobody\n"));
    }

    let (_, detail) = outcome(&server, json!({"command": "/no/such/program", "args": []})).await;
    assert_eq!(
        (detail.status.as_str(), detail.reason.as_str()),
        ("FAIL", "no_such_program")
    );
    assert!(
        detail.message.contains("/no/such/program"),
        "{}",
        detail.message
    );
}

#[tokio::test]
async fn a_long_output_is_cut_in_the_middle_and_its_ends_are_kept() {
    let server = Server::start(&[]).await;
    let _agent = Agent::online(&server).await;
    let (_, detail) = outcome(
        &server,
        json!({"command": "echo first; seq 1 100000; echo last"}),
    )
    .await;
    let stdout = detail.stdout.unwrap();
    assert!(stdout.starts_with("first\n1\n2\n"), "the head is kept");
    assert!(stdout.ends_with("100000\nlast\n"), "the tail is kept");
    assert!(
        stdout.len() < 2 * model::limits::OUTPUT_BYTES_MAX,
        "{} bytes",
        stdout.len()
    );
}

#[tokio::test]
async fn a_cancelled_or_overdue_command_is_killed_with_its_whole_tree() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    for (name, timeout, status, reason) in [
        ("cancelled", 600, "FAIL", "cancelled"),
        ("overdue", 1, "TIMEOUT", "deadline"),
    ] {
        let pids = agent.folder().join(name);
        // Three generations, the younger ones in a session of their own.
        let command = format!(
            "echo $$ >>{0}; setsid sh -c 'echo $$ >>{0}; sleep 600 & echo $! >>{0}; wait' & sleep 600",
            pids.display()
        );
        let root = server
            .create(
                ClientDevOps,
                json!({"command": command, "timeoutSeconds": timeout}),
            )
            .await;
        let pids = until("the tree of processes stands", async || {
            let text = std::fs::read_to_string(&pids).unwrap_or_default();
            let pids: Vec<String> = text.lines().map(str::to_owned).collect();
            (pids.len() == 3).then_some(pids)
        })
        .await;
        if name == "cancelled" {
            server
                .client()
                .cancel_task(root.parse().unwrap())
                .await
                .unwrap();
        }
        server.ended(&root).await;
        let (_, detail) = server.leaf(&root).await;
        assert_eq!(
            (detail.status.as_str(), detail.reason.as_str()),
            (status, reason)
        );
        until("no process of it is left", async || {
            (!pids.iter().any(|it| runs(it))).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_hosts_owner_decides_what_may_be_asked_of_it() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::enrol(&server).await;
    for (policy, param, rule) in [
        (
            "commands = false",
            json!({"command": "id"}),
            "line 1: commands",
        ),
        (
            "allowed_users = [\"nobody\"]",
            json!({"command": "id"}),
            "line 1: allowed_users",
        ),
        (
            "allowed_task_types = [\"CLIENT_PROBLEM_CHECK\"]",
            json!({"command": "id"}),
            "line 1: allowed_task_types",
        ),
    ] {
        agent.set_policy(policy);
        agent.start();
        agent.until_online(&server).await;
        let (_, detail) = outcome(&server, param).await;
        assert_eq!(
            (detail.status.as_str(), detail.reason.as_str()),
            ("FAIL", "refused"),
            "{policy}"
        );
        assert!(detail.message.contains(rule), "{}", detail.message);
        assert_eq!(detail.stdout, None, "nothing ran");
        agent.terminate().await;
    }
    agent.set_policy("command_seconds_max = 1");
    agent.start();
    agent.until_online(&server).await;
    let (_, detail) = outcome(&server, json!({"command": "echo begun; sleep 600"})).await;
    assert_eq!(
        (detail.status.as_str(), detail.reason.as_str()),
        ("TIMEOUT", "limit_exceeded")
    );
    assert_eq!(
        detail.stdout.as_deref(),
        Some("begun\n"),
        "what it said until then is kept"
    );
    agent.terminate().await;

    agent.set_policy("comands = false");
    agent.start();
    let status = agent.program().ended().await;
    assert_eq!(
        status.code(),
        Some(2),
        "a policy with a fault starts no agent"
    );
    let log = agent.program().log();
    assert!(log.contains("line 1") && log.contains("comands"), "{log}");
}

#[tokio::test]
async fn a_host_does_what_several_tasks_ask_at_once() {
    let server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let gate = Gate::new(agent.folder(), "gate");
    let mut roots = Vec::new();
    for number in 0..6 {
        roots.push(
            server
                .create(
                    ClientDevOps,
                    json!({"command": format!("{}; echo {number}", gate.wait())}),
                )
                .await,
        );
    }
    let client = server.client();
    let unfinished = until("all are ordered", async || {
        let list = client
            .unfinished_tasks(ClientDevOps, &agent.uuid)
            .await
            .unwrap();
        list.once_tasks
            .iter()
            .all(|it| it.status_text == "DISPATCH")
            .then_some(list.once_tasks)
    })
    .await;
    assert_eq!(unfinished.len(), roots.len());
    gate.open();
    for (number, root) in roots.iter().enumerate() {
        assert_eq!(server.ended(root).await.success_count, 1);
        assert_eq!(
            server.leaf(root).await.1.stdout,
            Some(format!("{number}\n"))
        );
    }
    assert!(
        client
            .unfinished_tasks(ClientDevOps, &agent.uuid)
            .await
            .unwrap()
            .once_tasks
            .is_empty()
    );
}
