//! The call: signed, sent over a connection that is kept, answered or refused.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use protocol::api::VERSION;
use protocol::endpoint::Endpoint;
use protocol::sign::{Outgoing, canonical, sign_v3};
use protocol::tls::Fingerprint;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::ClientConfig;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::connection::{self, Sender, Source};

/// Time that a call may take, in ms.
pub(crate) const CALL_MS_MAX: u64 = 60_000;
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Where to call, and as whom.
#[derive(Clone)]
pub struct Config {
    /// The control plane.
    pub endpoint: Endpoint,
    /// Id of the access key.
    pub access_key_id: String,
    /// Secret of the access key.
    pub access_key_secret: String,
    /// The token of a temporary key.
    pub security_token: Option<String>,
    /// The one certificate to trust; `None`: what this host trusts.
    pub pin: Option<Fingerprint>,
}

/// A client of one control plane. Calls may run side by side; one connection is kept between them.
pub struct Client {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
    idle: Mutex<Option<Sender>>,
}

impl Client {
    /// Makes a client. Connects at the first call.
    ///
    /// # Errors
    /// [`Error::Tls`]: the server needs TLS and this host has no roots to trust.
    pub fn new(config: Config) -> Result<Self, Error> {
        let tls = config
            .endpoint
            .tls
            .then(|| protocol::tls::client_config(config.pin))
            .transpose()?;
        Ok(Self {
            config,
            tls,
            idle: Mutex::new(None),
        })
    }

    /// The control plane's address.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.config.endpoint
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// [`Error`] says what can be done about it.
    pub async fn call<T: DeserializeOwned>(
        &self,
        action: &str,
        params: &[(&str, String)],
    ) -> Result<T, Error> {
        let repeats = if only_reads(action) {
            Repeats::Refused
        } else {
            Repeats::Never
        };
        self.call_with(action, params, repeats).await
    }

    /// Calls an operation with a token by which the server knows a repetition: until an answer comes, so that what
    /// may have been done is not done twice and not left unknown.
    ///
    /// # Errors
    /// [`Error`] says what can be done about it.
    pub(crate) async fn call_once_only<T: DeserializeOwned>(
        &self,
        action: &str,
        params: &[(&str, String)],
    ) -> Result<T, Error> {
        self.call_with(action, params, Repeats::Always).await
    }

    async fn call_with<T: DeserializeOwned>(
        &self,
        action: &str,
        params: &[(&str, String)],
        repeats: Repeats,
    ) -> Result<T, Error> {
        let body = self.answer(action, params, repeats).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Error::BadAnswer(format!("{action} answered with {error}")))
    }

    /// Calls an operation; the answer as it came, `RequestId` included.
    ///
    /// # Errors
    /// [`Error`] says what can be done about it.
    pub async fn call_value(
        &self,
        action: &str,
        params: &[(&str, String)],
    ) -> Result<Value, Error> {
        self.call(action, params).await
    }

    async fn answer(
        &self,
        action: &str,
        params: &[(&str, String)],
        repeats: Repeats,
    ) -> Result<Bytes, Error> {
        let mut retries = 0;
        let mut unknown = None;
        loop {
            let error = match self.call_once(action, params).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let Some(pause) = error.retry_pause(retries) else {
                return Err(unknown.unwrap_or(error));
            };
            match (error, repeats) {
                (Error::Throttled { .. }, Repeats::Refused | Repeats::Always) => {}
                (error @ Error::Interrupted { .. }, Repeats::Always) => unknown = Some(error),
                // It may have been done before the server went away.
                (Error::Unreachable { .. }, Repeats::Always) if unknown.is_some() => {}
                (error, _) => return Err(unknown.unwrap_or(error)),
            }
            tokio::time::sleep(pause).await;
            retries += 1;
        }
    }

    async fn call_once(&self, action: &str, params: &[(&str, String)]) -> Result<Bytes, Error> {
        let exchange = async {
            let (mut sender, response) = self.send(action, params).await?;
            let status = response.status();
            let retry_after_ms = response
                .headers()
                .get("x-acs-retry-after")
                .and_then(|value| value.to_str().ok()?.parse().ok());
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(|it| self.interrupted(it))?;
            if sender.ready().await.is_ok() {
                *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
            }
            let body = body.to_bytes();
            if status.is_success() {
                Ok(body)
            } else {
                Err(Error::from_answer(status.as_u16(), retry_after_ms, &body))
            }
        };
        tokio::time::timeout(Duration::from_millis(CALL_MS_MAX), exchange)
            .await
            .unwrap_or_else(|_| Err(self.interrupted("time is up".into())))
    }

    /// Sends over the kept connection, or a new one. A kept one may have been closed by the server meanwhile: then a new one is
    /// made, once, if nothing can have been done yet or reading is all there is to do.
    async fn send(
        &self,
        action: &str,
        params: &[(&str, String)],
    ) -> Result<(Sender, Response<Incoming>), Error> {
        let kept = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(self.signed(action, params)?).await {
                Ok(response) => return Ok((sender, response)),
                Err(mut error) => {
                    let was_sent = error.take_message().is_none();
                    if was_sent && !only_reads(action) {
                        return Err(self.interrupted(error.into_error().into()));
                    }
                }
            }
        }
        let mut sender = self.connect(self.endpoint()).await?;
        let request = self.signed(action, params)?;
        match sender.send_request(request).await {
            Ok(response) => Ok((sender, response)),
            Err(error) => Err(self.interrupted(error.into())),
        }
    }

    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<Sender, Error> {
        connection::connect(endpoint, self.tls.as_ref())
            .await
            .map_err(|source| Error::Unreachable {
                endpoint: endpoint.to_string(),
                source,
            })
    }

    pub(crate) fn interrupted(&self, source: Source) -> Error {
        Error::Interrupted {
            endpoint: self.endpoint().to_string(),
            source,
        }
    }

    /// A new request with its own time and nonce: a repeated one is refused.
    fn signed(
        &self,
        action: &str,
        params: &[(&str, String)],
    ) -> Result<Request<Full<Bytes>>, Error> {
        let body = canonical::query(params.iter().map(|(name, value)| (*name, value.as_str())));
        let signed = sign_v3(
            &Outgoing {
                method: "POST",
                host: &self.endpoint().authority(),
                action,
                version: VERSION,
                params: &[],
                access_key_id: &self.config.access_key_id,
                secret: &self.config.access_key_secret,
                security_token: self.config.security_token.as_deref(),
                date_ms: now_ms(),
                nonce: &nonce()?,
            },
            body.as_bytes(),
        );
        let mut request = Request::post("/").header("accept", "application/json");
        for (name, value) in &signed.headers {
            request = request.header(name, value);
        }
        request
            .body(Full::from(body))
            .map_err(|_| Error::Unsendable)
    }
}

/// When a call is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    /// It might do twice what it does.
    Never,
    /// If the server says that it was too much at once: it only reads.
    Refused,
    /// Also if no answer came: the server knows the repetition.
    Always,
}

/// Whether an operation only reads, so that sending it twice does no harm.
fn only_reads(action: &str) -> bool {
    ["Describe", "Get", "List"]
        .iter()
        .any(|verb| action.starts_with(verb))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the signature's time is this machine's; nothing is decided by it on this side"
)]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since
        .ok()
        .and_then(|it| i64::try_from(it.as_millis()).ok())
        .unwrap_or_default()
}

pub(crate) fn nonce() -> Result<String, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::NoRandom)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests;
