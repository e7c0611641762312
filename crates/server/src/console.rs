//! The console: pages for people, over the same operations as the API.
//!
//! Every page asks operations as the person who is signed in, and shows what they answer: so each permission
//! is asked once, in one place, and what can be done here can be done by the API. Knows no service and no store.

mod asset;
mod audit;
mod host;
mod leaf;
mod new_task;
mod overview;
mod page;
mod part;
mod problem;
mod refusal;
mod sign_in;
mod task;
mod time;
mod visitor;
mod words;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{Redirect, Response};
use axum::routing::{get, post};

use crate::app::App;

/// Where the console lies.
const HOME: &str = "/console";

/// All pages, below [`HOME`].
pub(crate) fn router() -> Router<App> {
    let pages = Router::new()
        .route("/", get(overview::page))
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/look", post(sign_in::look))
        .route("/tasks", get(task::list::page))
        .route("/tasks/new", get(new_task::page).post(new_task::create))
        .route("/tasks/new/targets", get(new_task::targets))
        .route("/tasks/{id}", get(task::page))
        .route("/tasks/{id}/live", get(task::live::stream))
        .route("/tasks/{id}/cancel", post(task::action::cancel))
        .route("/tasks/{id}/rerun", post(task::action::rerun))
        .route("/leaves/{id}", get(leaf::page))
        .route("/hosts", get(host::list::page))
        .route("/hosts/{uuid}", get(host::page))
        .route("/audit", get(audit::page))
        .route("/causes", get(problem::list))
        .route("/causes/{code}", get(problem::page))
        .route("/assets/{name}", get(asset::file));
    Router::new()
        .nest(HOME, pages)
        .route("/console/", get(async || Redirect::permanent(HOME)))
        .layer(middleware::from_fn(guarded))
}

/// What every answer of the console says to the browser: nothing from elsewhere, no script but our files, no
/// frame around it, and nothing kept that a shared machine would show to the next.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
