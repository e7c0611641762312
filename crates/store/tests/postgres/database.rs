//! A database for one test, on the server of `SICKBAY_TEST_POSTGRES`.

use std::sync::atomic::{AtomicU32, Ordering};

use postgres::{Client, NoTls};
use store::{Error, PostgresStore};

/// Dropped with all that is in it.
pub(crate) struct Database {
    name: String,
    pub(crate) url: String,
}

impl Database {
    pub(crate) fn new() -> Self {
        Self::with("ENCODING 'UTF8'")
    }

    pub(crate) fn with(options: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sickbay_test_{}_{number}", std::process::id());
        run(
            &server(),
            &format!("CREATE DATABASE {name} TEMPLATE template0 {options}"),
        );
        let (server, _) = server()
            .rsplit_once('/')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        Self {
            url: format!("{server}/{name}"),
            name,
        }
    }

    pub(crate) fn open(&self) -> PostgresStore {
        self.try_open().unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<PostgresStore, Error> {
        PostgresStore::open(&self.url.parse().unwrap())
    }

    pub(crate) fn run(&self, sql: &str) {
        run(&self.url, sql);
    }

    /// Ends all connections to the database, whatever they are doing, as a restart of the server does.
    pub(crate) fn end_connections(&self) {
        run(
            &server(),
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
                self.name
            ),
        );
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        run(
            &server(),
            &format!("DROP DATABASE {} WITH (FORCE)", self.name),
        );
    }
}

fn server() -> String {
    let Ok(url) = std::env::var("SICKBAY_TEST_POSTGRES") else {
        panic!(
            "SICKBAY_TEST_POSTGRES is not set: `tests/run` starts a PostgreSQL server and sets it; \
             or give the URL of a server on which databases may be made"
        );
    };
    url
}

/// In a thread of its own, since the client waits.
fn run(url: &str, sql: &str) {
    let (url, sql) = (url.to_owned(), sql.to_owned());
    let work = move || Client::connect(&url, NoTls)?.batch_execute(&sql);
    std::thread::spawn(work).join().unwrap().unwrap();
}
