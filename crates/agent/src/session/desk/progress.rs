//! Says what running work does: the newest only, seldom, and never before anything else.
//!
//! The node can do without any of it, so nothing of it is kept: what could not be said when its time
//! came is passed over.

use std::sync::Arc;
use std::time::Duration;

use model::{LeafId, limits};
use protocol::frame::UpFrame;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Desk;
use crate::progress::Progress;

/// What the node was told of the work of one leaf.
pub(super) struct Telling {
    progress: Progress,
    /// Time between two frames.
    pause: Duration,
    /// [`Progress::changes`] when the node was told.
    told: u64,
    /// When it was, or the work began.
    told_at: Instant,
    next_at: Instant,
}

impl Telling {
    /// Tells of work that begins, every `pause_ms`, but no more often than is allowed.
    pub(super) fn new(progress: Progress, pause_ms: u64, now: Instant) -> Self {
        let pause = Duration::from_millis(pause_ms.max(limits::PROGRESS_MS_MIN));
        Self {
            progress,
            pause,
            told: 0,
            told_at: now,
            next_at: now + pause,
        }
    }

    fn has_news(&self) -> bool {
        self.progress.changes() != self.told
    }
}

/// Whether and when what is to be told of all work.
#[derive(Default)]
pub(super) struct News {
    /// Whether the node of this session takes it.
    pub(super) is_taken: bool,
    /// Running work has changed.
    changed: Arc<Notify>,
}

impl News {
    /// What work that begins tells, and how it is told if its order asks for it every `pause_ms`; 0: not
    /// at all.
    pub(super) fn begin(&self, pause_ms: u64) -> (Progress, Option<Telling>) {
        if pause_ms == 0 {
            return (Progress::default(), None);
        }
        let progress = Progress::telling(Arc::clone(&self.changed));
        let telling = Telling::new(progress.clone(), pause_ms, Instant::now());
        (progress, Some(telling))
    }
}

impl Desk {
    /// Resolves when running work may have changed, if there is a node that wants to know.
    pub(crate) async fn changed(&self) {
        if self.news.is_taken {
            self.news.changed.notified().await;
        } else {
            std::future::pending().await
        }
    }

    fn tellings(&mut self) -> impl Iterator<Item = (&LeafId, &mut Telling)> {
        let running = self.running.iter_mut();
        running.filter_map(|(leaf, it)| Some((leaf, it.telling.as_mut()?)))
    }

    /// When there is something to be said of running work; `None`: it has not changed.
    pub(crate) fn next_progress(&mut self) -> Option<Instant> {
        if !self.news.is_taken {
            return None;
        }
        let tellings = self.tellings().filter(|(_, it)| it.has_news());
        tellings.map(|(_, it)| it.next_at).min()
    }

    /// Offers what is to be said now to `take`, which says whether it took it.
    pub(crate) fn tell_progress(&mut self, take: impl FnMut(UpFrame) -> bool) {
        tell(self.tellings(), Instant::now(), take);
    }

    /// A session is open on which nothing was told yet.
    pub(super) fn begin_news(&mut self, is_taken: bool) {
        self.news.is_taken = is_taken;
        for (_, telling) in self.tellings() {
            telling.told = 0;
        }
    }
}

/// Offers what is due: what was said longest ago first, so that no leaf keeps another one from its turn.
/// What is not taken is passed over until it is due again.
fn tell<'a>(
    tellings: impl Iterator<Item = (&'a LeafId, &'a mut Telling)>,
    now: Instant,
    mut take: impl FnMut(UpFrame) -> bool,
) {
    let due = tellings.filter(|(_, it)| it.has_news() && it.next_at <= now);
    let mut due: Vec<_> = due.collect();
    due.sort_by_key(|(_, it)| it.told_at);
    for (leaf, telling) in due {
        telling.next_at = now + telling.pause;
        let changes = telling.progress.changes();
        if take(UpFrame::Progress(telling.progress.frame(*leaf))) {
            telling.told = changes;
            telling.told_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{RootId, UnixMillis};

    use super::*;

    const PAUSE_MS: u64 = limits::PROGRESS_MS_MIN;

    /// Leaves whose work began at the same time.
    struct Leaves {
        began: Instant,
        tellings: Vec<(LeafId, Telling)>,
    }

    impl Leaves {
        fn new(count: u32, pause_ms: u64) -> Self {
            let (began, root) = (Instant::now(), RootId::new(UnixMillis(0), [0; 6]));
            let telling = || Telling::new(Progress::default(), pause_ms, began);
            Self {
                began,
                tellings: (1..=count).map(|it| (root.leaf(it), telling())).collect(),
            }
        }

        fn write(&self, text: &str) {
            for (_, telling) in &self.tellings {
                telling.progress.wrote(text.as_bytes());
            }
        }

        /// What is said so long after the beginning if there is room for `room` frames.
        fn said(&mut self, after_ms: u64, room: usize) -> Vec<(u32, String)> {
            let mut said = Vec::new();
            let now = self.began + Duration::from_millis(after_ms);
            let tellings = self.tellings.iter_mut().map(|(leaf, it)| (&*leaf, it));
            tell(tellings, now, |frame| {
                let UpFrame::Progress(frame) = frame else {
                    panic!("{frame:?}")
                };
                let has_room = said.len() < room;
                if has_room {
                    let leaf: LeafId = frame.leaf_id.parse().unwrap();
                    said.push((leaf.number, String::from_utf8(frame.output).unwrap()));
                }
                has_room
            });
            said
        }
    }

    fn only(text: &str) -> Vec<(u32, String)> {
        vec![(1, text.to_owned())]
    }

    #[test]
    fn the_newest_is_said_once_in_its_time_and_nothing_while_nothing_changes() {
        let mut leaf = Leaves::new(1, 0);
        leaf.write("a");
        assert_eq!(leaf.said(PAUSE_MS - 1, 1), []);
        leaf.write("b");
        assert_eq!(leaf.said(PAUSE_MS, 1), only("ab"));
        assert_eq!(leaf.said(3 * PAUSE_MS, 1), []);
        leaf.write("c");
        assert_eq!(leaf.said(3 * PAUSE_MS, 1), only("abc"));
        leaf.write("d");
        assert_eq!(leaf.said(4 * PAUSE_MS - 1, 1), []);
        assert_eq!(leaf.said(4 * PAUSE_MS, 1), only("abcd"));
    }

    #[test]
    fn an_order_may_ask_for_less_but_not_for_more() {
        let mut seldom = Leaves::new(1, 10 * PAUSE_MS);
        seldom.write("a");
        assert_eq!(seldom.said(10 * PAUSE_MS - 1, 1), []);
        assert_eq!(seldom.said(10 * PAUSE_MS, 1), only("a"));
    }

    #[test]
    fn what_finds_no_room_is_passed_over_and_only_the_newest_is_said_later() {
        let mut leaf = Leaves::new(1, 0);
        leaf.write("a");
        assert_eq!(leaf.said(PAUSE_MS, 0), []);
        leaf.write("b");
        assert_eq!(leaf.said(2 * PAUSE_MS - 1, 1), []);
        assert_eq!(leaf.said(2 * PAUSE_MS, 1), only("ab"));
    }

    #[test]
    fn no_leaf_keeps_another_one_from_its_turn() {
        let mut leaves = Leaves::new(3, 0);
        let mut turns = Vec::new();
        for round in 1..=6 {
            leaves.write(".");
            let said = leaves.said(round * PAUSE_MS, 1);
            turns.extend(said.iter().map(|(number, _)| *number));
        }
        assert_eq!(turns, [1, 2, 3, 1, 2, 3]);
    }
}
