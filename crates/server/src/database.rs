//! Which database a data directory belongs to: the file in it, or one on a PostgreSQL server.
//!
//! Owns the note that a data directory keeps of its server, so that nobody starts a node on an empty
//! file by mistake. Called when a node starts, and by `upkeep`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::{PostgresStore, PostgresUrl, SqliteStore, Store};

/// The SQLite file's name in the data directory.
pub(crate) const FILE: &str = "sickbay.db";
/// The note's name in the data directory: the URL without the password.
pub(crate) const NOTE: &str = "database.url";

/// Where the store is.
#[derive(Clone, Debug)]
pub enum Database {
    /// In a SQLite file in the data directory.
    File,
    /// In a PostgreSQL database.
    Server(Box<PostgresUrl>),
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The note.
    #[error("`{path}` cannot be used", path = .path.display())]
    Note {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The directory's store is on a server, and nobody said how to reach it.
    #[error(
        "`{path}` belongs to the database {url}: give its URL in SICKBAY_STORE", path = .path.display()
    )]
    Elsewhere {
        /// The data directory.
        path: PathBuf,
        /// The database, without a password.
        url: String,
    },
    /// The directory has a store of its own.
    #[error(
        "`{path}` holds a {FILE}, which is not moved to a server: give a data directory of its own to \
         a node on PostgreSQL", path = .0.display()
    )]
    FileThere(PathBuf),
    /// The file.
    #[error(
        "`{path}` is damaged: keep it, restore the last backup, and look after the disk (docs/operations.md, \
         When something is damaged)", path = .path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        #[source]
        source: store::Error,
    },
    /// The store itself.
    #[error("the store does not open")]
    Store(#[from] store::Error),
}

/// The server that `data` belongs to, as it was noted; none if its store is a file, or there is none.
pub(crate) fn noted(data: &Path) -> Result<Option<String>, Error> {
    let path = data.join(NOTE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Note { path, source }),
    }
}

/// Opens the store of `data`. Waits for the server: not to be called where asynchronous work runs.
pub(crate) fn open(database: &Database, data: &Path) -> Result<Arc<dyn Store>, Error> {
    match (database, noted(data)?) {
        (Database::File, None) => match SqliteStore::open(data) {
            Ok(store) => Ok(Arc::new(store)),
            Err(source @ store::Error::Corrupt(_)) => Err(Error::Damaged {
                path: data.join(FILE),
                source,
            }),
            Err(error) => Err(error.into()),
        },
        (Database::File, Some(url)) => Err(Error::Elsewhere {
            path: data.to_owned(),
            url,
        }),
        (Database::Server(_), None) if data.join(FILE).exists() => {
            Err(Error::FileThere(data.to_owned()))
        }
        (Database::Server(url), _) => {
            let store = PostgresStore::open(url)?;
            let path = data.join(NOTE);
            fs::write(&path, format!("{url}\n")).map_err(|source| Error::Note { path, source })?;
            Ok(Arc::new(store))
        }
    }
}

/// What `verify` finds in the store of `data`, on which no node runs. Waits likewise.
///
/// # Errors
/// Those of opening; nobody said how to reach the server.
pub(crate) fn verify_closed(
    data: &Path,
    server: Option<&PostgresUrl>,
) -> Result<Vec<String>, Error> {
    match (noted(data)?, server) {
        (None, _) => Ok(SqliteStore::verify_closed(data)?),
        (Some(_), Some(url)) => Ok(PostgresStore::verify_closed(url)?),
        (Some(url), None) => Err(Error::Elsewhere {
            path: data.to_owned(),
            url,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_to_its_database() {
        let folder = tempfile::tempdir().unwrap();
        let url = "postgres://u:secret@%2Fnowhere/d".parse().unwrap();
        let (file, server) = (Database::File, Database::Server(Box::new(url)));
        drop(open(&file, folder.path()).unwrap());
        let refused = open(&server, folder.path()).map(drop).unwrap_err();
        assert!(matches!(refused, Error::FileThere(_)), "{refused}");

        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join(FILE),
            "no database, but long enough".repeat(99),
        )
        .unwrap();
        let damaged = open(&file, folder.path()).map(drop).unwrap_err();
        assert!(
            damaged.to_string().contains("restore the last backup"),
            "{damaged}"
        );

        let folder = tempfile::tempdir().unwrap();
        let refused = open(&server, folder.path()).map(drop).unwrap_err();
        assert!(matches!(refused, Error::Store(_)), "{refused}");
        assert!(noted(folder.path()).unwrap().is_none(), "it was never used");
        fs::write(folder.path().join(NOTE), "postgres://db.example/d\n").unwrap();
        for refused in [
            open(&file, folder.path()).map(drop).unwrap_err(),
            verify_closed(folder.path(), None).map(drop).unwrap_err(),
        ] {
            assert!(matches!(refused, Error::Elsewhere { .. }), "{refused}");
            assert!(refused.to_string().contains("db.example"), "{refused}");
        }
    }
}
