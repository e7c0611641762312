//! A host without systemd: the agent's script in `/etc/init.d` and the program that it starts.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use model::Cause;
use protocol::answer::Finding;

use super::super::probe::{Verdict, finding};
use super::super::{Context, Subject, install, logs, procfs, program, why};

/// What an agent said longer ago tells of an earlier end, in ms.
const LAST_WORDS_AGE_MS: i64 = 24 * 3_600_000;
const SCRIPTS: &str = "/etc/init.d";

/// What the host starts at boot, as far as it starts anything.
enum Boot {
    /// Links in these directories: `S20NAME` of System V, or `NAME` of OpenRC.
    Links(Vec<PathBuf>),
    /// A container or another manager: nothing is known of it.
    Unknown,
}

/// The script that starts the agent.
pub(in crate::check) fn path(subject: &Subject) -> Option<PathBuf> {
    let scripts = subject.init_scripts.iter();
    let mut paths = scripts.map(|it| Path::new(SCRIPTS).join(it));
    paths.find(|it| it.is_file())
}

/// The script is there and may be run, is started at boot, and its program can begin.
pub(super) fn look(context: &Context) -> Verdict {
    let subject = &context.subject;
    let runs = !procfs::agents(subject).is_empty();
    let mut findings = Vec::new();
    // What runs has found what it needs.
    let program = install::program(subject).filter(|_| !runs);
    findings.extend(program.as_deref().and_then(|it| program::fault(it, false)));
    findings.extend(program.and_then(|_| user(subject)));
    if !runs {
        let lines = logs::last_words(subject, context.now_ms, LAST_WORDS_AGE_MS);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        findings.extend(why::judge(&lines, subject, why::Limits::default()));
    }
    let Some(path) = path(subject) else {
        let note =
            "systemd does not run this host, and the agent has no script for another manager";
        return if findings.is_empty() {
            Verdict::skipped(note)
        } else {
            Verdict::of(note, findings)
        };
    };
    let mode = std::fs::metadata(&path).map_or(0o755, |it| it.permissions().mode());
    findings.extend(judge_mode(&path, mode));
    let boot = boot();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    findings.extend(judge_boot(&name, &boot));
    let known = match boot {
        Boot::Links(_) => "",
        Boot::Unknown => "; what is started at boot is not known here",
    };
    Verdict::of(format!("script {}{known}", path.display()), findings)
}

/// None of the users as which it may run is among the host's accounts (passwd(5)).
fn user(subject: &Subject) -> Option<Finding> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let sources = std::fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    judge_user(&subject.users, &accounts, &sources)
}

fn judge_user(users: &[String], accounts: &str, sources: &str) -> Option<Finding> {
    let has = |name: &String| {
        accounts
            .lines()
            .any(|it| it.split(':').next() == Some(name))
    };
    let line = sources.lines().find_map(|it| it.strip_prefix("passwd:"));
    let local = ["files", "compat", "systemd"];
    let is_local = line.is_none_or(|it| it.split_whitespace().all(|it| local.contains(&it)));
    let first = users.first()?;
    (is_local && !users.iter().any(has)).then(|| {
        let evidence = format!(
            "none of its users is in the accounts of this host: {}",
            users.join(", ")
        );
        let cause = Cause::ServiceUserMissing;
        finding(cause, cause.sentence(), vec![evidence], &[("USER", first)])
    })
}

fn judge_mode(path: &Path, mode: u32) -> Option<Finding> {
    (mode & 0o111 == 0).then(|| {
        let shown = path.display().to_string();
        let summary = format!("The script {shown} that starts the agent is not executable.");
        let evidence = format!("{shown} has mode {:04o}; 0755 is right", mode & 0o7777);
        finding(
            Cause::PathWrongMode,
            summary,
            vec![evidence],
            &[("PATH", &shown)],
        )
    })
}

/// OpenRC says so itself; System V's init is the first process.
fn boot() -> Boot {
    let list = |dir: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|it| it.path()).collect()
    };
    if Path::new("/run/openrc/softlevel").exists() {
        let levels = list("/etc/runlevels");
        let links = levels.iter().flat_map(|it| list(&it.to_string_lossy()));
        return Boot::Links(links.collect());
    }
    let is_init = procfs::process(1).is_some_and(|it| it.name == "init");
    if !is_init || !Path::new("/etc/inittab").exists() {
        return Boot::Unknown;
    }
    let levels = ["S", "2", "3", "4", "5"];
    let links = levels.iter().flat_map(|it| list(&format!("/etc/rc{it}.d")));
    Boot::Links(links.collect())
}

fn judge_boot(name: &str, boot: &Boot) -> Option<Finding> {
    let Boot::Links(links) = boot else {
        return None;
    };
    let starts = |it: &PathBuf| {
        let link = it.file_name().unwrap_or_default().to_string_lossy();
        let number = link.strip_prefix('S').unwrap_or_default();
        link == name || number.trim_start_matches(|c: char| c.is_ascii_digit()) == name
    };
    (!links.is_empty() && !links.iter().any(starts)).then(|| {
        let evidence = format!("no runlevel starts {SCRIPTS}/{name}");
        let cause = Cause::ServiceDisabled;
        finding(cause, cause.sentence(), vec![evidence], &[])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_no_runlevel_starts_is_disabled() {
        let links = |names: &[&str]| {
            let paths = names.iter().map(|it| Path::new("/etc/rc2.d").join(it));
            judge_boot("zabbix-agent", &Boot::Links(paths.collect())).is_some()
        };
        assert!(!links(&["K01ssh", "S20zabbix-agent"]));
        assert!(!links(&["zabbix-agent"]), "OpenRC");
        assert!(links(&["S01ssh", "K20zabbix-agent"]));
        assert!(links(&["S20zabbix-agent2"]));
        assert!(!links(&[]), "nothing is known");
        assert!(judge_boot("x", &Boot::Unknown).is_none());
    }

    #[test]
    fn an_agent_whose_user_is_gone_cannot_be_started() {
        let users = ["zabbix".to_owned()];
        let with = "root:x:0:0::/root:/bin/sh\nzabbix:x:115:120::/:/bin/false\n";
        let without = "root:x:0:0::/root:/bin/sh\n";
        assert!(judge_user(&users, with, "").is_none());
        let found = judge_user(&users, without, "passwd: files systemd\n").unwrap();
        assert_eq!(found.cause, Cause::ServiceUserMissing.code());
        assert!(
            judge_user(&users, without, "passwd: files sss\n").is_none(),
            "not known here"
        );
        assert!(judge_user(&[], without, "").is_none());
    }

    #[test]
    fn a_script_must_be_executable() {
        let path = Path::new("/etc/init.d/x");
        assert!(judge_mode(path, 0o100_755).is_none());
        let found = judge_mode(path, 0o100_644).unwrap();
        assert_eq!(found.cause, Cause::PathWrongMode.code());
    }
}
