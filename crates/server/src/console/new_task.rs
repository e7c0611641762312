//! A new task: its type, its hosts with what matches now, and its parameters.

use axum::extract::Query;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use model::{ProblemType, TaskType};
use protocol::api::host::PreviewTargets;
use protocol::api::task::GenerateOnceTask;
use protocol::error::{Code, Fault};
use protocol::params::Params;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::page::page as frame;
use super::part;
use super::refusal::{Answer, Refuse as _};
use super::task::action::once;
use super::visitor::{Form, Visitor};
use super::words::Words;
use crate::service::Error;

/// From so many hosts on their number has to be typed.
const LARGE: u64 = 50;

/// What is filled in already; it stands in the address.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Filled {
    #[serde(rename = "type")]
    task_type: String,
    selector: String,
}

/// The page.
pub(super) async fn page(visitor: Visitor, Query(filled): Query<Filled>) -> Answer {
    let w = Words(visitor.look.language);
    let task_type = filled
        .task_type
        .parse()
        .unwrap_or(TaskType::ClientProblemCheck);
    let matching = matching(&visitor, &filled.selector).await;
    let body = form(
        &visitor,
        task_type,
        &filled.selector,
        matching,
        None,
        &Params::default(),
    );
    Ok(frame(&visitor, w.new_task(), "/console/tasks", body).into_response())
}

/// How many hosts a selector means now, as part of the page.
pub(super) async fn targets(visitor: Visitor, Query(filled): Query<Filled>) -> Answer {
    Ok(matching(&visitor, &filled.selector).await.into_response())
}

async fn matching(visitor: &Visitor, selector: &str) -> Markup {
    let w = Words(visitor.look.language);
    let preview = match preview(visitor, selector).await {
        Ok(preview) => preview,
        Err(error) => {
            return html! { p.complaint role="alert" { (error.fault.message) } };
        }
    };
    html! {
        p role="status" {
            b { (preview.total_count) } " " (w.match_count()) ", "
            (w.of_these_online()) ": " (preview.online_count)
            @if preview.unknown_count > 0 { " · " (preview.unknown_count) " " (w.unknown_count()) }
        }
        p.quiet { @for it in &preview.sample { a href={ "/console/hosts/" (it.uuid) } { (it.name) } " " } @if preview.total_count > u64::try_from(preview.sample.len()).unwrap_or(u64::MAX) { "…" } }
        @if preview.total_count >= LARGE {
            label.confirm { (w.type_count()) ": " (preview.total_count)
                input name="confirm" inputmode="numeric" autocomplete="off" required pattern=(preview.total_count); }
        }
    }
}

async fn preview(visitor: &Visitor, selector: &str) -> Result<PreviewTargets, Error> {
    let selector = selector.trim();
    let params = [("Selector", selector)];
    let params = if selector.is_empty() {
        &[][..]
    } else {
        &params[..]
    };
    visitor.ask("PreviewTargets", params).await
}

fn form(
    visitor: &Visitor,
    task_type: TaskType,
    selector: &str,
    matching: Markup,
    complaint: Option<&str>,
    given: &Params,
) -> Markup {
    let language = visitor.look.language;
    let w = Words(language);
    let value = |name: &str| given.get(name).unwrap_or_default().to_owned();
    html! {
        h1 { (w.new_task()) }
        nav.tabs aria-label=(w.kind()) {
            @for it in TaskType::ALL {
                a href=(part::address("/console/tasks/new", &[("type", it.wire()), ("selector", selector)]))
                    aria-current=[(it == task_type).then_some("true")] { (w.type_of(it.wire())) }
            }
        }
        @if let Some(complaint) = complaint { p.complaint role="alert" { (complaint) } }
        form.stacked method="post" action="/console/tasks/new" {
            input type="hidden" name="form_token" value=(visitor.form_token());
            input type="hidden" name="once" value=(once());
            input type="hidden" name="type" value=(task_type.wire());
            label { (w.targets())
                input name="selector" value=(selector) placeholder={ (w.all_hosts()) " — " (w.filter_hint()) } spellcheck="false" autocapitalize="off"
                    hx-get="/console/tasks/new/targets" hx-trigger="input changed delay:300ms" hx-target="#matching";
            }
            div #matching { (matching) }
            @match task_type {
                TaskType::ClientProblemCheck => {
                    label { (w.problem()) select name="problem" {
                        @for it in ProblemType::ALL { option value=(it.name) selected[it.name == "other"] { (it.text.say(language)) } }
                    } }
                    label { (w.mode()) select name="mode" { option value="1" { (w.mode_standard()) } option value="2" { (w.mode_deep()) } } }
                }
                TaskType::ClientDevOps => {
                    label { (w.command()) textarea name="command" rows="4" spellcheck="false" required { (value("command")) } }
                }
                _ => {}
            }
            div.beside {
                label { (w.concurrency()) " " span.quiet { (w.optional()) } input name="concurrency" inputmode="numeric" pattern="[0-9]*" value=(value("concurrency")); }
                label { (w.stop_after()) " " span.quiet { (w.optional()) } input name="stop_after" inputmode="numeric" pattern="[0-9]*" value=(value("stop_after")); }
            }
            button.primary type="submit" { (w.create()) }
        }
    }
}

/// Creates the task.
pub(super) async fn create(form_sent: Form) -> Answer {
    let Form { visitor, fields } = form_sent;
    let w = Words(visitor.look.language);
    let type_text = fields.get("type").unwrap_or_default();
    let selector = fields.get("selector").unwrap_or_default().to_owned();
    match start(&visitor, &fields, type_text, &selector).await {
        Ok(made) => Ok(Redirect::to(&format!("/console/tasks/{}", made.task_id)).into_response()),
        // The form knows no named hosts: shown again, it would mean all of them.
        Err(error)
            if error.source.is_none()
                && error.fault.code != Code::NoPermission
                && fields.get("uuids").is_none() =>
        {
            let task_type = type_text.parse().unwrap_or(TaskType::ClientProblemCheck);
            let matching = matching(&visitor, &selector).await;
            let complaint = Some(error.fault.message.as_str());
            let body = form(&visitor, task_type, &selector, matching, complaint, &fields);
            let status = axum::http::StatusCode::BAD_REQUEST;
            Ok((
                status,
                frame(&visitor, w.new_task(), "/console/tasks", body),
            )
                .into_response())
        }
        Err(error) => Err(error).or_refuse(visitor.look),
    }
}

async fn start(
    visitor: &Visitor,
    fields: &Params,
    type_text: &str,
    selector: &str,
) -> Result<GenerateOnceTask, Error> {
    let uuids = fields.get("uuids").unwrap_or_default();
    if uuids.is_empty() {
        let count = preview(visitor, selector).await?.total_count;
        let typed = fields.get("confirm").and_then(|it| it.trim().parse().ok());
        if count >= LARGE && typed != Some(count) {
            let text = format!(
                "{count} hosts match now: type that number to confirm. Nothing was started."
            );
            return Err(Fault::new(Code::IllegalParam, text).into());
        }
    }
    let param = Value::Object(param(fields, uuids, selector)?).to_string();
    let name = type_text;
    let params = [
        ("TaskType", type_text),
        ("TaskName", name),
        ("Source", "console"),
        ("Param", &param),
    ];
    visitor
        .ask_once("GenerateOnceTask", &params, fields.get("once"))
        .await
}

fn param(fields: &Params, uuids: &str, selector: &str) -> Result<Map<String, Value>, Fault> {
    let mut param = Map::new();
    let mut put = |name: &str, value: Value| param.insert(name.to_owned(), value);
    if !uuids.is_empty() {
        put("uuids", json!(uuids));
    } else if !selector.trim().is_empty() {
        put("selector", json!(selector.trim()));
    }
    for (field, name) in [("problem", "problemType"), ("command", "command")] {
        if let Some(value) = fields.get(field) {
            put(name, json!(value));
        }
    }
    if let Some(mode) = fields.integer("mode")? {
        put("mode", json!(mode));
    }
    let mut pacing = Map::new();
    for (field, name) in [
        ("concurrency", "concurrency"),
        ("stop_after", "stopAfterFailures"),
    ] {
        if let Some(value) = fields.integer(field)? {
            pacing.insert(name.to_owned(), json!(value));
        }
    }
    if !pacing.is_empty() {
        put("pacing", Value::Object(pacing));
    }
    Ok(param)
}
