//! `reconnect`: from a crash of the server until all its agents are back, and how it answers meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;
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
    let caller = Caller::start(house);
    let back = fleet.all_online().await;
    let mut calls = caller.stop()?;
    let back = back?;
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

/// Calls the API from a thread of its own: beside the simulated agents it would wait for them, and
/// that would be measured as the server's time.
struct Caller {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Vec<Duration>>>,
}

impl Caller {
    fn start(house: House) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut calls = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    calls.push(call(&house).await?);
                }
                Ok(calls)
            })
        });
        Self { stop, thread }
    }

    fn stop(self) -> anyhow::Result<Vec<Duration>> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.map_err(|_| anyhow!("the caller broke down"))?
    }
}
