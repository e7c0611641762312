//! `start`: from the start of a program to its first useful sign.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::house::{listening, program, server};
use crate::load::at;

/// Measures.
pub(crate) fn run(runs: usize) -> anyhow::Result<Value> {
    let nothing = times(runs, || Ok(Command::new("/bin/true").status().map(drop)?))?;
    let explain = times(runs, || {
        let mut command = Command::new(program("sickbay")?);
        command.args(["explain", "2401"]).stdout(Stdio::null());
        Ok(command.status().map(drop)?)
    })?;
    let agent = times(runs, || {
        let mut command = Command::new(program("sickbay-agent")?);
        Ok(command
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .map(drop)?)
    })?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("server");
    let first = times(1, || {
        listening(server(&data, "127.0.0.1:0")?, b"").map(drop)
    })?;
    let again = times(runs, || {
        listening(server(&data, "127.0.0.1:0")?, b"").map(drop)
    })?;
    Ok(json!({
        "workload": "start",
        "n": runs,
        "p50_ms": at(&explain, 50),
        "p99_ms": at(&explain, 99),
        "agent_p50_ms": at(&agent, 50),
        "server_first_ms": at(&first, 50),
        "server_p50_ms": at(&again, 50),
        "ceiling_p50_ms": at(&nothing, 50),
    }))
}

fn times(
    runs: usize,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let started = Instant::now();
        work()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}
