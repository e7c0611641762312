//! What may reach a terminal. Text of hosts and servers could move its cursor, change its title, turn the order in which it is read,
//! or pass for a line of ours; here that is taken out. Pure functions.

use std::borrow::Cow;
use std::fmt::Write;

/// What stands where something was taken out.
const GONE: char = '\u{fffd}';
/// Cells between two tab stops.
const TAB: usize = 8;

/// Whether a character steers a terminal, breaks lines, turns the direction of text, or cannot be seen (Unicode 16: Cc, Zl, Zp,
/// `Bidi_Control`, zero-width format characters).
const fn is_hostile(it: char) -> bool {
    matches!(
        it,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

/// Text that a terminal may show as one line.
pub(crate) fn clean_line(text: &str) -> String {
    let shown = |it| match it {
        '\n' | '\t' => ' ',
        it if is_hostile(it) => GONE,
        it => it,
    };
    text.chars().map(shown).collect()
}

/// Text of ours that may have several lines, each of which has been cleaned: catches what was forgotten.
pub(super) fn clean(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(clean_line).collect();
    lines.join("\n")
}

/// A line of a command's output with its tabs as spaces, so that columns stay columns.
pub(crate) fn without_tabs(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut column = 0;
    for it in line.chars() {
        let cells = if it == '\t' { TAB - column % TAB } else { 1 };
        out.extend(std::iter::repeat_n(
            if it == '\t' { ' ' } else { it },
            cells,
        ));
        column += cells;
    }
    out
}

/// Cuts a line into pieces of at most `width` cells, at least one piece: a terminal that breaks it by itself would begin the next row
/// with whatever the host put there. What is not ASCII is taken to be two cells wide.
pub(crate) fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut used = 0;
    for it in line.chars() {
        let cells = if it.is_ascii() { 1 } else { 2 };
        if used + cells > width && !piece.is_empty() {
            pieces.push(std::mem::take(&mut piece));
            used = 0;
        }
        piece.push(it);
        used += cells;
    }
    pieces.push(piece);
    pieces
}

/// The same JSON, with hostile characters as `\u` and four hexadecimal digits. `serde_json` escapes those below U+0020; the others can only be in strings.
pub(super) fn escape(json: &str) -> Cow<'_, str> {
    let is_raw = |it: char| it > '\u{1f}' && is_hostile(it);
    if !json.contains(is_raw) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for it in json.chars() {
        if is_raw(it) {
            // Writing into a string cannot fail; all of them are in the basic plane.
            let _ = write!(out, "\\u{:04x}", u32::from(it));
        } else {
            out.push(it);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HOSTILE: &str = "\0\u{7}\u{8}\r\u{b}\u{c}\u{1b}\u{7f}\u{85}\u{9b}\u{61c}\u{200b}\u{200e}\u{202e}\u{2028}\u{2029}\u{2066}\u{2069}\u{feff}";

    #[test]
    fn a_line_stays_one_line_and_steers_nothing() {
        assert_eq!(clean_line("a\tb\nc"), "a b c");
        assert_eq!(clean_line("a\u{1b}[2Jb\r\n"), "a\u{fffd}[2Jb\u{fffd} ");
        let gone = clean_line(HOSTILE);
        assert!(gone.chars().all(|it| it == GONE), "{gone:?}");
        let harmless = "Grüße, 世界 🚑 │ é — 'x'";
        assert_eq!(clean_line(harmless), harmless);
        assert_eq!(clean("a\n\u{202e}b\tc\n"), "a\n\u{fffd}b c\n");
    }

    #[test]
    fn json_says_the_same_without_hostile_characters() {
        let value = json!({HOSTILE: ["a\n\"\\", HOSTILE], "ü": "世界"});
        for text in [value.to_string(), format!("{value:#}")] {
            let escaped = escape(&text);
            assert!(
                !escaped.contains(|it| it != '\n' && is_hostile(it)),
                "{escaped:?}"
            );
            assert!(escaped.contains("\\u009b") && escaped.contains("\\u202e"));
            assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
        }
        assert!(matches!(escape("{\n  \"a\": 1\n}"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_long_line_is_cut_where_a_terminal_would() {
        assert_eq!(wrap("abcdefg", 3), ["abc", "def", "g"]);
        assert_eq!(wrap("a世b界", 3), ["a世", "b界"]);
        assert_eq!(wrap("世界", 1), ["世", "界"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn columns_of_an_output_stay_columns() {
        assert_eq!(without_tabs("a\tbc\t|"), "a       bc      |");
    }
}
