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
    Context, Subject, clock, disk, files, install, kernel, limits, load, logs, memory, millis,
    network, process, service,
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
        explained_by: None,
        known: own
            .map(|(word, value)| ((*word).to_owned(), (*value).to_owned()))
            .collect(),
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
    let templates = Cause::find(finding.cause).map_or(&[][..], |it| it.about().verify);
    let commands: Vec<String> = templates
        .iter()
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
    let mut known = vec![
        (Placeholder::Unit, subject.unit.clone()),
        (Placeholder::Data, path(&subject.data_dir)),
    ];
    let program = subject.programs.iter().find(|it| it.exists());
    known.extend(program.map(|it| (Placeholder::Program, path(it))));
    let process = subject.processes.first().cloned();
    known.extend(process.map(|it| (Placeholder::Process, it)));
    let config = subject.config_files.first();
    known.extend(config.map(|it| (Placeholder::Config, path(it))));
    let log = subject.log_files.iter().find(|it| it.exists());
    known.extend(log.map(|it| (Placeholder::Log, path(it))));
    known.extend(subject.own_pid.map(|it| (Placeholder::Pid, it.to_string())));
    known
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

struct Probe {
    name: &'static str,
    area: Area,
    /// Time limit in standard mode, in ms.
    limit_ms: u64,
    body: Body,
}

const PROBES: &[Probe] = &[
    probe(
        "installed",
        Area::Agent,
        2_000,
        Body::Blocking(install::probe),
    ),
    probe(
        "service",
        Area::Agent,
        4_000,
        Body::Waiting(|it| Box::pin(service::probe(it))),
    ),
    probe(
        "process",
        Area::Agent,
        4_500,
        Body::Waiting(|it| Box::pin(process::probe(it))),
    ),
    probe(
        "network",
        Area::Network,
        6_500,
        Body::Chain(|it| Box::pin(network::steps(it))),
    ),
    probe(
        "clock",
        Area::Network,
        3_000,
        Body::Waiting(|it| Box::pin(clock::probe(it))),
    ),
    probe("disk", Area::Agent, 2_000, Body::Blocking(disk::probe)),
    probe("files", Area::Agent, 2_000, Body::Blocking(files::probe)),
    probe("memory", Area::Host, 2_000, Body::Blocking(memory::probe)),
    probe(
        "memory-limit",
        Area::Host,
        2_000,
        Body::Blocking(memory::probe_limit),
    ),
    probe(
        "cpu",
        Area::Host,
        3_000,
        Body::Waiting(|it| Box::pin(load::probe_cpu(it))),
    ),
    probe("io", Area::Host, 2_000, Body::Blocking(load::probe_io)),
    probe("limits", Area::Host, 2_000, Body::Blocking(limits::probe)),
    probe(
        "logs",
        Area::Agent,
        4_000,
        Body::Waiting(|it| Box::pin(logs::probe(it))),
    ),
    probe(
        "kernel-log",
        Area::Agent,
        3_000,
        Body::Blocking(kernel::probe),
    ),
];

const fn probe(name: &'static str, area: Area, limit_ms: u64, body: Body) -> Probe {
    Probe {
        name,
        area,
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
        pending.retain(|it| *it != name);
        let note = match pending.as_slice() {
            [] => "collecting the logs".to_owned(),
            probes => probes.join(", "),
        };
        // The bundle is a step too.
        let done = self.count - pending.len();
        self.progress.at(done, self.count + 1, &note);
    }
}

/// Runs all probes that apply, side by side. The order of the answer is that of the table.
pub(super) async fn run_all(
    context: &Arc<Context>,
    progress: &Progress,
) -> (Vec<ProbeRun>, Vec<Finding>) {
    let applicable = PROBES
        .iter()
        .filter(|it| it.applies_to(&context.problem, context.deep));
    let applicable: Vec<&Probe> = applicable.collect();
    let steps = Steps::new(progress, &applicable);
    let running = applicable.iter().map(async |probe| {
        let found = probe.run(context).await;
        steps.ended(probe.name);
        found
    });
    let ended = futures_util::future::join_all(running).await;
    let mut runs = Vec::new();
    let mut findings = Vec::new();
    for step in ended.into_iter().flatten() {
        runs.push(ProbeRun {
            name: step.name.to_owned(),
            outcome: step.verdict.outcome,
            note: step.verdict.note,
            duration_ms: millis(step.took),
        });
        findings.extend(step.verdict.findings);
    }
    (runs, findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(deep: bool) -> Arc<Context> {
        Arc::new(Context {
            subject: super::super::Subject::sickbay("/nonexistent".as_ref(), None, None),
            problem: "other".to_owned(),
            deep,
            clock_offset_ms: None,
            now_ms: 0,
        })
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_skipped_and_says_so() {
        let hung = probe(
            "hung",
            Area::Agent,
            1,
            Body::Waiting(|_| Box::pin(std::future::pending())),
        );
        let steps = hung.run(&context(false)).await;
        assert_eq!(steps[0].verdict.outcome, ProbeOutcome::Skipped);
        assert_eq!(steps[0].verdict.note, "did not finish within 1 ms");
    }

    #[tokio::test]
    async fn a_probe_that_breaks_is_skipped() {
        let broken = probe(
            "broken",
            Area::Agent,
            5_000,
            Body::Blocking(|_| panic!("odd")),
        );
        let steps = broken.run(&context(false)).await;
        assert_eq!(steps[0].verdict.outcome, ProbeOutcome::Skipped);
    }

    #[test]
    fn an_offline_agent_gets_every_probe_and_a_slow_host_no_network_probe() {
        for it in PROBES {
            assert!(it.applies_to("offline", false) && it.applies_to("other", false));
            assert!(it.applies_to("host_slow", true), "deep runs everything");
        }
        let slow = PROBES.iter().filter(|it| it.applies_to("host_slow", false));
        assert!(slow.clone().any(|it| it.name == "cpu"));
        assert!(slow.clone().all(|it| it.area != Area::Network));
    }

    #[test]
    fn a_check_says_which_probes_it_is_at() {
        let progress = Progress::default();
        let leaf = model::RootId::new(model::UnixMillis(0), [0; 6]).leaf(1);
        let said = || {
            let frame = progress.frame(leaf);
            (frame.percent, frame.note)
        };
        let hung = |name| probe(name, Area::Agent, 1, Body::Blocking(|_| panic!("odd")));
        let (disk, memory, cpu) = (hung("disk"), hung("memory"), hung("cpu"));
        let steps = Steps::new(&progress, &[&disk, &memory, &cpu]);
        assert_eq!(said(), (Some(0), "disk, memory, cpu".to_owned()));
        steps.ended("memory");
        assert_eq!(said(), (Some(25), "disk, cpu".to_owned()));
        steps.ended("disk");
        steps.ended("cpu");
        assert_eq!(said(), (Some(75), "collecting the logs".to_owned()));
    }

    #[test]
    fn evidence_ends_with_a_command_that_can_be_typed() {
        let mut it = finding(
            Cause::DiskFull,
            "full",
            vec!["a\nb".into()],
            &[("PATH", "/var")],
        );
        let subject = Subject::sickbay("/nonexistent".as_ref(), None, None);
        complete(&mut it, &subject);
        assert_eq!(it.evidence, ["a b", "see it: df -h /var"]);
        assert_eq!(it.known["UNIT"], "sickbay-agent.service");
        let mut it = finding(Cause::AgentNotRunning, "gone", Vec::new(), &[]);
        complete(&mut it, &subject);
        let command = "see it: systemctl status sickbay-agent.service; pgrep -a sickbay-agent";
        assert_eq!(it.evidence, [command]);
    }
}
