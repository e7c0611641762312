//! The front door: the public RPC API.
//!
//! Unwraps a request, proves who asks, calls one handler, wraps the answer. The order of checks is
//! the documented one: method, algorithm and common parameters, time, key, token, signature, nonce,
//! version and action, permission, parameters.

mod access;
mod audit;
mod call;
mod collect;
mod host;
mod install_code;
mod kept;
mod problem;
mod property;
mod store;
mod task;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use model::limits;
use protocol::error::{Code, Fault, error_body};
use protocol::params::Params;
use protocol::sign::{Format, Presented, RawRequest};
use protocol::xml::to_xml;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::{App, Peer};
use crate::auth::{Caller, Circumstances};
use crate::body::Held;
use crate::service::Error;
pub(crate) use call::Call;
pub(crate) use kept::Kept;
use kept::Moment;

/// The one version of the API.
const VERSION: &str = "2018-12-03";

/// Service codes of the cloud's own operations: a policy statement matches under either.
pub(crate) const CLOUD: &[&str] = &["yundun-sas", "yundun-aegis"];
/// Service code of Sickbay's own operations.
const OURS: &[&str] = &["sickbay"];

/// Declares the operations once: name, service codes, handler.
macro_rules! operations {
    ($($name:literal, $services:ident, $handler:path;)+) => {
        /// Every operation with its service codes.
        pub(crate) const OPERATIONS: &[(&str, &[&str])] = &[$(($name, $services),)+];

        /// The answer of an operation.
        async fn handle(name: &str, call: &Call<'_>) -> Result<Bytes, Error> {
            match name {
                $($name => members(&$handler(call).await?),)+
                _ => Err(Code::InvalidActionNotFound.into()),
            }
        }
    };
}

operations! {
    "AddInstallCode", CLOUD, install_code::add;
    "CancelOnceTask", CLOUD, task::cancel;
    "CreateAccessKey", OURS, access::key_create;
    "CreateToken", OURS, access::token_create;
    "CreateUser", OURS, access::user_create;
    "DeleteAccessKey", OURS, access::key_delete;
    "DeleteInstallCode", CLOUD, install_code::delete;
    "DeleteUser", OURS, access::user_delete;
    "DeleteUserPolicy", OURS, access::policy_delete;
    "DescribeAgentInstallStatus", CLOUD, host::install_status;
    "DescribeClientProblemType", CLOUD, problem::list;
    "DescribeCloudCenterInstances", CLOUD, host::list;
    "DescribeHostSnapshots", OURS, host::snapshots;
    "DescribeInstallCodes", CLOUD, install_code::list;
    "DescribeOnceTask", CLOUD, task::describe;
    "DescribeOnceTaskLeafRecordPage", CLOUD, task::leaf_records;
    "DescribeOnceTaskOutcomes", CLOUD, task::outcomes;
    "DescribePropertyPortDetail", CLOUD, property::ports;
    "DescribePropertyProcDetail", CLOUD, property::processes;
    "DescribePropertySoftwareDetail", CLOUD, property::software;
    "DescribePropertyUserDetail", CLOUD, property::users;
    "GenerateOnceTask", CLOUD, task::generate;
    "GetAssetDetailByUuid", CLOUD, host::detail;
    "GetLastOnceTaskInfo", CLOUD, task::last_info;
    "GetOnceTaskResultInfo", CLOUD, task::result_info;
    "GetServerInfo", OURS, host::server_info;
    "ListAuditEntries", OURS, audit::list;
    "ListUnfinishedOnceTask", CLOUD, task::unfinished;
    "ListUsers", OURS, access::user_list;
    "ModifyPushAllTask", CLOUD, collect::push;
    "PreviewTargets", OURS, host::preview_targets;
    "PutUserPolicy", OURS, access::policy_put;
    "RefreshAssets", CLOUD, collect::refresh;
    "RemoveHost", OURS, host::remove;
    "RerunOnceTask", OURS, task::rerun;
    "SetHostLabels", OURS, host::set_labels;
    "UpdateAccessKey", OURS, access::key_update;
    "VerifyStore", OURS, store::verify;
}

/// An answer as JSON without its last brace, so that the request's id can be added to a kept one. It is
/// written as it is: a tree of it would cost more than all else that a page of leaves needs.
fn members(answer: &impl serde::Serialize) -> Result<Bytes, Error> {
    let mut text = serde_json::to_vec(answer).map_err(Error::internal)?;
    text.pop();
    Ok(text.into())
}

/// Answers one request.
pub(crate) async fn front_door(State(app): State<App>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
    let headers: Vec<(&str, &str)> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let host = header_of(&headers, "host").unwrap_or_default();
    let request_id = crate::random::request_id().unwrap_or_default();
    let mut reply = Reply {
        request_id,
        host: host.to_owned(),
        format: Format::Json,
        action: String::new(),
    };
    let mut raw = RawRequest {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        body: b"",
    };
    let held = match take_body(&app, peer, &raw, body).await {
        Ok(held) => held,
        Err(error) => return reply.error(error),
    };
    raw.body = &held.bytes;
    match answer(&app, peer, &raw, &mut reply).await {
        Ok(members) => reply.success(&members),
        Err(error) => reply.error(error),
    }
}

/// Takes the body in, unless it is long and its head alone is to be refused.
async fn take_body<'a>(
    app: &'a App,
    peer: Peer,
    head: &RawRequest<'_>,
    body: Body,
) -> Result<Held<'a>, Error> {
    let most = body.size_hint().upper();
    let is_short = most.is_some_and(|it| it <= limits::REQUEST_BODY_UNASKED_BYTES_MAX);
    let all_max = match head.key_in_head() {
        _ if is_short => limits::BODIES_BYTES_MAX,
        Some(id) if app.auth.is_key(&id).await? => limits::BODIES_BYTES_MAX,
        Some(_) => return Err(Code::InvalidAccessKeyIdNotFound.into()),
        None => limits::BLIND_BODIES_BYTES_MAX,
    };
    let bytes_max = limits::REQUEST_BODY_BYTES_MAX;
    Ok(app.bodies.take(peer, body, bytes_max, all_max).await?)
}

/// What a request is answered, see [`members`].
async fn answer(
    app: &App,
    peer: Peer,
    raw: &RawRequest<'_>,
    reply: &mut Reply,
) -> Result<Bytes, Error> {
    let params = raw.params()?;
    reply.format = Format::of(raw, &params);
    let presented = Presented::read(raw, &params)?;
    reply.format = presented.format;
    reply.action.clone_from(&presented.action);
    let caller = match app.auth.authenticate(raw, &params, &presented).await {
        Ok(caller) => caller,
        Err(error) => {
            let claimed = presented.credential.claimed();
            let (source, outcome) = (peer.address.to_string(), error.fault.code.wire());
            app.audit
                .refused(&presented.action, claimed, &source, "api", outcome);
            return Err(error);
        }
    };
    if presented.version != VERSION {
        return Err(Code::InvalidVersion.into());
    }
    let asked = Asked {
        app,
        caller: &caller,
        peer,
        host: &reply.host,
        action: &presented.action,
        params: &params,
        nonce: presented.nonce.as_deref(),
        request_id: &reply.request_id,
        door: "api",
    };
    asked.answer().await
}

/// An operation asked for by somebody who is proven, at this door or at the console's.
pub(crate) struct Asked<'a> {
    /// The services.
    pub(crate) app: &'a App,
    /// Who asks.
    pub(crate) caller: &'a Caller,
    /// From where.
    pub(crate) peer: Peer,
    /// The host and port that were asked, as in the header `Host`.
    pub(crate) host: &'a str,
    /// The operation's name.
    pub(crate) action: &'a str,
    /// Its parameters.
    pub(crate) params: &'a Params,
    /// What makes a repetition of a request known, if it has anything.
    pub(crate) nonce: Option<&'a str>,
    /// The id of this request.
    pub(crate) request_id: &'a str,
    /// Which door it came through, for the audit log.
    pub(crate) door: &'static str,
}

impl Asked<'_> {
    /// Asks the policies, answers, and takes the request up into the audit log; see [`members`].
    async fn answer(&self) -> Result<Bytes, Error> {
        let answered = self.carry_out().await;
        self.audit(&answered).await;
        answered
    }

    async fn carry_out(&self) -> Result<Bytes, Error> {
        let app = self.app;
        let operation = OPERATIONS.iter().find(|(name, _)| *name == self.action);
        let (name, services) = operation.ok_or(Code::InvalidActionNotFound)?;
        let circumstances = Circumstances {
            source: self.peer.address,
            secure: self.peer.secure,
            task_type: self.params.get("TaskType"),
        };
        app.auth
            .authorise(self.caller, services, permission(name), circumstances)?;
        if changes(name)
            && let Some(nonce) = self.nonce
        {
            app.auth.burn_for_good(self.caller, nonce).await?;
        }
        let base = app.base_url(self.peer, self.host);
        let call = Call {
            app,
            caller: self.caller,
            params: self.params,
            base: base.as_deref(),
            peer: self.peer,
            nonce: self.nonce.unwrap_or(self.request_id),
        };
        if Kept::keeps(name) {
            return kept_or_made(name, &call).await;
        }
        handle(name, &call).await
    }

    /// The answer, typed as whoever asks reads it.
    pub(crate) async fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let json = [&*self.answer().await?, b"}"].concat();
        serde_json::from_slice(&json).map_err(Error::internal)
    }
}

/// The answer that was given to the same question, if nothing has changed since, or a new one.
async fn kept_or_made(name: &str, call: &Call<'_>) -> Result<Bytes, Error> {
    let app = call.app;
    let now = app.clock.now();
    let mut changes = app.store.generation() + app.engine.sessions.generation();
    if Kept::shows_progress(name) {
        changes += app.engine.progress.generation(now);
    }
    let moment = Moment { changes, now };
    let question = call.question(name);
    if let Some(text) = app.kept.find(&question, moment) {
        return Ok(text);
    }
    let text = handle(name, call).await?;
    app.kept.keep(question, moment, &text);
    Ok(text)
}

/// The operation whose permission is asked for: who may see the leaves may see what they say together.
fn permission(operation: &'static str) -> &'static str {
    match operation {
        "DescribeOnceTaskOutcomes" => "DescribeOnceTask",
        own => own,
    }
}

/// Whether an operation changes something that a replay would change again. A repeated
/// `GenerateOnceTask` finds the task that it made.
fn changes(operation: &str) -> bool {
    let looks = ["Describe", "Get", "List", "Preview", "Verify"];
    !looks.iter().any(|it| operation.starts_with(it))
        && operation != "GenerateOnceTask"
        && operation != "RerunOnceTask"
}

/// How to answer.
struct Reply {
    request_id: String,
    host: String,
    format: Format,
    action: String,
}

impl Reply {
    fn success(&self, members: &Bytes) -> Response<Body> {
        let mut json = Vec::with_capacity(members.len() + 64);
        json.extend_from_slice(members);
        if members.len() > 1 {
            json.push(b',');
        }
        json.extend_from_slice(b"\"RequestId\":\"");
        json.extend_from_slice(self.request_id.as_bytes());
        json.extend_from_slice(b"\"}");
        match self.format {
            Format::Json => self.respond(StatusCode::OK, json.into()),
            Format::Xml => match serde_json::from_slice(&json) {
                Ok(value) => {
                    let root = format!("{}Response", self.action);
                    self.respond(StatusCode::OK, to_xml(&root, &value).into())
                }
                Err(error) => self.error(Error::internal(error)),
            },
        }
    }

    fn error(&self, error: Error) -> Response<Body> {
        let code = error.fault.code;
        if let Some(source) = &error.source {
            let source = source.as_ref() as &dyn std::error::Error;
            tracing::error!(request.id = %self.request_id, request.action = %self.action, code = code.wire(), error = source, "a request failed");
        }
        let status = StatusCode::from_u16(code.http_status());
        let mut body = error_body(&error.fault, &self.request_id, &self.host);
        if code == Code::TaskLimitExceeded
            && let Some(members) = body.as_object_mut()
        {
            members.insert("CanCreate".to_owned(), Value::Bool(false));
        }
        let body = match self.format {
            Format::Json => body.to_string(),
            Format::Xml => to_xml("Error", &body),
        };
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.respond(status, body.into())
    }

    fn respond(&self, status: StatusCode, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static(self.format.content_type());
        headers.insert(header::CONTENT_TYPE, content_type);
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        let trace_id = self.request_id.replace('-', "").to_lowercase();
        for (name, text) in [
            ("x-acs-request-id", &self.request_id),
            ("x-acs-trace-id", &trace_id),
        ] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

fn header_of<'a>(headers: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(it, _)| it.eq_ignore_ascii_case(name))
        .map(|(_, value)| *value)
}

/// What is not there.
pub(crate) async fn not_found(request: Request<Body>) -> Response<Body> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|it| it.to_str().ok());
    let reply = Reply {
        request_id: crate::random::request_id().unwrap_or_default(),
        host: host.unwrap_or_default().to_owned(),
        format: Format::Json,
        action: String::new(),
    };
    let text = format!(
        "There is nothing at {}: the API is at /.",
        request.uri().path()
    );
    reply.error(Fault::new(Code::InvalidActionNotFound, text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_writes_nothing() {
        // On a full disk it is asked for most.
        assert!(!changes("VerifyStore") && !changes("DescribeOnceTask"));
        assert!(changes("CancelOnceTask") && changes("RemoveHost"));
    }

    #[test]
    fn operations_stand_in_order_once_each() {
        assert!(OPERATIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
