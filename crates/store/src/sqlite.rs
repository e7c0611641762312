//! The store in one SQLite file.
//!
//! Owns the file `sickbay.db`: how it is opened, copied and looked at. One process at a time has a
//! directory. What is in the file, and the calls, are in `sql`.

mod connection;
mod copy;
mod failure;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::connection::Connection;
use crate::sql::db::{Db, Driver};
use crate::{Error, SqlStore};

/// Name of the file in the store's directory.
const FILE: &str = "sickbay.db";

/// How a store is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Most pages of 4,096 bytes that the file may have; beyond, writing answers [`Error::Full`].
    pub pages_max: Option<u32>,
}

/// The driver of [`SqliteStore`].
#[derive(Debug)]
pub enum Sqlite {}

/// A store in one SQLite file. Dropping it waits for the commands that were sent.
pub type SqliteStore = SqlStore<Sqlite>;

impl SqliteStore {
    /// Opens or creates the store in directory `dir`, brings its schema up to date, and rebuilds the
    /// unfinished roots from their journals. One that does not rebuild is set aside and logged: its
    /// row is shown, all about its leaves answers [`Error::Corrupt`], and the others go on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the directory cannot be used, is in use, or was written by a newer
    /// program; [`Error::Corrupt`] if the file as a whole does not read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_with(dir, Options::default())
    }

    /// Likewise, with options.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_with(dir: &Path, options: Options) -> Result<Self, Error> {
        Self::start(Arc::new(Place::new(dir, options)))
    }

    /// Copies the store of directory `from` into directory `to`, where there is none, as it is at one
    /// moment. Another process may have the store open and write to it. Returns the copy's length in
    /// bytes; it is durable then.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no store in `from`, [`Error::Conflict`] if there is one in `to`;
    /// what the disks say.
    pub fn copy(from: &Path, to: &Path) -> Result<u64, Error> {
        copy::copy(from, to)
    }

    /// What [`crate::Store::verify`] finds in the store of directory `dir`, which nobody has open.
    /// Changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no store; [`Error::Unavailable`] if it is in use or of another
    /// version; [`Error::Corrupt`] if the file as a whole does not read.
    pub fn verify_closed(dir: &Path) -> Result<Vec<String>, Error> {
        copy::verify_closed(dir)
    }
}

/// The directory with the file.
#[derive(Debug)]
pub(crate) struct Place {
    dir: PathBuf,
    options: Options,
}

impl Place {
    pub(crate) fn new(dir: &Path, options: Options) -> Self {
        Self {
            dir: dir.to_owned(),
            options,
        }
    }
}

impl Driver for Place {
    fn place(&self) -> String {
        self.dir.join(FILE).display().to_string()
    }

    fn reads_in_place(&self) -> bool {
        true
    }

    fn open_writer(&self) -> Result<Box<dyn Db>, Error> {
        let lock = schema::lock(&self.dir)?;
        let connection = schema::open_writer(&self.dir.join(FILE), &self.options)?;
        Ok(Box::new(Connection::writer(connection, lock)))
    }

    fn open_reader(&self) -> Result<Box<dyn Db>, Error> {
        let connection = schema::open_reader(&self.dir.join(FILE))?;
        Ok(Box::new(Connection::reader(connection)))
    }
}
