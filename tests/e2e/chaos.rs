//! Whatever dies, and in whatever order: a command starts at most once, every leaf ends, and the counts add up.

use std::collections::HashMap;
use std::path::PathBuf;

use model::TaskType::ClientDevOps;
use serde_json::json;
use tests::{Agent, Server};

/// Hosts of the test.
const HOSTS: usize = 3;
/// What dies in each round: the server, or the agent of that number, or both.
const ROUNDS: [(bool, Option<usize>); 7] = [
    (true, None),
    (false, Some(0)),
    (true, Some(1)),
    (false, Some(2)),
    (true, Some(0)),
    (true, None),
    (false, Some(1)),
];

/// What is known of one task: its id and the file in which its commands leave their marks.
struct Asked {
    root: String,
    file: PathBuf,
}

#[tokio::test]
async fn a_command_starts_at_most_once_whatever_dies() {
    let mut server = Server::start(&["--tasks-running-max", "1000"]).await;
    let mut agents = Vec::new();
    // A command's parent is the agent: which process was which host's.
    let mut host_of = HashMap::new();
    for _ in 0..HOSTS {
        let mut agent = Agent::enrol(&server).await;
        agent.start();
        host_of.insert(agent.program().pid().to_string(), agent.uuid.clone());
        agents.push(agent);
    }
    let mut asked = Vec::new();
    for (round, (server_dies, agent_dies)) in ROUNDS.into_iter().enumerate() {
        for number in 0..4 {
            let file = server.folder().join(format!("marks-{round}-{number}"));
            // Some end at once, some are in the middle when it happens.
            let command = format!("echo $PPID >>{}; sleep 0.{number}", file.display());
            let root = server
                .create(ClientDevOps, json!({"command": command}))
                .await;
            asked.push(Asked { root, file });
        }
        if let Some(number) = agent_dies {
            agents[number].kill9().await;
        }
        if server_dies {
            server.kill9().await;
            server.restart().await;
        }
        if let Some(number) = agent_dies {
            let agent = &mut agents[number];
            agent.start();
            host_of.insert(agent.program().pid().to_string(), agent.uuid.clone());
        }
    }
    let mut counts = (0, 0);
    for Asked { root, file } in &asked {
        let task = server.ended(root).await;
        assert_eq!(
            (task.total_count, task.unfinished_count, task.timeout_count),
            (3, 0, 0),
            "{task:?}"
        );
        assert_eq!(
            task.success_count + task.fail_count,
            task.total_count,
            "{task:?}"
        );
        let marks = std::fs::read_to_string(file).unwrap_or_default();
        let mut started: HashMap<&str, u32> = HashMap::new();
        for pid in marks.lines() {
            *started.entry(&host_of[pid]).or_default() += 1;
        }
        for (leaf, detail) in server.leaves(root).await {
            let times = started
                .get(detail.uuid.as_str())
                .copied()
                .unwrap_or_default();
            match leaf.task_status_text.as_str() {
                "SUCCESS" => assert_eq!(times, 1, "{detail:?}"),
                "FAIL" => assert!(
                    times <= 1 && detail.reason == "agent_restarted",
                    "{times}: {detail:?}"
                ),
                _ => panic!("{leaf:?}"),
            }
        }
        counts = (counts.0 + task.success_count, counts.1 + task.fail_count);
    }
    let listed = server.tasks(ClientDevOps).await;
    assert_eq!(listed.len(), asked.len());
    let sum = listed.iter().fold((0, 0), |sum, it| {
        (sum.0 + it.success_count, sum.1 + it.fail_count)
    });
    assert_eq!(sum, counts, "the list says the same");
}
