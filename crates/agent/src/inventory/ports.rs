//! Listening sockets: `/proc/net/{tcp,tcp6,udp,udp6}` and the processes that hold them (proc(5)).
//!
//! Sees the network namespace of the agent alone.

use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
};

use protocol::answer::Port;

use super::{Unread, processes, read};

const SUBJECT: &str = "ports";
/// `TCP_LISTEN` and `TCP_CLOSE` (include/net/tcp_states.h); the latter is a UDP socket without peer.
const STATE_LISTEN: &str = "0A";
const STATE_UNCONNECTED: &str = "07";
/// Open files that are looked at in search of owners.
const FILES_MAX: usize = 1_000_000;

struct Socket {
    protocol: &'static str,
    address: String,
    port: u16,
    inode: u64,
}

pub(super) fn collect(unread: &mut Unread) -> Vec<Port> {
    let mut sockets = Vec::new();
    for (protocol, state, is_needed) in [
        ("tcp", STATE_LISTEN, true),
        ("tcp6", STATE_LISTEN, false),
        ("udp", STATE_UNCONNECTED, true),
        ("udp6", STATE_UNCONNECTED, false),
    ] {
        let path = Path::new("/proc/net").join(protocol);
        match read::text(&path) {
            Ok(text) => sockets.extend(parse(protocol, state, &text)),
            // A host without IPv6 has no such files.
            Err(error) if is_needed => unread.failed(SUBJECT, &path, &error),
            Err(_) => {}
        }
    }
    let sockets = unread.cap(SUBJECT, sockets);
    let owners = owners(&sockets, unread);
    sockets
        .into_iter()
        .map(|socket| {
            let pid = owners.get(&socket.inode).copied();
            let stat = pid.and_then(processes::Stat::read);
            Port {
                protocol: socket.protocol.to_owned(),
                address: socket.address,
                port: socket.port,
                pid,
                process: stat.map(|stat| stat.name).unwrap_or_default(),
            }
        })
        .collect()
}

fn parse(protocol: &'static str, state: &str, text: &str) -> Vec<Socket> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        if fields.nth(1)? != state {
            return None;
        }
        let (address, port) = local.split_once(':')?;
        Some(Socket {
            protocol,
            address: parse_address(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            inode: fields.nth(5)?.parse().ok()?,
        })
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// Each word of an address is printed as the number that the host's byte order makes of it.
fn parse_address(text: &str) -> Option<String> {
    let word = |at: usize| {
        let digits = text.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).to_string()),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).to_string())
        }
        _ => None,
    }
}

/// The lowest process id for each socket.
fn owners(sockets: &[Socket], unread: &mut Unread) -> HashMap<u64, i32> {
    let mut wanted: HashSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
    let mut owners = HashMap::new();
    let mut files = 0;
    for pid in processes::pids() {
        if wanted.is_empty() {
            break;
        }
        let folder = processes::folder(pid).join("fd");
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            files += 1;
            let target = std::fs::read_link(entry.path()).unwrap_or_default();
            if let Some(inode) = target.to_str().and_then(parse_socket)
                && wanted.remove(&inode)
            {
                owners.insert(inode, pid);
            }
        }
        if files > FILES_MAX {
            unread.say("ports: too many open files: some owners were not searched");
            break;
        }
    }
    if !wanted.is_empty() && !rustix::process::geteuid().is_root() {
        unread.say("ports: without root, owners of other users' sockets cannot be seen");
    }
    owners
}

fn parse_socket(target: &str) -> Option<u64> {
    let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn found(protocol: &'static str, state: &str, lines: &str) -> Vec<(String, u16, u64)> {
        let sockets = parse(protocol, state, &format!("{HEAD}{lines}"));
        let parts = sockets
            .into_iter()
            .map(|it| (it.address, it.port, it.inode));
        parts.collect()
    }

    #[test]
    fn only_listening_sockets_are_taken() {
        let lines = "   0: 0100007F:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1664 1 00000000a5d84070 100 0 0 10 0\n   1: 0100007F:07E8 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 99 1 0 20 4 30 10 -1\n  cut";
        assert_eq!(
            found("tcp", STATE_LISTEN, lines),
            [("127.0.0.1".to_owned(), 2024, 1664)]
        );
    }

    #[test]
    fn addresses_of_both_families_are_readable() {
        let lines = "   0: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 20 2 0 0\n";
        assert_eq!(
            found("udp6", STATE_UNCONNECTED, lines),
            [("::1".to_owned(), 53, 20)]
        );
        assert_eq!(parse_address("0202000A").as_deref(), Some("10.0.2.2"));
        assert_eq!(parse_address("02"), None);
    }

    #[test]
    fn broken_tables_are_survived() {
        let sample = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 12345 1\n";
        crate::fuzz::text("ports", &[sample, "socket:[12345]"], |it| {
            drop((parse("tcp", "0A", it), parse_socket(it)));
        });
    }
}
