//! `sickbay task commands`: the commands to run by hand of a task, all of them.

use client::{Client, LeafFilter};
use model::limits::PAGE_SIZE_MAX;
use model::template::quoted;
use model::{Status, TaskId};
use protocol::api::task::{HostDetail, Task, read_details};
use serde_json::{Value, json};

use super::group::manual_command;
use super::leaves::root_of;
use crate::ui::{Column, Ui, cell, clean_line, count};

const COLUMNS: &[Column] = &[
    Column {
        title: "HOST",
        cell: |row| cell(row, "uuid"),
    },
    Column {
        title: "NAME",
        cell: |row| cell(row, "name"),
    },
    Column {
        title: "ADDRESS",
        cell: |row| cell(row, "address"),
    },
    Column {
        title: "LEAF",
        cell: |row| cell(row, "leafId"),
    },
    Column {
        title: "COMMAND",
        cell: |row| cell(row, "command"),
    },
];

/// What comes before the hosts in a script.
const SCRIPT_HEAD: &str = r#"#!/bin/sh
# Runs each host's command on that host by ssh, one after another. A command is of use once, and only on its host.
# Another way to the hosts, or other options: SSH='ssh -J jump -l admin' sh FILE
failed=0
on() {
    printf '== %s (%s)\n' "$1" "$2"
    ${SSH:-ssh -o ConnectTimeout=10} -- "$1" "$3" </dev/null
    case $? in 0 | 1) ;; *) echo "== $1: not reported" >&2; failed=1 ;; esac
}"#;
const SCRIPT_END: &str = "exit $failed";

/// Lists them, or writes one script that runs each on its host.
pub(super) async fn list(
    id: TaskId,
    as_script: bool,
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<()> {
    let root = root_of(id)?;
    let waiting = LeafFilter {
        statuses: vec![Status::Dispatch],
        ..LeafFilter::default()
    };
    let mut pages = client.leaves(&root.to_string(), &waiting, PAGE_SIZE_MAX);
    let mut list = ui.list(COLUMNS, "uuid");
    let mut hosts = 0;
    if as_script {
        ui.line(SCRIPT_HEAD)?;
    }
    while let Some(leaves) = pages.next().await? {
        for leaf in &leaves {
            let Some(row) = row(leaf)? else { continue };
            hosts += 1;
            if as_script {
                ui.line(&script_line(&row))?;
            } else {
                list.push(row)?;
            }
        }
    }
    if as_script {
        ui.line(SCRIPT_END)?;
    } else {
        list.finish()?;
    }
    if hosts == 0 {
        ui.say(&format!(
            "no host of task {id} waits for a command by hand; `sickbay task get {id}` shows how they stand"
        ));
    } else {
        ui.say(&format!(
            "{} by hand; each command is of use once, on its own host, until the task ends",
            count(hosts, "host")
        ));
    }
    Ok(())
}

fn row(leaf: &Task) -> anyhow::Result<Option<Value>> {
    let detail: HostDetail = match read_details(&leaf.detail_data)?.into_iter().next() {
        Some(detail) => detail,
        None => return Ok(None),
    };
    let Some(command) = manual_command(&detail) else {
        return Ok(None);
    };
    let address = match detail.intranet_ip.as_str() {
        "" => &detail.internet_ip,
        address => address,
    };
    Ok(Some(json!({
        "uuid": detail.uuid,
        "name": detail.instance_name,
        "address": address,
        "leafId": leaf.task_id,
        "command": command,
    })))
}

/// Names and addresses are the hosts' own words: they are words of sh here that mean themselves, behind `--`.
fn script_line(row: &Value) -> String {
    let text = |name: &str| clean_line(row[name].as_str().unwrap_or_default());
    let reached = match text("address") {
        address if address.is_empty() => text("name"),
        address => address,
    };
    let words = [reached, text("uuid"), text("command")].map(|it| quoted(&it));
    format!("on {}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_own_name_is_no_command_of_the_script() {
        let row = |name: &str, address: &str| json!({"uuid": "u1", "name": name, "address": address, "command": "echo 'it'"});
        let rows = [
            row("a'; touch /tmp/x; '", ""),
            row("-oProxyCommand=x", "10.0.0.7"),
        ];
        let lines = rows.map(|it| script_line(&it));
        assert_eq!(
            lines,
            [
                r#"on 'a'\''; touch /tmp/x; '\''' u1 'echo '\''it'\'''"#,
                r#"on 10.0.0.7 u1 'echo '\''it'\'''"#,
            ]
        );
    }
}
