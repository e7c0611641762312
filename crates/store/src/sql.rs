//! The store on an SQL database, whichever: one body of logic and SQL for all drivers.
//!
//! Owns the writer thread, the packer thread and the readers. Used through [`crate::Store`], whose calls are in `calls`;
//! what differs between databases is behind [`db::Driver`] and [`db::Db`].

mod access;
mod active;
mod answer;
mod audit;
mod batch;
mod calls;
pub(crate) mod db;
mod failure;
mod host;
mod install_code;
mod leaf;
mod load;
#[cfg(test)]
mod loss;
pub(crate) mod migration;
mod outcome;
mod pack;
mod packer;
mod page;
mod rank_count;
mod reader;
mod retention;
mod segment;
mod setting;
mod snapshot;
mod task;
pub(crate) mod verify;
mod writer;

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, TryLockError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use self::active::Active;
use self::batch::Batch;
use self::db::{Db, Driver};
use self::load::Loaded;
use self::packer::{PackerThread, Packing};
use self::reader::Readers;
use self::task::View;
use self::writer::{Backoff, Kind, Message, Task, Weight, Writer};
use crate::{Error, journal};

/// A store on the database of driver `D`. Dropping it waits for the commands that were sent.
#[derive(Debug)]
pub struct SqlStore<D> {
    // Dropped first: what it has given to the writer is still committed.
    packer: PackerThread,
    // Dropped next: the writer ends when nobody can send any more.
    messages: mpsc::Sender<Message>,
    shared: Arc<Shared>,
    _writer: WriterThread,
    _driver: PhantomData<fn() -> D>,
}

/// What the writer and the readers have in common.
#[derive(Debug)]
struct Shared {
    generation: AtomicU64,
    active: RwLock<Arc<Active>>,
    readers: Readers,
    packing: Packing,
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

    /// Changes the memory, and says so.
    fn change(&self, change: impl FnOnce(&mut Arc<Active>)) {
        let active = self.active.write();
        change(&mut active.unwrap_or_else(PoisonError::into_inner));
        self.generation.fetch_add(1, Ordering::Release);
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

impl<D> SqlStore<D> {
    /// Starts the writer, which opens the database, and returns when it is ready; then the packer. The
    /// thread is the writer's own from the first, since a driver may have to wait.
    pub(crate) fn start(driver: Arc<dyn Driver>) -> Result<Self, Error> {
        let unavailable = |error| Error::Unavailable(Box::new(error));
        let compressor = journal::compressor().map_err(unavailable)?;
        let packer = journal::compressor().map_err(unavailable)?;
        let (messages, receiver) = mpsc::channel(writer::QUEUE);
        let (packing, bell) = Packing::new();
        let (ready, opened) = std::sync::mpsc::sync_channel(1);
        let work = move || match load::load(&*driver) {
            Err(error) => drop(ready.send(Err(error))),
            Ok(Loaded { connection, active }) => {
                let shared = Arc::new(Shared {
                    generation: AtomicU64::new(0),
                    active: RwLock::new(Arc::new(active)),
                    readers: Readers::new(Arc::clone(&driver)),
                    packing,
                });
                let writer = Writer {
                    driver,
                    shared: Arc::clone(&shared),
                    messages: receiver,
                    compressor,
                    connection: Some(connection),
                    again: Backoff::default(),
                };
                if ready.send(Ok(shared)).is_ok() {
                    run_or_abort(writer);
                }
            }
        };
        let thread = std::thread::Builder::new().name("store-writer".into());
        let thread = WriterThread(Some(thread.spawn(work).map_err(unavailable)?));
        let shared = opened.recv().map_err(|_| closed())??;
        let packer = PackerThread::start(&shared, bell, &messages, packer);
        Ok(Self {
            packer: packer.map_err(unavailable)?,
            messages,
            shared,
            _writer: thread,
            _driver: PhantomData,
        })
    }

    /// Runs a command in the next commit and returns when that is durable.
    async fn write<T, F>(&self, weight: Weight, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.send(weight, Kind::Changes, work).await
    }

    /// Likewise, for a command that only stages and leaves the file to the end of the commit.
    async fn stage<T, F>(&self, weight: Weight, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.send(weight, Kind::Stages, work).await
    }

    async fn send<T, F>(&self, weight: Weight, kind: Kind, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> Result<T, Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Task {
            kind,
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
        F: FnOnce(&dyn Db) -> Result<T, Error> + Send + 'static,
    {
        self.write(ONE, |batch| work(batch.tx)).await
    }

    /// Looks at memory and file at one moment, then finishes with the file alone. No lock is held
    /// meanwhile: the writer never waits for a reader.
    async fn read<P, T>(
        &self,
        length: Length,
        look: impl FnOnce(View<'_>) -> Result<P, Error> + Send + 'static,
        finish: impl FnOnce(&dyn Db, P) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let read = move |active: Arc<Active>| {
            // It sees the file as of a moment after `active` was taken.
            shared.readers.lend(|tx| {
                let seen = look(View {
                    tx,
                    active: &active,
                })?;
                drop(active);
                finish(tx, seen)
            })
        };
        if length == Length::Short
            && self.shared.readers.are_in_place()
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
        look: impl FnOnce(&dyn Db) -> Result<T, Error> + Send + 'static,
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
    /// A few index seeks: it runs where it is asked for, if the driver can do that, because a hop to
    /// another thread and back costs more than the read itself. If it would have to wait it is treated
    /// as long.
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

    use crate::{SqliteStore, Store};

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
