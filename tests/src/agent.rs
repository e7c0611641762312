//! An agent of a test's own.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::program::{Program, Said, binary, run};
use crate::server::Server;
use crate::wait::until;

/// An enrolled `sickbay-agent`, running or not.
#[derive(Debug)]
pub struct Agent {
    /// The host's uuid.
    pub uuid: String,
    program: Option<Program>,
    folder: TempDir,
}

impl Agent {
    /// Enrols a host.
    ///
    /// # Panics
    /// It was refused.
    pub async fn enrol(server: &Server) -> Self {
        let code = server.install_code().await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let said = Self::try_enrol(&server.url, &code, server.pin.as_deref(), folder.path()).await;
        assert_eq!(said.code, 0, "{said:?}");
        let agent = Self {
            uuid: said.out.trim().to_owned(),
            program: None,
            folder,
        };
        // A policy that is named must exist.
        agent.set_policy("");
        agent
    }

    /// Runs `sickbay-agent enrol` with its data under `folder`.
    pub async fn try_enrol(url: &str, code: &str, pin: Option<&str>, folder: &Path) -> Said {
        let mut command = Command::new(binary("sickbay-agent"));
        command
            .args(["enrol", "--server", url, "--install-code", code, "--data"])
            .arg(folder.join("agent"));
        if let Some(pin) = pin {
            command.args(["--pin", pin]);
        }
        run(&mut command).await
    }

    /// Enrols a host, starts its agent and waits until the server sees it.
    pub async fn online(server: &Server) -> Self {
        let mut agent = Self::enrol(server).await;
        agent.start();
        agent.until_online(server).await;
        agent
    }

    /// Lays down its local policy, for the next start.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn set_policy(&self, text: &str) {
        std::fs::write(self.policy(), text).expect("a policy file");
    }

    fn policy(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// Starts it.
    pub fn start(&mut self) {
        let mut command = Command::new(binary("sickbay-agent"));
        command
            .args(["run", "--data"])
            .arg(self.data())
            .arg("--policy")
            .arg(self.policy())
            .arg("--profiles")
            .arg(self.profiles());
        command.env("SICKBAY_LOG", "debug");
        let log = self.folder.path().join("agent.log");
        self.program = Some(Program::start::<&str>(&mut command, &log, false, []));
    }

    /// Waits until the server says that the host is online.
    pub async fn until_online(&self, server: &Server) {
        self.until_status(server, "online").await;
    }

    /// Waits until the server says that the host is offline.
    pub async fn until_offline(&self, server: &Server) {
        self.until_status(server, "offline").await;
    }

    async fn until_status(&self, server: &Server, status: &str) {
        let client = server.client();
        until(&format!("{} is {status}", self.uuid), async || {
            let host = client.host(&self.uuid).await.ok()?;
            (host.asset_detail.client_status == status).then_some(())
        })
        .await;
    }

    /// What `sickbay-agent status --json` says.
    ///
    /// # Panics
    /// It does not say JSON.
    pub async fn status(&self) -> Value {
        let mut command = Command::new(binary("sickbay-agent"));
        command
            .args(["status", "--json", "--data"])
            .arg(self.data());
        let said = run(&mut command).await;
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// Kills it without warning.
    ///
    /// # Panics
    /// It does not run.
    pub async fn kill9(&mut self) {
        self.program().kill9().await;
        self.program = None;
    }

    /// Asks it to stop, and waits for its end.
    ///
    /// # Panics
    /// It does not run.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.program().signal(Signal::TERM);
        let status = self.program().ended().await;
        self.program = None;
        status
    }

    /// The running program.
    ///
    /// # Panics
    /// It does not run.
    pub fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("an agent that runs")
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Where its own profiles lie; nothing makes the directory but a test.
    #[must_use]
    pub fn profiles(&self) -> PathBuf {
        self.folder.path().join("profiles")
    }

    /// The test's folder for this host.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
