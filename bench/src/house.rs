//! A control plane and an agent made of the real binaries, in a temporary directory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use client::{Client, Config, HostQuery, NewInstallCode};

const KEY_ID: &str = "SBROOTbench";
const SECRET: &str = "bench-secret-of-32-characters-00";

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

/// Starts a program and waits for its line `listening on URL`.
pub(crate) fn listening(mut command: Command, input: &[u8]) -> anyhow::Result<(Guarded, String)> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = Guarded(started.context("starting a server")?);
    if let Some(mut stdin) = child.0.stdin.take() {
        stdin.write_all(input)?;
    }
    let stdout = child.0.stdout.take().context("a server without stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
    Ok((
        child,
        url.with_context(|| format!("the server said `{line}`"))?,
    ))
}

/// A running control plane.
pub(crate) struct House {
    _server: Guarded,
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) folder: tempfile::TempDir,
}

/// The root key of a house.
pub(crate) const fn root_key() -> (&'static str, &'static str) {
    (KEY_ID, SECRET)
}

/// The command that starts a server on a data directory.
pub(crate) fn server(data: &std::path::Path) -> anyhow::Result<Command> {
    let mut command = Command::new(program("sickbay")?);
    command
        .args(["server", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .env("SICKBAY_ROOT_ACCESS_KEY_ID", KEY_ID)
        .env("SICKBAY_ROOT_ACCESS_KEY_SECRET", SECRET)
        .env("SICKBAY_LOG", "warn");
    Ok(command)
}

impl House {
    /// Starts a control plane.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (server, url) = listening(server(&folder.path().join("server"))?, b"")?;
        let client = Client::new(Config {
            endpoint: url.parse()?,
            access_key_id: KEY_ID.to_owned(),
            access_key_secret: SECRET.to_owned(),
            security_token: None,
            pin: None,
        })?;
        Ok(Self {
            _server: server,
            url,
            client,
            folder,
        })
    }

    /// Enrols and starts an agent; returns it and its host's uuid.
    pub(crate) async fn agent(&self) -> anyhow::Result<(Guarded, String)> {
        let code = self
            .client
            .create_install_code(&NewInstallCode::default())
            .await?;
        let data = self.folder.path().join("agent");
        let agent = || -> anyhow::Result<Command> {
            let mut command = Command::new(program("sickbay-agent")?);
            command.env("SICKBAY_LOG", "warn");
            Ok(command)
        };
        let enrolled = agent()?
            .args([
                "enrol",
                "--server",
                &self.url,
                "--install-code",
                &code.captcha_code,
                "--data",
            ])
            .arg(&data)
            .output()?;
        if !enrolled.status.success() {
            bail!(
                "not enrolled: {}",
                String::from_utf8_lossy(&enrolled.stderr)
            );
        }
        let running = Guarded(agent()?.arg("run").arg("--data").arg(&data).spawn()?);
        let online = HostQuery {
            criteria: vec![("clientStatus".to_owned(), "online".to_owned())],
        };
        for _ in 0..1_000 {
            if let Some(page) = self.client.hosts(&online, 1).next().await?
                && let Some(host) = page.first()
            {
                return Ok((running, host.uuid.clone()));
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        bail!("the agent did not connect within 10 s")
    }
}
