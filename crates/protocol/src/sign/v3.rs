//! Signature V3: an `Authorization` header over method, query, chosen headers and the hash of the
//! body.

use super::digest::{Hash, same};
use super::{Outgoing, RawRequest, canonical, stamp};
use crate::error::{Code, Fault};
use crate::params::Params;

/// Headers that must be signed. `content-type` is not among them: a client in use leaves it out.
const SIGNED_ALWAYS: [&str; 6] = [
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
];

/// Headers that must be signed if they are sent.
const SIGNED_IF_SENT: [&str; 1] = ["x-acs-security-token"];

/// The parts of an `Authorization` header.
#[derive(Clone, Debug)]
pub(super) struct Authorization {
    hash: Hash,
    pub(super) access_key_id: String,
    signed_headers: String,
    signature: String,
}

impl Authorization {
    /// Takes `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…` apart.
    pub(super) fn parse(header: &str) -> Result<Self, Fault> {
        let (algorithm, rest) = header.split_once(' ').unwrap_or((header, ""));
        let hash = match algorithm {
            "ACS3-HMAC-SHA256" => Hash::Sha256,
            "ACS3-HMAC-SM3" => Hash::Sm3,
            _ => return Err(Code::InvalidSignatureMethod.into()),
        };
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part
                .trim()
                .split_once('=')
                .ok_or(Code::IncompleteSignature)?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(Code::IncompleteSignature.into()),
            };
            if value.is_empty() || slot.replace(value.to_owned()).is_some() {
                return Err(Code::IncompleteSignature.into());
            }
        }
        let (Some(access_key_id), Some(signed_headers), Some(signature)) =
            (credential, signed_headers, signature)
        else {
            return Err(Code::IncompleteSignature.into());
        };
        Ok(Self {
            hash,
            access_key_id,
            signed_headers,
            signature,
        })
    }

    /// Checks that the list is in order and covers what must be covered.
    pub(super) fn check_signed_headers(&self, request: &RawRequest<'_>) -> Result<(), Fault> {
        let names: Vec<&str> = self.signed_headers.split(';').collect();
        let sorted = names.is_sorted_by(|left, right| left < right);
        if !sorted
            || names
                .iter()
                .any(|name| name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()))
        {
            return Err(incomplete(
                "SignedHeaders must be lower-case names in order, each once",
            ));
        }
        let wanted = SIGNED_IF_SENT
            .into_iter()
            .filter(|name| request.values(name).next().is_some());
        for name in SIGNED_ALWAYS.into_iter().chain(wanted) {
            if !names.contains(&name) {
                return Err(incomplete(&format!("The header {name} must be signed")));
            }
        }
        Ok(())
    }

    pub(super) fn verify(
        &self,
        request: &RawRequest<'_>,
        params: &Params,
        secret: &str,
    ) -> Result<(), Fault> {
        let body_hash = self.hash.hex(request.body);
        if request.value("x-acs-content-sha256")? != Some(body_hash.as_str()) {
            return Err(Fault::new(
                Code::SignatureDoesNotMatch,
                format!(
                    "The header x-acs-content-sha256 does not match the body, whose hash is {body_hash}."
                ),
            ));
        }
        let query = canonical::query(
            params
                .query_pairs()
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let mut headers = String::new();
        for name in self.signed_headers.split(';') {
            let mut values: Vec<&str> = request.values(name).collect();
            values.sort_unstable();
            headers.extend([name, ":", &values.join(","), "\n"]);
        }
        let path = if request.path.is_empty() {
            "/"
        } else {
            request.path
        };
        let canonical = [
            request.method,
            path,
            &query,
            &headers,
            &self.signed_headers,
            &body_hash,
        ]
        .join("\n");
        let (text, expected) = sign(self.hash, secret, &canonical);
        if same(&expected, &self.signature) {
            return Ok(());
        }
        Err(Fault::new(
            Code::SignatureDoesNotMatch,
            format!(
                "Specified signature does not match our calculation. server StringToSign is [`{text}`] \
                 server CanonicalRequest is [`{canonical}`]"
            ),
        ))
    }
}

fn incomplete(what: &str) -> Fault {
    Fault::new(
        Code::IncompleteSignature,
        format!("{} {what}.", Code::IncompleteSignature.sentence()),
    )
}

/// The string to sign and its signature.
fn sign(hash: Hash, secret: &str, canonical: &str) -> (String, String) {
    let algorithm = match hash {
        Hash::Sha256 => "ACS3-HMAC-SHA256",
        Hash::Sm3 => "ACS3-HMAC-SM3",
    };
    let text = format!("{algorithm}\n{}", hash.hex(canonical.as_bytes()));
    let signature = hash.hmac_hex(secret.as_bytes(), text.as_bytes());
    (text, signature)
}

/// A request as it goes out: the query to put behind `/?`, and the headers to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedV3 {
    /// The query string without `?`; empty if there are no parameters.
    pub query: String,
    /// `host`, `x-acs-*` and `authorization` as `(name, value)`, names in lower case;
    /// `content-type` if there is a body.
    pub headers: Vec<(String, String)>,
}

/// Signs a request with V3 (ACS3-HMAC-SHA256): the parameters in the query, `body` as it is (a
/// form).
#[must_use]
pub fn sign_v3(request: &Outgoing<'_>, body: &[u8]) -> SignedV3 {
    let query = canonical::query(
        request
            .params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let body_hash = Hash::Sha256.hex(body);
    let date = stamp::format(request.date_ms);
    let mut headers = vec![
        ("host", request.host),
        ("x-acs-action", request.action),
        ("x-acs-content-sha256", &body_hash),
        ("x-acs-date", &date),
        ("x-acs-signature-nonce", request.nonce),
        ("x-acs-version", request.version),
    ];
    if !body.is_empty() {
        headers.push(("content-type", super::FORM_TYPE));
    }
    if let Some(token) = request.security_token {
        headers.extend([
            ("x-acs-security-token", token),
            ("x-acs-accesskey-id", request.access_key_id),
        ]);
    }
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .flat_map(|(name, value)| [*name, ":", value.trim(), "\n"])
        .collect();
    let canonical = [request.method, "/", &query, &lines, &names, &body_hash].join("\n");
    let (_, signature) = sign(Hash::Sha256, request.secret, &canonical);
    let authorization = format!(
        "ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature={signature}",
        request.access_key_id
    );
    headers.push(("authorization", &authorization));
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    SignedV3 { query, headers }
}
