//! `reconnect`: from a crash of the server until all its agents are back, and how it answers meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::agents::Fleet;
use crate::bare_agents::Bare;
use crate::house::House;
use crate::load::{at, ms, per_second, ratio};

/// Pause between two calls of the API.
const PAUSE: Duration = Duration::from_millis(5);
/// Calls of the API while nothing happens.
const QUIET_CALLS: usize = 400;

/// Measures.
pub(crate) async fn run(agents: usize) -> anyhow::Result<Value> {
    let bare = Bare::start(agents).await?.connecting;
    let mut house = House::start_tls()?;
    let mut fleet = Fleet::start(&house, agents).await?;
    let mut quiet = Vec::new();
    while quiet.len() < QUIET_CALLS {
        quiet.push(call(&house).await?);
    }
    let killed = Instant::now();
    house.kill()?;
    house.start_again()?;
    let listens = Instant::now();
    let mut calls = Vec::new();
    let back = {
        let mut back = std::pin::pin!(fleet.all_online());
        loop {
            tokio::select! {
                times = &mut back => break times?,
                time = call(&house) => calls.push(time?),
            }
        }
    };
    let mut back: Vec<Duration> = back.into_iter().map(|it| it - killed).collect();
    for times in [&mut quiet, &mut calls, &mut back] {
        times.sort_unstable();
    }
    let (down, wall) = (listens - killed, at(&back, 100));
    let serving = back
        .last()
        .copied()
        .unwrap_or_default()
        .saturating_sub(down);
    let (rate, ceiling) = (per_second(agents, serving), per_second(agents, bare));
    Ok(json!({
        "workload": "reconnect",
        "n": agents,
        "rate_per_s": rate.round(),
        "ceiling_per_s": ceiling.round(),
        "ratio": ratio(rate, ceiling),
        "p50_ms": at(&calls, 50),
        "p99_ms": at(&calls, 99),
        "calls": calls.len(),
        "quiet_p50_ms": at(&quiet, 50),
        "quiet_p99_ms": at(&quiet, 99),
        "down_ms": ms(down),
        "wall_ms": wall,
        "agent_p50_ms": at(&back, 50),
        "agent_p99_ms": at(&back, 99),
    }))
}

async fn call(house: &House) -> anyhow::Result<Duration> {
    tokio::time::sleep(PAUSE).await;
    let started = Instant::now();
    let params = [("TaskType", "CLIENT_DEV_OPS".to_owned())];
    house.client.call_value("DescribeOnceTask", &params).await?;
    Ok(started.elapsed())
}
