//! `query`: pages of leaves from the store alone, the first, a middle and the last one of each query.
//!
//! The last page is held against the first: where nothing is skipped by counting, both cost the same.
//! And against a row per leaf, OFFSET and COUNT, on as many rows in the same run.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use model::{RootId, Status, TaskType, UnixMillis, limits};
use serde_json::{Map, Value, json};
use store::{HostNo, LeafQuery, NewRoot, PageRequest, RootQuery, SqliteStore, Store, Window};

use crate::ingest::{new_root, result};
use crate::load::{at, ms, per_second, ratio};
use crate::numbers::Numbers;
use crate::rows::Rows;

/// Most leaves of a large root. Nine leaves in ten are in large ones.
const LARGE_MAX: u32 = 1_000_000;
const SMALL: u32 = 500;
/// Results of one call while the store is filled.
const BATCH: usize = 5_000;
const PAGE: u32 = 20;
/// Pages of each kind.
const ROUNDS: usize = 200;
/// Pages of each kind that the rows per leaf are asked for.
const ROW_ROUNDS: usize = 3;
const BEGIN: UnixMillis = UnixMillis(1_600_000_000_000);
/// Time between two roots: 20,000 of them are four and a half years.
const STEP_MS: i64 = 7_200_000;
const TYPES: [TaskType; 3] = [
    TaskType::ClientDevOps,
    TaskType::ClientProblemCheck,
    TaskType::AssetSecurityCheck,
];

struct Kind {
    name: &'static str,
    by_root: bool,
    statuses: &'static [Status],
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "root",
        by_root: true,
        statuses: &[],
    },
    Kind {
        name: "root_fail",
        by_root: true,
        statuses: &[Status::Fail],
    },
    Kind {
        name: "window",
        by_root: false,
        statuses: &[],
    },
    Kind {
        name: "window_fail",
        by_root: false,
        statuses: &[Status::Fail],
    },
];

/// What is stored.
struct Stored {
    large: Vec<RootId>,
    /// All of them, by number from 0, with their leaves.
    roots: Vec<(TaskType, UnixMillis, u32)>,
}

/// Measures.
pub(crate) async fn run(leaves: u32) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path())?;
    let started = Instant::now();
    let stored = fill(&store, leaves).await?;
    let filling = started.elapsed();
    let started = Instant::now();
    store.packed().await?;
    let packing = started.elapsed();
    let started = Instant::now();
    let rows = Rows::fill(&folder.path().join("rows.db"), &stored.roots)?;
    let filling_rows = started.elapsed();
    let mut numbers = Numbers(7);
    let (mut all, mut first, mut last) = (Vec::new(), Vec::new(), Vec::new());
    let mut pages = Map::new();
    for kind in &KINDS {
        let [mut head, mut middle, mut tail] = measure(&store, &stored, kind, &mut numbers).await?;
        let mut figures = Map::new();
        for (name, times) in [
            ("first", &mut head),
            ("middle", &mut middle),
            ("last", &mut tail),
        ] {
            times.sort_unstable();
            let value = json!({ "p50_ms": at(times, 50), "p99_ms": at(times, 99) });
            figures.insert(name.to_owned(), value);
            all.extend_from_slice(times);
        }
        let mut of_rows = Vec::new();
        for _ in 0..ROW_ROUNDS {
            let query = query(&stored, kind, &mut numbers)?;
            let (total, _) = page(&store, &query, 1).await?;
            let found = rows.last_page(&query)?;
            ensure!(found.0 == total, "{total} leaves, but {} rows", found.0);
            of_rows.push(found.1);
        }
        of_rows.sort_unstable();
        let (by_rows, ours) = (at(&of_rows, 50), at(&tail, 50));
        figures.insert("last_by_rows_p50_ms".to_owned(), by_rows.into());
        figures.insert("rows_to_ours".to_owned(), (by_rows / ours).round().into());
        pages.insert(kind.name.to_owned(), figures.into());
        first.extend(head);
        last.extend(tail);
    }
    pages.insert("id".to_owned(), by_id(&store, &stored, &mut numbers).await?);
    all.sort_unstable();
    let rate = |times: &[Duration]| per_second(times.len(), times.iter().sum());
    Ok(json!({
        "workload": "query",
        "n": leaves,
        "rate_per_s": rate(&last).round(),
        "ceiling_per_s": rate(&first).round(),
        "ratio": ratio(rate(&last), rate(&first)),
        "p50_ms": at(&all, 50),
        "p99_ms": at(&all, 99),
        "roots": stored.roots.len(),
        "fill_ms": ms(filling),
        "packed_after_ms": ms(packing),
        "fill_rows_ms": ms(filling_rows),
        "pages": pages,
    }))
}

async fn fill(store: &SqliteStore, leaves: u32) -> anyhow::Result<Stored> {
    let mut stored = Stored {
        large: Vec::new(),
        roots: Vec::new(),
    };
    let mut numbers = Numbers(3);
    let in_large = leaves / 10 * 9;
    let large = in_large.clamp(1, LARGE_MAX);
    let larges = (in_large / large).max(1);
    for _ in 0..larges {
        for _ in 0..(leaves / 10 / SMALL / larges).max(1) {
            root(store, &mut stored, SMALL, &mut numbers).await?;
        }
        let id = root(store, &mut stored, large, &mut numbers).await?;
        stored.large.push(id);
    }
    Ok(stored)
}

/// Times of single leaves by their id.
async fn by_id(
    store: &SqliteStore,
    stored: &Stored,
    numbers: &mut Numbers,
) -> anyhow::Result<Value> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let place = numbers.below(u64::try_from(stored.large.len())?);
        let root = stored.large.get(usize::try_from(place)?);
        let leaf = u32::try_from(1 + numbers.below(SMALL.into()))?;
        let id = root.context("no root")?.leaf(leaf);
        let started = Instant::now();
        let found = store.leaf_get(id).await?;
        times.push(started.elapsed());
        ensure!(found.is_some(), "leaf {id} is not there");
    }
    times.sort_unstable();
    Ok(json!({ "p50_ms": at(&times, 50), "p99_ms": at(&times, 99) }))
}

/// Stores the next root, of so many leaves.
async fn root(
    store: &SqliteStore,
    stored: &mut Stored,
    leaves: u32,
    numbers: &mut Numbers,
) -> anyhow::Result<RootId> {
    let place = stored.roots.len();
    let at = BEGIN.plus(i64::try_from(place)? * STEP_MS);
    let id = RootId::new(at, [2; 6]);
    let task_type = TYPES.get(place % TYPES.len()).copied();
    let task_type = task_type.context("no type")?;
    stored.roots.push((task_type, at, leaves));
    ended_root(store, new_root(id, task_type, at), leaves, numbers).await?;
    Ok(id)
}

/// Stores a root on the hosts 1 to `leaves` with all its results, in random order.
pub(crate) async fn ended_root(
    store: &SqliteStore,
    root: NewRoot,
    leaves: u32,
    numbers: &mut Numbers,
) -> anyhow::Result<()> {
    let (id, at) = (root.id, root.created_at);
    let hosts = (1..=i64::from(leaves)).map(HostNo).collect();
    store.root_create(root, hosts).await?;
    let mut order: Vec<u32> = (1..=leaves).collect();
    numbers.shuffle(&mut order);
    for batch in order.chunks(BATCH) {
        let events = batch.iter().map(|number| result(id, *number)).collect();
        for applied in store.leaf_apply_many(events, at.plus(1)).await? {
            applied?;
        }
    }
    Ok(())
}

/// Times of the first, a middle and the last page, each time of another query of that kind.
async fn measure(
    store: &SqliteStore,
    stored: &Stored,
    kind: &Kind,
    numbers: &mut Numbers,
) -> anyhow::Result<[Vec<Duration>; 3]> {
    let (mut first, mut middle, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let query = query(stored, kind, numbers)?;
        let (total, time) = page(store, &query, 1).await?;
        first.push(time);
        let pages = total.div_ceil(PAGE.into());
        middle.push(page(store, &query, 1 + numbers.below(pages)).await?.1);
        last.push(page(store, &query, pages).await?.1);
    }
    Ok([first, middle, last])
}

fn query(stored: &Stored, kind: &Kind, numbers: &mut Numbers) -> anyhow::Result<LeafQuery> {
    let statuses = kind.statuses.to_vec();
    if kind.by_root {
        let place = numbers.below(u64::try_from(stored.large.len())?);
        let root = stored.large.get(usize::try_from(place)?);
        return Ok(LeafQuery::Root {
            root: *root.context("no root")?,
            statuses,
            outcome: None,
        });
    }
    // Half of all time, from anywhere in the first half on.
    let half = i64::try_from(stored.roots.len())? / 2;
    let start = i64::try_from(numbers.below(u64::try_from(half)? + 1))?;
    let window = Window {
        start: Some(BEGIN.plus(start * STEP_MS)),
        end: Some(BEGIN.plus((start + half) * STEP_MS)),
    };
    Ok(LeafQuery::Roots {
        roots: RootQuery {
            task_type: TaskType::ClientDevOps,
            source: None,
            window,
        },
        statuses,
    })
}

async fn page(
    store: &SqliteStore,
    query: &LeafQuery,
    number: u64,
) -> anyhow::Result<(u64, Duration)> {
    let request = PageRequest { number, size: PAGE };
    let started = Instant::now();
    let page = store
        .leaf_page(query, request, limits::LIST_ANSWERS_BYTES_MAX)
        .await?;
    let time = started.elapsed();
    ensure!(!page.rows.is_empty(), "an empty page of {}", page.total);
    Ok((page.total, time))
}
