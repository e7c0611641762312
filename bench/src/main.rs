//! Measures Sickbay through its real release binaries and prints figures with the machine's own
//! ceiling, measured in the same run, beside them.
//!
//! `cargo build --release --bins && cargo run --release -p bench -- WORKLOAD [--json]`

mod agents;
mod api;
mod bare;
mod bare_agents;
mod crash;
mod fanout;
mod hosts;
mod house;
mod idle;
mod ingest;
mod journalled;
mod load;
mod numbers;
mod property;
mod query;
mod reconnect;
mod rows;
mod start;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use serde_json::Value;

#[derive(Parser)]
#[command(about = "Measures Sickbay through its real release binaries")]
struct Cli {
    /// Print one JSON object instead of a line for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Subcommand)]
enum Workload {
    /// Signed DescribeOnceTask requests beside a bare route that returns the same bytes
    Api {
        /// Requests of each kind
        #[arg(long, default_value_t = 40_000)]
        requests: usize,
        /// Connections at once
        #[arg(long, default_value_t = 16)]
        connections: usize,
        /// Leaves of a root that is there before: pages of 20 of them are asked for, each another one
        #[arg(long, default_value_t = 0)]
        leaves: u32,
    },
    /// Size of the agent, and what it uses while it is idle
    Idle {
        /// How long it is watched, in seconds
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// From the start of the program to its first useful sign
    Start {
        /// Starts of each kind
        #[arg(long, default_value_t = 20)]
        runs: usize,
    },
    /// Results into the store alone, beside the same bytes into a plain file
    Ingest {
        /// Leaves of the one root
        #[arg(long, default_value_t = 100_000)]
        leaves: u32,
        /// A new PostgreSQL database to store in, such as postgres://user@host/name; else SQLite
        #[arg(long, value_name = "URL")]
        store: Option<String>,
    },
    /// Pages of leaves from the store alone: first, middle and last, beside rows with OFFSET and COUNT
    Query {
        /// Leaves in all; nine in ten are in roots of up to 1,000,000, the others in roots of 500
        #[arg(long, default_value_t = 1_000_000)]
        leaves: u32,
    },
    /// Entries of the inventories of many hosts by the API: first question, pages and filters
    Property {
        /// Hosts with an inventory of about 300 entries each
        #[arg(long, default_value_t = 10_000)]
        hosts: u32,
        /// Requests of each kind
        #[arg(long, default_value_t = 200)]
        requests: usize,
    },
    /// One order to many agents until every result is durable, beside a bare round of frames
    Fanout {
        /// Simulated agents
        #[arg(long, default_value_t = 1_000)]
        agents: usize,
    },
    /// `true` on real agents, each a process: from the request until every result is durable
    Hosts {
        /// Agents
        #[arg(long, default_value_t = 20)]
        agents: usize,
        /// Requests, one after another
        #[arg(long, default_value_t = 50)]
        rounds: usize,
    },
    /// From a crash of the server until all agents are back
    Reconnect {
        /// Simulated agents
        #[arg(long, default_value_t = 1_000)]
        agents: usize,
    },
    /// `kill -9` of the server again and again while commands run: what is lost, and what runs twice
    Crash {
        /// Kills
        #[arg(long, default_value_t = 200)]
        rounds: u32,
        /// Simulated agents, each with a journal
        #[arg(long, default_value_t = 200)]
        agents: u32,
        /// Commands for all of them
        #[arg(long, default_value_t = 100)]
        tasks: u32,
        /// Of the moments: the same seed gives the same ones
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// The server that `fanout` is compared with: frames over WebSocket and TLS and nothing else
    #[command(hide = true)]
    BareAgents,
    /// The bare HTTP server that `api` is compared with; answers every request with its input
    #[command(hide = true)]
    Bare,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.workload) {
        Ok(Some(result)) => {
            print(&result, cli.json);
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(workload: &Workload) -> anyhow::Result<Option<Value>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        Ok(match workload {
            Workload::Api {
                requests,
                connections,
                leaves,
            } => Some(api::run(*requests, *connections, *leaves).await?),
            Workload::Idle { seconds } => Some(idle::run(*seconds).await?),
            Workload::Start { runs } => Some(start::run(*runs)?),
            Workload::Ingest { leaves, store } => {
                Some(ingest::run(*leaves, store.as_deref()).await?)
            }
            Workload::Query { leaves } => Some(query::run(*leaves).await?),
            Workload::Property { hosts, requests } => Some(property::run(*hosts, *requests).await?),
            Workload::Fanout { agents } => Some(fanout::run(*agents).await?),
            Workload::Hosts { agents, rounds } => Some(hosts::run(*agents, *rounds).await?),
            Workload::Reconnect { agents } => Some(reconnect::run(*agents).await?),
            Workload::Crash {
                rounds,
                agents,
                tasks,
                seed,
            } => Some(crash::run(*rounds, *agents, *tasks, *seed).await?),
            Workload::BareAgents => {
                bare_agents::serve().await?;
                None
            }
            Workload::Bare => {
                bare::serve().await?;
                None
            }
        })
    })
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what this program is for"
)]
fn print(result: &Value, json: bool) {
    if json {
        println!("{result}");
    } else {
        println!("{result:#}");
    }
}

#[expect(clippy::print_stderr, reason = "where a program says why it failed")]
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
