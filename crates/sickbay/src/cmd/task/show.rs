//! How one task is shown: how it stands, then what its hosts said, the same answers together.

use client::{Client, LeafFilter};
use model::limits::PAGE_SIZE_MAX;
use model::{Status, TaskId, TaskType};
use protocol::api::task::{HostDetail, Task, read_details};
use serde_json::{Value, json};

use super::group::{Groups, NAMES_MAX};
use super::now::Now;
use crate::ui::{Format, Ui, clean_line, time};

/// Outcomes that are shown in full.
const OUTCOMES_MAX: usize = 20;

/// Writes the task. A person sees the answers of all hosts grouped; a program gets what the API gives for the task, with
/// `DetailData` unpacked.
pub(super) async fn show(task: &Task, client: &Client, ui: &Ui) -> anyhow::Result<()> {
    let mut value = json!(task);
    if ui.format() == Format::Table {
        let groups = groups(task, client).await?;
        ui.line(&head(task, &value))?;
        return Ok(ui.line(groups.text(ui.width()).trim_end())?);
    }
    if let Some(details) = value.get_mut("DetailData") {
        *details = json!(read_details(&task.detail_data)?);
    }
    ui.object(&value, "TaskId", String::new)?;
    Ok(())
}

async fn groups(task: &Task, client: &Client) -> anyhow::Result<Groups> {
    let mut groups = Groups::default();
    let TaskId::Root(root) = task.task_id.parse()? else {
        let details = read_details(&task.detail_data)?.into_iter();
        details.for_each(|it| groups.add(noted(it, task), Now::of(task)));
        return Ok(groups);
    };
    let outcomes = client.outcomes(root).await?.outcomes;
    for outcome in outcomes.iter().take(OUTCOMES_MAX) {
        let filter = LeafFilter {
            outcome: Some(outcome.outcome_id.parse()?),
            ..LeafFilter::default()
        };
        let names = u32::try_from(NAMES_MAX).unwrap_or(u32::MAX);
        let (said, _) = first_leaves(task, &filter, names, client).await?;
        let details = said.into_iter().map(|it| it.0).collect();
        groups.add_same(outcome.count.into(), details);
    }
    let rest = outcomes.iter().skip(OUTCOMES_MAX);
    groups.leave_out(
        rest.map(|it| u64::from(it.count)).sum(),
        "answered otherwise: `sickbay task outcomes` lists all answers",
    );
    if task.unfinished_count == 0 {
        return Ok(groups);
    }
    let unfinished = LeafFilter {
        statuses: vec![Status::Init, Status::Start, Status::Dispatch],
        outcome: None,
    };
    let (said, total) = first_leaves(task, &unfinished, PAGE_SIZE_MAX, client).await?;
    let here = u64::try_from(said.len()).unwrap_or(u64::MAX);
    for (detail, now) in said {
        groups.add(detail, now);
    }
    groups.leave_out(
        total.saturating_sub(here),
        "unfinished: `sickbay task leaves` lists them",
    );
    Ok(groups)
}

/// What the first of these leaves say and do, and how many they are in all.
async fn first_leaves(
    task: &Task,
    filter: &LeafFilter,
    most: u32,
    client: &Client,
) -> anyhow::Result<(Vec<(HostDetail, Option<Now>)>, u64)> {
    let mut pages = client.leaves(&task.task_id, filter, most);
    let leaves = pages.next().await?.unwrap_or_default();
    let mut said = Vec::new();
    for leaf in leaves {
        let of_leaf = read_details(&leaf.detail_data)?.into_iter();
        said.extend(of_leaf.map(|it| (noted(it, task), Now::of(&leaf))));
    }
    Ok((said, pages.total().unwrap_or_default()))
}

/// The answer of a host, with the reason why there is nothing to run by hand on a host that is offline: a command never is.
fn noted(mut detail: HostDetail, task: &Task) -> HostDetail {
    let is_command = task.task_type == TaskType::ClientDevOps.wire();
    let waits = matches!(detail.status.as_str(), "INIT" | "START");
    if is_command && waits && detail.online == Some(false) {
        let note = "commands are never offered by hand: it is sent when the host is back before the task's deadline";
        let message = [detail.message.as_str(), note];
        let said = message.iter().filter(|it| !it.is_empty());
        detail.message = said.copied().collect::<Vec<_>>().join("; ");
    }
    detail
}

fn head(task: &Task, value: &Value) -> String {
    let mut lines = vec![
        format!("task     {}", task.task_id),
        format!("type     {}", task.task_type),
        format!("status   {} ({})", task.task_status_text, task.progress),
        format!("created  {}", time(value, "TaskStartTime")),
    ];
    if task.task_end_time.is_some() {
        lines.push(format!("ended    {}", time(value, "TaskEndTime")));
    }
    if !task.rerun_of.is_empty() {
        lines.push(format!("again    {}", task.rerun_of));
    }
    lines.push(format!("hosts    {}: {}", task.total_count, tally(task)));
    let lines: Vec<String> = lines.iter().map(|it| clean_line(it)).collect();
    lines.join("\n") + "\n"
}

/// How many hosts stand where, in words; those where none stands are left out.
pub(super) fn tally(task: &Task) -> String {
    let parts: Vec<String> = [
        (task.success_count, "succeeded"),
        (task.fail_count, "failed"),
        (task.timeout_count, "timed out"),
        (task.unfinished_count, "unfinished"),
    ]
    .iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{number} {word}"))
    .collect();
    parts.join(", ")
}

/// A task without its details, for lists and for watching.
pub(super) fn without_details(task: &Value) -> Value {
    let mut task = task.clone();
    if let Some(members) = task.as_object_mut() {
        members.remove("DetailData");
    }
    task
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_waits_for_its_host_says_why_it_is_not_offered_by_hand() {
        let said = |task_type: TaskType, status: &str, online: bool| {
            let task = Task {
                task_type: task_type.wire().to_owned(),
                ..Task::default()
            };
            let detail = HostDetail {
                status: status.to_owned(),
                message: "host offline".to_owned(),
                online: Some(online),
                ..HostDetail::default()
            };
            noted(detail, &task).message
        };
        let text = said(TaskType::ClientDevOps, "INIT", false);
        assert!(
            text.starts_with("host offline; commands are never"),
            "{text}"
        );
        for text in [
            said(TaskType::ClientProblemCheck, "INIT", false),
            said(TaskType::ClientDevOps, "DISPATCH", false),
            said(TaskType::ClientDevOps, "INIT", true),
        ] {
            assert_eq!(text, "host offline");
        }
    }

    #[test]
    fn a_task_says_how_many_hosts_stand_where() {
        let task = Task {
            task_id: "0a".to_owned(),
            task_status_text: "DISPATCH".to_owned(),
            progress: "99%".to_owned(),
            total_count: 3,
            success_count: 2,
            unfinished_count: 1,
            ..Task::default()
        };
        let text = head(&task, &json!(task));
        assert!(text.contains("DISPATCH (99%)"), "{text}");
        assert!(
            text.contains("hosts    3: 2 succeeded, 1 unfinished"),
            "{text}"
        );
        assert!(!text.contains("ended"), "{text}");
    }
}
