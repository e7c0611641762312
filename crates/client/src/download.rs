//! Fetching a log bundle from the address that a leaf gives for it.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use model::limits::BUNDLE_BYTES_MAX;

use crate::client::CALL_MS_MAX;
use crate::{Client, Error};

/// Largest refusal that is read, in bytes.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

impl Client {
    /// Writes what is at `url` into `writer` and returns its size in bytes. The address carries its own permission, so nothing is
    /// signed. Only its path and query count: whatever server it names, the control plane is asked, at the address where the API is.
    ///
    /// # Errors
    /// As for a call, and [`Error::NotWritten`]. What has been written by then is incomplete.
    pub async fn download(&self, url: &str, writer: &mut impl Write) -> Result<u64, Error> {
        let endpoint = self.endpoint();
        let target = target(url).ok_or_else(|| bad_address(url))?;
        let mut sender = self.connect(endpoint).await?;
        let request = Request::get(target)
            .header("host", endpoint.authority())
            .body(Full::<Bytes>::default())
            .map_err(|_| bad_address(url))?;
        let response = within_time(self, sender.send_request(request)).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let refusal = within_time(self, Limited::new(body, REFUSAL_BYTES_MAX).collect());
            let refusal = refusal.await?.to_bytes();
            return Err(Error::from_answer(status.as_u16(), None, &refusal));
        }
        let mut size = 0_u64;
        while let Some(frame) = within_time(self, async { body.frame().await.transpose() }).await? {
            let Ok(data) = frame.into_data() else {
                continue;
            };
            size = size.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            if size > BUNDLE_BYTES_MAX {
                return Err(Error::BadAnswer(format!(
                    "the bundle is larger than {BUNDLE_BYTES_MAX} bytes"
                )));
            }
            writer.write_all(&data).map_err(Error::NotWritten)?;
        }
        Ok(size)
    }
}

/// Path and query of an address.
fn target(url: &str) -> Option<String> {
    if url.starts_with('/') {
        return Some(url.to_owned());
    }
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let (_, path) = rest.split_once('/')?;
    Some(format!("/{path}"))
}

fn bad_address(url: &str) -> Error {
    Error::BadAnswer(format!("`{url}` is not an address of a bundle"))
}

/// Time is for each step, not for the whole: bundles are large and lines are slow.
async fn within_time<T, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    client: &Client,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    tokio::time::timeout(Duration::from_millis(CALL_MS_MAX), step)
        .await
        .map_err(|_| client.interrupted("time is up".into()))?
        .map_err(|error| client.interrupted(error.into()))
}
