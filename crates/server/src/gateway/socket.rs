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
    pub(crate) async fn new(stream: S, role: Role) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_message_size(Some(limits::FRAME_BYTES_MAX))
            .max_frame_size(Some(limits::FRAME_BYTES_MAX));
        let stream = WebSocketStream::from_raw_socket(stream, role, Some(config)).await;
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
