//! Connections that only read: a few, opened when needed and kept.
//!
//! Owns the pool. Used by everything that reads the file: short reads where they are asked for, long
//! ones on tokio's threads for blocking work, at most [`READERS`] at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::schema;
use crate::Error;

/// Long reads that run at the same time.
const READERS: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// A permit for each long read that may run; closed with the store.
    pub(super) permits: Arc<Semaphore>,
}

impl Readers {
    /// A pool for the file at `path`.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Lends a connection.
    pub(super) fn lend<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if self.permits.is_closed() {
            return Err(super::closed());
        }
        let kept = idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        let result = work(&connection);
        let mut idle = idle();
        if !self.permits.is_closed() {
            idle.push(connection);
        }
        drop(idle);
        result
    }

    /// Refuses all further reads and closes the idle connections.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
