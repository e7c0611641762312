//! Values that are random beyond chance, under a name that says nothing.

use super::Span;

/// Shortest run, in bytes; 24 random bytes in Base64.
const RUN_BYTES_MIN: usize = 32;
/// What longer runs are is data, not a key, in bytes.
const RUN_BYTES_MAX: usize = 512;
/// Shortest part of letters and digits within it, in bytes.
const PART_BYTES_MIN: usize = 16;
/// Parts of names whose values look random and are no secrets.
const HARMLESS: [&str; 29] = [
    "sha",
    "md5",
    "digest",
    "sum",
    "hash",
    "finger",
    "etag",
    "integrity",
    "cert",
    "pub",
    "id",
    "nonce",
    "serial",
    "version",
    "revision",
    "commit",
    "path",
    "file",
    "image",
    "name",
    "host",
    "unit",
    "agent",
    "class",
    "pin",
    "build",
    "model",
    "message",
    "challenge",
];

/// The random value that starts at `start`, if that is where a value stands.
pub(super) fn random(text: &str, start: usize) -> Option<Span> {
    let before = text.get(..start)?;
    let unquoted = before.trim_end_matches(['"', '\'', ' ', '\\']);
    if !unquoted.ends_with(['=', ':']) && unquoted.len() == before.len() {
        return None;
    }
    let is_quoted = before.ends_with(['"', '\'']);
    if !unquoted.ends_with(['=', ':']) && !is_quoted {
        return None;
    }
    let rest = text.get(start..)?;
    let length = rest
        .bytes()
        .position(|it| !is_run(it))
        .unwrap_or(rest.len());
    let run = rest.get(..length)?;
    if !(RUN_BYTES_MIN..=RUN_BYTES_MAX).contains(&length) || !is_random(run) {
        return None;
    }
    // `@` and `.` go on with an address or a version.
    let goes_on = rest.get(length..)?.starts_with(['.', '@', '(', '[']);
    let padding = rest.get(length..)?.bytes().take_while(|it| *it == b'=');
    let end = start + length + padding.count();
    (!goes_on && !is_harmless(unquoted)).then_some(Span { start, end })
}

const fn is_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-')
}

/// Letters of both cases and digits, changing as often as chance makes them.
fn is_random(run: &str) -> bool {
    let class = |it: u8| match it {
        b'0'..=b'9' => 0_u8,
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        _ => 3,
    };
    let of = |wanted: u8| run.bytes().filter(|it| class(*it) == wanted).count();
    let changes = run
        .bytes()
        .zip(run.bytes().skip(1))
        .filter(|(one, next)| class(*one) != class(*next))
        .count();
    let longest = run
        .split(|it: char| !it.is_ascii_alphanumeric())
        .map(str::len)
        .max();
    let slashes = run.bytes().filter(|it| *it == b'/').count();
    of(0) >= 2
        && of(1) >= 4
        && of(2) >= 4
        && changes * 20 >= run.len() * 9
        && longest >= Some(PART_BYTES_MIN)
        && slashes <= 3
}

/// Whether the name at the end of `before` stands for a digest, an id or the like.
fn is_harmless(before: &str) -> bool {
    let name = before.trim_end_matches(['=', ':', '"', '\'', ' ', '\\', '>']);
    let name = name
        .rsplit(|it: char| !(it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.')))
        .next()
        .unwrap_or_default();
    let name = name.to_ascii_lowercase();
    HARMLESS.iter().any(|it| name.contains(it))
}
