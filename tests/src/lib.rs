//! The harness of the whole-house tests: the built programs, each test with its own server, agents, folder and port.
//!
//! Owns starting and killing, and waiting for a condition. Never looks inside a program: everything is seen through its command
//! line, its API and its files. Whatever a test started is gone when the test is, and what it logged is printed if it failed.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says why and ends"
)]

mod agent;
mod disk;
mod foreign;
mod http;
mod postgres;
mod program;
mod proxy;
mod server;
mod volume;
mod wait;

pub use agent::Agent;
pub use disk::{Disk, Sickness};
pub use foreign::Foreign;
pub use http::{Reply, Request, now_ms, unique};
pub use postgres::{Postgres, give, new_database, postgres_tool};
pub use program::{Program, Said, binary, run, shell};
pub use proxy::ConnectProxy;
pub use server::{ROOT_ID, ROOT_SECRET, Server};
pub use volume::Volume;
pub use wait::{PATIENCE, until};
