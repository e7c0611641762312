//! What a page answers when it cannot be shown.

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use protocol::error::Code;

use super::page::bare;
use super::visitor::Look;
use crate::service::Error;

/// Why a page is not shown.
pub(super) enum Refusal {
    /// Nobody is signed in.
    SignedOut {
        /// Where to go afterwards.
        place: String,
        /// Whether a part of a page was asked for.
        partial: bool,
    },
    /// An operation says no.
    Fault { error: Box<Error>, look: Look },
}

impl Refusal {
    pub(super) fn of(error: Error, look: Look) -> Self {
        Self::Fault {
            error: Box::new(error),
            look,
        }
    }
}

/// An answer of the console.
pub(super) type Answer<T = Response> = Result<T, Refusal>;

/// For `?` on what operations answer.
pub(super) trait Refuse<T> {
    /// Shows the fault to whoever looks.
    fn or_refuse(self, look: Look) -> Result<T, Refusal>;
}

impl<T> Refuse<T> for Result<T, Error> {
    fn or_refuse(self, look: Look) -> Result<T, Refusal> {
        self.map_err(|error| Refusal::of(error, look))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::SignedOut { place, partial } => {
                let to = format!("/console/sign-in?to={}", super::part::encoded(&place));
                if !partial {
                    return Redirect::to(&to).into_response();
                }
                let mut response = StatusCode::OK.into_response();
                if let Ok(value) = HeaderValue::from_str(&to) {
                    response.headers_mut().insert("hx-redirect", value);
                }
                response
            }
            Self::Fault { error, look } => {
                let fault = &error.fault;
                if let Some(source) = &error.source {
                    let source = source.as_ref() as &dyn std::error::Error;
                    tracing::error!(code = fault.code.wire(), error = source, "a page failed");
                }
                let status = StatusCode::from_u16(fault.code.http_status());
                let w = super::words::Words(look.language);
                let title = match fault.code {
                    Code::NoPermission => w.no_permission(),
                    Code::EntityNotExist => w.not_there(),
                    _ => w.did_not_work(),
                };
                let body = bare(
                    look,
                    title,
                    html! {
                        h1 { (title) }
                        p role="alert" { (fault.message) }
                        p.quiet { code { (fault.code.wire()) } }
                        p { a href="/console" { (w.overview()) } }
                    },
                );
                (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body).into_response()
            }
        }
    }
}
