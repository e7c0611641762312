//! One root task: the bar, the groups of answers, and the leaves, a page at a time.

pub(super) mod action;
pub(super) mod list;
pub(super) mod live;

use axum::extract::{Path, Query};
use axum::response::IntoResponse as _;
use maud::{Markup, html};
use protocol::api::task::{
    DescribeOnceTask, DescribeOnceTaskOutcomes, HostDetail, Outcome, Task, read_details,
};
use protocol::error::{Code, Fault};
use serde::Deserialize;

use super::page::page as frame;
use super::part::{self, Counts};
use super::refusal::{Answer, Refuse as _};
use super::time::{moment, span};
use super::visitor::Visitor;
use super::words::Words;
use crate::service::Error;

/// Which leaves are shown. It stands in the address, so it can be sent to somebody.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    /// `SUCCESS`, `FAIL`, `TIMEOUT`, `UNFINISHED`, or all.
    status: String,
    /// The id of an outcome, or all.
    outcome: String,
    page: Option<u64>,
}

impl Shown {
    fn address(&self, path: &str, page: u64) -> String {
        let page = if page > 1 {
            page.to_string()
        } else {
            String::new()
        };
        let params = [
            ("status", self.status.as_str()),
            ("outcome", &self.outcome),
            ("page", &page),
        ];
        part::address(path, &params)
    }
}

/// The page.
pub(super) async fn page(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(shown): Query<Shown>,
) -> Answer {
    let look = visitor.look;
    let w = Words(look.language);
    let view = View::ask(&visitor, &id, &shown).await.or_refuse(look)?;
    let task = &view.root;
    let path = format!("/console/tasks/{id}");
    let ended = task.unfinished_count == 0;
    let body = html! {
        header.head {
            div {
                h1 { (w.type_of(&task.task_type)) }
                p.quiet {
                    @if !task.source.is_empty() { (task.source) " · " }
                    @if let Some(at) = task.task_start_time { (moment(at, visitor.now(), look.language)) }
                    " · " code { (task.task_id) }
                    @if !task.rerun_of.is_empty() { " · " (w.rerun_of()) " " a href={ "/console/tasks/" (task.rerun_of) } { code { (task.rerun_of) } } }
                }
            }
            div.actions {
                @if ended { (action::rerun_forms(&visitor, task, &shown, w)) } @else {
                    button type="button" data-live-toggle="" data-paused=(w.paused()) { (w.live()) }
                    (action::cancel_form(&visitor, task, w))
                }
            }
        }
        @if ended {
            div #live { (view.content(&visitor, &path, &shown)) }
        } @else {
            div #live hx-sse:connect=(shown.address(&format!("{path}/live"), shown.page.unwrap_or(1))) hx-swap="innerMorph" hx-sse:close="ended" {
                (view.content(&visitor, &path, &shown))
            }
        }
    };
    let title = format!("{} {}", task.progress, w.type_of(&task.task_type));
    Ok(frame(&visitor, &title, "/console/tasks", body).into_response())
}

/// What the page shows of a task at one moment.
struct View {
    root: Task,
    outcomes: Vec<Outcome>,
    leaves: DescribeOnceTask,
}

impl View {
    async fn ask(visitor: &Visitor, id: &str, shown: &Shown) -> Result<Self, Error> {
        let root = root(visitor, id).await?;
        let outcomes: DescribeOnceTaskOutcomes = visitor
            .ask("DescribeOnceTaskOutcomes", &[("RootTaskId", id)])
            .await?;
        let page = shown.page.unwrap_or(1).to_string();
        let mut params = vec![
            ("RootTaskId", id),
            ("CurrentPage", &page),
            ("PageSize", "50"),
        ];
        if !shown.outcome.is_empty() {
            params.push(("OutcomeId", &shown.outcome));
        }
        let names = ["StatusList.1", "StatusList.2", "StatusList.3"];
        params.extend(
            names
                .into_iter()
                .zip(part::statuses(&shown.status).iter().copied()),
        );
        let leaves = visitor.ask("DescribeOnceTask", &params).await?;
        Ok(Self {
            root,
            outcomes: outcomes.outcomes,
            leaves,
        })
    }

    fn content(&self, visitor: &Visitor, path: &str, shown: &Shown) -> Markup {
        let w = Words(visitor.look.language);
        let task = &self.root;
        let counts = Counts::of(task);
        let with_status = |status: &str| {
            let shown = Shown {
                status: status.to_owned(),
                ..Shown::default()
            };
            shown.address(path, 1)
        };
        html! {
            section.bar-and-counts aria-live="off" {
                (counts.bar(w))
                (counts.links(&with_status, &shown.status, w))
                p.quiet { (task.progress) " · " (task.result_info)
                    @if let (Some(from), Some(to)) = (task.task_start_time, task.task_end_time) { " · " (span(to - from)) } }
            }
            @if self.outcomes.len() > 1 || !shown.outcome.is_empty() { (self.groups(path, shown, w)) }
            (self.rows(visitor, w))
            (part::pager(self.leaves.page_info, &|page| shown.address(path, page), w))
        }
    }

    fn groups(&self, path: &str, shown: &Shown, w: Words) -> Markup {
        html! {
            section {
                h2 { (w.outcomes()) }
                ol.outcomes {
                    @for it in &self.outcomes {
                        @let chosen = it.outcome_id == shown.outcome;
                        @let next = Shown { outcome: if chosen { String::new() } else { it.outcome_id.clone() }, ..Shown::default() };
                        li { a.outcome href=(next.address(path, 1)) aria-current=[chosen.then_some("true")] {
                            span.number { (part::grouped(it.count)) " ×" }
                            (part::status(&it.status, w))
                            span { (it.label) }
                        } }
                    }
                }
            }
        }
    }

    fn rows(&self, visitor: &Visitor, w: Words) -> Markup {
        let leaves = &self.leaves.task_manage_response_list;
        if leaves.is_empty() {
            return html! { p.empty { (w.nothing_here()) } };
        }
        html! {
            div.scroll tabindex="0" { table.rows {
                thead { tr { th { (w.host()) } th { (w.status()) } th { (w.answer()) } th { (w.ended()) } } }
                tbody { @for leaf in leaves {
                    @let detail = detail(leaf);
                    tr id={ "leaf-" (leaf.task_id) } {
                        td { a href={ "/console/leaves/" (leaf.task_id) } { (detail.instance_name) } " " span.quiet { (detail.intranet_ip) } }
                        td { (part::status(&leaf.task_status_text, w)) @if detail.online == Some(false) && leaf.unfinished_count > 0 { " " span.quiet { (w.waiting_host()) } } }
                        td.wide { (summary(leaf, &detail)) }
                        td { @if let Some(at) = leaf.task_end_time { (moment(at, visitor.now(), visitor.look.language)) } }
                    }
                } }
            } }
        }
    }
}

/// One line that says what a host answered.
fn summary(leaf: &Task, detail: &HostDetail) -> String {
    if let Some(first) = detail.findings.first() {
        return first.summary.clone();
    }
    if !leaf.progress_note.is_empty() {
        return leaf.progress_note.clone();
    }
    let output = detail.stdout.as_deref().unwrap_or_default();
    let line = output.lines().next().unwrap_or_default();
    if line.is_empty() {
        leaf.result_info.clone()
    } else {
        line.chars().take(200).collect()
    }
}

/// What the host of a leaf said.
pub(super) fn detail(leaf: &Task) -> HostDetail {
    let details = read_details(&leaf.detail_data).unwrap_or_default();
    details.into_iter().next().unwrap_or_default()
}

/// A root task by its id.
async fn root(visitor: &Visitor, id: &str) -> Result<Task, Error> {
    one(visitor, id).await.and_then(|task| {
        let fault = || Fault::new(Code::EntityNotExist, format!("There is no task {id}."));
        task.ok_or_else(|| fault().into())
    })
}

/// A root or a leaf by its id, whatever its type.
pub(super) async fn one(visitor: &Visitor, id: &str) -> Result<Option<Task>, Error> {
    let mut refused = None;
    for task_type in model::TaskType::ALL {
        let params = [("TaskType", task_type.wire()), ("TaskId", id)];
        match visitor
            .ask::<DescribeOnceTask>("DescribeOnceTask", &params)
            .await
        {
            Ok(found) => {
                if let Some(task) = found.task_manage_response_list.into_iter().next() {
                    return Ok(Some(task));
                }
            }
            Err(error) if error.fault.code == Code::NoPermission => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    refused.map_or(Ok(None), Err)
}
