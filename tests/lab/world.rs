//! All that is outside the hosts: the network, the control plane, and servers that misbehave on request.
//!
//! This process is the world: it has the world's network namespace, and its own addresses are those that hosts know. A server that
//! misbehaves does so at an address of its own, and hosts come there because their name server says so. So a fault touches one host.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, ensure};
use protocol::tls::Fingerprint;
use tests::{Server, run};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::image::Folder;

pub(crate) mod certificates;
pub(crate) mod dns;
mod servers;

use certificates::Authority;
use dns::Answer;
pub(crate) use servers::at;

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    /// The number of the outermost process.
    pub(crate) lab: String,
    /// Where hosts have their folders.
    pub(crate) folder: PathBuf,
    /// The image of the hosts.
    pub(crate) image: PathBuf,
    /// The control plane.
    pub(crate) server: Server,
    /// What the name server says to whom, unless it is the truth.
    answers: Answers,
}

/// Answers by the address of who asks.
pub(crate) type Answers = Arc<Mutex<BTreeMap<IpAddr, Answer>>>;

/// An address of the world.
pub(crate) const fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

impl World {
    /// Makes the world.
    ///
    /// # Errors
    /// Something of it cannot be started.
    pub(crate) async fn create(folder: &Folder, lab: String) -> anyhow::Result<Self> {
        let run_folder = folder.run();
        ip(&["link", "set", "lo", "up"]).await?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "lab"])
            .arg(&run_folder)
            .status()
            .await?;
        ensure!(mounted.success(), "mounting {}", run_folder.display());
        let answers = Answers::default();
        let authority = Authority::new("Laboratory Root")?;
        servers::start(&authority, &answers).await?;
        let image = folder.lay_out(&authority.pem)?;
        let (certificate, key) = (run_folder.join("server.pem"), run_folder.join("server.key"));
        let made = authority.issue(&certificates::Wish {
            days: Some([(2020, 1, 1), (2040, 1, 1)]),
            ..certificates::Wish::default()
        })?;
        std::fs::write(&certificate, &made.pem)?;
        std::fs::write(&key, &made.key_pem)?;
        let paths = [certificate.to_string_lossy(), key.to_string_lossy()];
        let flags = [
            "--tls-certificate",
            &*paths[0],
            "--tls-key",
            &*paths[1],
            "--public-url",
            "https://sickbay.lab:8443",
        ];
        ip(&["address", "add", "10.77.0.1/32", "dev", "lo"]).await?;
        let mut server = Server::start_at(SocketAddr::new(address(1).into(), 8443), &flags).await;
        server.pin = Some(Fingerprint::of(&made.der).to_string());
        Ok(Self {
            lab,
            folder: run_folder,
            image,
            server,
            answers,
        })
    }

    /// Lays a cable from the world to a host.
    ///
    /// # Errors
    /// There is no such host.
    pub(crate) async fn connect(&self, number: u8, pid: u32) -> anyhow::Result<()> {
        let (cable, pid, own) = (
            format!("host{number}"),
            pid.to_string(),
            format!("10.77.{number}.1/24"),
        );
        ip(&[
            "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &pid,
        ])
        .await?;
        ip(&["address", "add", &own, "dev", &cable]).await?;
        ip(&["link", "set", &cable, "up"]).await
    }

    /// What the name server says to the host of that number from now on; `None`: the truth.
    pub(crate) fn answer(&self, number: u8, answer: Option<Answer>) {
        let host = IpAddr::from([10, 77, number, 2]);
        if let Ok(mut answers) = self.answers.lock() {
            match answer {
                Some(answer) => answers.insert(host, answer),
                None => answers.remove(&host),
            };
        }
    }

    /// Adds rules of the packet filter between the world and a host; in them, `HOST` is its address.
    ///
    /// # Errors
    /// They are not understood.
    pub(crate) async fn filter(&self, number: u8, rule: &str) -> anyhow::Result<()> {
        let rule = rule.replace("HOST", &format!("10.77.{number}.2"));
        let rules = format!(
            "table ip host{number} {{\nchain in {{\ntype filter hook input priority 0\n{rule}\n}}\n}}\n"
        );
        self.nft(&rules).await
    }

    /// Takes away all that was set for a host.
    ///
    /// # Errors
    /// The packet filter does not answer.
    pub(crate) async fn forget(&self, number: u8) -> anyhow::Result<()> {
        self.answer(number, None);
        self.nft(&format!(
            "table ip host{number}\ndelete table ip host{number}\n"
        ))
        .await
    }

    /// The packet filter's program is part of the image.
    async fn nft(&self, rules: &str) -> anyhow::Result<()> {
        let mut child = Command::new("unshare")
            .args(["--mount", "sh", "-c"])
            .arg("mkdir -p \"$0/tools\" && mount -t overlay overlay -o \"lowerdir=$1:/\" \"$0/tools\" && exec chroot \"$0/tools\" /usr/sbin/nft -f -")
            .args([&self.folder, &self.image])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("standard input")?;
        input.write_all(rules.as_bytes()).await?;
        drop(input);
        let said = child.wait_with_output().await?;
        ensure!(
            said.status.success(),
            "nft: {} {rules}",
            String::from_utf8_lossy(&said.stderr)
        );
        Ok(())
    }
}

/// Changes the world's network.
async fn ip(args: &[&str]) -> anyhow::Result<()> {
    let said = run(Command::new("ip").args(args)).await;
    ensure!(said.code == 0, "ip {}: {}", args.join(" "), said.err.trim());
    Ok(())
}
