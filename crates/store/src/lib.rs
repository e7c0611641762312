//! What is remembered: one trait, and SQLite or PostgreSQL behind it. The only crate with SQL.
//!
//! The truth about a root's leaves is its journal, an append-only list of events; their states are
//! the fold of that journal through [`model::LeafState::next`], and every count is derived from the
//! fold in the same transaction. No call reads a clock or makes an id: both are arguments.

mod access;
mod audit;
mod error;
mod fold;
mod host;
mod install_code;
mod journal;
mod outcome;
mod postgres;
mod snapshot;
mod sql;
mod sqlite;
mod task;

pub mod conformance;

use async_trait::async_trait;
use model::{AssetItem, Event, HostUuid, LabelChange, LeafId, RootId, UnixMillis};

pub use access::{AccessKey, Policy, Token, User};
pub use audit::{AUDIT_DIGEST_BYTES, AuditEntry, AuditQuery, NewAudit, audit_digest};
pub use error::{Error, Source};
pub use host::{Host, HostFilter, HostMatch, HostNo, NewHost};
pub use install_code::InstallCode;
pub use outcome::{LeafAnswer, OutcomeGroup};
pub use postgres::{Postgres, PostgresStore, PostgresUrl, UrlError};
pub use snapshot::{NewSnapshot, Snapshot};
pub use sql::SqlStore;
pub use sqlite::{Options, Sqlite, SqliteStore};
pub use task::{
    Applied, Created, Dropped, Leaf, LeafEvent, LeafQuery, LeafSlot, NewRoot, Page, PageRequest,
    Root, RootQuery, Window,
};

/// Everything that is remembered. Each call is one transaction, or part of a group commit that is
/// durable before the call returns. An unfinished root whose stored data does not read when the store
/// opens is set aside: its row is shown, all about its leaves answers `Corrupt`, and the others go on.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Creates a root and its waiting leaves, one per host, numbered from 1 in the order of `hosts`
    /// (ascending, without repeats). If a root with this `request_key` exists, nothing is created:
    /// that root is returned, or `Conflict` if it was asked with another `request_digest`.
    async fn root_create(&self, root: NewRoot, hosts: Vec<HostNo>) -> Result<Created, Error>;
    /// The root that this request created, if any; `Conflict` if the key came with another digest.
    async fn root_of_request(
        &self,
        request_key: &str,
        request_digest: &[u8; 32],
    ) -> Result<Option<RootId>, Error>;
    /// One root with its counts of this moment.
    async fn root_get(&self, id: RootId) -> Result<Option<Root>, Error>;
    /// The newest root of a type and source.
    async fn root_last(&self, query: &RootQuery) -> Result<Option<Root>, Error>;
    /// A page of roots, newest first, with the exact number of matches.
    async fn root_page(&self, query: &RootQuery, page: PageRequest) -> Result<Page<Root>, Error>;
    /// The unfinished roots that were not set aside, oldest first.
    async fn root_active(&self) -> Result<Vec<Root>, Error>;
    /// Marks a root as cancelled at `now`; returns whether it was unfinished and not yet cancelled.
    async fn root_cancel(&self, id: RootId, now: UnixMillis) -> Result<bool, Error>;
    /// Drops the oldest roots with their leaves and request keys: those that started before `before`,
    /// and those beyond the newest `keep_max`. The first that has not ended stops it, unless it was
    /// set aside; the newest root always stays. A dropped root is gone at once, its rows go bit by
    /// bit: one call deletes at most `rows_max` rows, in one commit, so call it until it is done.
    async fn root_drop_oldest(
        &self,
        before: UnixMillis,
        keep_max: Option<u64>,
        rows_max: u32,
    ) -> Result<Dropped, Error>;

    /// Runs each event through [`model::LeafState::next`] and stores what it says, in the group
    /// commit. One result per event, in order: a bad event spoils only itself. When this returns,
    /// what it reports is durable, but that a leaf is `Taken` or `TakenBack` where the work only
    /// reads: that is kept in memory, and after a crash such a leaf waits again. `Taken` changes
    /// nothing once the root is cancelled.
    async fn leaf_apply_many(
        &self,
        events: Vec<LeafEvent>,
        now: UnixMillis,
    ) -> Result<Vec<Result<Applied, Error>>, Error>;
    /// Runs one event, likewise, on every unfinished leaf of a root: one journal entry, however many
    /// leaves. Returns the leaves whose effect was not `Unchanged`, with what happened to them.
    async fn leaf_apply_all(
        &self,
        root: RootId,
        event: Event,
        now: UnixMillis,
    ) -> Result<Vec<(LeafSlot, Applied)>, Error>;
    /// One leaf with its answer.
    async fn leaf_get(&self, id: LeafId) -> Result<Option<Leaf>, Error>;
    /// A page of leaves, newest root first and by number under it, with the exact number of matches.
    /// The page belongs to one moment. Answers are read until `answers_bytes_max` is reached (0:
    /// none); the leaves after that say that theirs is left out.
    async fn leaf_page(
        &self,
        query: &LeafQuery,
        page: PageRequest,
        answers_bytes_max: usize,
    ) -> Result<Page<Leaf>, Error>;
    /// Up to `size` leaves of a root at one moment: those that ended badly or not in time first, then
    /// the unfinished ones, then those that ended well, each by number. `total` counts all leaves.
    /// Answers as in [`Store::leaf_page`].
    async fn leaf_problems_first(
        &self,
        root: RootId,
        size: u32,
        answers_bytes_max: usize,
    ) -> Result<Page<Leaf>, Error>;
    /// The leaves of a root that have ended, by outcome, the largest group first; all groups together
    /// count them all. The exact outcomes are told apart up to
    /// [`model::limits::ROOT_OUTCOMES_MAX`]; the rest of each status is one group more.
    async fn outcome_list(&self, root: RootId) -> Result<Vec<OutcomeGroup>, Error>;
    /// The unfinished leaves of an unfinished root, by number.
    async fn leaf_unfinished(&self, root: RootId) -> Result<Vec<LeafSlot>, Error>;
    /// The unfinished leaves of one host over all unfinished roots, oldest root first.
    async fn leaf_unfinished_of_host(&self, host: HostNo) -> Result<Vec<LeafSlot>, Error>;

    /// Adds a host, or answers `Conflict` if the uuid exists.
    async fn host_add(&self, host: NewHost) -> Result<HostNo, Error>;
    /// One host.
    async fn host_get(&self, uuid: &HostUuid) -> Result<Option<Host>, Error>;
    /// The host that is not removed and has this public key.
    async fn host_of_key(&self, public_key: &[u8]) -> Result<Option<Host>, Error>;
    /// Hosts by number, in the order asked; unknown or removed ones are returned as they were last
    /// known (removed hosts keep their row).
    async fn host_get_many(&self, numbers: &[HostNo]) -> Result<Vec<Host>, Error>;
    /// The numbers of all hosts that are not removed, ascending.
    async fn host_numbers(&self) -> Result<Vec<HostNo>, Error>;
    /// A page of hosts that are not removed, oldest first, with the exact number of matches.
    async fn host_page(&self, filter: &HostFilter, page: PageRequest) -> Result<Page<Host>, Error>;
    /// The host was heard from at `now`; `facts` (JSON) and `agent_version` replace the old ones.
    async fn host_seen(
        &self,
        host: HostNo,
        agent_version: String,
        facts: Option<String>,
        now: UnixMillis,
    ) -> Result<(), Error>;
    /// Changes the labels of hosts, all in one commit; those that are not there are passed over. Returns
    /// how many have other labels than before; `Conflict`, and nothing is changed, if one would have more
    /// than [`model::limits::HOST_LABELS_MAX`].
    async fn host_label(&self, hosts: &[HostNo], change: &LabelChange) -> Result<u64, Error>;
    /// Marks a host as removed: its key no longer opens a session. Returns whether it was there.
    async fn host_remove(&self, uuid: &HostUuid, now: UnixMillis) -> Result<bool, Error>;

    /// Those lists of these hosts that are kept, by host and item as asked: what an inventory that ended
    /// well said last. They come with their results, in the same commit, and go with their host.
    async fn snapshot_list(
        &self,
        hosts: &[HostNo],
        items: &[AssetItem],
    ) -> Result<Vec<Snapshot>, Error>;
    /// The lists whose [`Snapshot::change`] is beyond `after`, in that order, `rows_max` at most: who has
    /// seen all up to a number asks for those after it, and knows all again.
    async fn snapshot_changes(&self, after: i64, rows_max: u32) -> Result<Vec<Snapshot>, Error>;

    /// Adds an install code.
    async fn install_code_add(&self, code: InstallCode) -> Result<(), Error>;
    /// One install code, by its id.
    async fn install_code_get(&self, id: &str) -> Result<Option<InstallCode>, Error>;
    /// All install codes, newest first.
    async fn install_code_list(&self) -> Result<Vec<InstallCode>, Error>;
    /// Deletes an install code; returns whether it was there.
    async fn install_code_delete(&self, id: &str) -> Result<bool, Error>;
    /// Counts one use of an install code; returns whether it had one left.
    async fn install_code_use(&self, id: &str) -> Result<bool, Error>;

    /// Adds a user, or answers `Conflict`.
    async fn user_add(&self, name: &str, now: UnixMillis) -> Result<(), Error>;
    /// All users with their keys and policies, by name.
    async fn user_list(&self) -> Result<Vec<User>, Error>;
    /// One user with keys and policies.
    async fn user_get(&self, name: &str) -> Result<Option<User>, Error>;
    /// Deletes a user with keys, policies and tokens; returns whether it was there.
    async fn user_delete(&self, name: &str) -> Result<bool, Error>;
    /// Adds an access key of an existing user (`NotFound` otherwise).
    async fn key_add(&self, key: AccessKey) -> Result<(), Error>;
    /// One access key.
    async fn key_get(&self, id: &str) -> Result<Option<AccessKey>, Error>;
    /// Switches an access key on or off; returns whether it was there.
    async fn key_set_active(&self, id: &str, active: bool) -> Result<bool, Error>;
    /// Deletes an access key; returns whether it was there.
    async fn key_delete(&self, id: &str) -> Result<bool, Error>;
    /// Adds or replaces a policy of an existing user (`NotFound` otherwise).
    async fn policy_put(&self, user: &str, policy: Policy) -> Result<(), Error>;
    /// Deletes a policy; returns whether it was there.
    async fn policy_delete(&self, user: &str, name: &str) -> Result<bool, Error>;
    /// Adds a temporary token and drops those that expired before `now`.
    async fn token_add(&self, token: Token, now: UnixMillis) -> Result<(), Error>;
    /// One temporary token by its access key id (or, for a bearer token, by its id).
    async fn token_get(&self, id: &str) -> Result<Option<Token>, Error>;
    /// Deletes a temporary token; returns whether it was there.
    async fn token_delete(&self, id: &str) -> Result<bool, Error>;

    /// Uses a nonce, given as its hash, and drops those that expired before `now`; returns whether it
    /// was new.
    async fn nonce_burn(
        &self,
        hash: Vec<u8>,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, Error>;

    /// Adds entries to the audit log, in this order. Their times never go back: one that would gets the time of the one
    /// before it.
    async fn audit_append(&self, entries: Vec<NewAudit>) -> Result<(), Error>;
    /// Entries of the audit log, newest first.
    async fn audit_page(&self, query: AuditQuery) -> Result<Vec<AuditEntry>, Error>;

    /// A small value that the node keeps across restarts, such as a sealed key.
    async fn setting_get(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;
    /// Stores such a value if none is there yet, and returns the one that is there afterwards.
    async fn setting_put_new(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>, Error>;

    /// Changes whenever anything that can be read has changed: equal numbers mean equal answers.
    fn generation(&self) -> u64;
    /// Whether the store answers and can write.
    async fn ping(&self) -> Result<(), Error>;
    /// Recomputes everything derived from the journals and compares: one line per difference.
    async fn verify(&self) -> Result<Vec<String>, Error>;
    /// Returns when the answers of all roots that have ended by now are in the order of their leaves,
    /// where that pays. It happens by itself, and changes no answer of any call: who measures wants to
    /// know when it is done.
    async fn packed(&self) -> Result<(), Error>;
    /// Commits what waits and closes. Calls after this answer `Unavailable`.
    async fn close(&self);
}
