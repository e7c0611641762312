//! Secrets without a name: by the form of their line, by what reads them, by the sentence around them.

use super::{Span, is_word, prose, take};

/// Longest line or command that is looked at from one word, in bytes.
const REACH_BYTES_MAX: usize = 512;
/// Digits of a bare key; shorter ones are ids and digests that people write by themselves.
const HEX_BYTES_MIN: usize = 64;
/// Digits of a key in a line that speaks of one.
const NAMED_HEX_BYTES_MIN: usize = 32;
/// Length of the secret half of a token of Telegram's bots.
const BOT_BYTES: std::ops::RangeInclusive<usize> = 33..=37;
/// Words behind `sudo` among which its own flags are.
const FLAGS_MAX: usize = 4;
/// What reads a password from its standard input.
const READERS: [&str; 8] = [
    "chpasswd",
    "passwd --stdin",
    "--password-stdin",
    "--passphrase-fd 0",
    "cryptsetup ",
    "kinit ",
    "smbpasswd ",
    "openssl passwd",
];

/// The secret that starts with, or right behind, the word at `start`. `is_told`: its line has named one.
pub(super) fn secret(text: &str, word: &str, start: usize, is_told: bool) -> Option<Span> {
    let end = start + word.len();
    hexadecimal(text, word, start, is_told)
        .or_else(|| bot(text, word, end))
        .or_else(|| login_line(text, start))
        .or_else(|| piped(text, word, end))
}

/// `HOST:PORT:DATABASE:USER:PASSWORD` of `.pgpass`, where `*` stands for any.
pub(super) fn login_line(text: &str, start: usize) -> Option<Span> {
    let before = text.get(..start)?;
    if !before.is_empty() && !before.ends_with([' ', '\t', '\n', '"', '\'', '`']) {
        return None;
    }
    let line = take(text, start, |it| {
        !it.is_ascii_whitespace() && !matches!(it, 0 | b'"' | b'\'' | b'`')
    });
    let mut fields = line.splitn(5, ':');
    let (host, port, database) = (fields.next()?, fields.next()?, fields.next()?);
    let (user, password) = (fields.next()?, fields.next()?);
    let is_number = port.parse::<u16>().is_ok_and(|it| it >= 100);
    let is_host = |c: u8| is_word(c) || matches!(c, b'*' | b'/' | b'[' | b']');
    let is_login = (port == "*" || is_number)
        && !host.is_empty()
        && host.bytes().all(is_host)
        && host.bytes().any(|it| !it.is_ascii_digit())
        // `FILE:LINE:COLUMN:…` of compilers.
        && !database.bytes().all(|it| it.is_ascii_digit())
        && user.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '*'));
    // Addresses of IPv6 and of network cards.
    let is_address = line
        .bytes()
        .all(|it| it.is_ascii_hexdigit() || matches!(it, b':' | b'.'));
    let end = start + line.len();
    let span = Span {
        start: end - password.len(),
        end,
    };
    (is_login && !is_address && !prose::is_plain(password)).then_some(span)
}

/// A key in hexadecimal digits: alone in its line, as in a file of a shared key, or in a line that says so.
fn hexadecimal(text: &str, word: &str, start: usize, is_told: bool) -> Option<Span> {
    if word.len() < NAMED_HEX_BYTES_MIN || !word.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    let end = start + word.len();
    let (before, behind) = (text.get(..start)?, text.get(end..)?);
    let opens = before.trim_end_matches([' ', '\t']);
    let closes = behind.trim_start_matches([' ', '\t', '\r']);
    let is_alone = (opens.is_empty() || opens.ends_with('\n'))
        && (closes.is_empty() || closes.starts_with('\n'));
    let is_bare = is_alone && word.len() >= HEX_BYTES_MIN;
    let is_value = is_told && opens.ends_with(['=', ':', ' ', '"', '\'']);
    (is_bare || is_value).then_some(Span { start, end })
}

/// `123456789:` or `bot123456789:` and what proves it, which is all that Telegram asks for.
fn bot(text: &str, word: &str, end: usize) -> Option<Span> {
    let number = word.strip_prefix("bot").unwrap_or(word);
    let is_id = (8..=12).contains(&number.len()) && number.bytes().all(|it| it.is_ascii_digit());
    if !is_id || !text.get(end..)?.starts_with(':') {
        return None;
    }
    let proof = take(text, end + 1, |it| is_word(it) && it != b'.');
    let is_mixed = proof.bytes().any(|it| it.is_ascii_alphabetic())
        && proof
            .bytes()
            .any(|it| it.is_ascii_digit() || it.is_ascii_uppercase());
    let start = end + 1;
    (BOT_BYTES.contains(&proof.len()) && is_mixed).then_some(Span {
        start,
        end: start + proof.len(),
    })
}

/// What `echo` hands to a program that reads a password: `echo X | sudo -S ls`.
fn piped(text: &str, word: &str, end: usize) -> Option<Span> {
    if !matches!(word, "echo" | "printf") {
        return None;
    }
    let rest = text.get(end..)?;
    let line = take(rest, 0, |it| !matches!(it, b'\n' | 0));
    let line = line.get(..line.floor_char_boundary(REACH_BYTES_MAX))?;
    let (said, reader) = line.split_once('|')?;
    if !reads_password(reader) {
        return None;
    }
    let mut value = said.trim_start();
    while let Some((flag, behind)) = value.split_once(' ')
        && flag.starts_with('-')
    {
        value = behind.trim_start();
    }
    let start = end + said.len() - value.len();
    let value = value.trim_end();
    let span = Span {
        start,
        end: start + value.len(),
    };
    (!prose::is_plain(value)).then_some(span)
}

/// Whether the command takes a password from its standard input.
fn reads_password(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let has_sudo = words.any(|it| it == "sudo" || it.ends_with("/sudo"));
    let mut flags = words.take(FLAGS_MAX).filter(|it| it.starts_with('-'));
    let asks = |it: &str| it == "--stdin" || !it.starts_with("--") && it.contains('S');
    has_sudo && flags.any(asks) || READERS.iter().any(|it| command.contains(it))
}
