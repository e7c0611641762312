//! What a check examines: an agent product as it is on this host.
//!
//! Made from a profile by [`super::profile`]; probes take everything they know of the agent from here.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use protocol::endpoint::Endpoint;
use protocol::tls::Fingerprint;

use super::profile::{Limits, LogLine, Protocol, Trust};
use super::settings::Format;

/// What the caller of a check knows of this host and no profile can.
#[derive(Clone, Debug)]
pub struct Local {
    /// Where the host's own profiles lie.
    pub profiles_dir: PathBuf,
    /// Where Sickbay's own agent keeps its data.
    pub data_dir: PathBuf,
    /// The server that Sickbay's own agent talks to.
    pub server: Option<Endpoint>,
    /// That server's pinned certificate.
    pub pin: Option<Fingerprint>,
    /// Set when the check runs inside Sickbay's own agent: that process is the agent.
    pub own_pid: Option<u32>,
}

impl Local {
    /// A caller who knows no server.
    #[must_use]
    pub fn new(data_dir: &Path, profiles_dir: &Path) -> Self {
        Self {
            profiles_dir: profiles_dir.to_owned(),
            data_dir: data_dir.to_owned(),
            server: None,
            pin: None,
            own_pid: None,
        }
    }
}

/// An agent product on this host and where its parts lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    /// Name of the profile.
    pub(crate) name: String,
    /// What people call it.
    pub(crate) title: String,
    /// Names of its packages.
    pub(crate) packages: Vec<String>,
    /// Where its program may lie, besides the directories of `PATH`.
    pub(crate) programs: Vec<PathBuf>,
    /// Its systemd unit: the one that exists, or else the usual one; empty: it has none.
    pub(crate) unit: String,
    /// Names of its script in `/etc/init.d`.
    pub(crate) init_scripts: Vec<String>,
    /// Names of its processes.
    pub(crate) processes: Vec<String>,
    /// Names of its program where an interpreter runs it.
    pub(crate) scripts: Vec<String>,
    /// First arguments with which the same program is not the daemon.
    pub(crate) other_arguments: Vec<String>,
    /// The option that names its data directory, and that directory where the option is absent.
    pub(crate) data_option: Option<(String, PathBuf)>,
    /// Users that it may run as, most usual first; empty: unknown.
    pub(crate) users: Vec<String>,
    /// Where it keeps its state, most important first.
    pub(crate) data_dirs: Vec<PathBuf>,
    /// Whether a small file may be written there.
    pub(crate) trial: bool,
    /// The file whose presence shows that it is registered.
    pub(crate) identity: Option<PathBuf>,
    /// Files that exist and that not everybody may read, and the most that their modes may allow.
    /// Never copied into a bundle.
    pub(crate) private_files: Vec<(PathBuf, u32)>,
    /// Its configuration files that exist, or that must.
    pub(crate) configs: Vec<ConfigFile>,
    /// Places that its configuration and its profile name, whether they exist or not.
    pub(crate) places: Vec<Place>,
    /// Its log files that exist.
    pub(crate) log_files: Vec<PathBuf>,
    /// Directories for its log files alone.
    pub(crate) log_dirs: Vec<PathBuf>,
    /// Files that exist and that it writes for others.
    pub(crate) outputs: Vec<PathBuf>,
    /// Its pid files, sockets and the like.
    pub(crate) runtime_files: Vec<PathBuf>,
    /// Ports that it listens on.
    pub(crate) listens: Vec<Listening>,
    /// Servers that it talks to.
    pub(crate) targets: Vec<Target>,
    /// Lines of its log that tell a cause.
    pub(crate) log_lines: Vec<LogLine>,
    /// Names of profiles that must not run beside it.
    pub(crate) conflicts: Vec<String>,
    /// What shows that somebody switched it off on purpose.
    pub(crate) paused: Option<String>,
    /// What it may use.
    pub(crate) limits: Limits,
    /// Set when the check runs inside the agent itself: that process is the agent.
    pub(crate) own_pid: Option<u32>,
}

/// A configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    /// Whether the agent cannot start without it.
    pub(crate) required: bool,
    /// The vendor's own check: program and arguments.
    pub(crate) check: Option<Vec<String>>,
    /// Whether that check needs root.
    pub(crate) check_as_root: bool,
}

/// A place that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// The setting that names it; `None`: it is the usual one.
    pub(crate) key: Option<String>,
}

/// A port that the agent listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
}

/// A server that the agent talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) server: Endpoint,
    /// The server's pinned certificate.
    pub(crate) pin: Option<Fingerprint>,
    /// The path that it answers at; `None`: no HTTP is spoken.
    pub(crate) http: Option<String>,
    /// Statuses that are well; empty: all below 500.
    pub(crate) statuses: Vec<u16>,
    pub(crate) protocol: Protocol,
    /// Whom the agent trusts.
    pub(crate) trust: Trust,
}

impl Subject {
    /// Whether a process or program of that name belongs to it. The kernel cuts names to 15 bytes.
    pub(super) fn has_process(&self, name: &str) -> bool {
        let cut = |it: &str| it.bytes().take(15).collect::<Vec<u8>>();
        self.processes
            .iter()
            .chain(&self.scripts)
            .any(|it| it == name || cut(it) == name.as_bytes())
    }

    /// Names of its processes, for a person.
    pub(super) fn process_names(&self) -> String {
        let mut names: Vec<&str> = self.processes.iter().map(String::as_str).collect();
        names.extend(self.scripts.iter().map(String::as_str));
        names.dedup();
        names.join(", ")
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
