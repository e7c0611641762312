//! Why a call did not succeed, told apart by what the caller can do about it.

use std::fmt;
use std::time::Duration;

use protocol::error::Code;
use serde::Deserialize;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection. Nothing was done.
    #[error("the control plane at {endpoint} cannot be reached")]
    Unreachable {
        /// The address that was tried.
        endpoint: String,
        /// What the network or TLS said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke, or time was up, before the answer had come. What was asked may have been done.
    #[error(
        "no answer came from {endpoint}, and what was asked may have been done: look before you repeat it"
    )]
    Interrupted {
        /// The address.
        endpoint: String,
        /// What the network said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The access key, its secret, its token or the clock is wrong.
    #[error("not authenticated: {0}")]
    NotAuthenticated(Refusal),
    /// The caller is known and may not do this.
    #[error("not permitted: {0}")]
    Forbidden(Refusal),
    /// The request cannot be carried out as it is.
    #[error("{0}")]
    Invalid(Refusal),
    /// Too much at once, or not just now. Nothing was done.
    #[error("{refusal}")]
    Throttled {
        /// What the server said.
        refusal: Refusal,
        /// When to try again, in ms from now, if the server said so.
        retry_after_ms: Option<u64>,
    },
    /// A fault of the server; its log has the cause under the request id.
    #[error("the control plane failed: {0}")]
    Server(Refusal),
    /// What came is not an answer of this API: is something else listening there?
    #[error("the answer cannot be understood: {0}")]
    BadAnswer(String),
    /// What was downloaded cannot be written on this side.
    #[error("the download cannot be written")]
    NotWritten(#[source] std::io::Error),
    /// The access key, the token or the operation's name has characters that no header can carry.
    #[error("the access key, the token or the operation's name has characters that cannot be sent")]
    Unsendable,
    /// This machine gives no random numbers.
    #[error("this machine gives no random numbers, without which no call can be signed")]
    NoRandom,
    /// No trust can be set up on this host.
    #[error(transparent)]
    Tls(#[from] protocol::tls::Error),
}

/// What the server said when it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Refusal {
    /// The code, such as `InvalidParameter`.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// Under which the server's log has the request.
    pub request_id: String,
    /// Who lacked which permission.
    pub access_denied_detail: Option<Box<Denied>>,
}

/// Who lacked which permission.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Denied {
    /// What was asked, as policies spell it.
    pub auth_action: String,
    /// Who asked.
    pub auth_principal_display_name: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What the server signed is for whoever writes a client; it would bury the sentence.
        let sentence = match self.message.split_once(" server StringToSign is") {
            Some((sentence, _)) => sentence,
            None => self.message.lines().next().unwrap_or_default(),
        };
        f.write_str(sentence)?;
        if let Some(denied) = &self.access_denied_detail {
            let who = &denied.auth_principal_display_name;
            write!(f, ": {who} lacks {}", denied.auth_action)?;
        }
        write!(f, " ({}, request {})", self.code, self.request_id)
    }
}

/// Longest pause before a call is repeated, in ms.
const RETRY_PAUSE_MS_MAX: u64 = 5_000;
/// Times that a call is repeated.
const RETRIES_MAX: u32 = 4;

impl Error {
    /// The error that an answer with this HTTP status and body stands for.
    pub(crate) fn from_answer(status: u16, retry_after_ms: Option<u64>, body: &[u8]) -> Self {
        let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
            return Self::BadAnswer(format!(
                "HTTP status {status} with a body that is no error of this API"
            ));
        };
        match Code::from_wire(&refusal.code) {
            Some(code) if code.is_retryable() => Self::Throttled {
                refusal,
                retry_after_ms,
            },
            Some(
                Code::SignatureDoesNotMatch
                | Code::IncompleteSignature
                | Code::SignatureNonceUsed
                | Code::InvalidTimeStampExpired
                | Code::InvalidTimeStampFormat
                | Code::InvalidSignatureMethod
                | Code::InvalidAccessKeyIdNotFound
                | Code::InvalidAccessKeyIdInactive
                | Code::MissingSecurityToken
                | Code::InvalidSecurityTokenExpired
                | Code::InvalidSecurityTokenMalformed
                | Code::InvalidSecurityTokenMismatch,
            ) => Self::NotAuthenticated(refusal),
            Some(Code::NoPermission | Code::ForbiddenRam) => Self::Forbidden(refusal),
            _ if status == 429 || status == 503 => Self::Throttled {
                refusal,
                retry_after_ms,
            },
            _ if status >= 500 => Self::Server(refusal),
            _ => Self::Invalid(refusal),
        }
    }

    /// How long to wait before the same is sent again after `retries` retries, where that may help; `None`: give up.
    pub(crate) fn retry_pause(&self, retries: u32) -> Option<Duration> {
        let asked_ms = match self {
            Self::Throttled { retry_after_ms, .. } => *retry_after_ms,
            Self::Interrupted { .. } | Self::Unreachable { .. } => None,
            _ => return None,
        };
        let doubled = 200_u64 << retries.min(8);
        let pause_ms = asked_ms.unwrap_or(doubled).min(RETRY_PAUSE_MS_MAX);
        (retries < RETRIES_MAX).then(|| Duration::from_millis(pause_ms))
    }

    /// What the server said, if it was the server that refused.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::NotAuthenticated(refusal)
            | Self::Forbidden(refusal)
            | Self::Invalid(refusal)
            | Self::Throttled { refusal, .. }
            | Self::Server(refusal) => Some(refusal),
            Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::BadAnswer(_)
            | Self::NotWritten(_)
            | Self::Unsendable
            | Self::NoRandom
            | Self::Tls(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, code: &str) -> Error {
        let body = format!("{{\"Code\":\"{code}\",\"Message\":\"Why.\",\"RequestId\":\"R\"}}");
        Error::from_answer(status, None, body.as_bytes())
    }

    #[test]
    fn errors_say_what_the_caller_can_do() {
        let is = |error: &Error| match error {
            Error::NotAuthenticated(_) => "key",
            Error::Forbidden(_) => "policy",
            Error::Invalid(_) => "request",
            Error::Throttled { .. } => "later",
            Error::Server(_) => "server",
            _ => "other",
        };
        for (status, code, expected) in [
            (404, "InvalidAccessKeyId.NotFound", "key"),
            (400, "SignatureDoesNotMatch", "key"),
            (400, "InvalidTimeStamp.Expired", "key"),
            (403, "NoPermission", "policy"),
            (400, "MissingParameter", "request"),
            (404, "EntityNotExist", "request"),
            (400, "SomethingNew", "request"),
            (400, "Throttling.User", "later"),
            (503, "SomethingNew", "later"),
            (500, "ServerError", "server"),
        ] {
            assert_eq!(is(&error(status, code)), expected, "{code}");
        }
        assert!(matches!(
            Error::from_answer(502, None, b"<html>"),
            Error::BadAnswer(_)
        ));
    }

    #[test]
    fn a_lacking_permission_is_named() {
        let body = br#"{"Code":"NoPermission","Message":"caller has no permission","RequestId":"R",
            "AccessDeniedDetail":{"AuthAction":"sickbay:RemoveHost","AuthPrincipalDisplayName":"ann"}}"#;
        assert_eq!(
            Error::from_answer(403, None, body).to_string(),
            "not permitted: caller has no permission: ann lacks sickbay:RemoveHost (NoPermission, request R)"
        );
    }

    #[test]
    fn only_what_may_succeed_later_is_repeated_and_not_forever() {
        let throttled = error(400, "Throttling");
        assert_eq!(throttled.retry_pause(0), Some(Duration::from_millis(200)));
        assert_eq!(throttled.retry_pause(RETRIES_MAX), None);
        assert_eq!(error(500, "ServerError").retry_pause(0), None);
        let asked = Error::Throttled {
            refusal: Refusal::default(),
            retry_after_ms: Some(3_600_000),
        };
        assert_eq!(asked.retry_pause(0), Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_wrong_secret_is_one_line() {
        let refusal = Refusal {
            code: "SignatureDoesNotMatch".to_owned(),
            message: "Specified signature does not match our calculation. server StringToSign is [`a\nb`]"
                .to_owned(),
            request_id: "R".to_owned(),
            ..Refusal::default()
        };
        assert_eq!(
            Error::NotAuthenticated(refusal).to_string(),
            "not authenticated: Specified signature does not match our calculation. (SignatureDoesNotMatch, request R)"
        );
    }
}
