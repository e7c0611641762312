//! The image of the hosts: this machine's own root, with agents from Debian's packages and the programs under test on top.
//!
//! Packages are fetched and set up once and kept under the target directory; nothing is fetched while hosts run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use tests::binary;

/// What is put on top of this machine's own packages.
const PACKAGES: [&str; 8] = [
    "prometheus-node-exporter",
    "zabbix-agent",
    "collectd",
    "rsyslog",
    "auditd",
    "nftables",
    "iptables",
    "faketime",
];

/// Our agent's unit, as an operator would write it.
const UNIT: &str = "[Unit]\nDescription=Sickbay's agent\nAfter=network.target\n\n[Service]\nExecStart=/usr/bin/sickbay-agent run\n\
    Restart=always\nRestartSec=1\n\n[Install]\nWantedBy=multi-user.target\n";

/// Where the laboratory keeps its things, under the target directory.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let target = binary("sickbay");
        let target = target
            .parent()
            .and_then(Path::parent)
            .context("a target directory")?;
        let folder = target.join("lab");
        fs::create_dir_all(folder.join("packages/partial"))?;
        fs::create_dir_all(folder.join("run"))?;
        Ok(Self(folder))
    }

    /// Where everything lies that goes away with the laboratory.
    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// Fetches and sets up the packages, unless that was done.
    ///
    /// # Errors
    /// One of the programs that do it fails.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        let lock = File::create(self.0.join("lock"))?;
        lock.lock()?;
        let (packages, image) = (self.0.join("packages"), self.0.join("image"));
        let (mark, wanted) = (
            self.0.join("made"),
            format!("{}\n{}", PACKAGES.join(" "), include_str!("image.sh")),
        );
        if fs::read_to_string(&mark).is_ok_and(|it| it == wanted) {
            return Ok(());
        }
        let said = Command::new("apt-get")
            .args([
                "install",
                "--yes",
                "--quiet",
                "--quiet",
                "--download-only",
                "--reinstall",
                "--no-install-recommends",
            ])
            .args([
                "-o",
                &format!("Dir::Cache::archives={}", packages.display()),
            ])
            .args(PACKAGES)
            .output()
            .context("running `apt-get`")?;
        ensure!(
            said.status.success(),
            "apt-get: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        fs::remove_dir_all(&image).ok();
        fs::create_dir_all(&image)?;
        let said = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                include_str!("image.sh"),
                "image",
            ])
            .args([&image, &packages])
            .output()
            .context("running `unshare`")?;
        ensure!(
            said.status.success(),
            "making the image: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        fs::write(mark, wanted)?;
        Ok(())
    }

    /// Lays the image out where hosts can use it, with the programs under test and this certificate among those that hosts trust.
    ///
    /// # Errors
    /// A file cannot be copied.
    pub(crate) fn lay_out(&self, certificate: &str) -> anyhow::Result<PathBuf> {
        let base = self.run().join("image");
        fs::create_dir(&base)?;
        // A layer may not lie inside another one, and the machine's root is one.
        let said = Command::new("cp")
            .arg("--archive")
            .arg(self.0.join("image/upper/."))
            .arg(&base)
            .status()?;
        ensure!(said.success(), "copying the image");
        let put = |path: &str, bytes: &[u8]| {
            let path = base.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&base))?;
            fs::write(path, bytes)
        };
        fs::create_dir_all(base.join("usr/bin"))?;
        fs::copy(binary("sickbay-agent"), base.join("usr/bin/sickbay-agent"))?;
        // The program of a broken agent may be broken too: the check has one of its own, as the manual command brings it.
        fs::create_dir_all(base.join("usr/lib/sickbay-lab"))?;
        fs::copy(
            binary("sickbay-agent"),
            base.join("usr/lib/sickbay-lab/check"),
        )?;
        put(
            "usr/lib/systemd/system/sickbay-agent.service",
            UNIT.as_bytes(),
        )?;
        let trusted = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        put(
            "etc/ssl/certs/ca-certificates.crt",
            format!("{trusted}{certificate}").as_bytes(),
        )?;
        Ok(base)
    }
}
