//! A disk that is full: new work is refused, what was acknowledged stays.

use std::path::Path;
use std::process::Command;

use client::{Error, NewTask};
use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Program, Server, Volume, until};

/// A way to leave a program no room, and to give it back.
enum Disk {
    /// A small file system of its own.
    Mounted(Volume),
    /// A limit on the size of the program's files, where nothing may be mounted.
    Limited,
}

impl Disk {
    fn new(path: &Path) -> Self {
        let instead = "the size of the server's files is limited instead";
        Volume::in_memory(path, instead).map_or(Self::Limited, Self::Mounted)
    }

    fn fill(&self, program: &Program) {
        match self {
            Self::Mounted(volume) => volume.fill(),
            Self::Limited => limit(program, "4096"),
        }
    }

    fn free(&self, program: &Program) {
        match self {
            Self::Mounted(volume) => volume.free(),
            Self::Limited => limit(program, "unlimited"),
        }
    }
}

fn limit(program: &Program, bytes: &str) {
    let pid = program.pid().to_string();
    let said = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")])
        .status()
        .unwrap();
    assert!(said.success(), "prlimit");
}

#[tokio::test]
async fn a_full_disk_stops_new_work_and_takes_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let disk = Disk::new(&path);
    let mut server = Server::start_in(
        folder,
        path.join("server"),
        &["--tasks-running-max", "100000"],
    )
    .await;
    // Goes away before the folder that it lies in.
    let disk = disk;
    let agent = Agent::online(&server).await;
    let first = server
        .create(ClientDevOps, json!({"command": "echo first"}))
        .await;
    assert_eq!(server.ended(&first).await.success_count, 1);

    disk.fill(server.program());
    // What is left of the last blocks is used up by tasks for a host that is not there: large ones, to come to the end soon.
    let command = format!(": {}; echo later", "x".repeat(60_000));
    let new = NewTask {
        task_type: ClientDevOps,
        param: json!({"command": command, "uuids": agent.uuid}).to_string(),
        source: Some("test".to_owned()),
    };
    let client = server.client();
    let mut acknowledged = vec![first];
    let refused = until("there is no more room", async || {
        match client.create_task(&new).await {
            Ok(created) => {
                acknowledged.push(created.task_id);
                None
            }
            Err(error) => Some(error),
        }
    })
    .await;
    let refusal = refused
        .refusal()
        .unwrap_or_else(|| panic!("a plain refusal: {refused:?}"));
    match &disk {
        Disk::Mounted(_) => assert_eq!(refusal.code, "StorageFull", "{refusal}"),
        Disk::Limited => assert!(
            matches!(refused, Error::Server(_) | Error::Throttled { .. }),
            "{refusal}"
        ),
    }
    // What is there can still be read.
    for root in &acknowledged {
        assert_eq!(&server.task(root).await.task_id, root);
    }

    disk.free(server.program());
    server.kill9().await;
    server.restart().await;
    agent.until_online(&server).await;
    for root in &acknowledged {
        let ended = server.ended(root).await;
        assert_eq!((ended.success_count, ended.total_count), (1, 1), "{root}");
    }
    let listed = server.tasks(ClientDevOps).await;
    assert_eq!(
        listed.len(),
        acknowledged.len(),
        "what was refused left nothing behind"
    );
    let next = server
        .create(ClientDevOps, json!({"command": "echo next"}))
        .await;
    assert_eq!(
        server.ended(&next).await.success_count,
        1,
        "and work goes on"
    );
}

#[tokio::test]
async fn a_host_with_a_full_disk_runs_nothing_and_says_so() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::enrol(&server).await;
    let disk = Disk::new(&agent.folder().join("disk"));
    let Disk::Mounted(volume) = &disk else {
        // Said aloud above; a limit on file sizes would end the agent.
        return;
    };
    let path = volume.path();
    for file in ["identity.json", "key.p8"] {
        std::fs::copy(agent.data().join(file), path.join(file)).unwrap();
    }
    std::fs::remove_dir_all(agent.data()).unwrap();
    std::os::unix::fs::symlink(path, agent.data()).unwrap();
    agent.start();
    agent.until_online(&server).await;
    disk.fill(agent.program());
    let file = server.folder().join("marks");
    let param = json!({"command": format!("echo x >>{}", file.display())});
    let root = server.create(ClientDevOps, param.clone()).await;
    assert_eq!(server.ended(&root).await.fail_count, 1);
    let (_, detail) = server.leaf(&root).await;
    assert_eq!(detail.reason, "not_started", "{detail:?}");
    assert!(!file.exists(), "what cannot be journalled is not run");
    disk.free(agent.program());
    let root = server.create(ClientDevOps, param).await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x\n");
}
