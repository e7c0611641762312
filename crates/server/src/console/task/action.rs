//! What can be done with a task: cancel it, or run it again where it did not succeed.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use protocol::api::Done;
use protocol::api::task::{GenerateOnceTask, Task};

use super::super::part;
use super::super::refusal::{Answer, Refuse as _};
use super::super::visitor::{Form, Visitor};
use super::super::words::Words;
use super::Shown;

/// The button that cancels.
pub(super) fn cancel_form(visitor: &Visitor, task: &Task, w: Words) -> Markup {
    html! {
        form method="post" action={ "/console/tasks/" (task.task_id) "/cancel" } data-confirm=(w.cancel_sure()) {
            input type="hidden" name="form_token" value=(visitor.form_token());
            button.danger type="submit" { (w.cancel()) }
        }
    }
}

/// The buttons that run it again: where it failed or timed out, or what is shown.
pub(super) fn rerun_forms(visitor: &Visitor, task: &Task, shown: &Shown, w: Words) -> Markup {
    let chosen = part::statuses(&shown.status);
    let failed = task.fail_count + task.timeout_count > 0;
    let form = |statuses: &[&str], title: &str| {
        html! {
            form method="post" action={ "/console/tasks/" (task.task_id) "/rerun" } {
                input type="hidden" name="form_token" value=(visitor.form_token());
                input type="hidden" name="once" value=(once());
                @for status in statuses { input type="hidden" name="status" value=(status); }
                button type="submit" data-key=[(statuses.len() == 2).then_some("r")] { (title) }
            }
        }
    };
    html! {
        @if failed { (form(&["FAIL", "TIMEOUT"], w.rerun_failed())) }
        @if !chosen.is_empty() && shown.status != "UNFINISHED" && shown.outcome.is_empty() {
            (form(chosen, w.rerun_here()))
        }
    }
}

/// A word that makes a form that is sent twice do one thing.
pub(in crate::console) fn once() -> String {
    crate::random::request_id().unwrap_or_default()
}

/// Cancels.
pub(crate) async fn cancel(Path(id): Path<String>, form: Form) -> Answer {
    let look = form.visitor.look;
    let _done: Done = form
        .visitor
        .ask("CancelOnceTask", &[("TaskId", &id)])
        .await
        .or_refuse(look)?;
    Ok(Redirect::to(&format!("/console/tasks/{id}")).into_response())
}

/// Runs it again.
pub(crate) async fn rerun(Path(id): Path<String>, form: Form) -> Answer {
    let look = form.visitor.look;
    let mut params = vec![("TaskId", id.as_str())];
    let statuses = form
        .fields
        .pairs()
        .iter()
        .filter(|(name, _)| name == "status");
    let names = ["StatusList.1", "StatusList.2", "StatusList.3"];
    params.extend(
        names
            .into_iter()
            .zip(statuses.map(|(_, value)| value.as_str())),
    );
    let made: GenerateOnceTask = form
        .visitor
        .ask_once("RerunOnceTask", &params, form.fields.get("once"))
        .await
        .or_refuse(look)?;
    Ok(Redirect::to(&format!("/console/tasks/{}", made.task_id)).into_response())
}
