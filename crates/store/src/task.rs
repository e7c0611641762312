//! Roots and leaves as the store gives them.

use model::{
    Effect, Event, LeafId, LeafState, OutcomeId, Plan, RootId, Status, TaskType, Totals, UnixMillis,
};

use crate::{HostNo, LeafAnswer};

/// A root to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoot {
    /// Its id.
    pub id: RootId,
    /// What is asked.
    pub task_type: TaskType,
    /// `TaskName` as it was given.
    pub name: String,
    /// Who started it (`Source`); may be empty.
    pub source: String,
    /// The operator's name.
    pub operator: String,
    /// JSON of the work, as it goes into the orders.
    pub work: String,
    /// When it starts. Stored as at least the start of the root before it.
    pub created_at: UnixMillis,
    /// When every leaf must have ended.
    pub deadline: UnixMillis,
    /// Identifies the request: the same key never creates twice.
    pub request_key: String,
    /// Digest of what was asked: the same key with another digest is another request.
    pub request_digest: [u8; 32],
    /// The root whose hosts it runs again.
    pub rerun_of: Option<RootId>,
    /// How its leaves are handed out.
    pub plan: Plan,
}

/// What `root_create` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// The root, new or found.
    pub id: RootId,
    /// Whether it was found by its `request_key`: nothing was created.
    pub existed: bool,
}

/// What one call of `root_drop_oldest` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The roots that are gone since this call, oldest first.
    pub roots: Vec<RootId>,
    /// Whether nothing more is to be dropped or deleted now.
    pub is_done: bool,
}

/// A root at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its id.
    pub id: RootId,
    /// What is asked.
    pub task_type: TaskType,
    /// `TaskName` as it was given.
    pub name: String,
    /// Who started it; may be empty.
    pub source: String,
    /// The operator's name.
    pub operator: String,
    /// The root whose hosts it runs again.
    pub rerun_of: Option<RootId>,
    /// How its leaves are handed out.
    pub plan: Plan,
    /// JSON of the work.
    pub work: String,
    /// When it started.
    pub created_at: UnixMillis,
    /// When every leaf must have ended.
    pub deadline: UnixMillis,
    /// When it was cancelled.
    pub cancelled_at: Option<UnixMillis>,
    /// When its last leaf ended.
    pub ended_at: Option<UnixMillis>,
    /// Its leaves by status.
    pub totals: Totals,
}

/// A span of time, both ends inclusive; `None` is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// First moment.
    pub start: Option<UnixMillis>,
    /// Last moment.
    pub end: Option<UnixMillis>,
}

/// Which roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootQuery {
    /// Of this type.
    pub task_type: TaskType,
    /// Of this source, if given.
    pub source: Option<String>,
    /// Started in this window.
    pub window: Window,
}

/// Which leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafQuery {
    /// The leaves of one root; `statuses` empty: all.
    Root {
        /// The root.
        root: RootId,
        /// Statuses to keep.
        statuses: Vec<Status>,
        /// Only those that ended so, if given.
        outcome: Option<OutcomeId>,
    },
    /// The leaves of all roots that match; `statuses` empty: all.
    Roots {
        /// The roots.
        roots: RootQuery,
        /// Statuses to keep.
        statuses: Vec<Status>,
    },
}

/// Which page. Page 1 is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// From 1.
    pub number: u64,
    /// Rows of a page.
    pub size: u32,
}

impl PageRequest {
    /// Rows before this page.
    #[must_use]
    pub const fn offset(self) -> u64 {
        (self.number.saturating_sub(1)).saturating_mul(self.size as u64)
    }
}

/// A page of rows. Rows and total belong to one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows of this page; empty past the end.
    pub rows: Vec<T>,
    /// All matches.
    pub total: u64,
}

/// A leaf at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its id.
    pub id: LeafId,
    /// Its host.
    pub host: HostNo,
    /// Where it stands.
    pub state: LeafState,
    /// JSON of the answer, if it was asked for and there is one.
    pub answer: Option<Vec<u8>>,
    /// Whether there is an answer that was not read because the page has too many bytes of them.
    pub answer_left_out: bool,
}

/// An unfinished leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafSlot {
    /// Its id.
    pub id: LeafId,
    /// Its host.
    pub host: HostNo,
    /// Where it stands.
    pub state: LeafState,
}

/// Something happened to a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafEvent {
    /// The leaf.
    pub leaf: LeafId,
    /// What happened.
    pub event: Event,
    /// The answer; only with `Event::Ended`.
    pub answer: Option<LeafAnswer>,
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The leaf before.
    pub before: LeafState,
    /// The leaf after.
    pub after: LeafState,
    /// What the transition asks for.
    pub effect: Effect,
    /// Whether this ended the root's last leaf.
    pub root_ended: bool,
}
