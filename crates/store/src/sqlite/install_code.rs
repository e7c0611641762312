//! Install codes.
//!
//! Owns their table. Whether a code has expired is for the caller to say.

use model::UnixMillis;
use rusqlite::{Connection, Row, params};

use crate::{Error, InstallCode};

const COLUMNS: &str = "id, sealed_code, expires_ms, uses_max, uses, group_id, group_name, os, \
                       vendor, only_image, proxy_cluster, created_ms";

fn code_of(row: &Row<'_>) -> rusqlite::Result<InstallCode> {
    Ok(InstallCode {
        id: row.get(0)?,
        sealed_code: row.get(1)?,
        expires_at: UnixMillis(row.get(2)?),
        uses_max: row.get(3)?,
        uses: row.get(4)?,
        group_id: row.get(5)?,
        group: row.get(6)?,
        os: row.get(7)?,
        vendor: row.get(8)?,
        only_image: row.get(9)?,
        proxy_cluster: row.get(10)?,
        created_at: UnixMillis(row.get(11)?),
    })
}

/// See [`crate::Store::install_code_add`].
pub(super) fn add(tx: &Connection, code: &InstallCode) -> Result<(), Error> {
    let sql =
        format!("INSERT INTO install_code ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    tx.prepare_cached(&sql)?.execute(params![
        code.id,
        code.sealed_code,
        code.expires_at.0,
        code.uses_max,
        code.uses,
        code.group_id,
        code.group,
        code.os,
        code.vendor,
        code.only_image,
        code.proxy_cluster,
        code.created_at.0,
    ])?;
    Ok(())
}

/// See [`crate::Store::install_code_get`].
pub(super) fn get(tx: &Connection, id: &str) -> Result<Option<InstallCode>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM install_code WHERE id = ?");
    let mut select = tx.prepare_cached(&sql)?;
    let mut found = select.query_map([id], code_of)?;
    Ok(found.next().transpose()?)
}

/// See [`crate::Store::install_code_list`].
pub(super) fn list(tx: &Connection) -> Result<Vec<InstallCode>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM install_code ORDER BY created_ms DESC, rowid DESC");
    let mut select = tx.prepare_cached(&sql)?;
    let found = select.query_map([], code_of)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// See [`crate::Store::install_code_delete`].
pub(super) fn delete(tx: &Connection, id: &str) -> Result<bool, Error> {
    let mut delete = tx.prepare_cached("DELETE FROM install_code WHERE id = ?")?;
    Ok(delete.execute([id])? > 0)
}

/// See [`crate::Store::install_code_use`].
pub(super) fn use_once(tx: &Connection, id: &str) -> Result<bool, Error> {
    let sql = "UPDATE install_code SET uses = uses + 1 WHERE id = ? AND uses < uses_max";
    Ok(tx.prepare_cached(sql)?.execute([id])? > 0)
}
