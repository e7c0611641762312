//! One session, from greeting to good-bye.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::{LeafId, limits};
use protocol::frame::{DownFrame, Refused, UpFrame, refusal};
use protocol::order::leaf_of;
use store::{Host, HostNo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::greeting::{Denied, Guest, greet, welcome};
use super::progress::Allowance;
use super::socket::{Error, Socket};
use crate::app::{App, Peer};
use crate::engine::{Line, Session};
use crate::listen::Place;
use crate::service::Arriving;

/// Runs a session until it ends. The place of its connection is told when the other end is known.
pub(super) async fn run<S>(app: App, mut socket: Socket<S>, peer: Peer, place: Option<Arc<Place>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Sessions are ordered by their arrival: see `Sessions::add`.
    let id = app.gateway.next_id();
    // What a greeting needs is large, and is given back before the long wait that a session is.
    let opened = Box::pin(open(&app, &mut socket, peer, place.as_deref())).await;
    let opened = match opened {
        Ok(opened) => opened,
        Err(Over::Gone) => return,
        Err(Over::Said) => return socket.close().await,
    };
    let mut running = Running {
        app: &app,
        id,
        host: opened.host.number,
        only: opened.only,
        known: HashSet::new(),
        confirmed: Vec::new(),
        arriving: HashMap::new(),
        allowance: Allowance::new(Instant::now()),
    };
    match opened.only {
        Some(leaf) => Box::pin(running.serve_checker(socket, opened, leaf)).await,
        None => running.serve_host(socket, opened).await,
    }
}

/// A session that begins.
struct Opened {
    host: Host,
    /// Leaves that the agent holds.
    held: Vec<LeafId>,
    /// The only leaf of a stand-alone checker.
    only: Option<LeafId>,
    first: UpFrame,
}

/// Why a session did not begin.
enum Over {
    /// The connection is of no use.
    Gone,
    /// The other end was told; the connection is to be closed.
    Said,
}

/// Greets the other end and waits until it speaks.
async fn open<S>(
    app: &App,
    socket: &mut Socket<S>,
    peer: Peer,
    place: Option<&Place>,
) -> Result<Opened, Over>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let guest = match greet(app, socket, peer).await {
        Ok(guest) => guest,
        Err(Denied::Refused(refused)) => {
            tracing::info!(peer.address = %peer.address, code = refused.code, "a session was refused");
            socket.send(DownFrame::Refused(refused)).await.ok();
            return Err(Over::Said);
        }
        Err(Denied::Gone(why)) => {
            tracing::debug!(peer.address = %peer.address, why, "a session did not begin");
            return Err(Over::Gone);
        }
    };
    let (host, held, only) = match guest {
        Guest::Host { host, held } => (host, held, None),
        Guest::Checker { leaf, host } => (host, Vec::new(), Some(leaf)),
        Guest::Newcomer { host } => {
            socket.send(welcome(app, &host)).await.ok();
            return Err(Over::Said);
        }
    };
    if let (Some(place), None) = (place, only) {
        place.known();
    }
    socket.greeted();
    let Some(first) = first_frame(app, socket, &host).await else {
        tracing::debug!(host.id = %host.uuid, "a session ended before its agent spoke");
        return Err(Over::Gone);
    };
    Ok(Opened {
        host,
        held,
        only,
        first,
    })
}

/// Welcomes the other end and waits until it speaks: an agent may have given up this connection while
/// it was greeted, and a dead socket must not become its host's session.
async fn first_frame<S>(app: &App, socket: &mut Socket<S>, host: &Host) -> Option<UpFrame>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.send(welcome(app, host)).await.ok()?;
    let limit = Duration::from_millis(limits::SESSION_GREETING_MS_MAX);
    let received = tokio::time::timeout(limit, socket.receive()).await;
    received.ok()?.ok()
}

/// A session that is open.
pub(super) struct Running<'a> {
    pub(super) app: &'a App,
    /// Tells this session from others, in order of arrival.
    pub(super) id: u64,
    pub(super) host: HostNo,
    /// The only leaf that a stand-alone checker may speak of.
    pub(super) only: Option<LeafId>,
    /// Leaves that were looked up and are this host's.
    pub(super) known: HashSet<LeafId>,
    /// Leaves whose receipts came and are not stored yet: a result that follows at once goes with them.
    pub(super) confirmed: Vec<LeafId>,
    /// Bundles that were announced.
    pub(super) arriving: HashMap<LeafId, Arriving>,
    /// How much progress it may still tell.
    pub(super) allowance: Allowance,
}

impl Running<'_> {
    async fn serve_host<S>(&mut self, mut socket: Socket<S>, opened: Opened)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Opened {
            host, held, first, ..
        } = opened;
        let line = Arc::new(Line::default());
        let session = Session {
            id: self.id,
            uuid: host.uuid.clone(),
            line: Arc::clone(&line),
        };
        let sessions = &self.app.engine.sessions;
        if !sessions.add(self.host, session) {
            tracing::debug!(host.id = %host.uuid, "a newer session of this host is there");
            return Box::pin(socket.close()).await;
        }
        tracing::info!(host.id = %host.uuid, host.name = ?host.name, "a host has connected");
        let end = match Box::pin(self.hand_out(&host, held)).await {
            Ok(()) => self.serve(&mut socket, &line, first).await,
            Err(why) => End::Unserved(why),
        };
        line.close();
        Box::pin(self.ended(socket, host, end)).await;
    }

    /// Says why a session ended, and sees to its leaves.
    async fn ended<S>(&self, mut socket: Socket<S>, host: Host, end: End)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let sessions = &self.app.engine.sessions;
        let was_current = sessions.remove(self.host, self.id);
        let goodbye = match (end, was_current) {
            (End::Gone(why), _) => {
                tracing::debug!(host.id = %host.uuid, why, "a session broke");
                None
            }
            (End::Shutdown, _) => Some((refusal::BUSY, "the node is stopping", true)),
            (End::Unserved(why), _) => Some((refusal::BUSY, why, true)),
            (End::Misbehaved(why), _) => {
                tracing::warn!(host.id = %host.uuid, why, "a session was closed");
                Some((refusal::BAD_FRAME, why, true))
            }
            (End::Closed, false) => {
                tracing::warn!(host.id = %host.uuid, host.name = ?host.name, "the same identity connected again: the older session is closed");
                Some((
                    refusal::REPLACED,
                    "the same identity connected again",
                    false,
                ))
            }
            (End::Closed, true) => Some((refusal::BUSY, "the session is closed", true)),
        };
        if let Some((code, message, retry)) = goodbye {
            let refused = Refused {
                code: code.to_owned(),
                message: message.to_owned(),
                retry,
                retry_after_ms: 1_000,
            };
            socket.send(DownFrame::Refused(refused)).await.ok();
            socket.close().await;
        }
        if was_current {
            tracing::info!(host.id = %host.uuid, host.name = ?host.name, "a host has disconnected");
            self.gone(&host).await;
        }
    }

    /// Hands out what waits for a host that has just connected.
    async fn hand_out(&self, host: &Host, held: Vec<LeafId>) -> Result<(), &'static str> {
        let app = self.app;
        let failed = |error: store::Error| {
            let source = &error as &dyn std::error::Error;
            tracing::warn!(host.id = %host.uuid, error = source, "work could not be handed out on connect");
            "the control plane's store does not answer; try again later"
        };
        let stored = app.store.host_get(&host.uuid).await.map_err(failed)?;
        if stored.is_none_or(|it| it.removed_at.is_some()) {
            return Err("this host was removed");
        }
        app.engine
            .host_connected(self.host, &held)
            .await
            .map_err(failed)
    }

    async fn gone(&self, host: &Host) {
        let app = self.app;
        let now = app.clock.now();
        let seen = app
            .store
            .host_seen(self.host, host.agent_version.clone(), None, now)
            .await;
        let back = app.engine.host_disconnected(self.host).await;
        if let Err(error) = seen.and(back) {
            tracing::warn!(host.id = %host.uuid, error = &error as &dyn std::error::Error, "a disconnection could not be stored");
        }
    }

    async fn serve_checker<S>(&mut self, mut socket: Socket<S>, opened: Opened, leaf: LeafId)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Opened { host, first, .. } = opened;
        let Some(_turn) = self.app.gateway.check_alone(leaf) else {
            let refused = Refused {
                code: refusal::BAD_TICKET.to_owned(),
                message: "this command is being run already".to_owned(),
                retry: false,
                retry_after_ms: 0,
            };
            socket.send(DownFrame::Refused(refused)).await.ok();
            return socket.close().await;
        };
        tracing::info!(host.id = %host.uuid, task.id = %leaf, "a stand-alone checker has connected");
        let root = self.app.store.root_get(leaf.root).await;
        let Ok(Some(root)) = root else { return };
        let now = self.app.clock.now();
        let order = self.app.signer.order(&root, leaf, &host.uuid, now);
        if socket.send(DownFrame::Order(order)).await.is_err() {
            return;
        }
        self.serve(&mut socket, &Line::default(), first).await;
        socket.close().await;
    }

    /// Remembers whose leaf it is that an order is sent for.
    fn note(&mut self, frame: &DownFrame) {
        if let DownFrame::Order(order) = frame
            && self.known.len() < limits::SESSION_QUEUE_FRAMES_MAX
        {
            self.known.extend(leaf_of(order));
        }
    }

    async fn serve<S>(&mut self, socket: &mut Socket<S>, line: &Line, first: UpFrame) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let silence = Duration::from_millis(limits::SESSION_SILENCE_MS_MAX);
        let sending = Duration::from_millis(limits::SESSION_GREETING_MS_MAX);
        let mut until = Instant::now() + silence;
        let mut came = Some(first);
        loop {
            let reply = match came.take() {
                // What a frame leads to is large, and rare: only the wait for it lies in the session.
                Some(frame) => match Box::pin(self.take(frame)).await {
                    Ok(reply) => reply,
                    Err(why) => return End::Misbehaved(why),
                },
                None => tokio::select! {
                    biased;
                    () = self.app.gateway.shutdown.cancelled() => return End::Shutdown,
                    frame = line.next() => match frame {
                        Some(frame) => {
                            self.note(&frame);
                            Some(frame)
                        }
                        None => return End::Closed,
                    },
                    received = tokio::time::timeout_at(until, socket.receive()) => match received {
                        Ok(Ok(frame)) => {
                            until = Instant::now() + silence;
                            came = Some(frame);
                            None
                        }
                        Ok(Err(Error::NotAFrame | Error::Violated(_))) => {
                            return End::Misbehaved("not a frame of this protocol");
                        }
                        Ok(Err(_)) => return End::Gone("the connection is gone"),
                        Err(_) => return End::Gone("nothing was heard for too long"),
                    },
                    // Nothing else is there.
                    () = std::future::ready(()), if !self.confirmed.is_empty() => {
                        Box::pin(self.confirm()).await;
                        None
                    }
                },
            };
            let Some(frame) = reply else { continue };
            match tokio::time::timeout(sending, socket.send(frame)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return End::Gone("the connection is gone"),
                Err(_) => return End::Gone("the host does not take what is sent"),
            }
        }
    }
}

/// Why a session ended.
enum End {
    Unserved(&'static str),
    Gone(&'static str),
    Closed,
    Misbehaved(&'static str),
    Shutdown,
}
