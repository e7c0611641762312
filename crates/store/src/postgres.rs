//! The store in a PostgreSQL database.
//!
//! Owns how a server is reached and its schema. One process at a time has a database: the connection
//! that writes holds a session lock, so a pooler that hands sessions around must not stand between.
//! What is in the database, and the calls, are in `sql`. Connections are not encrypted yet.
//!
//! No connection is used or dropped where asynchronous work runs, since each one waits: reads run on
//! tokio's threads for blocking work, all else in the writer's own thread.

mod connection;
mod failure;
mod schema;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::postgres::config::{Host, SslMode};
use ::postgres::{Client, Config, NoTls};

use self::connection::Connection;
use crate::sql::db::{Db, Driver};
use crate::{Error, SqlStore};

/// Longest wait for a server to accept a connection, unless the URL says otherwise.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection is given up when what was sent is not acknowledged for so long, likewise.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// A silent connection is probed after so long.
const SILENT: Duration = Duration::from_secs(30);

/// The driver of [`PostgresStore`].
#[derive(Debug)]
pub enum Postgres {}

/// A store in a PostgreSQL database. Dropping it waits for the commands that were sent.
pub type PostgresStore = SqlStore<Postgres>;

impl SqlStore<Postgres> {
    /// Opens or creates the store in the database of `url`, such as
    /// `postgres://user:password@host/database`, brings its schema up to date, and rebuilds the
    /// unfinished roots from their journals. One that does not rebuild is set aside and logged: its
    /// row is shown, all about its leaves answers [`Error::Corrupt`], and the others go on.
    ///
    /// When the connection is lost, calls answer [`Error::Unavailable`] until there is a new one; what
    /// was committed until then is read again before anything is written.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the URL does not read or asks for TLS, or if the database cannot be
    /// reached, is in use, is not in UTF-8, or was written by a newer program.
    pub fn open(url: &str) -> Result<Self, Error> {
        let mut config: Config = url.parse().map_err(failure::of_url)?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(Error::Unavailable(
                "`sslmode=require`: TLS to the database is not supported yet".into(),
            ));
        }
        config.application_name("sickbay").keepalives_idle(SILENT);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        config.notice_callback(|notice| tracing::debug!("the database says: {notice}"));
        Self::start(Arc::new(Server(config)))
    }
}

/// The server and the database on it.
struct Server(Config);

impl Server {
    fn connect(&self) -> Result<Client, Error> {
        Ok(self.0.connect(NoTls)?)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.place())
    }
}

impl Driver for Server {
    fn place(&self) -> String {
        let host = match self.0.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let database = self.0.get_dbname().unwrap_or_default();
        format!("postgres://{host}/{database}")
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
