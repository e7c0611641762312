//! `sickbay problem`: what a check can be about.

use client::Client;
use model::Language;
use serde_json::json;

use crate::exit::Exit;
use crate::ui::{Column, Ui, cell};

/// Commands of `sickbay problem`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the problem types
    List {
        /// Language of the texts: en or zh
        #[arg(long, value_name = "LANGUAGE", default_value = "en", value_parser = super::language)]
        lang: Language,
    },
}

const COLUMNS: &[Column] = &[
    Column {
        title: "ID",
        cell: |row| cell(row, "problemId"),
    },
    Column {
        title: "TYPE",
        cell: |row| cell(row, "problemType"),
    },
    Column {
        title: "MEANING",
        cell: |row| cell(row, "problemDetail"),
    },
];

pub(crate) async fn run(command: Command, client: &Client, ui: &Ui) -> anyhow::Result<Exit> {
    let Command::List { lang } = command;
    let mut list = ui.list(COLUMNS, "problemType");
    for problem in client.problem_types(lang.wire()).await?.problem_types {
        list.push(json!(problem))?;
    }
    list.finish()?;
    Ok(Exit::Success)
}
