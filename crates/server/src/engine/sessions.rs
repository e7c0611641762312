//! Which hosts are connected to this node, and the way to each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::HostUuid;
use protocol::frame::DownFrame;
use store::HostNo;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The way to one connected host.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Tells sessions of the same host apart.
    pub(crate) id: u64,
    /// The host's uuid.
    pub(crate) uuid: HostUuid,
    /// Frames for the host.
    pub(crate) frames: mpsc::Sender<DownFrame>,
    /// Closes the session.
    pub(crate) close: CancellationToken,
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
            other.close.cancel();
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
            session.close.cancel();
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

    /// Puts a frame in line for a host. Returns whether it is connected and takes it; a session
    /// whose line is full is too slow and is closed.
    pub(crate) fn send(&self, host: HostNo, frame: DownFrame) -> bool {
        let sessions = self.lock();
        let Some(session) = sessions.get(&host) else {
            return false;
        };
        match session.frames.try_send(frame) {
            Ok(()) => true,
            Err(_) => {
                session.close.cancel();
                false
            }
        }
    }
}
