//! Commands that mean harm, or are simply wrong: host and agent survive, and the leaf tells the truth.
//! That none is ever started twice is in `chaos` and `crash`; a full disk is in `disk`.

use model::TaskType::ClientDevOps;
use protocol::api::task::{HostDetail, Task};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{Agent, Server};

struct House {
    server: Server,
    agent: Agent,
}

impl House {
    async fn new() -> Self {
        let server = Server::start(&[]).await;
        let agent = Agent::online(&server).await;
        Self { server, agent }
    }

    async fn run(&self, param: Value) -> (Task, HostDetail) {
        let root = self.server.create(ClientDevOps, param).await;
        self.server.ended(&root).await;
        self.server.leaf(&root).await
    }

    /// The agent still works.
    async fn is_well(&self) {
        let (_, detail) = self.run(json!({"command": "echo well"})).await;
        assert_eq!(detail.stdout.as_deref(), Some("well\n"));
    }
}

#[tokio::test]
async fn an_output_of_a_gibibyte_is_counted_and_its_digest_taken() {
    let house = House::new().await;
    let (_, detail) = house
        .run(json!({"command": "head -c 1073741824 /dev/zero"}))
        .await;
    let whole = detail.stdout_whole.unwrap();
    assert_eq!(detail.status, "SUCCESS");
    assert_eq!(
        (whole.bytes, whole.cut, whole.escaped),
        (1 << 30, true, true)
    );
    assert_eq!(
        whole.sha256,
        "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14"
    );
    let text = detail.stdout.unwrap();
    assert!(text.starts_with(r"\x00\x00") && text.contains("bytes left out"));

    let (_, detail) = house
        .run(json!({"command": "yes", "limits": {"outputBytes": 1_000_000}}))
        .await;
    assert_eq!(detail.reason, "limit_exceeded");
    assert!(detail.limits[0].reached && detail.stdout_whole.unwrap().bytes > 1_000_000);
    house.is_well().await;
}

#[tokio::test]
async fn nothing_and_what_is_no_text_are_told_as_they_are() {
    let house = House::new().await;
    let (_, detail) = house.run(json!({"command": "true"})).await;
    let whole = detail.stdout_whole.unwrap();
    assert_eq!((whole.bytes, whole.escaped), (0, false));
    assert!(whole.sha256.starts_with("e3b0c44298fc1c14"));
    let (_, detail) = house
        .run(json!({"command": r"printf '\377\033[31m\\'"}))
        .await;
    assert_eq!(detail.stdout.as_deref(), Some(r"\xff\x1b[31m\\"));
    assert!(detail.stdout_whole.unwrap().escaped);
}

#[tokio::test]
async fn a_fork_bomb_gets_no_more_than_its_limit() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let house = House::new().await;
    let bomb = "b() { b | b & }; b; sleep 0.2; b; exit 9";
    let (_, detail) = house
        .run(json!({"command": bomb, "runAs": "games", "limits": {"pids": 40}, "leafTimeoutSeconds": 30}))
        .await;
    assert!(
        ["FAIL", "TIMEOUT"].contains(&detail.status.as_str()),
        "{detail:?}"
    );
    assert_eq!(detail.limits[0].name, "pids");
    let games = std::fs::read_to_string("/etc/passwd").unwrap();
    let games = games.lines().find_map(|it| it.strip_prefix("games:x:"));
    let uid = games.unwrap().split(':').next().unwrap();
    tests::until("all of it is gone", async || {
        let left = std::process::Command::new("pgrep")
            .args(["-U", uid])
            .output()
            .unwrap();
        left.stdout.is_empty().then_some(())
    })
    .await;
    house.is_well().await;
}

#[tokio::test]
async fn a_daemon_stays_and_is_mentioned_where_its_group_shows_it() {
    let house = House::new().await;
    let pid = house.agent.folder().join("daemon");
    let command = format!(
        "setsid -f sh -c 'echo $$ >{0}; exec sleep 600' </dev/null >/dev/null 2>&1; \
         until [ -s {0} ]; do sleep 0.01; done",
        pid.display()
    );
    let (_, detail) = house.run(json!({"command": command})).await;
    assert_eq!(
        (detail.status.as_str(), detail.exit_code),
        ("SUCCESS", Some(0))
    );
    let pid = std::fs::read_to_string(pid).unwrap();
    let daemon = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    let cgroup = std::fs::read_to_string(format!("/proc/{}/cgroup", pid.trim())).unwrap();
    let is_held = cgroup
        .lines()
        .any(|it| it.starts_with("0::") && it.contains("sickbay-agent"));
    assert_eq!(
        detail.message.contains("1 of its processes run on"),
        is_held,
        "{cgroup}{}",
        detail.message
    );
    kill_process(daemon, Signal::KILL).expect("it was left alone");
    house.is_well().await;
}

#[tokio::test]
async fn one_that_hides_from_its_end_is_found() {
    let house = House::new().await;
    let pid = house.agent.folder().join("hidden");
    // A daemon's way out: a session of its own and no parent; it does not listen to requests either.
    let command = format!(
        "trap '' TERM; (setsid -f sh -c 'trap \"\" TERM; echo $$ >{0}; while :; do sleep 1; done'); \
         while :; do sleep 1; done",
        pid.display()
    );
    let (_, detail) = house
        .run(json!({"command": command, "leafTimeoutSeconds": 2}))
        .await;
    assert_eq!(
        (detail.status.as_str(), detail.reason.as_str()),
        ("TIMEOUT", "deadline")
    );
    assert_eq!(detail.signal, Some(9));
    let pid = std::fs::read_to_string(pid).unwrap();
    let held = crate::ops::runs(pid.trim()).then(|| {
        let hidden = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        let cgroup = std::fs::read_to_string(format!("/proc/{}/cgroup", pid.trim()));
        // Without a control group nothing holds it.
        kill_process(hidden, Signal::KILL).ok();
        cgroup.unwrap_or_default().contains("sickbay-agent")
    });
    assert_ne!(held, Some(true), "it ran on in its group");
    house.is_well().await;
}

#[tokio::test]
async fn a_command_that_fills_a_disk_says_so_and_leaves_the_agent_alone() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let house = House::new().await;
    // The agent's own files are on another disk here; `disk` has the other case.
    let fill = "mount -t tmpfs -o size=64k none /mnt && cat /dev/zero >/mnt/full";
    let param = json!({"command": "unshare", "args": ["-m", "sh", "-c", fill]});
    let (_, detail) = house.run(param).await;
    assert_eq!(
        (detail.reason.as_str(), detail.exit_code),
        ("exit_code", Some(1))
    );
    let said = detail.stderr.unwrap();
    assert!(said.contains("No space left on device"), "{said}");
    house.is_well().await;
}

#[tokio::test]
async fn a_script_runs_as_its_user_where_it_was_told_to() {
    let house = House::new().await;
    let mut param = json!({
        "script": "#!/bin/sh\npwd; cat; echo \"$1 $A\"; ls \"$0\" >/dev/null && exit 5",
        "args": ["x"], "cwd": "/usr", "stdin": "secret\n", "env": {"A": "b"},
        "limits": {"memoryBytes": 268_435_456_u64},
    });
    if rustix::process::geteuid().is_root() {
        param["runAs"] = json!("nobody");
    }
    let (_, detail) = house.run(param).await;
    assert_eq!(
        detail.stdout.as_deref(),
        Some("/usr\nsecret\nx b\n"),
        "{detail:?}"
    );
    assert_eq!(detail.exit_code, Some(5));
    assert_eq!(detail.limits[0].name, "memoryBytes");
    for (param, reason) in [
        (
            json!({"command": "pwd", "cwd": "/no/such"}),
            "no_such_directory",
        ),
        (json!({"script": "#!/no/such\n"}), "no_such_program"),
        (
            json!({"command": "/etc/passwd", "args": []}),
            "not_executable",
        ),
    ] {
        let (task, detail) = house.run(param).await;
        assert_eq!((task.fail_count, detail.reason.as_str()), (1, reason));
        assert_eq!(detail.exit_code, None);
    }
}
