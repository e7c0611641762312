//! A database made ready: the lock, the settings of the connection that writes, the migrations.
//!
//! Owns the schema's version. Migrations are numbered like those of SQLite, only go forward, and are
//! never edited once released. Called when the connection that writes opens.

use postgres::Client;
use postgres::error::SqlState;

use crate::Error;
use crate::sql::migration;

const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
];

/// The session lock of the one that writes: "sickbay" in ASCII.
const LOCK: i64 = 0x0073_6963_6b62_6179;

/// Whatever the database's own settings say: what is acknowledged is on the disk; and a connection
/// whose other end is gone is found out, because it holds the lock.
const SETTINGS: &str = "SET synchronous_commit = on;
    SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

/// Takes the database for this connection alone, as long as it lives, and brings it up to date.
///
/// The server lets go of the lock only after the work of the session that held it has been committed or
/// undone. So who holds it sees all that a lost connection has left, and nothing more will come of it.
pub(super) fn prepare_writer(client: &mut Client) -> Result<(), Error> {
    client.batch_execute(SETTINGS)?;
    lock(client)?;
    let encoding: String = client.query_one("SHOW server_encoding", &[])?.try_get(0)?;
    if encoding != "UTF8" {
        return Err(Error::Unavailable(
            format!("the database is in {encoding}: create it with the encoding UTF8").into(),
        ));
    }
    migrate(client)
}

/// Waits a little: the session that had it may just be ending.
pub(super) fn lock(client: &mut Client) -> Result<(), Error> {
    let locked = client.batch_execute(&format!(
        "BEGIN; SET LOCAL lock_timeout = '2s'; SELECT pg_advisory_lock({LOCK}); COMMIT"
    ));
    locked.map_err(|error| match error.code() {
        Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            Error::Unavailable("another node has the database: one at a time can work on it".into())
        }
        _ => error.into(),
    })
}

/// Finds out whether there is a store of this program's version.
///
/// # Errors
/// [`Error::NotFound`] if there is none, [`Error::Unavailable`] if it is of another version.
pub(super) fn check_current(client: &mut Client) -> Result<(), Error> {
    let version = match client.query_one("SELECT version FROM schema_version", &[]) {
        Ok(row) => row.try_get(0)?,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
            return Err(Error::NotFound);
        }
        Err(error) => return Err(error.into()),
    };
    migration::current(version, MIGRATIONS.len())
}

fn migrate(client: &mut Client) -> Result<(), Error> {
    client.batch_execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL);
         INSERT INTO schema_version SELECT 0 WHERE NOT EXISTS (SELECT FROM schema_version)",
    )?;
    let version = client.query_one("SELECT version FROM schema_version", &[])?;
    let done = migration::known(version.try_get(0)?, MIGRATIONS.len())?;
    for (number, sql) in (1..).zip(MIGRATIONS).skip(done) {
        client.batch_execute(&format!(
            "BEGIN; {sql}; UPDATE schema_version SET version = {number}; COMMIT"
        ))?;
        tracing::info!(store.version = number, "the data was brought up to date");
    }
    Ok(())
}
