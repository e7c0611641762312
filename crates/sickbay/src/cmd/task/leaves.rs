//! `sickbay task leaves`: each host's part of a task.

use client::{Client, LeafFilter};
use model::limits::PAGE_SIZE_MAX;
use model::{RootId, TaskId};
use protocol::api::task::{Task, read_details};
use serde_json::{Value, json};

use super::now::Now;
use crate::cmd::host::say_rest;
use crate::exit::Usage;
use crate::ui::{Column, Ui, cell};

const COLUMNS: &[Column] = &[
    Column {
        title: "LEAF",
        cell: |row| cell(row, "leafId"),
    },
    Column {
        title: "HOST",
        cell: |row| cell(row, "uuid"),
    },
    Column {
        title: "NAME",
        cell: |row| cell(row, "instanceName"),
    },
    Column {
        title: "STATUS",
        cell: |row| cell(row, "status"),
    },
    Column {
        title: "REASON",
        cell: |row| cell(row, "reason"),
    },
    Column {
        title: "EXIT",
        cell: |row| cell(row, "exitCode"),
    },
    Column {
        title: "CAUSES",
        cell: |row| cell(row, "causeCode"),
    },
    Column {
        title: "NOW",
        cell: |row| cell(row, "now"),
    },
];

pub(super) async fn list(
    id: TaskId,
    filter: &LeafFilter,
    limit: usize,
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<()> {
    let root = root_of(id)?;
    let mut pages = client.leaves(&root.to_string(), filter, PAGE_SIZE_MAX);
    let mut list = ui.list(COLUMNS, "leafId");
    let mut shown = 0;
    while shown < limit
        && let Some(leaves) = pages.next().await?
    {
        for leaf in leaves.iter().take(limit - shown) {
            list.push(row(leaf)?)?;
            shown += 1;
        }
    }
    list.finish()?;
    say_rest(ui, shown, pages.total(), "host");
    Ok(())
}

/// The task that is meant, which must be a whole one.
pub(super) fn root_of(id: TaskId) -> Result<RootId, Usage> {
    match id {
        TaskId::Root(root) => Ok(root),
        TaskId::Leaf(leaf) => Err(Usage(format!(
            "{id} is one host's part; its task is {}",
            leaf.root
        ))),
    }
}

/// What the host said, with the leaf's id and status.
fn row(leaf: &Task) -> anyhow::Result<Value> {
    let details = read_details(&leaf.detail_data)?;
    let mut row = json!(details.into_iter().next().unwrap_or_default());
    if let Some(members) = row.as_object_mut() {
        members.insert("leafId".to_owned(), json!(leaf.task_id));
        members.insert("status".to_owned(), json!(leaf.task_status_text));
        if let Some(now) = Now::of(leaf) {
            members.insert("now".to_owned(), json!(now.brief()));
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_what_the_host_said_with_the_leafs_id() {
        let leaf = Task {
            task_id: "0b".to_owned(),
            task_status_text: "FAIL".to_owned(),
            detail_data: r#"[{"uuid":"h1","exitCode":3,"causeCode":["2401","2504"]}]"#.to_owned(),
            ..Task::default()
        };
        let row = row(&leaf).unwrap();
        let cells: Vec<String> = COLUMNS.iter().map(|it| (it.cell)(&row)).collect();
        assert_eq!(cells, ["0b", "h1", "", "FAIL", "", "3", "2401,2504", ""]);
    }

    #[test]
    fn a_row_of_a_running_leaf_says_what_it_does() {
        let leaf = Task {
            output_tail: "one\ntwo\n".to_owned(),
            output_length: Some(8),
            ..Task::default()
        };
        assert_eq!(cell(&row(&leaf).unwrap(), "now"), "two");
    }
}
