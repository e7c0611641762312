//! Install codes.
//!
//! Owns their table. Whether a code has expired is for the caller to say.

use model::UnixMillis;
use rusqlite::{Connection, Row, params};

use crate::{Error, InstallCode};

const COLUMNS: &str = "code, expires_ms, group_id, group_name, os, vendor, only_image, \
                       proxy_cluster, created_ms";

fn code_of(row: &Row<'_>) -> rusqlite::Result<InstallCode> {
    Ok(InstallCode {
        code: row.get(0)?,
        expires_at: UnixMillis(row.get(1)?),
        group_id: row.get(2)?,
        group: row.get(3)?,
        os: row.get(4)?,
        vendor: row.get(5)?,
        only_image: row.get(6)?,
        proxy_cluster: row.get(7)?,
        created_at: UnixMillis(row.get(8)?),
    })
}

/// See [`crate::Store::install_code_add`].
pub(super) fn add(tx: &Connection, code: &InstallCode) -> Result<(), Error> {
    let sql = format!("INSERT INTO install_code ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    tx.prepare_cached(&sql)?.execute(params![
        code.code,
        code.expires_at.0,
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
pub(super) fn get(tx: &Connection, code: &str) -> Result<Option<InstallCode>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM install_code WHERE code = ?");
    let mut select = tx.prepare_cached(&sql)?;
    let mut found = select.query_map([code], code_of)?;
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
pub(super) fn delete(tx: &Connection, code: &str) -> Result<bool, Error> {
    let mut delete = tx.prepare_cached("DELETE FROM install_code WHERE code = ?")?;
    Ok(delete.execute([code])? > 0)
}
