//! Diagnosis: why does an agent misbehave on this host?
//!
//! Owns the probes, the ranking of what they find, the log bundle and the report for a terminal. It
//! changes nothing on the host, and guesses nothing: a probe that cannot look says so. Called by the
//! agent for a check order, by the stand-alone checker and by `sickbay up`.

mod aside;
mod bundle;
mod clock;
mod command;
mod config;
mod disk;
mod files;
mod group;
mod http;
mod install;
mod kernel;
mod limits;
mod load;
mod logs;
mod memory;
mod mounts;
mod neighbours;
mod network;
mod own_name;
mod package;
mod probe;
mod process;
mod procfs;
pub mod profile;
mod program;
mod rank;
mod reading;
pub mod redact;
pub mod render;
mod rights;
mod service;
mod settings;
mod subject;
mod tail;
mod temporary;
mod tls;
mod watches;
mod why;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::limits::CHECK_SUBJECTS_MAX;
use protocol::answer::{CheckReport, Detected, Finding, ProbeOutcome, ProbeRun};
use protocol::work::CheckWork;
use tokio::time::Instant;

use crate::progress::Progress;
use profile::{AUTO, Found, Known, OWN, Profiles};
pub use render::render;
pub use subject::Local;
use subject::Subject;

/// Longest time that the making of a bundle may take, by mode, in ms.
const BUNDLE_MS_STANDARD: u64 = 3_000;
/// See [`BUNDLE_MS_STANDARD`].
const BUNDLE_MS_DEEP: u64 = 25_000;

/// Time in which what is known of the host must be read, in ms: it may lie on a disk that is dead.
const READING_MS: u64 = 2_500;
/// Time in which findings are completed by what is known of the host, in ms; the same holds.
const COMPLETING_MS: u64 = 1_000;

/// Why nothing was examined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no profile of the subject's name, or it has a fault.
    #[error(transparent)]
    Profile(#[from] profile::Error),
    /// This host has no thread left for it, or it broke.
    #[error("the check could not be run to its end: {0}")]
    Broken(io::Error),
}

/// What a check brought to light.
#[derive(Debug)]
pub struct Outcome {
    /// Findings and probes.
    pub report: CheckReport,
    /// The log bundle, a `tar.gz` in the given directory, mode 0600; the caller removes it.
    pub bundle: Option<PathBuf>,
}

/// What the probes of one subject know beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    subject: Subject,
    /// Known agents that the host has.
    detected: Arc<Vec<Detected>>,
    /// Those of them that run.
    running: Arc<Vec<Subject>>,
    problem: String,
    deep: bool,
    /// The server's clock minus ours, in ms.
    clock_offset_ms: Option<i64>,
    /// Our clock at the start of the check, in ms since the Unix epoch.
    now_ms: i64,
}

/// Runs the probes for this complaint: at most about 5 s in standard mode, 60 s in deep mode, aside from
/// what else this program does and with a nice value.
///
/// `clock_offset_ms` is the server's clock minus the local one. The bundle is written into
/// `work_dir`, which must exist. A probe that hangs in the kernel (a dead network disk) is left behind on
/// a thread of its own. `progress` is told which probes it is at.
///
/// # Errors
/// See [`Error`].
pub async fn run(
    work: &CheckWork,
    local: &Local,
    clock_offset_ms: Option<i64>,
    work_dir: &Path,
    progress: &Progress,
) -> Result<Outcome, Error> {
    let (work, local) = (work.clone(), local.clone());
    let (work_dir, progress) = (work_dir.to_owned(), progress.clone());
    let examining =
        async move { examine(&work, &local, clock_offset_ms, &work_dir, &progress).await };
    aside::run(examining)
        .await
        .unwrap_or_else(|error| Err(Error::Broken(error)))
}

async fn examine(
    work: &CheckWork,
    local: &Local,
    clock_offset_ms: Option<i64>,
    work_dir: &Path,
    progress: &Progress,
) -> Result<Outcome, Error> {
    let started = Instant::now();
    let name = match work.subject.as_str() {
        "" => OWN,
        name => name,
    };
    let dir = local.profiles_dir.clone();
    let loading = tokio::task::spawn_blocking(move || Profiles::load(&dir));
    let profiles = loading.await.unwrap_or_default();
    let named = match name {
        AUTO => None,
        name => Some(profiles.find(name)?),
    };
    let subject = async {
        match named {
            Some(known) => Some(subject_of(known, local).await),
            None => None,
        }
    };
    // Side by side: both may have to be waited for.
    let (subject, found) = tokio::join!(subject, found_on(profiles.clone(), local));
    let subjects = match subject {
        Some(subject) => vec![subject],
        None => in_use(&found),
    };
    let running = found.iter().filter(|it| it.detected.running);
    let running: Vec<Subject> = running.map(|it| it.subject.clone()).collect();
    let running = Arc::new(running);
    let detected: Vec<Detected> = found.into_iter().map(|it| it.detected).collect();
    let detected = Arc::new(detected);
    let context = |subject| {
        Arc::new(Context {
            subject,
            detected: Arc::clone(&detected),
            running: Arc::clone(&running),
            problem: work.problem_type.clone(),
            deep: work.mode >= 2,
            clock_offset_ms,
            now_ms: crate::config::now().0,
        })
    };
    let contexts: Vec<Arc<Context>> = subjects.into_iter().map(context).collect();
    let host = contexts.first().cloned();
    let host = host.unwrap_or_else(|| context(Subject::default()));
    let (mut probes, findings) = probe::run_all(&host, &contexts, name == AUTO, progress).await;
    probes.extend(own_profiles(&profiles));
    let mut report = CheckReport {
        subject: name.to_owned(),
        problem_type: work.problem_type.clone(),
        mode: work.mode,
        findings: ranked(findings, &contexts).await,
        probes,
        duration_ms: millis(started.elapsed()),
        bundle: None,
        detected: detected.to_vec(),
    };
    let bundle = add_bundle(&host, contexts, &mut report, work_dir).await;
    report.duration_ms = millis(started.elapsed());
    Ok(Outcome { report, bundle })
}

/// In their order, each with what its subject knows: aside, for its disk may be dead.
async fn ranked(found: Vec<Finding>, subjects: &[Arc<Context>]) -> Vec<Finding> {
    let findings = rank::rank(found);
    let (mut completed, subjects) = (findings.clone(), subjects.to_vec());
    let completing = tokio::task::spawn_blocking(move || {
        let nobody = Subject::default();
        for finding in &mut completed {
            let mut its = subjects.iter().map(|it| &it.subject);
            let subject = match (finding.subject.as_str(), subjects.as_slice()) {
                ("", [only]) => Some(&only.subject),
                (name, _) => its.find(|it| it.name == name),
            };
            probe::complete(finding, subject.unwrap_or(&nobody));
        }
        completed
    });
    match tokio::time::timeout(Duration::from_millis(COMPLETING_MS), completing).await {
        Ok(Ok(completed)) => completed,
        _ => findings,
    }
}

/// Reads the agent's configuration aside: it may lie on a disk that hangs. Then only what the profile
/// says by itself is known.
async fn subject_of(known: &Known, local: &Local) -> Subject {
    let profile = &known.profile;
    let unread = Subject {
        name: profile.name.to_string(),
        title: profile.title.clone(),
        processes: profile.process.names.clone(),
        scripts: profile.process.scripts.clone(),
        unit: profile
            .service
            .units
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
        limits: profile.limits,
        ..Subject::default()
    };
    let (known, local) = (known.clone(), local.clone());
    let resolving = tokio::task::spawn_blocking(move || profile::on_this_host(&known, &local));
    match tokio::time::timeout(Duration::from_millis(READING_MS), resolving).await {
        Ok(resolved) => resolved.unwrap_or_default(),
        Err(_) => unread,
    }
}

/// Known agents that the host has; none where that cannot be read in time.
async fn found_on(profiles: Profiles, local: &Local) -> Vec<Found> {
    let local = local.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Handle::current();
        runtime.block_on(profile::detect(&profiles, &local))
    });
    let found = tokio::time::timeout(Duration::from_millis(READING_MS), looking).await;
    found.map(Result::unwrap_or_default).unwrap_or_default()
}

/// The agents that are examined where none is named: those that run or ought to.
fn in_use(found: &[Found]) -> Vec<Subject> {
    let used = found
        .iter()
        .filter(|it| it.detected.running || it.detected.enabled);
    used.take(CHECK_SUBJECTS_MAX)
        .map(|it| it.subject.clone())
        .collect()
}

/// What the host's own profiles change, and which of them have faults.
fn own_profiles(profiles: &Profiles) -> Option<ProbeRun> {
    let faults: Vec<String> = profiles.faults().map(ToString::to_string).collect();
    let said = |it: &Known| {
        let path = it.file.as_ref()?.display();
        let instead = if it.replaces {
            " instead of the built-in one"
        } else {
            ""
        };
        Some(format!("{} from {path}{instead}", it.profile.name))
    };
    let own: Vec<String> = profiles.all().filter_map(said).collect();
    let outcome = if faults.is_empty() {
        ProbeOutcome::Clear
    } else {
        ProbeOutcome::Skipped
    };
    let note = [faults, own].concat().join("; ");
    (!note.is_empty()).then(|| ProbeRun {
        name: "profiles".to_owned(),
        outcome,
        note: probe::one_line(&note),
        ..ProbeRun::default()
    })
}

async fn add_bundle(
    host: &Arc<Context>,
    subjects: Vec<Arc<Context>>,
    report: &mut CheckReport,
    work_dir: &Path,
) -> Option<PathBuf> {
    let started = Instant::now();
    let ms = if host.deep {
        BUNDLE_MS_DEEP
    } else {
        BUNDLE_MS_STANDARD
    };
    let making = bundle::make(host, subjects, report, work_dir);
    let failed = match tokio::time::timeout(Duration::from_millis(ms), making).await {
        Ok(Ok((path, info))) => {
            report.bundle = Some(info);
            return Some(path);
        }
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("did not finish within {ms} ms"),
    };
    report.probes.push(ProbeRun {
        name: "bundle".to_owned(),
        outcome: ProbeOutcome::Skipped,
        note: failed,
        duration_ms: millis(started.elapsed()),
        ..ProbeRun::default()
    });
    None
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
