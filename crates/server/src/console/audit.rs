//! The audit log: who asked for what, newest first.

use axum::extract::Query;
use axum::response::IntoResponse as _;
use maud::html;
use protocol::api::audit::ListAuditEntries;
use protocol::audit::AuditRecord;
use serde::Deserialize;

use super::page::page as frame;
use super::part;
use super::refusal::{Answer, Refuse as _};
use super::time::moment;
use super::visitor::Visitor;
use super::words::Words;

/// What of the log is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    user: String,
    action: String,
    before: String,
}

/// The page.
pub(super) async fn page(visitor: Visitor, Query(shown): Query<Shown>) -> Answer {
    let language = visitor.look.language;
    let w = Words(language);
    let params: Vec<(&str, &str)> = [
        ("UserName", shown.user.trim()),
        ("ActionName", shown.action.trim()),
        ("NextToken", &shown.before),
        ("PageSize", "50"),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect();
    let found: ListAuditEntries = visitor
        .ask("ListAuditEntries", &params)
        .await
        .or_refuse(visitor.look)?;
    let body = html! {
        h1 { (w.audit()) }
        form.filter method="get" action="/console/audit" role="search" {
            input name="user" value=(shown.user) placeholder=(w.user()) aria-label=(w.user()) data-filter="" spellcheck="false" autocapitalize="off";
            input name="action" value=(shown.action) placeholder=(w.action()) aria-label=(w.action()) spellcheck="false" autocapitalize="off";
            button type="submit" { (w.filter()) }
        }
        @if found.entries.is_empty() { p.empty { (w.no_match()) } } @else {
            div.scroll tabindex="0" { table.rows {
                thead { tr { th { "#" } th { (w.when()) } th { (w.user()) } th { (w.action()) } th { (w.result()) } th { (w.hosts()) } th { (w.from()) } th { (w.about()) } } }
                tbody { @for it in &found.entries {
                    @let record: AuditRecord = serde_json::from_str(&it.record).unwrap_or_default();
                    tr {
                        td { (it.no) }
                        td { (moment(it.time, visitor.now(), language)) @if record.count > 1 { " " span.quiet { (record.count) " ×" } } }
                        td { (it.user) " " span.quiet { (record.access_key_id) } }
                        td { (it.action) " " span.quiet { (record.door) } }
                        td { span.status.(if record.outcome == "OK" { "success" } else { "fail" }) { (record.outcome) } }
                        td { @if let Some(hosts) = record.hosts { (hosts) } }
                        td { (record.source) }
                        td.wide { @if !record.task_id.is_empty() { a href={ "/console/tasks/" (record.task_id) } { code { (record.task_id) } } " " }
                            @for (name, value) in &record.parameters { span.quiet { (name) "=" } code { (value) } " " } }
                    }
                } }
            } }
        }
        @if let Some(next) = &found.next_token {
            nav.pager aria-label=(w.page()) { a rel="next" href=(part::address("/console/audit", &[("user", &shown.user), ("action", &shown.action), ("before", next)])) { (w.older()) " ›" } }
        }
    };
    Ok(frame(&visitor, w.audit(), "/console/audit", body).into_response())
}
