//! One session, from greeting to good-bye.

use std::collections::HashSet;
use std::time::Duration;

use model::{Event, LeafId, Reason, Verdict, limits};
use protocol::frame::{
    BundleAck, BundleChunk, BundleOpen, DownFrame, Heartbeat, LeafResult, Refused, UpFrame, refusal,
};
use store::{Host, HostNo, LeafEvent};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::greeting::{Denied, Guest, greet, welcome};
use super::socket::{Error, Socket};
use crate::app::{App, Peer};
use crate::engine::{Session, ack};
use crate::service::Arriving;

/// Runs a session until it ends.
pub(super) async fn run<S>(app: App, mut socket: Socket<S>, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let guest = match greet(&app, &mut socket).await {
        Ok(guest) => guest,
        Err(Denied::Refused(refused)) => {
            tracing::info!(peer.address = %peer.address, code = refused.code, "a session was refused");
            socket.send(DownFrame::Refused(refused)).await.ok();
            return socket.close().await;
        }
        Err(Denied::Gone(why)) => {
            tracing::debug!(peer.address = %peer.address, why, "a session did not begin");
            return;
        }
    };
    let (host, held, only) = match guest {
        Guest::Host { host, held } => (host, held, None),
        Guest::Checker { leaf, host } => (host, Vec::new(), Some(leaf)),
    };
    if socket.send(welcome(&app, &host)).await.is_err() {
        return;
    }
    let mut running = Running {
        app: &app,
        host: host.number,
        only,
        known: HashSet::new(),
        arriving: None,
    };
    match only {
        Some(leaf) => running.serve_checker(socket, &host, leaf).await,
        None => running.serve_host(socket, &host, held).await,
    }
}

struct Running<'a> {
    app: &'a App,
    host: HostNo,
    /// The only leaf that a stand-alone checker may speak of.
    only: Option<LeafId>,
    /// Leaves that were looked up and are this host's.
    known: HashSet<LeafId>,
    arriving: Option<Arriving>,
}

impl Running<'_> {
    async fn serve_host<S>(&mut self, mut socket: Socket<S>, host: &Host, held: Vec<LeafId>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (frames, line) = mpsc::channel(limits::SESSION_QUEUE_FRAMES_MAX);
        let close = CancellationToken::new();
        let id = self.app.gateway.next_id();
        let session = Session {
            id,
            uuid: host.uuid.clone(),
            frames,
            close: close.clone(),
        };
        tracing::info!(host.id = %host.uuid, host.name = %host.name, "a host has connected");
        let sessions = &self.app.engine.sessions;
        if let Some(older) = sessions.add(self.host, session) {
            older.close.cancel();
        }
        if let Err(error) = self.app.engine.host_connected(self.host, &held).await {
            tracing::warn!(host.id = %host.uuid, error = &error as &dyn std::error::Error, "work could not be handed out on connect");
        }
        let end = self.serve(&mut socket, line, &close).await;
        let was_current = sessions.remove(self.host, id);
        let goodbye = match (end, was_current) {
            (End::Gone(why), _) => {
                tracing::debug!(host.id = %host.uuid, why, "a session broke");
                None
            }
            (End::Shutdown, _) => Some((refusal::BUSY, "the node is stopping", true)),
            (End::Misbehaved(why), _) => {
                tracing::warn!(host.id = %host.uuid, why, "a session was closed");
                Some((refusal::BAD_FRAME, why, true))
            }
            (End::Closed, false) => {
                tracing::warn!(host.id = %host.uuid, host.name = %host.name, "the same identity connected again: the older session is closed");
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
            tracing::info!(host.id = %host.uuid, host.name = %host.name, "a host has disconnected");
            self.gone(host).await;
        }
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

    async fn serve_checker<S>(&mut self, mut socket: Socket<S>, host: &Host, leaf: LeafId)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tracing::info!(host.id = %host.uuid, task.id = %leaf, "a stand-alone checker has connected");
        let root = self.app.store.root_get(leaf.root).await;
        let Ok(Some(root)) = root else { return };
        let now = self.app.clock.now();
        let order = self.app.signer.order(&root, leaf, &host.uuid, now);
        if socket.send(DownFrame::Order(order)).await.is_err() {
            return;
        }
        let (_frames, line) = mpsc::channel(1);
        self.serve(&mut socket, line, &CancellationToken::new())
            .await;
        socket.close().await;
    }

    async fn serve<S>(
        &mut self,
        socket: &mut Socket<S>,
        mut line: mpsc::Receiver<DownFrame>,
        close: &CancellationToken,
    ) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let silence = Duration::from_millis(limits::SESSION_SILENCE_MS_MAX);
        let sending = Duration::from_millis(limits::SESSION_GREETING_MS_MAX);
        loop {
            let reply = tokio::select! {
                biased;
                () = self.app.gateway.shutdown.cancelled() => return End::Shutdown,
                () = close.cancelled() => return End::Closed,
                Some(frame) = line.recv() => Some(frame),
                received = tokio::time::timeout(silence, socket.receive()) => match received {
                    Ok(Ok(frame)) => match self.take(frame).await {
                        Ok(reply) => reply,
                        Err(why) => return End::Misbehaved(why),
                    },
                    Ok(Err(Error::NotAFrame)) => return End::Misbehaved("not a frame of this protocol"),
                    Ok(Err(_)) => return End::Gone("the connection is gone"),
                    Err(_) => return End::Gone("nothing was heard for too long"),
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

    /// Takes one frame; what it answers is sent back.
    async fn take(&mut self, frame: UpFrame) -> Result<Option<DownFrame>, &'static str> {
        match frame {
            UpFrame::Hello(_) => Err("a second greeting"),
            UpFrame::Heartbeat(_) => Ok(Some(DownFrame::Heartbeat(Heartbeat {}))),
            UpFrame::Receipt(receipt) => {
                let leaf = self.leaf(&receipt.leaf_id).await?;
                if let Some(leaf) = leaf.filter(|_| self.only.is_none()) {
                    self.apply(leaf, Event::Delivered, None).await;
                }
                Ok(None)
            }
            UpFrame::Result(result) => self.result(result).await,
            UpFrame::BundleOpen(open) => self.bundle_open(open).await.map(Some),
            UpFrame::BundleChunk(chunk) => self.bundle_chunk(chunk).await.map(Some),
        }
    }

    /// The leaf of that id if it is this host's to speak of; `None` if the store does not know it or
    /// does not answer now.
    async fn leaf(&mut self, id: &str) -> Result<Option<LeafId>, &'static str> {
        let leaf: LeafId = id.parse().map_err(|_| "not a leaf id")?;
        if self.only.is_some_and(|it| it != leaf) {
            return Err("a leaf that is not this checker's");
        }
        if self.known.contains(&leaf) {
            return Ok(Some(leaf));
        }
        match self.app.store.leaf_get(leaf).await {
            Ok(Some(found)) if found.host == self.host => {
                self.known.insert(leaf);
                Ok(Some(leaf))
            }
            Ok(Some(_)) => Err("a leaf of another host"),
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a leaf could not be looked up"
                );
                Ok(None)
            }
        }
    }

    async fn result(&mut self, result: LeafResult) -> Result<Option<DownFrame>, &'static str> {
        let verdict = match result.status {
            2 => Verdict::Success,
            3 => Verdict::Fail,
            4 => Verdict::Timeout,
            _ => return Err("a result with an unknown status"),
        };
        let reason = Reason::from_wire(&result.reason).unwrap_or(Reason::AgentFault);
        if result.answer.len() > limits::ANSWER_BYTES_MAX {
            return Err("an answer that is too large");
        }
        let answer = serde_json::from_slice::<protocol::answer::Answer>(&result.answer);
        if answer.is_err() && !result.answer.is_empty() {
            return Err("an answer that cannot be read");
        }
        let Some(leaf) = self.leaf(&result.leaf_id).await? else {
            return Ok(None);
        };
        let answer = (!result.answer.is_empty()).then_some(result.answer);
        let durable = self
            .apply(leaf, Event::Ended { verdict, reason }, answer)
            .await;
        if durable {
            self.known.remove(&leaf);
        }
        Ok(durable.then(|| ack(leaf)))
    }

    /// Applies an event. Returns whether it is durable; if not, the agent will say it again.
    async fn apply(&self, leaf: LeafId, event: Event, answer: Option<Vec<u8>>) -> bool {
        let event = LeafEvent {
            leaf,
            event,
            answer,
        };
        let applied = self
            .app
            .store
            .leaf_apply_many(vec![event], self.app.clock.now())
            .await;
        match applied.map(|it| it.into_iter().next()) {
            Ok(Some(Ok(applied))) => {
                tracing::debug!(task.id = %leaf, status = applied.after.status.wire(), "a leaf was reported");
                if applied.root_ended {
                    tracing::info!(task.id = %leaf.root, "a task has ended");
                }
                true
            }
            Ok(Some(Err(error))) | Err(error) => {
                tracing::warn!(task.id = %leaf, error = &error as &dyn std::error::Error, "a report could not be stored; the agent keeps it");
                false
            }
            Ok(None) => false,
        }
    }

    async fn bundle_open(&mut self, open: BundleOpen) -> Result<DownFrame, &'static str> {
        let ended = match self.leaf(&open.leaf_id).await? {
            Some(leaf) => {
                let stored = self.app.store.leaf_get(leaf).await.ok().flatten();
                let ended = stored.is_none_or(|it| it.state.status.is_final());
                (!ended).then_some(leaf)
            }
            None => None,
        };
        let Some(leaf) = ended else {
            return Ok(bundle_refused(
                open.leaf_id,
                "the task has ended".to_owned(),
            ));
        };
        Ok(
            match self.app.bundles.open(leaf, open.size, open.sha256).await {
                Ok(arriving) => {
                    let received = arriving.received;
                    self.arriving = Some(arriving);
                    bundle_ack(open.leaf_id, received)
                }
                Err(why) => bundle_refused(open.leaf_id, why),
            },
        )
    }

    async fn bundle_chunk(&mut self, chunk: BundleChunk) -> Result<DownFrame, &'static str> {
        let Some(arriving) = &mut self.arriving else {
            return Err("a piece of a bundle that was not announced");
        };
        if arriving.leaf.to_string() != chunk.leaf_id {
            return Err("a piece of another bundle than the one announced");
        }
        if chunk.data.len() > limits::BUNDLE_CHUNK_BYTES {
            return Err("a piece of a bundle that is too large");
        }
        let taken = self
            .app
            .bundles
            .chunk(arriving, chunk.offset, &chunk.data)
            .await;
        Ok(match taken {
            Ok(()) => bundle_ack(chunk.leaf_id, arriving.received),
            Err(why) => {
                tracing::warn!(task.id = chunk.leaf_id, why, "a bundle was given up");
                bundle_refused(chunk.leaf_id, why)
            }
        })
    }
}

fn bundle_ack(leaf_id: String, received: u64) -> DownFrame {
    DownFrame::BundleAck(BundleAck {
        leaf_id,
        received,
        refused: String::new(),
    })
}

fn bundle_refused(leaf_id: String, refused: String) -> DownFrame {
    DownFrame::BundleAck(BundleAck {
        leaf_id,
        received: 0,
        refused,
    })
}

/// Why a session ended.
enum End {
    Gone(&'static str),
    Closed,
    Misbehaved(&'static str),
    Shutdown,
}
