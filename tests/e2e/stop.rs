//! An orderly stop loses nothing, and is no event for anybody else.

use model::TaskType::ClientDevOps;
use protocol::sign::{Outgoing, canonical, sign_v3};
use rustix::process::Signal;
use serde_json::json;
use tests::{Agent, Program, ROOT_ID, ROOT_SECRET, Server, binary, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ops::Gate;

#[tokio::test]
async fn a_stopped_server_ends_what_it_was_asked_and_comes_back_to_its_hosts() {
    let mut server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let gate = Gate::new(server.folder(), "gate");
    let root = server
        .create(
            ClientDevOps,
            json!({"command": format!("{}; echo over", gate.wait())}),
        )
        .await;
    server
        .until_task(&root, "the command runs", |it| {
            it.task_status_text == "DISPATCH"
        })
        .await;

    // A request whose body has not come yet: the server has read its head, and says so.
    let body = canonical::query([("TaskType", "CLIENT_DEV_OPS")]);
    let signed = sign_v3(
        &Outgoing {
            method: "POST",
            host: server.authority(),
            action: "DescribeOnceTask",
            version: "2018-12-03",
            params: &[],
            access_key_id: ROOT_ID,
            secret: ROOT_SECRET,
            security_token: None,
            date_ms: tests::now_ms(),
            nonce: &tests::unique(),
        },
        body.as_bytes(),
    );
    let mut head = format!(
        "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in &signed.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(server.authority()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.program().signal(Signal::TERM);
    until("no new connection is taken", async || {
        TcpStream::connect(server.authority()).await.err()
    })
    .await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains(&root), "{answer}");
    let status = server.program().ended().await;
    assert_eq!(status.code(), Some(0), "{}", server.program().log());
    gate.open();

    server.restart().await;
    agent.until_online(&server).await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    assert_eq!(server.leaf(&root).await.1.stdout.as_deref(), Some("over\n"));
}

#[tokio::test]
async fn a_stopped_agent_kills_its_work_and_says_so() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::online(&server).await;
    let gate = Gate::new(server.folder(), "gate");
    let file = server.folder().join("pid");
    let root = server
        .create(
            ClientDevOps,
            json!({"command": format!("echo $$ >{}; {}", file.display(), gate.wait())}),
        )
        .await;
    let pid = until("the command runs", async || {
        std::fs::read_to_string(&file)
            .ok()
            .filter(|it| it.ends_with('\n'))
    })
    .await;
    assert_eq!(agent.terminate().await.code(), Some(0));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    assert!(stat.is_err(), "no process of it is left: {stat:?}");
    agent.until_offline(&server).await;
    agent.start();
    let ended = server.ended(&root).await;
    assert_eq!(ended.fail_count, 1);
    assert_eq!(server.leaf(&root).await.1.reason, "agent_restarted");
}

#[tokio::test]
async fn a_server_without_work_stops_at_once() {
    let mut server = Server::start(&[]).await;
    let mut agent = Agent::online(&server).await;
    assert_eq!(server.terminate().await.code(), Some(0));
    server.restart().await;
    agent.until_online(&server).await;
    assert_eq!(agent.terminate().await.code(), Some(0));
    agent.until_offline(&server).await;
}

#[tokio::test]
async fn who_waits_for_a_task_sees_its_end_although_the_server_died_meanwhile() {
    let mut server = Server::start(&[]).await;
    let agent = Agent::online(&server).await;
    let gate = Gate::new(server.folder(), "gate");
    let root = server
        .create(ClientDevOps, json!({"command": gate.wait()}))
        .await;
    server
        .until_task(&root, "the command runs", |it| {
            it.task_status_text == "DISPATCH"
        })
        .await;
    let mut command = tokio::process::Command::new(binary("sickbay"));
    command
        .args(["task", "watch", &root, "-o", "jsonl"])
        .env("SICKBAY_ENDPOINT", &server.url)
        .env("SICKBAY_ACCESS_KEY_ID", ROOT_ID)
        .env("SICKBAY_ACCESS_KEY_SECRET", ROOT_SECRET);
    let log = server.folder().join("watch.log");
    let mut watching = Program::start::<&str>(&mut command, &log, false, []);
    until("it watches", async || {
        watching.log().contains(&root).then_some(())
    })
    .await;
    server.kill9().await;
    until("it looks again", async || {
        watching.log().contains("looking again").then_some(())
    })
    .await;
    server.restart().await;
    agent.until_online(&server).await;
    gate.open();
    assert_eq!(watching.ended().await.code(), Some(0), "{}", watching.log());
    let log = watching.log();
    assert!(
        log.lines()
            .last()
            .unwrap()
            .contains("\"TaskStatusText\":\"SUCCESS\""),
        "{log}"
    );
}

#[tokio::test]
async fn ctrl_c_ends_up_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(binary("sickbay"));
    command.env("TMPDIR", folder.path());
    let mut up = Program::start(&mut command, &home.path().join("up.log"), false, ["up"]);
    // It says how to use it from another terminal: done so.
    let told = until("it says how to use it", async || {
        let log = up.log();
        let lines = log.lines().map(str::trim);
        let exports: Vec<&str> = lines.filter(|it| it.starts_with("export ")).collect();
        log.contains("sickbay host list")
            .then(|| exports.join("; "))
    })
    .await;
    let list = format!("{told}; {} host list -o name", binary("sickbay").display());
    let hosts = tests::shell(&list, home.path()).await;
    assert_eq!((hosts.code, hosts.out.lines().count()), (0, 1), "{hosts:?}");
    up.signal(Signal::INT);
    assert_eq!(up.ended().await.code(), Some(0), "{}", up.log());
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
    until("its agent is gone too", async || {
        let found = std::fs::read_dir("/proc").unwrap().flatten().any(|it| {
            let line = std::fs::read(it.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(folder.path().to_str().unwrap())
        });
        (!found).then_some(())
    })
    .await;
}
