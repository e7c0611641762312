//! Which hosts are connected to this node, and the way to each.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{HostUuid, limits};
use protocol::frame::DownFrame;
use store::HostNo;
use tokio::sync::Notify;

/// The way to one connected host.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Tells sessions of the same host apart.
    pub(crate) id: u64,
    /// The host's uuid.
    pub(crate) uuid: HostUuid,
    /// Frames for the host.
    pub(crate) line: Arc<Line>,
}

/// Frames in line for one session, until it is closed. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Line {
    frames: Mutex<Frames>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Frames {
    waiting: VecDeque<DownFrame>,
    is_closed: bool,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame in line. Returns whether the session takes it: one whose line is full is too slow
    /// and is closed.
    fn put(&self, frame: DownFrame) -> bool {
        let mut frames = self.lock();
        if frames.is_closed {
            return false;
        }
        if frames.waiting.len() >= limits::SESSION_QUEUE_FRAMES_MAX {
            drop(frames);
            self.close();
            return false;
        }
        frames.waiting.push_back(frame);
        drop(frames);
        self.changed.notify_one();
        true
    }

    /// Closes the session; what is still in line is dropped.
    pub(crate) fn close(&self) {
        *self.lock() = Frames {
            waiting: VecDeque::new(),
            is_closed: true,
        };
        self.changed.notify_one();
    }

    /// The next frame; `None`: the session is closed. For one taker, who may drop this and call again.
    pub(crate) async fn next(&self) -> Option<DownFrame> {
        loop {
            {
                let mut frames = self.lock();
                if frames.is_closed {
                    return None;
                }
                if let Some(frame) = frames.waiting.pop_front() {
                    if frames.waiting.is_empty() {
                        frames.waiting = VecDeque::new();
                    }
                    return Some(frame);
                }
            }
            self.changed.notified().await;
        }
    }
}

/// The connected hosts.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_host: Mutex<HashMap<HostNo, Session>>,
    changes: AtomicU64,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<HostNo, Session>> {
        self.by_host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes this its host's session and closes the one before it, unless a session that arrived later
    /// is there already. Returns whether it is the host's now.
    pub(crate) fn add(&self, host: HostNo, session: Session) -> bool {
        let mut sessions = self.lock();
        if let Some(other) = sessions.get(&host) {
            if other.id > session.id {
                return false;
            }
            other.line.close();
        }
        sessions.insert(host, session);
        drop(sessions);
        self.changes.fetch_add(1, Ordering::Release);
        true
    }

    /// Changes whenever a host connects or disconnects.
    pub(crate) fn generation(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Removes a session, unless a newer one of the host is there. Returns whether it was removed.
    pub(crate) fn remove(&self, host: HostNo, id: u64) -> bool {
        let mut sessions = self.lock();
        let is_it = sessions.get(&host).is_some_and(|it| it.id == id);
        if is_it {
            sessions.remove(&host);
            self.changes.fetch_add(1, Ordering::Release);
        }
        is_it
    }

    /// Closes the session of a host, if there is one.
    pub(crate) fn close(&self, host: HostNo) {
        if let Some(session) = self.lock().get(&host) {
            session.line.close();
        }
    }

    /// Whether the host is connected.
    pub(crate) fn is_online(&self, host: HostNo) -> bool {
        self.lock().contains_key(&host)
    }

    /// The connected hosts, ascending.
    pub(crate) fn online(&self) -> Vec<HostNo> {
        let mut hosts: Vec<HostNo> = self.lock().keys().copied().collect();
        hosts.sort_unstable();
        hosts
    }

    /// How many hosts are connected.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The uuid of a connected host.
    pub(crate) fn uuid(&self, host: HostNo) -> Option<HostUuid> {
        self.lock().get(&host).map(|it| it.uuid.clone())
    }

    /// Puts a frame in line for a host. Returns whether it is connected and takes it.
    pub(crate) fn send(&self, host: HostNo, frame: DownFrame) -> bool {
        let sessions = self.lock();
        let session = sessions.get(&host);
        session.is_some_and(|it| it.line.put(frame))
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::Heartbeat;

    use super::*;

    fn frame(now_ms: i64) -> DownFrame {
        DownFrame::Heartbeat(Heartbeat { now_ms })
    }

    #[tokio::test]
    async fn frames_leave_in_order_and_leave_no_memory() {
        let line = Line::default();
        assert!(line.put(frame(1)) && line.put(frame(2)));
        assert_eq!(line.next().await, Some(frame(1)));
        assert_eq!(line.next().await, Some(frame(2)));
        assert_eq!(line.lock().waiting.capacity(), 0);
        let (taken, put) = tokio::join!(line.next(), async { line.put(frame(3)) });
        assert_eq!((taken, put), (Some(frame(3)), true));
    }

    #[tokio::test]
    async fn a_session_that_is_too_slow_is_closed() {
        let line = Line::default();
        for _ in 0..limits::SESSION_QUEUE_FRAMES_MAX {
            assert!(line.put(frame(0)));
        }
        assert!(!line.put(frame(0)), "one too many");
        assert_eq!(line.next().await, None);
        assert!(!line.put(frame(0)), "it is closed");
        assert_eq!(line.lock().waiting.capacity(), 0);
    }

    #[tokio::test]
    async fn closing_wakes_the_taker() {
        let line = Line::default();
        let (taken, ()) = tokio::join!(line.next(), async { line.close() });
        assert_eq!(taken, None);
    }
}
