//! Carries out the work of one order: a check, a command or a collection, within its time.
//!
//! The session decides whether work may run and keeps what came of it; this module only runs it and
//! makes the answer fit. Never reads the journal, never speaks to a server.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{LeafId, Reason, Status, UnixMillis, Verdict, limits};
use protocol::answer::Answer;
use protocol::frame::LeafResult;
use protocol::work::{AssetsWork, CheckWork, Work};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::check::{self, Local};
use crate::inventory;
use crate::journal::Mark;
use crate::policy::Policy;
use crate::progress::Progress;
use crate::runner::{Cgroups, Place};

mod ops;

/// Why work is stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The task was cancelled.
    Cancelled,
    /// The agent stops.
    AgentStops,
}

/// One order that may run now.
#[derive(Debug)]
pub struct Job {
    /// The leaf.
    pub leaf: LeafId,
    /// What to do.
    pub work: Work,
    /// Time until the order's deadline.
    pub time_left: Duration,
    /// The server's clock minus the host's, in ms, where it is known.
    pub clock_offset_ms: Option<i64>,
    /// A directory of its own, for the bundle; it exists if the work is a check.
    pub work_dir: PathBuf,
    /// Where the process group of a command is noted.
    pub mark: Option<Mark>,
    /// Is told what the work does.
    pub progress: Progress,
    /// Resolves when the work is to stop; so does its loss.
    pub stop: oneshot::Receiver<Stop>,
}

/// What came of a job.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub verdict: Verdict,
    /// Why it is no success.
    pub reason: Reason,
    /// What to report.
    pub answer: Answer,
    /// The log bundle, in the job's directory.
    pub bundle: Option<PathBuf>,
}

impl Finished {
    /// An end without a report.
    #[must_use]
    pub fn bare(verdict: Verdict, reason: Reason, message: &str) -> Self {
        let answer = Answer {
            message: message.to_owned(),
            ..Answer::default()
        };
        Self {
            verdict,
            reason,
            answer,
            bundle: None,
        }
    }

    fn stopped(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Self::bare(Verdict::Fail, Reason::Cancelled, "stopped: cancelled"),
            Stop::AgentStops => {
                let message = "stopped: the agent stopped while this ran";
                Self::bare(Verdict::Fail, Reason::AgentRestarted, message)
            }
        }
    }
}

/// What all jobs of one agent share.
#[derive(Clone, Debug)]
pub struct Worker {
    /// What checks are told of this host.
    pub local: Local,
    /// The host's policy.
    pub policy: Arc<Policy>,
    /// Where commands get their control groups.
    pub cgroups: Option<Arc<Cgroups>>,
}

impl Worker {
    /// Runs the job to its end, its deadline or its stop, whichever is first.
    pub async fn execute(self, job: Job) -> Finished {
        let stop = async {
            let dropped = Stop::AgentStops;
            job.stop.await.unwrap_or(dropped)
        };
        match job.work {
            Work::Ops(work) => {
                let place = self.cgroups.clone().map(|cgroups| Place {
                    cgroups,
                    name: job.leaf.to_string(),
                });
                let (mark, progress) = (job.mark.as_ref(), &job.progress);
                self.ops(&work, job.time_left, place, mark, progress, stop)
                    .await
            }
            Work::Check(work) => {
                let offset = job.clock_offset_ms;
                let check = self.check(&work, offset, &job.work_dir, &job.progress);
                within(job.time_left, stop, check).await
            }
            Work::Assets(work) => within(job.time_left, stop, collect(work, job.progress)).await,
        }
    }

    async fn check(
        &self,
        work: &CheckWork,
        offset: Option<i64>,
        work_dir: &Path,
        progress: &Progress,
    ) -> Finished {
        let outcome = match check::run(work, &self.local, offset, work_dir, progress).await {
            Ok(outcome) => outcome,
            Err(error) => {
                return Finished::bare(Verdict::Fail, Reason::NotStarted, &error.to_string());
            }
        };
        let message = match outcome.report.findings.len() {
            0 => "no causes found".to_owned(),
            1 => "1 cause found".to_owned(),
            number => format!("{number} causes found"),
        };
        Finished {
            verdict: Verdict::Success,
            reason: Reason::None,
            answer: Answer {
                message,
                check: Some(outcome.report),
                ..Answer::default()
            },
            bundle: outcome.bundle,
        }
    }
}

async fn collect(work: AssetsWork, progress: Progress) -> Finished {
    // Runs on to its end even when nobody waits any more: it only reads.
    match tokio::task::spawn_blocking(move || inventory::collect(&work.items, &progress)).await {
        Ok(report) => Finished {
            verdict: Verdict::Success,
            reason: Reason::None,
            answer: Answer {
                assets: Some(report),
                ..Answer::default()
            },
            bundle: None,
        },
        Err(_) => {
            let message = "the collection failed inside the agent";
            Finished::bare(Verdict::Fail, Reason::AgentFault, message)
        }
    }
}

async fn within(
    left: Duration,
    stop: impl Future<Output = Stop>,
    work: impl Future<Output = Finished>,
) -> Finished {
    tokio::select! {
        stop = stop => Finished::stopped(stop),
        done = timeout(left, work) => done.unwrap_or_else(|_| {
            let message = format!("stopped after {} ms", left.as_millis());
            Finished::bare(Verdict::Timeout, Reason::Deadline, &message)
        }),
    }
}

/// The result to send: its answer is cut, or replaced by a note, where it is too large.
#[must_use]
pub fn seal(leaf: LeafId, finished: Finished, now: UnixMillis) -> LeafResult {
    let Finished {
        verdict,
        mut reason,
        mut answer,
        ..
    } = finished;
    let mut status = match verdict {
        Verdict::Success => Status::Success,
        Verdict::Fail => Status::Fail,
        Verdict::Timeout => Status::Timeout,
    };
    if let Some(assets) = &mut answer.assets {
        inventory::fit(assets);
    }
    let mut json = serde_json::to_vec(&answer).unwrap_or_default();
    if json.len() > limits::ANSWER_BYTES_MAX {
        let message = format!(
            "the answer of {} bytes is larger than the {} that are allowed, and was left out",
            json.len(),
            limits::ANSWER_BYTES_MAX
        );
        status = Status::Fail;
        reason = Reason::LimitExceeded;
        let note = Finished::bare(verdict, reason, &message);
        json = serde_json::to_vec(&note.answer).unwrap_or_default();
    }
    LeafResult {
        leaf_id: leaf.to_string(),
        status: u32::from(status.wire_number()),
        reason: reason.wire().to_owned(),
        answer: json,
        ended_ms: now.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::RootId;
    use protocol::answer::{AssetReport, Package};
    use protocol::work::OpsWork;

    async fn command_stopped_by(stop: Option<Stop>, time_left: Duration) -> Finished {
        let policy = Arc::new(Policy::default());
        let nowhere = Path::new("/nonexistent");
        let local = Local::new(nowhere, nowhere);
        let (sender, stopped) = oneshot::channel();
        let job = Job {
            leaf: RootId::new(UnixMillis(0), [0; 6]).leaf(1),
            work: Work::Ops(OpsWork {
                command: "sleep 1000".into(),
                ..OpsWork::default()
            }),
            time_left,
            clock_offset_ms: None,
            work_dir: PathBuf::new(),
            mark: None,
            progress: Progress::default(),
            stop: stopped,
        };
        let worker = Worker {
            local,
            policy,
            cgroups: None,
        };
        if let Some(stop) = stop {
            sender.send(stop).unwrap();
            return worker.execute(job).await;
        }
        let finished = worker.execute(job).await;
        drop(sender);
        finished
    }

    #[tokio::test]
    async fn a_command_that_is_stopped_says_by_whom() {
        let hour = Duration::from_secs(3_600);
        for (stop, left, verdict, reason) in [
            (
                Some(Stop::Cancelled),
                hour,
                Verdict::Fail,
                Reason::Cancelled,
            ),
            (
                Some(Stop::AgentStops),
                hour,
                Verdict::Fail,
                Reason::AgentRestarted,
            ),
            (None, Duration::ZERO, Verdict::Timeout, Reason::Deadline),
        ] {
            let finished = command_stopped_by(stop, left).await;
            assert_eq!((finished.verdict, finished.reason), (verdict, reason));
            assert!(finished.answer.ops.is_some());
        }
    }

    #[tokio::test]
    async fn a_runbook_s_checks_are_outcomes_of_their_own() {
        let temp = tempfile::tempdir().unwrap();
        let mark = temp.path().join("mark");
        let nowhere = Path::new("/nonexistent");
        let worker = Worker {
            local: Local::new(nowhere, nowhere),
            policy: Arc::new(Policy::default()),
            cgroups: None,
        };
        for (before, after, reason, runs) in [
            ("true", "true", Reason::None, true),
            (
                "echo no disk >&2; false",
                "true",
                Reason::CheckBefore,
                false,
            ),
            ("true", "exit 3", Reason::CheckAfter, true),
        ] {
            let work = OpsWork {
                command: format!("echo ran; echo x >{}", mark.display()),
                before: Some(before.to_owned()),
                after: Some(after.to_owned()),
                ..OpsWork::default()
            };
            let (hour, progress) = (Duration::from_secs(3_600), Progress::default());
            let stop = std::future::pending();
            let done = worker.ops(&work, hour, None, None, &progress, stop).await;
            assert_eq!(done.reason, reason, "{done:?}");
            assert_eq!(std::fs::remove_file(&mark).is_ok(), runs);
            let output = done.answer.ops.map(|it| it.stdout.text);
            assert_eq!(output.as_deref(), runs.then_some("ran\n"));
            let said = done.answer.message.ends_with(": no disk)");
            assert_eq!(
                said,
                reason == Reason::CheckBefore,
                "{}",
                done.answer.message
            );
        }
    }

    fn package(name: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: "1".into(),
            architecture: "amd64".into(),
            manager: "dpkg".into(),
            installed_ms: None,
            path: String::new(),
        }
    }

    fn sealed(answer: Answer) -> LeafResult {
        let leaf = RootId::new(UnixMillis(0), [0; 6]).leaf(1);
        let finished = Finished {
            verdict: Verdict::Success,
            reason: Reason::None,
            answer,
            bundle: None,
        };
        seal(leaf, finished, UnixMillis(5))
    }

    #[test]
    fn assets_that_are_too_large_are_cut_and_say_so() {
        let packages = (0..60_000).map(|it| package(&format!("package-{it}")));
        let assets = AssetReport {
            packages: Some(packages.collect()),
            accounts: Some(Vec::new()),
            ..AssetReport::default()
        };
        let result = sealed(Answer {
            assets: Some(assets),
            ..Answer::default()
        });
        assert!(result.answer.len() <= limits::ANSWER_BYTES_MAX);
        assert_eq!((result.status, result.reason.as_str()), (2, ""));
        let answer: Answer = serde_json::from_slice(&result.answer).unwrap();
        let assets = answer.assets.unwrap();
        let kept = assets.packages.unwrap();
        assert_eq!(kept.first(), Some(&package("package-0")));
        let note = format!("packages: {} of 60000 kept", kept.len());
        assert!(assets.unread[0].starts_with(&note), "{:?}", assets.unread);
        assert_eq!(assets.partial, [model::AssetItem::Packages]);
    }

    #[test]
    fn any_other_answer_that_is_too_large_is_replaced_by_a_note() {
        let at_limit = |length| {
            sealed(Answer {
                message: "x".repeat(length),
                ..Answer::default()
            })
        };
        let frame = r#"{"message":""}"#.len();
        let fits = at_limit(limits::ANSWER_BYTES_MAX - frame);
        assert_eq!(fits.answer.len(), limits::ANSWER_BYTES_MAX);
        assert_eq!(fits.status, 2);
        let too_large = at_limit(limits::ANSWER_BYTES_MAX - frame + 1);
        assert_eq!(too_large.status, 3);
        assert_eq!(too_large.reason, "limit_exceeded");
        let answer: Answer = serde_json::from_slice(&too_large.answer).unwrap();
        assert!(answer.message.contains("larger than"));
    }
}
