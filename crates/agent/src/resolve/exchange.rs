//! One question to one name server: over UDP, and where the answer does not fit, over TCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::message::{Answer, Question};

/// Longest answer over UDP, in bytes (RFC 1035, 4.2.1); some servers send more than they may.
const PACKET_BYTES_MAX: usize = 4096;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// No answer within the time limit, or nobody there.
    Nothing,
    /// An answer, whatever it says.
    Answer(Answer),
}

/// Asks a name server, within `limit`.
pub(crate) async fn ask(server: SocketAddr, question: &Question, limit: Duration) -> Said {
    let asking = async {
        let answer = over_udp(server, question).await?;
        if !answer.is_cut {
            return Some(answer);
        }
        // Part of an answer is better than none.
        over_tcp(server, question).await.or(Some(answer))
    };
    match timeout(limit, asking).await {
        Ok(Some(answer)) => Said::Answer(answer),
        Ok(None) | Err(_) => Said::Nothing,
    }
}

/// A number that a stranger who does not see the question cannot guess.
fn id() -> Option<[u8; 2]> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).ok()?;
    Some(id)
}

async fn over_udp(server: SocketAddr, question: &Question) -> Option<Answer> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(server).await.ok()?;
    let id = id()?;
    socket.send(&question.message(id)).await.ok()?;
    let mut packet = vec![0; PACKET_BYTES_MAX];
    loop {
        let size = socket.recv(&mut packet).await.ok()?;
        // Anything else is somebody else's, or late: the real one may still come.
        if let Some(answer) = question.read_answer(id, packet.get(..size)?) {
            return Some(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Question) -> Option<Answer> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    let id = id()?;
    let message = question.message(id);
    let mut framed = u16::try_from(message.len()).ok()?.to_be_bytes().to_vec();
    framed.extend(message);
    stream.write_all(&framed).await.ok()?;
    let size = stream.read_u16().await.ok()?;
    let mut message = vec![0; size.into()];
    stream.read_exact(&mut message).await.ok()?;
    question.read_answer(id, &message)
}
