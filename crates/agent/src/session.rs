//! The agent's session with the server: connects, greets, serves, and connects again.
//!
//! [`Agent::run`] is the daemon. It owns the order of events between network, journal and work;
//! `desk` decides about orders, `link` carries frames. Called by `cli` and by `sickbay up`.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use model::limits;
use protocol::endpoint::Endpoint;
use protocol::frame::{Challenge, DownFrame, Hello, PROTOCOL_VERSION, refusal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{debug, error, info, warn};

use crate::config::DataDir;
use crate::connect::{self, Route};
use crate::identity::{self, AgentKey, Identity};
use crate::journal::{self, Journal};
use crate::policy::Policy;
use crate::runner::Cgroups;
use crate::work::Worker;
use crate::{check, config, inventory};

pub(crate) mod backoff;
mod clock;
pub(crate) mod desk;
mod enrol;
pub(crate) mod link;
mod state;
mod upload;

use backoff::{Backoff, Patience};
use desk::{Desk, Ended, Executor};
use link::{Greeted, Link};

pub use enrol::enrol;
pub use state::State;
pub(crate) use state::Until;

/// Time that running work has to end when the agent stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// Time that the node has to confirm the last results when the agent stops.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(2);
/// Longest wait that a server may ask for, in ms.
const RETRY_AFTER_MS_MAX: u64 = 600_000;

/// Why a session ended, or the agent did.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// The server does not want this agent.
    #[error("the server refused: {message}")]
    Refused {
        /// Word of [`protocol::frame::refusal`].
        code: String,
        /// A sentence.
        message: String,
        /// Whether trying again can help.
        retry: bool,
        /// Wait at least this long, in ms.
        retry_after_ms: u64,
    },
    /// Another agent connected as this one.
    #[error(
        "another agent uses the same identity: was this host cloned? Enrol one of the two again with --force"
    )]
    Replaced,
    /// The connection broke.
    #[error("the session was lost: {0}")]
    Lost(String),
    /// The server said nothing for too long.
    #[error("the server fell silent")]
    Silent,
    /// The server is not the one that this host enrolled with.
    #[error(
        "the server at {0} shows other order keys than at enrolment: it is not the one this host \
         enrolled with, or its data directory was replaced; if that is intended, enrol again with \
         --force"
    )]
    OtherKeys(Endpoint),
    /// The server does not keep to the protocol.
    #[error("the server does not speak this agent's protocol: {0}")]
    Protocol(&'static str),
    /// Enrolled already.
    #[error("this host is already enrolled as {0}: give --force to enrol it anew")]
    AlreadyEnrolled(String),
    /// Another agent has the data directory.
    #[error("another agent runs on {0}: stop it first")]
    Taken(String),
    /// The data directory cannot be used.
    #[error("the data directory {0} cannot be used")]
    DataDir(String, #[source] std::io::Error),
    /// No usable identity.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// No usable journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

impl Error {
    /// How soon to try again.
    const fn patience(&self) -> Patience {
        match self {
            Self::OtherKeys(_) => Patience::Longest,
            Self::Replaced => Patience::Long,
            Self::Refused { retry: false, .. } => Patience::VeryLong,
            _ => Patience::Usual,
        }
    }

    /// The wait that the server asked for, in ms.
    fn floor_ms(&self) -> u64 {
        match self {
            Self::Refused { retry_after_ms, .. } => (*retry_after_ms).min(RETRY_AFTER_MS_MAX),
            _ => 0,
        }
    }
}

/// An enrolled agent.
pub struct Agent {
    identity: Identity,
    key: AgentKey,
    route: Route,
    desk: Desk,
    ends: mpsc::Receiver<Ended>,
    backoff: Backoff,
    state: State,
    /// What the server's last refusal was logged as.
    refused_for: Option<String>,
    _lock: config::DataLock,
}

impl Agent {
    /// Opens an agent on its data directory, which no other process may use meanwhile. `profiles` is
    /// where the host's own profiles lie, `cgroups` where commands get their control groups.
    ///
    /// # Errors
    /// Not enrolled, the directory is taken or damaged, or no TLS can be set up.
    pub fn open(
        data: DataDir,
        policy: Policy,
        profiles: &Path,
        cgroups: Option<Cgroups>,
    ) -> Result<Self, Error> {
        vet(&data)?;
        let identity = Identity::load(&data)?;
        let local = check::Local {
            server: Some(identity.server.clone()),
            pin: identity.pin,
            own_pid: Some(std::process::id()),
            ..check::Local::new(data.path(), profiles)
        };
        let policy = Arc::new(policy);
        let worker = Worker {
            local,
            policy: Arc::clone(&policy),
            cgroups: cgroups.map(Arc::new),
        };
        let executor: Executor = Arc::new(move |job| Box::pin(worker.clone().execute(job)));
        Self::with(data, identity, policy, executor, Backoff::new())
    }

    fn with(
        data: DataDir,
        identity: Identity,
        policy: Arc<Policy>,
        executor: Executor,
        backoff: Backoff,
    ) -> Result<Self, Error> {
        let lock = lock(&data)?;
        let key = AgentKey::load(&data, &identity.key_name)?;
        let route = Route::new(identity.server.clone(), identity.pin)?;
        let journal = Journal::open(&data.journal(), config::now())?;
        data.clear_work();
        let uuid = identity.host_uuid.as_str();
        let keys = identity.order_keys.clone();
        let (desk, ends) = Desk::new(uuid, keys, policy, journal, data.work(), executor);
        let state = State::new(&data);
        Ok(Self {
            identity,
            key,
            route,
            desk,
            ends,
            backoff,
            state,
            refused_for: None,
            _lock: lock,
        })
    }

    /// Logs which policy holds, and lets `sickbay-agent status` say so.
    pub fn say_policy(&mut self, line: String) {
        tracing::info!("{line}");
        self.state.policy = line;
    }

    /// Serves until `stop` resolves; then ends running work and returns. Whatever a server says, the
    /// agent tries again: an agent that nobody starts again is a lost host.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let Some(greeted) = self.greet(stop.as_mut()).await else {
                return self.wind_up(None).await;
            };
            let error = match greeted {
                Ok(greeted) => match self.serve_session(greeted, stop.as_mut()).await {
                    Ok(()) => return,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let wait = self.backoff.next(error.patience(), error.floor_ms());
            self.state.offline(&error);
            self.log(&error, wait);
            if self.meanwhile(sleep(wait), stop.as_mut()).await.is_none() {
                return self.wind_up(None).await;
            }
        }
    }

    /// Says why there is no session; a refusal that people have to mend loudly, but once.
    fn log(&mut self, error: &Error, wait: Duration) {
        let why = chain(error);
        let retry_ms = wait.as_millis();
        if !matches!(error, Error::Refused { retry: false, .. }) {
            warn!(error = why, retry_ms, "offline");
        } else if self.refused_for.as_ref() == Some(&why) {
            debug!(error = why, retry_ms, "still refused");
        } else {
            error!(error = why, retry_ms, "refused; the agent goes on trying");
            self.refused_for = Some(why);
        }
    }

    /// Opens a session; `None`: told to stop.
    async fn greet(
        &mut self,
        stop: impl Future<Output = ()> + Unpin,
    ) -> Option<Result<Greeted, Error>> {
        let facts = facts().await;
        let uuid = self.identity.host_uuid.to_string();
        let held_leaf_ids = self.desk.held();
        let public_key = self.key.public().to_vec();
        let route = self.route.clone();
        let key = &self.key;
        let hello = |challenge: &Challenge| Hello {
            signature: key.sign_session(&challenge.nonce, &uuid),
            host_uuid: uuid.clone(),
            public_key,
            held_leaf_ids,
            ..hello(facts)
        };
        let greeting = pin!(link::greet(&route, hello));
        work_on(&mut self.desk, &mut self.ends, greeting, stop).await
    }

    async fn serve_session(
        &mut self,
        greeted: Greeted,
        stop: impl Future<Output = ()> + Unpin,
    ) -> Result<(), Error> {
        let Greeted {
            mut link,
            welcome,
            clock,
        } = greeted;
        // Whoever answers at the server's address can show any keys: those of the enrolment decide.
        if welcome.order_keys != self.identity.order_keys {
            return Err(Error::OtherKeys(self.identity.server.clone()));
        }
        let began = Instant::now();
        info!(server = %self.identity.server, clock.offset_ms = clock.offset_ms(), "online");
        self.state.online();
        self.refused_for = None;
        self.desk.connected(clock, welcome.takes_progress);
        let ends = &mut self.ends;
        let backoff = &mut self.backoff;
        let served = serve(
            &mut link,
            &mut self.desk,
            ends,
            backoff,
            Until::Stopped,
            stop,
        )
        .await;
        self.backoff.held(began.elapsed());
        if served.is_ok() {
            self.wind_up(Some(link)).await;
        }
        served
    }

    /// Waits for `future` while ends of work are kept; `None`: told to stop.
    async fn meanwhile<T>(
        &mut self,
        future: impl Future<Output = T>,
        stop: impl Future<Output = ()> + Unpin,
    ) -> Option<T> {
        work_on(&mut self.desk, &mut self.ends, pin!(future), stop).await
    }

    /// Ends running work, keeps its results, and sends them if there is still a session.
    async fn wind_up(&mut self, link: Option<Link>) {
        self.desk.stop();
        let limit = Instant::now() + STOP_TIME_MAX;
        while !self.desk.is_idle() {
            match timeout_at(limit, self.ends.recv()).await {
                Ok(Some(ended)) => self.desk.ended(ended),
                Ok(None) | Err(_) => break,
            }
        }
        // Checks that were stopped between their end and ours may have begun an upload.
        self.desk.stop();
        if let Some(link) = link {
            let farewell = farewell(link, &mut self.desk);
            timeout(FAREWELL_TIME_MAX, farewell).await.ok();
        }
        self.state.stopped();
    }
}

/// Says the last results and waits until the node has them.
async fn farewell(mut link: Link, desk: &mut Desk) {
    if flush(&link, desk).await.is_err() {
        return;
    }
    while !desk.is_settled() {
        match link.receive().await {
            Ok(DownFrame::Ack(ack)) => desk.acknowledged(&ack.leaf_id),
            Ok(_) => {}
            Err(_) => return,
        }
    }
    link.close().await;
}

/// Serves one session until it is lost (an error), `stop` resolves or `until` is reached.
pub(crate) async fn serve(
    link: &mut Link,
    desk: &mut Desk,
    ends: &mut mpsc::Receiver<Ended>,
    backoff: &mut Backoff,
    until: Until,
    mut stop: impl Future<Output = ()> + Unpin,
) -> Result<(), Error> {
    // The node takes the session for its host's only when it has heard this.
    link.heartbeat().await?;
    let silence = Duration::from_millis(limits::SESSION_SILENCE_MS_MAX);
    let mut round_at = next_round(backoff);
    let mut worked = false;
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            flushed = flush(link, desk) => flushed?,
        }
        if until == Until::Settled && worked && desk.is_settled() {
            return Ok(());
        }
        let silent_at = link.heard + silence;
        let give_up_at = desk.next_give_up().unwrap_or(silent_at);
        let progress_at = desk.next_progress();
        // What was heard while a slow network held us up comes before the verdict "silent".
        tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            Some(ended) = ends.recv() => desk.ended(ended),
            () = sleep_until(give_up_at), if give_up_at < silent_at => desk.give_up_uploads(),
            () = sleep_until(round_at) => {
                desk.round();
                link.heartbeat().await?;
                round_at = next_round(backoff);
            }
            () = desk.changed(), if progress_at.is_none() => {}
            () = sleep_until(progress_at.unwrap_or(silent_at)), if progress_at.is_some() => {
                tell_progress(link, desk);
            }
            frame = link.receive() => handle(desk, frame?)?,
            () = sleep_until(silent_at) => return Err(Error::Silent),
        }
        worked |= !desk.is_settled();
    }
}

/// Says what running work does, unless something else is still on its way.
fn tell_progress(link: &Link, desk: &mut Desk) {
    let is_idle = link.is_idle();
    desk.tell_progress(|frame| is_idle && link.offer(frame));
}

/// A little early and never at the same beat as other agents.
fn next_round(backoff: &mut Backoff) -> Instant {
    let most = limits::SESSION_HEARTBEAT_MS;
    Instant::now() + Duration::from_millis(backoff.pick(most / 10 * 8, most))
}

fn handle(desk: &mut Desk, frame: DownFrame) -> Result<(), Error> {
    match frame {
        DownFrame::Order(signed) => desk.order(&signed),
        DownFrame::Cancel(cancel) => desk.cancel(&cancel.leaf_id),
        DownFrame::Ack(ack) => desk.acknowledged(&ack.leaf_id),
        DownFrame::BundleAck(ack) => desk.bundle_ack(&ack),
        DownFrame::Heartbeat(beat) => desk.node_time(beat.now_ms),
        DownFrame::Refused(refused) if refused.code == refusal::REPLACED => {
            return Err(Error::Replaced);
        }
        DownFrame::Refused(refused) => return Err(refused.into()),
        DownFrame::Challenge(_) | DownFrame::Welcome(_) => {
            debug!("a greeting in the middle of a session was passed over");
        }
    }
    Ok(())
}

async fn flush(link: &Link, desk: &mut Desk) -> Result<(), Error> {
    while let Some(frame) = desk.next_frame() {
        link.send(frame).await?;
    }
    Ok(())
}

/// Waits for `future` while ends of work are kept; `None`: told to stop.
pub(crate) async fn work_on<T>(
    desk: &mut Desk,
    ends: &mut mpsc::Receiver<Ended>,
    mut future: impl Future<Output = T> + Unpin,
    mut stop: impl Future<Output = ()> + Unpin,
) -> Option<T> {
    loop {
        tokio::select! {
            () = &mut stop => return None,
            done = &mut future => return Some(done),
            Some(ended) = ends.recv() => desk.ended(ended),
        }
    }
}

/// JSON of the host's facts.
pub(crate) async fn facts() -> String {
    let facts = tokio::task::spawn_blocking(inventory::facts).await;
    facts
        .ok()
        .and_then(|it| serde_json::to_string(&it).ok())
        .unwrap_or_default()
}

/// What every greeting has in common.
pub(crate) fn hello(facts: String) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        facts,
        ..Hello::default()
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        // Some libraries repeat their cause in their own words.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    // Some of it is a server's or proxy's text, and all of it goes to a terminal.
    text.replace(char::is_control, " ")
}

fn vet(data: &DataDir) -> Result<(), Error> {
    let name = data.path().display().to_string();
    data.vet().map_err(|error| Error::DataDir(name, error))
}

fn lock(data: &DataDir) -> Result<config::DataLock, Error> {
    let name = || data.path().display().to_string();
    data.lock().map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::Taken(name()),
        _ => Error::DataDir(name(), error),
    })
}

#[cfg(test)]
pub(crate) mod tests;
