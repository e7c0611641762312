//! The ceiling of `fanout`: 200 bytes to each of many connections and 600 bytes back, over the same
//! TLS and WebSocket, in a process that does nothing else. A round may end with 40 bytes more to each,
//! as an acknowledgement has: then it is as many messages as a leaf needs.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use protocol::tls::Fingerprint;
use rustls::ServerConfig;
use rustls::client::Resumption;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::Message;

use crate::agents::{Route, Wire, small};

const ORDER_BYTES: usize = 200;
const REPLY_BYTES: usize = 600;
const ACK_BYTES: usize = 40;
/// Connections that are made at the same time.
const GREETINGS: usize = 64;

/// The messages of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Messages {
    /// An order and a reply.
    Two,
    /// These, and an acknowledgement.
    Three,
}

/// Serves: for each line on stdin one round over as many connections and of as many messages as it
/// says, answered by a line.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.der().clone();
    let pin = Fingerprint::of(&certificate);
    let private = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(&format!("listening on https://{}", listener.local_addr()?));
    announce(&format!("certificate fingerprint {pin}"));
    let (round, rounds) = watch::channel(Messages::Two);
    let (replied, mut replies) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = connection(stream, acceptor.clone(), rounds.clone(), replied.clone());
            tokio::spawn(connection);
        }
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let (agents, messages) = line.split_once(' ').context("two numbers")?;
        let agents: usize = agents.parse()?;
        let messages = match messages {
            "3" => Messages::Three,
            _ => Messages::Two,
        };
        round.send_replace(messages);
        for _ in 0..agents {
            replies.recv().await.context("no connection is left")?;
        }
        announce("done");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    mut rounds: watch::Receiver<Messages>,
    replied: mpsc::UnboundedSender<()>,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let mut socket = accept_async_with_config(stream, Some(small())).await?;
    rounds.mark_unchanged();
    loop {
        tokio::select! {
            changed = rounds.changed() => {
                changed?;
                socket.send(Message::binary(vec![1; ORDER_BYTES])).await?;
            }
            message = socket.next() => {
                if message.context("closed")??.is_binary() {
                    replied.send(())?;
                    if *rounds.borrow() == Messages::Three {
                        socket.send(Message::binary(vec![3; ACK_BYTES])).await?;
                    }
                }
            }
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the lines that the parent process waits for"
)]
fn announce(line: &str) {
    println!("{line}");
}

/// That server in a process of its own, and connections to it.
pub(crate) struct Bare {
    size: usize,
    /// How long it took to connect them all.
    pub(crate) connecting: Duration,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    process: Child,
    acked: mpsc::UnboundedReceiver<()>,
    _tasks: JoinSet<()>,
}

impl Bare {
    pub(crate) async fn start(size: usize) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("bare-agents")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = process.stdin.take().context("no stdin")?;
        let stdout = process.stdout.take().context("no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let url = lines.next_line().await?.unwrap_or_default();
        let pin = lines.next_line().await?.unwrap_or_default();
        let pin = Fingerprint::parse(pin.trim_start_matches("certificate fingerprint "))?;
        let route = Route::new(url.trim_start_matches("listening on "), Some(pin))?;
        let tls = route.tls(Resumption::disabled());
        let started = Instant::now();
        let wires: Vec<Wire> = futures_util::stream::iter(0..size)
            .map(|number| route.open(&tls, number))
            .buffer_unordered(GREETINGS)
            .try_collect()
            .await?;
        let connecting = started.elapsed();
        let mut tasks = JoinSet::new();
        let (acks, acked) = mpsc::unbounded_channel();
        for wire in wires {
            tasks.spawn(reply(wire, acks.clone()));
        }
        Ok(Self {
            size,
            connecting,
            stdin,
            lines,
            process,
            acked,
            _tasks: tasks,
        })
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("the bare server has ended")
    }

    /// One round; returns how long it took.
    pub(crate) async fn round(&mut self, messages: Messages) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let (number, acks) = match messages {
            Messages::Two => (2, 0),
            Messages::Three => (3, self.size),
        };
        let line = format!("{} {number}\n", self.size);
        self.stdin.write_all(line.as_bytes()).await?;
        let answer = self.lines.next_line().await?;
        ensure!(answer.as_deref() == Some("done"), "it said {answer:?}");
        for _ in 0..acks {
            self.acked.recv().await.context("no connection is left")?;
        }
        Ok(started.elapsed())
    }
}

async fn reply(mut wire: Wire, acks: mpsc::UnboundedSender<()>) {
    while let Some(Ok(message)) = wire.next().await {
        let done = match message.len() {
            ORDER_BYTES => wire
                .send(Message::binary(vec![2; REPLY_BYTES]))
                .await
                .is_ok(),
            ACK_BYTES => acks.send(()).is_ok(),
            _ => true,
        };
        if !done {
            return;
        }
    }
}
