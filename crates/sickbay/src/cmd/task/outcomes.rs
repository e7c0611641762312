//! `sickbay task outcomes`: which answers there are, and how many hosts gave each.

use client::Client;
use model::TaskId;
use serde_json::json;

use super::leaves::root_of;
use crate::ui::{Column, Ui, cell};

const COLUMNS: &[Column] = &[
    Column {
        title: "HOSTS",
        cell: |row| cell(row, "Count"),
    },
    Column {
        title: "STATUS",
        cell: |row| cell(row, "Status"),
    },
    Column {
        title: "REASON",
        cell: |row| cell(row, "Reason"),
    },
    Column {
        title: "ANSWER",
        cell: |row| cell(row, "Label"),
    },
    Column {
        title: "SUCH AS",
        cell: |row| cell(row, "SampleName"),
    },
    Column {
        title: "OUTCOME",
        cell: |row| cell(row, "OutcomeId"),
    },
];

pub(super) async fn list(id: TaskId, client: &Client, ui: &Ui) -> anyhow::Result<()> {
    let found = client.outcomes(root_of(id)?).await?;
    let mut list = ui.list(COLUMNS, "OutcomeId");
    for outcome in &found.outcomes {
        list.push(json!(outcome))?;
    }
    list.finish()?;
    Ok(())
}
