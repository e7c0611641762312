//! PostgreSQL for the tests: new databases on the server that `tests/run` starts, and servers of a test's own, which it can stop.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::Command;

use crate::disk::Disk;
use crate::program::{Said, run};

/// The URL of a new database on the server that `tests/run` has started, and will end.
///
/// # Panics
/// There is no such server.
pub async fn new_database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let server = variable("SICKBAY_TEST_POSTGRES");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("sickbay_e2e_{}_{number}", std::process::id());
    psql(&server, &format!("CREATE DATABASE {name}")).await;
    let (server, _) = server.rsplit_once('/').expect("a database");
    format!("{server}/{name}")
}

/// One of the programs that come with PostgreSQL.
///
/// # Panics
/// Nobody said where they are.
#[must_use]
pub fn postgres_tool(name: &str) -> Command {
    Command::new(program(name))
}

/// A server of a test's own. It is stopped when this goes away.
#[derive(Debug)]
pub struct Postgres {
    data: PathBuf,
    settings: Vec<String>,
    /// What its files lie on, if it is to fail.
    disk: Option<Disk>,
    port: u16,
    /// Its process, while it should run.
    process: Mutex<Option<Pid>>,
    folder: TempDir,
}

impl Postgres {
    /// Makes a server in its own folder, with the user `sickbay`. It listens on a socket in that folder only.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        Self::new_in(folder, data).await
    }

    /// Makes a server with its data in the directory `data`, which is made unless it is there and empty.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn new_in(folder: TempDir, data: PathBuf) -> Self {
        let server = Self {
            data,
            settings: Vec::new(),
            disk: None,
            port: 5432,
            process: Mutex::new(None),
            folder,
        };
        give(server.folder());
        if server.data.exists() {
            give(&server.data);
        }
        let mut command = server.program("initdb");
        command
            .args([
                "--username=sickbay",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg("--pgdata")
            .arg(&server.data);
        succeeded(&run(&mut command).await);
        let sockets = server.folder().display().to_string();
        server
            .with("listen_addresses", "")
            .with("unix_socket_directories", &sockets)
    }

    /// Adds a setting, before the start.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push(format!("-c {name}='{value}'"));
        self
    }

    /// Lets it listen on loopback too, on a free port, before the start.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn on_loopback(mut self) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        self.port = free.expect("a free port").port();
        let port = self.port.to_string();
        self.with("listen_addresses", "127.0.0.1")
            .with("port", &port)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Lets the server work on a disk that fails when it is told to, before the start.
    #[must_use]
    pub fn on(mut self, disk: Disk) -> Self {
        self.disk = Some(disk);
        self
    }

    /// The disk of [`Postgres::on`].
    #[must_use]
    pub const fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(&self) {
        let mut command = self.program("pg_ctl");
        command
            .args(["start", "--silent", "--wait", "--options"])
            .arg(self.settings.join(" "))
            .arg("--log")
            .arg(self.folder().join("postgres.log"))
            .arg("--pgdata")
            .arg(&self.data)
            .envs(self.disk.iter().flat_map(Disk::environment));
        let said = run(&mut command).await;
        let log = || std::fs::read_to_string(self.folder().join("postgres.log"));
        assert_eq!(said.code, 0, "{said:?}: {:?}", log());
        let file = std::fs::read_to_string(self.data.join("postmaster.pid"));
        let file = file.expect("the file with its process id");
        let process = file.lines().next().and_then(|it| it.parse().ok());
        let process = process.and_then(Pid::from_raw);
        assert!(process.is_some(), "{file}");
        *self.process.lock().expect("a lock") = process;
    }

    /// Tells it to end without warning, where it cannot say that it has: on a disk that has failed.
    ///
    /// # Panics
    /// It was not started.
    pub fn kill(&self) {
        let process = self.process.lock().expect("a lock").take();
        // It may have ended by itself.
        kill_process(process.expect("a process"), Signal::QUIT).ok();
    }

    /// What it left of its process number is nobody's any more, though the number may still be taken for a moment.
    ///
    /// # Panics
    /// A file cannot be removed.
    pub fn machine_restarts(&self) {
        let socket = format!(".s.PGSQL.{}.lock", self.port);
        for file in [self.data.join("postmaster.pid"), self.folder().join(socket)] {
            if file.exists() {
                std::fs::remove_file(file).expect("a lock file");
            }
        }
    }

    /// Stops it without warning, as a crash does, and waits until it is gone.
    ///
    /// # Panics
    /// It does not run.
    pub async fn crash(&self) {
        let mut command = self.program("pg_ctl");
        command.args(stop(&self.data));
        succeeded(&run(&mut command).await);
        self.process.lock().expect("a lock").take();
    }

    /// Runs SQL in the database `postgres`.
    pub async fn sql(&self, sql: &str) -> String {
        psql(&self.url("postgres"), sql).await
    }

    /// The URL of a database, by its socket.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder().display().to_string().replace('/', "%2F");
        format!("postgres://sickbay@{folder}:{}/{database}", self.port)
    }

    /// The directory of its data.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A folder that it can read.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, name: &str) -> Command {
        let mut command = as_owner(program(name));
        command.current_dir(self.folder());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Ok(Some(process)) = self.process.get_mut().map(|it| it.take()) else {
            return;
        };
        let mut command = self.program("pg_ctl");
        let stopped = command.args(stop(&self.data)).as_std_mut().output();
        if !stopped.is_ok_and(|it| it.status.success()) {
            // What it lies on is gone already.
            kill_process(process, Signal::QUIT).ok();
        }
    }
}

fn stop(data: &Path) -> [&std::ffi::OsStr; 6] {
    let [stop, silent, wait, mode, place] =
        ["stop", "--silent", "--wait", "--mode=immediate", "--pgdata"].map(AsRef::as_ref);
    [stop, silent, wait, mode, place, data.as_os_str()]
}

/// The server refuses to be root.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_owner(program: PathBuf) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--clear-groups"])
        .arg(program);
    command
}

/// Lets servers have a file or directory as their own.
///
/// # Panics
/// It cannot be given.
pub fn give(path: &Path) {
    if is_root() {
        let given = std::process::Command::new("chown")
            .arg("nobody")
            .arg(path)
            .status();
        assert!(given.expect("chown").success(), "{}", path.display());
    }
}

fn program(name: &str) -> PathBuf {
    Path::new(&variable("SICKBAY_TEST_POSTGRES_PROGRAMS")).join(name)
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: tests/run sets it, for the PostgreSQL that it finds")
    })
}

async fn psql(url: &str, sql: &str) -> String {
    let mut command = postgres_tool("psql");
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--command",
        sql,
        url,
    ]);
    let said = run(&mut command).await;
    succeeded(&said);
    said.out
}

fn succeeded(said: &Said) {
    assert_eq!(said.code, 0, "{said:?}");
}
