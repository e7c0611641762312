//! `sickbay host`: the hosts that are enrolled.

mod items;
mod label;

pub(super) use label::setting;

use client::{Client, HostQuery};
use model::AssetItem;
use model::limits::LEAF_PAGE_SIZE_MAX;
use serde_json::json;

use crate::exit::Exit;
use crate::ui::{self, Column, Ui, cell, count, time};

/// Commands of `sickbay host`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the hosts
    List {
        /// Only hosts where this matches, such as instanceName=web-1
        #[arg(long = "where", value_name = "NAME=VALUE", value_parser = super::key_value)]
        criteria: Vec<(String, String)>,
        /// Only the hosts that match now, such as 'label.env = prod and status = offline'
        #[arg(long, value_name = "EXPRESSION", conflicts_with = "criteria")]
        selector: Option<String>,
        /// Show at most so many; 0: all
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show one host
    Get {
        /// The host
        uuid: String,
        /// Show instead what its last inventory said of these: accounts, autoruns, cron, modules, packages, ports, processes, system
        #[arg(long, value_name = "ITEMS", value_delimiter = ',', value_parser = items::item)]
        items: Vec<AssetItem>,
    },
    /// Give hosts labels, or take them away
    #[command(after_help = "Example: sickbay host label --selector 'name ~ web-' env=prod tier-")]
    Label {
        /// Hosts, and what their labels are to be: KEY=VALUE sets one, KEY- removes one
        #[arg(required = true, value_name = "UUID|KEY=VALUE|KEY-")]
        words: Vec<String>,
        /// The hosts that match now, instead of uuids
        #[arg(long, value_name = "EXPRESSION")]
        selector: Option<String>,
        /// Remove all labels that are not named
        #[arg(long)]
        replace: bool,
    },
    /// Forget a host: its agent is refused from now on
    Remove {
        /// The host
        uuid: String,
    },
}

const COLUMNS: &[Column] = &[
    Column {
        title: "UUID",
        cell: |row| cell(row, "Uuid"),
    },
    Column {
        title: "NAME",
        cell: |row| cell(row, "InstanceName"),
    },
    Column {
        title: "AGENT",
        cell: |row| cell(row, "ClientStatus"),
    },
    Column {
        title: "ADDRESS",
        cell: |row| cell(row, "Ip"),
    },
    Column {
        title: "SYSTEM",
        cell: |row| cell(row, "OsName"),
    },
    Column {
        title: "LAST CONTACT",
        // What is on record of a host that is connected is when it came.
        cell: |row| match cell(row, "ClientStatus").as_str() {
            "online" => "now".to_owned(),
            _ => time(row, "LastLoginTimestamp"),
        },
    },
    Column {
        title: "LABELS",
        cell: |row| cell(row, "Labels"),
    },
];

pub(crate) async fn run(command: Command, client: &Client, ui: &Ui) -> anyhow::Result<Exit> {
    match command {
        Command::List {
            criteria,
            selector,
            limit,
        } => {
            let limit = ui.limit(limit);
            let query = HostQuery { criteria, selector };
            let mut pages = client.hosts(&query, LEAF_PAGE_SIZE_MAX);
            let mut list = ui.list(COLUMNS, "Uuid");
            let mut shown = 0;
            while shown < limit
                && let Some(hosts) = pages.next().await?
            {
                for host in hosts.into_iter().take(limit - shown) {
                    list.push(json!(host))?;
                    shown += 1;
                }
            }
            list.finish()?;
            say_rest(ui, shown, pages.total(), "host");
        }
        Command::Get { uuid, items } if !items.is_empty() => {
            items::show(&uuid, &items, client, ui).await?;
        }
        Command::Get { uuid, .. } => {
            let host = json!(client.host(&uuid).await?.asset_detail);
            ui.object(&host, "Uuid", || ui::pairs(&host))?;
        }
        Command::Label {
            words,
            selector,
            replace,
        } => label::run(words, selector, replace, client, ui).await?,
        Command::Remove { uuid } => {
            client.remove_host(&uuid).await?;
            ui.say(&format!("removed host {uuid}"));
        }
    }
    Ok(Exit::Success)
}

/// Says that a list was cut: silence would be taken for completeness.
pub(crate) fn say_rest(ui: &Ui, shown: usize, total: Option<u64>, noun: &str) {
    let shown = u64::try_from(shown).unwrap_or(u64::MAX);
    if let Some(total) = total
        && shown < total
    {
        ui.say(&format!(
            "shown {shown} of {}; --limit 0 shows all",
            count(total, noun)
        ));
    }
}
