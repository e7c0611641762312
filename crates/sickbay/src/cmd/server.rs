//! `sickbay server`: a node of the control plane.

use std::env;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use server::{CertificateSource, Database, Node, Options, Retention, RootKey};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Usage;
use crate::ui::Ui;

/// Arguments of `sickbay server`.
#[derive(clap::Args)]
#[command(
    after_help = "The root access key comes from SICKBAY_ROOT_ACCESS_KEY_ID and SICKBAY_ROOT_ACCESS_KEY_SECRET, or is made on first\n\
                  start and kept in DIR/root-key.json. SICKBAY_LOG=error|warn|info|debug sets what is logged to stderr."
)]
pub(crate) struct Args {
    /// Directory of the database, the keys and the log bundles
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sickbay")]
    pub(crate) data: PathBuf,
    /// Where the database is: `sqlite`, a file in DIR; or the URL of a PostgreSQL database, such as
    /// postgres://sickbay@db.example/sickbay. SICKBAY_STORE says it too, and may hold a password
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: std::net::SocketAddr,
    /// Speak TLS with a certificate of the server's own, on loopback too
    #[arg(long, conflicts_with_all = ["plain", "tls_certificate"])]
    pub(crate) tls: bool,
    /// Certificate chain in PEM; without it, a server beyond loopback makes its own
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with = "plain"
    )]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Speak plain HTTP beyond loopback too: only behind a proxy that speaks TLS
    #[arg(long)]
    pub(crate) plain: bool,
    /// The address under which hosts and people reach this server
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Root tasks that may run at the same time
    #[arg(long, value_name = "N", default_value_t = model::limits::ROOTS_RUNNING_MAX)]
    pub(crate) tasks_running_max: usize,
    /// Days that tasks are kept; 0: for ever. The newest task always stays, and so do tasks that run, with all that came after them
    #[arg(long, value_name = "N", default_value_t = Retention::default().days)]
    pub(crate) keep_days: u32,
    /// Tasks that are kept, the newest ones; 0: any number
    #[arg(long, value_name = "N", default_value_t = Retention::default().roots)]
    pub(crate) keep_tasks: u64,
}

/// Runs the node until it is told to stop.
///
/// # Errors
/// The node cannot start.
pub(crate) async fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    start_log();
    let node = Node::open(options(args)?).await?;
    announce(&node, ui);
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_on_signal(shutdown.clone()));
    node.run(shutdown).await;
    Ok(ExitCode::SUCCESS)
}

/// Says where it listens and what to pin. Nobody reading is no reason not to serve.
fn announce(node: &Node, ui: &Ui) {
    let scheme = if node.is_tls() { "https" } else { "http" };
    let mut text = format!("listening on {scheme}://{}", node.address());
    if let Some(fingerprint) = node.fingerprint() {
        text.push_str(&format!("\ncertificate fingerprint {fingerprint}"));
    }
    text.push_str(&format!("\nroot access key {}", node.root_key().id));
    ui.line(&text).ok();
}

fn options(args: Args) -> anyhow::Result<Options> {
    let certificate = match (args.tls_certificate, args.tls_key) {
        (Some(certificate), Some(key)) => Some(CertificateSource::Files { certificate, key }),
        _ if args.tls => Some(CertificateSource::Own),
        _ if args.plain || args.listen.ip().is_loopback() => None,
        _ => Some(CertificateSource::Own),
    };
    if args.tasks_running_max == 0 {
        return Err(Usage("--tasks-running-max must be at least 1".to_owned()).into());
    }
    let public_url = args.public_url.map(|url| public_url(&url)).transpose()?;
    Ok(Options {
        data: args.data,
        database: match args.store {
            Some(text) => database_of_flag(&text)?,
            None => database_of_environment()?,
        },
        listen: args.listen,
        certificate,
        root_key: root_key_of_environment()?,
        public_url,
        checker: checker_program()?,
        roots_running_max: args.tasks_running_max,
        retention: Retention {
            days: args.keep_days,
            roots: args.keep_tasks,
        },
    })
}

const STORE: &str = "SICKBAY_STORE";

/// The database that the environment names.
///
/// # Errors
/// A wrong URL.
pub(crate) fn database_of_environment() -> anyhow::Result<Database> {
    match env::var(STORE) {
        Ok(text) if !text.is_empty() => database(&text, STORE),
        _ => Ok(Database::File),
    }
}

fn database_of_flag(text: &str) -> anyhow::Result<Database> {
    let database = database(text, "--store")?;
    if matches!(&database, Database::Server(url) if url.has_password()) {
        let text = format!(
            "--store: whoever lists the processes of this machine would see the password: give the URL in {STORE}"
        );
        return Err(Usage(text).into());
    }
    Ok(database)
}

fn database(text: &str, name: &str) -> anyhow::Result<Database> {
    if text == "sqlite" {
        return Ok(Database::File);
    }
    let url = text.parse().map_err(|error| {
        Usage(format!(
            "{name}: neither `sqlite` nor the URL of a database: {error}"
        ))
    })?;
    Ok(Database::Server(Box::new(url)))
}

fn public_url(url: &str) -> anyhow::Result<String> {
    let endpoint = url.parse::<protocol::endpoint::Endpoint>();
    endpoint
        .map(|it| it.to_string())
        .map_err(|error| Usage(format!("--public-url: {error}")).into())
}

fn root_key_of_environment() -> anyhow::Result<Option<RootKey>> {
    const ID: &str = "SICKBAY_ROOT_ACCESS_KEY_ID";
    const SECRET: &str = "SICKBAY_ROOT_ACCESS_KEY_SECRET";
    let read = |name| env::var(name).ok().filter(|it| !it.is_empty());
    match (read(ID), read(SECRET)) {
        (Some(id), Some(secret)) if secret.len() >= 16 => Ok(Some(RootKey { id, secret })),
        (Some(_), Some(_)) => {
            Err(Usage(format!("{SECRET} must have at least 16 characters")).into())
        }
        (None, None) => Ok(None),
        _ => Err(Usage(format!(
            "{ID} and {SECRET} go together: set both or neither"
        ))
        .into()),
    }
}

/// The program that is handed out as the stand-alone checker: `sickbay-agent` beside this program,
/// or this program itself, which is the agent when it is called by that name.
pub(crate) fn checker_program() -> anyhow::Result<PathBuf> {
    let this = env::current_exe().context("finding this program")?;
    let beside = this.with_file_name("sickbay-agent");
    Ok(if is_program(&beside) { beside } else { this })
}

/// Whether there is a file that can be run.
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// Logs to stderr as `SICKBAY_LOG` says; `usual` where it says nothing.
pub(crate) fn start_log_at(usual: tracing::Level) {
    let level = env::var("SICKBAY_LOG").ok().and_then(|it| it.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(usual))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // A log that cannot be written, as on a full disk, must not end what writes it.
        .log_internal_errors(false)
        .init();
}

fn start_log() {
    start_log_at(tracing::Level::INFO);
}

/// Asks for an orderly stop at the first SIGTERM or SIGINT; the second ends the program at once.
pub(crate) async fn stop_on_signal(shutdown: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return;
    };
    for round in 0..2 {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if round == 0 {
            shutdown.cancel();
        } else {
            std::process::exit(130);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_belong_on_the_command_line() {
        let told = |text| match database_of_flag(text) {
            Ok(database) => format!("{database:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(told("sqlite"), "File");
        assert_eq!(told("postgres://u@h/d"), "Server(postgres://h/d)");
        for (text, expected) in [
            ("postgres://u:secret@h/d", "SICKBAY_STORE"),
            ("mysql://u:secret@h/d", "postgres://"),
        ] {
            let said = told(text);
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
