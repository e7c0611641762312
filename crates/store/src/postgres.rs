//! The store in a PostgreSQL database.
//!
//! Owns how a server is reached and its schema. One process at a time has a database: the connection
//! that writes holds a session lock, so a pooler that hands sessions around must not stand between.
//! What is in the database, and the calls, are in `sql`.
//!
//! No connection is used or dropped where asynchronous work runs, since each one waits: reads run on
//! tokio's threads for blocking work, all else in the writer's own thread.

mod connection;
mod failure;
mod schema;
mod tls;
mod url;

use std::fmt;
use std::sync::Arc;

use ::postgres::{Client, Config, NoTls};

pub use self::url::{PostgresUrl, UrlError};

use self::connection::Connection;
use crate::sql::db::{Db, Driver};
use crate::sql::verify;
use crate::{Error, SqlStore};

/// The driver of [`PostgresStore`].
#[derive(Debug)]
pub enum Postgres {}

/// A store in a PostgreSQL database. Dropping it waits for the commands that were sent.
pub type PostgresStore = SqlStore<Postgres>;

impl SqlStore<Postgres> {
    /// Opens or creates the store in the database of `url`, brings its schema up to date, and rebuilds
    /// the unfinished roots from their journals. One that does not rebuild is set aside and logged: its
    /// row is shown, all about its leaves answers [`Error::Corrupt`], and the others go on.
    ///
    /// When the connection is lost, calls answer [`Error::Unavailable`] until there is a new one; what
    /// was committed until then is read again before anything is written.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if a certificate does not read, or if the database cannot be reached, is
    /// in use, is not in UTF-8, or was written by a newer program.
    pub fn open(url: &PostgresUrl) -> Result<Self, Error> {
        Self::start(Arc::new(Server::new(url)?))
    }

    /// What [`crate::Store::verify`] finds in the database of `url`, which no store has open. Changes
    /// nothing. Waits for the server: not to be called where asynchronous work runs.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no store; [`Error::Unavailable`] if the database cannot be
    /// reached, is in use, or is of another version.
    pub fn verify_closed(url: &PostgresUrl) -> Result<Vec<String>, Error> {
        let mut client = Server::new(url)?.connect()?;
        schema::lock(&mut client)?;
        schema::check_current(&mut client)?;
        let connection = Connection::reader(client);
        connection.begin()?;
        verify::file(&connection)
    }
}

/// The server and the database on it.
struct Server {
    config: Config,
    /// What encrypts the connections; none: they are not encrypted.
    tls: Option<tls::Maker>,
    place: String,
}

impl Server {
    fn new(url: &PostgresUrl) -> Result<Self, Error> {
        let mut config = url.config.clone();
        config.notice_callback(|notice| tracing::debug!("the database says: {notice}"));
        let tls = url.tls.as_ref().map(tls::Maker::new).transpose();
        Ok(Self {
            config,
            tls: tls.map_err(|error| Error::Unavailable(Box::new(error)))?,
            place: url.to_string(),
        })
    }

    fn connect(&self) -> Result<Client, Error> {
        let connected = match &self.tls {
            Some(maker) => self.config.connect(maker.clone()),
            None => self.config.connect(NoTls),
        };
        connected.map_err(failure::of_connecting)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.place)
    }
}

impl Driver for Server {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn reads_in_place(&self) -> bool {
        false
    }

    fn open_writer(&self) -> Result<Box<dyn Db>, Error> {
        let mut client = self.connect()?;
        schema::prepare_writer(&mut client)?;
        Ok(Box::new(Connection::writer(client)))
    }

    fn open_reader(&self) -> Result<Box<dyn Db>, Error> {
        Ok(Box::new(Connection::reader(self.connect()?)))
    }
}
