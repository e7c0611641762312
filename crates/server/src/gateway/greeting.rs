//! How a session begins: who is there, and may they come in.

use std::time::Duration;

use model::{HostUuid, LeafId, limits};
use protocol::clean::one_line;
use protocol::frame::{
    Challenge, DownFrame, Hello, PROTOCOL_VERSION, Refused, UpFrame, Welcome, refusal,
    session_message,
};
use ring::signature::{ED25519, UnparsedPublicKey};
use store::{Host, NewHost};
use tokio::io::{AsyncRead, AsyncWrite};

use super::intake;
use super::rates::Purpose;
use super::socket::Socket;
use crate::app::{App, Peer};
use crate::service::install_code;

const VERSION_BYTES_MAX: usize = 64;

/// Who is there.
pub(super) enum Guest {
    /// An enrolled host and the leaves that its agent holds.
    Host { host: Host, held: Vec<LeafId> },
    /// A host that has just enrolled: it takes its name and comes back.
    Newcomer { host: Host },
    /// A stand-alone checker that may run one leaf.
    Checker { leaf: LeafId, host: Host },
}

/// Why somebody is not let in.
pub(super) enum Denied {
    /// Tell them so.
    Refused(Refused),
    /// The connection is of no use.
    Gone(String),
}

impl From<store::Error> for Denied {
    fn from(error: store::Error) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a session could not be opened"
        );
        Self::Refused(Refused {
            code: refusal::BUSY.to_owned(),
            message: "the control plane's store does not answer; try again later".to_owned(),
            retry: true,
            retry_after_ms: 5_000,
        })
    }
}

fn refused(code: &str, message: impl Into<String>) -> Denied {
    Denied::Refused(Refused {
        code: code.to_owned(),
        message: message.into(),
        retry: false,
        retry_after_ms: 0,
    })
}

/// What too many do at the same time.
fn too_fast(what: &str, wait_ms: i64) -> Denied {
    Denied::Refused(Refused {
        code: refusal::BUSY.to_owned(),
        message: format!("too many {what} at the same time: try again later"),
        retry: true,
        retry_after_ms: u64::try_from(wait_ms).unwrap_or_default(),
    })
}

/// Challenges the other end and lets it in, or not. The welcome is sent by the caller.
pub(super) async fn greet<S>(app: &App, socket: &mut Socket<S>, peer: Peer) -> Result<Guest, Denied>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let gone = |error: super::socket::Error| Denied::Gone(error.to_string());
    let nonce: [u8; 32] =
        crate::random::bytes().map_err(|_| Denied::Gone("no random bytes".to_owned()))?;
    let challenge = Challenge {
        nonce: nonce.to_vec(),
        now_ms: app.clock.now().0,
        version: PROTOCOL_VERSION,
    };
    socket
        .send(DownFrame::Challenge(challenge))
        .await
        .map_err(gone)?;
    let limit = Duration::from_millis(limits::SESSION_GREETING_MS_MAX);
    let hello = match tokio::time::timeout(limit, socket.receive()).await {
        Ok(Ok(UpFrame::Hello(hello))) => hello,
        Ok(Ok(_)) => return Err(refused(refusal::BAD_FRAME, "a session begins with a Hello")),
        Ok(Err(error)) => return Err(gone(error)),
        Err(_) => return Err(Denied::Gone("no greeting in time".to_owned())),
    };
    if hello.version != PROTOCOL_VERSION {
        let message = format!(
            "this node speaks protocol version {PROTOCOL_VERSION}, the agent {}",
            hello.version
        );
        return Err(refused(refusal::BAD_VERSION, message));
    }
    if hello.facts.len() > limits::FACTS_BYTES_MAX {
        return Err(refused(
            refusal::BAD_FRAME,
            "the host's facts are too large",
        ));
    }
    if !hello.ticket.is_empty() {
        return checker(app, &hello, peer).await;
    }
    let message = session_message(&nonce, &hello.host_uuid);
    UnparsedPublicKey::new(&ED25519, &hello.public_key)
        .verify(&message, &hello.signature)
        .map_err(|_| refused(refusal::BAD_IDENTITY, "the agent does not prove its key"))?;
    if hello.install_code.is_empty() {
        known(app, &hello).await
    } else {
        enrol(app, &hello, peer).await
    }
}

/// The first frame of an open session.
pub(super) fn welcome(app: &App, host: &Host) -> DownFrame {
    DownFrame::Welcome(Welcome {
        host_uuid: host.uuid.to_string(),
        order_keys: app.signer.order_keys(),
        takes_progress: true,
    })
}

async fn known(app: &App, hello: &Hello) -> Result<Guest, Denied> {
    let uuid = hello.host_uuid.parse::<HostUuid>();
    let host = match uuid {
        Ok(uuid) => app.store.host_get(&uuid).await?,
        Err(_) => None,
    };
    let Some(mut host) = host.filter(|it| it.removed_at.is_none()) else {
        let message = "this host is not known here, or was removed: enrol it again";
        return Err(refused(refusal::UNKNOWN_HOST, message));
    };
    if host.public_key != hello.public_key {
        let message = "the agent's key is not the one that this host enrolled with";
        return Err(refused(refusal::BAD_IDENTITY, message));
    }
    let facts = intake::facts(&hello.facts);
    let facts = facts.and_then(|it| serde_json::to_string(&it).ok());
    host.agent_version = version_of(hello);
    // The session keeps the host for as long as it lasts; its facts are in the store.
    host.facts = String::new();
    app.store
        .host_seen(
            host.number,
            host.agent_version.clone(),
            facts,
            app.clock.now(),
        )
        .await?;
    let held = hello
        .held_leaf_ids
        .iter()
        .filter_map(|it| it.parse().ok())
        .collect();
    Ok(Guest::Host { host, held })
}

async fn enrol(app: &App, hello: &Hello, peer: Peer) -> Result<Guest, Denied> {
    let now = app.clock.now();
    let rates = &app.gateway.rates;
    let from_address = rates.take_address(Purpose::Enrolment, peer.address, now);
    from_address.map_err(|it| too_fast("hosts enrol", it))?;
    if let Some(host) = app.store.host_of_key(&hello.public_key).await? {
        // An enrolment whose welcome was lost: the host has its name already.
        return Ok(Guest::Newcomer { host });
    }
    let code_id = install_code::id_of(&hello.install_code);
    let code = app.store.install_code_get(&code_id).await?;
    let Some(code) = code else {
        let message = "the install code is not known: make one with `sickbay install-code create`";
        return Err(refused(refusal::BAD_INSTALL_CODE, message));
    };
    if now >= code.expires_at {
        let message = "the install code has expired: make one with `sickbay install-code create`";
        return Err(refused(refusal::EXPIRED_INSTALL_CODE, message));
    }
    let unreadable = || refused(refusal::BAD_FRAME, "the host's facts cannot be read");
    let facts = intake::facts(&hello.facts).ok_or_else(unreadable)?;
    let facts_json = serde_json::to_string(&facts).map_err(|_| unreadable())?;
    let with_code = rates.take_code(&code_id, now);
    with_code.map_err(|it| too_fast("hosts enrol", it))?;
    if !app.store.install_code_use(&code_id).await? {
        let message = "the install code is used up: make one with `sickbay install-code create`";
        return Err(refused(refusal::EXPIRED_INSTALL_CODE, message));
    }
    let random = crate::random::bytes().map_err(|_| Denied::Gone("no random bytes".to_owned()))?;
    let new = NewHost {
        uuid: HostUuid::from_random(random),
        public_key: hello.public_key.clone(),
        name: facts.hostname,
        group: code.group,
        labels: code.labels,
        facts: facts_json,
        agent_version: version_of(hello),
        created_at: now,
    };
    let uuid = new.uuid.clone();
    app.store.host_add(new).await?;
    let host = app.store.host_get(&uuid).await?;
    let host = host.ok_or_else(|| Denied::Gone("the new host is not stored".to_owned()))?;
    tracing::info!(host.id = %uuid, host.name = ?host.name, "a host has enrolled");
    Ok(Guest::Newcomer { host })
}

async fn checker(app: &App, hello: &Hello, peer: Peer) -> Result<Guest, Denied> {
    let (rates, now) = (&app.gateway.rates, app.clock.now());
    let from_address = rates.take_address(Purpose::Checker, peer.address, now);
    from_address.map_err(|it| too_fast("checkers report", it))?;
    let wrong = || {
        let message =
            "this manual command is not valid, or its task has ended: copy the current one";
        refused(refusal::BAD_TICKET, message)
    };
    let leaf: LeafId = hello.leaf_id.parse().map_err(|_| wrong())?;
    let uuid: HostUuid = hello.host_uuid.parse().map_err(|_| wrong())?;
    if !app.signer.is_ticket(&hello.ticket, leaf, &uuid) {
        return Err(wrong());
    }
    let root = app.store.root_get(leaf.root).await?.ok_or_else(wrong)?;
    let stored = app.store.leaf_get(leaf).await?.ok_or_else(wrong)?;
    let ended = stored.state.status.is_final() || root.cancelled_at.is_some();
    if ended || !root.task_type.only_reads() {
        return Err(wrong());
    }
    let host = app.store.host_get(&uuid).await?.ok_or_else(wrong)?;
    if host.number != stored.host || host.removed_at.is_some() {
        return Err(wrong());
    }
    Ok(Guest::Checker { leaf, host })
}

fn version_of(hello: &Hello) -> String {
    one_line(&hello.agent_version, VERSION_BYTES_MAX)
}
