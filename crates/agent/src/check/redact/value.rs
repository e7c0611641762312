//! Where the value behind a name starts and ends.

use super::name::Strength;
use super::prose::{is_plain, is_tame};
use super::shape::{begins_key, is_base64};
use super::{Span, block, take};

/// Shortest text behind `Bearer` that is a credential and not a word of prose, in bytes.
const CREDENTIAL_BYTES_MIN: usize = 12;
/// Longest name that may follow a `,` or `;`, in bytes.
const NEXT_BYTES_MAX: usize = 64;
/// Marks of quotation; a backslash before them comes from JSON inside JSON.
const QUOTES: [&str; 7] = ["\\\"", "\"", "\\'", "'", "`", "&quot;", "&#34;"];
/// What stands between name and value. Longer ones come first.
const SEPARATORS: [&str; 9] = ["=>", ":=", "==", "=", ":", ">", "\0", "：", "＝"];
/// The same, encoded for addresses, JSON and HTML.
const ENCODED: [&str; 7] = [
    "%3d", "%3a", "%253d", "\\u003d", "\\u003a", "\\x3d", "&#61;",
];
/// Ends of an encoded value.
const ENCODED_ENDS: [&str; 7] = ["%26", "%22", "%0a", "%0d", "%20", "\\u0026", "\\u0022"];
/// Longest start of a tag behind its name, in bytes.
const TAG_BYTES_MAX: usize = 128;

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
        if indented.is_empty() || indented.ends_with(['\n', '\0']) {
            Self::Line
        } else {
            Self::Text
        }
    }
}

/// A name, in bytes of the text.
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) strength: Strength,
    pub(super) place: Place,
}

impl Name<'_> {
    /// The value of `=`, `:`, `=>`, `:=`, an encoded one of these or an XML tag. The value of a key that
    /// is first in its line reaches to the end of the line, or over the block below.
    pub(super) fn assigned(&self) -> Option<Span> {
        let mut rest = self.text.get(self.end..)?;
        if rest.starts_with("::") {
            return None;
        }
        let is_quoted = strip_quote(&mut rest).is_some();
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(length) = encoded(rest) {
            return self.secret(self.encoded_value(self.text.len() - rest.len() + length));
        }
        let separator = SEPARATORS.into_iter().find(|it| rest.starts_with(it));
        match separator {
            // In a list of arguments: "--password", "x".
            None if is_quoted && rest.starts_with(',') && self.opens_quotation() => {
                rest = rest.get(1..)?;
            }
            None if self.place == Place::Tag => rest = tag_content(rest)?,
            None | Some("==" | "\0") => return None,
            Some(">") if self.place != Place::Tag => return None,
            Some(separator) => rest = rest.get(separator.len()..)?,
        }
        // Full-width marks need no space.
        let is_wide = separator.is_some_and(|it| !it.is_ascii());
        let is_spaced = is_wide || rest.starts_with([' ', '\t']);
        let is_key = (is_wide || separator == Some(":")) && self.place == Place::Line;
        if is_key {
            let end = self.text.len() - rest.len();
            let block = block::indented(self.text, self.start, end, self.strength);
            if block.is_some() {
                return self.secret(block);
            }
        }
        rest = rest.trim_start_matches([' ', '\t']);
        if self.place == Place::Text && is_quoted {
            // JSON may go on in the next line.
            rest = rest.trim_start();
        }
        if begins_key(rest) {
            return None;
        }
        let quotation = self.quotation(rest);
        if quotation.is_some_and(|it| begins_key(self.text.get(it.start..).unwrap_or_default())) {
            return None;
        }
        let start = self.text.len() - rest.len();
        if quotation.is_none() && rest.starts_with(['[', '{']) && !rest.starts_with("{{") {
            return self.container(start);
        }
        // The rest of the line: behind `key: ` and `key = `; behind `KEY=` if no other name follows.
        let is_alone = self.place == Place::Line
            && self.strength == Strength::Sure
            && !is_quoted
            && (is_key && is_spaced || separator == Some("=") && !line(rest).contains('='));
        let value = if self.place == Place::Tag {
            rest.split(['<', '\n', '\0']).next()?
        } else if is_quoted {
            take(rest, 0, |it| {
                !it.is_ascii_whitespace() && !b",}]\0\\\"'".contains(&it)
            })
        } else if let Some(value) = self.enclosed(rest) {
            value
        } else if is_alone {
            line(rest)
        } else {
            unquoted(rest, self.before())
        };
        let end = start + value.len();
        self.secret(quotation.or(Some(Span { start, end })))
    }

    /// The span, unless its text is no secret.
    fn secret(&self, span: Option<Span>) -> Option<Span> {
        let span = span?;
        let value = self.text.get(span.start..span.end)?;
        let is_innocent = is_plain(value) || self.strength == Strength::Likely && is_tame(value);
        (!is_innocent).then_some(span)
    }

    /// The text of a quoted value.
    fn quotation(&self, mut rest: &str) -> Option<Span> {
        let quote = strip_quote(&mut rest)?;
        let mut start = self.text.len() - rest.len();
        let mut length = quoted(rest, quote).len();
        let after = rest.get(length + quote.len()..).unwrap_or_default();
        if length == 0 && after.starts_with(|it: char| it.is_alphanumeric()) {
            // A doubled mark, as in CSV.
            start += quote.len();
            length = quoted(after, quote).len();
        } else if quote == "'" && after.starts_with("\\''") {
            // A shell goes on: 'it'\''s'.
            length += quote.len() + take(after, 0, |it| !it.is_ascii_whitespace() && it != 0).len();
        }
        let end = start + length;
        Some(Span { start, end })
    }

    /// The value if the mark before the name opens a quotation around both: `"API_KEY=bar baz"`.
    fn enclosed<'r>(&self, rest: &'r str) -> Option<&'r str> {
        let before = self.text.get(..self.start)?;
        let quote = ["\\\"", "\"", "'"]
            .into_iter()
            .find(|it| before.ends_with(it))?;
        let value = quoted(rest, quote);
        let is_closed = rest.get(value.len()..)?.starts_with(quote);
        is_closed.then_some(value)
    }

    fn container(&self, start: usize) -> Option<Span> {
        let is_array = self.text.get(start..)?.starts_with('[');
        if self.strength == Strength::Likely && !is_array {
            return None;
        }
        self.secret(block::container(self.text, start))
    }

    fn encoded_value(&self, start: usize) -> Option<Span> {
        let value = take(self.text, start, |it| {
            !it.is_ascii_whitespace() && !matches!(it, 0 | b'"' | b'\'' | b'&' | b'<' | b'>')
        });
        let ends = value.bytes().enumerate().find_map(|(at, byte)| {
            let rest = value.get(at..).filter(|_| matches!(byte, b'%' | b'\\'))?;
            ENCODED_ENDS
                .iter()
                .any(|it| starts_with_any_case(rest, it))
                .then_some(at)
        });
        Some(Span {
            start,
            end: start + ends.unwrap_or(value.len()),
        })
    }

    /// Whether the mark of quotation stands right before the name.
    fn opens_quotation(&self) -> bool {
        let before = self.text.get(..self.start);
        before.is_some_and(|it| it.ends_with(['"', '\'']))
    }

    /// The mark before the name, across spaces.
    fn before(&self) -> Option<u8> {
        let before = self.text.get(..self.start)?;
        let before = before.strip_suffix(' ').unwrap_or(before);
        before.bytes().last()
    }
}

/// What is left of the line.
fn line(rest: &str) -> &str {
    let line = rest.split(['\n', '\r', '\0']).next();
    line.unwrap_or_default().trim_end()
}

fn starts_with_any_case(text: &str, wanted: &str) -> bool {
    text.get(..wanted.len())
        .is_some_and(|it| it.eq_ignore_ascii_case(wanted))
}

/// The length of the encoded separator at the start.
fn encoded(rest: &str) -> Option<usize> {
    ENCODED
        .iter()
        .find(|it| starts_with_any_case(rest, it))
        .map(|it| it.len())
}

/// What follows the `>` of a tag with attributes.
fn tag_content(rest: &str) -> Option<&str> {
    let at = rest
        .bytes()
        .take(TAG_BYTES_MAX)
        .position(|it| matches!(it, b'>' | b'<' | b'\n'))?;
    rest.get(at..)?.strip_prefix('>')
}

/// The value of an HTTP header whose name ends at `end`: to the end of the line or quotation, without
/// the scheme.
pub(super) fn header(text: &str, end: usize) -> Option<Span> {
    let mut rest = text.get(end..)?;
    strip_quote(&mut rest);
    rest = rest
        .trim_start_matches([' ', '\t'])
        .strip_prefix([':', '='])?;
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
    let value = rest
        .split(['\n', '\r', '"', '\'', '\\', '\0'])
        .next()?
        .trim_end();
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
    let value = rest.trim_start_matches([' ', '\t', '\0']);
    if value.len() == rest.len() || value.starts_with('-') {
        return None;
    }
    glued(text, text.len() - value.len())
}

/// The quotation or word that starts at `start`.
pub(super) fn glued(text: &str, start: usize) -> Option<Span> {
    let mut value = text.get(start..)?;
    let quote = strip_quote(&mut value);
    let start = text.len() - value.len();
    let value = match quote {
        Some(quote) => quoted(value, quote),
        None => unquoted(value, None),
    };
    (!is_plain(value)).then_some(Span {
        start,
        end: start + value.len(),
    })
}

/// The span without marks of quotation at its start.
pub(super) fn inner_quote(text: &str, span: Span) -> Option<Span> {
    let mut value = text.get(span.start..span.end)?;
    strip_quote(&mut value);
    let start = span.end - value.len();
    let end = start + value.trim_end_matches(['"', '\'']).len();
    (!is_plain(value)).then_some(Span { start, end })
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

pub(super) fn strip_quote(rest: &mut &str) -> Option<&'static str> {
    let quote = QUOTES.into_iter().find(|it| rest.starts_with(it))?;
    *rest = rest.strip_prefix(quote)?;
    Some(quote)
}

/// Up to the closing quotation mark; one behind a backslash does not close. An unclosed quotation
/// ends with the line.
fn quoted<'a>(rest: &'a str, quote: &str) -> &'a str {
    let escapes = !quote.starts_with('\\');
    let mut backslashes = 0;
    let end = rest.bytes().enumerate().position(|(at, byte)| {
        let is_escaped = escapes && backslashes % 2 == 1;
        backslashes = if byte == b'\\' { backslashes + 1 } else { 0 };
        let closes = || rest.get(at..).is_some_and(|it| it.starts_with(quote));
        matches!(byte, b'\n' | 0) || !is_escaped && closes()
    });
    end.and_then(|it| rest.get(..it)).unwrap_or(rest)
}

/// A value without quotation, to the next space. `before` is the mark before its name: where there
/// are more names between such marks, the value ends with the next. Marks that close something
/// around it are not part of it.
fn unquoted(rest: &str, before: Option<u8>) -> &str {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied().unwrap_or(b' ');
        let ends = match byte {
            b'"' | b'\'' | b'`' => {
                let inner = at.checked_sub(1).and_then(|it| bytes.get(it));
                let opens = inner.is_some_and(|it| b"([{=:,".contains(it));
                match closing(bytes, at, *byte).filter(|_| opens) {
                    Some(closing) => {
                        at = closing + 1;
                        continue;
                    }
                    None => next.is_ascii_whitespace() || b",;)]}>:\\<\0".contains(&next),
                }
            }
            b'&' => matches!(before, Some(b'?' | b'&')),
            b',' | b';' => {
                before.is_some_and(|it| b",;{([?&".contains(&it))
                    && is_name_next(bytes.get(at + 1..).unwrap_or_default())
            }
            0 => true,
            _ => byte.is_ascii_whitespace(),
        };
        if ends {
            break;
        }
        at += 1;
    }
    let value = rest.get(..at).unwrap_or(rest);
    value.trim_end_matches([',', ';', ')', ']', '}', '\\'])
}

/// Where the quotation that opens at `at` closes, within its line.
fn closing(bytes: &[u8], at: usize, quote: u8) -> Option<usize> {
    let tail = bytes.get(at + 1..)?;
    let found = tail
        .iter()
        .position(|it| *it == quote || matches!(it, b'\n' | 0))?;
    (tail.get(found) == Some(&quote)).then_some(at + 1 + found)
}

/// Whether `name=` or `"name":` comes next.
fn is_name_next(bytes: &[u8]) -> bool {
    let is_mark = |it: &u8| matches!(it, b' ' | b'"' | b'\'');
    let mut rest = bytes
        .iter()
        .take(NEXT_BYTES_MAX)
        .skip_while(|it| is_mark(it))
        .skip_while(|it| super::is_word(**it))
        .skip_while(|it| is_mark(it));
    matches!(rest.next(), Some(b'=' | b':'))
}
