//! What a check examines: an agent product on this host.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use protocol::endpoint::Endpoint;
use protocol::tls::Fingerprint;

use crate::config::{DataDir, POLICY_FILE};

/// An agent product on this host and where its parts lie.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Name of the profile.
    pub name: String,
    /// Its systemd unit.
    pub unit: String,
    /// Names of its processes.
    pub processes: Vec<String>,
    /// First arguments with which the same program is not the daemon.
    pub other_commands: Vec<String>,
    /// Where its program may lie, besides the directories of `PATH`.
    pub programs: Vec<PathBuf>,
    /// Where it keeps its state.
    pub data_dir: PathBuf,
    /// The file whose presence shows that it is enrolled.
    pub identity: Option<PathBuf>,
    /// Files that only its user may read. Never copied into a bundle.
    pub private_files: Vec<PathBuf>,
    /// Its policy files; a missing one means the defaults.
    pub config_files: Vec<PathBuf>,
    /// Its log files; those that do not exist are passed over.
    pub log_files: Vec<PathBuf>,
    /// The server it talks to.
    pub server: Option<Endpoint>,
    /// The server's pinned certificate.
    pub pin: Option<Fingerprint>,
    /// Set when the check runs inside the agent itself: that process is the agent.
    pub own_pid: Option<u32>,
    /// Whether its absence is a fault.
    pub expected_installed: bool,
    /// Resident memory beyond which it uses too much, in bytes.
    pub memory_bytes_max: u64,
}

impl Subject {
    /// Sickbay's own agent.
    #[must_use]
    pub fn sickbay(data_dir: &Path, server: Option<Endpoint>, pin: Option<Fingerprint>) -> Self {
        let words = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        let data = DataDir::new(data_dir);
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
        Self {
            name: "sickbay".to_owned(),
            unit: "sickbay-agent.service".to_owned(),
            processes: words(&["sickbay-agent"]),
            other_commands: words(&[
                "check",
                "enrol",
                "status",
                "help",
                "--help",
                "-h",
                "--version",
                "-V",
            ]),
            programs: paths(&[
                "/usr/bin/sickbay-agent",
                "/usr/sbin/sickbay-agent",
                "/usr/local/bin/sickbay-agent",
                "/usr/local/sbin/sickbay-agent",
                "/opt/sickbay/sickbay-agent",
                "/opt/sickbay/bin/sickbay-agent",
            ]),
            data_dir: data_dir.to_owned(),
            identity: Some(data.identity()),
            private_files: [vec![data.identity()], data.keys()].concat(),
            config_files: paths(&[POLICY_FILE]),
            log_files: vec![
                data_dir.join("agent.log"),
                PathBuf::from("/var/log/sickbay/agent.log"),
            ],
            server,
            pin,
            own_pid: None,
            expected_installed: true,
            memory_bytes_max: 512 << 20,
        }
    }

    /// Whether a process or program of that name belongs to it. The kernel cuts names to 15 bytes.
    pub(super) fn has_process(&self, name: &str) -> bool {
        let cut = |it: &str| it.bytes().take(15).collect::<Vec<u8>>();
        self.processes
            .iter()
            .any(|it| it == name || cut(it) == name.as_bytes())
    }

    /// Whether the agent runs inside another program, whose memory and CPU say little about it.
    pub(super) fn is_embedded(&self) -> bool {
        let Some(pid) = self.own_pid else {
            return false;
        };
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let name = exe.file_name().and_then(OsStr::to_str).unwrap_or_default();
        !self.has_process(name)
    }
}
