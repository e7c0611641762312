//! `hosts`: a command on real agents over TLS, each a process with a journal that starts a process of
//! its own, from the request until the result of each is durable.

use std::time::{Duration, Instant};

use anyhow::ensure;
use client::NewTask;
use model::TaskType;
use serde_json::{Value, json};

use crate::house::House;
use crate::idle::share;
use crate::load::{at, ms};

/// Rounds before those that count.
const WARM_UP: usize = 3;
/// Pause between two looks at the task, by which a figure may be too high.
const PAUSE: Duration = Duration::from_millis(1);
/// How long one round may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures.
pub(crate) async fn run(agents: usize, rounds: usize) -> anyhow::Result<Value> {
    let house = House::start_tls()?;
    let mut running = Vec::new();
    for number in 0..agents {
        running.push(house.agent(&format!("agent-{number}")).await?);
    }
    let mut times = Vec::new();
    for number in 0..WARM_UP + rounds {
        let time = tokio::time::timeout(PATIENCE, round(&house, agents)).await??;
        if number >= WARM_UP {
            times.push(time);
        }
    }
    times.sort_unstable();
    let mut shares = 0;
    for (agent, _) in &running {
        shares += share(agent.0.id())?;
    }
    Ok(json!({
        "workload": "hosts",
        "n": agents,
        "rounds": rounds,
        "p50_ms": at(&times, 50),
        "p99_ms": at(&times, 99),
        "best_ms": times.first().copied().map(ms),
        "server_pss_bytes": share(house.pid())?,
        "agent_pss_bytes": shares / u64::try_from(agents.max(1))?,
    }))
}

async fn round(house: &House, agents: usize) -> anyhow::Result<Duration> {
    let new = NewTask {
        task_type: TaskType::ClientDevOps,
        param: json!({ "command": "true" }).to_string(),
        source: None,
    };
    let started = Instant::now();
    let root = house.client.create_task(&new).await?.task_id.parse()?;
    loop {
        tokio::time::sleep(PAUSE).await;
        let task = house.client.task(root).await?;
        let Some(task) = task.filter(|it| it.task_end_time.is_some()) else {
            continue;
        };
        let time = started.elapsed();
        let success = usize::try_from(task.success_count)?;
        ensure!(success == agents, "not on all hosts: {task:?}");
        return Ok(time);
    }
}
