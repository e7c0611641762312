//! The doors that agents and strangers see.

use std::collections::HashSet;
use std::net::TcpListener;

use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Said, Server, until};

/// Asserts that a program gave up with this code and said why in one line with this word.
fn gave_up(said: &Said, code: i32, word: &str) {
    assert_eq!(said.code, code, "{said:?}");
    assert_eq!(said.err.trim().lines().count(), 1, "one line: {said:?}");
    assert!(said.err.to_lowercase().contains(word), "`{word}`: {said:?}");
    assert!(said.out.is_empty(), "{said:?}");
}

#[tokio::test]
async fn an_agent_that_is_not_let_in_says_why_in_one_line() {
    let server = Server::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let enrol = async |url: &str, code: &str, pin: Option<&str>| {
        Agent::try_enrol(url, code, pin, folder.path()).await
    };
    gave_up(
        &enrol(&server.url, "nope", None).await,
        4,
        "install code is not known",
    );
    let code = server.install_code().await;
    server.client().delete_install_code(&code).await.unwrap();
    gave_up(&enrol(&server.url, &code, None).await, 4, "install code");
    assert!(
        server
            .client()
            .hosts(&client::HostQuery::default(), 100)
            .take(9)
            .await
            .unwrap()
            .is_empty()
    );

    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    gave_up(&enrol(&dead, "code", None).await, 6, "127.0.0.1");
    gave_up(
        &enrol("https://no-such-host.invalid:8443", "code", None).await,
        6,
        "no-such-host.invalid",
    );
    assert_eq!(
        enrol("http://192.0.2.1", "code", None).await.code,
        2,
        "plain HTTP never leaves the machine"
    );

    let agent = Agent::enrol(&server).await;
    let code = server.install_code().await;
    gave_up(
        &Agent::try_enrol(&server.url, &code, None, agent.folder()).await,
        1,
        "already enrolled",
    );
}

#[tokio::test]
async fn an_install_code_lets_in_as_many_as_it_says() {
    let server = Server::start(&[]).await;
    let made = server
        .request("AddInstallCode", &[("MaxUses", "2")])
        .send()
        .await
        .json();
    let code = made["CaptchaCode"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (host, code_of_exit) in [("a", 0), ("b", 0), ("c", 4)] {
        let said = Agent::try_enrol(&server.url, code, None, &folder.path().join(host)).await;
        assert_eq!(said.code, code_of_exit, "{host}: {said:?}");
    }
}

#[tokio::test]
async fn a_server_with_its_own_certificate_is_known_by_its_fingerprint() {
    let server = Server::start(&["--tls"]).await;
    assert!(server.url.starts_with("https://"));
    let code = server.install_code().await;
    let folder = tempfile::tempdir().unwrap();
    let wrong = "0".repeat(64);
    gave_up(
        &Agent::try_enrol(&server.url, &code, Some(&wrong), folder.path()).await,
        4,
        "certificate",
    );
    let said = Agent::try_enrol(&server.url, &code, None, folder.path()).await;
    assert!(
        matches!(said.code, 4 | 6),
        "a certificate that nobody vouches for is not trusted: {said:?}"
    );

    let agent = Agent::online(&server).await;
    let root = server
        .create(
            ClientDevOps,
            json!({"command": "echo over TLS", "uuids": agent.uuid}),
        )
        .await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    assert_eq!(
        server.leaf(&root).await.1.stdout.as_deref(),
        Some("over TLS\n")
    );
    let said = server.sickbay(&["host", "list", "-o", "name"]).await;
    assert_eq!(
        (said.code, said.out.trim()),
        (0, agent.uuid.as_str()),
        "{said:?}"
    );
}

/// Waits until the agent's log holds this word.
async fn says(agent: &mut Agent, word: &str) {
    until(&format!("the agent says `{word}`"), async || {
        agent.program().log().contains(word).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_removed_host_is_refused_and_its_agent_says_so() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::online(&server).await;
    server.client().remove_host(&agent.uuid).await.unwrap();
    says(&mut agent, "enrol it again").await;
    let status = agent.status().await;
    assert_eq!(status["isOnline"], false, "{status}");
    assert!(server.client().host(&agent.uuid).await.is_err());
    let uuids = std::slice::from_ref(&agent.uuid);
    let installed = server.client().install_status(uuids).await.unwrap();
    let rows = installed.aegis_client_invoke_status_response_list;
    assert_eq!(rows[0].result, -1);
    let param = json!({"command": "id", "uuids": agent.uuid}).to_string();
    let ops = "CLIENT_DEV_OPS";
    let params = [
        ("TaskType", ops),
        ("TaskName", ops),
        ("Param", param.as_str()),
    ];
    let reply = server.request("GenerateOnceTask", &params).send().await;
    crate::refusals::refused(&reply, 400, "IllegalParam");
}

#[tokio::test]
async fn a_cloned_identity_is_noticed() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::online(&server).await;
    let clone = agent.folder().join("clone");
    std::fs::create_dir(&clone).unwrap();
    for file in ["identity.json", "key.p8"] {
        std::fs::copy(agent.data().join(file), clone.join(file)).unwrap();
    }
    let mut command = tokio::process::Command::new(tests::binary("sickbay-agent"));
    command.args(["run", "--data"]).arg(&clone);
    let log = agent.folder().join("clone.log");
    let _clone = tests::Program::start::<&str>(&mut command, &log, false, []);
    says(&mut agent, "was this host cloned?").await;
}

/// Local addresses of the sockets on which a process listens.
fn listens(pid: u32) -> HashSet<String> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = links.filter_map(|it| std::fs::read_link(it.unwrap().path()).ok());
    let sockets: HashSet<String> = links
        .filter_map(|it| {
            Some(
                it.to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    let mut found = HashSet::new();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // proc(5): local address, state (0A: listening), inode.
            if fields[3] == "0A" && sockets.contains(fields[9]) {
                found.insert(fields[1].to_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn nothing_listens_beyond_loopback_and_agents_do_not_listen_at_all() {
    let mut server = Server::start(&[]).await;
    let mut agent = Agent::online(&server).await;
    let sockets = listens(server.program().pid());
    assert_eq!(sockets.len(), 1, "{sockets:?}");
    assert!(
        sockets.iter().all(|it| it.starts_with("0100007F:")),
        "{sockets:?}"
    );
    assert_eq!(listens(agent.program().pid()), HashSet::new());
}

#[tokio::test]
async fn what_is_no_agent_is_sent_away() {
    let server = Server::start(&[]).await;
    let host = server.authority();
    let reply = tests::Reply::to(host, "GET", "/agent", &[("host", host)], b"").await;
    assert_eq!(reply.status, 426);
    let reply = tests::Reply::to(host, "GET", "/healthz", &[("host", host)], b"").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok\n"));
    let reply = tests::Reply::to(host, "GET", "/readyz", &[("host", host)], b"").await;
    assert_eq!(reply.status, 200);
    // A second server on the same data directory does not start.
    let data = server.folder().join("server");
    let mut command = tokio::process::Command::new(tests::binary("sickbay"));
    command
        .args(["server", "--listen", "127.0.0.1:0", "--data"])
        .arg(data);
    let said = tests::run(&mut command).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("in use by another node"), "{said:?}");
    let agent = Agent::online(&server).await;
    let mut command = tokio::process::Command::new(tests::binary("sickbay-agent"));
    command.args(["run", "--data"]).arg(agent.data());
    gave_up(&tests::run(&mut command).await, 1, "another agent runs");
    let mut command = tokio::process::Command::new(tests::binary("sickbay-agent"));
    command.args(["status", "--data"]).arg(agent.data());
    let said = until("the agent's status says online", async || {
        let said = tests::run(&mut command).await;
        said.out.contains("online").then_some(said)
    })
    .await;
    assert!(said.code == 0 && said.out.contains(&agent.uuid), "{said:?}");
}

#[tokio::test]
async fn garbage_at_the_agents_door_harms_nobody() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start(&[]).await;
    let upgrade = format!(
        "GET /agent HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.authority()
    );
    // Not a frame; a text frame; a frame that claims 2^62 bytes; a masked binary frame that holds no greeting.
    for garbage in [
        &b"\xff\xff\xff\xff\xff\xff"[..],
        b"\x81\x85\0\0\0\0hello",
        b"\x82\xff\x40\0\0\0\0\0\0\0\0\0\0\0",
        b"\x82\x84\0\0\0\0\xff\xff\xff\xff",
    ] {
        let mut stream = tokio::net::TcpStream::connect(server.authority())
            .await
            .unwrap();
        stream.write_all(upgrade.as_bytes()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(tests::PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the server hangs up on {garbage:?}");
        assert!(
            answer.starts_with(b"HTTP/1.1 101 "),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    Agent::online(&server).await;
}

#[tokio::test]
async fn a_damaged_database_is_not_served() {
    let mut server = Server::start(&[]).await;
    let _agent = Agent::enrol(&server).await;
    server.terminate().await;
    let mut damaged = 0;
    for entry in std::fs::read_dir(server.data()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|it| it == "db" || it == "sqlite" || it == "sqlite3")
        {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[..4096].fill(b'?');
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1, "the database was found");
    let mut command = tokio::process::Command::new(tests::binary("sickbay"));
    command
        .args(["server", "--listen", "127.0.0.1:0", "--data"])
        .arg(server.data());
    let said = tests::run(&mut command).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("store"), "{said:?}");
}

#[tokio::test]
async fn hosts_are_sent_to_the_public_address() {
    let server = Server::start(&["--public-url", "https://sickbay.example:8443"]).await;
    let agent = Agent::online(&server).await;
    let offline = Agent::enrol(&server).await;
    let root = server
        .create(
            model::TaskType::ClientProblemCheck,
            json!({"problemType": "other"}),
        )
        .await;
    server
        .until_task(&root, "one answers, one waits", |it| {
            it.success_count == 1 && it.detail_data.contains("1003")
        })
        .await;
    for (_, detail) in server.leaves(&root).await {
        if detail.uuid == offline.uuid {
            assert!(
                detail.res_msg[0].contains("='https://sickbay.example:8443/checker/"),
                "{}",
                detail.res_msg[0]
            );
        } else {
            assert_eq!(detail.uuid, agent.uuid);
            assert!(
                detail
                    .url
                    .starts_with("https://sickbay.example:8443/bundle/"),
                "{}",
                detail.url
            );
        }
    }
}
