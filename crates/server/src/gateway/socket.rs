//! Frames over a WebSocket, with small buffers and limits.

use futures_util::{SinkExt as _, StreamExt as _};
use model::limits;
use prost::Message as _;
use protocol::frame::{Down, DownFrame, Up, UpFrame};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// A session's socket.
pub(crate) struct Socket<S> {
    stream: WebSocketStream<S>,
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
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] Box<tokio_tungstenite::tungstenite::Error>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket for a greeting: it takes small frames only.
    pub(crate) async fn new(stream: S) -> Self {
        Self::with(stream, limits::GREETING_BYTES_MAX).await
    }

    /// The same socket for what comes after the greeting. Whatever the other end said between the
    /// two, when it was not its turn, is lost.
    pub(crate) async fn greeted(self) -> Self {
        Self::with(self.stream.into_inner(), limits::FRAME_BYTES_MAX).await
    }

    async fn with(stream: S, frame_bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_message_size(Some(frame_bytes_max))
            .max_frame_size(Some(frame_bytes_max));
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Self { stream }
    }

    /// The next frame of the agent.
    pub(crate) async fn receive(&mut self) -> Result<UpFrame, Error> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    let up = Up::decode(bytes).map_err(|_| Error::NotAFrame)?;
                    return up.frame.ok_or(Error::NotAFrame);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_) | Message::Frame(_))) => return Err(Error::NotAFrame),
                Some(Ok(Message::Close(_))) | None => return Err(Error::Closed),
                Some(Err(error)) => return Err(Error::Broken(Box::new(error))),
            }
        }
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: DownFrame) -> Result<(), Error> {
        let bytes = Down::from(frame).encode_to_vec();
        let sent = self.stream.send(Message::Binary(bytes.into())).await;
        sent.map_err(|error| Error::Broken(Box::new(error)))
    }

    /// Says good-bye; whether the other end hears it does not matter.
    pub(crate) async fn close(mut self) {
        let limit = std::time::Duration::from_secs(1);
        tokio::time::timeout(limit, self.stream.close(None))
            .await
            .ok();
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::{LeafResult, Up};

    use super::*;

    async fn received(answer_bytes: usize, is_greeted: bool) -> bool {
        let (near, far) = tokio::io::duplex(limits::FRAME_BYTES_MAX * 2);
        let mut socket = Socket::new(near).await;
        if is_greeted {
            socket = socket.greeted().await;
        }
        let mut agent = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let result = LeafResult {
            answer: vec![b'x'; answer_bytes],
            ..LeafResult::default()
        };
        let bytes = Up::from(UpFrame::Result(result)).encode_to_vec();
        agent.send(Message::Binary(bytes.into())).await.unwrap();
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
}
