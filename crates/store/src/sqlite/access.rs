//! Users, access keys, policies and tokens.
//!
//! Owns their tables. Secrets are sealed before they come here; rights are judged elsewhere.

use model::UnixMillis;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::{AccessKey, Error, Policy, Token, User};

fn key_of(row: &Row<'_>) -> rusqlite::Result<AccessKey> {
    Ok(AccessKey {
        id: row.get(0)?,
        user: row.get(1)?,
        sealed_secret: row.get(2)?,
        active: row.get(3)?,
        created_at: UnixMillis(row.get(4)?),
    })
}

/// See [`crate::Store::user_add`].
pub(super) fn user_add(tx: &Connection, name: &str, now: UnixMillis) -> Result<(), Error> {
    tx.prepare_cached("INSERT INTO user (name, created_ms) VALUES (?, ?)")?
        .execute((name, now.0))?;
    Ok(())
}

/// See [`crate::Store::user_list`].
pub(super) fn user_list(tx: &Connection) -> Result<Vec<User>, Error> {
    let mut select = tx.prepare_cached("SELECT name FROM user ORDER BY name")?;
    let names = select.query_map([], |row| row.get::<_, String>(0))?;
    let mut users = Vec::new();
    for name in names {
        users.extend(user_get(tx, &name?)?);
    }
    Ok(users)
}

/// See [`crate::Store::user_get`].
pub(super) fn user_get(tx: &Connection, name: &str) -> Result<Option<User>, Error> {
    let created = tx
        .prepare_cached("SELECT created_ms FROM user WHERE name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let Some(created) = created else {
        return Ok(None);
    };
    let mut keys = tx.prepare_cached(
        "SELECT id, user, sealed_secret, active, created_ms FROM access_key WHERE user = ?
         ORDER BY created_ms, rowid",
    )?;
    let mut policies =
        tx.prepare_cached("SELECT name, document FROM policy WHERE user = ? ORDER BY name")?;
    Ok(Some(User {
        name: name.to_owned(),
        created_at: UnixMillis(created),
        keys: keys.query_map([name], key_of)?.collect::<Result<_, _>>()?,
        policies: policies
            .query_map([name], |row| {
                Ok(Policy {
                    name: row.get(0)?,
                    document: row.get(1)?,
                })
            })?
            .collect::<Result<_, _>>()?,
    }))
}

/// See [`crate::Store::user_delete`]. Keys and policies go with their user by reference.
pub(super) fn user_delete(tx: &Connection, name: &str) -> Result<bool, Error> {
    let deleted = tx
        .prepare_cached("DELETE FROM user WHERE name = ?")?
        .execute([name])?;
    if deleted > 0 {
        tx.prepare_cached("DELETE FROM token WHERE user = ?")?
            .execute([name])?;
    }
    Ok(deleted > 0)
}

/// See [`crate::Store::key_add`].
pub(super) fn key_add(tx: &Connection, key: &AccessKey) -> Result<(), Error> {
    tx.prepare_cached(
        "INSERT INTO access_key (id, user, sealed_secret, active, created_ms)
         VALUES (?, ?, ?, ?, ?)",
    )?
    .execute((
        &key.id,
        &key.user,
        &key.sealed_secret,
        key.active,
        key.created_at.0,
    ))?;
    Ok(())
}

/// See [`crate::Store::key_get`].
pub(super) fn key_get(tx: &Connection, id: &str) -> Result<Option<AccessKey>, Error> {
    let found = tx
        .prepare_cached(
            "SELECT id, user, sealed_secret, active, created_ms FROM access_key WHERE id = ?",
        )?
        .query_row([id], key_of);
    Ok(found.optional()?)
}

/// See [`crate::Store::key_set_active`].
pub(super) fn key_set_active(tx: &Connection, id: &str, active: bool) -> Result<bool, Error> {
    let mut update = tx.prepare_cached("UPDATE access_key SET active = ? WHERE id = ?")?;
    Ok(update.execute((active, id))? > 0)
}

/// See [`crate::Store::key_delete`].
pub(super) fn key_delete(tx: &Connection, id: &str) -> Result<bool, Error> {
    let mut delete = tx.prepare_cached("DELETE FROM access_key WHERE id = ?")?;
    Ok(delete.execute([id])? > 0)
}

/// See [`crate::Store::policy_put`].
pub(super) fn policy_put(tx: &Connection, user: &str, policy: &Policy) -> Result<(), Error> {
    tx.prepare_cached(
        "INSERT INTO policy (user, name, document) VALUES (?, ?, ?)
         ON CONFLICT (user, name) DO UPDATE SET document = excluded.document",
    )?
    .execute((user, &policy.name, &policy.document))?;
    Ok(())
}

/// See [`crate::Store::policy_delete`].
pub(super) fn policy_delete(tx: &Connection, user: &str, name: &str) -> Result<bool, Error> {
    let mut delete = tx.prepare_cached("DELETE FROM policy WHERE user = ? AND name = ?")?;
    Ok(delete.execute([user, name])? > 0)
}

/// See [`crate::Store::token_add`].
pub(super) fn token_add(tx: &Connection, token: &Token, now: UnixMillis) -> Result<(), Error> {
    tx.prepare_cached("DELETE FROM token WHERE expires_ms < ?")?
        .execute([now.0])?;
    tx.prepare_cached(
        "INSERT INTO token (id, user, sealed_secret, token_hash, policy, issuer, expires_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute((
        &token.id,
        &token.user,
        &token.sealed_secret,
        &token.token_hash,
        &token.policy,
        &token.issuer,
        token.expires_at.0,
    ))?;
    Ok(())
}

/// See [`crate::Store::token_get`].
pub(super) fn token_get(tx: &Connection, id: &str) -> Result<Option<Token>, Error> {
    let found = tx
        .prepare_cached(
            "SELECT id, user, sealed_secret, token_hash, policy, issuer, expires_ms FROM token
             WHERE id = ?",
        )?
        .query_row([id], |row| {
            Ok(Token {
                id: row.get(0)?,
                user: row.get(1)?,
                sealed_secret: row.get(2)?,
                token_hash: row.get(3)?,
                policy: row.get(4)?,
                issuer: row.get(5)?,
                expires_at: UnixMillis(row.get(6)?),
            })
        });
    Ok(found.optional()?)
}
