//! The command line of `sickbay-agent`: enrol, run, check, status.
//!
//! Turns arguments into calls and errors into one line and an exit code. What a command is asked for
//! goes to standard output, everything else to standard error.

use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use protocol::endpoint::Endpoint;
use protocol::tls::Fingerprint;
use tokio::signal::unix::{SignalKind, signal};

use crate::check::profile::PROFILES_DIR;
use crate::checker;
use crate::config::{DATA_DIR, DataDir, POLICY_FILE};
use crate::connect::{self, Route};
use crate::policy::{self, Policy};
use crate::runner::Cgroups;
use crate::session::{self, Agent, chain};

mod check;
mod profile;
mod status;
mod terminal;

use terminal::{say, write};
use tracing::level_filters::LevelFilter;

/// Exit code: causes were found, or it failed.
const FAILED: u8 = 1;
/// Exit code: the command line or the policy is wrong.
const USAGE: u8 = 2;
/// Exit code: the server refused, or is not the one that is trusted.
const REFUSED: u8 = 4;
/// Exit code: the server cannot be reached.
const UNREACHABLE: u8 = 6;

/// The host's side of Sickbay.
#[derive(Parser)]
#[command(name = "sickbay-agent", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make this host known to a server.
    Enrol(EnrolArgs),
    /// Serve the server's orders until stopped.
    Run(RunArgs),
    /// Find out what is wrong with an agent on this host.
    Check(check::CheckArgs),
    /// Show what is known of other agents, and check profiles of one's own.
    #[command(subcommand)]
    Profile(profile::Command),
    /// Show whom the agent serves and how its connection stands.
    Status(StatusArgs),
}

#[derive(Args)]
struct EnrolArgs {
    /// The server's address, such as https://sickbay.example:8443.
    #[arg(long, value_name = "URL")]
    server: Endpoint,
    /// The install code that an operator made.
    #[arg(
        long,
        value_name = "CODE",
        env = "SICKBAY_INSTALL_CODE",
        hide_env_values = true
    )]
    install_code: String,
    /// SHA-256 of the server's certificate, where it is not publicly trusted.
    #[arg(long, value_name = "SHA256", value_parser = Fingerprint::parse)]
    pin: Option<Fingerprint>,
    /// Where the agent keeps its files.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data: PathBuf,
    /// Replace an earlier enrolment.
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
struct RunArgs {
    /// Where the agent keeps its files.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data: PathBuf,
    /// What this host lets the server ask for: a file that exists. Without this option
    /// /etc/sickbay/agent.toml, and where that is missing, everything.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Where this host's own profiles lie.
    #[arg(long, value_name = "DIR", default_value = PROFILES_DIR)]
    profiles: PathBuf,
    /// The control group (cgroup v2) below which commands get theirs; `none`: they get none. Without
    /// this option one that the host hands to its agent: below its root, or with `Delegate=yes`.
    #[arg(long, value_name = "DIR")]
    cgroup: Option<PathBuf>,
}

#[derive(Args)]
struct StatusArgs {
    /// Where the agent keeps its files.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One line for the person and an exit code.
#[derive(Debug)]
struct Failure {
    code: u8,
    line: String,
}

impl From<session::Error> for Failure {
    fn from(error: session::Error) -> Self {
        use connect::Error as Connect;
        use session::Error as E;
        let code = match &error {
            E::Refused { .. }
            | E::Replaced
            | E::OtherKeys(_)
            | E::Connect(Connect::WrongPin(_)) => REFUSED,
            E::Connect(Connect::BadProxy(_)) => USAGE,
            E::Connect(_) | E::Lost(_) | E::Silent | E::Protocol(_) => UNREACHABLE,
            E::AlreadyEnrolled(_)
            | E::Taken(_)
            | E::DataDir(..)
            | E::Identity(_)
            | E::Journal(_) => FAILED,
        };
        let line = chain(&error);
        Self { code, line }
    }
}

impl From<checker::Error> for Failure {
    fn from(error: checker::Error) -> Self {
        let code = match error {
            checker::Error::Session(error) => return error.into(),
            checker::Error::Endpoint(_) | checker::Error::Pin(_) => USAGE,
            checker::Error::OtherKey(_) => REFUSED,
            checker::Error::Check(crate::check::Error::Profile(_)) => USAGE,
            checker::Error::Check(crate::check::Error::Broken(_))
            | checker::Error::Temporary(..)
            | checker::Error::Journal(_) => FAILED,
        };
        let line = chain(&error);
        Self { code, line }
    }
}

impl From<policy::Error> for Failure {
    fn from(error: policy::Error) -> Self {
        let line = chain(&error);
        Self { code: USAGE, line }
    }
}

/// The program `sickbay-agent`.
#[must_use]
pub fn main() -> ExitCode {
    run_from(std::env::args_os())
}

/// The program with these arguments, its own name first.
#[must_use]
pub fn run_from(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    terminal::start_log(match cli.command {
        Command::Run(_) => LevelFilter::INFO,
        Command::Enrol(_) | Command::Check(_) | Command::Profile(_) | Command::Status(_) => {
            LevelFilter::WARN
        }
    });
    // One thread is enough for an agent that mostly waits, and costs the host least.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the program cannot start: {error}"), FAILED),
    };
    let code = match runtime.block_on(carry_out(cli.command)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => fail(&failure.line, failure.code),
    };
    // A probe may hang in the kernel; it must not hold up the end.
    runtime.shutdown_background();
    code
}

fn fail(line: &str, code: u8) -> ExitCode {
    say(&format!("sickbay-agent: {line}"));
    ExitCode::from(code)
}

async fn carry_out(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Enrol(args) => enrol(args).await,
        Command::Run(args) => run(&args).await,
        Command::Check(args) => check::check(&args).await,
        Command::Profile(command) => profile::run(&command),
        Command::Status(args) => status::status(&DataDir::new(&args.data), args.json),
    }
}

async fn enrol(args: EnrolArgs) -> Result<u8, Failure> {
    let route = Route::new(args.server, args.pin).map_err(session::Error::from)?;
    let data = DataDir::new(&args.data);
    let identity = session::enrol(&data, &route, &args.install_code, args.force).await?;
    let there = args.data.display();
    say(&match args.data == Path::new(DATA_DIR) {
        true => "enrolled; now start the agent: `sickbay-agent run`, or its service".to_owned(),
        false => format!("enrolled; now start the agent: `sickbay-agent run --data {there}`"),
    });
    write(identity.host_uuid.as_str());
    Ok(0)
}

async fn run(args: &RunArgs) -> Result<u8, Failure> {
    let (policy, holds) = policy_of(args.policy.as_deref(), Path::new(POLICY_FILE))?;
    let cgroups = cgroups_of(args.cgroup.as_deref())?;
    let limited = cgroups.as_ref().map_or_else(
        || "commands have no control groups: their processes are limited one by one".to_owned(),
        Cgroups::summary,
    );
    let data = DataDir::new(&args.data);
    let mut agent = Agent::open(data, policy, &args.profiles, cgroups)?;
    tracing::info!("{limited}");
    agent.say_policy(holds);
    agent.run(told_to_stop()?).await;
    Ok(0)
}

/// The named control group, or else one that the host hands over.
fn cgroups_of(named: Option<&Path>) -> Result<Option<Cgroups>, Failure> {
    let found = match named {
        None => Cgroups::find(),
        Some(dir) if dir == Path::new("none") => None,
        Some(dir) => Some(Cgroups::below(dir).map_err(|error| Failure {
            code: USAGE,
            line: format!("--cgroup {}: {error}", dir.display()),
        })?),
    };
    Ok(found)
}

/// The named policy, or else the usual one if there is one; and a line that says which holds.
fn policy_of(named: Option<&Path>, usual: &Path) -> Result<(Policy, String), Failure> {
    let found = match named {
        Some(path) => Some(Policy::load_named(path)?),
        None => Policy::find(usual)?,
    };
    let path = named.unwrap_or(usual).display();
    Ok(match found {
        Some(policy) => {
            let holds = format!("policy {path}: {}", policy.summary());
            (policy, holds)
        }
        None => {
            let holds = format!("no policy at {path}: everything is allowed");
            (Policy::default(), holds)
        }
    })
}

/// Resolves at SIGTERM and SIGINT.
fn told_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure {
            code: FAILED,
            line: format!("the program cannot listen for signals: {error}"),
        })
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, u8> {
        let parsed = Cli::try_parse_from(line.split(' '));
        parsed.map_err(|error| u8::try_from(error.exit_code()).unwrap())
    }

    #[test]
    fn the_documented_command_lines_are_understood() {
        let pin = "a".repeat(64);
        for line in [
            "sickbay-agent enrol --server https://a:1 --install-code c",
            &format!(
                "sickbay-agent enrol --server https://a --install-code c --pin {pin} --data /d"
            ),
            "sickbay-agent run --data /d --policy /p",
            "sickbay-agent check -b e30= --json",
            "sickbay-agent check -b -",
            "sickbay-agent check --problem offline --mode 2 --subject node-exporter --profiles /p",
            "sickbay-agent profile list --json",
            "sickbay-agent profile show auditd",
            "sickbay-agent profile check /p/x.toml",
            "sickbay-agent status --json",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_command_lines_are_usage_errors() {
        for line in [
            "sickbay-agent enrol --server http://elsewhere --install-code c",
            "sickbay-agent enrol --server https://a --install-code c --pin 00",
            "sickbay-agent check -b e30= --problem offline",
            "sickbay-agent check --problem cold",
            "sickbay-agent check --mode 3",
            "sickbay-agent",
        ] {
            assert_eq!(parse(line).err(), Some(USAGE), "{line}");
        }
    }

    #[test]
    fn only_the_usual_policy_may_be_missing() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("agent.toml");
        let failure = policy_of(Some(&path), &path).err().unwrap();
        assert_eq!(failure.code, USAGE);
        let (policy, holds) = policy_of(None, &path).ok().unwrap();
        assert_eq!(policy, Policy::default());
        let shown = path.display();
        assert_eq!(
            holds,
            format!("no policy at {shown}: everything is allowed")
        );
        std::fs::write(&path, "commands = false").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, mode).unwrap();
        let (policy, holds) = policy_of(Some(&path), Path::new("/absent")).ok().unwrap();
        assert!(!policy.commands);
        assert!(holds.starts_with(&format!("policy {shown}: ")), "{holds}");
    }
}
