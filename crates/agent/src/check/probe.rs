//! The probe framework: which probes there are, when they apply, and how they are run.
//!
//! Every probe has a time limit; one that hangs or fails is reported as skipped and never hangs the
//! check. Called by [`super::run`] only.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Cause, Placeholder};
use protocol::answer::{Finding, ProbeOutcome, ProbeRun};
use tokio::time::Instant;

use super::{
    Context, Subject, clock, command, config, disk, files, group, install, kernel, limits, load,
    logs, memory, millis, mounts, neighbours, network, own_name, package, process, procfs, service,
    temporary, watches,
};
use crate::progress::Progress;

/// Longest line of evidence, in bytes.
const EVIDENCE_BYTES_MAX: usize = 400;
/// Time limit of every probe in deep mode, in ms.
const DEEP_MS: u64 = 30_000;

/// How one probe ended.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) outcome: ProbeOutcome,
    pub(super) note: String,
    pub(super) findings: Vec<Finding>,
}

impl Verdict {
    /// It looked and all is well.
    pub(super) fn clear(note: impl Into<String>) -> Self {
        Self::of(note, Vec::new())
    }

    /// It could not look, or there is nothing to look at.
    pub(super) fn skipped(note: impl Into<String>) -> Self {
        Self {
            outcome: ProbeOutcome::Skipped,
            ..Self::clear(note)
        }
    }

    /// Found more.
    pub(super) fn add(&mut self, findings: Vec<Finding>) {
        if !findings.is_empty() {
            self.outcome = ProbeOutcome::Found;
        }
        self.findings.extend(findings);
    }

    /// It looked: clear without findings, found with some.
    pub(super) fn of(note: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self {
            outcome: if findings.is_empty() {
                ProbeOutcome::Clear
            } else {
                ProbeOutcome::Found
            },
            note: one_line(&note.into()),
            findings,
        }
    }
}

/// A finding. `known` says what the placeholders in the commands of its cause and fixes mean; what the
/// subject knows need not be among it.
pub(super) fn finding(
    cause: Cause,
    summary: impl Into<String>,
    evidence: Vec<String>,
    known: &[(&str, &str)],
) -> Finding {
    let own = known.iter();
    Finding {
        cause: cause.code(),
        summary: summary.into(),
        evidence: evidence.iter().map(|it| one_line(it)).collect(),
        known: own
            .map(|(word, value)| ((*word).to_owned(), (*value).to_owned()))
            .collect(),
        ..Finding::default()
    }
}

/// Adds what the subject knows, and the commands with which a person sees it on the host.
pub(super) fn complete(finding: &mut Finding, subject: &Subject) {
    for (placeholder, value) in known(subject) {
        if placeholder.accepts(&value) {
            let word = placeholder.word().to_owned();
            finding.known.entry(word).or_insert(value);
        }
    }
    // The kernel's name for that very process, which is not always the program's.
    let comm = finding.known.get("PID").and_then(|it| it.parse().ok());
    if let Some(process) = comm.and_then(procfs::process) {
        let word = Placeholder::Process.word().to_owned();
        finding.known.insert(word, process.name);
    }
    let templates = Cause::find(finding.cause).map_or(&[][..], |it| it.about().verify);
    let commands: Vec<String> = templates
        .iter()
        .filter(|it| command::can_run(it))
        .filter_map(|it| finding.fill(it).ok())
        .collect();
    if !commands.is_empty() {
        finding
            .evidence
            .push(format!("see it: {}", commands.join("; ")));
    }
}

/// What the placeholders mean for that subject.
fn known(subject: &Subject) -> Vec<(Placeholder, String)> {
    let path = |it: &PathBuf| it.display().to_string();
    let mut known = vec![(Placeholder::Unit, unit(subject))];
    let data = subject.data_dirs.first();
    known.extend(data.map(|it| (Placeholder::Data, path(it))));
    let program = subject.programs.iter().find(|it| it.exists());
    known.extend(program.map(|it| (Placeholder::Program, path(it))));
    let process = subject
        .processes
        .first()
        .or_else(|| subject.scripts.first());
    known.extend(process.map(|it| (Placeholder::Process, it.clone())));
    let config = subject.configs.first();
    known.extend(config.map(|it| (Placeholder::Config, path(&it.path))));
    let log = subject.log_files.iter().find(|it| it.exists());
    known.extend(log.map(|it| (Placeholder::Log, path(it))));
    known.extend(subject.own_pid.map(|it| (Placeholder::Pid, it.to_string())));
    known
}

/// The unit; without systemd the agent's script in `/etc/init.d`, named as a unit: where there is neither,
/// nothing can be started by it.
fn unit(subject: &Subject) -> String {
    if command::systemd_runs() {
        return subject.unit.clone();
    }
    let script = service::script::path(subject);
    let name = script.as_deref().and_then(|it| it.file_name()?.to_str());
    name.map_or_else(String::new, |it| format!("{it}.service"))
}

/// The text without line breaks and control characters, cut to a sensible length.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.trim().chars() {
        if line.len() >= EVIDENCE_BYTES_MAX {
            line.push('…');
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line
}

/// One step of a probe that takes several, each reported by itself.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum Body {
    /// Reads files; runs on a thread of its own.
    Blocking(fn(&Context) -> Verdict),
    /// Waits for sockets or programs.
    Waiting(fn(Arc<Context>) -> Pending<Verdict>),
    /// Several steps that build on each other.
    Chain(fn(Arc<Context>) -> Pending<Vec<Step>>),
}

/// What a complaint must be about for a probe to apply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Area {
    Agent,
    Network,
    Host,
}

/// What a probe looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The subject: once for each.
    Subject,
    /// The host, whatever agents it has: once.
    Host,
}

struct Probe {
    name: &'static str,
    area: Area,
    scope: Scope,
    /// Time limit in standard mode, in ms.
    limit_ms: u64,
    body: Body,
}

const PROBES: &[Probe] = &[
    blocking(
        "installed",
        Area::Agent,
        Scope::Subject,
        2_000,
        install::probe,
    ),
    blocking(
        "package",
        Area::Agent,
        Scope::Subject,
        3_500,
        package::probe,
    ),
    waiting("service", Area::Agent, Scope::Subject, 4_000, |it| {
        Box::pin(service::probe(it))
    }),
    waiting("process", Area::Agent, Scope::Subject, 4_500, |it| {
        Box::pin(process::probe(it))
    }),
    waiting("config", Area::Agent, Scope::Subject, 4_000, |it| {
        Box::pin(config::probe(it))
    }),
    probe(
        "network",
        Area::Network,
        Scope::Subject,
        9_500,
        Body::Chain(|it| Box::pin(network::steps(it))),
    ),
    waiting("clock", Area::Network, Scope::Host, 3_000, |it| {
        Box::pin(clock::probe(it))
    }),
    blocking(
        "neighbours",
        Area::Agent,
        Scope::Subject,
        3_000,
        neighbours::probe,
    ),
    waiting("mounts", Area::Agent, Scope::Host, 3_000, |it| {
        Box::pin(mounts::probe(it))
    }),
    blocking("disk", Area::Agent, Scope::Subject, 2_000, disk::probe),
    blocking("files", Area::Agent, Scope::Subject, 2_000, files::probe),
    blocking("name", Area::Agent, Scope::Host, 2_000, own_name::probe),
    blocking(
        "temporary",
        Area::Agent,
        Scope::Host,
        2_000,
        temporary::probe,
    ),
    blocking("watches", Area::Agent, Scope::Host, 3_000, watches::probe),
    waiting("memory", Area::Host, Scope::Host, 3_000, |it| {
        Box::pin(memory::probe(it))
    }),
    blocking(
        "memory-limit",
        Area::Host,
        Scope::Subject,
        2_000,
        memory::probe_limit,
    ),
    waiting("control-group", Area::Agent, Scope::Subject, 3_500, |it| {
        Box::pin(group::probe(it))
    }),
    waiting("cpu", Area::Host, Scope::Host, 3_000, |it| {
        Box::pin(load::probe_cpu(it))
    }),
    blocking("io", Area::Host, Scope::Host, 2_000, load::probe_io),
    blocking("limits", Area::Host, Scope::Host, 2_000, limits::probe),
    waiting("logs", Area::Agent, Scope::Subject, 4_000, |it| {
        Box::pin(logs::probe(it))
    }),
    waiting("kernel", Area::Agent, Scope::Subject, 4_000, |it| {
        Box::pin(kernel::probe_agent(it))
    }),
    blocking(
        "kernel-log",
        Area::Agent,
        Scope::Host,
        3_000,
        kernel::probe_host,
    ),
];

const fn blocking(
    name: &'static str,
    area: Area,
    scope: Scope,
    limit_ms: u64,
    look: fn(&Context) -> Verdict,
) -> Probe {
    probe(name, area, scope, limit_ms, Body::Blocking(look))
}

const fn waiting(
    name: &'static str,
    area: Area,
    scope: Scope,
    limit_ms: u64,
    look: fn(Arc<Context>) -> Pending<Verdict>,
) -> Probe {
    probe(name, area, scope, limit_ms, Body::Waiting(look))
}

const fn probe(name: &'static str, area: Area, scope: Scope, limit_ms: u64, body: Body) -> Probe {
    Probe {
        name,
        area,
        scope,
        limit_ms,
        body,
    }
}

impl Probe {
    /// What concerns the agent itself always applies; the rest where the complaint can come from it.
    fn applies_to(&self, problem: &str, deep: bool) -> bool {
        let only = match problem {
            "tls_failed" | "proxy_failed" | "clock_wrong" | "duplicate_identity" => Area::Network,
            "high_cpu" | "high_memory" | "high_disk_usage" | "high_disk_io" | "high_network"
            | "host_slow" | "permission_denied" => Area::Host,
            _ => return true,
        };
        deep || self.area == Area::Agent || self.area == only
    }

    async fn run(&self, context: &Arc<Context>) -> Vec<Step> {
        let started = Instant::now();
        let limit_ms = if context.deep { DEEP_MS } else { self.limit_ms };
        let context = Arc::clone(context);
        let single = async {
            match self.body {
                Body::Blocking(look) => {
                    let looking = tokio::task::spawn_blocking(move || look(&context));
                    let failed = |error| Verdict::skipped(format!("the probe broke: {error}"));
                    Ok(looking.await.unwrap_or_else(failed))
                }
                Body::Waiting(look) => Ok(look(context).await),
                Body::Chain(look) => Err(look(context).await),
            }
        };
        let verdict = match tokio::time::timeout(Duration::from_millis(limit_ms), single).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(steps)) => return steps,
            Err(_) => Verdict::skipped(format!("did not finish within {limit_ms} ms")),
        };
        vec![Step {
            name: self.name,
            verdict,
            took: started.elapsed(),
        }]
    }
}

/// Tells which probes a check is at.
struct Steps<'a> {
    progress: &'a Progress,
    /// Probes in all.
    count: usize,
    /// Those that have not ended.
    pending: Mutex<Vec<&'static str>>,
}

impl<'a> Steps<'a> {
    fn new(progress: &'a Progress, probes: &[&Probe]) -> Self {
        let names = probes.iter().map(|it| it.name);
        let steps = Self {
            progress,
            count: probes.len(),
            pending: Mutex::new(names.collect()),
        };
        steps.ended("");
        steps
    }

    fn ended(&self, name: &str) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = pending.iter().position(|it| *it == name) {
            pending.remove(at);
        }
        let note = match pending.as_slice() {
            [] => "collecting the logs".to_owned(),
            probes => probes.join(", "),
        };
        // The bundle is a step too.
        let done = self.count - pending.len();
        self.progress.at(done, self.count + 1, &note);
    }
}

/// Runs all probes that apply, side by side: those of the host once, the others for each subject.
/// The order of the answer is that of the subjects and of the table. Where `are_named`, runs and
/// findings bear the name of their subject.
pub(super) async fn run_all(
    host: &Arc<Context>,
    subjects: &[Arc<Context>],
    are_named: bool,
    progress: &Progress,
) -> (Vec<ProbeRun>, Vec<Finding>) {
    let of =
        |scope| move |it: &&Probe| it.scope == scope && it.applies_to(&host.problem, host.deep);
    let mut running = Vec::new();
    for context in subjects {
        running.extend(
            PROBES
                .iter()
                .filter(of(Scope::Subject))
                .map(|it| (Some(context), it)),
        );
    }
    running.extend(PROBES.iter().filter(of(Scope::Host)).map(|it| (None, it)));
    let probes: Vec<&Probe> = running.iter().map(|(_, probe)| *probe).collect();
    let at = Steps::new(progress, &probes);
    let all = running.into_iter().map(async |(context, probe)| {
        let steps = probe.run(context.unwrap_or(host)).await;
        at.ended(probe.name);
        (context, steps)
    });
    let mut runs = Vec::new();
    let mut findings = Vec::new();
    for (context, steps) in futures_util::future::join_all(all).await {
        let subject = match context {
            Some(context) if are_named => context.subject.name.as_str(),
            _ => "",
        };
        for step in steps {
            runs.push(ProbeRun {
                name: step.name.to_owned(),
                outcome: step.verdict.outcome,
                note: step.verdict.note,
                duration_ms: millis(step.took),
                subject: subject.to_owned(),
            });
            findings.extend(step.verdict.findings.into_iter().map(|mut it| {
                it.subject = subject.to_owned();
                it
            }));
        }
    }
    (runs, findings)
}

#[cfg(test)]
mod tests;
