//! Listens to what routers and firewalls say while a connection is tried: who refused it, and why.
//!
//! IPv4 only, and root's privilege; without it nothing is heard and nothing is concluded from that.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Messages that are read at most: others on this host have failures too.
const MESSAGES_MAX: usize = 500;
/// "Destination unreachable", and its codes for what was closed on purpose (RFC 1812, 5.2.7.1).
const UNREACHABLE: u8 = 3;
const PROHIBITED: [u8; 3] = [9, 10, 13];

/// An ear that is open.
#[derive(Debug)]
pub(super) struct Ear(Socket);

/// That somebody says that packets to an address do not get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Who says it.
    pub(super) from: Ipv4Addr,
    /// Which kind of "unreachable" (RFC 792).
    pub(super) code: u8,
    /// Where the packet went.
    pub(super) to: SocketAddr,
}

impl Message {
    /// Whether the way is closed on purpose.
    pub(super) fn is_prohibition(&self) -> bool {
        PROHIBITED.contains(&self.code)
    }

    /// Whether it comes from this very host: a rule of its own.
    pub(super) fn is_ours(&self) -> bool {
        self.from.is_loopback() || UdpSocket::bind((self.from, 0)).is_ok()
    }
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, code, to } = self;
        let what = match code {
            0 => "the network is unreachable",
            1 => "the host is unreachable",
            3 => "the port is unreachable",
            9 | 10 | 13 => "traffic is administratively prohibited",
            _ => "the destination is unreachable",
        };
        write!(f, "{from} answers for {to}: {what} (ICMP 3/{code})")
    }
}

impl Ear {
    /// Opens it, if this process may.
    pub(super) fn open() -> Option<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self(socket))
    }

    /// What was heard so far.
    pub(super) fn heard(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut packet = [0; 256];
        for _ in 0..MESSAGES_MAX {
            let Ok(size) = (&self.0).read(&mut packet) else {
                break;
            };
            messages.extend(parse(packet.get(..size).unwrap_or_default()));
        }
        messages
    }
}

/// An IPv4 header, an ICMP header, and the packet that it is about (RFC 792).
fn parse(packet: &[u8]) -> Option<Message> {
    let (outer, icmp) = header(packet)?;
    let (&kind, &code) = (icmp.first()?, icmp.get(1)?);
    let (inner, transport) = header(icmp.get(8..)?)?;
    let address = |header: &[u8], at: usize| {
        let bytes: [u8; 4] = header.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(bytes))
    };
    let port: [u8; 2] = transport.get(2..4)?.try_into().ok()?;
    let to = SocketAddr::new(IpAddr::V4(address(inner, 16)?), u16::from_be_bytes(port));
    (kind == UNREACHABLE).then_some(Message {
        from: address(outer, 12)?,
        code,
        to,
    })
}

/// Splits a packet after its IPv4 header.
fn header(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    (length >= 20)
        .then(|| packet.split_at_checked(length))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(from: [u8; 4], kind: u8, code: u8, to: [u8; 4], port: u16) -> Vec<u8> {
        let header = |source: [u8; 4], target: [u8; 4]| {
            let mut header = vec![0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0];
            header.extend(source);
            header.extend(target);
            header
        };
        let mut packet = header(from, [10, 77, 1, 2]);
        packet.extend([kind, code, 0, 0, 0, 0, 0, 0]);
        packet.extend(header([10, 77, 1, 2], to));
        packet.extend([0x9c, 0x40]);
        packet.extend(port.to_be_bytes());
        packet
    }

    #[test]
    fn who_closed_the_way_is_heard() {
        let it = parse(&packet([10, 77, 0, 1], 3, 13, [10, 77, 0, 1], 8443)).unwrap();
        assert!(it.is_prohibition() && !it.is_ours());
        let said = "10.77.0.1 answers for 10.77.0.1:8443: traffic is administratively prohibited (ICMP 3/13)";
        assert_eq!(it.to_string(), said);
        let own = parse(&packet([127, 0, 0, 1], 3, 3, [10, 77, 0, 1], 8443)).unwrap();
        assert!(own.is_ours() && !own.is_prohibition());
    }

    #[test]
    fn other_messages_and_broken_ones_are_passed_over() {
        assert_eq!(parse(&packet([10, 0, 0, 1], 11, 0, [10, 0, 0, 2], 1)), None);
        let whole = packet([10, 0, 0, 1], 3, 1, [10, 0, 0, 2], 443);
        for end in 0..whole.len() - 1 {
            assert_eq!(parse(&whole[..end]), None, "{end}");
        }
        assert_eq!(parse(&[0x40; 64]), None);
    }

    #[test]
    fn any_message_is_survived() {
        let sample = packet([10, 0, 0, 1], 3, 13, [10, 0, 0, 7], 443);
        crate::fuzz::bytes("ICMP", &[&sample], |it| {
            let _ = parse(it);
        });
    }
}
