//! One host's part of a task: what was found, and what to do; or what a command wrote.

use axum::extract::Path;
use axum::response::IntoResponse as _;
use maud::{Markup, html};
use model::{Cause, Fix};
use protocol::answer::{Finding, ProbeOutcome, ProbeRun};
use protocol::api::task::{HostDetail, Task};
use protocol::error::{Code, Fault};

use super::page::page as frame;
use super::part;
use super::refusal::{Answer, Refusal, Refuse as _};
use super::task::{detail, one};
use super::time::{moment, span};
use super::visitor::Visitor;
use super::words::Words;

/// The page.
pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Answer {
    let look = visitor.look;
    let w = Words(look.language);
    let leaf = one(&visitor, &id).await.or_refuse(look)?.ok_or_else(|| {
        let fault = Fault::new(Code::EntityNotExist, format!("There is no task {id}."));
        Refusal::of(fault.into(), look)
    })?;
    let detail = detail(&leaf);
    let root = id.parse::<model::TaskId>().map(|it| it.root().to_string());
    let root = root.unwrap_or_default();
    let body = html! {
        header.head {
            div {
                p.quiet { a href={ "/console/tasks/" (root) } { "‹ " (w.type_of(&leaf.task_type)) } }
                h1 { a href={ "/console/hosts/" (detail.uuid) } { (detail.instance_name) } }
                p { (part::status(&leaf.task_status_text, w)) " " (leaf.result_info)
                    @if let Some(at) = leaf.task_end_time { " · " (moment(at, visitor.now(), look.language)) }
                    @if let (Some(from), Some(to)) = (leaf.task_start_time, leaf.task_end_time) { " · " (span(to - from)) } }
            }
        }
        (by_hand(&detail, w))
        @if leaf.task_type == model::TaskType::ClientProblemCheck.wire() && !detail.probes.is_empty() { (diagnosis(&detail, look.language)) }
        (output(&leaf, &detail, w))
        @if let Some(assets) = &detail.assets {
            section { h2 { (w.inventory()) } pre.output tabindex="0" { (serde_json::to_string_pretty(assets).unwrap_or_default()) } }
        }
        @if !detail.url.is_empty() {
            section { h2 { (w.bundle()) } p { a.button href=(detail.url) download="" { (w.download()) } } }
        }
    };
    let title = format!("{} {}", detail.instance_name, w.type_of(&leaf.task_type));
    Ok(frame(&visitor, &title, "/console/tasks", body).into_response())
}

/// The manual command, while the leaf waits for somebody who pastes it.
fn by_hand(detail: &HostDetail, w: Words) -> Markup {
    let code = model::fix::RUN_BY_HAND.to_string();
    let pairs = detail.res_code.iter().zip(&detail.res_msg);
    let command = pairs
        .filter(|(it, _)| **it == code)
        .map(|(_, command)| command)
        .next();
    html! {
        @if let Some(command) = command {
            section.by-hand { h2 { (w.manual_command()) } p { (w.manual_hint()) } (part::copyable(command, w)) }
        }
    }
}

fn diagnosis(detail: &HostDetail, language: model::Language) -> Markup {
    let w = Words(language);
    html! {
        section {
            h2 { (w.findings()) }
            @if detail.findings.is_empty() { p.healthy { (w.no_findings()) } }
            @for finding in &detail.findings { (card(finding, language)) }
        }
        details {
            summary { (w.probes()) " (" (detail.probes.len()) ")" }
            div.scroll tabindex="0" { table.rows { tbody { @for it in &detail.probes { (probe(it)) } } } }
        }
    }
}

fn card(finding: &Finding, language: model::Language) -> Markup {
    let w = Words(language);
    let cause = Cause::find(finding.cause);
    let severity = cause.map_or("warning", |it| it.severity().wire());
    html! {
        article.finding.(severity).symptom[finding.explained_by.is_some()] {
            header {
                span.severity { (severity) } " "
                a href={ "/console/causes/" (finding.cause) } { code { (finding.cause) } }
                @if let Some(code) = finding.explained_by { " " span.quiet { (w.is_symptom()) " " a href={ "/console/causes/" (code) } { (code) } } }
                @if !finding.subject.is_empty() { " " span.quiet { (finding.subject) } }
            }
            h3 { (finding.summary) }
            @if !finding.evidence.is_empty() {
                h4 { (w.evidence()) }
                ul.evidence { @for line in &finding.evidence { li { code { (line) } } } }
            }
            @if let Some(cause) = cause {
                h4 { (w.fixes()) }
                ul.fixes { @for fix in cause.fixes() { (remedy(*fix, finding, language)) } }
            }
        }
    }
}

fn remedy(fix: Fix, finding: &Finding, language: model::Language) -> Markup {
    let w = Words(language);
    let command = fix.action().and_then(|it| finding.fill(it.command).ok());
    html! {
        li { p { (fix.about().sentence.say(language)) " " span.quiet { (fix.code()) } }
            @if let Some(command) = command { (part::copyable(&command, w)) } }
    }
}

fn probe(it: &ProbeRun) -> Markup {
    let (class, sign) = match it.outcome {
        ProbeOutcome::Clear => ("success", "✓"),
        ProbeOutcome::Found => ("fail", "!"),
        ProbeOutcome::Skipped => ("quiet", "–"),
    };
    html! { tr.(class) { td { (sign) " " (it.name) } td.wide { (it.note) } td { (it.duration_ms) " ms" } } }
}

fn output(leaf: &Task, detail: &HostDetail, w: Words) -> Markup {
    let running = !leaf.output_tail.is_empty();
    html! {
        @if running { section { h2 { (w.output()) } pre.output tabindex="0" { (leaf.output_tail) } } }
        @if let Some(code) = detail.exit_code { p { (w.exit_code()) " " b { (code) } } }
        @if let Some(signal) = detail.signal { p { (w.signal()) " " b { (signal) } } }
        @if let Some(text) = detail.stdout.as_deref().filter(|it| !it.is_empty()) {
            section { h2 { (w.output()) } pre.output tabindex="0" { (text) } }
        }
        @if let Some(text) = detail.stderr.as_deref().filter(|it| !it.is_empty()) {
            section { h2 { (w.errors()) } pre.output tabindex="0" { (text) } }
        }
    }
}
