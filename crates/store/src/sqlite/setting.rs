//! Small values that the node keeps, and the pulse by which it sees that writing works.

use model::UnixMillis;
use rusqlite::{Connection, OptionalExtension};

use crate::Error;

/// See [`crate::Store::setting_get`].
pub(super) fn get(tx: &Connection, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let found = tx
        .prepare_cached("SELECT value FROM setting WHERE name = ?")?
        .query_row([name], |row| row.get(0));
    Ok(found.optional()?)
}

/// See [`crate::Store::setting_put_new`].
pub(super) fn put_new(tx: &Connection, name: &str, value: &[u8]) -> Result<Vec<u8>, Error> {
    tx.prepare_cached("INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute((name, value))?;
    get(tx, name)?.ok_or(Error::NotFound)
}

/// Writes something.
pub(super) fn beat(tx: &Connection) -> Result<(), Error> {
    tx.prepare_cached("UPDATE pulse SET beats = beats + 1")?
        .execute([])?;
    Ok(())
}

/// See [`crate::Store::nonce_burn`].
pub(super) fn nonce_burn(
    tx: &Connection,
    hash: &[u8],
    expires_at: UnixMillis,
    now: UnixMillis,
) -> Result<bool, Error> {
    tx.prepare_cached("DELETE FROM nonce WHERE expires_ms < ?")?
        .execute([now.0])?;
    let sql = "INSERT INTO nonce (hash, expires_ms) VALUES (?, ?) ON CONFLICT DO NOTHING";
    Ok(tx.prepare_cached(sql)?.execute((hash, expires_at.0))? > 0)
}
