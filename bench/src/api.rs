//! `api`: signed `DescribeOnceTask` beside a bare route that returns the same bytes.
//!
//! Both are asked with equally signed requests, made by the same client on the same cores, in turn:
//! what differs is what the server does. Asked for are 20 roots, the same each time, or pages of the leaves
//! of one large root, another one each time, so that no answer was given before.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use client::NewTask;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use model::{HostUuid, Labels, RootId, TaskType, UnixMillis};
use protocol::sign::{Outgoing, sign_v3};
use serde_json::{Value, json};
use store::{NewHost, SqliteStore, Store as _};

use crate::house::{self, House, listening, root_key};
use crate::idle::cpu_ticks;
use crate::ingest::new_root;
use crate::load::{self, Figures};
use crate::numbers::Numbers;
use crate::query::ended_root;

/// Roots that are there to be listed.
const ROOTS: usize = 20;
/// Hosts that are stored at the same time.
const HOSTS_AT_ONCE: usize = 1_000;
/// Rounds of each kind, in turn.
const ROUNDS: usize = 3;

static NONCE: AtomicU64 = AtomicU64::new(0);

/// Coprime to the number of pages: each comes once before any comes again.
const STRIDE: u32 = 7_919;

/// What is asked for.
#[derive(Clone, Copy)]
enum Asked {
    Roots,
    Leaves { root: RootId, pages: u32 },
}

/// Measures.
pub(crate) async fn run(requests: usize, connections: usize, leaves: u32) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let asked = match leaves {
        0 => Asked::Roots,
        leaves => leaf_pages(&house::data(folder.path()), leaves).await?,
    };
    let house = House::start_in(folder)?;
    let agent = house.agent("agent").await?;
    if let Asked::Roots = asked {
        fill(&house, &agent.1).await?;
    }
    let authority = house.url.trim_start_matches("http://").to_owned();
    let answer = once(&authority, asked).await?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare");
    let bare_server = listening(command, &answer)?;
    let bare_authority = bare_server.url.trim_start_matches("http://").to_owned();
    let share = (requests / ROUNDS).max(1);
    let (mut signed, mut bare) = (Vec::new(), Vec::new());
    let before = cpu_ticks(house.pid())?;
    for round in 0..ROUNDS {
        // No round asks for what another one has asked for.
        let first = round * share;
        for (authority, into) in [(&bare_authority, &mut bare), (&authority, &mut signed)] {
            let host = authority.clone();
            into.push(
                load::run(authority, share, connections, move |number| {
                    request(&host, asked, first + number)
                })
                .await?,
            );
        }
    }
    let ticks = cpu_ticks(house.pid())?.saturating_sub(before);
    let micros = ticks * 1_000_000 / rustix::param::clock_ticks_per_second();
    let (signed, bare) = (middle(signed)?, middle(bare)?);
    Ok(json!({
        "workload": "api",
        "n": share * ROUNDS,
        "connections": connections,
        "answer_bytes": answer.len(),
        "server_cpu_us_per_request": micros / u64::try_from(share * ROUNDS)?,
        "rate_per_s": signed.rate_per_s.round(),
        "ceiling_per_s": bare.rate_per_s.round(),
        "ratio": (signed.rate_per_s / bare.rate_per_s * 1_000.0).round() / 1_000.0,
        "p50_ms": signed.p50_ms,
        "p99_ms": signed.p99_ms,
        "ceiling_p50_ms": bare.p50_ms,
        "ceiling_p99_ms": bare.p99_ms,
    }))
}

/// The round of the middle rate.
fn middle(mut rounds: Vec<Figures>) -> anyhow::Result<Figures> {
    rounds.sort_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s));
    let place = rounds.len() / 2;
    rounds.into_iter().nth(place).context("no round")
}

async fn fill(house: &House, uuid: &str) -> anyhow::Result<()> {
    for _ in 0..ROOTS {
        let new = NewTask {
            task_type: TaskType::ClientDevOps,
            param: json!({ "uuids": uuid, "command": "true" }).to_string(),
            source: None,
        };
        let root: model::TaskId = house.client.create_task(&new).await?.task_id.parse()?;
        loop {
            let task = house.client.task(root).await?;
            if task.is_some_and(|it| it.task_end_time.is_some()) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

/// Stores a root of so many leaves, with their hosts, and its results.
async fn leaf_pages(data: &Path, leaves: u32) -> anyhow::Result<Asked> {
    std::fs::create_dir_all(data)?;
    let store = SqliteStore::open(data)?;
    let added = futures_util::stream::iter(0..leaves)
        .map(|number| store.host_add(host(number)))
        .buffered(HOSTS_AT_ONCE);
    added.try_for_each(async |_| Ok(())).await?;
    let now = UnixMillis(now_ms());
    let root = RootId::new(now, [1; 6]);
    let new = new_root(root, TaskType::ClientDevOps, now);
    ended_root(&store, new, leaves, &mut Numbers(5)).await?;
    store.packed().await?;
    store.close().await;
    let pages = leaves.div_ceil(u32::try_from(ROOTS)?);
    Ok(Asked::Leaves { root, pages })
}

/// A host to be stored.
pub(crate) fn host(number: u32) -> NewHost {
    let mut random = [0; 16];
    for (place, byte) in random.iter_mut().zip(number.to_be_bytes()) {
        *place = byte;
    }
    NewHost {
        uuid: HostUuid::from_random(random),
        public_key: [random, random].concat(),
        name: format!("host-{number:07}"),
        group: "default".to_owned(),
        labels: Labels::default(),
        facts: format!(r#"{{"hostname":"host-{number:07}"}}"#),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: UnixMillis(now_ms()),
    }
}

fn request(host: &str, asked: Asked, number: usize) -> anyhow::Result<Request<Empty<Bytes>>> {
    let mut params = vec![("PageSize".to_owned(), ROOTS.to_string())];
    match asked {
        Asked::Roots => {
            let task_type = TaskType::ClientDevOps.wire().to_owned();
            params.push(("TaskType".to_owned(), task_type));
        }
        Asked::Leaves { root, pages } => {
            let place = u32::try_from(number)?.wrapping_mul(STRIDE) % pages;
            params.push(("RootTaskId".to_owned(), root.to_string()));
            params.push(("CurrentPage".to_owned(), (1 + place).to_string()));
        }
    }
    signed(host, "DescribeOnceTask", &params)
}

/// A signed request.
pub(crate) fn signed(
    host: &str,
    action: &str,
    params: &[(String, String)],
) -> anyhow::Result<Request<Empty<Bytes>>> {
    let (access_key_id, secret) = root_key();
    let nonce = format!("bench{}", NONCE.fetch_add(1, Ordering::Relaxed));
    let outgoing = Outgoing {
        method: "POST",
        host,
        action,
        version: "2018-12-03",
        params,
        access_key_id,
        secret,
        security_token: None,
        date_ms: now_ms(),
        nonce: &nonce,
    };
    let outgoing = sign_v3(&outgoing, b"");
    let mut builder = Request::post(format!("/?{}", outgoing.query));
    for (name, value) in &outgoing.headers {
        builder = builder.header(name, value);
    }
    Ok(builder.body(Empty::new())?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "requests are dated by the clock on the wall"
)]
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX))
}

async fn once(authority: &str, asked: Asked) -> anyhow::Result<Vec<u8>> {
    let stream = tokio::net::TcpStream::connect(authority).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request(authority, asked, 0)?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes().to_vec();
    anyhow::ensure!(
        status.is_success(),
        "{status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(body)
}
