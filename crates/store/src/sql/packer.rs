//! The thread that packs: it puts the journals of roots that have ended into the order of their leaves.
//!
//! Owns when `pack` is done, and at what pace. It reads and compresses by itself and gives the writer
//! small commits that are ready. While others write it mostly rests. It looks for work when the store
//! opens and whenever a root ends. A root whose journal does not read is left as it is until the next
//! start.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use model::limits;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::batch::Batch;
use super::db::Db;
use super::pack::{Answers, Gathered, Step, Steps, Target};
use super::writer::{Kind, Message, Task};
use super::{Shared, closed};
use crate::Error;
use crate::journal::Compressor;

/// Time to the next try after the first that failed; doubled with each.
const AGAIN_MIN: Duration = Duration::from_millis(500);
/// The longest.
const AGAIN_MAX: Duration = Duration::from_secs(300);
/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(1);

/// What the packer and the others have in common.
#[derive(Debug)]
pub(super) struct Packing {
    /// How often it was asked to look for work.
    asked: AtomicU64,
    is_over: AtomicBool,
    /// Wakes it.
    bell: SyncSender<()>,
}

impl Packing {
    /// With what wakes the packer. It is asked to look once.
    pub(super) fn new() -> (Self, Receiver<()>) {
        let (bell, receiver) = std::sync::mpsc::sync_channel(1);
        let packing = Self {
            asked: AtomicU64::new(1),
            is_over: AtomicBool::new(false),
            bell,
        };
        (packing, receiver)
    }

    /// There may be something to do.
    pub(super) fn ask(&self) {
        self.asked.fetch_add(1, Ordering::AcqRel);
        self.ring();
    }

    /// The packer ends soon, whatever there is to do.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.ring();
    }

    fn ring(&self) {
        // If it is full, the packer has not yet heard the last ring.
        _ = self.bell.try_send(());
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }
}

/// Ends the thread when dropped, and waits for it.
#[derive(Debug)]
pub(super) struct PackerThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Up to which asking all was done.
    done: watch::Receiver<u64>,
}

impl Drop for PackerThread {
    fn drop(&mut self) {
        self.shared.packing.end();
        if self.thread.take().is_some_and(|it| it.join().is_err()) {
            tracing::error!("the store's packer ended by a panic");
        }
    }
}

impl PackerThread {
    /// Starts it.
    pub(super) fn start(
        shared: &Arc<Shared>,
        bell: Receiver<()>,
        messages: &mpsc::Sender<Message>,
        compressor: Compressor,
    ) -> std::io::Result<Self> {
        let (sender, done) = watch::channel(0);
        let packer = Packer {
            shared: Arc::clone(shared),
            bell,
            messages: messages.downgrade(),
            done: sender,
            pace: Cell::new(Pace::now(shared)),
        };
        let thread = std::thread::Builder::new().name("store-packer".into());
        Ok(Self {
            shared: Arc::clone(shared),
            thread: Some(thread.spawn(move || packer.run(compressor))?),
            done,
        })
    }

    /// Returns when all is done that there is to do now.
    pub(super) async fn done(&self) -> Result<(), Error> {
        let (mut done, asked) = (self.done.clone(), self.shared.packing.asked());
        let result = done.wait_for(|it| *it >= asked).await;
        result.map(|_| ()).map_err(|_| closed())
    }
}

struct Packer {
    shared: Arc<Shared>,
    bell: Receiver<()>,
    /// Weak, since the writer ends when nobody can send any more.
    messages: mpsc::WeakSender<Message>,
    done: watch::Sender<u64>,
    pace: Cell<Pace>,
}

/// Since when it works without a rest, and what the generation was then.
#[derive(Clone, Copy)]
struct Pace {
    since: Instant,
    generation: u64,
}

impl Packer {
    fn run(self, mut compressor: Compressor) {
        let mut wait = AGAIN_MIN;
        while !self.is_over() {
            let asked = self.shared.packing.asked();
            match self.pack_all(&mut compressor) {
                Ok(()) => {
                    wait = AGAIN_MIN;
                    self.done.send_replace(asked);
                    // The bell may have been heard while it rested.
                    if self.shared.packing.asked() == asked && self.bell.recv().is_err() {
                        return;
                    }
                }
                Err(_) if self.is_over() => {}
                Err(error) => {
                    tracing::warn!("packing stops for a while: {error}");
                    self.pause(wait);
                    wait = wait.saturating_mul(2).min(AGAIN_MAX);
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.shared.packing.is_over.load(Ordering::Acquire)
    }

    fn pause(&self, time: Duration) {
        // Who rings wants it to look, or to end.
        _ = self.bell.recv_timeout(time);
    }

    fn pack_all(&self, compressor: &mut Compressor) -> Result<(), Error> {
        let mut last = 0;
        while let Some(root) = self.look(|tx| Target::after(tx, last))? {
            last = root.no;
            match self.pack(root, compressor) {
                Err(Error::Corrupt(text)) => {
                    tracing::error!(root.no = root.no, "a root is not packed: {text}");
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn pack(&self, root: Target, compressor: &mut Compressor) -> Result<(), Error> {
        let mut steps = Steps::new(root, compressor);
        let (mut first, mut left) = self.look(|tx| root.unpacked(tx))?;
        while let Some(from) = first {
            let answers;
            (answers, first) = self.gather(root, from)?;
            for (number, (place, json)) in answers {
                left = left.saturating_sub(1);
                if let Some(step) = steps.answer(number, place, &json)? {
                    self.send(step)?;
                }
            }
        }
        if left > 0 {
            return Err(Error::Corrupt(format!("{left} answers are missing")));
        }
        steps.close_answers()?;
        let mut last = Some(0);
        while let Some(block) = last {
            let mut full = Vec::new();
            last = self.look(|tx| {
                root.read(tx, block, |number, block| {
                    full.extend(steps.events(number, block)?);
                    Ok(())
                })
            })?;
            full.into_iter().try_for_each(|it| self.send(it))?;
        }
        self.send(steps.finish()?)
    }

    /// One pass over the journal of a root, for leaves from number `first` on.
    fn gather(&self, root: Target, first: u32) -> Result<Answers, Error> {
        let mut gathered = Gathered::new(first);
        let mut last = Some(0);
        while let Some(block) = last {
            last = self.look(|tx| {
                root.read(tx, block, |number, block| {
                    gathered.take(number, &block.records()?);
                    Ok(())
                })
            })?;
        }
        Ok(gathered.done())
    }

    /// Looks at the file.
    fn look<T>(&self, look: impl FnOnce(&dyn Db) -> Result<T, Error>) -> Result<T, Error> {
        self.rest()?;
        self.shared.readers.lend(look)
    }

    /// Has the writer commit a step.
    fn send(&self, step: Step) -> Result<(), Error> {
        self.rest()?;
        let (reply, answer) = oneshot::channel();
        let task = Task {
            kind: Kind::Packs,
            weight: step.weight(),
            work: Some(move |batch: &mut Batch<'_>| step.write(batch)),
            result: None,
            reply,
        };
        let messages = self.messages.upgrade().ok_or_else(closed)?;
        let sent = messages.blocking_send(Message::Job(Box::new(task)));
        sent.map_err(|_| closed())?;
        answer.blocking_recv().map_err(|_| closed())?
    }

    /// Rests if something was committed since it rested last.
    ///
    /// # Errors
    /// If it is to end.
    fn rest(&self) -> Result<(), Error> {
        let Pace { since, generation } = self.pace.get();
        if self.shared.generation.load(Ordering::Acquire) != generation {
            let time = since.elapsed().saturating_mul(limits::PACK_REST);
            self.pause(time.min(REST_MAX));
        }
        self.pace.set(Pace::now(&self.shared));
        match self.is_over() {
            true => Err(closed()),
            false => Ok(()),
        }
    }
}

impl Pace {
    fn now(shared: &Shared) -> Self {
        Self {
            since: Instant::now(),
            generation: shared.generation.load(Ordering::Acquire),
        }
    }
}
