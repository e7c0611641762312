//! Users, access keys, policies and tokens.
//!
//! Owns their tables. Secrets are sealed before they come here; rights are judged elsewhere.

use model::UnixMillis;

use super::db::{Db, Row, params};
use crate::{AccessKey, Error, Policy, Token, User};

fn key_of(row: Row<'_>) -> Result<AccessKey, Error> {
    Ok(AccessKey {
        id: row.get(0)?,
        user: row.get(1)?,
        sealed_secret: row.get(2)?,
        active: row.get(3)?,
        created_at: UnixMillis(row.get(4)?),
    })
}

/// See [`crate::Store::user_add`].
pub(super) fn user_add(tx: &dyn Db, name: &str, now: UnixMillis) -> Result<(), Error> {
    let sql = r#"INSERT INTO "user" (name, created_ms) VALUES (?, ?)"#;
    tx.execute(sql, params![name, now.0])?;
    Ok(())
}

/// See [`crate::Store::user_list`].
pub(super) fn user_list(tx: &dyn Db) -> Result<Vec<User>, Error> {
    let sql = r#"SELECT name FROM "user" ORDER BY name"#;
    let names: Vec<String> = tx.rows(sql, &[], |row| row.get(0))?;
    let mut users = Vec::with_capacity(names.len());
    for name in names {
        users.extend(user_get(tx, &name)?);
    }
    Ok(users)
}

/// See [`crate::Store::user_get`].
pub(super) fn user_get(tx: &dyn Db, name: &str) -> Result<Option<User>, Error> {
    let sql = r#"SELECT created_ms FROM "user" WHERE name = ?"#;
    let Some(created) = tx.row(sql, params![name], |row| row.get(0))? else {
        return Ok(None);
    };
    let keys = r#"SELECT id, "user", sealed_secret, active, created_ms FROM access_key
         WHERE "user" = ? ORDER BY created_ms, no"#;
    let policies = r#"SELECT name, document FROM policy WHERE "user" = ? ORDER BY name"#;
    Ok(Some(User {
        name: name.to_owned(),
        created_at: UnixMillis(created),
        keys: tx.rows(keys, params![name], key_of)?,
        policies: tx.rows(policies, params![name], |row| {
            Ok(Policy {
                name: row.get(0)?,
                document: row.get(1)?,
            })
        })?,
    }))
}

/// See [`crate::Store::user_delete`]. Keys and policies go with their user by reference.
pub(super) fn user_delete(tx: &dyn Db, name: &str) -> Result<bool, Error> {
    let deleted = tx.execute(r#"DELETE FROM "user" WHERE name = ?"#, params![name])?;
    if deleted > 0 {
        tx.execute(r#"DELETE FROM token WHERE "user" = ?"#, params![name])?;
    }
    Ok(deleted > 0)
}

/// See [`crate::Store::key_add`].
pub(super) fn key_add(tx: &dyn Db, key: &AccessKey) -> Result<(), Error> {
    tx.execute(
        r#"INSERT INTO access_key (no, id, "user", sealed_secret, active, created_ms)
           VALUES ((SELECT coalesce(max(no), 0) + 1 FROM access_key), ?, ?, ?, ?, ?)"#,
        params![
            &key.id,
            &key.user,
            &key.sealed_secret,
            key.active,
            key.created_at.0,
        ],
    )?;
    Ok(())
}

/// See [`crate::Store::key_get`].
pub(super) fn key_get(tx: &dyn Db, id: &str) -> Result<Option<AccessKey>, Error> {
    tx.row(
        r#"SELECT id, "user", sealed_secret, active, created_ms FROM access_key WHERE id = ?"#,
        params![id],
        key_of,
    )
}

/// See [`crate::Store::key_set_active`].
pub(super) fn key_set_active(tx: &dyn Db, id: &str, active: bool) -> Result<bool, Error> {
    let sql = "UPDATE access_key SET active = ? WHERE id = ?";
    Ok(tx.execute(sql, params![active, id])? > 0)
}

/// See [`crate::Store::key_delete`].
pub(super) fn key_delete(tx: &dyn Db, id: &str) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM access_key WHERE id = ?", params![id])? > 0)
}

/// See [`crate::Store::policy_put`].
pub(super) fn policy_put(tx: &dyn Db, user: &str, policy: &Policy) -> Result<(), Error> {
    tx.execute(
        r#"INSERT INTO policy ("user", name, document) VALUES (?, ?, ?)
           ON CONFLICT ("user", name) DO UPDATE SET document = excluded.document"#,
        params![user, &policy.name, &policy.document],
    )?;
    Ok(())
}

/// See [`crate::Store::policy_delete`].
pub(super) fn policy_delete(tx: &dyn Db, user: &str, name: &str) -> Result<bool, Error> {
    let sql = r#"DELETE FROM policy WHERE "user" = ? AND name = ?"#;
    Ok(tx.execute(sql, params![user, name])? > 0)
}

/// See [`crate::Store::token_add`].
pub(super) fn token_add(tx: &dyn Db, token: &Token, now: UnixMillis) -> Result<(), Error> {
    tx.execute("DELETE FROM token WHERE expires_ms < ?", params![now.0])?;
    tx.execute(
        r#"INSERT INTO token (id, "user", sealed_secret, token_hash, policy, issuer, expires_ms)
           VALUES (?, ?, ?, ?, ?, ?, ?)"#,
        params![
            &token.id,
            &token.user,
            &token.sealed_secret,
            &token.token_hash,
            &token.policy,
            &token.issuer,
            token.expires_at.0,
        ],
    )?;
    Ok(())
}

/// See [`crate::Store::token_delete`].
pub(super) fn token_delete(tx: &dyn Db, id: &str) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM token WHERE id = ?", params![id])? > 0)
}

/// See [`crate::Store::token_get`].
pub(super) fn token_get(tx: &dyn Db, id: &str) -> Result<Option<Token>, Error> {
    let sql = r#"SELECT id, "user", sealed_secret, token_hash, policy, issuer, expires_ms FROM token
         WHERE id = ?"#;
    tx.row(sql, params![id], |row| {
        Ok(Token {
            id: row.get(0)?,
            user: row.get(1)?,
            sealed_secret: row.get(2)?,
            token_hash: row.get(3)?,
            policy: row.get(4)?,
            issuer: row.get(5)?,
            expires_at: UnixMillis(row.get(6)?),
        })
    })
}
