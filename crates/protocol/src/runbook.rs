//! Runbooks: commands with a name, typed parameters and checks, as data (TOML).
//!
//! Owns how one reads, which are shipped, and what becomes of one with values: the same on the operator's
//! machine, on the node and on a host that makes it again to compare. A fix of the catalogue that has a
//! command is a runbook, too (`fix-1103`), and a runbook may take its command of one. A value never becomes
//! syntax: [`model::template`]. Reads no files.

mod read;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;

use model::template::{self, Kind};
use model::{Fix, Placeholder};
use ring::digest::{SHA256, digest};

use crate::work::{OpsLimits, OpsWork, RunbookUse};

/// Those that are shipped as files.
const SHIPPED: [(&str, &str); 5] = [
    (
        "clear-cache-directory",
        include_str!("../runbooks/clear-cache-directory.toml"),
    ),
    (
        "collect-logs",
        include_str!("../runbooks/collect-logs.toml"),
    ),
    (
        "enable-agent",
        include_str!("../runbooks/enable-agent.toml"),
    ),
    (
        "restart-agent",
        include_str!("../runbooks/restart-agent.toml"),
    ),
    ("rotate-logs", include_str!("../runbooks/rotate-logs.toml")),
];

/// A command with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runbook {
    /// Its name: a-z, 0-9 and hyphens.
    pub name: String,
    /// What it does, in one line.
    pub title: String,
    /// Template of a line of sh. The words of the parameters, in capitals, stand for their values.
    pub command: String,
    /// The users that it may run as, the usual one first; empty: the agent's own.
    pub users: Vec<String>,
    /// Template of what must succeed before, or nothing is started.
    pub before: Option<String>,
    /// Template of what must succeed afterwards.
    pub after: Option<String>,
    /// What it may use.
    pub limits: OpsLimits,
    /// Time that each host has unless the task says otherwise, in seconds.
    pub timeout_seconds: Option<i64>,
    /// Parameters by name.
    pub parameters: BTreeMap<String, Parameter>,
    /// SHA-256 of its text, lower-case hexadecimal.
    pub sha256: String,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What its values are.
    pub values: Values,
    /// Its value where none is given; `None`: one must be.
    pub default: Option<String>,
    /// What it means, in one line.
    pub help: String,
}

/// What the values of a parameter are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// Those of a kind.
    Of(Kind),
    /// A whole number between two, both included.
    Integer(i64, i64),
    /// One of these.
    Enum(Vec<String>),
    /// A path below a directory.
    Below(String),
}

/// Why a runbook cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its text is no runbook.
    #[error("the runbook {name} is wrong: {what}")]
    Wrong {
        /// Its name.
        name: String,
        /// What is.
        what: String,
    },
    /// A value was given for a parameter that it does not have.
    #[error("the runbook {name} has no parameter {parameter}; it has {known}")]
    Unknown {
        /// Its name.
        name: String,
        /// What was given.
        parameter: String,
        /// Those that it has.
        known: String,
    },
    /// A parameter has no value.
    #[error("the runbook {name} needs a value for {parameter}: {help}")]
    Missing {
        /// Its name.
        name: String,
        /// The parameter.
        parameter: String,
        /// What it means.
        help: String,
    },
    /// A value is none of the parameter's.
    #[error("{parameter} of the runbook {name} must be {must}, was {was:?}")]
    Value {
        /// Its name.
        name: String,
        /// The parameter.
        parameter: String,
        /// What it must be.
        must: String,
        /// What was given.
        was: String,
    },
    /// It may not run as that user.
    #[error("the runbook {name} may run as {allowed} only, not as {user:?}")]
    User {
        /// Its name.
        name: String,
        /// Who may.
        allowed: String,
        /// Who was asked for.
        user: String,
    },
}

impl Runbook {
    /// All that are shipped, by name: files, then fixes.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        let files = SHIPPED.iter().map(|it| it.0);
        let fixes = Fix::ALL.iter().filter(|it| it.action().is_some());
        let fixes: Vec<String> = fixes.map(|it| format!("fix-{}", it.code())).collect();
        files
            .chain(fixes.iter().map(String::as_str))
            .filter_map(Self::find)
            .collect()
    }

    /// The shipped one of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        if let Some((name, text)) = SHIPPED.iter().find(|it| it.0 == name) {
            return Self::parse(name, text).ok();
        }
        let code = name.strip_prefix("fix-")?.parse().ok()?;
        Self::of_fix(Fix::find(code)?)
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Error::Wrong`].
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        read::parse(name, text).map_err(|what| Error::Wrong {
            name: name.to_owned(),
            what,
        })
    }

    fn of_fix(fix: Fix) -> Option<Self> {
        let command = fix.action()?.command;
        let parameters = template::placeholders(command).into_iter().map(|it| {
            let parameter = Parameter {
                values: Values::Of(it.kind()),
                default: None,
                help: "as the check found it".to_owned(),
            };
            (it.word().to_ascii_lowercase(), parameter)
        });
        Some(Self {
            name: format!("fix-{}", fix.code()),
            title: fix.sentence().to_owned(),
            command: command.to_owned(),
            users: Vec::new(),
            before: None,
            after: None,
            limits: OpsLimits::default(),
            timeout_seconds: None,
            parameters: parameters.collect(),
            sha256: sha256(command),
        })
    }

    /// What is to be run, with these values, as that user.
    ///
    /// # Errors
    /// A value or the user is not one of the runbook's.
    pub fn resolve(
        &self,
        given: &BTreeMap<String, String>,
        run_as: Option<&str>,
    ) -> Result<OpsWork, Error> {
        let name = || self.name.clone();
        if let Some(parameter) = given.keys().find(|it| !self.parameters.contains_key(*it)) {
            let known: Vec<&str> = self.parameters.keys().map(String::as_str).collect();
            return Err(Error::Unknown {
                name: name(),
                parameter: parameter.clone(),
                known: if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                },
            });
        }
        let mut parameters = BTreeMap::new();
        for (key, parameter) in &self.parameters {
            let value = given.get(key).or(parameter.default.as_ref());
            let value = value.ok_or_else(|| Error::Missing {
                name: name(),
                parameter: key.clone(),
                help: parameter.help.clone(),
            })?;
            if !parameter.values.accept(value) {
                return Err(Error::Value {
                    name: name(),
                    parameter: key.clone(),
                    must: parameter.values.describe(),
                    was: value.clone(),
                });
            }
            parameters.insert(key.clone(), value.clone());
        }
        let fill = |template: &str| {
            let Ok(line) = template::fill_words(template, |word| {
                let is_word = !word.chars().any(|it| it.is_ascii_lowercase());
                let value = parameters.get(&word.to_ascii_lowercase());
                value.filter(|_| is_word).map(Ok::<_, Infallible>)
            });
            line
        };
        Ok(OpsWork {
            command: fill(&self.command),
            before: self.before.as_deref().map(fill),
            after: self.after.as_deref().map(fill),
            run_as: self.user(run_as)?,
            limits: self.limits,
            runbook: Some(RunbookUse {
                name: name(),
                sha256: self.sha256.clone(),
                parameters,
            }),
            ..OpsWork::default()
        })
    }

    fn user(&self, asked: Option<&str>) -> Result<Option<String>, Error> {
        match asked {
            None => Ok(self.users.first().cloned()),
            Some(user) if self.users.iter().any(|it| it == user) => Ok(Some(user.to_owned())),
            Some(user) => Err(Error::User {
                name: self.name.clone(),
                allowed: match self.users.as_slice() {
                    [] => "the agent's own user".to_owned(),
                    users => users.join(", "),
                },
                user: user.to_owned(),
            }),
        }
    }
}

impl Values {
    fn accept(&self, value: &str) -> bool {
        let is_clean = |path: &str| {
            Kind::Path.accepts(path)
                && path
                    .split('/')
                    .skip(1)
                    .all(|it| !["", ".", ".."].contains(&it))
        };
        match self {
            Self::Of(Kind::Path) => value == "/" || is_clean(value),
            Self::Of(kind) => kind.accepts(value),
            Self::Integer(min, max) => value
                .parse::<i64>()
                .is_ok_and(|it| (*min..=*max).contains(&it) && it.to_string() == value),
            Self::Enum(values) => values.iter().any(|it| it == value),
            Self::Below(dir) => {
                let rest = value.strip_prefix(dir.as_str());
                is_clean(value) && rest.is_some_and(|it| it.starts_with('/'))
            }
        }
    }

    /// What a value must be, in a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Of(Kind::Address) => "a name or address of a server".to_owned(),
            Self::Of(Kind::Name) => "a name of letters, digits and .:-_@+".to_owned(),
            Self::Of(Kind::Number) => "digits".to_owned(),
            Self::Of(Kind::Path) => "a path from the root, without . and ..".to_owned(),
            Self::Of(Kind::Text) => "one line that does not begin with a hyphen".to_owned(),
            Self::Of(Kind::Url) => "an address with a scheme".to_owned(),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Enum(values) => format!("one of {}", values.join(", ")),
            Self::Below(dir) => format!("a path below {dir}, without . and .."),
        }
    }
}

/// The fix whose command a runbook is to have.
fn command_of_fix(code: u16) -> Option<&'static str> {
    Some(Fix::find(code)?.action()?.command)
}

/// Whether a template has a placeholder that no parameter fills.
fn unfilled(template: &str, parameters: &BTreeMap<String, Parameter>) -> Option<&'static str> {
    let words = template::placeholders(template);
    let mut words = words.into_iter().map(Placeholder::word);
    words.find(|it| !parameters.contains_key(&it.to_ascii_lowercase()))
}

fn sha256(text: &str) -> String {
    data_encoding::HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref())
}
