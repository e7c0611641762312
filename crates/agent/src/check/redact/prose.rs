//! Words that are no secrets, and sentences that tell one.

use super::value::{self, strip_quote};
use super::{Span, take};

/// Longest value that is looked up among harmless ones, in bytes. What is longer goes, so that no
/// text is looked at twice.
const PLAIN_BYTES_MAX: usize = 256;
/// Values of settings that are no secrets.
const PLAIN: &str = "null none nil true false yes no on off undefined unset empty disabled enabled \
    [] {} - n/a <nil> (null) (none) stdin all any amd64 arm64 armhf i386 noarch ppc64el riscv64 \
    s390x x86_64 files systemd compat sss winbind ldap nis";
/// Words that follow "password" and are not it.
const ORDINARY: &str = "a about absent accepted again age already an and as at authentication \
    authorization bad blank by change check correct database default directory does empty entry \
    error expired expiry failed failure field file for from has hash hashes history in incorrect \
    input invalid is it length login manager mismatch missing must needed new no not now of ok old \
    on only optional or policy prompt protected protection quality request requests required reset \
    rejected rotation safe set stale still store strong than that the to too type unknown unset \
    update valid was weak when will with without wrong you your";
/// What stands before "password" where the word behind it is the one that was given.
const GIVERS: [&str; 4] = ["with ", "using ", "and ", "under "];
/// Where files lie.
const ROOTS: [&str; 14] = [
    "/dev/",
    "/etc/",
    "/home/",
    "/mnt/",
    "/opt/",
    "/proc/",
    "/root/",
    "/run/",
    "/srv/",
    "/sys/",
    "/tmp/",
    "/usr/",
    "/var/",
    "/secrets/",
];

/// Values that are no secrets, whatever their name says.
pub(super) fn is_plain(value: &str) -> bool {
    let value = value.trim();
    if value.is_empty() {
        return true;
    }
    if value.len() > PLAIN_BYTES_MAX {
        return false;
    }
    // All words, as in `passwd: files systemd`.
    let is_word = |word: &str| {
        PLAIN
            .split_ascii_whitespace()
            .any(|it| word.eq_ignore_ascii_case(it))
    };
    value.split_ascii_whitespace().all(is_word)
        || value.bytes().all(|it| it == b'*')
        || is_reference(value)
}

/// A place where the secret is kept: a file, or `${NAME}`.
fn is_reference(value: &str) -> bool {
    let variable = value
        .strip_prefix("${")
        .and_then(|it| it.strip_suffix('}'))
        .or_else(|| value.strip_prefix("env:"));
    let is_name = |it: &str| {
        it.bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'_')
    };
    let path = value.strip_prefix("file:").unwrap_or(value);
    let is_path =
        |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'/' | b'.' | b'_' | b'-' | b'@');
    variable.is_some_and(is_name)
        || (ROOTS.iter().any(|it| path.starts_with(it)) && path.bytes().all(is_path))
}

/// Whether a value looks like a word, a state or a small number.
pub(super) fn is_tame(value: &str) -> bool {
    let value = value.trim();
    value.len() < 6
        || value
            .bytes()
            .all(|it| it.is_ascii_alphabetic() || matches!(it, b'-' | b'_'))
}

/// Whether a word mixes letters, digits and marks as no word of a sentence does.
fn is_unlike_prose(word: &str) -> bool {
    let has = |wanted: fn(&u8) -> bool| word.bytes().any(|it| wanted(&it));
    let is_place =
        word.contains(['/', '(', '[', '=', ':']) || word.starts_with(['<', '{', '$', '%']);
    let names = ["sha", "md5", "bcrypt", "argon", "base64", "ssh", "v1", "v2"];
    let is_name = names
        .iter()
        .any(|it| word.to_ascii_lowercase().contains(it));
    word.len() >= 6
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && !is_place
        && !is_name
}

/// Whether a word is one of the language rather than a secret.
pub(super) fn is_ordinary(word: &str) -> bool {
    let word = word.trim_matches(|it: char| it.is_ascii_punctuation());
    let is_known = ORDINARY
        .split_ascii_whitespace()
        .any(|it| word.eq_ignore_ascii_case(it));
    let has_ending = word.bytes().all(|it| it.is_ascii_lowercase())
        && ["ed", "ing", "able", "ible", "less", "tion"]
            .iter()
            .any(|it| word.ends_with(it));
    word.is_empty() || is_known || has_ending
}

/// The secret in `password is X`, `password set to X`, `PASSWORD 'X'`, `with password X failed`, behind the
/// name at `start`, which ends at `end`.
pub(super) fn told(text: &str, name: &str, start: usize, end: usize) -> Option<Span> {
    let rest = text.get(end..)?;
    let verb = [" is ", " was ", " set to ", " changed to ", " is: "]
        .into_iter()
        .find(|it| rest.starts_with(it));
    let is_password = ["password", "passphrase", "passwd", "secret"]
        .iter()
        .any(|it| name.eq_ignore_ascii_case(it));
    match verb {
        None if is_password && rest.starts_with([' ', '\t']) => {
            let mut rest = rest.trim_start_matches([' ', '\t']);
            let is_quoted = strip_quote(&mut rest).is_some();
            let span = value::argument(text, end)?;
            let value = text.get(span.start..span.end)?;
            let before = text.get(..start)?;
            let is_given = GIVERS.iter().any(|it| before.ends_with(it)) && !is_ordinary(value);
            (is_quoted || is_given || is_unlike_prose(value)).then_some(span)
        }
        None => None,
        Some(verb) => {
            let span = value::argument(text, end + verb.len() - 1)?;
            let value = text.get(span.start..span.end)?;
            let is_lower = value.bytes().all(|it| it.is_ascii_lowercase());
            // Sentences end; a secret may too, but not with these alone.
            let end = span.start + value.trim_end_matches(['.', ',', ';', ':', '!', ')']).len();
            let secret = !is_ordinary(value) && (is_password || !is_lower);
            secret.then_some(Span { end, ..span })
        }
    }
}

/// The only word behind a name that begins its line, as in `requirepass X`; or any that is unlike
/// prose, behind a name that is unlike prose: `aws_secret_access_key X`.
pub(super) fn spaced(text: &str, name: &str, end: usize, is_alone: bool) -> Option<Span> {
    let rest = text.get(end..)?;
    let value = rest.trim_start_matches([' ', '\t']);
    if value.len() == rest.len() {
        return None;
    }
    let start = text.len() - value.len();
    let word = take(text, start, |it| !it.is_ascii_whitespace() && it != 0);
    let is_last = text
        .get(start + word.len()..)?
        .trim_start_matches([' ', '\t', '\r'])
        .chars()
        .next()
        .is_none_or(|it| it == '\n');
    let is_compound = name.contains('_') && !is_tame(word);
    let is_setting = name.bytes().all(|it| !it.is_ascii_uppercase())
        && !word.starts_with(['(', '[', '{', '=', '-', '<', ':', '>']);
    let secret = is_alone && is_last && is_setting || is_compound && is_setting;
    (secret && !is_ordinary(word))
        .then(|| value::argument(text, end))
        .flatten()
}
