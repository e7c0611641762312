//! `fanout`: one order to many agents of a real server over TLS, from the request until the result of
//! each is durable and acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use client::NewTask;
use model::TaskType;
use protocol::frame::OrderKey;
use protocol::order::{Order, key_id, open, sign};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::agents::Fleet;
use crate::bare_agents::{Bare, Messages};
use crate::house::House;
use crate::idle::{cpu_ticks, memory};
use crate::load::{at, ms, per_second, ratio};

/// Orders to all, and bare rounds before and after them.
const ROUNDS: usize = 5;
const BARE_ROUNDS: usize = 3;
/// Orders that are signed and verified to see what that costs.
const SIGNATURES: usize = 1_000;
/// Time that the server has to come to rest before its memory is measured.
const REST: Duration = Duration::from_secs(3);

/// Measures.
pub(crate) async fn run(agents: usize) -> anyhow::Result<Value> {
    let mut bare = BareRounds::default();
    bare.add(agents).await?;
    let house = House::start_tls()?;
    let memory = || memory(house.pid(), "VmRSS:");
    let empty = memory()?;
    let mut fleet = Fleet::start(&house, agents).await?;
    tokio::time::sleep(REST).await;
    let idle = memory()?;
    let ticks = || anyhow::Ok((cpu_ticks(house.pid())?, cpu_ticks(std::process::id())?));
    let before = ticks()?;
    let (mut walls, mut created, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let round = round(&house, &mut fleet).await?;
        walls.push(round.wall);
        created.push(round.created);
        leaves.extend(round.leaves);
    }
    let after = ticks()?;
    let busy = memory()?;
    drop(fleet);
    drop(house);
    bare.add(agents).await?;
    let BareRounds { two, three, ticks } = &mut bare;
    for times in [&mut walls, &mut created, &mut leaves, two, three] {
        times.sort_unstable();
    }
    let middle = |times: &[Duration]| times.get(times.len() / 2).copied().context("no round");
    let (wall, bare_wall) = (middle(&walls)?, middle(two)?);
    let (signing, verifying) = signatures()?;
    let each = u64::try_from(agents)?;
    let cpu_us = |ticks: u64, rounds: usize| {
        let leaves_run = each * u64::try_from(rounds).unwrap_or(u64::MAX);
        ticks * 1_000_000 / rustix::param::clock_ticks_per_second() / leaves_run
    };
    let used = (
        after.0.saturating_sub(before.0),
        after.1.saturating_sub(before.1),
    );
    Ok(json!({
        "workload": "fanout",
        "n": agents,
        "rounds": ROUNDS,
        "rate_per_s": per_second(agents, wall).round(),
        "ceiling_per_s": per_second(agents, bare_wall).round(),
        "ratio": ratio(per_second(agents, wall), per_second(agents, bare_wall)),
        "p50_ms": at(&leaves, 50),
        "p99_ms": at(&leaves, 99),
        "wall_ms": ms(wall),
        "wall_ms_all": walls.iter().map(|it| ms(*it)).collect::<Vec<_>>(),
        "create_ms": ms(middle(&created)?),
        "ceiling_ms": ms(bare_wall),
        "ceiling_ms_all": two.iter().map(|it| ms(*it)).collect::<Vec<_>>(),
        "three_messages_ms": ms(middle(three)?),
        "three_messages_ms_all": three.iter().map(|it| ms(*it)).collect::<Vec<_>>(),
        "three_messages_server_cpu_us": cpu_us(ticks.0, three.len()),
        "three_messages_simulator_cpu_us": cpu_us(ticks.1, three.len()),
        "server_cpu_us_per_leaf": cpu_us(used.0, ROUNDS),
        "simulator_cpu_us_per_leaf": cpu_us(used.1, ROUNDS),
        "signing_us_per_leaf": signing,
        "verifying_us_per_leaf": verifying,
        "server_rss_bytes": empty,
        "idle_rss_bytes_per_agent": idle.saturating_sub(empty) / each,
        "busy_rss_bytes_per_agent": busy.saturating_sub(empty) / each,
    }))
}

/// What the bare rounds took.
#[derive(Default)]
struct BareRounds {
    two: Vec<Duration>,
    three: Vec<Duration>,
    /// CPU of the rounds of three messages: of the server, and of its other end.
    ticks: (u64, u64),
}

impl BareRounds {
    async fn add(&mut self, agents: usize) -> anyhow::Result<()> {
        let mut bare = Bare::start(agents).await?;
        for _ in 0..BARE_ROUNDS {
            self.two.push(bare.round(Messages::Two).await?);
        }
        let ticks = |pid| anyhow::Ok((cpu_ticks(pid)?, cpu_ticks(std::process::id())?));
        let before = ticks(bare.pid()?)?;
        for _ in 0..BARE_ROUNDS {
            self.three.push(bare.round(Messages::Three).await?);
        }
        let after = ticks(bare.pid()?)?;
        self.ticks.0 += after.0.saturating_sub(before.0);
        self.ticks.1 += after.1.saturating_sub(before.1);
        Ok(())
    }
}

/// What the signature of one order costs the server and its agent, in µs: the bare round has none.
fn signatures() -> anyhow::Result<(u128, u128)> {
    let key = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).map_err(|_| anyhow!("no key"))?;
    let public_key = key.public_key().as_ref().to_vec();
    let keys = [OrderKey {
        id: key_id(&public_key),
        public_key,
    }];
    let order = Order::default();
    let signed = sign(&order, &key);
    let signing = middle_us(|| {
        drop(sign(&order, &key));
        Ok(())
    })?;
    let verifying = middle_us(|| Ok(open(&signed, &keys, "").map(drop)?))?;
    Ok((signing, verifying))
}

fn middle_us(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<u128> {
    let mut times = Vec::new();
    for _ in 0..SIGNATURES {
        let started = Instant::now();
        work()?;
        times.push(started.elapsed().as_micros());
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("no time")
}

struct Round {
    /// Until the root's creation was answered.
    created: Duration,
    /// Until each result was acknowledged.
    leaves: Vec<Duration>,
    /// Until the root is seen to have ended.
    wall: Duration,
}

async fn round(house: &House, fleet: &mut Fleet) -> anyhow::Result<Round> {
    let new = NewTask {
        task_type: TaskType::ClientDevOps,
        param: json!({ "command": "true" }).to_string(),
        source: None,
    };
    let started = Instant::now();
    let root = house.client.create_task(&new).await?.task_id.parse()?;
    let created = started.elapsed();
    let acked = fleet.all_acked().await?;
    let task = house.client.task(root).await?.context("no such task")?;
    let wall = started.elapsed();
    let is_ended = task.task_end_time.is_some() && task.success_count == task.total_count;
    ensure!(is_ended, "every result is acknowledged, but: {task:?}");
    Ok(Round {
        created,
        leaves: acked.into_iter().map(|it| it - started).collect(),
        wall,
    })
}
