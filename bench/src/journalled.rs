//! Simulated agents that keep a journal: sessions like those of `agents`, each order run once, each
//! result said again until it is acknowledged.
//!
//! What they do is written to one append-only log, by which `crash` judges the server. A command takes
//! until the pace lets it end, whether the server lives meanwhile or not.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use futures_util::SinkExt as _;
use model::{Reason, Status, limits};
use protocol::frame::{DownFrame, Heartbeat, LeafResult, Receipt, UpFrame};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::agents::{Agent, Route, Wire, enrol_all, message_of, receive};
use crate::house::House;
use crate::numbers::answer;

/// Pause before a lost session is opened again: short, so that sessions are opened at every kill.
const PAUSE: Duration = Duration::from_millis(20);

/// Agents that run until this is dropped.
pub(crate) struct Fleet {
    pub(crate) shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What all agents share.
pub(crate) struct Shared {
    route: Route,
    /// One for each command that may end.
    pub(crate) pace: Arc<Semaphore>,
    /// Whether agents look for the server.
    pub(crate) calling: watch::Sender<bool>,
    pub(crate) log: Log,
}

/// What was run and what was acknowledged, in order, in a file and in short.
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    seen: Mutex<Seen>,
}

/// What there is to judge the server by.
pub(crate) struct Seen {
    file: File,
    /// Ids of leaves that were acknowledged since this was last taken.
    pub(crate) acknowledged: Vec<String>,
    /// Why an agent stopped, and what the server must not do.
    pub(crate) faults: Vec<String>,
    /// Why a session ended last.
    pub(crate) trouble: String,
    /// Sessions that were opened.
    pub(crate) sessions: u64,
    /// Orders that came again for work that was not acknowledged, which is no fault.
    pub(crate) repeats: u64,
}

impl Log {
    fn new(path: PathBuf) -> anyhow::Result<Self> {
        let seen = Mutex::new(Seen {
            file: File::create(&path)?,
            acknowledged: Vec::new(),
            faults: Vec::new(),
            trouble: String::new(),
            sessions: 0,
            repeats: 0,
        });
        Ok(Self { path, seen })
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, what: &str, leaf: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.seen().file, "{what} {leaf}")?)
    }
}

/// The seed of what a leaf answers.
pub(crate) fn seed_of(leaf: &str) -> u64 {
    let mix = |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte));
    leaf.bytes().fold(0, mix)
}

impl Fleet {
    /// Enrols `size` agents; they connect when they are called.
    pub(crate) async fn start(house: &House, size: usize) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            route: Route::new(&house.url, house.pin)?,
            pace: Arc::new(Semaphore::new(0)),
            calling: watch::Sender::new(false),
            log: Log::new(house.folder.path().join("agents.log"))?,
        });
        let mut tasks = JoinSet::new();
        for agent in enrol_all(house, &shared.route, size).await? {
            tasks.spawn(Host::new(agent, Arc::clone(&shared)).run());
        }
        Ok(Self {
            shared,
            _tasks: tasks,
        })
    }
}

/// How far a command is that the server has not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Runs,
    Ended,
}

struct Host {
    agent: Agent,
    shared: Arc<Shared>,
    journal: HashMap<String, Step>,
    settled: HashSet<String>,
    ends: UnboundedReceiver<String>,
    ended: UnboundedSender<String>,
    commands: JoinSet<()>,
}

impl Host {
    fn new(agent: Agent, shared: Arc<Shared>) -> Self {
        let (ended, ends) = mpsc::unbounded_channel();
        Self {
            agent,
            shared,
            journal: HashMap::new(),
            settled: HashSet::new(),
            ends,
            ended,
            commands: JoinSet::new(),
        }
    }

    async fn run(mut self) {
        let mut calling = self.shared.calling.subscribe();
        while calling.wait_for(|it| *it).await.is_ok() {
            if let Err(error) = self.session().await {
                self.shared.log.seen().trouble = format!("{error:#}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn session(&mut self) -> anyhow::Result<()> {
        let limit = Duration::from_millis(limits::SESSION_GREETING_MS_MAX);
        let held = self.journal.keys().cloned().collect();
        let greeting = self.agent.greet(&self.shared.route, "", held);
        let (mut wire, welcome) = tokio::time::timeout(limit, greeting).await??;
        let heartbeat = || message_of(UpFrame::Heartbeat(Heartbeat { now_ms: 0 }));
        wire.send(heartbeat()).await?;
        self.shared.log.seen().sessions += 1;
        for (leaf, step) in &self.journal {
            if *step == Step::Ended {
                wire.feed(result(leaf)).await?;
            }
        }
        wire.flush().await?;
        let mut beat = tokio::time::interval(Duration::from_millis(limits::SESSION_HEARTBEAT_MS));
        loop {
            tokio::select! {
                frame = receive(&mut wire) => match frame? {
                    DownFrame::Order(signed) => {
                        let order =
                            protocol::order::open(&signed, &welcome.order_keys, &self.agent.uuid)?;
                        self.order(&mut wire, order.leaf_id).await?;
                    }
                    DownFrame::Ack(ack) => self.acknowledged(ack.leaf_id)?,
                    DownFrame::Refused(refused) => bail!("refused: {refused:?}"),
                    _ => {}
                },
                Some(leaf) = self.ends.recv() => {
                    // First, so that it is said again if the connection breaks here.
                    self.journal.insert(leaf.clone(), Step::Ended);
                    wire.send(result(&leaf)).await?;
                }
                _ = beat.tick() => wire.send(heartbeat()).await?,
            }
        }
    }

    async fn order(&mut self, wire: &mut Wire, leaf: String) -> anyhow::Result<()> {
        if self.settled.contains(&leaf) {
            self.fault(format!("{leaf} was ordered after its acknowledgement"));
            return Ok(());
        }
        let step = self.journal.get(&leaf).copied();
        if step.is_some() {
            self.shared.log.seen().repeats += 1;
        } else {
            self.shared.log.line("run", &leaf)?;
            self.journal.insert(leaf.clone(), Step::Runs);
            let (pace, ended) = (Arc::clone(&self.shared.pace), self.ended.clone());
            let runs = leaf.clone();
            self.commands.spawn(async move {
                if let Ok(turn) = pace.acquire().await {
                    turn.forget();
                    // Nobody listens when all is over.
                    drop(ended.send(runs));
                }
            });
        }
        let receipt = Receipt {
            leaf_id: leaf.clone(),
        };
        wire.send(message_of(UpFrame::Receipt(receipt))).await?;
        if step == Some(Step::Ended) {
            wire.send(result(&leaf)).await?;
        }
        Ok(())
    }

    fn acknowledged(&mut self, leaf: String) -> anyhow::Result<()> {
        match self.journal.remove(&leaf) {
            Some(Step::Ended) => {
                self.shared.log.line("acknowledged", &leaf)?;
                self.shared.log.seen().acknowledged.push(leaf.clone());
                self.settled.insert(leaf);
            }
            Some(Step::Runs) => self.fault(format!("{leaf} was acknowledged before its result")),
            // Said twice, acknowledged twice.
            None if self.settled.contains(&leaf) => {}
            None => self.fault(format!("{leaf} was acknowledged and never ordered")),
        }
        Ok(())
    }

    fn fault(&self, what: String) {
        let uuid = &self.agent.uuid;
        let faults = &mut self.shared.log.seen().faults;
        faults.push(format!("{uuid}: {what}"));
    }
}

fn result(leaf: &str) -> tokio_tungstenite::tungstenite::Message {
    message_of(UpFrame::Result(LeafResult {
        leaf_id: leaf.to_owned(),
        status: Status::Success.wire_number().into(),
        reason: Reason::None.wire().to_owned(),
        answer: answer(seed_of(leaf)),
        ended_ms: 1,
    }))
}
