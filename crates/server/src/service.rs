//! The living rooms: what the control plane does, in its own words. Knows no HTTP and no SQL.

pub(crate) mod access;
mod bundle;
mod checker;
mod error;
pub(crate) mod host;
pub(crate) mod install_code;
pub(crate) mod task;

pub(crate) use bundle::{Arriving, Bundles, Denied};
pub(crate) use checker::Checker;
pub(crate) use error::Error;
