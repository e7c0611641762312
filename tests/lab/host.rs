//! A host of the laboratory: namespaces over an image, with an init of its own and a cable to the world.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tests::{Said, run, until};
use tokio::process::{Child, Command};

use crate::cage::{Hierarchy, hierarchies, remove_group};
use crate::world::World;

/// Words that every script of the laboratory may use.
const PRELUDE: &str = include_str!("prelude.sh");

/// What runs as a host's first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// systemd, with its journal.
    Systemd,
    /// Something that only takes up orphans, as in a container.
    Plain,
}

impl Init {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Plain => "plain",
        }
    }
    /// How the command line of that process begins.
    const fn command(self) -> &'static str {
        match self {
            Self::Systemd => "/lib/systemd/systemd",
            Self::Plain => "/bin/sh\0-c\0while",
        }
    }
}

/// A running host. Gone when this goes away.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its number, and with it its address: `10.77.NUMBER.2`.
    pub(crate) number: u8,
    /// What runs as its first process.
    pub(crate) init: Init,
    /// What its scripts are told, by name.
    pub(crate) variables: BTreeMap<&'static str, String>,
    /// Its first process, as we see it.
    pid: u32,
    folders: Vec<PathBuf>,
    child: Child,
}

impl Host {
    /// Boots a host and waits until it is up.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) async fn boot(world: &World, number: u8, init: Init) -> anyhow::Result<Self> {
        let hierarchies = hierarchies();
        let folders: Vec<PathBuf> = hierarchies
            .iter()
            .map(|it| it.host(&world.lab, number))
            .collect();
        for folder in &folders {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let named = |it: &Hierarchy| format!("{}={}", it.name, it.options);
        let groups: Vec<String> = hierarchies.iter().map(named).collect();
        let name = format!("host{number}");
        let enter = "for folder in $FOLDERS; do echo $$ >\"$folder/cgroup.procs\"; done\n\
            exec unshare --mount --pid --fork --net --uts --ipc --cgroup --kill-child sh -c \"$BOOT\" boot \"$@\"";
        let said = world.folder.join(format!("{name}.log"));
        let log = fs::File::create(&said)?;
        let child = Command::new("sh")
            .args(["-c", enter, "sh"])
            .arg(world.folder.join(&name))
            .arg(&world.image)
            .args([&name, &number.to_string(), init.name()])
            .env("FOLDERS", list(&folders))
            .env("CGROUPS", groups.join(" "))
            .env("BOOT", include_str!("boot.sh"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let outer = child.id().context("a process id")?;
        let pid = until("the host's first process is there", async || {
            let children =
                fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
        .await;
        let variables = BTreeMap::new();
        let host = Self {
            number,
            init,
            variables,
            pid,
            folders,
            child,
        };
        let booted = async {
            world.connect(number, pid).await?;
            host.until_up().await
        };
        match booted.await {
            Ok(()) => Ok(host),
            Err(error) => {
                host.down().await;
                Err(error.context(fs::read_to_string(said).unwrap_or_default()))
            }
        }
    }

    async fn until_up(&self) -> anyhow::Result<()> {
        until("the host is up", async || {
            let Ok(command) = fs::read(format!("/proc/{}/cmdline", self.pid)) else {
                return Some(Err(anyhow::anyhow!("its first process has ended")));
            };
            let command = String::from_utf8_lossy(&command).into_owned();
            match self.init {
                // Until then it is the script that becomes it.
                _ if !command.starts_with(self.init.command()) => None,
                Init::Plain => Some(Ok(())),
                Init::Systemd => {
                    let said = self.shell("systemctl is-system-running").await;
                    matches!(said.out.trim(), "running" | "degraded").then_some(Ok(()))
                }
            }
        })
        .await
    }

    /// A command in this host, for root, with nothing of this process's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let enter = "for folder in $FOLDERS; do echo $$ >\"$folder/cgroup.procs\"; done\n\
            exec nsenter --target $PID --all --root --wd env -i \"$@\"";
        let mut command = Command::new("sh");
        command
            .args(["-c", enter, "sh"])
            .args([
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
            ])
            .args(
                self.variables
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            )
            .args(args)
            .env("FOLDERS", list(&self.folders))
            .env("PID", self.pid.to_string());
        command
    }

    /// Runs a script in this host, up to its first command that fails.
    pub(crate) async fn shell(&self, script: &str) -> Said {
        let script = format!("{PRELUDE}\n{script}");
        run(&mut self.command(&["sh", "-ec", &script])).await
    }

    /// Runs a script in this host that has to succeed.
    ///
    /// # Errors
    /// It failed.
    pub(crate) async fn sure(&self, script: &str) -> anyhow::Result<String> {
        let said = self.shell(script).await;
        ensure!(
            said.code == 0,
            "code {}: {} {}",
            said.code,
            said.out.trim(),
            said.err.trim()
        );
        Ok(said.out)
    }

    /// A path of this host as this process sees it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// Takes it down and waits until nothing of it is left.
    pub(crate) async fn down(mut self) {
        // What is frozen cannot die.
        self.folders.iter().for_each(|it| remove_group(it));
        self.child.kill().await.ok();
        until("the host's groups are empty", async || {
            self.folders.iter().for_each(|it| remove_group(it));
            self.folders.iter().all(|it| !it.exists()).then_some(())
        })
        .await;
    }
}

fn list(folders: &[PathBuf]) -> String {
    let all: Vec<String> = folders.iter().map(|it| it.display().to_string()).collect();
    all.join(" ")
}
