//! Answer of `ListAuditEntries`, which is ours: who asked for what.

use serde::{Deserialize, Serialize};

/// Answer of `ListAuditEntries`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListAuditEntries {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// What to ask with for older ones, as `NextToken`; absent: there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuditEntry {
    /// Its number, from 1 without gaps.
    pub no: i64,
    /// When, in ms since the Unix epoch.
    pub time: i64,
    /// Who; empty if nobody was proven.
    pub user: String,
    /// The operation, or `SignIn`.
    pub action: String,
    /// JSON of a [`crate::audit::AuditRecord`], exactly as the digest covers it.
    pub record: String,
    /// The digest of this entry and all before it, lower-case hexadecimal.
    pub digest: String,
}
