//! Following a task to its end, and what its end means for the exit code.

use std::time::Duration;

use anyhow::{Context, bail};
use client::{Client, Error, LeafFilter, LeafQuery};
use indicatif::ProgressBar;
use model::limits::PROGRESS_MS_MIN;
use model::{Reason, Status, TaskId};
use protocol::api::task::{Task, read_details};
use serde_json::json;
use tokio::time::sleep;

use super::now::{HOSTS_MAX, Now, Output, Piece};
use super::{group, show};
use crate::exit::Exit;
use crate::ui::{Format, Ui, clean_line, count};

/// What is seen meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Every change.
    Watch,
    /// Only the end.
    Wait,
}

/// Pause before the task is looked at again, first and at most, in ms. Short tasks are seen at once, long ones cost little.
const PAUSE_MS_MIN: u64 = 100;
/// See [`PAUSE_MS_MIN`].
const PAUSE_MS_MAX: u64 = 2_000;
/// Looks in a row that may fail, each followed by [`PAUSE_MS_MAX`]: a node that restarts does not end the watch.
const FAILURES_MAX: u32 = 30;

/// Follows a task to its end, shows it, and says how it ended. Ctrl-C ends the following, never the task.
pub(super) async fn run(
    id: TaskId,
    manner: Manner,
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    let task = super::existing(client, id).await?;
    let bar = ui.progress(task.total_count);
    let task = tokio::select! {
        task = follow(id, task, manner, &bar, client, ui) => task?,
        Ok(()) = tokio::signal::ctrl_c() => {
            bar.abandon();
            ui.say("");
            ui.say(&format!(
                "task {id} goes on; `sickbay task watch {id}` follows it, `sickbay task cancel {id}` stops it"
            ));
            return Ok(Exit::Interrupted);
        }
    };
    bar.finish_and_clear();
    let ending = async {
        if manner == Manner::Watch && is_piped(ui) {
            ui.value(&show::without_details(&json!(task)))?;
        } else {
            show::show(&task, client, ui).await?;
        }
        exit_of(&task, id, client).await
    };
    tokio::select! {
        exit = ending => exit,
        Ok(()) = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    }
}

/// Looks at a task until it has ended.
async fn follow(
    id: TaskId,
    mut task: Task,
    manner: Manner,
    bar: &ProgressBar,
    client: &Client,
    ui: &Ui,
) -> anyhow::Result<Task> {
    let mut pause_ms = PAUSE_MS_MIN;
    let mut shown = None;
    let mut output = Output::default();
    while !has_ended(&task) {
        let running = running(&task, manner, bar, client, ui).await;
        paint(bar, &task, &running);
        if shows_output(&task, manner, ui) {
            show_output(running.first(), &mut output, bar, ui)?;
        }
        if manner == Manner::Watch && is_piped(ui) {
            let line = show::without_details(&json!(task));
            if shown.as_ref() != Some(&line) {
                ui.value(&line)?;
                shown = Some(line);
            }
        }
        sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms + pause_ms / 2).min(pause_ms_max(&task, manner, ui));
        task = look_again(id, client, ui).await?;
    }
    Ok(task)
}

/// Whether every change is written as a line for a program.
fn is_piped(ui: &Ui) -> bool {
    ui.format() == Format::Jsonl
}

pub(super) fn has_ended(task: &Task) -> bool {
    Status::from_wire(&task.task_status_text).is_some_and(Status::is_final)
}

/// Whether the output of a command is shown as it comes: of one host, to a person.
fn shows_output(task: &Task, manner: Manner, ui: &Ui) -> bool {
    manner == Manner::Watch && ui.format() == Format::Table && task.total_count == 1
}

/// Where an output is shown it is looked at as often as hosts tell it.
fn pause_ms_max(task: &Task, manner: Manner, ui: &Ui) -> u64 {
    if shows_output(task, manner, ui) {
        PROGRESS_MS_MIN
    } else {
        PAUSE_MS_MAX
    }
}

/// The running leaves of a task of few hosts, if somebody sees what they do.
async fn running(
    task: &Task,
    manner: Manner,
    bar: &ProgressBar,
    client: &Client,
    ui: &Ui,
) -> Vec<Task> {
    let is_seen = !bar.is_hidden() || shows_output(task, manner, ui);
    match task.task_id.parse() {
        Ok(TaskId::Leaf(_)) => vec![task.clone()],
        Ok(TaskId::Root(root)) if is_seen && task.total_count <= HOSTS_MAX => {
            let filter = LeafFilter {
                statuses: vec![Status::Dispatch],
                outcome: None,
            };
            let root = root.to_string();
            let mut pages = client.leaves(&root, &filter, HOSTS_MAX);
            // Whether the node answers at all is seen when the task is looked at.
            pages.next().await.ok().flatten().unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn paint(bar: &ProgressBar, task: &Task, running: &[Task]) {
    let ended = task.total_count.saturating_sub(task.unfinished_count);
    bar.set_position(u64::from(ended));
    let does = |leaf: &Task| {
        let details = read_details(&leaf.detail_data).unwrap_or_default();
        let name = details.first().map(|it| it.instance_name.clone());
        let now = Now::of(leaf)?;
        Some(format!("; {}: {}", name.unwrap_or_default(), now.brief()))
    };
    let doings: String = running.iter().filter_map(does).collect();
    bar.set_message(clean_line(&(show::tally(task) + &doings)));
}

/// Writes what is new of a running command's output.
fn show_output(
    leaf: Option<&Task>,
    output: &mut Output,
    bar: &ProgressBar,
    ui: &Ui,
) -> anyhow::Result<()> {
    let pieces = leaf.map_or_else(Vec::new, |it| output.take(it));
    for piece in pieces {
        let text = match piece {
            Piece::Line(line) => group::output_line(&line, ui.width()),
            Piece::Skipped(bytes) => format!("… {} not shown …", count(bytes, "byte")),
        };
        bar.suspend(|| ui.line(text.trim_end()))?;
    }
    Ok(())
}

async fn look_again(id: TaskId, client: &Client, ui: &Ui) -> anyhow::Result<Task> {
    let mut failures = 0;
    loop {
        match client.task(id).await {
            Ok(Some(task)) => return Ok(task),
            Ok(None) => bail!("task {id} is gone"),
            Err(
                error @ (Error::Unreachable { .. }
                | Error::Interrupted { .. }
                | Error::Throttled { .. }
                | Error::Server(_)),
            ) => {
                failures += 1;
                if failures > FAILURES_MAX {
                    return Err(error).context("the task goes on, but cannot be followed");
                }
                if failures == 1 {
                    ui.say(&format!("{error}; looking again"));
                }
                sleep(Duration::from_millis(PAUSE_MS_MAX)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What an ended task means for the exit code.
async fn exit_of(task: &Task, id: TaskId, client: &Client) -> anyhow::Result<Exit> {
    let status = Status::from_wire(&task.task_status_text);
    if task.fail_count > 0 || status == Some(Status::Fail) {
        return Ok(Exit::Failed);
    }
    if task.timeout_count == 0 && status != Some(Status::Timeout) {
        return Ok(Exit::Success);
    }
    let reason = |text: &str| Reason::from_wire(text).unwrap_or_default();
    if matches!(id, TaskId::Leaf(_)) {
        let details = read_details(&task.detail_data)?;
        return Ok(exit(details.iter().map(|it| reason(&it.reason))));
    }
    let mut pages = client.leaf_records(&LeafQuery {
        root: task.task_id.clone(),
        task_type: task.task_type.clone(),
        statuses: vec![Status::Timeout],
    });
    while let Some(leaves) = pages.next().await? {
        if exit(leaves.iter().map(|it| reason(&it.reason))) == Exit::TimedOut {
            return Ok(Exit::TimedOut);
        }
    }
    Ok(Exit::NeverDelivered)
}

/// The exit code of a task of which no leaf failed, and some timed out for these reasons.
fn exit(reasons: impl IntoIterator<Item = Reason>) -> Exit {
    let undelivered = |it| matches!(it, Reason::NeverDelivered | Reason::ManualNotRun);
    if reasons.into_iter().all(undelivered) {
        Exit::NeverDelivered
    } else {
        Exit::TimedOut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_delivered_does_not_hide_that_some_timed_out() {
        use Reason as R;
        assert_eq!(exit([R::NeverDelivered, R::Deadline]), Exit::TimedOut);
        let undelivered = [R::NeverDelivered, R::ManualNotRun];
        assert_eq!(exit(undelivered), Exit::NeverDelivered);
    }

    #[test]
    fn a_task_has_ended_when_its_status_is_final() {
        for status in Status::ALL {
            let task = Task {
                task_status_text: status.wire().to_owned(),
                ..Task::default()
            };
            assert_eq!(has_ended(&task), status.is_final());
        }
    }
}
