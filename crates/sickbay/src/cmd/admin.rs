//! `sickbay admin`: looking after what the control plane stores.
//!
//! Verifying asks the server, or looks into a data directory on which none runs. Backup and restore work on directories of this machine.

use std::path::{Path, PathBuf};

use anyhow::bail;
use serde_json::json;
use server::upkeep::{self, Copied};

use crate::exit::Exit;
use crate::settings::Settings;
use crate::ui::{Column, Ui, cell};

/// Commands of `sickbay admin`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Recompute everything derived from the journals and compare: exit code 0 if all is as it should be, 1 with one line per difference
    Verify {
        /// Data directory of a node that does not run, or a backup; without it, the running control plane is asked
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Copy a data directory, whether a node runs on it or not
    ///
    /// The copy is as everything was at one moment, and as secret as the data directory: the keys are in it.
    Backup {
        /// Data directory of the node
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Directory to make, which must not exist
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Copy the log bundles too
        #[arg(long)]
        bundles: bool,
    },
    /// Make a data directory of a backup, and verify it
    Restore {
        /// The backup
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Data directory to make; it must be empty or not exist
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

const COLUMNS: &[Column] = &[Column {
    title: "DIFFERENCE",
    cell: |row| cell(row, "Difference"),
}];

pub(crate) async fn run(command: Command, settings: &Settings, ui: &Ui) -> anyhow::Result<Exit> {
    match command {
        Command::Verify { data: None } => {
            let client = settings.client()?;
            show(&client.verify_store().await?, ui)
        }
        Command::Verify { data: Some(data) } => show(&verify(&data)?, ui),
        Command::Backup { data, to, bundles } => {
            let copied = upkeep::backup(&data, &to, bundles)?;
            ui.say(&format!("backed up to {}: {}", to.display(), told(&copied)));
            Ok(Exit::Success)
        }
        Command::Restore { from, data } => {
            let (copied, differences) = upkeep::restore(&from, &data).await?;
            ui.say(&format!("restored {}: {}", data.display(), told(&copied)));
            show(&differences, ui)
        }
    }
}

fn verify(data: &Path) -> anyhow::Result<Vec<String>> {
    match upkeep::verify(data) {
        Err(error @ upkeep::Error::InUse(_)) => {
            bail!("{error}: leave out --data to ask it, or stop it first")
        }
        verified => Ok(verified?),
    }
}

fn show(differences: &[String], ui: &Ui) -> anyhow::Result<Exit> {
    if differences.is_empty() {
        ui.say("everything stored is as the journals tell");
        return Ok(Exit::Success);
    }
    let mut list = ui.list(COLUMNS, "Difference");
    for difference in differences {
        list.push(json!({ "Difference": difference }))?;
    }
    list.finish()?;
    let what = match differences.len() {
        1 => "1 difference".to_owned(),
        count => format!("{count} differences"),
    };
    ui.say(&format!("{what}: see docs/operations.md"));
    Ok(Exit::Failed)
}

fn told(copied: &Copied) -> String {
    let mut text = format!("database of {} bytes", copied.database_bytes);
    for name in &copied.keys {
        text.push_str(&format!(", {name}"));
    }
    if copied.bundles > 0 {
        text.push_str(&format!(", {} log bundles", copied.bundles));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_is_told() {
        let copied = Copied {
            database_bytes: 4_096,
            keys: vec!["root-key.json", "secret.key"],
            bundles: 3,
        };
        assert_eq!(
            told(&copied),
            "database of 4096 bytes, root-key.json, secret.key, 3 log bundles"
        );
    }

    #[test]
    fn a_directory_without_a_store_is_named() {
        let error = verify(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(
            format!("{error:#}").contains("/nowhere/at/all"),
            "{error:#}"
        );
        assert_eq!(Exit::of_error(&error), Exit::Failed);
    }
}
