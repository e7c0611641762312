//! Signature V1: HMAC-SHA1 over all parameters, itself a parameter.

use data_encoding::BASE64;
use ring::hmac;

use super::digest::same;
use super::{Outgoing, canonical, stamp};
use crate::error::{Code, Fault};
use crate::params::Params;

/// Checks algorithm and version of the signature.
pub(super) fn check_algorithm(params: &Params) -> Result<(), Fault> {
    if params.required("SignatureMethod")? != "HMAC-SHA1" {
        return Err(Code::InvalidSignatureMethod.into());
    }
    match params.required("SignatureVersion")? {
        "1.0" => Ok(()),
        _ => Err(Fault::invalid("SignatureVersion", "must be 1.0")),
    }
}

/// The message has exactly one colon in front of the string: a client in use splits it there.
pub(super) fn verify(
    method: &str,
    params: &Params,
    signature: &str,
    secret: &str,
) -> Result<(), Fault> {
    let signed = params
        .pairs()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let text = string_to_sign(method, signed.filter(|(name, _)| *name != "Signature"));
    if same(&sign(secret, &text), signature) {
        return Ok(());
    }
    Err(Fault::new(
        Code::SignatureDoesNotMatch,
        format!(
            "Specified signature is not matched with our calculation. server string to sign is:{text}"
        ),
    ))
}

fn string_to_sign<'a>(method: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    format!(
        "{method}&%2F&{}",
        canonical::encode(&canonical::query(pairs))
    )
}

fn sign(secret: &str, text: &str) -> String {
    let key = hmac::Key::new(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        format!("{secret}&").as_bytes(),
    );
    BASE64.encode(hmac::sign(&key, text.as_bytes()).as_ref())
}

/// The encoded parameters of a request with signature V1, for the query or for a form body.
#[must_use]
pub fn sign_v1(request: &Outgoing<'_>) -> String {
    let date = stamp::format(request.date_ms);
    let common = [
        ("Action", request.action),
        ("Version", request.version),
        ("Format", "JSON"),
        ("AccessKeyId", request.access_key_id),
        ("Timestamp", &date),
        ("SignatureNonce", request.nonce),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
    ];
    let mut pairs: Vec<(&str, &str)> = request
        .params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    pairs.extend(common);
    pairs.extend(request.security_token.map(|token| ("SecurityToken", token)));
    let signature = sign(
        request.secret,
        &string_to_sign(request.method, pairs.iter().copied()),
    );
    pairs.push(("Signature", &signature));
    canonical::query(pairs)
}
