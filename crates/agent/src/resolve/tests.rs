//! Names looked up with files and name servers of the test's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::*;

/// The answer to a question message: a response code, and addresses of the kind that was asked for.
fn answer(asked: &[u8], code: u8, addresses: &[IpAddr]) -> Vec<u8> {
    let mut message = asked.to_vec();
    (message[2], message[3]) = (0x81, 0x80 | code);
    let wanted = asked[asked.len() - 3];
    for address in addresses {
        let data = match address {
            IpAddr::V4(it) => it.octets().to_vec(),
            IpAddr::V6(it) => it.octets().to_vec(),
        };
        if (wanted == 28) == address.is_ipv6() {
            message[7] += 1;
            message.extend(b"\xc0\x0c\x00");
            message.extend([wanted, 0, 1, 0, 0, 0, 60, 0]);
            message.push(u8::try_from(data.len()).unwrap());
            message.extend(data);
        }
    }
    message
}

/// A name server that answers as `says` does; how often it was asked.
async fn name_server(says: fn(&[u8]) -> Option<Vec<u8>>) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((size, from)) = socket.recv_from(&mut packet).await {
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(said) = says(&packet[..size]) {
                socket.send_to(&said, from).await.unwrap();
            }
        }
    });
    (address, asked)
}

fn config(servers: &[SocketAddr], more: &str) -> Config {
    Config {
        servers: servers.to_vec(),
        ..Config::parse(more)
    }
}

async fn found(host: &str, config: &Config) -> Result<Found, Error> {
    look_up(host, Path::new("/nonexistent"), config).await
}

fn shown(found: Result<Found, Error>) -> String {
    let found = found.unwrap();
    let all: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
    format!("{} {}", all.join(","), found.source)
}

fn both(asked: &[u8]) -> Option<Vec<u8>> {
    let all = ["10.0.0.7", "10.0.0.8", "2001:db8::7"].map(|it| it.parse().unwrap());
    Some(answer(asked, 0, &all))
}

fn nobody(asked: &[u8]) -> Option<Vec<u8>> {
    Some(answer(asked, NAME_ERROR, &[]))
}

fn broken(asked: &[u8]) -> Option<Vec<u8>> {
    Some(answer(asked, 2, &[]))
}

#[tokio::test]
async fn hosts_come_first_and_need_no_name_server() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "10.1.1.1 Node.example node\n").unwrap();
    let (server, asked) = name_server(both).await;
    let config = config(&[server], "");
    let looked = look_up("node.EXAMPLE", file.path(), &config).await;
    assert_eq!(shown(looked), "10.1.1.1 by /etc/hosts");
    for (host, expected) in [
        ("192.0.2.1", "192.0.2.1 as given"),
        ("localhost", "127.0.0.1,::1 by /etc/hosts"),
    ] {
        assert_eq!(shown(found(host, &config).await), expected);
    }
    assert_eq!(found("no name", &config).await, Err(Error::NotAName));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn both_kinds_of_addresses_are_asked_for_and_come_by_turns() {
    let (server, _) = name_server(both).await;
    let looked = found("sickbay.example", &config(&[server], "")).await;
    assert_eq!(shown(looked), "2001:db8::7,10.0.0.7,10.0.0.8 by DNS");
}

#[tokio::test]
async fn a_kind_that_is_not_answered_does_not_hold_up_the_other() {
    let (server, _) = name_server(|asked| {
        let wants_four = asked[asked.len() - 3] == 1;
        wants_four.then(|| both(asked)).flatten()
    })
    .await;
    let looked = found("sickbay.example", &config(&[server], "")).await;
    assert_eq!(shown(looked), "10.0.0.7,10.0.0.8 by DNS");
}

#[tokio::test]
async fn a_short_name_is_searched_for() {
    let (server, _) = name_server(|asked| {
        let is_full = asked.windows(10).any(|it| it == b"\x01b\x07example");
        if is_full { both(asked) } else { nobody(asked) }
    })
    .await;
    let config = config(&[server], "search a.example b.example");
    let looked = found("node", &config).await;
    assert_eq!(shown(looked), "2001:db8::7,10.0.0.7,10.0.0.8 by DNS");
    assert_eq!(found("node.", &config).await, Err(Error::Unknown));
}

#[tokio::test]
async fn another_server_is_asked_where_one_cannot_or_does_not_answer() {
    let (failing, _) = name_server(broken).await;
    let (knowing, _) = name_server(both).await;
    let (other, asked) = name_server(nobody).await;
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = closed.local_addr().unwrap();
    drop(closed);
    let looked = found("a.example", &config(&[silent, failing, knowing, other], "")).await;
    assert!(looked.is_ok());
    assert_eq!(asked.load(Ordering::Relaxed), 0, "one that knows is enough");
    for (servers, expected) in [
        (vec![failing], Error::Failed(2)),
        (vec![silent], Error::Silent),
        (vec![other, knowing], Error::Unknown),
    ] {
        assert_eq!(
            found("a.example", &config(&servers, "")).await,
            Err(expected)
        );
    }
    let (empty, _) = name_server(|asked| Some(answer(asked, 0, &[]))).await;
    let looked = found("a.example", &config(&[empty], "")).await;
    assert_eq!(looked, Err(Error::NoAddress));
}

#[tokio::test]
async fn strangers_packets_are_passed_over() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((size, from)) = socket.recv_from(&mut packet).await {
            let right = both(&packet[..size]).unwrap();
            let mut forged = right.clone();
            forged[0] ^= 1;
            for said in [&forged[..], b"x", &right] {
                socket.send_to(said, from).await.unwrap();
            }
        }
    });
    let looked = found("sickbay.example", &config(&[server], "")).await;
    assert_eq!(shown(looked), "2001:db8::7,10.0.0.7,10.0.0.8 by DNS");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_fetched_over_tcp() {
    let (listener, socket) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Somebody may have the same port for UDP.
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            break (listener, socket);
        }
    };
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((size, from)) = socket.recv_from(&mut packet).await {
            let mut cut = answer(&packet[..size], 0, &[]);
            cut[2] |= 2;
            socket.send_to(&cut, from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut asked).await.unwrap();
            let said = both(&asked).unwrap();
            let length = u16::try_from(said.len()).unwrap();
            stream.write_u16(length).await.unwrap();
            stream.write_all(&said).await.unwrap();
        }
    });
    let looked = found("sickbay.example", &config(&[server], "")).await;
    assert_eq!(shown(looked), "2001:db8::7,10.0.0.7,10.0.0.8 by DNS");
}

#[test]
fn each_address_is_tried_once() {
    let all = ["10.0.0.1", "::1", "10.0.0.1", "::2", "::1", "::3"].map(|it| it.parse().unwrap());
    let turns: Vec<String> = in_turns(all.to_vec())
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(turns, ["::1", "10.0.0.1", "::2", "::3"]);
}
