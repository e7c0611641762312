//! The pattern language of profiles: literal text with gaps.
//!
//! `{name}` stands for one word and keeps it, `*` for any text. A gap is as short as the text behind
//! it allows, and what was matched is never tried in another way, so a match takes time in proportion
//! to the line, whatever the pattern. Never used on anything but single lines.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// Longest line that is looked at; the rest of a longer one is not, in bytes.
const LINE_BYTES_MAX: usize = 4 << 10;
/// Longest word, in bytes.
const WORD_BYTES_MAX: usize = 256;
/// Most parts of one pattern.
const PARTS_MAX: usize = 32;
/// Fewest characters of literal text: less would fit any line.
const LITERAL_CHARS_MIN: usize = 2;
/// What ends a word besides white space.
const WORD_ENDS: [char; 9] = ['"', '\'', '`', ',', ';', '(', ')', '<', '>'];

/// A pattern, such as `cannot connect to {server}: *refused`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// A word that is kept under that name.
    Word(String),
    Any,
}

/// What the words of a pattern stood for, in their order.
pub(crate) type Captures<'a> = Vec<(&'a str, &'a str)>;

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no pattern: {why}")]
pub struct Error {
    text: String,
    why: &'static str,
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fault = |why| Error {
            text: text.to_owned(),
            why,
        };
        let parts = parse(text).map_err(fault)?;
        let is_gap = |it: &Part| !matches!(it, Part::Literal(_));
        if parts.windows(2).any(|it| it.iter().all(is_gap)) {
            return Err(fault("two gaps need literal text between them"));
        }
        if parts.len() > PARTS_MAX {
            return Err(fault("it has more than 32 parts"));
        }
        let literal = parts.iter().filter_map(|it| match it {
            Part::Literal(text) => Some(text.trim().chars().count()),
            Part::Word(_) | Part::Any => None,
        });
        if literal.sum::<usize>() < LITERAL_CHARS_MIN {
            return Err(fault("it needs at least 2 characters of literal text"));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

impl TryFrom<String> for Pattern {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse(text: &str) -> Result<Vec<Part>, &'static str> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let gap = match c {
            '\\' => {
                match rest.next() {
                    Some(c @ ('\\' | '*' | '{' | '}')) => literal.push(c),
                    _ => return Err("`\\` stands before `*`, `{`, `}` or `\\` only"),
                }
                continue;
            }
            '*' => Part::Any,
            '{' => Part::Word(name(&mut rest)?),
            '}' => return Err("`}` without `{`; write `\\}` for the character"),
            c => {
                literal.push(c);
                continue;
            }
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(gap);
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

fn name(rest: &mut std::str::Chars<'_>) -> Result<String, &'static str> {
    let mut name = String::new();
    for c in rest {
        match c {
            '}' if !name.is_empty() => return Ok(name),
            'a'..='z' | '_' => name.push(c),
            _ => break,
        }
    }
    Err("between `{` and `}` stands a name of a-z and `_`")
}

impl Pattern {
    /// Whether it has a word of that name.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.parts
            .iter()
            .any(|it| matches!(it, Part::Word(its) if its == name))
    }

    /// The words, if the pattern fits somewhere in the line.
    #[must_use]
    pub(crate) fn find<'a>(&'a self, line: &'a str) -> Option<Captures<'a>> {
        let line = line.lines().next().unwrap_or_default();
        let end = line.floor_char_boundary(LINE_BYTES_MAX);
        let mut rest = line.get(..end)?;
        let mut captures = Captures::new();
        // Between two `*` nothing depends on what came before: the first place that fits will do.
        for group in self.parts.split(|it| *it == Part::Any) {
            rest = first(group, rest, &mut captures)?;
        }
        Some(captures)
    }
}

/// The text behind the first place where the group fits.
fn first<'a>(group: &'a [Part], text: &'a str, captures: &mut Captures<'a>) -> Option<&'a str> {
    let (lead, rest) = match group.split_first() {
        None => return Some(text),
        Some((Part::Literal(literal), rest)) => (literal.as_str(), rest),
        // A word at the start may begin anywhere: look for what stands behind it.
        Some(_) => ("", group),
    };
    let kept = captures.len();
    let mut from = text;
    while let Some(at) = from.find(lead) {
        let behind = from.get(at + lead.len()..)?;
        if let Some(end) = fits(rest, behind, captures) {
            return Some(end);
        }
        captures.truncate(kept);
        let step = from.get(at..)?.chars().next()?.len_utf8();
        from = from.get(at + step..)?;
    }
    None
}

/// The text behind the group, if it fits at the very start.
fn fits<'a>(group: &'a [Part], text: &'a str, captures: &mut Captures<'a>) -> Option<&'a str> {
    let mut rest = text;
    let mut parts = group.iter().peekable();
    while let Some(part) = parts.next() {
        match part {
            Part::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
            Part::Any => return None,
            Part::Word(name) => {
                let ends = |c: char| c.is_whitespace() || WORD_ENDS.contains(&c);
                let nearby = rest.get(..rest.floor_char_boundary(WORD_BYTES_MAX))?;
                let run = nearby.find(ends).unwrap_or(nearby.len());
                let length = match parts.peek() {
                    Some(Part::Literal(next)) => {
                        let reach = rest.floor_char_boundary(run + next.len());
                        let after_one = nearby.chars().next()?.len_utf8();
                        let found = rest.get(after_one..reach)?.find(next.as_str())?;
                        found + after_one
                    }
                    _ => run,
                };
                let (word, behind) = rest.split_at_checked(length)?;
                if word.is_empty() {
                    return None;
                }
                captures.push((name, word));
                rest = behind;
            }
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, line: &str) -> Option<String> {
        let pattern: Pattern = pattern.parse().unwrap();
        let found = pattern.find(line)?;
        let words: Vec<String> = found.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Some(words.join(" "))
    }

    #[test]
    fn literal_text_words_and_any_text_are_found() {
        for (pattern, line, expected) in [
            ("bind failed", "E: bind failed: x", Some("")),
            ("bind failed", "E: bind Failed", None),
            (
                "connect to {host}:{port}: *refused",
                "cannot connect to a.example:10051: [111] Connection refused",
                Some("host=a.example port=10051"),
            ),
            (
                "@@{host}:{port}",
                "*.* @@ x @@logs:514",
                Some("host=logs port=514"),
            ),
            ("user \"{user}\" no", "the user \"al\" no", Some("user=al")),
            ("user \"{user}\" no", "the user \"al b\" no", None),
            (
                "{host} is down",
                "now a.example is down",
                Some("host=a.example"),
            ),
            ("open * failed", "open /a b/c failed", Some("")),
            ("open * failed*x1", "open a failed", None),
            (r"100 \* \{x\}", "is 100 * {x}", Some("")),
            ("host {host}", "host ä", Some("host=ä")),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(find(pattern, line), expected, "{pattern} in {line}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in [
            ("{host}{port} x", "two gaps"),
            ("* {x}", "at least 2"),
            ("abc {Host}", "a name of a-z"),
            ("abc }", "without"),
            (r"abc \n", "stands before"),
            ("", "at least 2"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_hostile_line_takes_no_longer() {
        let pattern: Pattern = "aa{x}aa{y}aa{z}ab".parse().unwrap();
        assert_eq!(pattern.find(&"a".repeat(1 << 20)), None);
    }

    #[test]
    fn broken_patterns_and_lines_are_survived() {
        let samples = [
            "cannot connect to {server}: refused",
            "a {word} b {other} c",
        ];
        crate::fuzz::text("patterns", &samples, |it| {
            if let Ok(pattern) = it.parse::<Pattern>() {
                let _ = pattern.find("cannot connect to 10.0.0.1: refused");
            }
            let pattern: Pattern = samples[1].parse().unwrap();
            let _ = pattern.find(it);
        });
    }
}
