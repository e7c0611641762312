//! A control plane and an agent made of the real binaries, in a temporary directory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use client::{Client, Config, NewInstallCode};
use protocol::tls::Fingerprint;

const KEY_ID: &str = "SBROOTbench";
const ANY_PORT: &str = "127.0.0.1:0";
const SECRET: &str = "bench-secret-of-32-characters-00";
/// Running tasks at once: enough for all of a workload.
const TASKS_RUNNING_MAX: &str = "10000";

/// A process that ends with its owner.
pub(crate) struct Guarded(pub(crate) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A built program of this workspace, beside this one.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!(
            "`{}` is not built: cargo build --release --workspace --bins",
            path.display()
        );
    }
    Ok(path)
}

/// A server that listens.
pub(crate) struct Listening {
    pub(crate) process: Guarded,
    pub(crate) url: String,
    /// Of its certificate, if it speaks TLS.
    pub(crate) pin: Option<Fingerprint>,
}

/// Starts a program and waits for its line `listening on URL`, and with TLS for the one after it,
/// `certificate fingerprint HEX`.
pub(crate) fn listening(mut command: Command, input: &[u8]) -> anyhow::Result<Listening> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut process = Guarded(started.context("starting a server")?);
    if let Some(mut stdin) = process.0.stdin.take() {
        stdin.write_all(input)?;
    }
    let stdout = process.0.stdout.take().context("a server without stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut said = |words: &str| -> anyhow::Result<String> {
        let line = lines.next().transpose()?.unwrap_or_default();
        let rest = line.strip_prefix(words).map(str::to_owned);
        rest.with_context(|| format!("the server said `{line}`, not `{words}`"))
    };
    let url = said("listening on ")?;
    let pin = match url.starts_with("https:") {
        true => Some(Fingerprint::parse(&said("certificate fingerprint ")?)?),
        false => None,
    };
    Ok(Listening { process, url, pin })
}

/// A running control plane.
pub(crate) struct House {
    server: Guarded,
    pub(crate) url: String,
    pub(crate) pin: Option<Fingerprint>,
    pub(crate) client: Client,
    pub(crate) folder: tempfile::TempDir,
}

/// The root key of a house.
pub(crate) const fn root_key() -> (&'static str, &'static str) {
    (KEY_ID, SECRET)
}

/// The data directory of the control plane of a house.
pub(crate) fn data(folder: &Path) -> PathBuf {
    folder.join("server")
}

/// The command that starts a server on a data directory.
pub(crate) fn server(data: &Path, listen: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(program("sickbay")?);
    command
        .args(["server", "--listen", listen, "--data"])
        .arg(data)
        .args(["--tasks-running-max", TASKS_RUNNING_MAX])
        .env("SICKBAY_ROOT_ACCESS_KEY_ID", KEY_ID)
        .env("SICKBAY_ROOT_ACCESS_KEY_SECRET", SECRET)
        .env("SICKBAY_LOG", "warn");
    Ok(command)
}

fn tls_server(data: &Path, listen: &str) -> anyhow::Result<Command> {
    let mut command = server(data, listen)?;
    command.arg("--tls");
    Ok(command)
}

/// A client with the root key.
fn client(server: &Listening) -> anyhow::Result<Client> {
    Ok(Client::new(Config {
        endpoint: server.url.parse()?,
        access_key_id: KEY_ID.to_owned(),
        access_key_secret: SECRET.to_owned(),
        security_token: None,
        pin: server.pin,
    })?)
}

impl House {
    /// Starts a control plane.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?)
    }

    /// Starts a control plane on what lies in [`data`] of this folder.
    pub(crate) fn start_in(folder: tempfile::TempDir) -> anyhow::Result<Self> {
        let server = server(&data(folder.path()), ANY_PORT)?;
        Self::with(folder, server)
    }

    /// Starts a control plane that speaks TLS with a certificate of its own.
    pub(crate) fn start_tls() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = tls_server(&data(folder.path()), ANY_PORT)?;
        Self::with(folder, server)
    }

    fn with(folder: tempfile::TempDir, server: Command) -> anyhow::Result<Self> {
        let server = listening(server, b"")?;
        let client = client(&server)?;
        Ok(Self {
            server: server.process,
            url: server.url,
            pin: server.pin,
            client,
            folder,
        })
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.0.id()
    }

    /// Kills the server of [`House::start_tls`] as a crash would.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.server.0.kill()?;
        self.server.0.wait()?;
        Ok(())
    }

    /// Starts it again on the same port and data; returns when it listens. The client is a new one, since
    /// the connections of the old one lead to the server that was killed.
    pub(crate) fn start_again(&mut self) -> anyhow::Result<()> {
        let address = self.url.trim_start_matches("https://");
        let server = tls_server(&data(self.folder.path()), address)?;
        let server = listening(server, b"")?;
        self.client = client(&server)?;
        self.server = server.process;
        Ok(())
    }

    /// Enrols and starts an agent whose data lies under this name; returns it and its host's uuid.
    pub(crate) async fn agent(&self, name: &str) -> anyhow::Result<(Guarded, String)> {
        let code = self
            .client
            .create_install_code(&NewInstallCode::default())
            .await?;
        let data = self.folder.path().join(name);
        let agent = || -> anyhow::Result<Command> {
            let mut command = Command::new(program("sickbay-agent")?);
            command.env("SICKBAY_LOG", "warn");
            Ok(command)
        };
        let mut enrolling = agent()?;
        enrolling.args(["enrol", "--server", &self.url, "--data"]);
        enrolling.arg(&data);
        enrolling.args(["--install-code", &code.captcha_code]);
        if let Some(pin) = &self.pin {
            enrolling.args(["--pin", &pin.to_string()]);
        }
        let enrolled = enrolling.output()?;
        if !enrolled.status.success() {
            bail!(
                "not enrolled: {}",
                String::from_utf8_lossy(&enrolled.stderr)
            );
        }
        let uuid = String::from_utf8(enrolled.stdout)?.trim().to_owned();
        let running = Guarded(agent()?.arg("run").arg("--data").arg(&data).spawn()?);
        for _ in 0..1_000 {
            let host = self.client.host(&uuid).await?;
            if host.asset_detail.client_status == "online" {
                return Ok((running, uuid));
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        bail!("the agent did not connect within 10 s")
    }
}
