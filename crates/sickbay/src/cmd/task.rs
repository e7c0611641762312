//! `sickbay task`: create tasks, follow them, read what the hosts said.

mod bundle;
mod commands;
mod create;
mod fix;
mod group;
mod leaves;
mod now;
mod outcomes;
mod show;
mod watch;

use std::path::PathBuf;

use anyhow::bail;
use client::{Client, LeafFilter, TaskQuery};
use model::{OutcomeId, Reason, Status, TaskId, TaskType};
use protocol::api::task::Task;
use serde_json::json;

use super::host::say_rest;
use crate::exit::Exit;
use crate::ui::{Column, Ui, cell, time};

/// Commands of `sickbay task`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Create a task
    Create(Box<create::Args>),
    /// List tasks, newest first
    List {
        /// Only tasks of this type
        #[arg(long = "type", value_name = "TYPE", value_parser = task_type)]
        task_type: Option<TaskType>,
        /// Show at most so many; 0: all
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show how a task stands and what its hosts said, the same answers together
    Get {
        /// The task, or one host's part of it
        id: TaskId,
    },
    /// Follow a task until it has ended; of one host, with its command's output as it comes
    Watch {
        /// The task, or one host's part of it
        id: TaskId,
    },
    /// Wait until a task has ended, then show it
    Wait {
        /// The task
        id: TaskId,
    },
    /// Stop a task: what waits ends, what runs is killed
    Cancel {
        /// The task
        id: TaskId,
    },
    /// Do the work of a task again where it failed or timed out, or on hosts that you name: a new task
    Rerun {
        /// The task
        id: TaskId,
        /// Where its hosts ended so: FAIL, TIMEOUT or SUCCESS; usually FAIL,TIMEOUT
        #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
        status: Vec<Status>,
        /// Only where it ended for such a reason, such as never_delivered
        #[arg(long, value_name = "REASON", value_delimiter = ',', value_parser = reason)]
        reason: Vec<Reason>,
        /// On this host of the task, however its part ended; give it again for more
        #[arg(long = "host", value_name = "UUID", value_delimiter = ',')]
        hosts: Vec<String>,
        /// Follow the new task until it has ended
        #[arg(long, conflicts_with = "wait")]
        watch: bool,
        /// Wait until the new task has ended, then show it
        #[arg(long)]
        wait: bool,
    },
    /// List each host's part of a task
    Leaves {
        /// The task
        id: TaskId,
        /// Only those that stand so, such as FAIL,TIMEOUT
        #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
        status: Vec<Status>,
        /// Only those that answered so, by an id that `task outcomes` lists
        #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
        outcome: Option<OutcomeId>,
        /// Show at most so many; 0: all
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Count the hosts that answered the same
    Outcomes {
        /// The task
        id: TaskId,
    },
    /// List the commands to run by hand, for hosts that are offline
    Commands {
        /// The task
        id: TaskId,
        /// Write a script that runs each on its host by ssh
        #[arg(long)]
        script: bool,
    },
    /// Download the log bundle of one host
    Bundle {
        /// One host's part of a task, or a task that made one bundle only
        id: TaskId,
        /// File to write; it must not exist
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// A task type by its name on the wire, in any case, with `-` or `_`.
fn task_type(text: &str) -> Result<TaskType, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    name.parse()
        .map_err(|error: model::task::NotATaskType| error.to_string())
}

fn status(text: &str) -> Result<Status, String> {
    Status::from_wire(&text.to_ascii_uppercase()).ok_or_else(|| {
        let known = Status::ALL.map(Status::wire).join(", ");
        format!("a status is one of {known}")
    })
}

fn outcome(text: &str) -> Result<OutcomeId, String> {
    text.parse()
        .map_err(|error: model::id::NotAnId| error.to_string())
}

fn reason(text: &str) -> Result<Reason, String> {
    let found = Reason::from_wire(&text.to_ascii_lowercase().replace('-', "_"));
    found.filter(|it| *it != Reason::None).ok_or_else(|| {
        let known: Vec<&str> = Reason::ALL.iter().skip(1).map(|it| it.wire()).collect();
        format!("a reason is one of {}", known.join(", "))
    })
}

pub(crate) async fn run(command: Command, client: &Client, ui: &Ui) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => create::run(*args, client, ui).await,
        Command::List { task_type, limit } => {
            list(task_type, ui.limit(limit), client, ui).await?;
            Ok(Exit::Success)
        }
        Command::Get { id } => {
            let task = existing(client, id).await?;
            show::show(&task, client, ui).await?;
            Ok(Exit::Success)
        }
        Command::Watch { id } => watch::run(id, watch::Manner::Watch, client, ui).await,
        Command::Wait { id } => watch::run(id, watch::Manner::Wait, client, ui).await,
        Command::Cancel { id } => {
            // Who may cancel need not be allowed to look.
            let before = client.task(id).await.ok().flatten();
            client.cancel_task(id).await?;
            ui.say(&cancelled(id, before.as_ref()));
            Ok(Exit::Success)
        }
        Command::Rerun {
            id,
            status,
            reason,
            hosts,
            watch,
            wait,
        } => {
            let created = client.rerun_task(id, &status, &reason, &hosts).await?;
            let manner = match (watch, wait) {
                (true, _) => Some(watch::Manner::Watch),
                (false, true) => Some(watch::Manner::Wait),
                (false, false) => None,
            };
            create::created_task(&created, manner, client, ui).await
        }
        Command::Leaves {
            id,
            status: statuses,
            outcome,
            limit,
        } => {
            let filter = LeafFilter { statuses, outcome };
            leaves::list(id, &filter, ui.limit(limit), client, ui).await?;
            Ok(Exit::Success)
        }
        Command::Outcomes { id } => {
            outcomes::list(id, client, ui).await?;
            Ok(Exit::Success)
        }
        Command::Commands { id, script } => {
            commands::list(id, script, client, ui).await?;
            Ok(Exit::Success)
        }
        Command::Bundle { id, file } => {
            bundle::fetch(id, file, client, ui).await?;
            Ok(Exit::Success)
        }
    }
}

/// What cancelling meant for a task that stood so before.
fn cancelled(id: TaskId, before: Option<&Task>) -> String {
    match before {
        Some(task) if watch::has_ended(task) => {
            format!("task {id} had already ended ({})", task.task_status_text)
        }
        _ => format!("cancelled task {id}"),
    }
}

async fn existing(client: &Client, id: TaskId) -> anyhow::Result<Task> {
    match client.task(id).await? {
        Some(task) => Ok(task),
        None => bail!("there is no task {id}"),
    }
}

const COLUMNS: &[Column] = &[
    Column {
        title: "ID",
        cell: |row| cell(row, "TaskId"),
    },
    Column {
        title: "TYPE",
        cell: |row| cell(row, "TaskType"),
    },
    Column {
        title: "STATUS",
        cell: |row| cell(row, "TaskStatusText"),
    },
    Column {
        title: "DONE",
        cell: |row| cell(row, "Progress"),
    },
    Column {
        title: "HOSTS",
        cell: |row| cell(row, "TotalCount"),
    },
    Column {
        title: "OK",
        cell: |row| cell(row, "SuccessCount"),
    },
    Column {
        title: "FAILED",
        cell: |row| cell(row, "FailCount"),
    },
    Column {
        title: "TIMED OUT",
        cell: |row| cell(row, "TimeoutCount"),
    },
    Column {
        title: "CREATED",
        cell: |row| time(row, "TaskStartTime"),
    },
];

async fn list(
    only: Option<TaskType>,
    limit: usize,
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<()> {
    let mut found = Vec::new();
    let mut total = 0;
    // The API lists one type at a time.
    for task_type in TaskType::ALL {
        if only.is_some_and(|it| it != task_type) {
            continue;
        }
        let query = TaskQuery {
            task_type: Some(task_type),
            ..TaskQuery::default()
        };
        let mut pages = client.tasks(&query, model::limits::PAGE_SIZE_MAX);
        found.extend(pages.take(limit).await?);
        total += pages.total().unwrap_or_default();
    }
    // Ids sort by time.
    found.sort_by(|a, b| b.task_id.cmp(&a.task_id));
    found.truncate(limit);
    let mut list = ui.list(COLUMNS, "TaskId");
    for task in &found {
        list.push(show::without_details(&json!(task)))?;
    }
    list.finish()?;
    say_rest(ui, found.len(), Some(total), "task");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_had_ended_is_not_said_to_be_cancelled() {
        let id: TaskId = "0123456789ab01020304050600000000".parse().unwrap();
        let stands = |status: &str| Task {
            task_status_text: status.to_owned(),
            ..Task::default()
        };
        let ended = cancelled(id, Some(&stands("FAIL")));
        assert!(ended.ends_with("had already ended (FAIL)"), "{ended}");
        for before in [None, Some(&stands("DISPATCH"))] {
            assert_eq!(cancelled(id, before), format!("cancelled task {id}"));
        }
    }
}
