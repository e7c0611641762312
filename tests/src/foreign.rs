//! A host that has nothing of this one but its kernel.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::program::{Said, binary, run};
use crate::volume::say_aloud;

/// A root directory with a statically linked busybox and `sickbay-agent`: no C library, no `/tmp` that lets programs run.
#[derive(Debug)]
pub struct Foreign {
    root: TempDir,
}

/// Enters the root in namespaces of its own; `$1` is the root, `$2` the line.
const ENTER: &str = "mount -t proc proc \"$1/proc\" && mount --rbind /dev \"$1/dev\" && mount -t tmpfs -o noexec tmpfs \"$1/tmp\" \
     && exec chroot \"$1\" /bin/sh -c \"$2\"";

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

impl Foreign {
    /// None where no such host can be made: then it is said aloud what the test does `instead`.
    ///
    /// # Panics
    /// What this host would run there is not statically linked.
    #[must_use]
    pub fn new(instead: &str) -> Option<Self> {
        let root = tempfile::tempdir().expect("a temporary folder");
        let host = Self { root };
        if let Err(said) = host.build() {
            say_aloud(&format!(
                "no foreign host can be made here: {instead} ({said})"
            ));
            return None;
        }
        std::fs::copy(binary("sickbay-agent"), host.path("bin/sickbay-agent")).expect("a program");
        let said = host.enter(&["/bin/sickbay-agent", "--version"]);
        assert!(
            said.is_ok(),
            "sickbay-agent is not linked statically: run tests/run, which builds it so: {said:?}"
        );
        Some(host)
    }

    fn build(&self) -> Result<(), String> {
        for folder in ["bin", "etc", "proc", "tmp", "var", "var/tmp", "dev"] {
            std::fs::create_dir(self.path(folder)).map_err(|error| error.to_string())?;
        }
        std::fs::copy("/bin/busybox", self.path("bin/busybox"))
            .map_err(|error| format!("/bin/busybox: {error}"))?;
        self.enter(&["/bin/busybox", "--install", "-s", "/bin"])
    }

    fn enter(&self, words: &[&str]) -> Result<(), String> {
        let said = std::process::Command::new("chroot")
            .arg(self.root.path())
            .args(words)
            .env_clear()
            .env("PATH", PATH)
            .output();
        let said = said.map_err(|error| format!("chroot: {error}"))?;
        if said.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&said.stderr).trim().to_owned())
    }

    /// A path of the host, as it is seen from here.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Runs a line by the host's shell, with a view of its own processes only, on this machine's network.
    pub async fn shell(&self, line: &str) -> Said {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                ENTER,
                "sh",
            ])
            .arg(self.root.path())
            .arg(line)
            .env_clear()
            .env("PATH", PATH)
            .current_dir(Path::new("/"));
        run(&mut command).await
    }
}
