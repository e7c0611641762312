//! The store in one SQLite file.
//!
//! Owns the file `sickbay.db`, its writer thread and its readers. One process at a time has a
//! directory. Used through [`crate::Store`], whose calls are in `calls`.

mod access;
mod active;
mod batch;
mod calls;
mod copy;
mod failure;
mod host;
mod install_code;
mod leaf;
mod page;
mod reader;
mod retention;
mod schema;
mod segment;
mod setting;
mod task;
mod verify;
mod writer;

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock, TryLockError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use self::active::Active;
use self::batch::Batch;
use self::reader::Readers;
use self::task::View;
use self::writer::{Message, Task, Weight, Writer};
use crate::{Error, journal};

/// Name of the file in the store's directory.
const FILE: &str = "sickbay.db";

/// How a store is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Most pages of 4,096 bytes that the file may have; beyond, writing answers [`Error::Full`].
    pub pages_max: Option<u32>,
}

/// A store in one SQLite file. Dropping it waits for the commands that were sent.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped first: the writer ends when nobody can send any more.
    messages: mpsc::Sender<Message>,
    shared: Arc<Shared>,
    _writer: WriterThread,
}

/// What the writer and the readers have in common.
#[derive(Debug)]
struct Shared {
    generation: AtomicU64,
    active: RwLock<Arc<Active>>,
    readers: Readers,
}

impl Shared {
    /// A snapshot of the memory. Waits while a commit is made known.
    fn active(&self) -> Arc<Active> {
        let active = self.active.read();
        Arc::clone(&active.unwrap_or_else(PoisonError::into_inner))
    }

    /// Likewise, or none where one would have to wait.
    fn active_now(&self) -> Option<Arc<Active>> {
        match self.active.try_read() {
            Ok(active) => Some(Arc::clone(&active)),
            Err(TryLockError::Poisoned(error)) => Some(Arc::clone(&error.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Waits for the thread when dropped, so that the directory is free afterwards.
#[derive(Debug)]
struct WriterThread(Option<JoinHandle<()>>);

impl Drop for WriterThread {
    fn drop(&mut self) {
        if self.0.take().is_some_and(|it| it.join().is_err()) {
            tracing::error!("the store's writer ended by a panic");
        }
    }
}

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
        let unavailable = |error| Error::Unavailable(Box::new(error));
        let lock = schema::lock(dir)?;
        let path = dir.join(FILE);
        let connection = schema::open_writer(&path, &options)?;
        let (folds, damaged) = verify::rebuild_unfinished(&connection)?;
        let hosts = host::numbers(&connection)?;
        let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let no_max = number("SELECT coalesce(max(no), 0) FROM root")?;
        let block = number("SELECT coalesce(max(block), 0) + 1 FROM journal")?;
        tracing::info!(
            store.path = %path.display(),
            store.unfinished_roots = folds.len(),
            store.damaged_roots = damaged.len(),
            store.hosts = hosts.len(),
            "the store is open"
        );
        let shared = Arc::new(Shared {
            generation: AtomicU64::new(0),
            active: RwLock::new(Arc::new(Active::new(folds, damaged, hosts, no_max))),
            readers: Readers::new(path.clone()),
        });
        let (messages, receiver) = mpsc::channel(writer::QUEUE);
        let writer = Writer {
            connection,
            shared: Arc::clone(&shared),
            messages: receiver,
            compressor: journal::compressor().map_err(unavailable)?,
            block: u32::try_from(block)
                .map_err(|_| Error::Corrupt(format!("journal block {block}")))?,
            lock,
            path,
        };
        let thread = std::thread::Builder::new().name("store-writer".into());
        let thread = thread
            .spawn(move || run_or_abort(writer))
            .map_err(unavailable)?;
        Ok(Self {
            messages,
            shared,
            _writer: WriterThread(Some(thread)),
        })
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

    /// Runs a command in the next commit and returns when that is durable.
    async fn write<T, F>(&self, weight: Weight, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.send(weight, true, work).await
    }

    /// Likewise, for a command that only stages and leaves the file to the end of the commit.
    async fn stage<T, F>(&self, weight: Weight, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.send(weight, false, work).await
    }

    async fn send<T, F>(&self, weight: Weight, is_guarded: bool, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> Result<T, Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Task {
            is_guarded,
            weight,
            work: Some(work),
            result: None,
            reply,
        };
        let sent = self.messages.send(Message::Job(Box::new(task))).await;
        sent.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Runs a small command that concerns the file alone.
    async fn change<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.write(ONE, |batch| work(batch.tx)).await
    }

    /// Looks at memory and file at one moment, then finishes with the file alone. No lock is held
    /// meanwhile: the writer never waits for a reader.
    async fn read<P, T>(
        &self,
        length: Length,
        look: impl FnOnce(View<'_>) -> Result<P, Error> + Send + 'static,
        finish: impl FnOnce(&Connection, P) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let read = move |active: Arc<Active>| {
            shared.readers.lend(|connection| {
                // It sees the file as of the first look at it, which is after `active` was taken.
                let tx = connection.unchecked_transaction()?;
                let seen = look(View {
                    tx: &tx,
                    active: &active,
                })?;
                drop(active);
                finish(&tx, seen)
            })
        };
        if length == Length::Short
            && let Some(active) = self.shared.active_now()
        {
            return read(active);
        }
        let permits = Arc::clone(&self.shared.readers.permits);
        let permit = permits.acquire_owned().await.map_err(|_| closed())?;
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(shared.active())
        });
        let result = reading.await;
        result.map_err(|error| Error::Unavailable(Box::new(error)))?
    }

    async fn view<T: Send + 'static>(
        &self,
        look: impl FnOnce(View<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.read(Length::Short, look, |_, seen| Ok(seen)).await
    }

    async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.read(Length::Short, |_| Ok(()), |tx, ()| look(tx))
            .await
    }
}

/// A node whose writer broke down can neither keep nor acknowledge anything: better none than that. What
/// was acknowledged is in the file.
fn run_or_abort(writer: Writer) {
    let run = std::panic::AssertUnwindSafe(|| writer.run());
    if std::panic::catch_unwind(run).is_err() {
        tracing::error!("the store's writer broke down: the process ends");
        std::process::abort();
    }
}

/// How long a read may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// A few index seeks: it runs where it is asked for, because a hop to another thread and back
    /// costs more than the read itself. If it would have to wait it is treated as long.
    Short,
    /// It may touch much: it runs on a thread where waiting does no harm.
    Long,
}

const ONE: Weight = Weight {
    events: 1,
    bytes: 0,
};

fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::Store;

    #[tokio::test]
    async fn a_short_read_does_not_wait_where_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let mut reading = pin!(store.root_active());
        let publishing = store.shared.active.write().unwrap();
        let polled = reading
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending));
        drop(publishing);
        assert_eq!(reading.await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_reader_does_not_hold_up_the_writer() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        let snapshot = store.shared.active_now().unwrap();
        let new = crate::conformance::new_root(1, model::UnixMillis(1_700_000_000_000));
        let root = store.root_create(new, vec![crate::HostNo(1)]).await;
        let root = root.unwrap().id;
        assert!(snapshot.find(root).is_none());
        assert!(store.root_get(root).await.unwrap().is_some());
    }
}
