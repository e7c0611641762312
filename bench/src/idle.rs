//! `idle`: how large the agent is, and what it uses while nothing is asked of it.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::house::{House, program};

/// Measures.
pub(crate) async fn run(seconds: u64) -> anyhow::Result<Value> {
    let house = House::start()?;
    let (agent, _) = house.agent("agent").await?;
    let pid = agent.0.id();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = cpu_ticks(pid)?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let used = cpu_ticks(pid)?.saturating_sub(before);
    let ticks_per_s = rustix::param::clock_ticks_per_second();
    Ok(json!({
        "workload": "idle",
        "n": 1,
        "seconds": seconds,
        "binary_bytes": program("sickbay-agent")?.metadata()?.len(),
        "rss_bytes": memory(pid, "VmRSS:")?,
        "private_bytes": memory(pid, "RssAnon:")?,
        "cpu_ms": used * 1_000 / ticks_per_s,
    }))
}

/// User and system time used so far, in clock ticks (proc(5), fields 14 and 15 of `stat`).
pub(crate) fn cpu_ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("reading stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|it| it.parse::<u64>().ok());
    Ok(field(11).context("utime")? + field(12).context("stime")?)
}

/// A line of `/proc/PID/status`, in bytes.
pub(crate) fn memory(pid: u32, name: &str) -> anyhow::Result<u64> {
    bytes(&fs::read_to_string(format!("/proc/{pid}/status"))?, name)
}

/// Memory of a process, in bytes; what several share counts once in all of them (`Pss` of proc(5)).
pub(crate) fn share(pid: u32) -> anyhow::Result<u64> {
    bytes(
        &fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?,
        "Pss:",
    )
}

fn bytes(lines: &str, name: &str) -> anyhow::Result<u64> {
    let line = lines
        .lines()
        .find_map(|it| it.strip_prefix(name))
        .context("no such line")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1_024)
}
