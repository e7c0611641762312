//! Why a name is not resolved: asks each configured name server one small question.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

/// Time that a name server has to answer, in ms.
const ANSWER_MS: u64 = 1_200;
/// Name servers that the C library asks (resolv.conf(5)).
const SERVERS_MAX: usize = 3;
/// Response code "no such name" (RFC 1035, 4.1.1).
const NAME_ERROR: u8 = 3;

/// What one name server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing within the time limit.
    Silence,
    /// It answered with that response code and so many records.
    Answer { code: u8, records: u16 },
}

impl Reply {
    /// Whether this says that the name has no address.
    pub(super) const fn denies(self) -> bool {
        matches!(
            self,
            Self::Answer {
                code: NAME_ERROR,
                ..
            } | Self::Answer {
                code: 0,
                records: 0
            }
        )
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silence => write!(f, "does not answer"),
            Self::Answer {
                code: NAME_ERROR, ..
            } => write!(f, "answers that there is no such name"),
            Self::Answer { code: 0, records } => write!(f, "answers with {records} records"),
            Self::Answer { code, .. } => write!(f, "answers with error code {code}"),
        }
    }
}

/// The name servers of `resolv.conf`; without any, the one on this host.
pub(super) fn parse(resolv_conf: &str) -> Vec<IpAddr> {
    let servers: Vec<IpAddr> = resolv_conf
        .lines()
        .filter_map(|it| {
            it.trim()
                .strip_prefix("nameserver")?
                .split_whitespace()
                .next()
        })
        .filter_map(|it| it.split('%').next()?.parse().ok())
        .take(SERVERS_MAX)
        .collect();
    if servers.is_empty() {
        vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]
    } else {
        servers
    }
}

/// Asks every configured name server for `name`, side by side.
pub(super) async fn ask_all(name: &str) -> Vec<(IpAddr, Reply)> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let asked = parse(&text).into_iter().map(|server| async move {
        let asking = ask(SocketAddr::new(server, 53), name);
        let answered = tokio::time::timeout(Duration::from_millis(ANSWER_MS), asking).await;
        (server, answered.ok().flatten().unwrap_or(Reply::Silence))
    });
    futures_util::future::join_all(asked).await
}

async fn ask(server: SocketAddr, name: &str) -> Option<Reply> {
    let local: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(local).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(&question(name)?).await.ok()?;
    let mut answer = [0; 512];
    let size = socket.recv(&mut answer).await.ok()?;
    read(answer.get(..size)?)
}

/// The number by which an answer is known to be ours; nothing that is learnt is trusted.
const QUERY_ID: [u8; 2] = [0x5b, 0xa7];

/// A query for the address of `name`, recursion desired (RFC 1035, 4.1).
fn question(name: &str) -> Option<Vec<u8>> {
    let mut bytes = QUERY_ID.to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|it| (1..64).contains(it))?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    Some(bytes)
}

fn read(answer: &[u8]) -> Option<Reply> {
    match answer {
        [a, b, flags, code, _, _, high, low, ..] if [*a, *b] == QUERY_ID && flags & 0x80 != 0 => {
            Some(Reply::Answer {
                code: code & 0x0f,
                records: u16::from_be_bytes([*high, *low]),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read() {
        let text = "# by hand\nsearch example\nnameserver 10.0.0.2\nnameserver\tfe80::1%eth0\nnameserver 9.9.9.9 # x\nnameserver 1.1.1.1\n";
        let servers: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.2", "fe80::1", "9.9.9.9"]);
        assert_eq!(parse("options edns0\n"), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    }

    #[tokio::test]
    async fn a_name_server_that_denies_the_name_is_heard() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let serving = async {
            let mut query = [0; 512];
            let (size, from) = server.recv_from(&mut query).await.unwrap();
            assert!(query[..size].windows(9).any(|it| it == b"\x07sickbay\x07"));
            let mut answer = query[..size].to_vec();
            (answer[2], answer[3]) = (0x81, 0x83);
            server.send_to(&answer, from).await.unwrap();
        };
        let (reply, ()) = tokio::join!(ask(address, "sickbay.example"), serving);
        assert_eq!(
            reply,
            Some(Reply::Answer {
                code: 3,
                records: 0
            })
        );
        assert!(reply.unwrap().denies());
    }

    #[test]
    fn only_an_answer_to_our_question_counts() {
        assert_eq!(
            read(&[0x5b, 0xa7, 0x81, 0x80, 0, 1, 0, 2, 0, 0]),
            Some(Reply::Answer {
                code: 0,
                records: 2
            })
        );
        assert_eq!(read(&[0x5b, 0xa8, 0x81, 0x80, 0, 1, 0, 2]), None);
        assert_eq!(read(&[0x5b]), None);
        assert!(question("a..b").is_none());
    }
}
