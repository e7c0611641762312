//! The command line: one file per noun under `cmd/`, each with its arguments and what they do.
//!
//! Talks to the control plane through `client` alone, and to the person through `ui` alone.

mod access;
mod admin;
mod api;
mod audit;
mod explain;
mod host;
mod install_code;
mod problem;
mod runbook;
mod server;
mod task;
mod up;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use crate::exit::Exit;
use crate::settings::Settings;
use crate::ui::{self, Format, Ui};

/// Do one thing once on every server you own, and know exactly what each one answered.
#[derive(Parser)]
#[command(
    name = "sickbay",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 all succeeded, 1 some failed, 2 usage, 3 timed out, 4 not authenticated or not permitted,\n\
                  5 some never delivered, 6 control plane unreachable, 7 nothing could be compared (admin verify), 130 interrupted"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    /// How data is written; a terminal gets tables, a pipe JSON lines
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine, to try it
    Up(up::Args),
    /// Run a node of the control plane
    Server(server::Args),
    /// Create, follow and read tasks
    #[command(subcommand)]
    Task(task::Command),
    /// List, show, label and remove hosts
    #[command(subcommand)]
    Host(host::Command),
    /// Create, list and delete the codes with which hosts enrol
    #[command(subcommand)]
    InstallCode(install_code::Command),
    /// Manage users, access keys, policies and tokens
    #[command(subcommand)]
    Access(access::Command),
    /// List who asked for what, and verify that the log of it is whole
    #[command(subcommand)]
    Audit(audit::Command),
    /// Verify, back up and restore what the control plane stores
    #[command(subcommand)]
    Admin(admin::Command),
    /// List what a check can be about
    #[command(subcommand)]
    Problem(problem::Command),
    /// List and show commands with a name; needs no control plane
    #[command(subcommand)]
    Runbook(runbook::Command),
    /// Explain a cause or fix, by its code, its name or words in its text; needs no control plane
    Explain(explain::Args),
    /// Call any operation of the API
    Api(api::Args),
}

/// The program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let ui = Ui::new(cli.output);
    match run(cli, &ui) {
        Ok(code) => code,
        Err(error) if ui::is_hang_up(&error) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            Exit::of_error(&error).into()
        }
    }
}

fn run(cli: Cli, ui: &Ui) -> anyhow::Result<ExitCode> {
    let settings = &cli.settings;
    let exit = match cli.command {
        Command::Up(args) => return on_threads(up::run(args, ui)),
        Command::Server(args) => return on_threads(server::run(args, ui)),
        Command::Explain(args) => explain::run(&args, ui),
        Command::Runbook(command) => runbook::run(&command, ui),
        Command::Task(command) => alone(task::run(command, &settings.client()?, ui)),
        Command::Host(command) => alone(host::run(command, &settings.client()?, ui)),
        Command::InstallCode(command) => {
            let client = settings.client()?;
            alone(install_code::run(command, &client, settings.pin(), ui))
        }
        Command::Access(command) => alone(access::run(command, &settings.client()?, ui)),
        Command::Audit(command) => alone(audit::run(command, settings, ui)),
        Command::Admin(command) => alone(admin::run(command, settings, ui)),
        Command::Problem(command) => alone(problem::run(command, &settings.client()?, ui)),
        Command::Api(args) => alone(api::run(args, &settings.client()?, ui)),
    };
    Ok(exit?.into())
}

/// Runs on this thread: a client waits more than it works, and starting threads takes longer than most calls.
fn alone(work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime
        .context("the runtime cannot be started")?
        .block_on(work)
}

fn on_threads(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be started")?;
    let ended = runtime.block_on(work);
    // What only reads, such as a verification of the store, is not waited for.
    runtime.shutdown_background();
    ended
}

/// The two halves of `KEY=VALUE`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE")),
    }
}

/// A language by its word on the wire.
fn language(word: &str) -> Result<model::Language, String> {
    model::Language::from_wire(word).ok_or_else(|| "a language is en or zh".to_owned())
}

/// A moment some hours from now, in ms since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the person means hours from now by the clock on the wall; the server checks the result"
)]
fn hours_from_now(hours: i64) -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = since.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
    now_ms.saturating_add(hours.saturating_mul(3_600_000))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_commands_are_understood() {
        for line in [
            "up",
            "up --once",
            "server --data /d --listen 127.0.0.1:1",
            "server --keep-days 30 --keep-tasks 1000",
            "admin verify",
            "admin verify --data /d",
            "admin backup --data /d --to /b --bundles",
            "admin restore --from /b --data /d",
            "task create CLIENT_DEV_OPS --host h1 --host h2 -p command=uptime --timeout 60 --watch",
            "task create client-problem-check --all --wait",
            "task list --type CLIENT_DEV_OPS -o json",
            "task get 0123456789ab01020304050600000000",
            "task bundle 0123456789ab01020304050600000001 --file b.tar.gz",
            "task rerun 0123456789ab01020304050600000000 --reason never-delivered --wait",
            "task leaves 0123456789ab01020304050600000000 --status FAIL,TIMEOUT",
            "task commands 0123456789ab01020304050600000000 --script",
            "host list",
            "host remove h1",
            "install-code create --hours 2",
            "access user create ann",
            "access key disable AK",
            "access policy put ann read --document {}",
            "access token create --bearer",
            "audit list --user ann --action SignIn --hours 24 --limit 5",
            "audit verify log.jsonl",
            "problem list --lang zh",
            "explain 2401",
            "explain certificate expired --lang zh",
            "task create CLIENT_DEV_OPS --fix 1103 --from-task 0123456789ab01020304050600000000 --yes",
            "api ListUsers a=b --endpoint https://a",
        ] {
            let words = std::iter::once("sickbay").chain(line.split(' '));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
        for line in [
            "task create NO_SUCH --all",
            "task create CLIENT_DEV_OPS --all --host h1",
            "task get 12",
            "admin backup --to /b",
            "admin restore --from /b",
            "server --keep-days -1",
            "task create CLIENT_DEV_OPS --all -p command",
            "task create CLIENT_DEV_OPS --fix 1103",
            "task create CLIENT_DEV_OPS --fix 1301 --from-task 0123456789ab01020304050600000000",
            "explain",
        ] {
            let words = std::iter::once("sickbay").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }

    #[test]
    fn a_value_may_hold_the_separator() {
        assert_eq!(key_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(key_value("=b").is_err());
        assert!(key_value("ab").is_err());
    }
}
