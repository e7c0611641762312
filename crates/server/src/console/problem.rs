//! The catalogue: what can be wrong, and what to do about it.

use axum::extract::{Path, Query};
use axum::response::IntoResponse as _;
use maud::html;
use model::Cause;
use protocol::error::{Code, Fault};
use serde::Deserialize;

use super::page::page as frame;
use super::part;
use super::refusal::{Answer, Refusal};
use super::visitor::Visitor;
use super::words::Words;

/// Words to look for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    q: String,
}

/// The list of causes.
pub(super) async fn list(visitor: Visitor, Query(search): Query<Search>) -> Answer {
    let language = visitor.look.language;
    let w = Words(language);
    let wanted = search.q.to_lowercase();
    let matches = |cause: &Cause| {
        let about = cause.about();
        let texts = [
            about.sentence.en,
            about.sentence.zh,
            about.explanation,
            cause.name(),
        ];
        let code = cause.code().to_string();
        wanted
            .split_whitespace()
            .all(|word| code == word || texts.iter().any(|it| it.to_lowercase().contains(word)))
    };
    let found: Vec<Cause> = Cause::ALL.iter().copied().filter(matches).collect();
    let body = html! {
        h1 { (w.causes()) }
        form.filter method="get" action="/console/causes" role="search" {
            input name="q" type="search" value=(search.q) aria-label=(w.search()) data-filter="" spellcheck="false";
            button type="submit" { (w.search()) }
        }
        div.scroll tabindex="0" { table.rows {
            thead { tr { th { (w.code()) } th { (w.severity()) } th { (w.sentence()) } } }
            tbody { @for cause in found { tr {
                td { a href={ "/console/causes/" (cause.code()) } { (cause.code()) } }
                td { span.severity.(cause.severity().wire()) { (cause.severity().wire()) } }
                td.wide { (cause.about().sentence.say(language)) }
            } } }
        } }
    };
    Ok(frame(&visitor, w.causes(), "/console/causes", body).into_response())
}

/// One cause.
pub(super) async fn page(visitor: Visitor, Path(code): Path<String>) -> Answer {
    let language = visitor.look.language;
    let w = Words(language);
    let cause = code.parse().ok().and_then(Cause::find).ok_or_else(|| {
        let fault = Fault::new(Code::EntityNotExist, format!("There is no cause {code}."));
        Refusal::of(fault.into(), visitor.look)
    })?;
    let about = cause.about();
    let body = html! {
        p.quiet { a href="/console/causes" { "‹ " (w.causes()) } }
        h1 { (about.sentence.say(language)) }
        p { span.severity.(about.severity.wire()) { (about.severity.wire()) } " " code { (cause.code()) " " (cause.name()) } }
        section { h2 { (w.explanation()) } p { (about.explanation) } }
        @if !about.verify.is_empty() { section { h2 { (w.see_it()) } @for line in about.verify { (part::copyable(line, w)) } } }
        section { h2 { (w.fixes()) } ul.fixes { @for fix in about.fixes { li {
            p { (fix.about().sentence.say(language)) " " span.quiet { (fix.code()) } }
            @if let Some(action) = fix.action() { pre { code { (action.command) } } }
        } } } }
    };
    Ok(frame(
        &visitor,
        about.sentence.say(language),
        "/console/causes",
        body,
    )
    .into_response())
}
