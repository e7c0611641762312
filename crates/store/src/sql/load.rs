//! From a database to a store that works on it.
//!
//! Owns the opening of the write connection and the building of the memory: when a store opens, and
//! again when the connection was lost.

use super::active::Active;
use super::db::Driver;
use super::writer::Connection;
use super::{host, verify};
use crate::Error;

/// The write connection, and the memory as it has to be with it.
pub(super) struct Loaded {
    pub(super) connection: Connection,
    pub(super) active: Active,
}

/// Opens the write connection and rebuilds the unfinished roots from their journals.
pub(super) fn load(driver: &dyn Driver) -> Result<Loaded, Error> {
    let db = driver.open_writer()?;
    let (folds, damaged) = verify::rebuild_unfinished(&*db)?;
    let hosts = host::numbers(&*db)?;
    let no_max = db.number("SELECT coalesce(max(no), 0) FROM root", &[])?;
    let block = db.number("SELECT coalesce(max(block), 0) + 1 FROM journal", &[])?;
    let block =
        u32::try_from(block).map_err(|_| Error::Corrupt(format!("journal block {block}")))?;
    tracing::info!(
        store.path = driver.place(),
        store.unfinished_roots = folds.len(),
        store.damaged_roots = damaged.len(),
        store.hosts = hosts.len(),
        "the store is open"
    );
    Ok(Loaded {
        connection: Connection { db, block },
        active: Active::new(folds, damaged, hosts, no_max),
    })
}
