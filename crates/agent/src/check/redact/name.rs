//! Names that announce a secret.

use super::Span;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 80;

/// How surely the value behind a name is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Whatever it looks like.
    Sure,
    /// Unless it looks like a word or a small number.
    Likely,
}

/// Parts of a name, anywhere in it.
const PARTS: [&str; 30] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "passwort",
    "kennwort",
    "losungswort",
    "wachtwoord",
    "passord",
    "adgangskode",
    "senha",
    "contrasena",
    "motdepasse",
    "heslo",
    "haslo",
    "salasana",
    "parola",
    "pwd",
    "pw",
    "secret",
    "secrets",
    "token",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "psk",
    "apikey",
    "privkey",
];
/// Before a part `key`, anywhere in the name.
const KEY_OF: [&str; 14] = [
    "api",
    "access",
    "private",
    "signing",
    "encryption",
    "account",
    "auth",
    "master",
    "shared",
    "preshared",
    "hmac",
    "deploy",
    "license",
    "storage",
];
/// Ends of names, joined without marks, in lower case.
const ENDS: [&str; 30] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "secretid",
    "privatekey",
    "privatemac",
    "presharedkey",
    "signingkey",
    "encryptionkey",
    "accountkey",
    "authkey",
    "masterkey",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "installcode",
    "xamzsignature",
    "bindpw",
    "rootpw",
    "requirepass",
    "storepass",
    "keypass",
];
/// Names that are a secret only as a whole.
const WHOLE: [&str; 9] = [
    "pass",
    "signature",
    "sig",
    "masterauth",
    "jsessionid",
    "phpsessid",
    "connectsid",
    "laravelsession",
    "aspnetsessionid",
];
/// Last parts whose value may be a secret.
const LIKELY: [&str; 6] = ["auth", "otp", "totp", "sessionid", "sessid", "sid"];

/// Last parts that make the name of something about a secret.
const ABOUT: &str = "agent age alg algorithm algo arn attempts auth authentication backend bean \
    bucket builder bytes c cache callback change changed check class client conf config console \
    controller count cpp created css dir directory disabled domain enabled encoder endpoint error \
    errors exception expired expires expiration expiry factory field file filename files filter \
    format generator go group h handler header helper hint host hostname html id impl index \
    interceptor interval issuer java js json kind last len length lifetime limit loader location \
    lock log manager mapper max md method min mode module mount name namespace parser path per \
    plugin policies policy port prefix prompt properties provider py quality rate rb reader realm \
    ref repository request requests required reset resolver response retries review rotation rs \
    scope scopes server service sh size slice so sock socket state status stdin store strength \
    suffix target timeout timer toml ts ttl txt type types uri url usage used user username util \
    utils validator validity version wall yaml yml";
/// First parts of switches.
const SWITCH: &str = "no ask without skip disable enable allow prompt show hide";
/// What is read from elsewhere, and working directories.
const NEVER: [&str; 7] = [
    "oldpwd",
    "importcredential",
    "conditioncredential",
    "assertcredential",
    "loadcredential",
    "passcredentials",
    "authorizationmode",
];

/// Whether a value that follows this name is a secret, and how surely.
pub(super) fn strength(word: &str) -> Option<Strength> {
    if word.len() > NAME_BYTES_MAX || word == "PWD" {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let joined: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    if NEVER.contains(&joined.as_str()) {
        return None;
    }
    if WHOLE.contains(&joined.as_str()) || lower == "_auth" {
        return Some(Strength::Sure);
    }
    let parts: Vec<&str> = parts(word)
        .filter_map(|it| lower.get(it.start..it.end))
        .collect();
    let (first, last) = (*parts.first()?, *parts.last()?);
    if parts.len() > 1 && has(SWITCH, first) {
        return None;
    }
    if ENDS.iter().any(|it| joined.ends_with(it)) || last == "pass" {
        return Some(Strength::Sure);
    }
    let secret = parts.iter().any(|it| PARTS.contains(it))
        || parts
            .windows(2)
            .any(|it| matches!(it, [of, "key" | "keys"] if KEY_OF.contains(of)));
    if secret && !has(ABOUT, last) {
        // `TokenFilter` is a class; `PASSWORD_OLD` and `secretValue` are settings.
        let is_class = word.starts_with(|it: char| it.is_ascii_uppercase())
            && word.contains(|it: char| it.is_ascii_lowercase())
            && !PARTS.contains(&last)
            && last != "key";
        return Some(if is_class {
            Strength::Likely
        } else {
            Strength::Sure
        });
    }
    (LIKELY.contains(&last) && !secret || joined.ends_with("sessionid")).then_some(Strength::Likely)
}

/// Whether one of the space-separated `words` is `word`.
fn has(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|it| it == word)
}

/// The parts of a name: divided at `_`, `-`, `.`, digits, and where `camelCase` or `HTTPServer`
/// begins a word.
fn parts(word: &str) -> impl Iterator<Item = Span> + '_ {
    let bytes = word.as_bytes();
    let letter = move |at: usize| bytes.get(at).filter(|it| it.is_ascii_alphabetic());
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && letter(at).is_none() {
            at += 1;
        }
        let start = at;
        letter(at)?;
        at += 1;
        while let (Some(before), Some(byte)) = (letter(at - 1), letter(at)) {
            let next_is_lower = letter(at + 1).is_some_and(u8::is_ascii_lowercase);
            if byte.is_ascii_uppercase() && (before.is_ascii_lowercase() || next_is_lower) {
                break;
            }
            at += 1;
        }
        Some(Span { start, end: at })
    })
}

/// Whether the value is a whole line, as in HTTP.
pub(super) fn is_header(word: &str) -> bool {
    let headers = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
    ];
    headers.iter().any(|it| word.eq_ignore_ascii_case(it))
}

/// Whether its value is the name of the setting whose value follows, as in `name: X`, `value: Y`.
pub(super) fn is_of_name(word: &str) -> bool {
    ["name", "key", "parameterkey", "parametername", "variable"]
        .iter()
        .any(|it| word.eq_ignore_ascii_case(it))
}

/// Whether it belongs to a name that stands elsewhere.
pub(super) fn is_of_value(word: &str) -> bool {
    ["value", "val", "parametervalue", "stringvalue"]
        .iter()
        .any(|it| word.eq_ignore_ascii_case(it))
}
