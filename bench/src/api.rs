//! `api`: signed `DescribeOnceTask` beside a bare route that returns the same bytes.
//!
//! Both are asked with equally signed requests, made by the same client on the same cores, in turn:
//! what differs is what the server does.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use client::NewTask;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use model::TaskType;
use protocol::sign::{Outgoing, sign_v3};
use serde_json::{Value, json};

use crate::house::{House, listening, root_key};
use crate::load::{self, Figures};

/// Roots that are there to be listed.
const ROOTS: usize = 20;
/// Rounds of each kind, in turn.
const ROUNDS: usize = 3;

static NONCE: AtomicU64 = AtomicU64::new(0);

/// Measures.
pub(crate) async fn run(requests: usize, connections: usize) -> anyhow::Result<Value> {
    let house = House::start()?;
    let (_agent, uuid) = house.agent("agent").await?;
    fill(&house, &uuid).await?;
    let authority = house.url.trim_start_matches("http://").to_owned();
    let answer = once(&authority).await?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare");
    let bare_server = listening(command, &answer)?;
    let bare_authority = bare_server.url.trim_start_matches("http://").to_owned();
    let share = (requests / ROUNDS).max(1);
    let (mut signed, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (authority, into) in [(&bare_authority, &mut bare), (&authority, &mut signed)] {
            let host = authority.clone();
            into.push(load::run(authority, share, connections, move |_| request(&host)).await?);
        }
    }
    let (signed, bare) = (middle(signed)?, middle(bare)?);
    Ok(json!({
        "workload": "api",
        "n": share * ROUNDS,
        "connections": connections,
        "answer_bytes": answer.len(),
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

fn request(host: &str) -> anyhow::Result<Request<Empty<Bytes>>> {
    let (access_key_id, secret) = root_key();
    let nonce = format!("bench{}", NONCE.fetch_add(1, Ordering::Relaxed));
    let params = [
        (
            "TaskType".to_owned(),
            TaskType::ClientDevOps.wire().to_owned(),
        ),
        ("PageSize".to_owned(), ROOTS.to_string()),
    ];
    let outgoing = Outgoing {
        method: "POST",
        host,
        action: "DescribeOnceTask",
        version: "2018-12-03",
        params: &params,
        access_key_id,
        secret,
        security_token: None,
        date_ms: now_ms(),
        nonce: &nonce,
    };
    let signed = sign_v3(&outgoing, b"");
    let mut builder = Request::post(format!("/?{}", signed.query));
    for (name, value) in &signed.headers {
        builder = builder.header(name, value);
    }
    Ok(builder.body(Empty::new())?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "requests are dated by the clock on the wall"
)]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX))
}

async fn once(authority: &str) -> anyhow::Result<Vec<u8>> {
    let stream = tokio::net::TcpStream::connect(authority).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request(authority)?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes().to_vec();
    anyhow::ensure!(
        status.is_success(),
        "{status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(body)
}
