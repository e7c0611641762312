//! What things are in Sickbay: ids, statuses and their one transition function, limits, outcomes,
//! problems, causes and fixes.
//!
//! Everything else is built on this crate and it is built on nothing: no I/O, no clock, no
//! randomness, no serialisation. Times and random bytes come in as arguments.

pub mod asset;
mod catalogue;
pub mod cause;
pub mod fix;
pub mod host;
pub mod id;
pub mod label;
pub mod language;
pub mod leaf;
pub mod limits;
pub mod network;
pub mod outcome;
pub mod plan;
pub mod problem;
pub mod root;
pub mod selector;
pub mod task;
pub mod template;
pub mod time;
pub mod version;

pub use asset::AssetItem;
pub use cause::{Cause, Severity};
pub use fix::Fix;
pub use host::HostUuid;
pub use id::{LeafId, RootId, TaskId};
pub use label::{LabelChange, LabelKey, LabelValue, Labels};
pub use language::{Language, Text};
pub use leaf::{Dispatch, Effect, Event, LeafState, Reason, Status, Verdict};
pub use network::Network;
pub use outcome::{OutcomeId, Said};
pub use plan::Plan;
pub use problem::ProblemType;
pub use root::Totals;
pub use selector::Selector;
pub use task::TaskType;
pub use template::Placeholder;
pub use time::UnixMillis;
