//! The audit log. Entries are only added; their numbers have no gaps.

use model::UnixMillis;

use super::db::{Db, Row, Value, params};
use crate::audit::stored_digest;
use crate::{AUDIT_DIGEST_BYTES, AuditEntry, AuditQuery, Error, NewAudit, audit_digest};

/// Entries that are read at once while the chain is followed.
const AT_ONCE: i64 = 1_000;

/// See [`crate::Store::audit_append`].
pub(super) fn append(tx: &dyn Db, entries: &[NewAudit]) -> Result<(), Error> {
    let sql = "SELECT no, at_ms, digest FROM audit ORDER BY no DESC LIMIT 1";
    let last = |row: Row<'_>| Ok((row.get(0)?, row.get(1)?, stored_digest(row.get(2)?)?));
    let last: Option<(i64, i64, _)> = tx.row(sql, &[], last)?;
    let (mut no, mut at, mut digest) = last.unwrap_or((0, i64::MIN, [0; AUDIT_DIGEST_BYTES]));
    for entry in entries {
        no = no.saturating_add(1);
        at = at.max(entry.at.0);
        let entry = &NewAudit {
            at: UnixMillis(at),
            ..entry.clone()
        };
        digest = audit_digest(&digest, no, entry);
        tx.execute(
            r#"INSERT INTO audit (no, at_ms, "user", action, text, digest) VALUES (?, ?, ?, ?, ?, ?)"#,
            params![no, entry.at.0, &entry.user, &entry.action, &entry.text, digest.as_slice()],
        )?;
    }
    Ok(())
}

/// See [`crate::Store::audit_page`].
pub(super) fn page(tx: &dyn Db, query: &AuditQuery) -> Result<Vec<AuditEntry>, Error> {
    let mut sql =
        String::from(r#"SELECT no, at_ms, "user", action, text, digest FROM audit WHERE no < ?"#);
    let mut values = vec![Value::Integer(query.before.unwrap_or(i64::MAX))];
    for (column, value) in [(r#""user""#, &query.user), ("action", &query.action)] {
        if let Some(value) = value {
            sql.push_str(&format!(" AND {column} = ?"));
            values.push(Value::Text(value));
        }
    }
    // Times ascend with the numbers, so a window is a range of them.
    let window = [
        (
            "no >= coalesce((SELECT no FROM audit WHERE at_ms >= ? ORDER BY at_ms, no LIMIT 1), 9223372036854775807)",
            query.window.start,
        ),
        (
            "no <= coalesce((SELECT no FROM audit WHERE at_ms <= ? ORDER BY at_ms DESC, no DESC LIMIT 1), 0)",
            query.window.end,
        ),
    ];
    for (test, value) in window {
        if let Some(value) = value {
            sql.push_str(" AND ");
            sql.push_str(test);
            values.push(Value::Integer(value.0));
        }
    }
    sql.push_str(" ORDER BY no DESC LIMIT ?");
    values.push(Value::Integer(query.size.into()));
    tx.rows(&sql, &values, entry)
}

fn entry(row: Row<'_>) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        no: row.get(0)?,
        entry: NewAudit {
            at: UnixMillis(row.get(1)?),
            user: row.get(2)?,
            action: row.get(3)?,
            text: row.get(4)?,
        },
        digest: stored_digest(row.get(5)?)?,
    })
}

/// Follows the chain from its first entry: one line per entry that does not follow from the one before.
pub(crate) fn verify(tx: &dyn Db) -> Result<Vec<String>, Error> {
    let (mut lines, mut no, mut digest) = (Vec::new(), 0_i64, [0; AUDIT_DIGEST_BYTES]);
    loop {
        let sql = r#"SELECT no, at_ms, "user", action, text, digest FROM audit WHERE no > ? ORDER BY no LIMIT ?"#;
        let entries: Vec<AuditEntry> = tx.rows(sql, params![no, AT_ONCE], entry)?;
        for it in &entries {
            if it.no != no.saturating_add(1) {
                lines.push(format!(
                    "audit: entries {} to {} are missing",
                    no.saturating_add(1),
                    it.no.saturating_sub(1)
                ));
            } else if it.digest != audit_digest(&digest, it.no, &it.entry) {
                lines.push(format!("audit: entry {} does not follow from the one before it: its text or that one was changed", it.no));
            }
            (no, digest) = (it.no, it.digest);
        }
        if entries.is_empty() || lines.len() > LINES_MAX {
            return Ok(lines);
        }
    }
}

/// After so many differences no more are looked for.
const LINES_MAX: usize = 1_000;
