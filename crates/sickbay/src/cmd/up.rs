//! `sickbay up`: control plane, agent and a first check, all on this machine.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use agent::config::DataDir;
use agent::identity::Identity;
use anyhow::{Context, bail};
use client::{Client, Config, HostQuery, NewInstallCode, NewTask};
use model::template::quoted;
use model::{TaskId, TaskType};
use protocol::answer::CheckReport;
use protocol::api::task::{HostDetail, Task, read_details};
use server::{Database, Node, Options, Retention};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::server::{checker_program, is_program, start_log_at, stop_on_signal};
use crate::exit::Exit;
use crate::ui::{Ui, clean_line};

/// How long this machine may take to enrol, connect and answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// Arguments of `sickbay up`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Check this machine, print the findings and end with the check's exit code
    #[arg(long)]
    pub(crate) once: bool,
    /// Directory to keep everything in; without it, a temporary one
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address and port to listen on, on loopback; port 0 takes a free one. Without it: where DIR was last listened on, or a free port
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

/// Runs everything until ctrl-C, or with `--once` until the check has ended.
///
/// # Errors
/// Some part of it cannot start, or this machine does not answer in time.
pub(crate) async fn run(args: Args, ui: &Ui) -> anyhow::Result<ExitCode> {
    start_log_at(tracing::Level::WARN);
    if args.listen.is_some_and(|it| !it.ip().is_loopback()) {
        let text = "`sickbay up` is for trying it on this machine: --listen takes a loopback address; use `sickbay server` for more";
        return Err(crate::exit::Usage(text.to_owned()).into());
    }
    let folder = Folder::open(args.data)?;
    let data = folder.path.join("server");
    let node = node(&folder.path, &data, args.listen).await?;
    let endpoint = format!("http://{}", node.address());
    let key = node.root_key().clone();
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_on_signal(shutdown.clone()));
    let serving = tokio::spawn(node.run(shutdown.clone()));
    ui.say(&format!("control plane at {endpoint}"));
    let client = Client::new(Config {
        endpoint: endpoint.parse()?,
        access_key_id: key.id.clone(),
        access_key_secret: key.secret.clone(),
        security_token: None,
        pin: None,
    })?;
    let agent_data = folder.path.join("agent");
    let worked = tokio::select! {
        worked = check(&client, &endpoint, &agent_data, ui) => worked.map(Some),
        () = shutdown.cancelled() => Ok(None),
    };
    let outcome = match worked {
        Ok(Some((mut agent, report))) => {
            show(&report, ui)?;
            if !args.once && !shutdown.is_cancelled() {
                explain(&endpoint, &data.join("root-key.json"), ui);
                shutdown.cancelled().await;
            }
            stop(&mut agent).await;
            let healthy = report.findings.is_empty() || !args.once;
            Ok(if healthy { Exit::Success } else { Exit::Failed }.into())
        }
        // Nobody knows whether this machine is healthy.
        Ok(None) if args.once => Ok(Exit::Interrupted.into()),
        Ok(None) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    };
    shutdown.cancel();
    serving.await.context("the control plane stopped badly")?;
    outcome
}

/// Opens the node at the address that was given, or else at the one that the directory had before, and notes it there: the agent of
/// the directory, and what was exported in other terminals, know that one.
async fn node(folder: &Path, data: &Path, given: Option<SocketAddr>) -> anyhow::Result<Node> {
    let note = folder.join("address");
    let noted = std::fs::read_to_string(&note).ok();
    let opened = Node::open(Options {
        data: data.to_owned(),
        database: Database::File,
        listen: address(given, noted.as_deref()),
        certificate: None,
        root_key: None,
        public_url: None,
        checker: checker_program()?,
        roots_running_max: model::limits::ROOTS_RUNNING_MAX,
        retention: Retention::default(),
    })
    .await;
    let node = match opened {
        Err(error @ server::Error::Listen(..)) if given.is_none() => {
            return Err(error).with_context(|| {
                format!(
                    "the address that `{}` had before is taken: end what listens there, or give --listen 127.0.0.1:0 for a free port",
                    folder.display()
                )
            });
        }
        opened => opened?,
    };
    std::fs::write(&note, node.address().to_string())
        .with_context(|| format!("writing `{}`", note.display()))?;
    Ok(node)
}

/// Where to listen: as given, or as noted before on loopback, or on any free port.
fn address(given: Option<SocketAddr>, noted: Option<&str>) -> SocketAddr {
    let noted = noted.and_then(|it| it.trim().parse::<SocketAddr>().ok());
    given
        .or_else(|| noted.filter(|it| it.ip().is_loopback()))
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn show(report: &CheckReport, ui: &Ui) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    let colour = std::io::stdout().is_terminal();
    Ok(ui.painted(agent::check::render::render(report, colour).trim_end())?)
}

fn explain(endpoint: &str, root_key: &Path, ui: &Ui) {
    // The other terminal may be in another directory.
    let root_key = std::path::absolute(root_key).unwrap_or_else(|_| root_key.to_owned());
    let root_key = quoted(&root_key.to_string_lossy());
    ui.say("");
    ui.say(&format!(
        "Running until ctrl-C. The console: {endpoint}/console (sign in with the key in {root_key})"
    ));
    ui.say("To use it from another terminal:");
    ui.say(&format!("  export SICKBAY_ENDPOINT={endpoint}"));
    ui.say(&format!("  export SICKBAY_CREDENTIALS_FILE={root_key}"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).any(|it| is_program(&it.join("sickbay")));
    let program = program(on_path, std::env::current_exe().ok().as_deref());
    ui.say(&format!("  {program} host list"));
    ui.say(&format!(
        "  {program} task create CLIENT_DEV_OPS --all -p command=uptime --watch"
    ));
}

/// What a shell calls this program.
fn program(on_path: bool, this: Option<&Path>) -> String {
    match this {
        Some(this) if !on_path => quoted(&this.to_string_lossy()),
        _ => "sickbay".to_owned(),
    }
}

/// Tells the agent of an earlier run where the control plane is now.
fn readdress(data: &Path, endpoint: &str) -> anyhow::Result<()> {
    let data = DataDir::new(data);
    let mut identity = Identity::load(&data)?;
    let server = endpoint.parse()?;
    if identity.server != server {
        identity.server = server;
        identity.save(&data)?;
    }
    Ok(())
}

/// Enrols this machine with a real agent, runs a real check on it, and returns both.
async fn check(
    client: &Client,
    endpoint: &str,
    data: &Path,
    ui: &Ui,
) -> anyhow::Result<(Child, CheckReport)> {
    if data.join("identity.json").exists() {
        readdress(data, endpoint).context("telling the agent the address")?;
    } else {
        enrol(client, endpoint, data).await?;
    }
    let mut agent = agent(data)?
        .arg("run")
        .arg("--data")
        .arg(data)
        .kill_on_drop(true)
        .spawn()
        .context("starting the agent")?;
    let online = HostQuery {
        criteria: vec![("clientStatus".to_owned(), "online".to_owned())],
        selector: None,
    };
    let connected = until(async || {
        Ok(client
            .hosts(&online, 1)
            .next()
            .await?
            .and_then(|it| it.into_iter().next()))
    });
    let host = tokio::select! {
        host = connected => host.context("the agent did not connect")?,
        // What it said itself stands above: it shares stderr.
        status = agent.wait() => bail!("the agent gave up, as it says above: {}", status?),
    };
    ui.say(&format!(
        "host {} ({}) enrolled and connected",
        host.uuid, host.instance_name
    ));
    let new = NewTask {
        task_type: TaskType::ClientProblemCheck,
        param: format!(
            r#"{{"problemType":"other","mode":1,"uuids":"{}"}}"#,
            host.uuid
        ),
        source: Some("up".to_owned()),
    };
    let root: TaskId = client.create_task(&new).await?.task_id.parse()?;
    ui.say(&format!("problem check {root} started"));
    let leaf = TaskId::Leaf(root.root().leaf(1));
    let ended = until(async || {
        Ok(client
            .task(leaf)
            .await?
            .filter(|it| it.task_end_time.is_some()))
    })
    .await
    .context("the check did not end")?;
    Ok((agent, report(&ended)?))
}

/// Enrols with a code that is good for this once, and that no other user of this machine can see.
async fn enrol(client: &Client, endpoint: &str, data: &Path) -> anyhow::Result<()> {
    let new = NewInstallCode::default();
    let code = client.create_install_code(&new).await?.captcha_code;
    let enrolled = agent(data)?
        .args(["enrol", "--server", endpoint, "--data"])
        .arg(data)
        .env("SICKBAY_INSTALL_CODE", &code)
        .output()
        .await;
    client.delete_install_code(&code).await?;
    let enrolled = enrolled.context("starting the agent")?;
    if !enrolled.status.success() {
        bail!(
            "this machine was not enrolled: {}",
            String::from_utf8_lossy(&enrolled.stderr).trim()
        );
    }
    Ok(())
}

/// What the check found. Logs of this machine may hold what others wrote: the texts are cleaned.
fn report(task: &Task) -> anyhow::Result<CheckReport> {
    let details = read_details(&task.detail_data).context("reading the answer")?;
    let detail: HostDetail = details.into_iter().next().context("the answer is empty")?;
    if detail.probes.is_empty() {
        bail!(
            "the check ended as {}: {}",
            task.task_status_text,
            detail.message
        );
    }
    let mut findings = detail.findings;
    for it in &mut findings {
        let texts = std::iter::once(&mut it.summary).chain(&mut it.evidence);
        texts.for_each(|it| *it = clean_line(it));
    }
    let mut probes = detail.probes;
    for it in &mut probes {
        it.name = clean_line(&it.name);
        it.note = clean_line(&it.note);
    }
    Ok(CheckReport {
        subject: "sickbay".to_owned(),
        problem_type: detail.problem_type,
        mode: 1,
        duration_ms: probes
            .iter()
            .map(|it| it.duration_ms)
            .max()
            .unwrap_or_default(),
        findings,
        probes,
        ..CheckReport::default()
    })
}

/// The agent, as its own program.
fn agent(data: &Path) -> anyhow::Result<Command> {
    std::fs::create_dir_all(data).context("making the agent's directory")?;
    let mut command = std::process::Command::new(checker_program()?);
    command.arg0("sickbay-agent").env("SICKBAY_LOG", "warn");
    Ok(command.into())
}

/// Asks again and again until there is an answer, for at most [`PATIENCE`].
async fn until<T>(mut ask: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let asking = async {
        loop {
            if let Some(found) = ask().await? {
                return Ok(found);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .with_context(|| format!("nothing within {} s", PATIENCE.as_secs()))?
}

/// Asks the agent to stop, and waits for it.
async fn stop(agent: &mut Child) {
    if let Some(pid) = agent.id().and_then(rustix_pid) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
    }
    if tokio::time::timeout(Duration::from_secs(5), agent.wait())
        .await
        .is_err()
    {
        drop(agent.kill().await);
    }
}

fn rustix_pid(pid: u32) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Where everything is kept: a given directory, or one that is removed in the end.
struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    fn open(given: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = given {
            return Ok(Self {
                path,
                is_temporary: false,
            });
        }
        let name = format!("sickbay-up-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&path)
            .with_context(|| format!("making {}", path.display()))?;
        Ok(Self {
            path,
            is_temporary: true,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_before_is_used_again_unless_another_is_given() {
        let given = "127.0.0.1:7".parse().ok();
        for (given, noted, expected) in [
            (None, None, "127.0.0.1:0"),
            (None, Some("127.0.0.1:42195\n"), "127.0.0.1:42195"),
            (None, Some("damaged"), "127.0.0.1:0"),
            (None, Some("0.0.0.0:80"), "127.0.0.1:0"),
            (given, Some("127.0.0.1:42195"), "127.0.0.1:7"),
        ] {
            assert_eq!(address(given, noted).to_string(), expected, "{noted:?}");
        }
    }

    #[test]
    fn hints_name_a_program_that_the_shell_finds() {
        let this = Path::new("/opt/my tools/sickbay");
        assert_eq!(program(true, Some(this)), "sickbay");
        assert_eq!(program(false, Some(this)), "'/opt/my tools/sickbay'");
        assert_eq!(program(false, None), "sickbay");
    }
}
