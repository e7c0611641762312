//! The selector language: which hosts a task is for.
//!
//! `os = debian and not status = offline`, `label.env in (prod, stage) or name ~ "db-"`. Words are
//! keys, `=`, `!=`, `~` (contains), `in ( , )`, `not in`, `exists`, `and`, `or`, `not` and parentheses;
//! `and` binds more strongly than `or`. Values are words or double-quoted. Comparing ignores the case of
//! letters. A host that has nothing under a key is not equal to anything there. A selector that was
//! parsed cannot be wrong.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::label::{self, LabelKey};
use crate::limits;

/// What a selector can look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Machine architecture, such as `x86_64`.
    Arch,
    /// Name of the host's group.
    Group,
    /// Any address of the host.
    Ip,
    /// Kernel release.
    Kernel,
    /// Host name.
    Name,
    /// Operating system: its id, such as `debian`, or its whole name.
    Os,
    /// `online` or `offline`.
    Status,
    /// The host's uuid.
    Uuid,
    /// Version of its agent.
    Version,
    /// One of the labels that operators have given it.
    Label(LabelKey),
}

impl Key {
    /// The keys that are one word.
    const WORDS: [(&'static str, Self); 9] = [
        ("arch", Self::Arch),
        ("group", Self::Group),
        ("ip", Self::Ip),
        ("kernel", Self::Kernel),
        ("name", Self::Name),
        ("os", Self::Os),
        ("status", Self::Status),
        ("uuid", Self::Uuid),
        ("version", Self::Version),
    ];
}

/// Which hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Expr);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expr {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Is { key: Key, values: Vec<String> },
    Contains { key: Key, value: String },
    Exists(Key),
}

/// A place in a selector and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the first character, from 1.
    pub at: usize,
    /// The word or sign.
    pub found: String,
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Longer than it may be.
    #[error("a selector has at most {} bytes", limits::SELECTOR_BYTES_MAX)]
    TooLong,
    /// Deeper than it may be.
    #[error(
        "a selector has at most {} parentheses and `not` inside one another",
        limits::SELECTOR_DEPTH_MAX
    )]
    TooDeep,
    /// A word that is no key.
    #[error("{0} is not a key; keys are {keys}", keys = Keys)]
    NoKey(Place),
    /// The key of a label that can be none.
    #[error("{place}: {error}")]
    Label {
        /// Where.
        place: Place,
        /// Why not.
        error: label::Error,
    },
    /// Something else was expected.
    #[error("expected {expected} {where_}", where_ = Before(found))]
    Expected {
        /// What.
        expected: &'static str,
        /// What is there; `None` at the end.
        found: Option<Place>,
    },
    /// A quote without its end.
    #[error("the quoted value at character {0} is not closed")]
    OpenQuote(usize),
}

struct Keys;

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Key::WORDS.map(|it| it.0);
        write!(f, "{} and label.KEY", words.join(", "))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at character {}", self.found, self.at)
    }
}

struct Before<'a>(&'a Option<Place>);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => write!(f, "before {place}"),
            None => f.write_str("at the end"),
        }
    }
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::selector(text)
    }

    /// Whether a host is meant; `values` gives what it has for a key.
    pub fn matches<'a>(&self, values: &impl Fn(&Key) -> Vec<&'a str>) -> bool {
        self.0.matches(values)
    }
}

impl Expr {
    fn matches<'a>(&self, values: &impl Fn(&Key) -> Vec<&'a str>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|it| it.matches(values)),
            Self::Any(parts) => parts.iter().any(|it| it.matches(values)),
            Self::Not(part) => !part.matches(values),
            Self::Is {
                key,
                values: wanted,
            } => values(key)
                .iter()
                .any(|it| wanted.iter().any(|wanted| *wanted == it.to_lowercase())),
            Self::Contains { key, value } => values(key)
                .iter()
                .any(|it| it.to_lowercase().contains(value.as_str())),
            Self::Exists(key) => values(key).iter().any(|it| !it.is_empty()),
        }
    }
}
