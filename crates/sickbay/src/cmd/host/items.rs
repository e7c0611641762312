//! `sickbay host get UUID --items`: what the last inventory of a host said.

use client::Client;
use model::AssetItem;
use protocol::api::host::HostSnapshot;
use serde_json::{Value, json};

use crate::ui::{self, Column, Format, Ui, cell, clean_line, count, time};

/// The item of a word.
pub(super) fn item(word: &str) -> Result<AssetItem, String> {
    let found = AssetItem::ALL.into_iter().find(|it| it.word() == word);
    let known = || AssetItem::ALL.map(AssetItem::word).join(", ");
    found.ok_or_else(|| format!("`{word}` is not an item; they are {}", known()))
}

pub(super) async fn show(
    uuid: &str,
    items: &[AssetItem],
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<()> {
    let lists = client.host_snapshots(uuid, items).await?.snapshots;
    for item in items {
        if !lists.iter().any(|it| it.item == item.wire()) {
            let word = item.word();
            ui.say(&format!(
                "{word}: not known; ASSET_SECURITY_CHECK asks the host"
            ));
        }
    }
    if ui.format() != Format::Table {
        ui.value(&json!(lists))?;
        return Ok(());
    }
    for list in lists {
        table(list, ui)?;
    }
    Ok(())
}

fn table(list: HostSnapshot, ui: &Ui) -> anyhow::Result<()> {
    let item = AssetItem::from_wire(&list.item).unwrap_or(AssetItem::System);
    let partial = if list.is_partial {
        "; some may be missing"
    } else {
        ""
    };
    let taken = json!({ "at": list.taken_time });
    ui.line(&format!(
        "{}: {} old ({}, task {}){partial}",
        item.word(),
        age(list.age_seconds),
        time(&taken, "at"),
        clean_line(&list.task_id)
    ))?;
    match list.entries {
        Value::Array(entries) => {
            let mut rows = ui.list(columns(item), "name");
            for entry in entries {
                rows.push(entry)?;
            }
            rows.finish()?;
        }
        facts => ui.line(ui::pairs(&facts).trim_end())?,
    }
    Ok(())
}

/// How long that is, in the largest unit of which it has two.
fn age(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or_default();
    match seconds {
        0..=119 => count(seconds, "second"),
        120..=7_199 => count(seconds / 60, "minute"),
        7_200..=172_799 => count(seconds / 3_600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

macro_rules! columns {
    ($($title:literal $member:literal),+) => {
        &[$(Column { title: $title, cell: |row| cell(row, $member) }),+]
    };
}

fn columns(item: AssetItem) -> &'static [Column] {
    match item {
        AssetItem::System => &[],
        AssetItem::Accounts => {
            columns!("NAME" "name", "UID" "uid", "GROUPS" "groups", "HOME" "home", "SHELL" "shell")
        }
        AssetItem::Ports => {
            columns!("PROTOCOL" "protocol", "ADDRESS" "address", "PORT" "port", "PID" "pid", "PROCESS" "process")
        }
        AssetItem::Processes => {
            columns!("PID" "pid", "USER" "user", "NAME" "name", "MEMORY" "rssBytes", "COMMAND" "cmdline")
        }
        AssetItem::Packages => {
            columns!("NAME" "name", "VERSION" "version", "ARCHITECTURE" "architecture", "MANAGER" "manager")
        }
        AssetItem::CronJobs => {
            columns!("SCHEDULE" "schedule", "USER" "user", "COMMAND" "command", "FILE" "file")
        }
        AssetItem::KernelModules => {
            columns!("NAME" "name", "BYTES" "sizeBytes", "USED BY" "usedBy")
        }
        AssetItem::Autoruns => columns!("KIND" "kind", "NAME" "name", "PATH" "path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_short_and_says_enough() {
        for (seconds, said) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7_200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(age(seconds), said);
        }
    }

    #[test]
    fn an_item_that_is_none_says_which_there_are() {
        assert_eq!(item("ports"), Ok(AssetItem::Ports));
        let said = item("port").unwrap_err();
        assert!(said.contains("accounts, ports, processes"), "{said}");
    }
}
