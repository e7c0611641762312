//! The world's name server.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::{Answers, address};

/// What is said instead of the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Of every name, whether there is such a name or not: this address.
    Address(Ipv4Addr),
    /// Of every name that there is: this address.
    Moved(Ipv4Addr),
    /// This code of RFC 1035, such as 2 (server failure), 3 (no such name) or 5 (refused).
    Code(u8),
    /// The truth, after so many ms.
    Slowly(u64),
    /// Nothing.
    Silence,
}

/// The addresses of the names that there are.
fn truth(name: &str) -> Option<Ipv4Addr> {
    match name {
        "sickbay.lab" => Some(address(1)),
        "zabbix.lab" => Some(address(70)),
        "proxy.lab" => Some(address(60)),
        "logs.lab" => Some(address(71)),
        _ => None,
    }
}

/// Serves until the end.
pub(super) async fn serve(socket: UdpSocket, answers: Answers) {
    let socket = Arc::new(socket);
    let mut packet = [0; 512];
    loop {
        let Ok((size, from)) = socket.recv_from(&mut packet).await else {
            continue;
        };
        let told = answers
            .lock()
            .ok()
            .and_then(|it| it.get(&from.ip()).copied());
        let query = packet.get(..size).unwrap_or_default().to_vec();
        let socket = Arc::clone(&socket);
        tokio::spawn(async move {
            if let Some(Answer::Slowly(ms)) = told {
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            if let Some(reply) = reply(&query, told) {
                socket.send_to(&reply, from).await.ok();
            }
        });
    }
}

/// The answer to a query of one question (RFC 1035).
fn reply(query: &[u8], told: Option<Answer>) -> Option<Vec<u8>> {
    let (name, end) = name(query)?;
    let question = query.get(12..end + 4)?;
    let is_address = query.get(end..end + 2)? == [0, 1];
    let found = match told {
        Some(Answer::Silence) => return None,
        Some(Answer::Address(it)) => Ok(it),
        Some(Answer::Code(code)) => Err(code),
        Some(Answer::Moved(it)) => truth(&name).map(|_| it).ok_or(3),
        Some(Answer::Slowly(_)) | None => truth(&name).ok_or(3),
    };
    let (code, record) = match found {
        Ok(it) if is_address => (0, Some(it)),
        Ok(_) => (0, None),
        Err(code) => (code, None),
    };
    let mut reply = query.get(..2)?.to_vec();
    reply.extend([
        0x85,
        0x80 | code,
        0,
        1,
        0,
        u8::from(record.is_some()),
        0,
        0,
        0,
        0,
    ]);
    reply.extend(question);
    if let Some(it) = record {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        reply.extend(it.octets());
    }
    Some(reply)
}

/// The name that is asked for, and where it ends.
fn name(query: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join(".").to_lowercase(), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).into_owned());
        at += length;
    }
}
