//! Profiles: what a check has to know of an agent product, as data.
//!
//! Owns the built-in profiles, those of the host's own directory, their faults, the detection of known
//! agents and the resolution of a profile on this host. Looks at no agent's health; the probes do.

mod detect;
mod pattern;
mod places;
mod resolve;
mod schema;
mod value;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub(super) use detect::{Found, detect};
pub(super) use resolve::{on_this_host, unit_file};
pub use schema::Profile;
pub(super) use schema::{Limits, LogLine, Protocol, Trust};

use super::reading;
use super::settings::line_at;
use crate::config::exposure;

/// Where the host's own profiles lie unless told otherwise.
pub const PROFILES_DIR: &str = "/etc/sickbay/profiles";
/// The name of Sickbay's own agent.
pub const OWN: &str = "sickbay";
/// The subject that stands for every known agent that the host uses.
pub const AUTO: &str = "auto";
/// Largest profile, in bytes.
const PROFILE_BYTES_MAX: u64 = 64 << 10;
/// Most profiles of the host's own.
const PROFILES_MAX: usize = 64;

macro_rules! built_in {
    ($($name:literal)+) => {
        /// Name and text of the profiles that are part of the program.
        const BUILT_IN: &[(&str, &str)] = &[
            $( ($name, include_str!(concat!("../../profiles/", $name, ".toml"))), )+
        ];
    };
}

built_in! {
    "aliyun-aegis"
    "amazon-ssm-agent"
    "auditd"
    "chrony"
    "collectd"
    "datadog-agent"
    "elastic-agent"
    "falcon-sensor"
    "filebeat"
    "fluent-bit"
    "node-exporter"
    "osquery"
    "puppet-agent"
    "rsyslog"
    "salt-minion"
    "sickbay"
    "sshd"
    "telegraf"
    "wazuh-agent"
    "zabbix-agent"
    "zabbix-agent2"
}

/// A profile and where it comes from.
#[derive(Clone, Debug)]
pub struct Known {
    /// The profile.
    pub profile: Profile,
    /// The file; `None`: it is built in.
    pub file: Option<PathBuf>,
    /// Whether it stands in the place of a built-in one.
    pub replaces: bool,
}

/// Why a file is no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It cannot be read, or may be changed by others.
    #[error("the profile {0} cannot be used: {1}")]
    File(PathBuf, String),
    /// What it says is no profile.
    #[error("{path}:{line}: {message}")]
    Text {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        message: String,
    },
}

/// Why there is no profile of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody has heard of it.
    #[error("there is no profile `{name}`; there are {AUTO}, {known}")]
    Unknown {
        /// The name, printable.
        name: String,
        /// All names.
        known: String,
    },
    /// The host's own one has a fault.
    #[error(transparent)]
    Faulty(#[from] Fault),
}

/// All profiles that hold on this host.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    known: BTreeMap<String, Known>,
    /// Faults by the name that the file stands for.
    faults: BTreeMap<String, Fault>,
}

impl Profiles {
    /// The built-in profiles, and those in the directory; one of the same name replaces the built-in
    /// one. A directory that does not exist is empty. Faulty files are kept as faults.
    #[must_use]
    pub fn load(dir: &Path) -> Self {
        let mut profiles = Self::default();
        for (name, text) in BUILT_IN {
            let path = Path::new(name).with_added_extension("toml");
            profiles.add(name, Profile::parse(&path, text), None);
        }
        match user_files(dir) {
            Ok(files) => {
                for path in files {
                    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                    let read = Profile::read(&path);
                    profiles.add(&stem, read, Some(path.clone()));
                }
            }
            Err(why) => {
                let fault = Fault::File(dir.to_owned(), why);
                profiles.faults.insert(String::new(), fault);
            }
        }
        profiles
    }

    fn add(&mut self, name: &str, read: Result<Profile, Fault>, file: Option<PathBuf>) {
        match read {
            Ok(profile) => {
                let replaces = self.known.contains_key(name);
                let known = Known {
                    profile,
                    file,
                    replaces,
                };
                self.known.insert(name.to_owned(), known);
            }
            Err(fault) => {
                self.faults.insert(name.to_owned(), fault);
            }
        }
    }

    /// The profile of that name.
    ///
    /// # Errors
    /// There is none, or the host's own one has a fault.
    pub fn find(&self, name: &str) -> Result<&Known, Error> {
        if let Some(fault) = self.faults.get(name) {
            return Err(fault.clone().into());
        }
        // It may lie in the directory that was not looked into.
        let refused = self.faults.get("").cloned().map(Error::from);
        let unknown = || Error::Unknown {
            name: name.escape_debug().to_string(),
            known: self.known.keys().cloned().collect::<Vec<_>>().join(", "),
        };
        let known = self.known.get(name);
        known.ok_or_else(|| refused.unwrap_or_else(unknown))
    }

    /// All profiles, by name.
    pub fn all(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// What is wrong with the host's own files.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.values()
    }
}

impl Profile {
    /// Reads a file that somebody named.
    ///
    /// # Errors
    /// It cannot be read, may be changed by others than root and this user, or is no profile.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let fault = |why: String| Fault::File(path.to_owned(), why);
        let failed = |error: io::Error| fault(error.to_string());
        let file = reading::file(path).map_err(failed)?;
        if let Some(what) = exposure(&file.metadata().map_err(failed)?) {
            return Err(fault(format!(
                "others could change it: {what}; chown root and chmod go-w it"
            )));
        }
        let mut bytes = Vec::new();
        file.take(PROFILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if u64::try_from(bytes.len()).is_ok_and(|it| it > PROFILE_BYTES_MAX) {
            return Err(fault(format!(
                "it is larger than {PROFILE_BYTES_MAX} bytes"
            )));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let sound = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let sound = String::from_utf8_lossy(sound);
            Fault::Text {
                path: path.to_owned(),
                line: line_at(&sound, sound.len()),
                message: "this line is not UTF-8".to_owned(),
            }
        })?;
        Self::parse(path, text)
    }

    /// Reads a profile's text; `path` names it, and its stem must be the profile's name.
    ///
    /// # Errors
    /// It is no profile.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Fault> {
        let wrong = |line, message| Fault::Text {
            path: path.to_owned(),
            line,
            message,
        };
        let profile: Self = toml::from_str(text).map_err(|error| {
            let line = line_at(text, error.span().map_or(0, |it| it.start));
            let message = error.message().trim_end().replace('\n', ", ");
            wrong(line, misplaced(&message).unwrap_or(message))
        })?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = profile.name.as_str();
        if name != stem {
            let line = text.lines().position(|it| it.starts_with("name"));
            let message = format!("`name` is `{name}`, but the file is called `{stem}`");
            return Err(wrong(line.unwrap_or(0) + 1, message));
        }
        let process = &profile.process;
        let mut names = process.names.iter().chain(&process.scripts);
        let why = if name == AUTO {
            format!("`{AUTO}` stands for all agents that are found, and cannot be a profile's name")
        } else if names.clone().next().is_none() || names.any(String::is_empty) {
            "its processes are not named: `names` or `scripts` in [process]".to_owned()
        } else {
            return Ok(profile);
        };
        Err(wrong(1, why))
    }
}

/// What to say of a key of the whole profile that stands below a table: it would be that table's.
fn misplaced(message: &str) -> Option<String> {
    let key = message.strip_prefix("unknown field `")?.split('`').next()?;
    let is_top = schema::TOP_LEVEL.contains(&key);
    is_top.then(|| {
        format!(
            "{message}; if that of the profile is meant, `{key}` belongs above the first line in brackets"
        )
    })
}

/// A profile as it is written.
///
/// # Errors
/// The host's own file cannot be read any more.
pub fn text(known: &Known) -> io::Result<String> {
    let name = known.profile.name.as_str();
    match &known.file {
        Some(path) => fs::read_to_string(path),
        None => {
            let built_in = BUILT_IN.iter().find(|it| it.0 == name);
            Ok(built_in.map_or("", |it| it.1).to_owned())
        }
    }
}

/// The `*.toml` files of a directory that nobody else can change, by name.
fn user_files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let about = match fs::metadata(dir) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    if let Some(what) = exposure(&about) {
        return Err(format!(
            "others could lay a profile down there: {what}; chown root and chmod go-w it"
        ));
    }
    let entries = fs::read_dir(dir).map_err(|error| error.to_string())?;
    let paths = entries.flatten().map(|it| it.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|it| it.extension().is_some_and(|it| it == "toml"))
        .collect();
    files.sort();
    if files.len() > PROFILES_MAX {
        return Err(format!("it holds more than {PROFILES_MAX} profiles"));
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
