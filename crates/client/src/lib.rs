//! The typed client of Sickbay's API: signs, sends, reads, pages, and repeats what may be repeated.
//!
//! Owns the connection to one control plane. Never prints, never reads the environment, never decides what a refusal means to the
//! person in front of it. Used by the operator's command line, by tests and by the bench.

mod access;
mod audit;
mod client;
mod connection;
mod download;
mod error;
mod host;
mod install_code;
mod pages;
mod problem;
mod task;

pub use audit::AuditFilter;
pub use client::{Client, Config};
pub use error::{Error, Refusal};
pub use host::{HostChoice, HostQuery};
pub use install_code::NewInstallCode;
pub use pages::{Page, Pages};
pub use task::{LeafFilter, LeafQuery, NewTask, TaskQuery};
