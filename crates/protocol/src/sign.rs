//! Who signed a request, and whether it is true.
//!
//! Owns the signatures V1 and V3, in both directions, and the choice between them. Never looks up a
//! key, remembers a nonce or reads a clock: the front door does, between the steps offered here, in
//! the order method, algorithm, common parameters, time, key, token, signature, nonce. Sources: the
//! vendor's signature documents, and captured requests of its clients.

pub mod canonical;
mod digest;
mod v1;
mod v3;

pub use v1::sign_v1;
pub use v3::{SignedV3, sign_v3};

use model::limits::{CLOCK_WINDOW_MS, NONCE_BYTES_MAX};

use crate::error::{Code, Fault};
use crate::params::Params;
use crate::stamp;

/// The media type of a body that holds parameters.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// A request as it arrived. Header names may have any case.
#[derive(Clone, Copy, Debug)]
pub struct RawRequest<'a> {
    /// Upper-case HTTP method.
    pub method: &'a str,
    /// Path of the target.
    pub path: &'a str,
    /// Query of the target, without `?`, not decoded.
    pub query: &'a str,
    /// Headers as `(name, value)` in the order they came, repeated ones included.
    pub headers: &'a [(&'a str, &'a str)],
    /// Whole body, without transfer coding.
    pub body: &'a [u8],
}

impl<'a> RawRequest<'a> {
    /// The trimmed values of a header, one for each time it was sent.
    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(sent, _)| sent.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_matches([' ', '\t']))
    }

    /// The value of a header that must not be repeated; an empty one counts as absent.
    fn value(&self, name: &str) -> Result<Option<&'a str>, Fault> {
        let mut values = self.values(name);
        let first = values.next().filter(|value| !value.is_empty());
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Fault::invalid(name, "must be sent once only")),
        }
    }

    /// The parameters of the query and, if the content type says so, of the body.
    ///
    /// # Errors
    /// See [`Params::parse`]. A body that is no form is refused: the content type need not be signed,
    /// so it must not decide whether signed parameters count.
    pub fn params(&self) -> Result<Params, Fault> {
        let media_type = self.values("content-type").next().unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let is_form = media_type.eq_ignore_ascii_case(FORM_TYPE);
        if !is_form && !self.body.is_empty() {
            let text = "A request body must be application/x-www-form-urlencoded.";
            return Err(Fault::new(Code::InvalidParameter, text));
        }
        Params::parse(self.query, is_form.then_some(self.body))
    }

    /// The access key that the head names, if it names one: in the `Authorization` header or in the query.
    #[must_use]
    pub fn key_in_head(&self) -> Option<String> {
        if let Some(header) = self.authorization() {
            let authorization = v3::Authorization::parse(header).ok()?;
            return Some(authorization.access_key_id);
        }
        let params = Params::parse(self.query, None).ok()?;
        params.get("AccessKeyId").map(str::to_owned)
    }

    fn authorization(&self) -> Option<&'a str> {
        self.values("authorization")
            .find(|value| value.starts_with("ACS3-"))
    }
}

/// How the caller wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json;charset=utf-8`
    Json,
    /// `text/xml;charset=utf-8`
    Xml,
}

impl Format {
    /// What the request asks for, as far as can be told; needed to answer requests that are
    /// refused, too. Callers that put their signature or bearer token into the parameters (V1) get
    /// XML unless they say `Format=JSON`; all others get JSON.
    #[must_use]
    pub fn of(request: &RawRequest<'_>, params: &Params) -> Self {
        let is_v1 = params
            .raw("Signature")
            .or_else(|| params.raw("BearerToken"))
            .is_some();
        match params.get("Format") {
            Some(text) if text.eq_ignore_ascii_case("JSON") => Self::Json,
            Some(text) if text.eq_ignore_ascii_case("XML") => Self::Xml,
            _ if is_v1 && request.authorization().is_none() => Self::Xml,
            _ => Self::Json,
        }
    }

    /// The `Content-Type` of an answer. Clients compare the whole text.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }
}

/// What a caller shows to say who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Anonymous,
    /// A bearer token; nothing is signed.
    Bearer(String),
    /// An access key; see [`Presented::verify`].
    Key {
        /// The key's id.
        id: String,
        /// The token that belongs to a temporary key.
        security_token: Option<String>,
    },
}

impl Credential {
    /// The access key id that is claimed; empty if there is none.
    #[must_use]
    pub fn claimed(&self) -> &str {
        match self {
            Self::Key { id, .. } => id,
            Self::Anonymous | Self::Bearer(_) => "",
        }
    }
}

/// The common parameters of a request. Nothing in it is proven before [`Presented::verify`].
#[derive(Clone, Debug)]
pub struct Presented {
    /// Name of the operation.
    pub action: String,
    /// Version of the API.
    pub version: String,
    /// When the request was made, as sent. Always there if something is signed.
    pub timestamp: Option<String>,
    /// The number used once. Always there if something is signed.
    pub nonce: Option<String>,
    /// How to answer.
    pub format: Format,
    /// Who asks.
    pub credential: Credential,
    proof: Proof,
}

#[derive(Clone, Debug)]
enum Proof {
    None,
    V1 { signature: String },
    V3(v3::Authorization),
}

impl Presented {
    /// Reads who asks for what. The `Authorization` header alone tells V3 from V1, since V1 clients
    /// send `x-acs-action` too.
    ///
    /// # Errors
    /// Method or algorithm not served, a common parameter missing or given twice, credentials out
    /// of shape, or a signature that does not cover what it must.
    pub fn read(request: &RawRequest<'_>, params: &Params) -> Result<Self, Fault> {
        if !matches!(request.method, "GET" | "POST") {
            return Err(Code::UnsupportedHttpMethod.into());
        }
        let presented = if let Some(header) = request.authorization() {
            Self::read_v3(request, params, header)?
        } else if is_signed_v1(params) {
            Self::read_v1(request, params)?
        } else {
            Self::read_unsigned(request, params)?
        };
        if presented
            .nonce
            .as_ref()
            .is_some_and(|nonce| nonce.len() > NONCE_BYTES_MAX)
        {
            let help = format!("must not exceed {NONCE_BYTES_MAX} bytes");
            return Err(Fault::invalid("SignatureNonce", &help));
        }
        match params.get("Format") {
            Some(text)
                if !["JSON", "XML"]
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(text)) =>
            {
                Err(Fault::invalid("Format", "must be JSON or XML"))
            }
            _ => Ok(presented),
        }
    }

    fn read_v3(request: &RawRequest<'_>, params: &Params, header: &str) -> Result<Self, Fault> {
        if request.values("authorization").nth(1).is_some() {
            return Err(Code::IncompleteSignature.into());
        }
        let authorization = v3::Authorization::parse(header)?;
        let required = |name: &str| {
            request
                .value(name)?
                .map(str::to_owned)
                .ok_or_else(|| Fault::missing(name))
        };
        let action = required("x-acs-action")?;
        let version = required("x-acs-version")?;
        let timestamp = required("x-acs-date")?;
        let nonce = required("x-acs-signature-nonce")?;
        required("x-acs-content-sha256")?;
        let security_token = request.value("x-acs-security-token")?.map(str::to_owned);
        let id = authorization.access_key_id.clone();
        if request
            .value("x-acs-accesskey-id")?
            .is_some_and(|other| other != id)
        {
            return Err(Code::IncompleteSignature.into());
        }
        authorization.check_signed_headers(request)?;
        Ok(Self {
            action,
            version,
            timestamp: Some(timestamp),
            nonce: Some(nonce),
            format: Format::of(request, params),
            credential: Credential::Key { id, security_token },
            proof: Proof::V3(authorization),
        })
    }

    fn read_v1(request: &RawRequest<'_>, params: &Params) -> Result<Self, Fault> {
        v1::check_algorithm(params)?;
        let required = |name: &str| params.required(name).map(str::to_owned);
        Ok(Self {
            action: required("Action")?,
            version: required("Version")?,
            timestamp: Some(required("Timestamp")?),
            nonce: Some(required("SignatureNonce")?),
            format: Format::of(request, params),
            credential: Credential::Key {
                id: required("AccessKeyId")?,
                security_token: params.get("SecurityToken").map(str::to_owned),
            },
            proof: Proof::V1 {
                signature: required("Signature")?,
            },
        })
    }

    fn read_unsigned(request: &RawRequest<'_>, params: &Params) -> Result<Self, Fault> {
        params.check_unique()?;
        let common = |name: &str, header: &str| -> Result<Option<String>, Fault> {
            let value = params
                .get(name)
                .map_or_else(|| request.value(header), |value| Ok(Some(value)))?;
            Ok(value.map(str::to_owned))
        };
        let action = common("Action", "x-acs-action")?.ok_or_else(|| Fault::missing("Action"))?;
        let version =
            common("Version", "x-acs-version")?.ok_or_else(|| Fault::missing("Version"))?;
        let credential = match request
            .value("x-acs-bearer-token")?
            .or_else(|| params.get("BearerToken"))
        {
            Some(token) => Credential::Bearer(token.to_owned()),
            None if params.raw("AccessKeyId").is_some() => return Err(Fault::missing("Signature")),
            None => Credential::Anonymous,
        };
        Ok(Self {
            action,
            version,
            timestamp: common("Timestamp", "x-acs-date")?,
            nonce: common("SignatureNonce", "x-acs-signature-nonce")?,
            format: Format::of(request, params),
            credential,
            proof: Proof::None,
        })
    }

    /// Checks the timestamp against our clock, [`CLOCK_WINDOW_MS`] either way. A request without
    /// one (bearer) passes.
    ///
    /// # Errors
    /// `InvalidTimeStamp.Format` or `InvalidTimeStamp.Expired`.
    pub fn check_time(&self, now_ms: i64) -> Result<(), Fault> {
        let Some(text) = &self.timestamp else {
            return Ok(());
        };
        let sent_ms = stamp::parse(text).ok_or(Code::InvalidTimeStampFormat)?;
        match now_ms.checked_sub(sent_ms) {
            Some(age_ms) if (-CLOCK_WINDOW_MS..=CLOCK_WINDOW_MS).contains(&age_ms) => Ok(()),
            _ => Err(Code::InvalidTimeStampExpired.into()),
        }
    }

    /// Checks the signature with the secret of the key, then that no parameter came twice.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch` with what was signed here, so that the caller can find the
    /// difference; `IncompleteSignature` if nothing was signed; `InvalidParameter` for a parameter
    /// given twice.
    pub fn verify(
        &self,
        request: &RawRequest<'_>,
        params: &Params,
        secret: &str,
    ) -> Result<(), Fault> {
        match &self.proof {
            Proof::None => return Err(Code::IncompleteSignature.into()),
            Proof::V1 { signature } => v1::verify(request.method, params, signature, secret)?,
            Proof::V3(authorization) => authorization.verify(request, params, secret)?,
        }
        params.check_unique()
    }
}

/// Some clients put a signature without a key beside a bearer token; the token is what counts then.
fn is_signed_v1(params: &Params) -> bool {
    let is_bearer = params.get("BearerToken").is_some() && params.raw("AccessKeyId").is_none();
    params.raw("Signature").is_some() && !is_bearer
}

/// A request to be signed by our own client. Has no `Debug`, because it holds a secret.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// Upper-case HTTP method.
    pub method: &'a str,
    /// Host as it will be sent, with the port if it is not the scheme's own.
    pub host: &'a str,
    /// Name of the operation.
    pub action: &'a str,
    /// Version of the API.
    pub version: &'a str,
    /// Parameters of the operation.
    pub params: &'a [(String, String)],
    /// Id of the access key.
    pub access_key_id: &'a str,
    /// Secret of the access key.
    pub secret: &'a str,
    /// Token of a temporary key.
    pub security_token: Option<&'a str>,
    /// Now, in unix milliseconds.
    pub date_ms: i64,
    /// A text never used before with this key.
    pub nonce: &'a str,
}

#[cfg(test)]
mod tests;
