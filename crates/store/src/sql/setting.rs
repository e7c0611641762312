//! Small values that the node keeps, and the pulse by which it sees that writing works.

use model::UnixMillis;

use super::db::{Db, params};
use crate::Error;

/// See [`crate::Store::setting_get`].
pub(super) fn get(tx: &dyn Db, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let sql = "SELECT value FROM setting WHERE name = ?";
    tx.row(sql, params![name], |row| row.get(0))
}

/// See [`crate::Store::setting_put_new`].
pub(super) fn put_new(tx: &dyn Db, name: &str, value: &[u8]) -> Result<Vec<u8>, Error> {
    let sql = "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING";
    tx.execute(sql, params![name, value])?;
    get(tx, name)?.ok_or(Error::NotFound)
}

/// Writes something.
pub(super) fn beat(tx: &dyn Db) -> Result<(), Error> {
    tx.execute("UPDATE pulse SET beats = beats + 1", &[])?;
    Ok(())
}

/// See [`crate::Store::nonce_burn`].
pub(super) fn nonce_burn(
    tx: &dyn Db,
    hash: &[u8],
    expires_at: UnixMillis,
    now: UnixMillis,
) -> Result<bool, Error> {
    tx.execute("DELETE FROM nonce WHERE expires_ms < ?", params![now.0])?;
    let sql = "INSERT INTO nonce (hash, expires_ms) VALUES (?, ?) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, params![hash, expires_at.0])? > 0)
}
