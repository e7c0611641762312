//! Simulated agents: many sessions with a real server in this process, each with its own key.
//!
//! They keep the protocol of a session and check every order's signature, but run nothing and have
//! no journal: each order is confirmed and answered at once.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use model::{Reason, Status, limits};
use prost::Message as _;
use protocol::frame::{
    Down, DownFrame, Heartbeat, Hello, LeafResult, OrderKey, PROTOCOL_VERSION, Receipt,
    SignedOrder, Up, UpFrame, Welcome, session_message,
};
use protocol::order::{self, Order};
use protocol::tls::{Fingerprint, agent_config};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::house::House;
use crate::numbers::{Numbers, answer};

/// Connections of one source address: with many more, `connect` looks long for a free port.
const AGENTS_PER_ADDRESS: usize = 3_000;
/// Hosts that enrol with one code: fewer than may do so in a minute.
const AGENTS_PER_CODE: usize = 5_000;
/// Greetings at the same time, but after a crash.
const GREETINGS: usize = 64;
/// Agents that connect in a second, but after a crash.
const CONNECTS_PER_S: f64 = 2_000.0;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A connection to a server of agents.
pub(crate) type Wire = WebSocketStream<TlsStream<TcpStream>>;

/// The way to a server.
pub(crate) struct Route {
    node: SocketAddr,
    config: ClientConfig,
}

impl Route {
    pub(crate) fn new(url: &str, pin: Option<Fingerprint>) -> anyhow::Result<Self> {
        Ok(Self {
            node: url.trim_start_matches("https://").parse()?,
            config: Arc::unwrap_or_clone(agent_config(pin)?),
        })
    }

    /// How one agent speaks TLS: it has a memory of its own, as agents on machines of their own have.
    pub(crate) fn tls(&self, resumption: Resumption) -> TlsConnector {
        let mut config = self.config.clone();
        config.resumption = resumption;
        Arc::new(config).into()
    }

    /// Opens the connection of agent `number`.
    pub(crate) async fn open(&self, tls: &TlsConnector, number: usize) -> anyhow::Result<Wire> {
        let block = u8::try_from(number / AGENTS_PER_ADDRESS).context("too many agents")?;
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 1, block, 1), 0).into())?;
        let stream = socket.connect(self.node).await?;
        stream.set_nodelay(true)?;
        let stream = tls
            .connect(ServerName::from(self.node.ip()), stream)
            .await?;
        let address = format!("ws://{}/agent", self.node);
        Ok(client_async_with_config(address, stream, Some(small()))
            .await?
            .0)
    }
}

/// A WebSocket with buffers like those of the real agent.
pub(crate) fn small() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(4 << 10)
        .max_message_size(Some(limits::FRAME_BYTES_MAX))
        .max_frame_size(Some(limits::FRAME_BYTES_MAX))
}

/// Agents that are enrolled and run until this is dropped.
pub(crate) struct Fleet {
    size: usize,
    shared: Arc<Shared>,
    online: UnboundedReceiver<Instant>,
    acked: UnboundedReceiver<Instant>,
    _tasks: JoinSet<()>,
}

struct Shared {
    route: Route,
    /// Of each session that the server serves.
    online: UnboundedSender<Instant>,
    /// Of each result that is durable.
    acked: UnboundedSender<Instant>,
    /// Why a session ended last.
    trouble: Mutex<String>,
    /// Signatures that were verified.
    verified: Mutex<HashSet<(Vec<u8>, Vec<u8>)>>,
}

impl Shared {
    /// The order. The way to what is signed is followed for each, the signature of many is verified
    /// once: real agents do that on machines of their own.
    fn open(&self, signed: &SignedOrder, keys: &[OrderKey], uuid: &str) -> anyhow::Result<Order> {
        let message = order::signed_message(signed).context("a bad path")?;
        let proof = (message, signed.signature.clone());
        let verified = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified().contains(&proof) {
            return Ok(order::read(signed, uuid)?);
        }
        let order = order::open(signed, keys, uuid)?;
        verified().insert(proof);
        Ok(order)
    }
}

impl Fleet {
    /// Enrols `size` agents and connects them.
    pub(crate) async fn start(house: &House, size: usize) -> anyhow::Result<Self> {
        let route = Route::new(&house.url, house.pin)?;
        let (online_sender, online) = mpsc::unbounded_channel();
        let (acked_sender, acked) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            route,
            online: online_sender,
            acked: acked_sender,
            trouble: Mutex::default(),
            verified: Mutex::default(),
        });
        let agents = enrol_all(house, &shared.route, size).await?;
        let mut tasks = JoinSet::new();
        for (place, agent) in (0_u32..).zip(agents) {
            let turn = Duration::from_secs_f64(f64::from(place) / CONNECTS_PER_S);
            tasks.spawn(agent.run(turn, Arc::clone(&shared)));
        }
        let mut fleet = Self {
            size,
            shared,
            online,
            acked,
            _tasks: tasks,
        };
        fleet.all_online().await?;
        Ok(fleet)
    }

    /// Waits until each agent is connected, once more; returns when each was, in order.
    pub(crate) async fn all_online(&mut self) -> anyhow::Result<Vec<Instant>> {
        let times = take(&mut self.online, self.size).await;
        times.with_context(|| self.trouble("not all agents connected"))
    }

    /// Waits until a result of each agent is durable; returns when each was, in order.
    pub(crate) async fn all_acked(&mut self) -> anyhow::Result<Vec<Instant>> {
        let times = take(&mut self.acked, self.size).await;
        times.with_context(|| self.trouble("not all results are durable"))
    }

    fn trouble(&self, what: &str) -> String {
        let trouble = &self.shared.trouble;
        let trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{what}; the last session that ended: {trouble}")
    }
}

async fn take(times: &mut UnboundedReceiver<Instant>, count: usize) -> Option<Vec<Instant>> {
    let mut taken = Vec::with_capacity(count);
    let all = async {
        while taken.len() < count {
            let wanted = count - taken.len();
            times.recv_many(&mut taken, wanted).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.ok()?;
    Some(taken)
}

/// Enrols `size` agents, some at a time.
pub(crate) async fn enrol_all(
    house: &House,
    route: &Route,
    size: usize,
) -> anyhow::Result<Vec<Agent>> {
    let mut agents = Vec::with_capacity(size);
    for first in (0..size).step_by(AGENTS_PER_CODE) {
        let numbers = first..(first + AGENTS_PER_CODE).min(size);
        let uses = ("MaxUses", numbers.len().to_string());
        let code = house.client.call_value("AddInstallCode", &[uses]).await?;
        let code = code.get("CaptchaCode").and_then(|it| it.as_str());
        let code = code.context("no install code")?;
        let enrolled = futures_util::stream::iter(numbers)
            .map(|number| Agent::enrol(route, number, code))
            .buffer_unordered(GREETINGS);
        agents.extend(enrolled.try_collect::<Vec<_>>().await?);
    }
    Ok(agents)
}

/// An enrolled agent.
pub(crate) struct Agent {
    number: usize,
    pub(crate) uuid: String,
    key: Ed25519KeyPair,
    tls: TlsConnector,
}

impl Agent {
    async fn enrol(route: &Route, number: usize, code: &str) -> anyhow::Result<Self> {
        let mut seed = [0; 32];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut seed)
            .map_err(|_| anyhow::anyhow!("no random bytes"))?;
        let mut agent = Self {
            number,
            uuid: String::new(),
            key: Ed25519KeyPair::from_seed_unchecked(&seed)
                .map_err(|_| anyhow::anyhow!("no key"))?,
            tls: route.tls(Resumption::in_memory_sessions(1)),
        };
        let (_, welcome) = agent
            .greet(route, code, Vec::new())
            .await
            .context("enrolling")?;
        agent.uuid = welcome.host_uuid;
        Ok(agent)
    }

    /// Opens a session and says which leaves the agent holds.
    pub(crate) async fn greet(
        &self,
        route: &Route,
        code: &str,
        held_leaf_ids: Vec<String>,
    ) -> anyhow::Result<(Wire, Welcome)> {
        let mut wire = route.open(&self.tls, self.number).await?;
        let nonce = match receive(&mut wire).await? {
            DownFrame::Challenge(challenge) => challenge.nonce,
            other => bail!("no challenge: {other:?}"),
        };
        let message = session_message(&nonce, &self.uuid);
        let hello = Hello {
            version: PROTOCOL_VERSION,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            host_uuid: self.uuid.clone(),
            public_key: self.key.public_key().as_ref().to_vec(),
            signature: self.key.sign(&message).as_ref().to_vec(),
            install_code: code.to_owned(),
            facts: format!(r#"{{"hostname":"host-{:05}"}}"#, self.number),
            held_leaf_ids,
            ..Hello::default()
        };
        wire.send(message_of(UpFrame::Hello(hello))).await?;
        match receive(&mut wire).await? {
            DownFrame::Welcome(welcome) => Ok((wire, welcome)),
            other => bail!("not welcome: {other:?}"),
        }
    }

    /// Connects, serves, and connects again, with the waits of the real agent.
    async fn run(self, turn: Duration, shared: Arc<Shared>) {
        tokio::time::sleep(turn).await;
        let mut numbers = Numbers(self.seed());
        let mut failures = 0;
        loop {
            let begun = Instant::now();
            if let Err(error) = self.session(&shared).await {
                let trouble = shared.trouble.lock();
                *trouble.unwrap_or_else(PoisonError::into_inner) = format!("{error:#}");
            }
            if begun.elapsed() >= Duration::from_millis(limits::RECONNECT_MS_MAX) {
                failures = 0;
            }
            failures = (failures + 1).min(16);
            let ceiling = (limits::RECONNECT_MS_MIN << failures).min(limits::RECONNECT_MS_MAX);
            let span = ceiling - limits::RECONNECT_MS_MIN + 1;
            let wait = limits::RECONNECT_MS_MIN + numbers.below(span);
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    }

    async fn session(&self, shared: &Shared) -> anyhow::Result<()> {
        let limit = Duration::from_millis(limits::SESSION_GREETING_MS_MAX);
        let greeting = self.greet(&shared.route, "", Vec::new());
        let (mut wire, welcome) = tokio::time::timeout(limit, greeting).await??;
        let heartbeat = || message_of(UpFrame::Heartbeat(Heartbeat { now_ms: 0 }));
        wire.send(heartbeat()).await?;
        let pause = Duration::from_millis(limits::SESSION_HEARTBEAT_MS);
        let mut is_online = false;
        loop {
            let Ok(frame) = tokio::time::timeout(pause, receive(&mut wire)).await else {
                wire.send(heartbeat()).await?;
                continue;
            };
            match frame? {
                DownFrame::Order(signed) => {
                    let order = shared.open(&signed, &welcome.order_keys, &self.uuid)?;
                    self.answer(&mut wire, &order).await?;
                }
                DownFrame::Ack(_) => shared.acked.send(Instant::now())?,
                DownFrame::Heartbeat(_) if !is_online => {
                    is_online = true;
                    shared.online.send(Instant::now())?;
                }
                DownFrame::Refused(refused) => bail!("refused: {refused:?}"),
                _ => {}
            }
        }
    }

    /// Confirms an order and says at once how it ended.
    async fn answer(&self, wire: &mut Wire, order: &Order) -> anyhow::Result<()> {
        let receipt = Receipt {
            leaf_id: order.leaf_id.clone(),
        };
        let seed = u64::try_from(order.issued_ms).unwrap_or_default();
        let result = LeafResult {
            leaf_id: order.leaf_id.clone(),
            status: Status::Success.wire_number().into(),
            reason: Reason::None.wire().to_owned(),
            answer: answer(seed.wrapping_mul(31).wrapping_add(self.seed())),
            ended_ms: order.issued_ms,
        };
        wire.feed(message_of(UpFrame::Receipt(receipt))).await?;
        Ok(wire.send(message_of(UpFrame::Result(result))).await?)
    }

    fn seed(&self) -> u64 {
        u64::try_from(self.number).unwrap_or_default()
    }
}

/// A frame as it is sent.
pub(crate) fn message_of(frame: UpFrame) -> Message {
    Message::binary(Up::from(frame).encode_to_vec())
}

/// The next frame of the server. Safe to drop and call again.
pub(crate) async fn receive(wire: &mut Wire) -> anyhow::Result<DownFrame> {
    loop {
        if let Message::Binary(bytes) = wire.next().await.context("the server closed")?? {
            let down = Down::decode(bytes)?;
            return down.frame.context("an empty frame");
        }
    }
}
