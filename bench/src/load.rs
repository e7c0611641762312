//! Requests over several kept connections, as fast as they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came of it.
pub(crate) struct Figures {
    pub(crate) rate_per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Sends `requests` requests over `connections` connections; `make` makes the request of a number.
pub(crate) async fn run(
    authority: &str,
    requests: usize,
    connections: usize,
    make: impl Fn(usize) -> anyhow::Result<Request<Empty<Bytes>>> + Send + Sync + 'static,
) -> anyhow::Result<Figures> {
    let next = Arc::new(AtomicUsize::new(0));
    let make = Arc::new(make);
    let started = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..connections {
        let (next, make, authority) = (Arc::clone(&next), Arc::clone(&make), authority.to_owned());
        workers.push(tokio::spawn(async move {
            let stream = TcpStream::connect(&authority).await?;
            stream.set_nodelay(true)?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return anyhow::Ok(times);
                }
                let request = make(number)?;
                let sent = Instant::now();
                sender.ready().await?;
                let response = sender.send_request(request).await?;
                let status = response.status();
                let body = response.into_body().collect().await?.to_bytes();
                times.push(sent.elapsed());
                if !status.is_success() {
                    bail!("{status}: {}", String::from_utf8_lossy(&body));
                }
            }
        }));
    }
    let mut times = Vec::with_capacity(requests);
    for worker in workers {
        times.extend(worker.await.context("a worker")??);
    }
    let wall = started.elapsed();
    times.sort_unstable();
    Ok(Figures {
        rate_per_s: per_second(times.len(), wall),
        p50_ms: at(&times, 50),
        p99_ms: at(&times, 99),
    })
}

/// So many in that time, as a rate.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn per_second(count: usize, wall: Duration) -> f64 {
    count as f64 / wall.as_secs_f64()
}

/// The time below which `percent` of the sorted times lie, in ms.
pub(crate) fn at(times: &[Duration], percent: usize) -> f64 {
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).map_or(0.0, |it| ms(*it))
}

/// A time in ms.
pub(crate) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// One rate as a part of another.
pub(crate) fn ratio(rate: f64, ceiling: f64) -> f64 {
    (rate / ceiling * 1_000.0).round() / 1_000.0
}
