//! Diagnosis: why does an agent misbehave on this host?
//!
//! Owns the probes, the ranking of what they find, the log bundle and the report for a terminal. It
//! changes nothing on the host, and guesses nothing: a probe that cannot look says so. Called by the
//! agent for a check order, by the stand-alone checker and by `sickbay up`.

mod bundle;
mod clock;
mod command;
mod disk;
mod files;
mod install;
mod kernel;
mod limits;
mod load;
mod logs;
mod memory;
mod network;
mod probe;
mod process;
mod procfs;
mod rank;
pub mod redact;
pub mod render;
mod resolver;
mod service;
mod subject;
mod tail;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::answer::{CheckReport, ProbeOutcome, ProbeRun};
use protocol::work::CheckWork;
use tokio::time::Instant;

use crate::progress::Progress;

pub use render::render;
pub use subject::Subject;

/// Longest time that the making of a bundle may take, by mode, in ms.
const BUNDLE_MS_STANDARD: u64 = 3_000;
/// See [`BUNDLE_MS_STANDARD`].
const BUNDLE_MS_DEEP: u64 = 25_000;

/// What a check brought to light.
#[derive(Debug)]
pub struct Outcome {
    /// Findings and probes.
    pub report: CheckReport,
    /// The log bundle, a `tar.gz` in the given directory, mode 0600; the caller removes it.
    pub bundle: Option<PathBuf>,
}

/// What the probes of one check know beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    subject: Subject,
    problem: String,
    deep: bool,
    /// The server's clock minus ours, in ms.
    clock_offset_ms: Option<i64>,
    /// Our clock at the start of the check, in ms since the Unix epoch.
    now_ms: i64,
}

/// Runs the probes for this complaint: at most about 5 s in standard mode, 60 s in deep mode.
///
/// `clock_offset_ms` is the server's clock minus the local one. The bundle is written into
/// `work_dir`, which must exist. Needs a tokio runtime with I/O and time. A probe that hangs in the
/// kernel (a dead network disk) is left behind on a thread of the runtime, so a program that is
/// about to end should shut its runtime down in the background. `progress` is told which probes it is at.
pub async fn run(
    work: &CheckWork,
    subject: &Subject,
    clock_offset_ms: Option<i64>,
    work_dir: &Path,
    progress: &Progress,
) -> Outcome {
    let started = Instant::now();
    let context = Arc::new(Context {
        subject: subject.clone(),
        problem: work.problem_type.clone(),
        deep: work.mode >= 2,
        clock_offset_ms,
        now_ms: crate::config::now().0,
    });
    let (probes, found) = probe::run_all(&context, progress).await;
    let mut findings = rank::rank(found);
    for finding in &mut findings {
        probe::complete(finding, subject);
    }
    let mut report = CheckReport {
        subject: work.subject.clone(),
        problem_type: work.problem_type.clone(),
        mode: work.mode,
        findings,
        probes,
        duration_ms: millis(started.elapsed()),
        bundle: None,
    };
    let bundle = add_bundle(&context, &mut report, work_dir).await;
    report.duration_ms = millis(started.elapsed());
    Outcome { report, bundle }
}

async fn add_bundle(
    context: &Arc<Context>,
    report: &mut CheckReport,
    work_dir: &Path,
) -> Option<PathBuf> {
    let started = Instant::now();
    let ms = if context.deep {
        BUNDLE_MS_DEEP
    } else {
        BUNDLE_MS_STANDARD
    };
    let making = bundle::make(context, report, work_dir);
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
