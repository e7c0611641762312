//! Secrets that are known by their shape alone.

use super::{Span, take};

/// Beginnings of tokens, and how many word bytes follow at least.
const PREFIXES: [(&str, usize); 60] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("LTAI", 12),
    ("STS.", 16),
    ("SBT.", 16),
    ("BEARER.", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("gldt-", 16),
    ("glrt-", 16),
    ("glptt-", 16),
    ("glcbt-", 16),
    ("xoxa-", 10),
    ("xoxb-", 10),
    ("xoxc-", 10),
    ("xoxd-", 10),
    ("xoxe-", 10),
    ("xoxe.", 10),
    ("xoxo-", 10),
    ("xoxp-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("sk_live_", 10),
    ("sk_test_", 10),
    ("rk_live_", 10),
    ("rk_test_", 10),
    ("whsec_", 16),
    ("sk-ant-", 16),
    ("sk-proj-", 16),
    ("SG.", 16),
    ("AIza", 24),
    ("ya29.", 16),
    ("GOCSPX-", 16),
    ("hvs.", 16),
    ("hvb.", 16),
    ("hvr.", 16),
    ("npm_", 20),
    ("pypi-AgE", 16),
    ("rubygems_", 20),
    ("dckr_pat_", 16),
    ("dop_v1_", 20),
    ("shpat_", 16),
    ("shpss_", 16),
    ("sq0atp-", 16),
    ("sq0csp-", 16),
    ("lin_api_", 16),
    ("PMAK-", 20),
    ("NRAK-", 20),
    ("ATATT3", 20),
    ("hf_", 30),
    ("gsk_", 30),
    ("nvapi-", 20),
    ("AGE-SECRET-KEY-1", 20),
    ("tskey-", 16),
];
/// Base64 of JSON, `{"…`: a web token, or the `-b` argument of a manual check.
const JSON_IN_BASE64: &str = "eyJ";
/// Shortest such text that is taken for a secret, in bytes.
const JSON_BYTES_MIN: usize = 32;
/// Base64 of `-----BEGIN `.
const PEM_IN_BASE64: &str = "LS0tLS1CRUdJTi";
/// Beginnings of hashes of passwords, as crypt(3) and others make them.
const HASHES: [&str; 18] = [
    "$1$",
    "$2a$",
    "$2b$",
    "$2x$",
    "$2y$",
    "$5$",
    "$6$",
    "$7$",
    "$y$",
    "$gy$",
    "$sha1$",
    "$apr1$",
    "$argon2i$",
    "$argon2d$",
    "$argon2id$",
    "$scrypt$",
    "$pbkdf2",
    "$8$",
];
/// Shortest such hash, in bytes.
const HASH_BYTES_MIN: usize = 20;
/// Most lines of a private key of PuTTY.
const PUTTY_LINES_MAX: usize = 200;

/// The secret that starts with the word at `start`, known by how it begins.
pub(super) fn secret(text: &str, word: &str, start: usize) -> Option<Span> {
    let begins = |(prefix, more): &(&str, usize)| {
        word.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() >= *more)
    };
    let is_known = PREFIXES.iter().any(begins)
        || (word.starts_with(JSON_IN_BASE64) && word.len() >= JSON_BYTES_MIN)
        || word.starts_with(PEM_IN_BASE64)
        || is_postgres_hash(word);
    is_known.then(|| Span {
        start,
        end: start + take(text, start, is_base64).len().max(word.len()),
    })
}

/// `md5` and 32 hexadecimal digits.
fn is_postgres_hash(word: &str) -> bool {
    word.strip_prefix("md5")
        .is_some_and(|it| it.len() == 32 && it.bytes().all(|it| it.is_ascii_hexdigit()))
}

/// Bytes of Base64 in both alphabets, and the dots of a web token.
pub(super) const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'.')
}

/// The hash of a password that starts at `start`, with a `$` or `{SSHA}`.
pub(super) fn hash(text: &str, start: usize) -> Option<Span> {
    let rest = text.get(start..)?;
    let is_hash = |it: u8| is_base64(it) || matches!(it, b'$' | b',' | b':');
    let scheme = [
        "{SSHA}",
        "{SHA}",
        "{SSHA256}",
        "{SSHA512}",
        "{CRYPT}",
        "{MD5}",
        "{SMD5}",
    ]
    .into_iter()
    .find(|it| rest.starts_with(it));
    let start = match scheme {
        Some(scheme) => start + scheme.len(),
        None => {
            HASHES.iter().find(|it| rest.starts_with(*it))?;
            start
        }
    };
    let length = text
        .get(start..)?
        .split(':')
        .next()?
        .bytes()
        .take_while(|it| is_hash(*it))
        .count();
    (length >= HASH_BYTES_MIN).then_some(Span {
        start,
        end: start + length,
    })
}

/// What stands between the dashes of a line of PEM, if it is the first or last of a private key.
fn private_label(rest: &str) -> Option<&str> {
    let label = rest.trim_start_matches('-').split("-----").next()?;
    (label.len() <= 60 && label.contains("PRIVATE KEY")).then_some(label)
}

/// Whether a private key in PEM begins here, with its first line.
pub(super) fn begins_key(rest: &str) -> bool {
    rest.strip_prefix("-----BEGIN ")
        .and_then(|it| it.get(..it.len().min(70)).or_else(|| it.get(..60)))
        .is_some_and(|it| private_label(it).is_some())
}

/// The body of the private key in PEM whose first or last line starts at `start`. A key that is cut
/// off loses all that is left of it: text behind a lone first line, keyish text before a lone last.
/// Text before `kept` is done with.
pub(super) fn private_key(text: &str, start: usize, kept: usize) -> Option<Span> {
    let rest = text.get(start..)?;
    let label = private_label(rest)?;
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

/// The lines of Base64 behind `Private-Lines`, which ends at `end`, in a key of PuTTY.
pub(super) fn putty(text: &str, end: usize) -> Option<Span> {
    let rest = text.get(end..)?.strip_prefix(':')?;
    let start = end + 1 + rest.find('\n')? + 1;
    let mut length = 0;
    for line in text
        .get(start..)?
        .split_inclusive('\n')
        .take(PUTTY_LINES_MAX)
    {
        let body = line.trim_end();
        if body.is_empty() || !body.bytes().all(is_base64) {
            break;
        }
        length += line.len();
    }
    let body = text.get(start..start + length)?.trim_end();
    let end = start + body.len();
    (end > start).then_some(Span { start, end })
}
