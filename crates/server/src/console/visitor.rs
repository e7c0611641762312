//! Who looks at the console: their session, language and look.
//!
//! A session is a bearer token in a cookie that scripts cannot read. It ends with its time, with the key that it
//! was made with, and when they sign out.

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderMap, Method, header, request::Parts};
use model::{Language, limits};
use protocol::error::{Code, Fault};
use protocol::params::Params;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use crate::api::Asked;
use crate::app::{App, Peer};
use crate::auth::Caller;
use crate::service::Error;

/// The cookie with the session.
pub(super) const SESSION: &str = "sickbay_session";
/// The cookie with the language, `en` or `zh`.
pub(super) const LANGUAGE: &str = "sickbay_language";
/// The cookie with the look, `light` or `dark`; without it, that of the system.
pub(super) const THEME: &str = "sickbay_theme";

/// How the console is to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) language: Language,
    pub(super) theme: Option<&'static str>,
}

impl Look {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let asked = cookie(headers, LANGUAGE).and_then(Language::from_wire);
        let accepted = || {
            let text = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
            Language::from_wire(text.get(..2)?)
        };
        Self {
            language: asked.or_else(accepted).unwrap_or(Language::English),
            theme: match cookie(headers, THEME) {
                Some("light") => Some("light"),
                Some("dark") => Some("dark"),
                _ => None,
            },
        }
    }
}

/// Somebody who is signed in.
#[derive(Clone)]
pub(super) struct Visitor {
    app: App,
    caller: Caller,
    peer: Peer,
    host: String,
    request_id: String,
    token: String,
    pub(super) look: Look,
    /// Path and query of what they look at.
    pub(super) place: String,
}

impl Visitor {
    /// Their name.
    pub(super) fn name(&self) -> &str {
        &self.caller.name
    }

    /// Asks an operation as this person.
    ///
    /// # Errors
    /// What the operation says.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<T, Error> {
        self.ask_once(action, params, None).await
    }

    /// Asks an operation that creates something; asked again with the same `nonce`, it creates nothing more.
    ///
    /// # Errors
    /// What the operation says.
    pub(super) async fn ask_once<T: DeserializeOwned>(
        &self,
        action: &str,
        params: &[(&str, &str)],
        nonce: Option<&str>,
    ) -> Result<T, Error> {
        let asked = Asked {
            app: &self.app,
            caller: &self.caller,
            peer: self.peer,
            host: &self.host,
            action,
            params: &Params::of(params),
            nonce,
            request_id: &self.request_id,
            door: "console",
        };
        asked.read().await
    }

    /// The word that a form must bring along, so that no other site can send one in their name.
    pub(super) fn form_token(&self) -> String {
        self.app.auth.form_token(&self.token)
    }

    /// Grows with all that pages show.
    pub(super) fn changes(&self) -> u64 {
        let app = &self.app;
        app.store.generation()
            + app.engine.sessions.generation()
            + app.engine.progress.generation(app.clock.now())
    }

    /// The time, in ms since 1970.
    pub(super) fn now(&self) -> i64 {
        self.app.clock.now().0
    }

    /// Is done when the node stops: what streams, ends.
    pub(super) fn stopping(&self) -> tokio_util::sync::CancellationToken {
        self.app.gateway.shutdown.clone()
    }

    /// Whether they are still who they were: keys are switched off, sessions end.
    pub(super) async fn is_still_here(&self) -> bool {
        self.app.auth.bearer(&self.token).await.is_ok()
    }

    /// Ends the session.
    pub(super) async fn leave(&self) -> Result<(), Error> {
        self.app.access.token_delete(&self.token).await
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let look = Look::of(&parts.headers);
        let place = parts.uri.path_and_query().map_or("", |it| it.as_str());
        // Nested routers see the path below theirs.
        let place = format!("{}{}", super::HOME, place.trim_start_matches(super::HOME));
        let signed_out = || Refusal::SignedOut {
            place: if parts.method == Method::GET {
                place.clone()
            } else {
                super::HOME.to_owned()
            },
            partial: is_partial(&parts.headers),
        };
        let token = cookie(&parts.headers, SESSION).ok_or_else(signed_out)?;
        let caller = match app.auth.bearer(token).await {
            Ok(caller) => caller,
            Err(error) if error.source.is_none() => return Err(signed_out()),
            Err(error) => return Err(Refusal::of(error, look)),
        };
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|it| it.to_str().ok());
        let request_id = crate::random::request_id().map_err(|it| Refusal::of(it, look))?;
        Ok(Self {
            app: app.clone(),
            caller,
            peer: peer_of(parts),
            host: host.unwrap_or_default().to_owned(),
            request_id,
            token: token.to_owned(),
            look,
            place,
        })
    }
}

/// The other end of the connection.
pub(super) fn peer_of(parts: &Parts) -> Peer {
    parts.extensions.get::<Peer>().copied().unwrap_or_default()
}

/// Whether a part of a page is asked for, by a script of ours.
pub(super) fn is_partial(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request")
}

/// A cookie's value.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(header::COOKIE).iter();
    texts
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(';'))
        .filter_map(|it| it.trim().split_once('='))
        .find_map(|(it, value)| (it == name).then_some(value))
}

/// A form that somebody who is signed in sent from one of our pages.
pub(super) struct Form {
    pub(super) visitor: Visitor,
    pub(super) fields: Params,
}

impl axum::extract::FromRequest<App> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let look = visitor.look;
        let fields = fields_of(app, visitor.peer, body, limits::REQUEST_BODY_BYTES_MAX)
            .await
            .map_err(|it| Refusal::of(it.into(), look))?;
        let shown = fields.get("form_token").unwrap_or_default();
        if !same_site(&parts.headers) || !app.auth.is_form_token(&visitor.token, shown) {
            let text = "This form is not of this session: go back, load the page anew, and send it again. Nothing was done.";
            let fault = Fault::new(Code::InvalidParameter, text);
            return Err(Refusal::of(fault.into(), look));
        }
        Ok(Self { visitor, fields })
    }
}

/// The fields of a form.
///
/// # Errors
/// It is too large or no form, does not come in time, or there is no room for it.
pub(super) async fn fields_of(
    app: &App,
    peer: Peer,
    body: Body,
    bytes_max: usize,
) -> Result<Params, Fault> {
    let all_max = limits::BODIES_BYTES_MAX;
    let held = app.bodies.take(peer, body, bytes_max, all_max).await?;
    Params::parse("", Some(&held.bytes))
}

/// Whether a browser says that the request comes from one of our own pages. Old browsers say nothing.
pub(super) fn same_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_none_or(|it| it == "same-origin" || it == "none")
}
