//! Labels: what operators say of hosts, as keys with values.
//!
//! Only operators set them. A host never says its own: what a policy allows for hosts of a label must
//! not be for the host to choose.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::limits;

/// The key of a label, in lower case: `Env` and `env` are one key.
///
/// At most [`limits::LABEL_KEY_BYTES_MAX`] ASCII letters, digits, `.`, `_`, `/` and `-`; the first is a
/// letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(Box<str>);

/// The value of a label.
///
/// At most [`limits::LABEL_VALUE_CHARS_MAX`] letters and digits of any script, ASCII signs, and blanks
/// between them: nothing that cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(Box<str>);

/// The labels of one host, by key. At most [`limits::HOST_LABELS_MAX`].
///
/// Their text form is a line `key=value` for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<LabelKey, LabelValue>);

/// What is to become of a host's labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelChange {
    /// The value that a key is to have; `None`: the key is to go.
    pub entries: BTreeMap<LabelKey, Option<LabelValue>>,
    /// Whether all keys that are not named go too.
    pub replaces: bool,
}

/// Why something is no label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a key.
    #[error(
        "`{0}` is no label key: that is 1 to {most} letters, digits, `.`, `_`, `/` and `-`, the first a letter or digit",
        most = limits::LABEL_KEY_BYTES_MAX
    )]
    Key(String),
    /// Not a value.
    #[error(
        "`{0}` is no label value: that is 1 to {most} letters, digits and signs, with blanks only between them",
        most = limits::LABEL_VALUE_CHARS_MAX
    )]
    Value(String),
    /// Not `key=value`.
    #[error("`{0}` is not KEY=VALUE")]
    Line(String),
    /// A key is there twice.
    #[error("the label `{0}` is given twice")]
    Twice(LabelKey),
    /// More than a host may have.
    #[error("a host has at most {} labels", limits::HOST_LABELS_MAX)]
    TooMany,
}

/// A refused text, cut so that an error stays short.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

impl LabelKey {
    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fits = (1..=limits::LABEL_KEY_BYTES_MAX).contains(&text.len());
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if fits && starts_well && text.chars().all(allowed) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(Error::Key(shown(text)))
        }
    }
}

impl fmt::Display for LabelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LabelValue {
    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelValue {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fits = (1..=limits::LABEL_VALUE_CHARS_MAX).contains(&text.chars().count());
        let allowed = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ';
        if fits && text.trim() == text && text.chars().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(Error::Value(shown(text)))
        }
    }
}

impl Labels {
    /// These labels.
    ///
    /// # Errors
    /// A key is there twice, or there are too many.
    pub fn new(labels: impl IntoIterator<Item = (LabelKey, LabelValue)>) -> Result<Self, Error> {
        let mut all = BTreeMap::new();
        for (key, value) in labels {
            if all.contains_key(&key) {
                return Err(Error::Twice(key));
            }
            all.insert(key, value);
        }
        Self(all).within_limits()
    }

    fn within_limits(self) -> Result<Self, Error> {
        if self.0.len() > limits::HOST_LABELS_MAX {
            return Err(Error::TooMany);
        }
        Ok(self)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &LabelKey) -> Option<&LabelValue> {
        self.0.get(key)
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&LabelKey, &LabelValue)> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, LabelValue(value))) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { "\n" };
            write!(f, "{before}{key}={value}")?;
        }
        Ok(())
    }
}

impl FromStr for Labels {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let label = |line: &str| {
            let halves = line.split_once('=');
            let (key, value) = halves.ok_or_else(|| Error::Line(shown(line)))?;
            Ok((key.parse()?, value.parse()?))
        };
        let labels: Result<Vec<_>, Error> = text.lines().map(label).collect();
        Self::new(labels?)
    }
}

impl LabelChange {
    /// The labels after the change of these.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn apply(&self, labels: &Labels) -> Result<Labels, Error> {
        let mut changed = if self.replaces {
            Labels::default()
        } else {
            labels.clone()
        };
        for (key, value) in &self.entries {
            match value {
                Some(value) => changed.0.insert(key.clone(), value.clone()),
                None => changed.0.remove(key),
            };
        }
        changed.within_limits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_limited_and_seen() {
        for good in ["env", "9", "a.b_c/d-e", &"k".repeat(63)] {
            assert_eq!(good.parse::<LabelKey>().unwrap().as_str(), good);
        }
        assert_eq!("Env".parse::<LabelKey>(), "env".parse());
        for bad in ["", "-a", "/a", "a b", "a=b", "é", &"k".repeat(64)] {
            assert_eq!(bad.parse::<LabelKey>(), Err(Error::Key(bad.into())));
        }
        for good in ["prod", "a, \"b\" = c", "运维", &"é".repeat(63)] {
            assert_eq!(good.parse::<LabelValue>().unwrap().as_str(), good);
        }
        let unseen = ["pro\u{200b}d", "a\u{202e}b", "a\nb", "a\tb"];
        for bad in ["", " a", "a ", &"é".repeat(64)].into_iter().chain(unseen) {
            assert_eq!(bad.parse::<LabelValue>(), Err(Error::Value(bad.into())));
        }
        let long = "x".repeat(10_000).parse::<LabelKey>().unwrap_err();
        assert!(long.to_string().len() < 300);
    }

    #[test]
    fn labels_read_back_and_are_so_many_at_most() {
        let labels: Labels = "tier=a=b\nEnv=Prod".parse().unwrap();
        assert_eq!(labels.to_string(), "env=Prod\ntier=a=b");
        assert_eq!("".parse::<Labels>(), Ok(Labels::default()));
        assert_eq!("x".parse::<Labels>(), Err(Error::Line("x".into())));
        let twice = "env=a\nENV=b".parse::<Labels>();
        assert_eq!(twice, Err(Error::Twice("env".parse().unwrap())));
        let many = |count: usize| {
            let lines: Vec<_> = (0..count).map(|it| format!("k{it}=v")).collect();
            lines.join("\n").parse::<Labels>()
        };
        assert!(many(limits::HOST_LABELS_MAX).is_ok());
        assert_eq!(many(limits::HOST_LABELS_MAX + 1), Err(Error::TooMany));
    }

    #[test]
    fn a_change_sets_removes_and_replaces() {
        let before: Labels = "env=prod\ntier=web".parse().unwrap();
        let entries = || {
            let set = ("env".parse().unwrap(), Some("stage".parse().unwrap()));
            let gone = ("tier".parse().unwrap(), None);
            let new = ("zone".parse().unwrap(), Some("a".parse().unwrap()));
            BTreeMap::from([set, gone, new])
        };
        let change = |replaces| LabelChange {
            entries: entries(),
            replaces,
        };
        let more: Labels = "env=prod\nowner=ann".parse().unwrap();
        for (labels, replaces, expected) in [
            (&before, false, "env=stage\nzone=a"),
            (&more, false, "env=stage\nowner=ann\nzone=a"),
            (&more, true, "env=stage\nzone=a"),
        ] {
            let changed = change(replaces).apply(labels).unwrap();
            assert_eq!(changed.to_string(), expected);
        }
        let full = (0..limits::HOST_LABELS_MAX).map(|it| format!("k{it}=v"));
        let full: Labels = full.collect::<Vec<_>>().join("\n").parse().unwrap();
        assert_eq!(change(false).apply(&full), Err(Error::TooMany));
        assert!(change(true).apply(&full).is_ok());
    }
}
