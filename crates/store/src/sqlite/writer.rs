//! The one thread that writes: it commits whatever has come, then answers.
//!
//! Owns the write connection and the rhythm of commits. Never answers before the commit has
//! succeeded and its result is in memory. Callers send it [`Message`]s over a bounded channel.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use model::limits;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::active::Publication;
use super::batch::Batch;
use super::failure::Failure;
use crate::Error;
use crate::journal::Compressor;

/// Commands that may wait: enough for a full commit of single events.
pub(super) const QUEUE: usize = limits::COMMIT_EVENTS_MAX;

/// What the writer is told.
pub(super) enum Message {
    /// A command.
    Job(Box<dyn Job>),
    /// Commit what waits, close, then answer.
    Close(oneshot::Sender<()>),
}

/// How much a command adds to a commit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// A command.
pub(super) trait Job: Send {
    /// How much it adds.
    fn weight(&self) -> Weight;
    /// Does its work within the commit. An error is one that has undone the whole commit.
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), Failure>;
    /// Tells the caller; `failure` if the commit failed.
    fn answer(self: Box<Self>, failure: Option<&Failure>);
}

/// A command made of a closure, with a caller who waits.
pub(super) struct Task<T, F> {
    /// Whether it changes the file itself, so that an error has to undo its part of it.
    pub(super) is_guarded: bool,
    pub(super) weight: Weight,
    pub(super) work: Option<F>,
    pub(super) result: Option<Result<T, Error>>,
    pub(super) reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&mut Batch<'_>) -> Result<T, Error> + Send,
{
    fn weight(&self) -> Weight {
        self.weight
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), Failure> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        let tx = batch.tx;
        if !self.is_guarded {
            self.result = Some(work(batch));
            return Ok(());
        }
        let guarded = |sql| tx.prepare_cached(sql).and_then(|mut it| it.execute([]));
        let failure = |error| Failure::from(&Error::from(error));
        guarded("SAVEPOINT job").map_err(failure)?;
        let result = work(batch);
        if let Err(error) = &result {
            if tx.is_autocommit() {
                return Err(Failure::from(error));
            }
            guarded("ROLLBACK TO job").map_err(failure)?;
        }
        guarded("RELEASE job").map_err(failure)?;
        self.result = Some(result);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<&Failure>) {
        let result = match (failure, self.result) {
            (Some(failure), _) => Err(failure.error()),
            (None, Some(result)) => result,
            (None, None) => Err(Error::Unavailable("the command did not run".into())),
        };
        // A caller who went away is not told.
        drop(self.reply.send(result));
    }
}

/// See the module.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) compressor: Compressor,
    pub(super) block: u32,
    pub(super) lock: File,
    pub(super) path: PathBuf,
}

impl Writer {
    /// Works until it is closed or nobody can send any more.
    pub(super) fn run(mut self) {
        let mut closers = Vec::new();
        while let Some(first) = self.messages.blocking_recv() {
            let jobs = self.gather(first, &mut closers);
            if !jobs.is_empty() {
                self.commit(jobs);
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(store.path = %self.path.display(), "closing the store: {error}");
        }
        drop(self.lock);
        for closer in closers {
            if closer.send(()).is_err() {
                tracing::debug!("nobody waited for the store to close");
            }
        }
    }

    fn gather(
        &mut self,
        first: Message,
        closers: &mut Vec<oneshot::Sender<()>>,
    ) -> Vec<Box<dyn Job>> {
        let mut jobs = Vec::new();
        let mut sum = Weight::default();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Job(job) => {
                    sum.events += job.weight().events;
                    sum.bytes += job.weight().bytes;
                    jobs.push(job);
                }
                Message::Close(closer) => {
                    self.messages.close();
                    closers.push(closer);
                }
            }
            let is_full =
                sum.events >= limits::COMMIT_EVENTS_MAX || sum.bytes >= limits::COMMIT_BYTES_MAX;
            next = if is_full {
                None
            } else {
                self.messages.try_recv().ok()
            };
        }
        jobs
    }

    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let failure = match self.transact(&mut jobs) {
            Ok(publication) => {
                let active = self.shared.active.write();
                let mut active = active.unwrap_or_else(PoisonError::into_inner);
                Arc::make_mut(&mut active).publish(publication);
                drop(active);
                self.shared.generation.fetch_add(1, Ordering::Release);
                None
            }
            Err(failure) => {
                if !self.connection.is_autocommit()
                    && let Err(error) = self.connection.execute_batch("ROLLBACK")
                {
                    tracing::error!("a commit that failed is not undone: {error}");
                }
                tracing::error!(jobs = jobs.len(), "nothing could be stored: {failure:?}");
                Some(failure)
            }
        };
        for job in jobs {
            job.answer(failure.as_ref());
        }
    }

    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Publication, Failure> {
        let fail = |error: rusqlite::Error| Failure::from(&Error::from(error));
        let active = self.shared.active();
        let run = |sql| {
            let statement = self.connection.prepare_cached(sql);
            statement.and_then(|mut it| it.execute([])).map_err(fail)
        };
        run("BEGIN IMMEDIATE")?;
        let mut batch = Batch::new(&self.connection, &active, self.block, &mut self.compressor);
        for job in jobs {
            job.run(&mut batch)?;
            // SQLite undoes the whole transaction after some errors, also of a mere read.
            if self.connection.is_autocommit() {
                return Err(Failure::Unavailable("the commit was undone".into()));
            }
        }
        let (publication, block) = batch.finish().map_err(|error| Failure::from(&error))?;
        run("COMMIT")?;
        self.block = block;
        Ok(publication)
    }
}
