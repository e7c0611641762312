//! Copies of the file, and a look at one that no store has open.
//!
//! Owns the copying with SQLite's online backup: one step, so that it sees one moment, however much is
//! written meanwhile, and holds nobody up. Called through [`super::SqliteStore`], also from processes
//! that are not the one with the store.

use std::fs::{self, File};
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{FILE, schema};
use crate::Error;
use crate::sql::db::Db as _;
use crate::sql::verify;

/// See [`super::SqliteStore::copy`].
pub(super) fn copy(from: &Path, to: &Path) -> Result<u64, Error> {
    let source = open(from)?;
    let (part, whole) = (to.join(format!("{FILE}.part")), to.join(FILE));
    if whole.exists() {
        return Err(Error::Conflict);
    }
    let copied = copy_to(&source, &part).and_then(|()| {
        File::open(&part)
            .and_then(|it| it.sync_all())
            .and_then(|()| fs::rename(&part, &whole))
            .and_then(|()| File::open(to)?.sync_all())
            .and_then(|()| Ok(whole.metadata()?.len()))
            .map_err(of_file)
    });
    if copied.is_err() && part.exists() {
        fs::remove_file(&part).map_err(of_file)?;
    }
    copied
}

fn copy_to(source: &Connection, part: &Path) -> Result<(), Error> {
    schema::private(part).map_err(of_file)?;
    let mut target = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // It is synced as a whole, and thrown away if it breaks off.
    target.pragma_update(None, "synchronous", "OFF")?;
    target.pragma_update(None, "journal_mode", "OFF")?;
    let backup = Backup::new(source, &mut target)?;
    match backup.step(-1)? {
        StepResult::Done => {}
        other => {
            return Err(Error::Unavailable(
                format!("the copying ended with {other:?}").into(),
            ));
        }
    }
    drop(backup);
    // A single file, which can be read where nothing can be written.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    target.close().map_err(|(_, error)| error.into())
}

/// See [`super::SqliteStore::verify_closed`].
pub(super) fn verify_closed(dir: &Path) -> Result<Vec<String>, Error> {
    // What is not there is not locked either.
    drop(open(dir)?);
    let lock = schema::lock_to_look(dir)?;
    let connection = if lock.is_some() {
        open(dir)?
    } else {
        open_by(dir, schema::open_fixed)?
    };
    schema::check_current(&connection)?;
    let connection = super::Connection::reader(connection);
    connection.begin()?;
    verify::file(&connection)
}

/// For reading; there has to be one.
fn open(dir: &Path) -> Result<Connection, Error> {
    open_by(dir, schema::open_reader)
}

fn open_by(
    dir: &Path,
    open: impl Fn(&Path) -> Result<Connection, Error>,
) -> Result<Connection, Error> {
    let path = dir.join(FILE);
    match path.try_exists() {
        Ok(true) => open(&path),
        Ok(false) => Err(Error::NotFound),
        Err(error) => Err(of_file(error)),
    }
}

fn of_file(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::Full(Box::new(error))
        }
        _ => Error::Unavailable(Box::new(error)),
    }
}
