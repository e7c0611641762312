//! Coming and going.

use axum::body::Body;
use axum::extract::{Extension, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use model::limits;
use protocol::audit::AuditRecord;
use protocol::params::Params;
use serde::Deserialize;

use super::page::{bare, look_form};
use super::refusal::{Answer, Refusal, Refuse as _};
use super::visitor::{Form, LANGUAGE, Look, SESSION, THEME, fields_of, same_site};
use super::words::Words;
use crate::app::{App, Peer};
use crate::gateway::Purpose;
use crate::service::audit::Happened;

/// Where to go afterwards.
#[derive(Deserialize)]
pub(super) struct To {
    #[serde(default)]
    to: String,
}

/// The page to sign in at.
pub(super) async fn page(headers: HeaderMap, Query(To { to }): Query<To>) -> Markup {
    form(Look::of(&headers), &to, None)
}

fn form(look: Look, to: &str, complaint: Option<&str>) -> Markup {
    let w = Words(look.language);
    bare(
        look,
        w.sign_in(),
        html! {
            h1 { (w.sign_in()) }
            @if let Some(complaint) = complaint { p.complaint role="alert" { (complaint) } }
            form.stacked method="post" action="/console/sign-in" {
                input type="hidden" name="to" value=(to);
                label { (w.key_id())
                    input name="key_id" autocomplete="username" required autofocus spellcheck="false";
                }
                label { (w.key_secret())
                    input name="secret" type="password" autocomplete="current-password" required;
                }
                button.primary type="submit" { (w.sign_in()) }
            }
            p.quiet { (w.sign_in_hint()) " " (w.root_key_hint()) }
            (look_form(look, Some(&super::part::address("/console/sign-in", &[("to", to)]))))
        },
    )
}

/// Signs in.
pub(super) async fn sign_in(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    request: Request<Body>,
) -> Answer {
    let look = Look::of(request.headers());
    let w = Words(look.language);
    let from_us = same_site(request.headers());
    let Extension(peer) = peer.unwrap_or_default();
    let most = limits::OPEN_FORM_BYTES_MAX;
    let fields = fields_of(&app, peer, request.into_body(), most)
        .await
        .map_err(|it| Refusal::of(it.into(), look))?;
    let to = fields.get("to").unwrap_or_default();
    let refuse = |status: StatusCode, why| (status, form(look, to, Some(why))).into_response();
    let rates = &app.gateway.rates;
    if rates
        .take_address(Purpose::SignIn, peer.address, app.clock.now())
        .is_err()
    {
        return Ok(refuse(StatusCode::TOO_MANY_REQUESTS, w.sign_in_slowly()));
    }
    let key_id = fields.get("key_id").unwrap_or_default().trim();
    let secret = fields.get("secret").unwrap_or_default().trim();
    let caller = match app.auth.sign_in(key_id, secret).await {
        Ok(caller) if from_us && !caller.is_temporary() => caller,
        Err(error) if error.source.is_some() => return Err(Refusal::of(error, look)),
        refused => {
            let outcome = refused.map_or_else(|it| it.fault.code.wire(), |_| "refused");
            let source = peer.address.to_string();
            app.audit
                .refused("SignIn", key_id, &source, "console", outcome);
            return Ok(refuse(StatusCode::FORBIDDEN, w.sign_in_failed()));
        }
    };
    let made = app
        .access
        .token_add(&caller, limits::CONSOLE_SESSION_SECONDS, "", true)
        .await
        .or_refuse(look)?;
    let happened = Happened {
        user: &caller.name,
        action: "SignIn",
        record: AuditRecord {
            access_key_id: key_id.to_owned(),
            source: peer.address.to_string(),
            door: "console".to_owned(),
            outcome: "OK".to_owned(),
            ..AuditRecord::default()
        },
    };
    app.audit.write(happened).await.or_refuse(look)?;
    tracing::info!(user.name = caller.name, peer.address = %peer.address, "signed in at the console");
    let secure = peer.secure
        || app
            .public_url
            .as_ref()
            .is_some_and(|it| it.starts_with("https"));
    let mut response = Redirect::to(&inside(to)).into_response();
    let cookie = cookie(
        SESSION,
        &made.token,
        limits::CONSOLE_SESSION_SECONDS,
        true,
        secure,
    );
    set(&mut response, &cookie);
    Ok(response)
}

/// Signs out.
pub(super) async fn sign_out(form: Form) -> Answer {
    let look = form.visitor.look;
    form.visitor.leave().await.or_refuse(look)?;
    let mut response = Redirect::to("/console/sign-in").into_response();
    set(&mut response, &cookie(SESSION, "", 0, true, false));
    Ok(response)
}

/// Keeps language and look in this browser.
pub(super) async fn look(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    request: Request<Body>,
) -> Answer {
    let look = Look::of(request.headers());
    let Extension(peer) = peer.unwrap_or_default();
    let most = limits::OPEN_FORM_BYTES_MAX;
    let fields: Params = fields_of(&app, peer, request.into_body(), most)
        .await
        .map_err(|it| Refusal::of(it.into(), look))?;
    let to = inside(fields.get("to").unwrap_or_default());
    let mut response = Redirect::to(&to).into_response();
    let language = fields.get("language").and_then(model::Language::from_wire);
    if let Some(language) = language {
        set(
            &mut response,
            &cookie(LANGUAGE, language.wire(), YEAR, false, false),
        );
    }
    match fields.get("theme") {
        Some(theme @ ("light" | "dark")) => {
            set(&mut response, &cookie(THEME, theme, YEAR, false, false));
        }
        _ => set(&mut response, &cookie(THEME, "", 0, false, false)),
    }
    Ok(response)
}

const YEAR: i64 = 365 * 86_400;

fn cookie(name: &str, value: &str, seconds: i64, hidden: bool, secure: bool) -> String {
    let hidden = if hidden { "; HttpOnly" } else { "" };
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/console; Max-Age={seconds}; SameSite=Lax{hidden}{secure}")
}

fn set(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// A place in the console: never one elsewhere.
fn inside(to: &str) -> String {
    let rest = to.strip_prefix("/console");
    let fits = rest.is_some_and(|it| it.is_empty() || it.starts_with('/') || it.starts_with('?'));
    let plain = to.bytes().all(|it| it.is_ascii_graphic() && it != b'\\');
    if fits && plain && !to.contains("//") {
        to.to_owned()
    } else {
        super::HOME.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for kept in ["/console", "/console?x", "/console/tasks?page=2"] {
            assert_eq!(inside(kept), kept);
        }
        for other in [
            "",
            "//evil.example",
            "https://evil.example",
            "/console//evil.example",
            "/console.evil.example",
            "/consolex",
            "/console/\\evil",
            "/console/\r\nSet-Cookie: a=b",
        ] {
            assert_eq!(inside(other), "/console", "{other}");
        }
    }
}
