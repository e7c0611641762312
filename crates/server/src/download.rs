//! What is fetched without a signature: bundles by their signed address, the checker, health.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_util::stream;
use model::{UnixMillis, limits};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;

use crate::app::{App, Peer};
use crate::gateway::{Purpose, plain};
use crate::service::Denied;

/// The signed part of a bundle's address.
#[derive(Deserialize)]
pub(crate) struct Signed {
    #[serde(rename = "Expires")]
    expires: i64,
    #[serde(rename = "Signature")]
    signature: String,
}

/// A log bundle.
pub(crate) async fn bundle(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(signed): Query<Signed>,
) -> Response<Body> {
    let leaf = name.strip_suffix(".tar.gz").and_then(|it| it.parse().ok());
    let Some(leaf) = leaf else {
        return plain(StatusCode::NOT_FOUND, "no such bundle\n");
    };
    let now = app.clock.now();
    match app
        .bundles
        .download(leaf, signed.expires, &signed.signature, now)
        .await
    {
        Ok((file, size)) => attachment(&name, size, chunks(file)),
        Err(Denied::NotGenuine) => plain(
            StatusCode::FORBIDDEN,
            "this address was not made by this control plane: ask for the task again\n",
        ),
        Err(Denied::Expired) => plain(
            StatusCode::FORBIDDEN,
            "this address has expired: ask for the task again\n",
        ),
        Err(Denied::Gone) => plain(StatusCode::NOT_FOUND, "this bundle is no longer kept\n"),
    }
}

fn chunks(file: File) -> Body {
    Body::from_stream(stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut piece = vec![0; 64 << 10];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(piece), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    }))
}

/// The stand-alone checker.
pub(crate) async fn checker(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
) -> Response<Body> {
    let Extension(peer) = peer.unwrap_or_default();
    let (rates, now) = (&app.gateway.rates, app.clock.now());
    if let Err(wait_ms) = rates.take_address(Purpose::Download, peer.address, now) {
        let text = "too many downloads from this address: try again later\n";
        let mut response = plain(StatusCode::TOO_MANY_REQUESTS, text);
        let seconds = u64::try_from(wait_ms).unwrap_or_default().div_ceil(1_000);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
        return response;
    }
    match app.checker.program().await {
        Ok(program) => {
            let size = u64::try_from(program.bytes.len()).unwrap_or_default();
            attachment("sickbay-agent", size, Body::from(program.bytes.clone()))
        }
        Err(error) => {
            tracing::error!(%error, "the checker cannot be read");
            plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "this node has no checker to hand out\n",
            )
        }
    }
}

fn attachment(name: &str, size: u64, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_LENGTH, size.into());
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Whether the node can work, looked at once in a while: every look is a write.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    last: Mutex<Option<(UnixMillis, bool)>>,
}

impl Readiness {
    /// What was seen in the last [`limits::READY_MS`], or is seen now.
    async fn look(&self, now: UnixMillis, look: impl Future<Output = bool>) -> bool {
        // Those who ask meanwhile wait for the same answer.
        let mut last = self.last.lock().await;
        if let Some((at, is_ready)) = *last
            && (0..limits::READY_MS).contains(&now.since(at))
        {
            return is_ready;
        }
        let is_ready = look.await;
        *last = Some((now, is_ready));
        is_ready
    }
}

/// Whether the node can work: its store answers and can write.
pub(crate) async fn ready(State(app): State<App>) -> Response<Body> {
    let ping = async {
        let ping = app.store.ping().await;
        if let Err(error) = &ping {
            tracing::warn!(error = error as &dyn std::error::Error, "not ready");
        }
        ping.is_ok()
    };
    if app.readiness.look(app.clock.now(), ping).await {
        return plain(StatusCode::OK, "ready\n");
    }
    plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "the store does not answer or cannot write\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_is_looked_at_once_a_second() {
        let readiness = Readiness::default();
        let at = |ms| UnixMillis(1_000_000).plus(ms);
        let never = async || panic!("looked again");
        assert!(readiness.look(at(0), async { true }).await);
        assert!(readiness.look(at(limits::READY_MS - 1), never()).await);
        assert!(!readiness.look(at(limits::READY_MS), async { false }).await);
        assert!(!readiness.look(at(limits::READY_MS), never()).await);
        assert!(
            readiness.look(at(0), async { true }).await,
            "a clock set back"
        );
    }
}
