//! One open session: the greeting, and frames over a WebSocket in both directions.
//!
//! Knows nothing of orders or journals. A link that is lost stays lost; the caller opens another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use model::limits;
use prost::Message as _;
use protocol::frame::{
    Challenge, Down, DownFrame, Heartbeat, Hello, Refused, Up, UpFrame, Welcome,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::Message;

use super::Error;
use super::clock::NodeClock;
use crate::connect::{Route, Socket};

/// Frames that may wait for the network. Small, because one may be a whole answer.
const QUEUE_FRAMES: usize = 4;
/// Time that the last frames have to leave when a session is closed.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// An open session.
pub(crate) struct Link {
    up: mpsc::Sender<UpFrame>,
    writer: JoinHandle<()>,
    /// Whether the writer waits for the network to take a frame.
    is_writing: Arc<AtomicBool>,
    down: SplitStream<Socket>,
    /// When the node was last heard.
    pub(crate) heard: Instant,
}

/// What a greeting brought.
pub(crate) struct Greeted {
    pub(crate) link: Link,
    pub(crate) welcome: Welcome,
    pub(crate) clock: NodeClock,
}

/// Connects and greets: the node's challenge, the `hello` made for it, the node's welcome.
pub(crate) async fn greet(
    route: &Route,
    hello: impl FnOnce(&Challenge) -> Hello,
) -> Result<Greeted, Error> {
    let socket = route.open().await?;
    let limit = Duration::from_millis(limits::SESSION_GREETING_MS_MAX);
    let greeting = async {
        let mut link = Link::new(socket);
        let challenge = match link.receive().await? {
            DownFrame::Challenge(challenge) => challenge,
            DownFrame::Refused(refused) => return Err(refused.into()),
            _ => return Err(Error::Protocol("it did not greet with a challenge")),
        };
        let clock = NodeClock::new(challenge.now_ms);
        link.send(UpFrame::Hello(hello(&challenge))).await?;
        match link.receive().await? {
            DownFrame::Welcome(welcome) => Ok(Greeted {
                link,
                welcome,
                clock,
            }),
            DownFrame::Refused(refused) => Err(refused.into()),
            _ => Err(Error::Protocol("it did not answer the greeting")),
        }
    };
    timeout(limit, greeting).await.map_err(|_| Error::Silent)?
}

impl Link {
    fn new(socket: Socket) -> Self {
        let (sink, down) = socket.split();
        let (up, frames) = mpsc::channel(QUEUE_FRAMES);
        let is_writing = Arc::default();
        Self {
            up,
            writer: tokio::spawn(write(sink, frames, Arc::clone(&is_writing))),
            is_writing,
            down,
            heard: Instant::now(),
        }
    }

    /// The next frame of the node. Safe to drop and call again.
    pub(crate) async fn receive(&mut self) -> Result<DownFrame, Error> {
        loop {
            let message = match self.down.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(Error::Lost(error.to_string())),
                None => return Err(Error::Lost("the server closed the session".to_owned())),
            };
            self.heard = Instant::now();
            match message {
                Message::Binary(bytes) => {
                    let down = Down::decode(bytes)
                        .map_err(|_| Error::Protocol("it sent a frame that cannot be read"))?;
                    // A frame of a newer node that this agent does not know is none of its business.
                    if let Some(frame) = down.frame {
                        return Ok(frame);
                    }
                }
                Message::Close(_) => {
                    return Err(Error::Lost("the server closed the session".to_owned()));
                }
                _ => {}
            }
        }
    }

    /// Hands a frame to the writer.
    pub(crate) async fn send(&self, frame: UpFrame) -> Result<(), Error> {
        let sent = self.up.send(frame).await;
        sent.map_err(|_| Error::Lost("the connection broke".to_owned()))
    }

    /// Whether everything that was sent has left.
    pub(crate) fn is_idle(&self) -> bool {
        self.up.capacity() == QUEUE_FRAMES && !self.is_writing.load(Ordering::Acquire)
    }

    /// Sends a frame that nobody misses if there is no room for it. Returns whether there was.
    pub(crate) fn offer(&self, frame: UpFrame) -> bool {
        self.up.try_send(frame).is_ok()
    }

    pub(crate) async fn heartbeat(&self) -> Result<(), Error> {
        self.send(UpFrame::Heartbeat(Heartbeat { now_ms: 0 })).await
    }

    /// Lets the frames that were sent leave, and closes the session.
    pub(crate) async fn close(self) {
        drop(self.up);
        timeout(CLOSE_TIME_MAX, self.writer).await.ok();
    }
}

async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut frames: mpsc::Receiver<UpFrame>,
    is_writing: Arc<AtomicBool>,
) {
    // A peer that takes nothing for so long is gone; the sender learns it from the closed channel.
    let patience = Duration::from_millis(limits::SESSION_SILENCE_MS_MAX);
    while let Some(frame) = frames.recv().await {
        is_writing.store(true, Ordering::Release);
        let message = Message::binary(Up::from(frame).encode_to_vec());
        if !matches!(timeout(patience, sink.send(message)).await, Ok(Ok(()))) {
            return;
        }
        is_writing.store(false, Ordering::Release);
    }
    timeout(CLOSE_TIME_MAX, sink.close()).await.ok();
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused {
            code: refused.code,
            message: refused.message,
            retry: refused.retry,
            retry_after_ms: refused.retry_after_ms,
        }
    }
}
