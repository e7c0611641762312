//! Frames over a WebSocket that hold no memory while nothing is under way.

mod websocket;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use model::limits;
use prost::Message as _;
use protocol::frame::{Down, DownFrame, Up, UpFrame};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

pub(super) use websocket::accept_key;
use websocket::{Decoder, Message, Violation, put_binary, put_close, put_pong};

/// What is read at once, on the stack.
const READ_BYTES: usize = 4 << 10;

/// A session's socket.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: S,
    decoder: Decoder,
    /// What has come and is not taken yet.
    incoming: BytesMut,
    /// What is to be written.
    outgoing: BytesMut,
    is_flushed: bool,
}

/// Why no frame comes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The other end is gone.
    #[error("the connection is closed")]
    Closed,
    /// What came is not a frame.
    #[error("not a frame of this protocol")]
    NotAFrame,
    /// What came is not a WebSocket's.
    #[error("not a WebSocket message of this protocol")]
    Violated(#[source] Violation),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket for a greeting: it takes small frames only.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            decoder: Decoder::new(limits::GREETING_BYTES_MAX),
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            is_flushed: true,
        }
    }

    /// From here on it takes the frames that come after a greeting.
    pub(crate) const fn greeted(&mut self) {
        self.decoder.message_bytes_max = limits::FRAME_BYTES_MAX;
    }

    /// The next frame of the agent. Safe to drop and call again.
    pub(crate) async fn receive(&mut self) -> Result<UpFrame, Error> {
        let bytes = poll_fn(|cx| self.poll_receive(cx)).await?;
        let up = Up::decode(bytes).map_err(|_| Error::NotAFrame)?;
        up.frame.ok_or(Error::NotAFrame)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<bytes::Bytes, Error>> {
        loop {
            let taken = self.decoder.take(&mut self.incoming);
            match taken.map_err(Error::Violated)? {
                Some(Message::Binary(bytes)) => {
                    self.forget_empty();
                    return Poll::Ready(Ok(bytes));
                }
                // Of many pings at once the one that can be answered is (section 5.5.3).
                Some(Message::Ping(body)) if self.is_flushed => {
                    put_pong(&body, &mut self.outgoing);
                    self.is_flushed = false;
                }
                Some(Message::Ping(_) | Message::Pong) => {}
                Some(Message::Close) => return Poll::Ready(Err(Error::Closed)),
                None => {
                    self.forget_empty();
                    if let Poll::Ready(Err(error)) = self.poll_written(cx) {
                        return Poll::Ready(Err(Error::Broken(error)));
                    }
                    let mut room = [0; READ_BYTES];
                    let mut room = ReadBuf::new(&mut room);
                    let read = Pin::new(&mut self.stream).poll_read(cx, &mut room);
                    ready!(read).map_err(Error::Broken)?;
                    if room.filled().is_empty() {
                        return Poll::Ready(Err(Error::Closed));
                    }
                    self.incoming.extend_from_slice(room.filled());
                }
            }
        }
    }

    /// An empty buffer keeps its memory unless it is a new one.
    fn forget_empty(&mut self) {
        if self.incoming.is_empty() {
            self.incoming = BytesMut::new();
        }
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: DownFrame) -> Result<(), Error> {
        put_binary(&Down::from(frame), &mut self.outgoing);
        self.written().await.map_err(Error::Broken)
    }

    async fn written(&mut self) -> io::Result<()> {
        self.is_flushed = false;
        poll_fn(|cx| self.poll_written(cx)).await
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_flushed {
            return Poll::Ready(Ok(()));
        }
        while !self.outgoing.is_empty() {
            let stream = Pin::new(&mut self.stream);
            let count = ready!(stream.poll_write(cx, &self.outgoing))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(count);
        }
        self.outgoing = BytesMut::new();
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.is_flushed = true;
        Poll::Ready(Ok(()))
    }

    /// Says good-bye; whether the other end hears it does not matter.
    ///
    /// What it still says is read: a socket that is closed with unread bytes takes back what it sent.
    pub(crate) async fn close(mut self) {
        let limit = Duration::from_secs(1);
        let good_bye = async {
            put_close(&mut self.outgoing);
            self.written().await?;
            self.stream.shutdown().await?;
            let mut room = vec![0; READ_BYTES];
            while self.stream.read(&mut room).await? > 0 {}
            io::Result::Ok(())
        };
        tokio::time::timeout(limit, good_bye).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use protocol::frame::{Heartbeat, LeafResult};
    use tokio::io::DuplexStream;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message as Said;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    async fn pair() -> (Socket<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = tokio::io::duplex(limits::FRAME_BYTES_MAX * 2);
        let agent = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        (Socket::new(near), agent)
    }

    fn result(answer_bytes: usize) -> Said {
        let result = LeafResult {
            answer: vec![b'x'; answer_bytes],
            ..LeafResult::default()
        };
        Said::binary(Up::from(UpFrame::Result(result)).encode_to_vec())
    }

    async fn received(answer_bytes: usize, is_greeted: bool) -> bool {
        let (mut socket, mut agent) = pair().await;
        if is_greeted {
            socket.greeted();
        }
        agent.send(result(answer_bytes)).await.unwrap();
        socket.receive().await.is_ok()
    }

    #[tokio::test]
    async fn frames_are_small_until_the_greeting_is_done() {
        let room = 16;
        assert!(received(limits::GREETING_BYTES_MAX - room, false).await);
        assert!(!received(limits::GREETING_BYTES_MAX, false).await);
        assert!(received(limits::FRAME_BYTES_MAX - room, true).await);
        assert!(!received(limits::FRAME_BYTES_MAX, true).await);
    }

    #[tokio::test]
    async fn a_ping_is_answered_while_a_frame_is_awaited() {
        let (mut socket, mut agent) = pair().await;
        agent.send(Said::Ping("here?".into())).await.unwrap();
        agent.send(result(1)).await.unwrap();
        let frame = socket.receive().await.unwrap();
        assert!(matches!(frame, UpFrame::Result(_)));
        let heartbeat = DownFrame::Heartbeat(Heartbeat { now_ms: 7 });
        socket.send(heartbeat.clone()).await.unwrap();
        let pong = agent.next().await.unwrap().unwrap();
        assert_eq!(pong, Said::Pong("here?".into()));
        let sent = agent.next().await.unwrap().unwrap();
        let heard = Down::decode(sent.into_data()).unwrap();
        assert_eq!(heard, Down::from(heartbeat));
    }

    #[tokio::test]
    async fn an_idle_socket_holds_no_buffer() {
        let (mut socket, mut agent) = pair().await;
        agent.send(result(10_000)).await.unwrap();
        socket.receive().await.unwrap();
        let heartbeat = DownFrame::Heartbeat(Heartbeat { now_ms: 7 });
        socket.send(heartbeat).await.unwrap();
        let held = socket.incoming.capacity() + socket.outgoing.capacity();
        assert_eq!(held, 0);
    }

    #[tokio::test]
    async fn a_good_bye_is_heard_and_answered() {
        let (socket, mut agent) = pair().await;
        let hears = async {
            assert_eq!(agent.next().await.unwrap().unwrap(), Said::Close(None));
            assert!(agent.next().await.is_none());
        };
        tokio::join!(socket.close(), hears);
        let (mut socket, mut agent) = pair().await;
        agent.close(None).await.unwrap();
        assert!(matches!(socket.receive().await, Err(Error::Closed)));
    }

    #[tokio::test]
    async fn what_is_not_ours_is_told_apart() {
        let (mut socket, mut agent) = pair().await;
        agent.send(Said::text("hello")).await.unwrap();
        assert!(matches!(socket.receive().await, Err(Error::Violated(_))));
        let (mut socket, mut agent) = pair().await;
        agent.send(Said::binary(vec![1, 2, 3])).await.unwrap();
        assert!(matches!(socket.receive().await, Err(Error::NotAFrame)));
        let (mut socket, agent) = pair().await;
        drop(agent);
        assert!(matches!(socket.receive().await, Err(Error::Closed)));
    }
}
