//! Is the agent installed and enrolled?

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::profile::{OWN, unit_file};
use super::{Context, Subject, procfs};
use crate::config::DataDir;
use crate::identity::{AgentKey, Error, Identity};

/// The agent's program, in its usual places and in `PATH`. This program does not count unless it
/// lies there: the checker may have been downloaded anywhere.
pub(super) fn program(subject: &Subject) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path)
        .filter(|it| it.is_absolute())
        .flat_map(|dir| {
            let names = subject.processes.iter().chain(&subject.scripts);
            names.map(move |name| dir.join(name))
        });
    subject
        .programs
        .iter()
        .cloned()
        .chain(in_path)
        .find(|it| it.is_file())
}

/// Whether the agent is on this host in any form.
pub(super) fn is_installed(subject: &Subject) -> bool {
    program(subject).is_some() || unit_file(&subject.unit).is_some()
}

/// Program or unit present; registered with a server; not switched off on purpose.
pub(super) fn probe(context: &Context) -> Verdict {
    let subject = &context.subject;
    let running = procfs::agents(subject);
    let program = program(subject);
    if running.is_empty() && !is_installed(subject) {
        return absent(subject);
    }
    let mut findings = Vec::new();
    let mut notes = vec![match (&program, running.first()) {
        (Some(path), _) => format!("program {}", path.display()),
        (None, Some(pid)) => match std::fs::read_link(format!("/proc/{pid}/exe")) {
            Ok(exe) => format!("runs from {}", exe.display()),
            Err(_) => format!("runs as process {pid}"),
        },
        (None, None) => "only its unit file is there".to_owned(),
    }];
    if let Some(identity) = &subject.identity {
        match judge_identity(
            subject,
            identity,
            identity.try_exists(),
            !running.is_empty(),
        ) {
            Ok(note) => notes.push(note),
            Err(found) => findings.push(found),
        }
    }
    if subject.name == OWN {
        findings.extend(judge_own(&subject.data_dirs));
    }
    if let Some(sign) = &subject.paused {
        let cause = Cause::AgentPaused;
        findings.push(finding(cause, cause.sentence(), vec![sign.clone()], &[]));
    }
    Verdict::of(notes.join("; "), findings)
}

fn absent(subject: &Subject) -> Verdict {
    let mut evidence = vec![
        format!(
            "no program {} in its usual places nor in PATH",
            subject.process_names()
        ),
        format!("no unit file {} and no such process", subject.unit),
    ];
    for dir in subject.data_dirs.iter().filter(|it| it.is_dir()) {
        evidence.push(format!("its data directory {} is left over", dir.display()));
    }
    let found = finding(
        Cause::AgentNotInstalled,
        Cause::AgentNotInstalled.sentence(),
        evidence,
        &[],
    );
    Verdict::of("not installed", vec![found])
}

/// Whether Sickbay's own agent can use its identity and its key.
fn judge_own(data_dirs: &[PathBuf]) -> Option<Finding> {
    let data = DataDir::new(data_dirs.first()?);
    let loaded = match Identity::load(&data) {
        Ok(it) => AgentKey::load(&data, &it.key_name).map_err(|error| (Some(it), error)),
        Err(error) => Err((None, error)),
    };
    let (cause, path, why) = match loaded {
        Ok(_) => return None,
        Err((Some(it), Error::NotEnrolled)) => {
            let why = "is missing, and identity.json names it".to_owned();
            (Cause::IdentityCorrupt, data.key(&it.key_name), why)
        }
        Err((_, Error::NotEnrolled | Error::NoRandom)) => return None,
        Err((_, Error::Damaged(path))) => (Cause::IdentityCorrupt, path, "is damaged".to_owned()),
        // The agent's user may be allowed what we are not.
        Err((_, Error::Io(_, error))) if error.kind() == ErrorKind::PermissionDenied => {
            return None;
        }
        Err((_, Error::Io(path, error))) => (
            Cause::IdentityUnreadable,
            path,
            format!("cannot be read: {error}"),
        ),
    };
    let path = path.display().to_string();
    let evidence = vec![format!("{path} {why}")];
    Some(finding(
        cause,
        cause.sentence(),
        evidence,
        &[("PATH", &path)],
    ))
}

fn judge_identity(
    subject: &Subject,
    path: &Path,
    exists: std::io::Result<bool>,
    running: bool,
) -> Result<String, Finding> {
    let shown = path.display();
    match exists {
        Ok(true) => Ok("enrolled".to_owned()),
        // It may keep its data elsewhere: a running agent is proof enough.
        Ok(false) if running => Ok(format!("no identity at {shown}, but the agent runs")),
        Ok(false) => {
            let dir = path.parent().unwrap_or(path);
            let summary = match dir.try_exists() {
                // Of Sickbay's own agent the caller says where it lies.
                Ok(false) if subject.name == OWN => format!(
                    "No agent's data was found in {}; if it lies elsewhere, name the place with --data.",
                    dir.display()
                ),
                Ok(false) => format!("No agent's data was found in {}.", dir.display()),
                _ => Cause::AgentNotEnrolled.sentence().to_owned(),
            };
            let evidence = vec![format!("there is no identity {shown}")];
            Err(finding(Cause::AgentNotEnrolled, summary, evidence, &[]))
        }
        Err(error) => Ok(format!("{shown} cannot be seen: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::tests::own;
    use super::*;

    #[test]
    fn only_a_stopped_agent_without_identity_is_not_enrolled() {
        let path = Path::new("/d/identity.json");
        assert!(judge_identity(&own("/d".as_ref(), None), path, Ok(true), false).is_ok());
        assert!(judge_identity(&own("/d".as_ref(), None), path, Ok(false), true).is_ok());
        assert!(
            judge_identity(
                &own("/d".as_ref(), None),
                path,
                Err(io::Error::from(ErrorKind::PermissionDenied)),
                false
            )
            .is_ok()
        );
        let found = judge_identity(&own("/d".as_ref(), None), path, Ok(false), false).unwrap_err();
        assert_eq!(found.cause, Cause::AgentNotEnrolled.code());
    }

    #[test]
    fn without_a_data_directory_nothing_is_said_to_be_installed() {
        let dir = tempfile::tempdir().unwrap();
        let summary = |path: &Path| {
            let found =
                judge_identity(&own("/d".as_ref(), None), path, Ok(false), false).unwrap_err();
            found.summary
        };
        let there = summary(&dir.path().join("identity.json"));
        assert_eq!(there, Cause::AgentNotEnrolled.sentence());
        let absent = summary(&dir.path().join("absent/identity.json"));
        assert!(!absent.contains("installed"), "{absent}");
        assert!(
            absent.contains("/absent;") && absent.contains("--data"),
            "{absent}"
        );
    }

    #[test]
    fn an_identity_that_is_damaged_or_lacks_its_key_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = [dir.path().to_owned()];
        let cause = || judge_own(&dirs).map(|it| it.cause);
        assert_eq!(cause(), None, "never enrolled");
        let key = AgentKey::generate().unwrap();
        let data = DataDir::new(dir.path());
        let identity = Identity {
            host_uuid: "inet-1".parse().unwrap(),
            server: "https://sickbay.example:8443".parse().unwrap(),
            pin: None,
            order_keys: Vec::new(),
            key_name: key.own_name(),
        };
        identity.save(&data).unwrap();
        assert_eq!(cause(), Some(Cause::IdentityCorrupt.code()), "no key");
        key.save(&data, &identity.key_name).unwrap();
        assert_eq!(cause(), None);
        std::fs::write(data.identity(), "{}").unwrap();
        assert_eq!(cause(), Some(Cause::IdentityCorrupt.code()));
    }
}
