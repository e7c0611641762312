//! Secrets that are known by their shape alone.

use super::value::Span;

/// Beginnings of tokens, and how many word bytes follow at least.
const PREFIXES: [(&str, usize); 15] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("LTAI", 12),
    ("STS.", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xoxs-", 10),
];
/// Base64 of JSON, `{"…`: a web token, or the `-b` argument of a manual check.
const JSON_IN_BASE64: &str = "eyJ";
/// Shortest such text that is taken for a secret, in bytes.
const JSON_BYTES_MIN: usize = 32;

/// Whether a word is a secret by itself.
pub(super) fn is_secret(word: &str) -> bool {
    let known = PREFIXES.iter().any(|(prefix, more)| {
        word.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() >= *more)
    });
    known || word.starts_with(JSON_IN_BASE64) && word.len() >= JSON_BYTES_MIN
}

/// Bytes of Base64 in both alphabets, and the dots of a web token.
pub(super) const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'.')
}

/// The body of the private key in PEM whose first or last line starts at `start`. A key that is cut
/// off loses all that is left of it: text behind a lone first line, keyish text before a lone last.
/// Text before `kept` is done with.
pub(super) fn private_key(text: &str, start: usize, kept: usize) -> Option<Span> {
    let rest = text.get(start..)?;
    let label = rest.trim_start_matches('-').split("-----").next()?;
    if label.len() > 60 || !label.ends_with("PRIVATE KEY") {
        return None;
    }
    if label.starts_with("BEGIN ") {
        let body = start + 5 + label.len() + 5;
        let end = text.get(body..)?.find("-----END ");
        return Some(Span {
            start: body,
            end: end.map_or(text.len(), |it| body + it),
        });
    }
    let before = text.get(kept..start)?;
    let is_body = |it: char| {
        u8::try_from(it).is_ok_and(|it| is_base64(it) || matches!(it, b'\n' | b'\r' | b'\\'))
    };
    let body = before.trim_end_matches(is_body);
    let span = Span {
        start: kept + body.len(),
        end: start,
    };
    (label.starts_with("END ") && span.end > span.start + 1).then_some(span)
}
