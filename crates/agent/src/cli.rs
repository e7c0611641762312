//! The command line of `sickbay-agent`: enrol, run, check, status.
//!
//! Turns arguments into calls and errors into one line and an exit code. What a command is asked for
//! goes to standard output, everything else to standard error.

use std::ffi::OsString;
use std::future::Future;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use model::ProblemType;
use protocol::answer::Answer;
use protocol::endpoint::Endpoint;
use protocol::manual::ManualArgument;
use protocol::tls::Fingerprint;
use protocol::work::CheckWork;
use tokio::signal::unix::{SignalKind, signal};

use crate::check::{self, Subject};
use crate::checker::{self, Checked, Show};
use crate::config::{DATA_DIR, DataDir, POLICY_FILE};
use crate::connect::{self, Route};
use crate::identity::Identity;
use crate::policy::{self, Policy};
use crate::session::{self, Agent, chain};

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
/// Longest manual argument on standard input, in bytes.
const ARGUMENT_BYTES_MAX: u64 = 64 * 1024;

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
    /// Find out what is wrong with the agent on this host.
    Check(CheckArgs),
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
}

#[derive(Args)]
struct CheckArgs {
    /// The argument of a manual command: what is found is reported to the server. With - it is read
    /// from standard input, where other users of this host do not see it.
    #[arg(short = 'b', value_name = "BASE64", conflicts_with_all = ["problem", "mode", "subject"])]
    argument: Option<String>,
    /// What is wrong, such as offline or high_cpu.
    #[arg(long, value_name = "TYPE", default_value = "other", value_parser = problem)]
    problem: String,
    /// 1 looks for some seconds, 2 looks deeper for up to a minute.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    mode: u8,
    /// The agent to examine.
    #[arg(long, value_name = "NAME", default_value = "sickbay", value_parser = ["sickbay"])]
    subject: String,
    /// Where the agent keeps its files.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
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

fn problem(text: &str) -> Result<String, String> {
    if ProblemType::find(text).is_some() {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = ProblemType::ALL.iter().map(|it| it.name).collect();
    Err(format!("problem types are {}", names.join(", ")))
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
            checker::Error::Temporary(..) | checker::Error::Journal(_) => FAILED,
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
        Command::Enrol(_) | Command::Check(_) | Command::Status(_) => LevelFilter::WARN,
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
        Command::Check(args) => check(&args).await,
        Command::Status(args) => status::status(&DataDir::new(&args.data), args.json),
    }
}

async fn enrol(args: EnrolArgs) -> Result<u8, Failure> {
    let route = Route::new(args.server, args.pin).map_err(session::Error::from)?;
    let data = DataDir::new(&args.data);
    let identity = session::enrol(&data, &route, &args.install_code, args.force).await?;
    say("enrolled; now start the agent: `sickbay-agent run`, or its service");
    write(identity.host_uuid.as_str());
    Ok(0)
}

async fn run(args: &RunArgs) -> Result<u8, Failure> {
    let (policy, holds) = policy_of(args.policy.as_deref(), Path::new(POLICY_FILE))?;
    let mut agent = Agent::open(DataDir::new(&args.data), policy)?;
    agent.say_policy(holds);
    agent.run(told_to_stop()?).await;
    Ok(0)
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

async fn check(args: &CheckArgs) -> Result<u8, Failure> {
    let json = args.json;
    let show: Show = Arc::new(move |answer: &Answer| show(answer, json));
    let checking = async {
        match &args.argument {
            Some(text) => {
                let argument = manual_argument(text).await?;
                Ok(checker::by_argument(&argument, &args.data, &show).await?)
            }
            None => Ok(check_locally(args, &show).await?),
        }
    };
    tokio::select! {
        checked = checking => checked.map(|it| conclude(&it)),
        // What was begun is cleaned up where it is dropped.
        () = told_to_stop()? => Err(Failure { code: FAILED, line: "interrupted".to_owned() }),
    }
}

/// The argument itself, or with `-` what standard input says.
async fn manual_argument(text: &str) -> Result<ManualArgument, Failure> {
    let wrong = |line| Failure { code: USAGE, line };
    let read;
    let text = if text == "-" {
        // Aside, so that an interruption ends the program while nobody types.
        let reading = tokio::task::spawn_blocking(|| read_argument(io::stdin()));
        let said = reading.await.unwrap_or_else(|error| Err(error.into()));
        read = said.map_err(|error| wrong(format!("standard input cannot be read: {error}")))?;
        &read
    } else {
        text
    };
    ManualArgument::decode(text).map_err(|error| wrong(error.to_string()))
}

/// # Errors
/// It cannot be read, or is longer than [`ARGUMENT_BYTES_MAX`].
fn read_argument(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(ARGUMENT_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|it| it <= ARGUMENT_BYTES_MAX) {
        Ok(text.trim().to_owned())
    } else {
        let line = format!("it holds more than {ARGUMENT_BYTES_MAX} bytes");
        Err(io::Error::new(io::ErrorKind::InvalidData, line))
    }
}

async fn check_locally(args: &CheckArgs, show: &Show) -> Result<Checked, checker::Error> {
    let work = CheckWork {
        problem_type: args.problem.clone(),
        mode: args.mode,
        subject: args.subject.clone(),
    };
    checker::locally(&work, &installed(&args.data), show).await
}

/// The agent of this host; where it is not enrolled, without a server.
fn installed(data: &Path) -> Subject {
    let identity = Identity::load(&DataDir::new(data)).ok();
    let (server, pin) = identity.map_or((None, None), |it| (Some(it.server), it.pin));
    Subject::sickbay(data, server, pin)
}

fn show(answer: &Answer, json: bool) {
    match &answer.check {
        Some(report) if json => write(&serde_json::to_string_pretty(report).unwrap_or_default()),
        None if json => write(&serde_json::to_string_pretty(answer).unwrap_or_default()),
        Some(report) => write(check::render(report, std::io::stdout().is_terminal()).trim_end()),
        None if answer.message.is_empty() => say("done"),
        None => say(&answer.message),
    }
}

fn conclude(checked: &Checked) -> u8 {
    if let Some(why) = &checked.unreported {
        say(&format!("sickbay-agent: this could not be reported: {why}"));
    }
    if let Some(bundle) = checked
        .bundle
        .as_ref()
        .filter(|_| checked.unreported.is_some())
    {
        say(&format!(
            "sickbay-agent: the log bundle lies in {}",
            bundle.display()
        ));
    }
    match (checked.is_healthy, &checked.unreported) {
        (false, _) => FAILED,
        (true, Some(_)) => UNREACHABLE,
        (true, None) => 0,
    }
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
            "sickbay-agent check --problem offline --mode 2 --subject sickbay",
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

    #[test]
    fn an_argument_on_standard_input_is_trimmed_and_bounded() {
        assert_eq!(read_argument(&b" e30=\n"[..]).unwrap(), "e30=");
        let most = "a".repeat(64 * 1024);
        assert_eq!(read_argument(most.as_bytes()).unwrap(), most);
        let error = read_argument(format!("{most}a").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("more than 65536"));
    }

    #[test]
    fn what_could_not_be_reported_and_what_is_wrong_decide_the_exit_code() {
        for (is_healthy, unreported, code) in [
            (true, None, 0),
            (false, None, FAILED),
            (false, Some("offline"), FAILED),
            (true, Some("offline"), UNREACHABLE),
        ] {
            let checked = Checked {
                is_healthy,
                unreported: unreported.map(str::to_owned),
                bundle: None,
            };
            assert_eq!(conclude(&checked), code);
        }
    }
}
