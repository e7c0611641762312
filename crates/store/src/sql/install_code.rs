//! Install codes.
//!
//! Owns their table. Whether a code has expired is for the caller to say.

use model::UnixMillis;

use super::db::{Db, Row, params};
use super::host::labels_of;
use crate::{Error, InstallCode};

const COLUMNS: &str = "id, sealed_code, expires_ms, uses_max, uses, group_id, group_name, \
                       labels, os, vendor, only_image, proxy_cluster, created_ms";

fn code_of(row: Row<'_>) -> Result<InstallCode, Error> {
    Ok(InstallCode {
        id: row.get(0)?,
        sealed_code: row.get(1)?,
        expires_at: UnixMillis(row.get(2)?),
        uses_max: row.get(3)?,
        uses: row.get(4)?,
        group_id: row.get(5)?,
        group: row.get(6)?,
        labels: labels_of(row.get(7)?)?,
        os: row.get(8)?,
        vendor: row.get(9)?,
        only_image: row.get(10)?,
        proxy_cluster: row.get(11)?,
        created_at: UnixMillis(row.get(12)?),
    })
}

/// See [`crate::Store::install_code_add`].
pub(super) fn add(tx: &dyn Db, code: &InstallCode) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO install_code (no, {COLUMNS})
         VALUES ((SELECT coalesce(max(no), 0) + 1 FROM install_code),
           ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    );
    let labels = code.labels.to_string();
    let params = params![
        &code.id,
        &code.sealed_code,
        code.expires_at.0,
        code.uses_max,
        code.uses,
        code.group_id,
        &code.group,
        &labels,
        &code.os,
        &code.vendor,
        code.only_image,
        &code.proxy_cluster,
        code.created_at.0,
    ];
    tx.execute(&sql, params)?;
    Ok(())
}

/// See [`crate::Store::install_code_get`].
pub(super) fn get(tx: &dyn Db, id: &str) -> Result<Option<InstallCode>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM install_code WHERE id = ?");
    tx.row(&sql, params![id], code_of)
}

/// See [`crate::Store::install_code_list`].
pub(super) fn list(tx: &dyn Db) -> Result<Vec<InstallCode>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM install_code ORDER BY created_ms DESC, no DESC");
    tx.rows(&sql, &[], code_of)
}

/// See [`crate::Store::install_code_delete`].
pub(super) fn delete(tx: &dyn Db, id: &str) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM install_code WHERE id = ?", params![id])? > 0)
}

/// See [`crate::Store::install_code_use`].
pub(super) fn use_once(tx: &dyn Db, id: &str) -> Result<bool, Error> {
    let sql = "UPDATE install_code SET uses = uses + 1 WHERE id = ? AND uses < uses_max";
    Ok(tx.execute(sql, params![id])? > 0)
}
