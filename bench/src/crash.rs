//! `crash`: `kill -9` of the server at random moments while commands run on simulated agents, and what
//! is left of everything that it had said yes to.
//!
//! Fails at the first thing that is lost, counted wrongly or run twice.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use client::{LeafFilter, LeafQuery, NewTask, TaskQuery};
use model::{TaskId, TaskType};
use protocol::api::task::{HostDetail, Task, read_details};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::house::House;
use crate::journalled::{Fleet, seed_of};
use crate::load::ms;
use crate::numbers::{Numbers, answer};

/// The latest moment of a kill, in ms from when the agents begin to connect.
const KILL_MS_MAX: u64 = 800;
/// How long the rest may take when the server is left alone.
const PATIENCE: Duration = Duration::from_mins(2);

/// Kills `rounds` times while `tasks` commands run on `agents` hosts each; judges after each start.
pub(crate) async fn run(rounds: u32, agents: u32, tasks: u32, seed: u64) -> anyhow::Result<Value> {
    ensure!(rounds > 0 && agents > 0, "nothing to do");
    let mut house = House::start_tls()?;
    let fleet = Fleet::start(&house, usize::try_from(agents)?).await?;
    let mut proof = Proof {
        fleet,
        agents,
        asked: Vec::new(),
        judged: 0,
    };
    let leaves = tasks * agents;
    let mut numbers = Numbers(seed);
    let (mut killed_ms, mut acknowledged) = (Vec::new(), Vec::new());
    let began = Instant::now();
    for round in 0..rounds {
        let said = || format!("round {round} of seed {seed}, killed at (ms): {killed_ms:?}");
        proof.judge(&house).await.with_context(said)?;
        acknowledged.push(proof.judged);
        let moment = numbers.below(KILL_MS_MAX + 1);
        killed_ms.push(moment);
        let creating = numbers.below(KILL_MS_MAX + 1);
        let due = (tasks * (round + 2)).div_ceil(rounds).min(tasks);
        let share = leaves * (round + 1) / rounds - leaves * round / rounds;
        proof
            .round(&mut house, [moment, creating], due, share)
            .await?;
    }
    proof.judge(&house).await?;
    let held = proof.finish(&house, tasks).await?;
    let wall = began.elapsed();
    let seen = proof.fleet.shared.log.seen();
    Ok(json!({
        "workload": "crash",
        "seed": seed,
        "n": leaves,
        "agents": agents,
        "tasks": tasks,
        "kills": rounds,
        "killed_after_ms": killed_ms,
        "acknowledged_before_each_kill": acknowledged,
        "sessions": seen.sessions,
        "orders_repeated_and_not_run_again": seen.repeats,
        "lost": 0,
        "run_twice": 0,
        "success": held,
        "wall_ms": ms(wall),
    }))
}

struct Proof {
    fleet: Fleet,
    agents: u32,
    /// Roots whose creation was answered, in order.
    asked: Vec<TaskId>,
    /// Acknowledged results that were found again.
    judged: usize,
}

impl Proof {
    /// Lets the agents come and commands end, creates tasks up to `due`, and kills in the middle.
    async fn round(
        &mut self,
        house: &mut House,
        [moment, creating]: [u64; 2],
        due: u32,
        share: u32,
    ) -> anyhow::Result<()> {
        let shared = std::sync::Arc::clone(&self.fleet.shared);
        shared.calling.send_replace(true);
        let mut left = share;
        let pacing = async {
            let each = Duration::from_millis(KILL_MS_MAX) / share.max(1);
            while left > 0 {
                sleep(each).await;
                shared.pace.add_permits(1);
                left -= 1;
            }
        };
        let work = async {
            let asking = async {
                sleep(Duration::from_millis(creating)).await;
                // An answer that the kill cuts off is asked for again, with the same token.
                self.ask(house, due).await.ok();
            };
            tokio::join!(pacing, asking);
        };
        // What is left at the kill is still on its way.
        timeout(Duration::from_millis(moment), async {
            work.await;
            std::future::pending::<()>().await;
        })
        .await
        .ok();
        shared.calling.send_replace(false);
        house.kill()?;
        // The others end while there is no server.
        shared.pace.add_permits(usize::try_from(left)?);
        house.start_again()
    }

    async fn ask(&mut self, house: &House, due: u32) -> anyhow::Result<()> {
        while self.asked.len() < usize::try_from(due)? {
            let token = format!("crash-{:08}", self.asked.len());
            let new = NewTask {
                task_type: TaskType::ClientDevOps,
                param: json!({ "command": "true", "clientToken": token }).to_string(),
                source: None,
            };
            let created = house.client.create_task(&new).await?;
            self.asked.push(created.task_id.parse()?);
        }
        Ok(())
    }

    /// Finds everything that was answered or acknowledged, and that the counts add up.
    async fn judge(&mut self, house: &House) -> anyhow::Result<()> {
        let differences = house.client.verify_store().await?;
        ensure!(differences.is_empty(), "verify: {differences:?}");
        let (fresh, faults) = {
            let mut seen = self.fleet.shared.log.seen();
            (std::mem::take(&mut seen.acknowledged), seen.faults.clone())
        };
        ensure!(faults.is_empty(), "{faults:?}");
        let roots = self.roots(house).await?;
        for root in &self.asked {
            ensure!(roots.contains_key(&root.to_string()), "{root} is lost");
        }
        let unanswered = roots.len() - self.asked.len();
        ensure!(unanswered <= 1, "{unanswered} tasks that nobody asked for");
        for leaf in &fresh {
            let task = house.client.task(leaf.parse()?).await?;
            let task = task.with_context(|| format!("{leaf} is lost"))?;
            is_as_said(&task)?;
        }
        self.judged += fresh.len();
        let success: u32 = roots.values().map(|it| it.success_count).sum();
        ensure!(
            usize::try_from(success)? >= self.judged,
            "{success} of {} acknowledged results",
            self.judged
        );
        Ok(())
    }

    async fn roots(&self, house: &House) -> anyhow::Result<HashMap<String, Task>> {
        let query = TaskQuery {
            task_type: Some(TaskType::ClientDevOps),
            ..TaskQuery::default()
        };
        let listed = house.client.tasks(&query, 100).take(usize::MAX).await?;
        for it in &listed {
            let ended = it.success_count + it.fail_count + it.timeout_count;
            let sums = [ended + it.unfinished_count, it.total_count];
            ensure!(sums == [self.agents; 2], "the counts are wrong: {it:?}");
            ensure!(it.success_count == ended, "not all well: {it:?}");
        }
        Ok(listed
            .into_iter()
            .map(|it| (it.task_id.clone(), it))
            .collect())
    }

    /// Leaves the server alone until all has ended; returns how many commands ended well.
    async fn finish(&mut self, house: &House, tasks: u32) -> anyhow::Result<usize> {
        self.fleet.shared.calling.send_replace(true);
        self.ask(house, tasks).await?;
        let leaves = usize::try_from(tasks * self.agents)?;
        let settled = async {
            loop {
                let seen = self.fleet.shared.log.seen().acknowledged.len();
                if self.judged + seen >= leaves {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let settled = timeout(PATIENCE, settled).await;
        self.judge(house).await?;
        settled.with_context(|| {
            let trouble = &self.fleet.shared.log.seen().trouble;
            format!("{} of {leaves} ended; {trouble}", self.judged)
        })?;
        let roots = self.roots(house).await?;
        ensure!(roots.len() == self.asked.len(), "a task too many");
        let mut held = HashSet::new();
        for root in roots.keys() {
            let listed = house
                .client
                .leaves(root, &LeafFilter::default(), model::limits::PAGE_SIZE_MAX)
                .take(usize::MAX)
                .await?;
            held.extend(listed.into_iter().map(|it| it.task_id));
            let records = LeafQuery {
                root: root.clone(),
                task_type: TaskType::ClientDevOps.wire().to_owned(),
                statuses: vec![model::Status::Success],
            };
            let records = house.client.leaf_records(&records).take(usize::MAX).await?;
            ensure!(records.len() == usize::try_from(self.agents)?, "{root}");
        }
        self.read_log(&held)?;
        Ok(held.len())
    }

    /// Compares what the agents wrote down with what the server holds.
    fn read_log(&self, held: &HashSet<String>) -> anyhow::Result<()> {
        let log = std::fs::read_to_string(&self.fleet.shared.log.path)?;
        let mut lines: HashMap<&str, Vec<&str>> = HashMap::new();
        for (what, leaf) in log.lines().filter_map(|it| it.split_once(' ')) {
            lines.entry(leaf).or_default().push(what);
        }
        for (leaf, steps) in &lines {
            ensure!(held.contains(*leaf), "{leaf} is not with the server");
            ensure!(*steps == ["run", "acknowledged"], "{leaf}: {steps:?}");
        }
        ensure!(lines.len() == held.len(), "a result that nobody sent");
        Ok(())
    }
}

/// That a leaf ended well, with the very answer of its host.
fn is_as_said(leaf: &Task) -> anyhow::Result<()> {
    let id = &leaf.task_id;
    let mut details: Vec<HostDetail> = read_details(&leaf.detail_data)?;
    let detail = details.pop().context("a leaf without a host")?;
    let said: Value = serde_json::from_slice(&answer(seed_of(id)))?;
    let said = said.pointer("/ops/stdout/text").and_then(Value::as_str);
    ensure!(
        leaf.task_status_text == "SUCCESS" && detail.stdout.as_deref() == said,
        "{id} is not as acknowledged: {leaf:?}"
    );
    Ok(())
}
