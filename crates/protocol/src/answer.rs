//! What a host answered: the JSON that an agent sends with a result and that the store keeps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer of one leaf. At most [`model::limits::ANSWER_BYTES_MAX`] bytes of JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// One line for a person: why it could not be done, or what was done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Findings of a problem check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckReport>,
    /// Exit and output of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops: Option<OpsReport>,
    /// Asset information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assets: Option<AssetReport>,
}

/// What a problem check found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// The profile that was examined.
    pub subject: String,
    /// The complaint.
    pub problem_type: String,
    /// 1 standard, 2 deep.
    pub mode: u8,
    /// What is wrong, root causes before symptoms. Empty on a healthy host.
    pub findings: Vec<Finding>,
    /// Every probe and how it went.
    pub probes: Vec<ProbeRun>,
    /// Wall time of the check, in ms.
    pub duration_ms: u64,
    /// The log bundle, if one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleInfo>,
    /// Known agents that the host has, by name, whether they were examined or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detected: Vec<Detected>,
}

/// A known agent that a host has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detected {
    /// Name of its profile.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Whether a process of it runs.
    pub running: bool,
    /// Whether the host starts it by itself.
    pub enabled: bool,
    /// What shows that it is there: package, program, unit, process.
    pub signs: Vec<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Code of a [`model::Cause`].
    pub cause: u16,
    /// The cause's sentence, made concrete where the probe can: paths, numbers, names.
    pub summary: String,
    /// What was seen: the line, the number, the command to see it oneself.
    pub evidence: Vec<String>,
    /// Code of the found cause of which this one is a symptom; absent: a root cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained_by: Option<u16>,
    /// What the words of [`model::Placeholder`] mean on this host, for the commands of its fixes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub known: BTreeMap<String, String>,
    /// Name of the agent that it concerns, where several were examined. Empty: the only one, or the
    /// host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
}

impl Finding {
    /// The template with what is known here.
    ///
    /// # Errors
    /// [`model::template::Unknown`]: it needs what the finding does not know.
    pub fn fill(&self, template: &str) -> Result<String, model::template::Unknown> {
        model::template::fill(template, |it| self.known.get(it.word()).map(String::as_str))
    }
}

/// How one probe went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeRun {
    /// The probe's name.
    pub name: String,
    /// How it ended.
    pub outcome: ProbeOutcome,
    /// What it saw, or why it could not look. One line.
    pub note: String,
    /// Wall time, in ms.
    pub duration_ms: u64,
    /// Name of the agent that was looked at, where several were. Empty: the only one, or the host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// It looked and all is well.
    #[default]
    Clear,
    /// It looked and found something.
    Found,
    /// It does not apply to this host, or could not look: no guess is made.
    Skipped,
}

/// A log bundle as it lies on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleInfo {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// How a command ended and what it wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpsReport {
    /// Exit code; `None`: ended by a signal or never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Wall time, in ms.
    pub duration_ms: u64,
    /// The limits that it ran under and how each was kept. A limit that nothing could keep is no
    /// reason to go on without it: then nothing is started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limited>,
}

/// A limit that a command ran under.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// Its name in `Param`, such as `memoryBytes`.
    pub name: String,
    /// What was allowed.
    pub max: u64,
    /// What kept it: `cgroup` for the command as a whole, `rlimit` for each of its processes (of
    /// `pids`: for all processes of its user), `agent`.
    pub by: String,
    /// Whether the command came up against it; of an `rlimit` that cannot be seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reached: bool,
}

/// One output stream, cut in the middle if it is long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The text. If `escaped`, `\\xHH` stands for a byte that is not UTF-8 or a control character, and
    /// `\\\\` for a backslash.
    pub text: String,
    /// Length of the whole stream, in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole stream, lower-case hexadecimal.
    pub sha256: String,
    /// Whether the middle was left out.
    pub cut: bool,
    /// Whether the text has escapes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub escaped: bool,
}

/// What is on a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssetReport {
    /// System facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<crate::facts::HostFacts>,
    /// Processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<Process>>,
    /// Listening sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<Port>>,
    /// Accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<Account>>,
    /// Installed packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<Vec<Package>>,
    /// Jobs of cron.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron_jobs: Option<Vec<CronJob>>,
    /// Loaded kernel modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_modules: Option<Vec<KernelModule>>,
    /// What starts by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoruns: Option<Vec<Autorun>>,
    /// What could not be read, or was left out, and why. One line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// The lists in which therefore something may be missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::asset")]
    pub partial: Vec<model::AssetItem>,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub ppid: i32,
    /// Short name.
    pub name: String,
    /// Path of the program; empty if it cannot be read.
    pub path: String,
    /// Command line.
    pub cmdline: String,
    /// User name, or the number where there is no name.
    pub user: String,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// Start, in ms since the Unix epoch.
    pub started_ms: i64,
    /// State letter, as in `/proc/PID/stat` (proc(5)).
    pub state: String,
}

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// `tcp`, `tcp6`, `udp` or `udp6`.
    pub protocol: String,
    /// Local address.
    pub address: String,
    /// Local port.
    pub port: u16,
    /// The process that holds it, if it could be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Short name of that process; empty if unknown.
    pub process: String,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Names of all groups.
    pub groups: Vec<String>,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Whether a login by shell is possible: a real shell.
    pub can_login: bool,
    /// Whether the password is locked or absent; `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_locked: Option<bool>,
    /// When password and account end; `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
    /// Whether it may become root by `sudo`, by its name or one of its groups; `None` if that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudoer: Option<bool>,
    /// Last login, in ms since the Unix epoch; `None`: none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_ms: Option<i64>,
    /// Address or name of the machine it came from; empty for a login at the host itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_login_from: String,
}

/// When something of an account ends, in ms since the Unix epoch; `None`: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expiry {
    /// From when on the password has to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_ms: Option<i64>,
    /// From when on nobody can log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ms: Option<i64>,
}

/// One installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture.
    pub architecture: String,
    /// The package manager: `dpkg`, `rpm`, `apk`; of libraries what they are for: `pip`, `npm`, `jar`.
    pub manager: String,
    /// When it was installed or upgraded last, in ms since the Unix epoch, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed_ms: Option<i64>,
    /// Where a library lies; empty for packages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

/// One job of cron.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronJob {
    /// The file it stands in.
    pub file: String,
    /// When: the five fields, or `@daily` and the like.
    pub schedule: String,
    /// The user it runs as.
    pub user: String,
    /// The command, with secrets redacted.
    pub command: String,
}

/// One loaded kernel module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelModule {
    /// Name.
    pub name: String,
    /// Size, in bytes.
    pub size_bytes: u64,
    /// Modules that use it.
    pub used_by: Vec<String>,
}

/// One thing that starts by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autorun {
    /// `systemd`, `init.d`, `rc.local`, `profile`.
    pub kind: String,
    /// The file.
    pub path: String,
    /// Its name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_without_what_came_later_is_a_root_that_knows_nothing() {
        let old = r#"{"cause":2401,"summary":"full","evidence":["/var"]}"#;
        let finding: Finding = serde_json::from_str(old).unwrap();
        assert_eq!((finding.explained_by, finding.known.len()), (None, 0));
        assert_eq!(serde_json::to_string(&finding).unwrap(), old);
        assert!(finding.fill("df -h PATH").is_err());
    }

    #[test]
    fn a_command_is_made_of_what_the_finding_knows() {
        let finding = Finding {
            explained_by: Some(2803),
            known: [("PATH".to_owned(), "/my data".to_owned())].into(),
            ..Finding::default()
        };
        assert_eq!(finding.fill("df -h PATH").unwrap(), "df -h '/my data'");
        let text = serde_json::to_string(&finding).unwrap();
        assert!(text.contains(r#""explainedBy":2803"#), "{text}");
    }
}
