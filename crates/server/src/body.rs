//! The bodies of requests, taken in from anybody.
//!
//! Owns how much memory all of them together may hold, and one address of it, and how slowly they may come: none
//! of it is proven yet. Never looks into a body. The API's door and the console's forms take theirs from here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use futures_util::StreamExt as _;
use model::limits;
use protocol::error::{Code, Fault};
use tokio::time::Instant;

use crate::app::Peer;
use crate::listen::Block;

/// What the bodies of a node hold.
#[derive(Debug)]
pub(crate) struct Bodies {
    taken: Mutex<Taken>,
    /// How long a body may take besides what its length takes at the slowest speed.
    patience: Duration,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            taken: Mutex::default(),
            patience: Duration::from_millis(limits::REQUEST_BODY_MS_MAX),
        }
    }
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<Block, usize>,
}

/// A whole body. Its room is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    /// What came.
    pub(crate) bytes: Vec<u8>,
    bodies: &'a Bodies,
    block: Block,
    all_max: usize,
    room: usize,
}

impl Bodies {
    /// Takes a body in, as long as all of them together hold no more than `all_max` bytes.
    ///
    /// # Errors
    /// It is larger than `bytes_max`, comes too slowly or breaks off, or there is no room for it now.
    pub(crate) async fn take(
        &self,
        peer: Peer,
        body: Body,
        bytes_max: usize,
        all_max: usize,
    ) -> Result<Held<'_>, Fault> {
        let mut held = Held {
            bytes: Vec::new(),
            bodies: self,
            block: Block::of(peer.address),
            all_max,
            room: 0,
        };
        if body.is_end_stream() {
            return Ok(held);
        }
        // What the head says of its length is enough to refuse it.
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > bytes_max {
            return Err(too_large(bytes_max));
        }
        let soonest = Instant::now() + self.patience;
        let mut pieces = body.into_data_stream();
        loop {
            let end = soonest + at_slowest(held.bytes.len());
            let piece = tokio::time::timeout_at(end, pieces.next()).await;
            let Some(piece) = piece.map_err(|_| Fault::from(Code::RequestTimeout))? else {
                return Ok(held);
            };
            let text = "The request body broke off before its end.";
            let piece = piece.map_err(|_| Fault::new(Code::InvalidParameter, text))?;
            let length = held.bytes.len() + piece.len();
            if length > bytes_max {
                return Err(too_large(bytes_max));
            }
            held.make_room(length, bytes_max)?;
            held.bytes.extend_from_slice(&piece);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long so many bytes take at the slowest speed.
fn at_slowest(bytes: usize) -> Duration {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    Duration::from_millis(bytes.saturating_mul(1_000) / limits::REQUEST_BODY_BYTES_PER_SECOND_MIN)
}

fn too_large(bytes_max: usize) -> Fault {
    let text = format!("The request body is larger than {bytes_max} bytes.");
    Fault::new(Code::RequestEntityTooLarge, text)
}

impl Held<'_> {
    /// Makes room for so many bytes in all; doubles it, so that a long body is not copied for each piece.
    fn make_room(&mut self, length: usize, bytes_max: usize) -> Result<(), Fault> {
        if length <= self.room {
            return Ok(());
        }
        let room = length.max((2 * self.room).min(bytes_max));
        let more = room - self.room;
        let mut taken = self.bodies.taken();
        let of = taken.of.get(&self.block).copied().unwrap_or_default() + more;
        let of_max = if self.block.is_loopback() {
            self.all_max
        } else {
            limits::ADDRESS_BODIES_BYTES_MAX
        };
        if of > of_max || taken.all + more > self.all_max {
            let text = "Too many request bodies are on their way at the same time; nothing was done: ask again.";
            return Err(Fault::new(Code::Throttling, text));
        }
        taken.all += more;
        taken.of.insert(self.block, of);
        drop(taken);
        self.room = room;
        self.bytes.reserve_exact(room - self.bytes.len());
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.room == 0 {
            return;
        }
        let mut taken = self.bodies.taken();
        taken.all -= self.room;
        if let Some(of) = taken.of.get_mut(&self.block) {
            *of -= self.room;
            if *of == 0 {
                taken.of.remove(&self.block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::{IpAddr, Ipv4Addr};

    use axum::body::Bytes;
    use futures_util::{Stream, stream};

    use super::*;

    const MIB: usize = 1 << 20;
    const ALL: usize = limits::BODIES_BYTES_MAX;

    fn peer(last: u8) -> Peer {
        Peer {
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
            secure: true,
        }
    }

    fn pieces(count: usize) -> impl Stream<Item = Result<Bytes, Infallible>> {
        let piece = || Ok(Bytes::from(vec![b'x'; 64 << 10]));
        stream::iter((0..count).map(move |_| piece()))
    }

    async fn refused(bodies: &Bodies, last: u8, body: Body) -> Code {
        bodies
            .take(peer(last), body, MIB, ALL)
            .await
            .unwrap_err()
            .code
    }

    #[tokio::test]
    async fn all_bodies_together_hold_no_more_than_their_budget() {
        let bodies = Bodies::default();
        let mut held = Vec::new();
        let of_one = limits::ADDRESS_BODIES_BYTES_MAX / MIB;
        let whole = || Body::from_stream(pieces(16));
        for last in 0..u8::try_from(ALL / limits::ADDRESS_BODIES_BYTES_MAX).unwrap() {
            for _ in 0..of_one {
                let it = bodies.take(peer(last), whole(), MIB, ALL).await.unwrap();
                assert_eq!(it.bytes.len(), MIB);
                assert!(
                    it.bytes.capacity() <= it.room,
                    "what is counted is what is held"
                );
                held.push(it);
            }
            assert_eq!(refused(&bodies, last, whole()).await, Code::Throttling);
        }
        assert_eq!(
            refused(&bodies, 255, Body::from("x")).await,
            Code::Throttling
        );
        assert!(
            bodies
                .take(peer(255), Body::empty(), MIB, ALL)
                .await
                .is_ok()
        );
        held.truncate(held.len() / 2);
        let blind = bodies.take(peer(255), whole(), MIB, limits::BLIND_BODIES_BYTES_MAX);
        assert_eq!(
            blind.await.unwrap_err().code,
            Code::Throttling,
            "half is for others"
        );
        assert!(bodies.take(peer(255), whole(), MIB, ALL).await.is_ok());
        held.clear();
        let taken = bodies.taken();
        assert_eq!((taken.all, taken.of.len()), (0, 0), "all is given back");
    }

    #[tokio::test]
    async fn a_body_that_says_that_it_is_too_long_is_not_read() {
        let bodies = Bodies::default();
        let long = Body::from(vec![b'x'; MIB + 1]);
        assert_eq!(refused(&bodies, 1, long).await, Code::RequestEntityTooLarge);
        let unannounced = Body::from_stream(pieces(17));
        assert_eq!(
            refused(&bodies, 1, unannounced).await,
            Code::RequestEntityTooLarge
        );
        assert_eq!(bodies.taken().all, 0);
    }

    #[tokio::test]
    async fn a_body_that_stops_coming_is_given_up() {
        let bodies = Bodies {
            patience: Duration::ZERO,
            ..Bodies::default()
        };
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        assert_eq!(refused(&bodies, 1, never).await, Code::RequestTimeout);
        let broken: [Result<Bytes, std::io::Error>; 1] = [Err(std::io::ErrorKind::Other.into())];
        let broken = Body::from_stream(stream::iter(broken));
        assert_eq!(refused(&bodies, 1, broken).await, Code::InvalidParameter);
        assert_eq!(bodies.taken().all, 0);
        assert_eq!(at_slowest(1 << 20), Duration::from_secs(8));
    }
}
