//! What a host says its leaves do: taken for leaves that are its own and run, and no more of it than a
//! node can bear. Nothing is stored and nothing is answered.

use model::{LeafId, Status};
use protocol::frame::Progress;
use tokio::time::Instant;

use super::intake;
use super::session::Running;
use model::limits::{
    SESSION_PROGRESS_DROPPED_MAX, SESSION_PROGRESS_FRAMES_MAX, SESSION_PROGRESS_PER_SECOND,
};

/// How many progress frames a session may still send.
#[derive(Debug)]
pub(super) struct Allowance {
    frames: u32,
    dropped: u32,
    at: Instant,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            frames: SESSION_PROGRESS_FRAMES_MAX,
            dropped: 0,
            at: now,
        }
    }

    /// Whether a frame that comes now is taken.
    ///
    /// # Errors
    /// So many were dropped that no agent of ours can have sent them.
    fn spend(&mut self, now: Instant) -> Result<bool, &'static str> {
        let seconds = now.saturating_duration_since(self.at).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds).unwrap_or(u32::MAX);
            let more = more.saturating_mul(SESSION_PROGRESS_PER_SECOND);
            self.frames = self
                .frames
                .saturating_add(more)
                .min(SESSION_PROGRESS_FRAMES_MAX);
            self.at = now;
        }
        if let Some(left) = self.frames.checked_sub(1) {
            self.frames = left;
            self.dropped = 0;
            return Ok(true);
        }
        self.dropped += 1;
        if self.dropped > SESSION_PROGRESS_DROPPED_MAX {
            return Err("a flood of progress");
        }
        Ok(false)
    }
}

impl Running<'_> {
    /// Remembers what a leaf does. What comes too often, or of a leaf that is not this host's or has
    /// ended, is dropped: a host cannot know yet that one has.
    pub(super) async fn progress(&mut self, frame: Progress) -> Result<(), &'static str> {
        if !self.allowance.spend(Instant::now())? {
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
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_session_may_say_so_much_at_once_and_goes_on_when_time_has_gone_by() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        for _ in 0..SESSION_PROGRESS_FRAMES_MAX {
            assert_eq!(allowance.spend(start), Ok(true));
        }
        assert_eq!(allowance.spend(start), Ok(false), "one too many");
        let later = start + Duration::from_secs(1);
        for _ in 0..SESSION_PROGRESS_PER_SECOND {
            assert_eq!(allowance.spend(later), Ok(true));
        }
        assert_eq!(allowance.spend(later), Ok(false));
        let much_later = start + Duration::from_hours(1);
        for _ in 0..SESSION_PROGRESS_FRAMES_MAX {
            assert_eq!(allowance.spend(much_later), Ok(true));
        }
        assert_eq!(
            allowance.spend(much_later),
            Ok(false),
            "no more than at once"
        );
    }

    #[test]
    fn a_flood_is_misuse() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        for _ in 0..SESSION_PROGRESS_FRAMES_MAX + SESSION_PROGRESS_DROPPED_MAX {
            assert!(allowance.spend(now).is_ok());
        }
        assert!(allowance.spend(now).is_err());
    }
}
