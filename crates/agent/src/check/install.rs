//! Is the agent installed and enrolled?

mod own;

use std::path::{Path, PathBuf};

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::profile::{OWN, unit_file};
use super::{Context, Subject, procfs};

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
        findings.extend(own::judge(&subject.data_dirs, context.now_ms));
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
    use std::io::{self, ErrorKind};

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
}
