//! Values of more than a line: blocks of YAML, and arrays and objects of JSON.

use super::Span;
use super::name::Strength;

/// The block behind the YAML key that starts at `start` and whose `:` ends at `end`: the deeper lines
/// behind `|`, `>-` or nothing. Some part of it is a mapping whose own names tell what is secret if
/// the key is only likely to be one.
pub(super) fn indented(text: &str, start: usize, end: usize, strength: Strength) -> Option<Span> {
    let (head, _) = text.get(end..)?.split_once('\n')?;
    if !is_block_head(head.trim()) {
        return None;
    }
    let line = text.get(..start)?;
    let line_start = line.rfind('\n').map_or(0, |it| it + 1);
    let before = text.get(line_start..start)?;
    let column = before.trim_end_matches(['"', '\'']).len();
    let margin = before.len() - before.trim_start_matches([' ', '\t']).len();
    let first = end + head.len() + 1;
    let mut at = first;
    let mut span: Option<Span> = None;
    for line in text.get(first..)?.split_inclusive('\n') {
        let body = line.trim();
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        // Elements of a list may stand as deep as their key.
        let is_inside = indent > column || (indent == margin && body.starts_with("- "));
        if !body.is_empty() {
            if !is_inside {
                break;
            }
            let end = at + line.trim_end().len();
            let start = at + indent;
            span = Some(Span {
                start: span.map_or(start, |it| it.start),
                end,
            });
            if strength == Strength::Likely && (body.contains(": ") || body.ends_with(':')) {
                return None;
            }
        }
        at += line.len();
    }
    span
}

/// Whether what follows `key:` in its line says that the value stands in the lines below.
fn is_block_head(head: &str) -> bool {
    let head = head.split(" #").next().unwrap_or_default().trim_end();
    head.is_empty()
        || head.strip_prefix(['|', '>']).is_some_and(|it| {
            it.bytes()
                .all(|it| it.is_ascii_digit() || matches!(it, b'+' | b'-'))
        })
}

/// The array or object of JSON, YAML or TOML that starts at `start`. What turns out to be none goes to
/// the end of the line in which it does.
pub(super) fn container(text: &str, start: usize) -> Option<Span> {
    let rest = text.get(start..)?;
    let bytes = rest.as_bytes();
    let line_end = |from: usize| {
        let tail = bytes.get(from..).unwrap_or_default();
        let length = tail.iter().position(|it| matches!(it, b'\n' | 0));
        start + from + length.unwrap_or(tail.len())
    };
    let (mut at, mut depth, mut was_value) = (0, 0_usize, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'[' | b'{' if !was_value => depth += 1,
            b']' | b'}' => {
                depth -= 1;
                was_value = true;
                if depth == 0 {
                    return Some(Span {
                        start,
                        end: start + at + 1,
                    });
                }
            }
            b',' | b':' | b'=' => was_value = false,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            0 => break,
            _ if was_value => break,
            b'"' | b'\'' => {
                let Some(length) = quoted(bytes.get(at..).unwrap_or_default()) else {
                    break;
                };
                at += length;
                was_value = true;
                continue;
            }
            _ => {
                let tail = bytes.get(at..).unwrap_or_default();
                let length = tail
                    .iter()
                    .position(|it| it.is_ascii_whitespace() || b",:=[]{}\0".contains(it));
                at += length.unwrap_or(tail.len());
                was_value = true;
                continue;
            }
        }
        at += 1;
    }
    Some(Span {
        start,
        end: line_end(at.min(bytes.len())),
    })
}

/// The length of the quotation, with its marks, if it ends within the line.
fn quoted(bytes: &[u8]) -> Option<usize> {
    let quote = bytes.first()?;
    let mut is_escaped = false;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            b'\n' => return None,
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            _ if byte == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}
