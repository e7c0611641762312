//! Why does a connection open and then hang? Tries again with small packets, and counts losses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use model::Cause;
use protocol::endpoint::Endpoint;
use protocol::tls::Fingerprint;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::firewall::{Flow, Transport};
use super::hindrance::State;
use super::loss;
use crate::check::tls;

/// Longest segment of a connection with small packets, in bytes: fits through every link of IPv4.
const SMALL_BYTES: u32 = 500;

/// What was seen when the handshake was tried again.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// That packets are lost.
    lost: Option<String>,
    /// A rule of this host that may be meant.
    rule: Option<String>,
    /// Whether the server answers small packets, and others.
    small: bool,
    large: bool,
}

/// The cause of a TLS handshake that got no answer in time, with evidence.
pub(super) async fn explain(
    server: &Endpoint,
    pin: Option<Fingerprint>,
    peer: SocketAddr,
    limit: Duration,
) -> (Cause, Vec<String>) {
    let answers = async |connecting: Result<TcpStream, io::Error>| match connecting {
        Ok(stream) => tls::answers(server, pin, stream, limit).await,
        Err(_) => false,
    };
    let flow = Flow {
        transport: Transport::Tcp,
        to: peer,
    };
    let small = async { answers(within(limit, connect_small(peer)).await).await };
    let large = async { answers(within(limit, TcpStream::connect(peer)).await).await };
    let (tally, state, small, large) =
        tokio::join!(loss::trial(peer), State::gather(flow, &[]), small, large);
    judge(&Seen {
        lost: tally.judge(),
        rule: state.block.filter(|it| !it.rejects).map(|it| it.rule),
        small,
        large,
    })
}

fn judge(seen: &Seen) -> (Cause, Vec<String>) {
    if let Some(rule) = &seen.rule {
        return (
            Cause::FirewallDrops,
            vec![format!("rule of this host: {rule}")],
        );
    }
    if let Some(lost) = &seen.lost {
        return (Cause::PacketLoss, vec![lost.clone()]);
    }
    if seen.small && !seen.large {
        let evidence = format!(
            "with segments of {SMALL_BYTES} bytes the server answers, with full ones it did not, twice"
        );
        return (Cause::PathMtuBlackHole, vec![evidence]);
    }
    (Cause::HandshakeFailed, Vec::new())
}

async fn within<T>(limit: Duration, doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let ended = timeout(limit, doing).await;
    ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A connection whose two ends send small packets only.
async fn connect_small(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_mss(SMALL_BYTES)?;
    TcpSocket::from_std_stream(socket.into()).connect(to).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_black_hole_is_one_that_lets_small_packets_through() {
        let cause = |small, large| {
            judge(&Seen {
                small,
                large,
                ..Seen::default()
            })
            .0
        };
        assert_eq!(cause(true, false), Cause::PathMtuBlackHole);
        assert_eq!(
            cause(false, false),
            Cause::HandshakeFailed,
            "a server that is mute"
        );
        assert_eq!(
            cause(true, true),
            Cause::HandshakeFailed,
            "one that was slow"
        );
        let lossy = Seen {
            lost: Some("lost".into()),
            small: true,
            ..Seen::default()
        };
        assert_eq!(judge(&lossy).0, Cause::PacketLoss);
        let filtered = Seen {
            rule: Some("drop".into()),
            ..lossy
        };
        assert_eq!(judge(&filtered).0, Cause::FirewallDrops);
    }

    #[tokio::test]
    async fn small_packets_lead_to_the_same_server() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (connected, _accepted) = tokio::join!(connect_small(to), listener.accept());
        assert_eq!(connected.unwrap().peer_addr().unwrap(), to);
    }
}
