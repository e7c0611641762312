//! Asks each configured name server by itself, as the C library would, and says what each said.
//!
//! Owns the few bytes of the protocol (RFC 1035) that this takes. Nothing that is learnt is trusted:
//! it is compared with what programs of this host are told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::hindrance::Symptom;

/// Name servers that the C library asks (resolv.conf(5)).
pub(super) const SERVERS_MAX: usize = 3;
/// Time after which a question is sent again, in ms.
const AGAIN_MS: u64 = 1_000;
/// Response codes (RFC 1035, 4.1.1).
const FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;
const REFUSED: u8 = 5;
/// Kinds of records that hold an address (RFC 1035, RFC 3596).
const KIND_A: u16 = 1;
const KIND_AAAA: u16 = 28;

/// What one name server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Nothing within the time limit.
    Silence,
    /// The query did not get there.
    Failed(Symptom),
    /// It answered with that response code and those addresses.
    Answer { code: u8, addresses: Vec<IpAddr> },
}

/// One question to one name server.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) server: SocketAddr,
    /// Whether for IPv6 addresses.
    pub(super) v6: bool,
    pub(super) reply: Reply,
    pub(super) took: Duration,
}

impl Reply {
    /// The addresses that it names.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        match self {
            Self::Answer { code: 0, addresses } => addresses,
            _ => &[],
        }
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.v6 { "IPv6" } else { "IPv4" };
        let (server, ms) = (self.server.ip(), self.took.as_millis());
        write!(f, "name server {server}, asked for {kind}: ")?;
        match &self.reply {
            Reply::Silence => write!(f, "no answer within {ms} ms"),
            Reply::Failed(Symptom::Refused) => write!(f, "nothing listens there"),
            Reply::Failed(Symptom::Forbidden) => write!(f, "this host does not let it be asked"),
            Reply::Failed(_) => write!(f, "there is no way to it"),
            Reply::Answer {
                code: NAME_ERROR, ..
            } => write!(f, "there is no such name ({ms} ms)"),
            Reply::Answer { code: FAILURE, .. } => write!(f, "it failed itself ({ms} ms)"),
            Reply::Answer { code: REFUSED, .. } => write!(f, "it refuses to answer us ({ms} ms)"),
            Reply::Answer { code: 0, addresses } if addresses.is_empty() => {
                write!(f, "no such address ({ms} ms)")
            }
            Reply::Answer { code: 0, addresses } => {
                let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "{} ({ms} ms)", all.join(", "))
            }
            Reply::Answer { code, .. } => write!(f, "error code {code} ({ms} ms)"),
        }
    }
}

/// The name servers of `resolv.conf`.
pub(super) fn parse(resolv_conf: &str) -> Vec<SocketAddr> {
    let named = resolv_conf.lines().filter_map(|it| {
        let rest = it.trim().strip_prefix("nameserver")?;
        rest.starts_with(char::is_whitespace)
            .then_some(rest)?
            .split_whitespace()
            .next()
    });
    named.filter_map(socket_address).take(SERVERS_MAX).collect()
}

/// Port 53 of an address that may name an interface.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, interface) = text.split_once('%').unwrap_or((text, ""));
    let index = || {
        let path = format!("/sys/class/net/{interface}/ifindex");
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some(match address.parse().ok()? {
        IpAddr::V4(it) => SocketAddr::from((it, 53)),
        IpAddr::V6(it) => SocketAddrV6::new(it, 53, 0, index().unwrap_or(0)).into(),
    })
}

/// Asks every server for addresses of both kinds, side by side.
pub(super) fn ask_all(servers: &[SocketAddr], name: &str, limit: Duration) -> JoinSet<Asked> {
    let mut asking = JoinSet::new();
    for server in servers {
        for v6 in [false, true] {
            let (server, name) = (*server, name.to_owned());
            asking.spawn(async move { ask(server, &name, v6, limit).await });
        }
    }
    asking
}

/// Asks one server.
pub(super) async fn ask(server: SocketAddr, name: &str, v6: bool, limit: Duration) -> Asked {
    let started = Instant::now();
    let asking = exchange(server, name, v6);
    let reply = match timeout(limit, asking).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => Symptom::of(&error).map_or(Reply::Silence, Reply::Failed),
        Err(_) => Reply::Silence,
    };
    Asked {
        server,
        v6,
        reply,
        took: started.elapsed(),
    }
}

async fn exchange(server: SocketAddr, name: &str, v6: bool) -> std::io::Result<Reply> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    let kind = if v6 { KIND_AAAA } else { KIND_A };
    let question = question(name, kind)
        .ok_or_else(|| std::io::Error::other("the name cannot be asked for"))?;
    let mut answer = [0; 1_500];
    loop {
        // One lost packet is no silence.
        socket.send(&question).await?;
        let again = Duration::from_millis(AGAIN_MS);
        if let Ok(size) = timeout(again, socket.recv(&mut answer)).await
            && let Some(reply) = read(answer.get(..size?).unwrap_or_default(), kind)
        {
            return Ok(reply);
        }
    }
}

/// The number by which an answer is known to be ours.
const QUERY_ID: [u8; 2] = [0x5b, 0xa7];

/// A query for addresses of `name`, recursion desired (RFC 1035, 4.1).
fn question(name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut bytes = QUERY_ID.to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|it| (1..64).contains(it))?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    Some(bytes)
}

fn read(answer: &[u8], kind: u16) -> Option<Reply> {
    let number = |at: usize| -> Option<u16> {
        Some(u16::from_be_bytes(answer.get(at..at + 2)?.try_into().ok()?))
    };
    let (flags, code) = (answer.get(2)?, answer.get(3)? & 0x0f);
    if answer.get(..2)? != QUERY_ID || flags & 0x80 == 0 {
        return None;
    }
    let (questions, records) = (number(4)?, number(6)?);
    let addresses = || {
        let mut at = 12;
        for _ in 0..questions {
            at = skip_name(answer, at)? + 4;
        }
        let mut found = Vec::new();
        for _ in 0..records {
            at = skip_name(answer, at)?;
            let length = usize::from(number(at + 8)?);
            let data = answer.get(at + 10..at + 10 + length)?;
            if number(at)? == kind {
                let four = <[u8; 4]>::try_from(data).map(IpAddr::from);
                let sixteen = || <[u8; 16]>::try_from(data).map(IpAddr::from);
                found.extend(four.or_else(|_| sixteen()));
            }
            at += 10 + length;
        }
        Some(found)
    };
    // An answer that is cut short names nothing.
    let addresses = addresses().unwrap_or_default();
    Some(Reply::Answer { code, addresses })
}

/// Where what follows a name begins.
fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*packet.get(at)?);
        match length {
            0 => return Some(at + 1),
            1..64 => at += 1 + length,
            // The rest of the name stands elsewhere (RFC 1035, 4.1.4).
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read() {
        let text = "# by hand\nsearch example\nnameserver 10.0.0.2\nnameserver\tfe80::1%eth0\nnameservers 1.2.3.4\nnameserver 9.9.9.9 # x\nnameserver 1.1.1.1\n";
        let servers: Vec<String> = parse(text).iter().map(|it| it.ip().to_string()).collect();
        assert_eq!(servers, ["10.0.0.2", "fe80::1", "9.9.9.9"]);
        assert!(parse("options edns0\n#nameserver 10.0.0.2\n").is_empty());
    }

    /// What is understood of the answer that `change` makes of the question.
    async fn exchange_with(change: impl FnOnce(&mut Vec<u8>)) -> Reply {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let serving = async {
            let mut query = [0; 512];
            let (size, from) = server.recv_from(&mut query).await.unwrap();
            assert!(query[..size].windows(9).any(|it| it == b"\x07sickbay\x07"));
            let mut answer = query[..size].to_vec();
            answer[2] = 0x81;
            change(&mut answer);
            server.send_to(&answer, from).await.unwrap();
        };
        let limit = Duration::from_secs(60);
        let (asked, ()) = tokio::join!(ask(address, "sickbay.example", false, limit), serving);
        asked.reply
    }

    #[tokio::test]
    async fn a_name_server_that_denies_the_name_is_heard() {
        for code in [3, 0, 2] {
            let reply = exchange_with(|it| it[3] = 0x80 | code).await;
            let addresses = Vec::new();
            assert_eq!(reply, Reply::Answer { code, addresses });
        }
    }

    #[tokio::test]
    async fn addresses_behind_an_alias_are_read() {
        let reply = exchange_with(|it| {
            (it[3], it[7]) = (0x80, 2);
            // An alias of six bytes, then an address.
            it.extend([
                0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 5, 0, 6, 3, b'a', b'b', b'c', 0xc0, 20,
            ]);
            it.extend([0xc0, 46, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 77, 0, 1]);
        })
        .await;
        assert_eq!(reply.addresses(), ["10.77.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn a_closed_port_is_not_silence() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        drop(server);
        let asked = ask(address, "sickbay.example", false, Duration::from_secs(60)).await;
        assert_eq!(asked.reply, Reply::Failed(Symptom::Refused));
    }

    #[test]
    fn only_an_answer_to_our_question_counts() {
        assert!(read(&[0x5b, 0xa7, 0x81, 0x80, 0, 1, 0, 2, 0, 0], KIND_A).is_some());
        assert_eq!(read(&[0x5b, 0xa8, 0x81, 0x80, 0, 1, 0, 2], KIND_A), None);
        assert_eq!(read(&[0x5b, 0xa7, 0x01, 0x80, 0, 1, 0, 2], KIND_A), None);
        assert_eq!(read(&[0x5b], KIND_A), None);
        assert!(question("a..b", KIND_A).is_none());
    }

    #[test]
    fn any_answer_is_survived() {
        let sample = b"\x53\x62\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x07";
        crate::fuzz::bytes("answers of resolvers", &[sample], |it| {
            let named = [&QUERY_ID[..], it.get(2..).unwrap_or_default()].concat();
            drop((read(it, 1), read(&named, 1)));
        });
    }
}
