//! The answers of the API, operation by operation, and the reader of `Param`.
//!
//! Owns the documented names and JSON types, misspelt ones included. `RequestId` is in no struct: the front door adds it to
//! every body. Facts that only a cloud knows (regions, clusters, vendors, risk counts) are left out, never invented; clients take
//! absent members for unknown. What Sickbay adds of its own is marked "ours". Filled by the front door, read by the client.

pub mod access;
pub mod audit;
pub mod host;
pub mod install_code;
pub mod label;
pub mod param;
pub mod problem;
pub mod property;
pub mod task;

use serde::{Deserialize, Serialize};

/// The version of the API that is spoken.
pub const VERSION: &str = "2018-12-03";

/// Which page this is, and how much there is in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PageInfo {
    /// Entries on this page.
    pub count: u32,
    /// Number of this page, from 1.
    pub current_page: u32,
    /// Entries that a page holds.
    pub page_size: u32,
    /// Matches in all.
    pub total_count: u64,
}

/// The answer of operations that have nothing to say but that it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}
