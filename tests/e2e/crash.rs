//! `kill -9` in the middle: nothing is lost, nothing runs twice, the counts add up.

use std::path::Path;

use model::TaskType::{ClientDevOps, ClientProblemCheck};
use protocol::api::task::Task;
use serde_json::json;
use tests::{Agent, Server, binary, run, until};
use tokio::process::Command;

use crate::check::{fetch, verify_bundle};
use crate::ops::Gate;

/// A command that leaves a line with its host's mark: the agent's process id.
fn marks(file: &Path) -> String {
    format!("echo $PPID >>{}", file.display())
}

/// The lines in a file of marks.
fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Asserts that each leaf of a root ended well, once, and that every count says so.
fn all_succeeded(task: &Task, hosts: u32, file: &Path) {
    let counts = (
        task.success_count,
        task.fail_count,
        task.timeout_count,
        task.unfinished_count,
        task.total_count,
    );
    assert_eq!(counts, (hosts, 0, 0, 0, hosts), "{task:?}");
    assert_eq!(task.progress, "100%");
    let mut marks = lines(file);
    assert_eq!(marks.len(), hosts as usize, "each leaf ran exactly once");
    marks.sort();
    marks.dedup();
    assert_eq!(marks.len(), hosts as usize, "on each host");
}

async fn hosts(server: &Server, count: usize) -> Vec<Agent> {
    let mut agents = Vec::new();
    for _ in 0..count {
        let mut agent = Agent::enrol(server).await;
        agent.start();
        agents.push(agent);
    }
    for agent in &agents {
        agent.until_online(server).await;
    }
    agents
}

#[tokio::test]
async fn commands_that_end_while_the_server_is_dead_are_reported_afterwards() {
    let mut server = Server::start(&[]).await;
    let _agents = hosts(&server, 3).await;
    let gate = Gate::new(server.folder(), "gate");
    let mut roots = Vec::new();
    for number in 0..3 {
        let file = server.folder().join(format!("marks-{number}"));
        let (mark, wait) = (marks(&file), gate.wait());
        let command = format!(
            "{mark}; {wait}; echo done >>{}-done; echo report {number}",
            file.display()
        );
        roots.push((
            server
                .create(ClientDevOps, json!({"command": command}))
                .await,
            file,
        ));
    }
    until("all commands run", async || {
        roots
            .iter()
            .all(|(_, file)| lines(file).len() == 3)
            .then_some(())
    })
    .await;

    server.kill9().await;
    gate.open();
    let done = |file: &Path| {
        lines(&file.with_extension("").with_file_name(format!(
            "{}-done",
            file.file_name().unwrap().to_string_lossy()
        )))
        .len()
    };
    until("all commands end", async || {
        roots.iter().all(|(_, file)| done(file) == 3).then_some(())
    })
    .await;

    server.restart().await;
    for (number, (root, file)) in roots.iter().enumerate() {
        all_succeeded(&server.ended(root).await, 3, file);
        for (_, detail) in server.leaves(root).await {
            assert_eq!(detail.stdout, Some(format!("report {number}\n")));
        }
    }
}

#[tokio::test]
async fn a_server_that_dies_again_and_again_while_results_arrive_loses_none() {
    let mut server = Server::start(&[]).await;
    let agents = hosts(&server, 4).await;
    let mut roots = Vec::new();
    for round in 0..3 {
        let mut last = String::new();
        for number in 0..3 {
            let file = server.folder().join(format!("marks-{round}-{number}"));
            last = server
                .create(ClientDevOps, json!({"command": marks(&file)}))
                .await;
            roots.push((last.clone(), file));
        }
        // Somewhere between the first result of the last task and its last.
        server
            .until_task(&last, "results arrive", |it| it.success_count > 0)
            .await;
        server.kill9().await;
        server.restart().await;
        for agent in &agents {
            agent.until_online(&server).await;
        }
    }
    for (root, file) in &roots {
        all_succeeded(&server.ended(root).await, 4, file);
    }
    let listed = server.tasks(ClientDevOps).await;
    let listed: Vec<&str> = listed.iter().map(|it| it.task_id.as_str()).collect();
    let created: Vec<&str> = roots.iter().rev().map(|(root, _)| root.as_str()).collect();
    assert_eq!(listed, created, "every task is there, newest first");
    let last = server.client().last_task(ClientDevOps).await.unwrap();
    assert_eq!(last.root_task_id.as_deref(), created.first().copied());
    assert_eq!((last.finish_count, last.total_count), (4, 4));
}

#[tokio::test]
async fn a_task_is_there_after_a_crash_as_soon_as_it_was_acknowledged() {
    let mut server = Server::start(&[]).await;
    let mut agent = Agent::enrol(&server).await;
    let file = server.folder().join("marks");
    let root = server
        .create(ClientDevOps, json!({"command": marks(&file)}))
        .await;
    server.kill9().await;
    server.restart().await;
    assert_eq!(server.task(&root).await.unfinished_count, 1);
    agent.start();
    all_succeeded(&server.ended(&root).await, 1, &file);
}

#[tokio::test]
async fn a_command_that_ran_when_its_agent_died_is_never_run_again() {
    let server = Server::start(&[]).await;
    let mut agent = Agent::online(&server).await;
    let gate = Gate::new(server.folder(), "gate");
    let file = server.folder().join("marks");
    let command = format!("{}; {}", marks(&file), gate.wait());
    let root = server
        .create(ClientDevOps, json!({"command": command}))
        .await;
    until("the command runs", async || {
        (lines(&file).len() == 1).then_some(())
    })
    .await;
    server
        .until_task(&root, "the host has the order", |it| {
            it.task_status_text == "DISPATCH"
        })
        .await;

    agent.kill9().await;
    agent.start();
    let ended = server.ended(&root).await;
    assert_eq!((ended.fail_count, ended.unfinished_count), (1, 0));
    let (_, detail) = server.leaf(&root).await;
    assert_eq!(detail.reason, "agent_restarted");
    assert!(
        detail.message.contains("not run again"),
        "{}",
        detail.message
    );

    // The host works on, and what it does next is all that it does.
    let next = server
        .create(ClientDevOps, json!({"command": "echo next"}))
        .await;
    assert_eq!(server.ended(&next).await.success_count, 1);
    assert_eq!(lines(&file).len(), 1, "it ran once");
}

#[tokio::test]
async fn an_agent_that_dies_with_a_result_in_hand_reports_it_later() {
    let mut server = Server::start(&[]).await;
    let mut agent = Agent::online(&server).await;
    let gate = Gate::new(server.folder(), "gate");
    let file = server.folder().join("marks");
    let command = format!("{}; {}; echo kept", marks(&file), gate.wait());
    let root = server
        .create(ClientDevOps, json!({"command": command}))
        .await;
    until("the command runs", async || {
        (lines(&file).len() == 1).then_some(())
    })
    .await;
    server.kill9().await;
    gate.open();
    until("the agent has the result on its disk", async || {
        let said = agent.status().await;
        (said["resultsUnconfirmed"] == 1).then_some(())
    })
    .await;
    agent.kill9().await;
    server.restart().await;
    agent.start();
    all_succeeded(&server.ended(&root).await, 1, &file);
    assert_eq!(server.leaf(&root).await.1.stdout.as_deref(), Some("kept\n"));
}

#[tokio::test]
async fn a_check_goes_on_through_the_death_of_its_server_and_keeps_its_bundle() {
    let mut server = Server::start(&[]).await;
    let _agent = Agent::online(&server).await;
    let root = server
        .create(ClientProblemCheck, json!({"problemType": "other"}))
        .await;
    server
        .until_task(&root, "the host has the order", |it| {
            it.task_status_text == "DISPATCH" || it.task_status > 1
        })
        .await;
    server.kill9().await;
    server.restart().await;
    assert_eq!(server.ended(&root).await.success_count, 1);
    let (_, detail) = server.leaf(&root).await;
    assert!(detail.probes.len() >= 10, "{detail:?}");
    verify_bundle(&fetch(&server, &detail.url).await.body);
}

#[tokio::test]
async fn at_random_moments_nothing_is_lost_and_nothing_runs_twice() {
    // A short form of what is run by hand: `bench crash`, 200 kills, 200 agents, 20,000 leaves.
    let mut command = Command::new(binary("bench"));
    command.args(["crash", "--rounds", "5", "--agents", "20", "--tasks", "10"]);
    let said = run(&mut command).await;
    assert_eq!(said.code, 0, "{said:?}");
    let proof: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&proof["kills"], &proof["success"]),
        (&json!(5), &json!(200))
    );
}
