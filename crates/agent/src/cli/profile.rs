//! `sickbay-agent profile`: which agents can be examined, and is a profile of one's own sound?

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::terminal::{say, write};
use super::{FAILED, Failure, USAGE};
use crate::check::profile::{self, Known, PROFILES_DIR, Profile, Profiles};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the agents that can be examined.
    List {
        /// Where this host's own profiles lie.
        #[arg(long, value_name = "DIR", default_value = PROFILES_DIR)]
        profiles: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a profile as it is written.
    Show {
        /// Its name.
        name: String,
        /// Where this host's own profiles lie.
        #[arg(long, value_name = "DIR", default_value = PROFILES_DIR)]
        profiles: PathBuf,
    },
    /// Check a file: is it a profile?
    Check {
        /// The file, called NAME.toml.
        file: PathBuf,
    },
}

pub(super) fn run(command: &Command) -> Result<u8, Failure> {
    match command {
        Command::List { profiles, json } => Ok(list(profiles, *json)),
        Command::Show { name, profiles } => {
            let profiles = Profiles::load(profiles);
            let known = profiles.find(name).map_err(|error| Failure {
                code: USAGE,
                line: error.to_string(),
            })?;
            let text = profile::text(known).map_err(|error| Failure {
                code: FAILED,
                line: error.to_string(),
            })?;
            write(text.trim_end());
            Ok(0)
        }
        Command::Check { file } => {
            let profile = Profile::read(file).map_err(|fault| Failure {
                code: FAILED,
                line: fault.to_string(),
            })?;
            say(&format!("{} is sound: {}", file.display(), profile.title));
            Ok(0)
        }
    }
}

/// Exit code 1 where a file of the host's own has a fault.
fn list(dir: &Path, as_json: bool) -> u8 {
    let profiles = Profiles::load(dir);
    let origin = |it: &Known| match &it.file {
        Some(path) => path.display().to_string(),
        None => "built in".to_owned(),
    };
    let faults: Vec<String> = profiles.faults().map(ToString::to_string).collect();
    if as_json {
        let row = |it: &Known| {
            let Known {
                profile, replaces, ..
            } = it;
            json!({
                "name": profile.name.as_str(), "title": profile.title, "origin": origin(it), "replaces": replaces,
            })
        };
        let rows: Vec<_> = profiles.all().map(row).collect();
        write(&json!({"profiles": rows, "faults": faults}).to_string());
    } else {
        for it in profiles.all() {
            let title = &it.profile.title;
            write(&format!(
                "{:<18} {title} ({})",
                it.profile.name.as_str(),
                origin(it)
            ));
        }
        faults.iter().for_each(|it| say(it));
    }
    if faults.is_empty() { 0 } else { FAILED }
}
