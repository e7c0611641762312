//! The values of a profile: each is a type that cannot hold a wrong one, so that a fault is found while
//! the file is read and bears its line.

use std::fmt;

use model::Cause;
use model::limits::SUBJECT_NAME_BYTES_MAX;
use serde::Deserialize;

/// A text that has been looked at: reads from a string, prints as one.
macro_rules! text {
    ($(#[doc = $doc:literal] $name:ident, $is_valid:expr, $what:literal;)+) => { $(
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let is_valid: fn(&str) -> bool = $is_valid;
                if is_valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(format!("`{}` is not {}", text.escape_debug(), $what))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+ };
}

text! {
    /// Name of a profile or of a script of its service.
    Name, is_name, "a name of a-z, 0-9, `.`, `_` and `-`";
    /// Name of a systemd unit, with its suffix.
    Unit, is_unit, "the name of a systemd unit, such as `NAME.service`";
    /// An absolute path, or one below `{data}`; `*` stands for any part of a name.
    Path, is_path, "an absolute path, nor one below {data}/";
    /// The path to a setting, with dots.
    Key, is_key, "the path to a setting, such as `output.*.hosts`";
    /// Address of a public document.
    Url, is_url, "the https:// address of a document";
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    (1..=SUBJECT_NAME_BYTES_MAX).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(allowed)
}

fn is_unit(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let suffixes = [".service", ".socket", ".timer"];
    suffixes
        .iter()
        .any(|it| text.strip_suffix(it).is_some_and(|name| !name.is_empty()))
        && text.chars().all(allowed)
}

fn is_path(text: &str) -> bool {
    (text.starts_with('/') || text == "{data}" || text.starts_with("{data}/"))
        && !text.split('/').any(|it| it == "..")
        && !text.contains('\0')
}

fn is_key(text: &str) -> bool {
    text.split('.')
        .all(|it| !it.is_empty() && !it.contains(char::is_whitespace))
}

fn is_url(text: &str) -> bool {
    text.strip_prefix("https://")
        .is_some_and(|it| it.contains('.') && !it.contains(char::is_whitespace))
}

/// At least one public document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Url>")]
pub struct Sources(pub Vec<Url>);

impl TryFrom<Vec<Url>> for Sources {
    type Error = &'static str;

    fn try_from(urls: Vec<Url>) -> Result<Self, &'static str> {
        if urls.is_empty() {
            Err("`sources` names at least one document")
        } else {
            Ok(Self(urls))
        }
    }
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Check(Vec<String>);

impl Check {
    /// Program and arguments for that file.
    #[must_use]
    pub fn for_path(&self, path: &std::path::Path) -> Vec<String> {
        let shown = path.display().to_string();
        self.0
            .iter()
            .map(|it| it.replace("{path}", &shown))
            .collect()
    }
}

impl TryFrom<Vec<String>> for Check {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        match words.first() {
            Some(program) if program.starts_with('/') => Ok(Self(words)),
            _ => Err("the first word of `check` is the absolute path of a program".to_owned()),
        }
    }
}

/// The most that a mode may allow, as in `0o640`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Mode(pub u32);

impl Default for Mode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl TryFrom<u32> for Mode {
    type Error = String;

    fn try_from(mode: u32) -> Result<Self, String> {
        if mode <= 0o777 {
            Ok(Self(mode))
        } else {
            Err(format!("{mode} is not a mode; write it as 0o640"))
        }
    }
}

/// A port from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub struct Port(pub u16);

impl TryFrom<u16> for Port {
    type Error = &'static str;

    fn try_from(port: u16) -> Result<Self, &'static str> {
        if port == 0 {
            Err("a port is a number from 1 to 65535")
        } else {
            Ok(Self(port))
        }
    }
}

/// The name of a cause of the catalogue.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct CauseName(pub(super) Cause);

impl TryFrom<String> for CauseName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(cause) = Cause::ALL.iter().find(|it| it.name() == text) {
            return Ok(Self(*cause));
        }
        let alike = |it: &&Cause| {
            let same = |(a, b): &(char, char)| a.eq_ignore_ascii_case(b);
            it.name().chars().zip(text.chars()).take_while(same).count()
        };
        let nearest = Cause::ALL
            .iter()
            .max_by_key(alike)
            .map_or("", |it| it.name());
        let text = text.escape_debug();
        Err(format!("`{text}` is no cause; the nearest is `{nearest}`"))
    }
}
