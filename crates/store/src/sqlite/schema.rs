//! Opening the file: connections, their pragmas, and the migrations.
//!
//! Owns the schema's version. Migrations are numbered from 1, only go forward, and are never edited
//! once released. Called when a store opens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind as Kind;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Options;
use crate::Error;
use crate::sql::migration;

const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
];
const LOCK: &str = "sickbay.lock";
const BUSY: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 128;

/// Takes the directory for this store alone, until the returned file is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, Error> {
    std::fs::create_dir_all(dir).map_err(unavailable)?;
    let file = private(&dir.join(LOCK)).map_err(unavailable)?;
    taken(file, dir)
}

/// Likewise, to look at it only; `None`: nothing can be written there, and nobody has it open.
pub(super) fn lock_to_look(dir: &Path) -> Result<Option<File>, Error> {
    let path = dir.join(LOCK);
    match private(&path) {
        Ok(file) => return taken(file, dir).map(Some),
        Err(error)
            if matches!(
                error.kind(),
                Kind::ReadOnlyFilesystem | Kind::PermissionDenied
            ) => {}
        Err(error) => return Err(unavailable(error)),
    }
    match File::open(&path) {
        Ok(file) => taken(file, dir).map(|_| None),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}

fn taken(file: File, dir: &Path) -> Result<File, Error> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Unavailable(
            format!("`{}` is in use by another process", dir.display()).into(),
        )),
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

/// Opens or creates a file that only its owner may read: secrets are in it, if sealed ones.
pub(super) fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The one connection that writes.
pub(super) fn open_writer(path: &Path, options: &Options) -> Result<Connection, Error> {
    private(path).map_err(unavailable)?;
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    prepare(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    migrate(&connection)?;
    if let Some(pages) = options.pages_max {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(connection)
}

/// A connection to a file where nothing can be written, such as on a read-only mount.
///
/// # Errors
/// A write-ahead log lies beside it, which would have to be written into it first.
pub(super) fn open_fixed(path: &Path) -> Result<Connection, Error> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).metadata().is_ok_and(|it| it.len() > 0) {
        return Err(Error::Unavailable(
            "a write-ahead log lies beside it and nothing can be written there: copy the directory elsewhere first"
                .into(),
        ));
    }
    let mut url = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            url.push(char::from(*byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url.push_str("?immutable=1");
    let connection = Connection::open_with_flags(
        url,
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI,
    )?;
    prepare(&connection)?;
    Ok(connection)
}

/// One of the connections that only read.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), Error> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

fn migrate(connection: &Connection) -> Result<(), Error> {
    let done = migration::known(version(connection)?, MIGRATIONS.len())?;
    for (number, sql) in (1..).zip(MIGRATIONS).skip(done) {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {sql}; PRAGMA user_version = {number}; COMMIT;"
        ))?;
        tracing::info!(store.version = number, "the data was brought up to date");
    }
    Ok(())
}

/// Finds out whether the file is of this program's version.
///
/// # Errors
/// [`Error::Unavailable`] if not.
pub(super) fn check_current(connection: &Connection) -> Result<(), Error> {
    migration::current(version(connection)?, MIGRATIONS.len())
}

fn version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

fn unavailable(error: std::io::Error) -> Error {
    Error::Unavailable(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_where_nothing_can_be_written_is_read_and_nothing_is_made_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a #?.db");
        let writer = open_writer(&path, &Options::default()).unwrap();
        let log = open_fixed(&path).unwrap_err();
        assert!(matches!(log, Error::Unavailable(_)), "{log}");
        writer.close().unwrap();
        let before = std::fs::read_dir(folder.path()).unwrap().count();
        check_current(&open_fixed(&path).unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
    }
}
