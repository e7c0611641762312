//! The host's local policy, `/etc/sickbay/agent.toml`: what its owner lets the server ask for.
//!
//! Never guesses: a file that is missing means the defaults, a file with any fault means no agent.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{TaskType, limits};
use protocol::work::Work;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};

use crate::config::exposure;

mod rules;
mod runbook;

use rules::Rules;

/// Work that may run at once, at most, whatever the file says.
const WORK_AT_ONCE_MAX: usize = 64;
/// Where this host's own runbooks lie.
const RUNBOOKS_DIR: &str = "/etc/sickbay/runbooks";

/// What the server may ask of this host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Task types that are carried out. Default: all.
    #[serde(deserialize_with = "task_types")]
    pub allowed_task_types: Vec<TaskType>,
    /// Whether commands are run at all. Default: yes.
    pub commands: bool,
    /// The users that commands may run as. Default: any.
    #[serde(deserialize_with = "some")]
    pub allowed_users: Option<BTreeSet<String>>,
    /// Longest run of one command, in seconds. Default: only the order's deadline.
    #[serde(deserialize_with = "some_positive")]
    pub command_seconds_max: Option<u64>,
    /// Part of each output stream of a command that is kept, in bytes. Default and most: 65,536.
    #[serde(deserialize_with = "output_bytes")]
    pub output_bytes_max: usize,
    /// The runbooks that commands may be of; others, and plain commands, are refused. Default: anything.
    #[serde(deserialize_with = "some")]
    pub allowed_runbooks: Option<BTreeSet<String>>,
    /// Orders that run at the same time. Default: 4.
    #[serde(deserialize_with = "work_at_once")]
    pub work_at_once_max: usize,
    /// Where each rule stands, to be named where it refuses.
    #[serde(skip)]
    pub(crate) rules: Rules,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allowed_task_types: TaskType::ALL.to_vec(),
            commands: true,
            allowed_users: None,
            command_seconds_max: None,
            output_bytes_max: limits::OUTPUT_BYTES_MAX,
            work_at_once_max: 4,
            allowed_runbooks: None,
            rules: Rules::default(),
        }
    }
}

/// Why the policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file that was asked for does not exist.
    #[error("there is no policy {0}")]
    Missing(PathBuf),
    /// The file is there and cannot be read.
    #[error("cannot read the policy {0}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// Somebody else may change the file.
    #[error(
        "the policy {path} can be changed by others than root and the agent: {what}; \
         correct it with `chown root` and `chmod go-w`"
    )]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What gives it away.
        what: String,
    },
    /// Somebody else may take the file away or put another in its place.
    #[error(
        "the policy {path} can be replaced by others than root and the agent: of its directory \
         {dir}, {what}; keep it where only root may write"
    )]
    UnsafeDir {
        /// The file.
        path: PathBuf,
        /// Its directory.
        dir: PathBuf,
        /// What gives it away.
        what: String,
    },
    /// The file says something that is no policy.
    #[error("the policy {path} is wrong at line {line}: {message}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Key and fault.
        message: String,
    },
}

impl Policy {
    /// Reads the policy; a file that does not exist means the defaults.
    ///
    /// # Errors
    /// The file cannot be read, can be changed or replaced by others, or has a fault.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Ok(Self::find(path)?.unwrap_or_default())
    }

    /// Reads the policy that somebody named: a mistyped path must not mean that everything is allowed.
    ///
    /// # Errors
    /// As for [`Policy::load`], and the file does not exist.
    pub fn load_named(path: &Path) -> Result<Self, Error> {
        Self::find(path)?.ok_or_else(|| Error::Missing(path.to_owned()))
    }

    /// Reads the policy; `None`: there is no such file.
    ///
    /// # Errors
    /// The file cannot be read, can be changed or replaced by others, or has a fault.
    pub fn find(path: &Path) -> Result<Option<Self>, Error> {
        let unreadable = |error| Error::Unreadable(path.to_owned(), error);
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        // Before the file: whoever may take it away may choose the defaults instead.
        match fs::metadata(dir).map(|it| exposure(&it)) {
            Ok(None) => {}
            Ok(Some(what)) => {
                let (path, dir) = (path.to_owned(), dir.to_owned());
                return Err(Error::UnsafeDir { path, dir, what });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        if let Some(what) = exposure(&file.metadata().map_err(unreadable)?) {
            let path = path.to_owned();
            return Err(Error::Unsafe { path, what });
        }
        let text = io::read_to_string(file).map_err(unreadable)?;
        Self::read(path, &text).map(Some)
    }

    /// What it allows, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let list = |all: bool, names: Vec<&str>| match names.as_slice() {
            _ if all => "all".to_owned(),
            [] => "none".to_owned(),
            names => names.join(" "),
        };
        let types = self.allowed_task_types.iter().map(|it| it.wire()).collect();
        let every_type = TaskType::ALL
            .iter()
            .all(|it| self.allowed_task_types.contains(it));
        let users = self.allowed_users.iter().flatten().map(String::as_str);
        let seconds = match self.command_seconds_max {
            Some(seconds) => format!("{seconds} s"),
            None => "the order's deadline".to_owned(),
        };
        format!(
            "task types {}, commands {}, users {}, runbooks {}, a command at most {seconds} and {} bytes of each \
             output, {} at once",
            list(every_type, types),
            if self.commands { "yes" } else { "no" },
            list(self.allowed_users.is_none(), users.collect()).escape_debug(),
            match &self.allowed_runbooks {
                None => "all and plain commands".to_owned(),
                Some(names) => list(false, names.iter().map(String::as_str).collect()),
            }
            .escape_debug(),
            self.output_bytes_max,
            self.work_at_once_max,
        )
    }

    fn read(path: &Path, text: &str) -> Result<Self, Error> {
        let read: Result<Self, toml::de::Error> = toml::from_str(text);
        let rules = Rules::of(path, text);
        read.map(|policy| Self { rules, ..policy })
            .map_err(|error| {
                let at = error.span().map_or(0, |it| it.start);
                let before = text.get(..at).unwrap_or_default();
                let line = before.matches('\n').count();
                let key = text
                    .lines()
                    .nth(line)
                    .and_then(|it| it.split_once('='))
                    .map(|(key, _)| key.trim());
                let fault = error.message().replace('\n', ", ");
                let message = match key {
                    Some(key) if !fault.contains(&format!("`{key}`")) => {
                        format!("`{key}`: {fault}")
                    }
                    _ => fault,
                };
                Error::Wrong {
                    path: path.to_owned(),
                    line: line + 1,
                    message,
                }
            })
    }

    /// Why this work may not be done here, with the rule's line; `None`: it may.
    #[must_use]
    pub fn refusal(&self, task_type: TaskType, work: &Work) -> Option<String> {
        let refused = |what: &str, key: &str| {
            let rule = self.rules.find(key);
            Some(format!("the host's policy does not allow {what} ({rule})"))
        };
        if !self.allowed_task_types.contains(&task_type) {
            return refused(task_type.wire(), "allowed_task_types");
        }
        let Work::Ops(ops) = work else {
            return None;
        };
        if !self.commands {
            return refused("commands", "commands");
        }
        if let Some(allowed) = &self.allowed_runbooks {
            match &ops.runbook {
                None => return refused("commands that are no runbook", "allowed_runbooks"),
                Some(used) if !allowed.contains(&used.name) => {
                    let what = format!("the runbook `{}`", used.name.escape_debug());
                    return refused(&what, "allowed_runbooks");
                }
                Some(used) => {
                    if let Some(why) = runbook::objection(used, ops, Path::new(RUNBOOKS_DIR)) {
                        return refused(&why, "allowed_runbooks");
                    }
                }
            }
        }
        let users = self.allowed_users.as_ref()?;
        let user = ops.run_as.clone().unwrap_or_else(own_user);
        if users.contains(&user) {
            return None;
        }
        let what = format!("commands as user `{}`", user.escape_debug());
        refused(&what, "allowed_users")
    }

    /// Longest run of one command, where the policy limits it.
    #[must_use]
    pub fn command_time_max(&self) -> Option<Duration> {
        self.command_seconds_max.map(Duration::from_secs)
    }
}

/// Name of the user that the agent runs as; its number where it has no name.
fn own_user() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    match name {
        Some(name) => name,
        None if uid == "0" => "root".to_owned(),
        None => uid,
    }
}

fn task_types<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<TaskType>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let types = names.iter().map(|it| it.parse::<TaskType>());
    types.collect::<Result<_, _>>().map_err(D::Error::custom)
}

fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<BTreeSet<String>>, D::Error> {
    BTreeSet::deserialize(from).map(Some)
}

fn some_positive<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    match u64::deserialize(from)? {
        0 => Err(D::Error::invalid_value(
            Unexpected::Unsigned(0),
            &"at least 1",
        )),
        number => Ok(Some(number)),
    }
}

fn output_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    at_most(from, limits::OUTPUT_BYTES_MAX)
}

fn work_at_once<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    at_most(from, WORK_AT_ONCE_MAX)
}

fn at_most<'de, D: Deserializer<'de>>(from: D, max: usize) -> Result<usize, D::Error> {
    let number = usize::deserialize(from)?;
    if (1..=max).contains(&number) {
        Ok(number)
    } else {
        Err(D::Error::custom(format!("must be between 1 and {max}")))
    }
}

#[cfg(test)]
mod tests;
