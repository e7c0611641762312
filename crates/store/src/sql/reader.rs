//! Connections that only read: a few, opened when needed and kept.
//!
//! Owns the pool. Used by everything that reads the file: short reads where they are asked for, if the
//! driver can do that, others on tokio's threads for blocking work, at most [`READERS`] at a time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use super::db::{Db, Driver};
use crate::Error;

/// Long reads that run at the same time.
const READERS: usize = 4;

/// See the module.
pub(super) struct Readers {
    driver: Arc<dyn Driver>,
    idle: Mutex<Vec<Box<dyn Db>>>,
    /// A permit for each long read that may run; closed with the store.
    pub(super) permits: Arc<Semaphore>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Readers");
        shown.field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl Readers {
    /// A pool for this database.
    pub(super) fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            driver,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Whether reads may run where they are asked for.
    pub(super) fn are_in_place(&self) -> bool {
        self.driver.reads_in_place()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Box<dyn Db>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends a connection that sees one moment, which is not before this is called.
    pub(super) fn lend<T>(
        &self,
        work: impl FnOnce(&dyn Db) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.permits.is_closed() {
            return Err(super::closed());
        }
        let connection = self.begun()?;
        let result = work(&*connection);
        let is_usable = connection.rollback().is_ok() && !connection.is_lost();
        let mut idle = self.idle();
        if is_usable && !self.permits.is_closed() {
            idle.push(connection);
        }
        drop(idle);
        result
    }

    /// A kept connection, unless it was lost meanwhile, or a new one.
    fn begun(&self) -> Result<Box<dyn Db>, Error> {
        loop {
            let kept = self.idle().pop();
            let Some(kept) = kept else { break };
            if kept.begin().is_ok() {
                return Ok(kept);
            }
        }
        let connection = self.driver.open_reader()?;
        connection.begin()?;
        Ok(connection)
    }

    /// Refuses all further reads.
    pub(super) fn close(&self) {
        self.permits.close();
    }

    /// Likewise, and closes the idle connections. May wait for them.
    pub(super) fn end(&self) {
        self.close();
        self.idle().clear();
    }
}
