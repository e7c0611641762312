//! What a host says its leaves do: taken for leaves that are its own and run, and no more of it than a
//! node can bear. Nothing is stored and nothing is answered.

use model::limits::{SESSION_PROGRESS_FRAMES_MAX, SESSION_PROGRESS_PER_SECOND};
use model::{LeafId, Status};
use protocol::frame::Progress;
use tokio::time::Instant;

use super::intake;
use super::session::Running;

/// How many progress frames a session may still send.
#[derive(Debug)]
pub(super) struct Allowance {
    frames: u32,
    at: Instant,
}

impl Allowance {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            frames: SESSION_PROGRESS_FRAMES_MAX,
            at: now,
        }
    }

    /// Whether a frame that comes now is taken.
    fn spend(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.at).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds).unwrap_or(u32::MAX);
            let more = more.saturating_mul(SESSION_PROGRESS_PER_SECOND);
            let frames = self.frames.saturating_add(more);
            self.frames = frames.min(SESSION_PROGRESS_FRAMES_MAX);
            self.at = now;
        }
        let left = self.frames.checked_sub(1);
        self.frames = left.unwrap_or(0);
        left.is_some()
    }
}

impl Running<'_> {
    /// Remembers what a leaf does. What comes too often, or of a leaf that is not this host's or has
    /// ended, is dropped: a host cannot know yet that one has.
    pub(super) async fn progress(&mut self, frame: Progress) -> Result<(), &'static str> {
        if !self.allowance.spend(Instant::now()) {
            return Ok(());
        }
        let leaf: LeafId = frame.leaf_id.parse().map_err(|_| "not a leaf id")?;
        if self.only.is_some_and(|it| it != leaf) {
            return Err("a leaf that is not this checker's");
        }
        let progress = intake::progress(frame)?;
        // This look is at memory only, whatever leaf the host names.
        let unfinished = self.app.store.leaf_unfinished_of_host(self.host).await;
        let mut unfinished = unfinished.unwrap_or_default().into_iter();
        if unfinished.any(|it| it.id == leaf && it.state.status != Status::Init) {
            self.app.engine.progress.set(leaf, progress);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
