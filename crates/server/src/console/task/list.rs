//! The list of root tasks.

use axum::extract::Query;
use axum::response::IntoResponse as _;
use maud::{Markup, html};
use protocol::api::task::{DescribeOnceTask, Task};
use serde::Deserialize;

use super::super::page::page as frame;
use super::super::part::{self, Counts};
use super::super::refusal::{Answer, Refuse as _};
use super::super::time::{moment, span};
use super::super::visitor::Visitor;
use super::super::words::Words;

/// What of the list is shown.
#[derive(Deserialize)]
#[serde(default)]
pub(crate) struct Shown {
    #[serde(rename = "type")]
    task_type: String,
    page: u64,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            task_type: model::TaskType::ClientProblemCheck.wire().to_owned(),
            page: 1,
        }
    }
}

/// The page.
pub(crate) async fn page(visitor: Visitor, Query(shown): Query<Shown>) -> Answer {
    let w = Words(visitor.look.language);
    let number = shown.page.to_string();
    let params = [
        ("TaskType", shown.task_type.as_str()),
        ("CurrentPage", &number),
        ("PageSize", "25"),
    ];
    let found: DescribeOnceTask = visitor
        .ask("DescribeOnceTask", &params)
        .await
        .or_refuse(visitor.look)?;
    let address = |page: u64| {
        let page = page.to_string();
        part::address(
            "/console/tasks",
            &[("type", &shown.task_type), ("page", &page)],
        )
    };
    let body = html! {
        h1 { (w.tasks()) }
        nav.tabs aria-label=(w.kind()) {
            @for task_type in model::TaskType::ALL {
                a href=(part::address("/console/tasks", &[("type", task_type.wire())]))
                    aria-current=[(shown.task_type == task_type.wire()).then_some("true")] { (w.type_of(task_type.wire())) }
            }
        }
        (table(&found.task_manage_response_list, &visitor))
        (part::pager(found.page_info, &address, w))
    };
    Ok(frame(&visitor, w.tasks(), "/console/tasks", body).into_response())
}

/// Root tasks as a table.
pub(crate) fn table(tasks: &[Task], visitor: &Visitor) -> Markup {
    let look = visitor.look;
    let w = Words(look.language);
    if tasks.is_empty() {
        return html! {
            p.empty { (w.no_tasks()) " " code { "sickbay task create CLIENT_PROBLEM_CHECK --all" } " "
                a href="/console/tasks/new" { (w.new_task()) } }
        };
    }
    html! {
        div.scroll tabindex="0" { table.rows {
            thead { tr { th { (w.task()) } th { (w.status()) } th { (w.progress()) } th { (w.source()) } th { (w.started()) } th { (w.duration()) } } }
            tbody { @for task in tasks { tr {
                td { a href={ "/console/tasks/" (task.task_id) } { (w.type_of(&task.task_type)) } " " span.quiet { (task.task_name) } }
                td { (part::status(&task.task_status_text, w)) }
                td.wide { (Counts::of(task).bar(w)) span.quiet { (task.progress) " · " (part::grouped(task.total_count)) } }
                td { (task.source) }
                td { @if let Some(at) = task.task_start_time { (moment(at, visitor.now(), look.language)) } }
                td { @if let (Some(from), Some(to)) = (task.task_start_time, task.task_end_time) { (span(to - from)) } }
            } } }
        } }
    }
}
