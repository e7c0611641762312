//! The one thread that writes: it commits whatever has come, then answers.
//!
//! Owns the write connection and the rhythm of commits. Never answers before the commit has
//! succeeded and its result is in memory. Callers send it [`Message`]s over a bounded channel.
//!
//! A connection that is lost in a commit leaves open whether that commit stands. So everyone who waits
//! for it is told that the store is not available, and nothing is written until there is a new
//! connection and the memory was built anew from what the database then has. The driver sees to it
//! that by then the old connection can commit nothing any more.

use std::sync::Arc;
use std::time::Duration;

use model::limits;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::active::Publication;
use super::batch::Batch;
use super::db::{Db, Driver};
use super::failure::Failure;
use super::load;
use super::{Shared, closed};
use crate::Error;
use crate::journal::Compressor;

/// Commands that may wait: enough for a full commit of single events.
pub(super) const QUEUE: usize = limits::COMMIT_EVENTS_MAX;

/// Time to the next try for a connection, after the first that failed; doubled with each.
const AGAIN_MIN: Duration = Duration::from_millis(100);
/// The longest.
const AGAIN_MAX: Duration = Duration::from_secs(5);

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
    /// Whether others see what it does.
    fn is_seen(&self) -> bool;
    /// Does its work within the commit. An error is one that has undone the whole commit.
    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), Failure>;
    /// Tells the caller; `failure` if the commit failed.
    fn answer(self: Box<Self>, failure: Option<&Failure>);
}

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It changes the file itself, so an error has to undo its part of it.
    Changes,
    /// It only stages, and leaves the file to the end of the commit.
    Stages,
    /// It changes the file, and nothing that anybody reads from it.
    Packs,
}

/// A command made of a closure, with a caller who waits.
pub(super) struct Task<T, F> {
    pub(super) kind: Kind,
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

    fn is_seen(&self) -> bool {
        self.kind != Kind::Packs
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> Result<(), Failure> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        let tx = batch.tx;
        if self.kind == Kind::Stages {
            self.result = Some(work(batch));
            return Ok(());
        }
        tx.begin_part().map_err(|error| Failure::from(&error))?;
        let result = work(batch);
        match &result {
            Ok(_) => tx.end_part().map_err(|error| Failure::from(&error))?,
            // What undid the whole says more than that its part cannot be undone.
            Err(error) => tx.undo_part().map_err(|_| Failure::from(error))?,
        }
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
    pub(super) driver: Arc<dyn Driver>,
    pub(super) shared: Arc<Shared>,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) compressor: Compressor,
    /// What writes; none between a loss and the next connection.
    pub(super) connection: Option<Connection>,
    pub(super) again: Backoff,
}

/// The connection that writes.
pub(super) struct Connection {
    pub(super) db: Box<dyn Db>,
    /// Number of the next journal block.
    pub(super) block: u32,
}

/// When to try for a connection again.
#[derive(Default)]
pub(super) struct Backoff {
    at: Option<Instant>,
    tries: u32,
}

impl Backoff {
    fn is_due(&self) -> bool {
        self.at.is_none_or(|at| at <= Instant::now())
    }

    fn failed(&mut self) {
        let wait = AGAIN_MIN.saturating_mul(1 << self.tries.min(8));
        self.at = Instant::now().checked_add(wait.min(AGAIN_MAX));
        self.tries = self.tries.saturating_add(1);
    }
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
        self.shared.readers.end();
        if let Some(connection) = self.connection {
            connection.db.close();
        }
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
        let committed = self.connect().and_then(|()| self.transact(&mut jobs));
        let failure = match committed {
            Ok(publication) => {
                let is_to_pack = publication.to_pack;
                if jobs.iter().any(|it| it.is_seen()) {
                    self.shared
                        .change(|it| Arc::make_mut(it).publish(publication));
                }
                if is_to_pack {
                    self.shared.packing.ask();
                }
                None
            }
            Err(failure) => {
                self.undo();
                tracing::error!(jobs = jobs.len(), "nothing could be stored: {failure:?}");
                Some(failure)
            }
        };
        for job in jobs {
            job.answer(failure.as_ref());
        }
    }

    /// Sees to it that there is a connection, and that the memory is as the database.
    fn connect(&mut self) -> Result<(), Failure> {
        if self.connection.is_some() {
            return Ok(());
        }
        if !self.again.is_due() {
            return Err(Failure::Unavailable(
                "the connection to the database was lost".into(),
            ));
        }
        let loaded = load::load(&*self.driver).map_err(|error| {
            self.again.failed();
            Failure::from(&error)
        })?;
        tracing::warn!("the connection to the database is back, and what it has was read again");
        self.again = Backoff::default();
        self.connection = Some(loaded.connection);
        self.shared.change(|it| *it = Arc::new(loaded.active));
        self.shared.packing.ask();
        Ok(())
    }

    /// After a commit that failed.
    fn undo(&mut self) {
        let Some(Connection { db, .. }) = &self.connection else {
            return;
        };
        if let Err(error) = db.rollback() {
            tracing::error!("a commit that failed is not undone: {error}");
        } else if !db.is_lost() {
            return;
        }
        self.connection = None;
    }

    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Publication, Failure> {
        let fail = |error: Error| Failure::from(&error);
        let active = self.shared.active();
        let Some(Connection { db, block }) = &mut self.connection else {
            return Err(fail(closed()));
        };
        db.begin().map_err(fail)?;
        let mut batch = Batch::new(&**db, &active, *block, &mut self.compressor);
        for job in jobs {
            job.run(&mut batch)?;
            if db.is_spoiled() {
                return Err(Failure::Unavailable("the commit was undone".into()));
            }
        }
        let (publication, next) = batch.finish().map_err(fail)?;
        db.commit().map_err(fail)?;
        *block = next;
        Ok(publication)
    }
}
