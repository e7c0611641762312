//! The whole house through its front and back doors: every test starts the built programs and looks at what a user sees.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says why and ends"
)]

mod absent;
mod access;
mod admin;
mod agent_doors;
mod assets;
mod audit;
mod chaos;
mod check;
mod cli;
mod console;
mod crash;
mod database;
mod database_loss;
mod database_tls;
mod disk;
mod fix;
mod foreign;
mod ground_truth;
mod hostile;
mod house;
mod inventory;
mod labels;
mod manual;
mod ops;
mod pacing;
mod parameters;
mod power;
mod profiles;
mod progress;
mod refusals;
mod runbook;
mod sdk;
mod secrets;
mod seed;
mod stop;
mod storage;
mod targets;
mod waiting;
