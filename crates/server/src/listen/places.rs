//! Who may hold how many connections.
//!
//! Owns the places of a node: so many in all, and so few of one address for those that have not
//! proved who they are, that one of them cannot lock out the others. Never accepts or closes a
//! connection itself.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The addresses that one party is taken to command: one IPv4 address, one IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Block(IpAddr);

impl Block {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(it) if !it.is_loopback() => {
                let network = it.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            it => it,
        })
    }

    /// Whether everything behind it is on this machine, or comes through it.
    pub(crate) const fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }

    const fn strangers_max(self) -> usize {
        if self.is_loopback() {
            limits::LOOPBACK_CONNECTIONS_MAX
        } else {
            limits::ADDRESS_CONNECTIONS_MAX
        }
    }
}

/// The places of a node.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// However few places there are, one address has at most half of them.
    half: usize,
    strangers: Mutex<HashMap<Block, usize>>,
}

impl Places {
    pub(super) fn new(connections_max: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(connections_max)),
            half: connections_max / 2,
            strangers: Mutex::default(),
        })
    }

    fn strangers(&self) -> MutexGuard<'_, HashMap<Block, usize>> {
        self.strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a connection more can be served.
    pub(super) async fn free(&self) -> io::Result<OwnedSemaphorePermit> {
        let free = Arc::clone(&self.all).acquire_owned().await;
        free.map_err(io::Error::other)
    }

    /// The place of a new connection, unless there are too many strangers at its address.
    pub(super) fn take(
        self: &Arc<Self>,
        free: OwnedSemaphorePermit,
        address: IpAddr,
    ) -> Option<Place> {
        let block = Block::of(address);
        let mut strangers = self.strangers();
        let count = strangers.entry(block).or_default();
        if *count >= block.strangers_max().min(self.half) {
            return None;
        }
        *count += 1;
        drop(strangers);
        Some(Place {
            block,
            is_stranger: AtomicBool::new(true),
            places: Arc::clone(self),
            _free: free,
        })
    }

    fn leave(&self, block: Block) {
        let mut strangers = self.strangers();
        if let Some(count) = strangers.get_mut(&block) {
            *count -= 1;
            if *count == 0 {
                strangers.remove(&block);
            }
        }
    }
}

/// The place of one connection. A session takes it over from the request that began it.
#[derive(Debug)]
pub(crate) struct Place {
    block: Block,
    is_stranger: AtomicBool,
    places: Arc<Places>,
    _free: OwnedSemaphorePermit,
}

impl Place {
    /// The other end has proved that it is a host of this node: it no longer counts as a stranger.
    pub(crate) fn known(&self) {
        if self.is_stranger.swap(false, Ordering::Relaxed) {
            self.places.leave(self.block);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.known();
    }
}

/// Lets this process open as many files as it may, and says how many connections that allows.
pub(super) fn connections_max() -> usize {
    let before = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    let files = getrlimit(Resource::Nofile).current;
    let connections = connections_with(files);
    if connections < limits::CONNECTIONS_MAX {
        tracing::warn!(
            files.max = files,
            connections.max = connections,
            "the limit of open files allows fewer connections than this node could serve"
        );
    } else {
        tracing::info!(
            files.max = files,
            connections.max = connections,
            "connections that this node serves at once"
        );
    }
    connections
}

/// `files` is the limit of open files; `None`: there is none.
fn connections_with(files: Option<u64>) -> usize {
    let files = files.and_then(|it| usize::try_from(it).ok());
    let files = files.unwrap_or(usize::MAX);
    let connections = files.saturating_sub(limits::FILES_RESERVED).max(files / 2);
    connections.min(limits::CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(places: &Arc<Places>, address: &str) -> Option<Place> {
        let free = Arc::clone(&places.all).try_acquire_owned().unwrap();
        places.take(free, address.parse().unwrap())
    }

    #[tokio::test]
    async fn strangers_of_one_address_do_not_lock_out_others() {
        let places = Places::new(10_000);
        let fill = |address: &str, most: usize| {
            let held: Vec<Place> = (0..most)
                .map(|_| enter(&places, address).unwrap())
                .collect();
            assert!(enter(&places, address).is_none(), "{address}");
            held
        };
        let v4 = fill("192.0.2.1", limits::ADDRESS_CONNECTIONS_MAX);
        assert!(enter(&places, "::ffff:192.0.2.1").is_none(), "the same");
        assert!(enter(&places, "192.0.2.2").is_some());
        let _v6 = fill("2001:db8::1", limits::ADDRESS_CONNECTIONS_MAX);
        assert!(enter(&places, "2001:db8::ffff:1").is_none(), "the same /64");
        assert!(enter(&places, "2001:db8:0:1::1").is_some());
        let _loopback = fill("127.0.0.1", limits::LOOPBACK_CONNECTIONS_MAX);
        assert!(enter(&places, "::1").is_some());
        drop(v4);
        assert!(enter(&places, "192.0.2.1").is_some());
    }

    #[tokio::test]
    async fn a_known_host_keeps_its_place_but_is_no_stranger() {
        let places = Places::new(2);
        let host = enter(&places, "192.0.2.1").unwrap();
        host.known();
        host.known();
        assert!(places.strangers().is_empty());
        let _stranger = enter(&places, "192.0.2.1").unwrap();
        assert_eq!(places.all.available_permits(), 0);
        drop(host);
        assert_eq!(places.all.available_permits(), 1);
        assert_eq!(places.strangers().len(), 1);
    }

    #[tokio::test]
    async fn one_address_has_at_most_half_of_few_places() {
        let places = Places::new(3);
        let _stranger = enter(&places, "127.0.0.1").unwrap();
        assert!(enter(&places, "127.0.0.1").is_none());
        assert!(enter(&places, "::1").is_some());
    }

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(connections_with(None), limits::CONNECTIONS_MAX);
        assert_eq!(connections_with(Some(1 << 20)), limits::CONNECTIONS_MAX);
        assert_eq!(connections_with(Some(1_024)), 768);
        assert_eq!(connections_with(Some(256)), 128);
    }
}
