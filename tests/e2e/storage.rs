//! Storage that fails for a while: work is refused or delayed, nothing that was acknowledged is lost, and the server goes on by itself.

use client::{Error, NewTask};
use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Server, Sickness, until};

use crate::ops::Gate;

/// A server, a host, and a command on it that waits for the gate.
struct House {
    server: Server,
    agent: Agent,
    gate: Gate,
    /// Every task whose creation was answered.
    created: Vec<String>,
}

impl House {
    async fn new(server: Server) -> Self {
        let agent = Agent::online(&server).await;
        let gate = Gate::new(server.folder(), "gate");
        let param = json!({"command": format!("{}; echo kept", gate.wait())});
        let root = server.create(ClientDevOps, param).await;
        server
            .until_task(&root, "the host has the order", |it| {
                it.task_status_text == "DISPATCH"
            })
            .await;
        Self {
            server,
            agent,
            gate,
            created: vec![root],
        }
    }

    /// Asks for one more task.
    async fn ask(&mut self) -> Result<(), Error> {
        let new = NewTask {
            task_type: ClientDevOps,
            param: json!({"command": "echo more"}).to_string(),
            source: None,
        };
        let created = self.server.client().create_task(&new).await?;
        self.created.push(created.task_id);
        Ok(())
    }

    /// Lets the command end, whose result the server cannot store.
    async fn result_waits(&self) {
        self.gate.open();
        until("the agent has the result on its disk", async || {
            let said = self.agent.status().await;
            (said["resultsUnconfirmed"] == 1).then_some(())
        })
        .await;
        // What is there can still be read, and shows no result that could be lost.
        let task = self.server.task(&self.created[0]).await;
        assert_eq!(task.unfinished_count, 1, "{task:?}");
    }

    /// All is as if nothing had been.
    async fn went_on(&mut self) {
        self.ask().await.expect("work goes on");
        for root in &self.created {
            let ended = self.server.ended(root).await;
            assert_eq!((ended.success_count, ended.total_count), (1, 1), "{root}");
        }
        let first = self.server.leaf(&self.created[0]).await.1;
        assert_eq!(first.stdout.as_deref(), Some("kept\n"));
        let mut listed: Vec<_> = self.server.tasks(ClientDevOps).await;
        listed.reverse();
        let listed: Vec<_> = listed.into_iter().map(|it| it.task_id).collect();
        assert_eq!(listed, self.created, "what was refused left nothing behind");
        let said = self.server.sickbay(&["admin", "verify"]).await;
        assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    }
}

async fn fails_for_a_while(sickness: Sickness, code: &str) {
    let server = Server::start_on_faulty_disk(&[]).await;
    let mut house = House::new(server).await;
    house.server.disk().sicken(sickness);
    let refused = house.ask().await.expect_err("nothing can be stored");
    let refusal = refused.refusal();
    assert_eq!(
        refusal.map(|it| it.code.as_str()),
        Some(code),
        "{refused:?}"
    );
    house.result_waits().await;
    house.server.disk().heal();
    house.went_on().await;
}

#[tokio::test]
async fn a_full_disk_that_has_space_again_needs_no_restart() {
    fails_for_a_while(Sickness::Full, "StorageFull").await;
}

#[tokio::test]
async fn a_disk_that_is_read_only_for_a_while_loses_nothing() {
    fails_for_a_while(Sickness::ReadOnly, "ServiceUnavailable").await;
}

#[tokio::test]
async fn a_disk_with_errors_for_a_while_loses_nothing() {
    fails_for_a_while(Sickness::Broken, "ServiceUnavailable").await;
}

#[tokio::test]
async fn a_database_that_another_process_holds_refuses_work_until_it_is_free() {
    let server = Server::start(&[]).await;
    let mut house = House::new(server).await;
    let database = house.server.data().join("sickbay.db");
    let other = rusqlite::Connection::open(database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = house.ask().await.expect_err("nothing can be stored");
    let refusal = refused.refusal().expect("the server's own words");
    assert_eq!(refusal.code, "ServiceUnavailable", "{refusal}");
    house.result_waits().await;
    other.execute_batch("ROLLBACK").unwrap();
    house.went_on().await;
}

#[tokio::test]
async fn a_data_directory_that_is_away_for_a_moment_comes_back_with_everything() {
    let server = Server::start(&[]).await;
    let mut house = House::new(server).await;
    let (data, away) = (
        house.server.data().to_owned(),
        house.server.folder().join("away"),
    );
    std::fs::rename(&data, &away).unwrap();
    // Open files are still there: what is answered was stored in them.
    for _ in 0..3 {
        if let Err(error) = house.ask().await {
            let refusal = error.refusal().expect("the server's own words");
            assert_eq!(refusal.code, "ServiceUnavailable", "{refusal}");
        }
    }
    house.gate.open();
    std::fs::rename(&away, &data).unwrap();
    house.went_on().await;
}

#[tokio::test]
async fn a_server_on_a_read_only_directory_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(tests::binary("sickbay"));
    // Nobody can make a file there, whoever runs this.
    command.args(["server", "--listen", "127.0.0.1:0", "--data", "/proc/data"]);
    command.env("HOME", folder.path());
    let said = tests::run(&mut command).await;
    assert_ne!(said.code, 0, "{said:?}");
    assert!(said.err.contains("/proc/data"), "{said:?}");
}
