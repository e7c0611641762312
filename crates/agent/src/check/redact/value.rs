//! Where the value behind a name starts and ends.

use super::shape::is_base64;
use super::take;

/// A part of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Shortest text behind `Bearer` that is a credential and not a word of prose, in bytes.
const CREDENTIAL_BYTES_MIN: usize = 12;
/// Marks of quotation; a backslash before them comes from JSON inside JSON.
const QUOTES: [&str; 6] = ["\\\"", "\"", "\\'", "'", "`", "&quot;"];

/// Values that are no secrets.
pub(super) fn is_plain(value: &str) -> bool {
    let words = [
        "",
        "null",
        "none",
        "nil",
        "true",
        "false",
        "undefined",
        "|",
        "|-",
        ">",
    ];
    words.iter().any(|it| value.eq_ignore_ascii_case(it))
        || value.starts_with("${")
        || value.starts_with("file:/")
        // Keys in PEM are found by their shape, whole.
        || value.starts_with("-----BEGIN")
        || value.bytes().all(|it| it == b'*')
}

/// Where a name stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// First in its line, as a YAML key.
    Line,
    /// In an XML tag.
    Tag,
    /// Elsewhere.
    Text,
}

impl Place {
    /// The place behind that text.
    pub(super) fn of(before: &str) -> Self {
        if before.ends_with(['<', '/']) {
            return Self::Tag;
        }
        let indented = before.trim_end_matches([' ', '\t', '-', '"', '\'']);
        if indented.is_empty() || indented.ends_with('\n') {
            Self::Line
        } else {
            Self::Text
        }
    }
}

/// The value of `=`, `:`, `=>`, `:=` or an XML tag behind a name that ends at `end`. The value of a
/// YAML key that is first in its line reaches to the end of the line.
pub(super) fn assigned(text: &str, end: usize, place: Place) -> Option<Span> {
    let mut rest = text.get(end..)?;
    if rest.starts_with("::") {
        return None;
    }
    let quoted_name = strip_quote(&mut rest).is_some();
    rest = rest.trim_start_matches([' ', '\t']);
    let separator = ["=>", ":=", "==", "=", ":", ">"]
        .into_iter()
        .find(|it| rest.starts_with(it));
    match separator {
        // In a list of arguments: "--password", "x".
        None if quoted_name && rest.starts_with(',') => rest = rest.get(1..)?,
        None | Some("==") => return None,
        Some(">") if place != Place::Tag => return None,
        Some(separator) => rest = rest.get(separator.len()..)?,
    }
    let spaced = rest.starts_with([' ', '\t']);
    rest = rest.trim_start_matches([' ', '\t']);
    let quote = strip_quote(&mut rest);
    let start = text.len() - rest.len();
    let value = match quote {
        Some(quote) => quoted(rest, quote),
        None if separator == Some(">") => rest.split('<').next()?,
        None if separator == Some(":") && spaced && place == Place::Line && !quoted_name => {
            rest.lines().next()?.trim_end()
        }
        None => take(text, start, is_unquoted),
    };
    (!is_plain(value.trim())).then_some(Span {
        start,
        end: start + value.len(),
    })
}

/// The value of an HTTP header whose name ends at `end`: to the end of the line or quotation, without
/// the scheme.
pub(super) fn header(text: &str, end: usize) -> Option<Span> {
    let mut rest = text.get(end..)?;
    strip_quote(&mut rest);
    rest = rest.trim_start().strip_prefix([':', '='])?;
    rest = rest.trim_start_matches([' ', '\t']);
    strip_quote(&mut rest);
    for scheme in [
        "Bearer ",
        "Basic ",
        "Digest ",
        "bearer ",
        "basic ",
        "acs ",
        "AWS4-HMAC-SHA256 ",
    ] {
        rest = rest.strip_prefix(scheme).unwrap_or(rest);
    }
    let value = rest.split(['\n', '\r', '"', '\'', '\\']).next()?.trim_end();
    let start = text.len() - rest.len();
    (!is_plain(value)).then_some(Span {
        start,
        end: start + value.len(),
    })
}

/// The word behind a flag that ends at `end`.
pub(super) fn argument(text: &str, end: usize) -> Option<Span> {
    let rest = text.get(end..)?;
    // Arguments in /proc/PID/cmdline end with NUL.
    let mut value = rest.trim_start_matches([' ', '\t', '\0']);
    if value.len() == rest.len() {
        return None;
    }
    let quote = strip_quote(&mut value);
    let start = text.len() - value.len();
    let value = match quote {
        Some(quote) => quoted(value, quote),
        None => take(text, start, |it| {
            !it.is_ascii_whitespace() && !matches!(it, 0 | b'"' | b'\'')
        }),
    };
    (!is_plain(value) && !value.starts_with('-')).then_some(Span {
        start,
        end: start + value.len(),
    })
}

/// The credential behind the word `Bearer` that ends at `end`.
pub(super) fn credential(text: &str, end: usize) -> Option<Span> {
    let start = end + 1;
    text.get(end..start).filter(|it| *it == " ")?;
    let value = take(text, start, is_base64);
    let is_prose = value
        .bytes()
        .all(|it| it.is_ascii_lowercase() || it == b'.');
    (value.len() >= CREDENTIAL_BYTES_MIN && !is_prose).then_some(Span {
        start,
        end: start + value.len(),
    })
}

fn strip_quote(rest: &mut &str) -> Option<&'static str> {
    let quote = QUOTES.into_iter().find(|it| rest.starts_with(it))?;
    *rest = rest.strip_prefix(quote)?;
    Some(quote)
}

/// Up to the closing quotation mark; one behind a backslash does not close. An unclosed quotation
/// ends with the line.
fn quoted<'a>(rest: &'a str, quote: &str) -> &'a str {
    let escapes = !quote.starts_with('\\');
    let mut from = 0;
    loop {
        let Some(next) = rest.get(from..) else {
            return rest;
        };
        let closing = next.find(quote).map(|it| from + it);
        let line_end = next.find('\n').map(|it| from + it);
        let end = closing
            .into_iter()
            .chain(line_end)
            .min()
            .unwrap_or(rest.len());
        let before = rest.get(..end).unwrap_or_default();
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        if escapes && Some(end) == closing && backslashes % 2 == 1 {
            from = end + quote.len();
        } else {
            return before;
        }
    }
}

/// Bytes of a value without quotation.
const fn is_unquoted(byte: u8) -> bool {
    !byte.is_ascii_whitespace()
        && !matches!(
            byte,
            b',' | b';' | b'&' | b')' | b'}' | b']' | b'"' | b'\'' | b'<' | b'\\' | 0
        )
}
