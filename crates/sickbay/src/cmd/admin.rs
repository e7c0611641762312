//! `sickbay admin`: looking after what the control plane stores.
//!
//! Verifying asks the server, or looks into a data directory on which none runs. Backup and restore work on directories of this machine.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::json;
use server::Database;
use server::upkeep::{self, Copied, CopiedDatabase};

use crate::exit::{Exit, NotVerified};
use crate::settings::Settings;
use crate::ui::{Column, Ui, cell};

/// Commands of `sickbay admin`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Recompute everything derived from the journals and compare: exit code 0 if all is as it should be, 1 with one line per difference, 7 if
    /// nothing could be compared
    Verify {
        /// Data directory of a node that does not run, or a backup; without it, the running control plane is asked. If its database is on
        /// a server, SICKBAY_STORE is the URL
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Copy a data directory, whether a node runs on it or not
    ///
    /// The copy is as everything was at one moment, and as secret as the data directory: the keys are in it. A database on a server is
    /// not: that is pg_dump's job.
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
    ///
    /// A database on a server is for pg_restore to bring back.
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
            show(&client.verify_store().await.context(NotVerified)?, ui)
        }
        Command::Verify { data: Some(data) } => show(&verify(data).await.context(NotVerified)?, ui),
        Command::Backup { data, to, bundles } => {
            let copied = upkeep::backup(&data, &to, bundles)?;
            ui.say(&format!("backed up to {}: {}", to.display(), told(&copied)));
            Ok(Exit::Success)
        }
        Command::Restore { from, data } => {
            let (copied, differences) = upkeep::restore(&from, &data).await?;
            ui.say(&format!("restored {}: {}", data.display(), told(&copied)));
            match copied.database {
                CopiedDatabase::File(_) => show(&differences, ui),
                CopiedDatabase::Server(_) => Ok(Exit::Success),
            }
        }
    }
}

async fn verify(data: PathBuf) -> anyhow::Result<Vec<String>> {
    let server = match super::server::database_of_environment()? {
        Database::Server(url) => Some(url),
        Database::File => None,
    };
    match tokio::task::spawn_blocking(move || upkeep::verify(&data, server.as_deref())).await? {
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
    let mut text = match &copied.database {
        CopiedDatabase::File(bytes) => format!("database of {bytes} bytes"),
        CopiedDatabase::Server(url) => {
            format!("all but the database {url}, which pg_dump saves and pg_restore brings back")
        }
    };
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
        let mut copied = Copied {
            database: CopiedDatabase::File(4_096),
            keys: vec!["root-key.json", "secret.key"],
            bundles: 3,
        };
        assert_eq!(
            told(&copied),
            "database of 4096 bytes, root-key.json, secret.key, 3 log bundles"
        );
        copied.database = CopiedDatabase::Server("postgres://h/d".to_owned());
        assert!(told(&copied).contains("pg_dump"));
    }

    #[tokio::test]
    async fn a_directory_without_a_store_is_named() {
        let error = verify("/nowhere/at/all".into()).await.unwrap_err();
        assert!(
            format!("{error:#}").contains("/nowhere/at/all"),
            "{error:#}"
        );
        assert_eq!(Exit::of_error(&error), Exit::Failed);
    }
}
