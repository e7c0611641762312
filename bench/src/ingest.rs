//! `ingest`: results of one root into the store alone, as many sessions would bring them, beside the
//! same bytes in compressed blocks appended to a plain file.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use model::{Event, Reason, RootId, Said, Status, TaskType, UnixMillis, Verdict};
use serde_json::{Value, json};
use store::{HostNo, LeafAnswer, LeafEvent, NewRoot, PostgresStore, SqliteStore, Store};

use crate::idle::cpu_ticks;
use crate::load::{at, ms, per_second, ratio};
use crate::numbers::{Numbers, answer};

/// Calls at the same time, of one result each.
const CALLS: usize = 2_000;
/// Results of one block of the plain file.
const BLOCK: usize = 32;
/// The time at which everything happens.
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// Measures the store of this URL, or one in a new SQLite file. The last leaf answers after the store
/// was opened again, so that how long that takes is measured too; then the root ends, and is packed.
pub(crate) async fn run(leaves: u32, url: Option<&str>) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let store = open(folder.path(), url)?;
    let root = RootId::new(NOW, [1; 6]);
    let hosts = (1..=i64::from(leaves)).map(HostNo).collect();
    let started = Instant::now();
    let new = new_root(root, TaskType::ClientDevOps, NOW);
    let created = store.root_create(new, hosts).await?;
    ensure!(!created.existed, "the database is not a new one");
    let creating = started.elapsed();
    let mut order: Vec<u32> = (1..=leaves).collect();
    Numbers(1).shuffle(&mut order);
    let last = order.pop().context("no leaves")?;
    let order: Arc<[u32]> = order.into();

    let (commits, begun) = (store.generation(), Used::now()?);
    let started = Instant::now();
    let mut times = bring(&store, root, &order).await?;
    let wall = started.elapsed();
    let commits = store.generation() - commits;
    store.close().await;
    drop(store);
    let arrived = Used::now()?;
    let started = Instant::now();
    let store = open(folder.path(), url)?;
    let opening = started.elapsed();
    let opened = Used::now()?;
    let started = Instant::now();
    bring(&store, root, &Arc::from([last])).await?;
    store.packed().await?;
    let packing = started.elapsed();
    let ended = store.root_get(root).await?.and_then(|it| it.ended_at);
    ensure!(ended.is_some(), "the root has not ended");
    store.close().await;
    drop(store);
    let packed = Used::now()?;
    // What a server writes is its own affair.
    let per_result = |bytes: u64| url.is_none().then(|| bytes / u64::from(leaves.max(1)));
    let disk = per_result(size_of(folder.path())?);
    let plain = plain_file(folder.path(), &order, usize::try_from(commits)?)?;
    times.sort_unstable();
    let (rate, ceiling) = (
        per_second(order.len(), wall),
        per_second(order.len(), plain),
    );
    Ok(json!({
        "workload": "ingest",
        "n": leaves,
        "rate_per_s": rate.round(),
        "ceiling_per_s": ceiling.round(),
        "ratio": ratio(rate, ceiling),
        "p50_ms": at(&times, 50),
        "p99_ms": at(&times, 99),
        "wall_ms": ms(wall),
        "ceiling_ms": ms(plain),
        "create_ms": ms(creating),
        "cpu_ms": arrived.cpu_ms - begun.cpu_ms,
        "commits": commits,
        "answer_bytes": answer(1).len(),
        "written_bytes_per_result": per_result(arrived.written - begun.written),
        "open_again_ms": ms(opening),
        "open_again_cpu_ms": opened.cpu_ms - arrived.cpu_ms,
        "pack_ms": ms(packing),
        "pack_cpu_ms": packed.cpu_ms - opened.cpu_ms,
        "packed_written_bytes_per_result": per_result(packed.written - opened.written),
        "disk_bytes_per_result": disk,
    }))
}

fn open(folder: &Path, url: Option<&str>) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match url {
        Some(url) => Arc::new(PostgresStore::open(&url.parse()?)?),
        None => Arc::new(SqliteStore::open(folder)?),
    })
}

/// What this process has used so far.
struct Used {
    written: u64,
    cpu_ms: u64,
}

impl Used {
    fn now() -> anyhow::Result<Self> {
        let ticks = cpu_ticks(std::process::id())?;
        Ok(Self {
            written: written_bytes()?,
            cpu_ms: ticks * 1_000 / rustix::param::clock_ticks_per_second(),
        })
    }
}

/// A root with this id.
pub(crate) fn new_root(id: RootId, task_type: TaskType, created_at: UnixMillis) -> NewRoot {
    NewRoot {
        id,
        task_type,
        name: task_type.wire().to_owned(),
        source: String::new(),
        operator: "bench".to_owned(),
        work: r#"{"kind":"ops","command":"true"}"#.to_owned(),
        created_at,
        deadline: created_at.plus(3_600_000),
        request_key: id.to_string(),
        request_digest: [0; 32],
        rerun_of: None,
        plan: model::Plan::default(),
    }
}

/// How a leaf of this number ends; one in ten badly.
pub(crate) const fn status_of(number: u32) -> Status {
    match number % 10 {
        0 => Status::Fail,
        _ => Status::Success,
    }
}

/// The end of a leaf, with an answer.
pub(crate) fn result(root: RootId, number: u32) -> LeafEvent {
    let (verdict, reason) = match status_of(number) {
        Status::Fail => (Verdict::Fail, Reason::ExitCode),
        _ => (Verdict::Success, Reason::None),
    };
    LeafEvent {
        leaf: root.leaf(number),
        event: Event::Ended { verdict, reason },
        answer: Some(LeafAnswer {
            json: answer(number.into()),
            said: Said::new([reason.number(); 14], "exit 0: done".to_owned()),
            snapshots: Vec::new(),
        }),
    }
}

async fn bring(
    store: &Arc<dyn Store>,
    root: RootId,
    order: &Arc<[u32]>,
) -> anyhow::Result<Vec<Duration>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        let (store, order, next) = (Arc::clone(store), Arc::clone(order), Arc::clone(&next));
        calls.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while let Some(number) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let events = vec![result(root, *number)];
                let called = Instant::now();
                for applied in store.leaf_apply_many(events, NOW.plus(1)).await? {
                    applied?;
                }
                times.push(called.elapsed());
            }
            anyhow::Ok(times)
        }));
    }
    let mut times = Vec::with_capacity(order.len());
    for call in calls {
        times.extend(call.await??);
    }
    Ok(times)
}

/// Appends the same results, in as many durable steps.
fn plain_file(folder: &Path, order: &[u32], commits: usize) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let mut file = File::create(folder.join("plain"))?;
    let mut block = Vec::new();
    for batch in order.chunks(order.len().div_ceil(commits.max(1)).max(1)) {
        let mut bytes = Vec::new();
        for numbers in batch.chunks(BLOCK) {
            block.clear();
            for number in numbers {
                block.extend_from_slice(&number.to_le_bytes());
                block.extend_from_slice(&answer((*number).into()));
            }
            bytes.extend(zstd::bulk::compress(&block, 1)?);
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    Ok(started.elapsed())
}

/// Bytes that this process has written to disks (proc(5), `io`).
fn written_bytes() -> anyhow::Result<u64> {
    let io = fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|it| it.strip_prefix("write_bytes: "));
    Ok(line.context("write_bytes")?.trim().parse()?)
}

fn size_of(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
