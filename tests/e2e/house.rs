//! A server at work, whose storage is about to fail: what has to be true meanwhile, and afterwards.

use client::{Error, NewTask};
use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Server, until};

use crate::ops::Gate;

/// A server, a host, and a command on it that waits for the gate.
pub(crate) struct House {
    pub(crate) server: Server,
    agent: Agent,
    pub(crate) gate: Gate,
    /// Every task whose creation was answered.
    created: Vec<String>,
}

impl House {
    pub(crate) async fn new(server: Server) -> Self {
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
    pub(crate) async fn ask(&mut self) -> Result<(), Error> {
        let new = NewTask {
            task_type: ClientDevOps,
            param: json!({"command": "echo more"}).to_string(),
            source: None,
        };
        let created = self.server.client().create_task(&new).await?;
        self.created.push(created.task_id);
        Ok(())
    }

    /// New work is refused, with this code.
    pub(crate) async fn is_refused(&mut self, code: &str) {
        let refused = self.ask().await.expect_err("nothing can be stored");
        let refusal = refused.refusal().expect("the server's own words");
        assert_eq!(refusal.code, code, "{refusal}");
    }

    /// Asks until new work is refused, with this code.
    pub(crate) async fn until_refused(&mut self, code: &str) {
        let refused = until("there is no more room", async || self.ask().await.err()).await;
        let refusal = refused.refusal().expect("the server's own words");
        assert_eq!(refusal.code, code, "{refusal}");
    }

    /// Lets the command end, whose result the server cannot store.
    pub(crate) async fn result_waits(&self) {
        self.gate.open();
        until("the agent has the result on its disk", async || {
            let said = self.agent.status().await;
            (said["resultsUnconfirmed"] == 1).then_some(())
        })
        .await;
    }

    /// What is there can still be read, and shows no result that could be lost.
    pub(crate) async fn shows_what_it_has(&self) {
        let task = self.server.task(&self.created[0]).await;
        assert_eq!(task.unfinished_count, 1, "{task:?}");
    }

    /// All is as if nothing had been.
    pub(crate) async fn went_on(&mut self) {
        until("work goes on", async || self.ask().await.ok()).await;
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
