//! What running work does now.
//!
//! The work says it as often as it likes, at the cost of a lock that is never held for long; whoever
//! wants to know takes the newest. Nothing is queued, written or waited for here. Written by `check`,
//! `inventory` and `runner`, read by the session's desk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{LeafId, limits};
use protocol::clean;
use protocol::frame;
use tokio::sync::Notify;

use crate::characters::{broken, whole};

/// What one piece of work does now. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    now: Arc<Mutex<Now>>,
    /// Told of every change.
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Now {
    percent: Option<u32>,
    note: String,
    /// The end of the output.
    output: VecDeque<u8>,
    output_length: u64,
    changes: u64,
}

impl Progress {
    /// Tells `changed` of every change.
    pub(crate) fn telling(changed: Arc<Notify>) -> Self {
        Self {
            now: Arc::default(),
            changed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work has done `done` of `of` steps and is at what `note` says.
    pub(crate) fn at(&self, done: usize, of: usize, note: &str) {
        // All is done only when the work has ended.
        let percent = (done * 100).checked_div(of).unwrap_or(0).min(99);
        let mut now = self.lock();
        now.percent = u32::try_from(percent).ok();
        now.note = clean::one_line(note, limits::PROGRESS_NOTE_BYTES_MAX);
        now.changes += 1;
        drop(now);
        self.changed.notify_one();
    }

    /// The work's command has written this.
    pub(crate) fn wrote(&self, chunk: &[u8]) {
        if chunk.is_empty() {
            return;
        }
        let mut now = self.lock();
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        now.output_length = now.output_length.saturating_add(length);
        let surplus = chunk
            .len()
            .saturating_sub(limits::PROGRESS_OUTPUT_BYTES_MAX);
        now.output.extend(chunk.iter().skip(surplus));
        let surplus = now.output.len();
        let surplus = surplus.saturating_sub(limits::PROGRESS_OUTPUT_BYTES_MAX);
        now.output.drain(..surplus);
        now.changes += 1;
        drop(now);
        self.changed.notify_one();
    }

    /// How often it has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// What the leaf's work does now. No character of the output is cut in two: one that has not come
    /// whole yet is left for the next time.
    pub(crate) fn frame(&self, leaf: LeafId) -> frame::Progress {
        let now = self.lock();
        let cut = u64::try_from(now.output.len()).unwrap_or(u64::MAX) < now.output_length;
        let head = if cut { broken(now.output.iter()) } else { 0 };
        let mut output: Vec<u8> = now.output.iter().skip(head).copied().collect();
        let kept = whole(&output);
        let held_back = output.len() - kept;
        output.truncate(kept);
        frame::Progress {
            leaf_id: leaf.to_string(),
            percent: now.percent,
            note: now.note.clone(),
            output,
            output_length: now.output_length - u64::try_from(held_back).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{RootId, UnixMillis};

    use super::*;

    fn frame(progress: &Progress) -> frame::Progress {
        progress.frame(RootId::new(UnixMillis(0), [0; 6]).leaf(1))
    }

    #[test]
    fn only_the_newest_is_known_and_nothing_is_done_before_the_end() {
        let progress = Progress::default();
        progress.at(1, 4, "one");
        progress.at(4, 4, "two\nlines");
        let frame = frame(&progress);
        assert_eq!(
            (frame.percent, frame.note.as_str()),
            (Some(99), "two lines")
        );
        assert_eq!(progress.changes(), 2);
    }

    #[test]
    fn an_output_at_the_limit_is_whole_and_one_past_it_loses_its_beginning() {
        let progress = Progress::default();
        let most = limits::PROGRESS_OUTPUT_BYTES_MAX;
        progress.wrote(&vec![b'a'; most]);
        assert_eq!(frame(&progress).output, vec![b'a'; most]);
        progress.wrote(b"b");
        let cut = frame(&progress);
        assert_eq!(cut.output.len(), most);
        assert!(cut.output.ends_with(b"ab"));
        assert_eq!(usize::try_from(cut.output_length).unwrap(), most + 1);
        progress.wrote(&[b'c'; 3].repeat(most));
        assert_eq!(frame(&progress).output, vec![b'c'; most]);
        assert_eq!(
            usize::try_from(frame(&progress).output_length).unwrap(),
            4 * most + 1
        );
    }

    #[test]
    fn a_character_waits_until_it_is_whole_and_a_broken_one_is_left_out() {
        let progress = Progress::default();
        progress.wrote(b"a\xe2\x82");
        let waits = frame(&progress);
        assert_eq!(
            (waits.output.as_slice(), waits.output_length),
            (&b"a"[..], 1)
        );
        progress.wrote(b"\xac");
        let whole = frame(&progress);
        assert_eq!(whole.output, "a€".as_bytes());
        assert_eq!(whole.output_length, 4);
        progress.wrote(&vec![b'x'; limits::PROGRESS_OUTPUT_BYTES_MAX - 1]);
        let cut = frame(&progress);
        assert!(cut.output.iter().all(|it| *it == b'x'));
    }
}
