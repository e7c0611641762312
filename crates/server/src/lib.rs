//! The control plane.
//!
//! `api` is the front door, `gateway` the agents' entrance; both lead to `service`, which knows no
//! HTTP and no SQL; `engine` hands out the work.

mod api;
mod app;
mod auth;
mod body;
mod certificate;
mod clock;
mod console;
mod database;
mod download;
mod engine;
mod gateway;
mod listen;
mod node;
mod random;
mod retention;
mod service;
pub mod upkeep;

pub use auth::RootKey;
pub use certificate::CertificateSource;
pub use database::{Database, Error as DatabaseError};
pub use node::{Error, Node, Options};
pub use retention::Retention;
pub use store::{AUDIT_DIGEST_BYTES, NewAudit, PostgresUrl, UrlError, audit_digest};
