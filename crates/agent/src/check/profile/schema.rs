//! The form of a profile: every key, its type and its default. `docs/profiles.md` describes them.
//!
//! What is no value by itself, such as an endpoint without an address, is refused while the file is
//! read, so that the fault bears its line.

use model::Cause;
use serde::Deserialize;

use super::pattern::Pattern;
use super::value::{CauseName, Check, Key, Mode, Name, Path, Port, Sources, Unit};
use crate::check::settings::Format;

/// Memory that a profile without a limit allows, in MiB.
const MEMORY_MIB: u64 = 1_024;
/// Share of one processor that a profile without a limit allows, in percent.
const CPU_PERCENT: u64 = 80;
/// Share of its descriptors that a profile without a limit allows, in percent.
const DESCRIPTORS_PERCENT: u64 = 90;

/// Keys of a profile that are no table's.
pub(super) const TOP_LEVEL: [&str; 18] = [
    "name",
    "title",
    "sources",
    "packages",
    "programs",
    "users",
    "identity",
    "conflicts",
    "service",
    "process",
    "paths",
    "config",
    "private",
    "listens",
    "endpoints",
    "log_lines",
    "paused",
    "limits",
];

/// What a check has to know of one agent product.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name that `--subject` takes.
    pub name: Name,
    /// What people call it.
    pub title: String,
    /// Public documents that the facts come from.
    pub sources: Sources,
    /// Names of its package for dpkg, rpm or apk.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Where its program may lie, besides the directories of `PATH`.
    #[serde(default)]
    pub programs: Vec<Path>,
    /// Users that it may run as, most usual first.
    #[serde(default)]
    pub users: Vec<String>,
    /// A file whose presence shows that it is registered with its server.
    #[serde(default)]
    pub identity: Option<Path>,
    /// Names of profiles that must not run beside it.
    #[serde(default)]
    pub conflicts: Vec<Name>,
    /// How it is started.
    #[serde(default)]
    pub service: Service,
    /// What it looks like while it runs.
    #[serde(default)]
    pub process: Process,
    /// Where it keeps things.
    #[serde(default)]
    pub paths: Paths,
    /// Its configuration.
    #[serde(default)]
    pub config: Vec<Config>,
    /// Files that not everybody may read. Never copied into a bundle.
    #[serde(default)]
    pub private: Vec<Private>,
    /// Ports that it listens on.
    #[serde(default)]
    pub listens: Vec<Listen>,
    /// Servers that it talks to.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// Lines of its log that tell a cause.
    #[serde(default)]
    pub log_lines: Vec<LogLine>,
    /// Signs that somebody switched it off on purpose.
    #[serde(default)]
    pub paused: Vec<Paused>,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
}

/// How an agent is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Names of its systemd unit.
    pub units: Vec<Unit>,
    /// Names of its script in `/etc/init.d`, SysV or OpenRC.
    pub scripts: Vec<Name>,
}

/// What an agent looks like while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// Names of its processes or their programs; an absolute path means that very program.
    pub names: Vec<String>,
    /// Names of its program where that is a script that an interpreter runs.
    pub scripts: Vec<String>,
    /// First arguments with which the same program is not the daemon.
    pub other_arguments: Vec<String>,
    /// The option that names its data directory; two agents on one host are told apart by it.
    pub data_option: Option<String>,
}

/// Where an agent keeps things. The first data directory that exists is `{data}` in other paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// Directories of its state.
    pub data: Vec<Path>,
    /// Its log files.
    pub logs: Vec<Path>,
    /// Files that it writes for others: their size and their disk count, what they say does not.
    pub outputs: Vec<Path>,
    /// Its files of process ids, sockets and other things that live as long as it runs.
    pub runtime: Vec<Path>,
    /// Whether a small file may be written into its data directory, to see that it can.
    pub trial: bool,
}

/// A configuration file, or all that a `*` stands for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it lies.
    pub path: Path,
    /// How it is written.
    #[serde(default)]
    pub format: Format,
    /// Whether the agent cannot start without it; of several with one file name it needs one, since
    /// distributions put it in different places.
    #[serde(default)]
    pub required: bool,
    /// The vendor's own check, program and arguments; `{path}` is the file. Must only read.
    #[serde(default)]
    pub check: Option<Check>,
    /// Whether that check needs root. Otherwise it runs as the agent's user, or as nobody.
    #[serde(default)]
    pub check_as_root: bool,
}

/// A file that not everybody may read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Private {
    /// Where it lies.
    pub path: Path,
    /// The most that its mode may allow.
    #[serde(default)]
    pub mode: Mode,
}

/// A port that an agent listens on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// The port where the configuration names none; `None`: then it listens on none.
    pub port: Option<Port>,
    /// The setting that names it, as a number or as the end of an address.
    pub key: Option<Key>,
    /// A line of the configuration that names it by the word `{port}`.
    pub pattern: Option<Pattern>,
    /// TCP or UDP.
    #[serde(default)]
    pub protocol: Protocol,
}

/// A server that an agent talks to: a fixed one, or one that its configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawEndpoint")]
pub struct Endpoint {
    /// Where its address comes from.
    pub source: Source,
    /// Hosts that are no server: what the vendor's own configuration names before anybody changed it.
    pub ignored: Vec<String>,
    /// The port where none is named.
    pub port: Option<Port>,
    /// The setting that names the port.
    pub port_key: Option<Key>,
    /// Whether it is spoken to with TLS, unless the address says `http://` or `https://`.
    pub tls: bool,
    /// The setting that says so: `true`, `yes`, `on`, `1`, `https` or `tls`.
    pub tls_key: Option<Key>,
    /// The path that an HTTP server answers at; without one no HTTP is spoken.
    pub http: Option<String>,
    /// Statuses that are well; empty: all below 500.
    pub statuses: Vec<u16>,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Whom the agent trusts: the same as the host, or by its own configuration.
    pub trust: Trust,
}

/// Where the address of a server comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// What the caller of the check names; written as the address `{server}`.
    Caller,
    /// Always the same.
    Fixed(String),
    /// The values of a setting, each put in the place of `{value}` in the address.
    Setting {
        /// The setting.
        key: Key,
        /// The address, with `{value}`.
        address: String,
        /// The value where the setting is absent; `None`: then there is no server.
        default: Option<String>,
    },
    /// The words `{host}` and, if it has one, `{port}` in lines of the configuration.
    Lines(Pattern),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEndpoint {
    address: Option<String>,
    key: Option<Key>,
    default: Option<String>,
    pattern: Option<Pattern>,
    #[serde(default)]
    ignored: Vec<String>,
    port: Option<Port>,
    port_key: Option<Key>,
    #[serde(default)]
    tls: bool,
    tls_key: Option<Key>,
    http: Option<String>,
    #[serde(default)]
    statuses: Vec<u16>,
    #[serde(default)]
    protocol: Protocol,
    #[serde(default)]
    trust: Trust,
}

impl TryFrom<RawEndpoint> for Endpoint {
    type Error = String;

    fn try_from(raw: RawEndpoint) -> Result<Self, String> {
        let source = match (raw.address, raw.key, raw.pattern, raw.default) {
            (address, Some(key), None, default) => Source::Setting {
                key,
                address: address.unwrap_or_else(|| "{value}".to_owned()),
                default,
            },
            (Some(address), None, None, None) if address == "{server}" => Source::Caller,
            (Some(address), None, None, None) => Source::Fixed(address),
            (None, None, Some(pattern), None) if pattern.names("host") => Source::Lines(pattern),
            (None, None, Some(_), None) => {
                return Err("the `pattern` of an endpoint needs the word {host}".to_owned());
            }
            _ => {
                return Err(
                    "an endpoint has an `address`, a `key` (with `address` and `default` \
                            as it needs them) or a `pattern`"
                        .to_owned(),
                );
            }
        };
        let valued = match &source {
            Source::Setting { address, .. } => address.contains("{value}"),
            Source::Fixed(address) => !address.contains('{'),
            Source::Caller | Source::Lines(_) => true,
        };
        if !valued {
            return Err(
                "{value} stands in the `address` of an endpoint with a `key`, and only there"
                    .to_owned(),
            );
        }
        if raw.http.as_ref().is_some_and(|it| !it.starts_with('/')) {
            return Err("`http` is a path and starts with `/`".to_owned());
        }
        Ok(Self {
            source,
            ignored: raw.ignored,
            port: raw.port,
            port_key: raw.port_key,
            tls: raw.tls,
            tls_key: raw.tls_key,
            http: raw.http,
            statuses: raw.statuses,
            protocol: raw.protocol,
            trust: raw.trust,
        })
    }
}

/// A line of the log that tells a cause.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawLogLine")]
pub struct LogLine {
    /// What it looks like.
    pub pattern: Pattern,
    /// The cause that it tells.
    pub cause: Cause,
    /// A later line that says that the fault has passed.
    pub cleared_by: Option<Pattern>,
    /// What to do about it, where this product has its own way.
    pub hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLogLine {
    pattern: Pattern,
    cause: CauseName,
    example: String,
    cleared_by: Option<Pattern>,
    hint: Option<String>,
}

impl TryFrom<RawLogLine> for LogLine {
    type Error = String;

    fn try_from(raw: RawLogLine) -> Result<Self, String> {
        if raw.pattern.find(&raw.example).is_none() {
            let RawLogLine { pattern, .. } = raw;
            return Err(format!(
                "the pattern `{pattern}` does not fit its own example"
            ));
        }
        Ok(Self {
            pattern: raw.pattern,
            cause: raw.cause.0,
            cleared_by: raw.cleared_by,
            hint: raw.hint,
        })
    }
}

/// A sign that somebody switched the agent off on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawPaused")]
pub enum Paused {
    /// A file that is there.
    File(Path),
    /// A setting with that value.
    Setting {
        /// The setting.
        key: Key,
        /// The value; case does not count.
        value: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPaused {
    file: Option<Path>,
    key: Option<Key>,
    value: Option<String>,
}

impl TryFrom<RawPaused> for Paused {
    type Error = String;

    fn try_from(raw: RawPaused) -> Result<Self, String> {
        match (raw.file, raw.key, raw.value) {
            (Some(file), None, None) => Ok(Self::File(file)),
            (None, Some(key), Some(value)) => Ok(Self::Setting { key, value }),
            _ => Err("a sign of a pause is a `file`, or a `key` with its `value`".to_owned()),
        }
    }
}

/// What an agent may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Resident memory of one process, in MiB.
    pub memory_mib: u64,
    /// Share of one processor, in percent.
    pub cpu_percent: u64,
    /// Share of the descriptors that it may open, in percent.
    pub descriptors_percent: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: MEMORY_MIB,
            cpu_percent: CPU_PERCENT,
            descriptors_percent: DESCRIPTORS_PERCENT,
        }
    }
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// Whose certificates an agent trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Those that the host trusts.
    #[default]
    System,
    /// Those that its own configuration names: what the host trusts says nothing.
    Own,
}
