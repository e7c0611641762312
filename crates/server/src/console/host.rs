//! One host: what is known of it, and what can be started on it.

pub(super) mod list;

use axum::extract::Path;
use axum::response::IntoResponse as _;
use maud::html;
use protocol::api::host::{DescribeHostSnapshots, GetAssetDetailByUuid};
use protocol::api::task::ListUnfinishedOnceTask;

use super::page::page as frame;
use super::part;
use super::refusal::{Answer, Refuse as _};
use super::task::action::once;
use super::time::moment;
use super::visitor::Visitor;
use super::words::Words;

/// The page.
pub(super) async fn page(visitor: Visitor, Path(uuid): Path<String>) -> Answer {
    let look = visitor.look;
    let w = Words(look.language);
    let found: GetAssetDetailByUuid = visitor
        .ask("GetAssetDetailByUuid", &[("Uuid", &uuid)])
        .await
        .or_refuse(look)?;
    let host = found.asset_detail;
    let mut unfinished = ListUnfinishedOnceTask::default();
    for task_type in model::TaskType::ALL {
        let params = [("TaskType", task_type.wire()), ("Target", &uuid)];
        let found: Result<ListUnfinishedOnceTask, _> =
            visitor.ask("ListUnfinishedOnceTask", &params).await;
        unfinished
            .once_tasks
            .extend(found.map(|it| it.once_tasks).unwrap_or_default());
    }
    let snapshots: Result<DescribeHostSnapshots, _> = visitor
        .ask("DescribeHostSnapshots", &[("Uuid", &uuid)])
        .await;
    let snapshots = snapshots.map(|it| it.snapshots).unwrap_or_default();
    let text = |it: &Option<String>| it.clone().unwrap_or_default();
    let body = html! {
        header.head {
            div {
                h1 { (host.instance_name) }
                p { (list::presence(&host.client_status, w)) " " span.quiet { code { (host.uuid) } } }
            }
            div.actions {
                form method="post" action="/console/tasks/new" {
                    input type="hidden" name="form_token" value=(visitor.form_token());
                    input type="hidden" name="once" value=(once());
                    input type="hidden" name="type" value=(model::TaskType::ClientProblemCheck.wire());
                    input type="hidden" name="uuids" value=(host.uuid);
                    input type="hidden" name="problem" value="other";
                    input type="hidden" name="mode" value="1";
                    button.primary type="submit" { (w.check_now()) }
                }
            }
        }
        dl.facts {
            div { dt { (w.system()) } dd { (text(&host.os_name)) } }
            div { dt { (w.kernel()) } dd { (text(&host.kernel)) } }
            div { dt { (w.address()) } dd { (host.ip_list.join(", ")) } }
            div { dt { (w.processors()) } dd { (host.cpu.unwrap_or_default()) " " span.quiet { (text(&host.cpu_info)) } } }
            div { dt { (w.memory()) } dd { (host.memory.unwrap_or_default()) " MiB" } }
            div { dt { (w.version()) } dd { (text(&host.client_version)) } }
            div { dt { (w.enrolled()) } dd { (moment(host.create_time, visitor.now(), look.language)) } }
            @if let Some(at) = host.last_login_timestamp.filter(|_| host.client_status != "online") { div { dt { (w.last_contact()) } dd { (moment(at, visitor.now(), look.language)) } } }
            div { dt { (w.labels()) } dd { @for (key, value) in &host.labels { span.label { (key) "=" (value) } " " } } }
        }
        @if !unfinished.once_tasks.is_empty() {
            section { h2 { (w.unfinished_here()) }
                ul { @for it in &unfinished.once_tasks { li { a href={ "/console/leaves/" (it.task_id) } { (w.type_of(&it.task_type)) } " " (part::status(&it.status_text, w)) } } } }
        }
        @if !snapshots.is_empty() {
            section { h2 { (w.inventory()) }
                @for it in &snapshots { details { summary { (it.item) " " span.quiet { (moment(it.taken_time, visitor.now(), look.language)) } }
                    pre.output tabindex="0" { (serde_json::to_string_pretty(&it.entries).unwrap_or_default()) } } } }
        }
    };
    Ok(frame(&visitor, &host.instance_name, "/console/hosts", body).into_response())
}
