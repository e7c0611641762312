//! Following a task to its end, and what its end means for the exit code.

use std::time::Duration;

use anyhow::{Context, bail};
use client::{Client, Error, LeafQuery};
use indicatif::ProgressBar;
use model::{Reason, Status, TaskId};
use protocol::api::task::{Task, read_details};
use serde_json::json;
use tokio::time::sleep;

use super::show;
use crate::exit::Exit;
use crate::ui::{Format, Ui};

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
    while !has_ended(&task) {
        paint(bar, &task);
        if manner == Manner::Watch && is_piped(ui) {
            let line = show::without_details(&json!(task));
            if shown.as_ref() != Some(&line) {
                ui.value(&line)?;
                shown = Some(line);
            }
        }
        sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms + pause_ms / 2).min(PAUSE_MS_MAX);
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

fn paint(bar: &ProgressBar, task: &Task) {
    let ended = task.total_count.saturating_sub(task.unfinished_count);
    bar.set_position(u64::from(ended));
    bar.set_message(show::tally(task));
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
