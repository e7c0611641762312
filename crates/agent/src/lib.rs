//! The host's side of Sickbay: the daemon `sickbay-agent` and the stand-alone checker.
//!
//! Runs as root on every host, so it has few dependencies, no SQL and no HTTP server. It never does
//! what no valid signed order or person on the host asked for.

mod characters;
pub mod check;
pub mod checker;
pub mod cli;
pub mod config;
pub mod connect;
#[cfg(test)]
mod fuzz;
pub mod identity;
pub mod inventory;
pub mod journal;
pub mod policy;
pub mod progress;
pub mod resolve;
pub mod runner;
pub mod session;
pub mod work;
