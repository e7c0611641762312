//! The living rooms: what the control plane does, in its own words. Knows no HTTP and no SQL.

pub(crate) mod access;
pub(crate) mod audit;
mod bundle;
mod checker;
mod error;
pub(crate) mod host;
pub(crate) mod install_code;
mod inventory;
mod listing;
pub(crate) mod property;
pub(crate) mod target;
pub(crate) mod task;
mod verification;

pub(crate) use bundle::{Arriving, Bundles, Denied};
pub(crate) use checker::Checker;
pub(crate) use error::Error;
pub(crate) use listing::Listings;
pub(crate) use verification::Verification;
