//! A command with what its runbook checks before and after, in the time of all three.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use model::{Reason, Verdict, limits};
use protocol::answer::Answer;
use protocol::work::OpsWork;
use tokio::time::Instant;

use super::{Finished, Stop, Worker};
use crate::journal::Mark;
use crate::progress::Progress;
use crate::runner::{self, Place, RunEnd};

impl Worker {
    pub(super) async fn ops(
        &self,
        work: &OpsWork,
        left: Duration,
        place: Option<Place>,
        mark: Option<&Mark>,
        progress: &Progress,
        stop: impl Future<Output = Stop>,
    ) -> Finished {
        let allowed = self.policy.command_time_max();
        let mut limits = runner::Limits {
            deadline: allowed.map_or(left, |it| it.min(left)),
            output_bytes_max: self.policy.output_bytes_max,
            place,
            ..runner::Limits::default()
        };
        let until = Instant::now() + limits.deadline;
        let mut stop = pin!(stop);
        if let Some(line) = &work.before {
            let check = check_of(work, line);
            let end = stoppable(&check, &short(&limits), mark, stop.as_mut()).await;
            if let Some(failed) = failed_check(end, Reason::CheckBefore) {
                return failed;
            }
        }
        limits.deadline = until.saturating_duration_since(Instant::now());
        let mut stopped = None;
        let end = runner::run(work, &limits, mark, progress, async {
            stopped = Some(stop.as_mut().await);
        })
        .await;
        let mut finished = finished(end, stopped);
        if finished.verdict == Verdict::Timeout && allowed.is_some_and(|it| it < left) {
            finished.reason = Reason::LimitExceeded;
            finished.answer.message = format!(
                "stopped after {} s: the host's policy allows no more (command_seconds_max)",
                allowed.unwrap_or_default().as_secs()
            );
        }
        if let Some(line) = work
            .after
            .as_ref()
            .filter(|_| finished.verdict == Verdict::Success)
        {
            limits.deadline = until.saturating_duration_since(Instant::now());
            let check = check_of(work, line);
            let end = stoppable(&check, &short(&limits), mark, stop.as_mut()).await;
            if let Some(failed) = failed_check(end, Reason::CheckAfter) {
                let ops = finished.answer.ops.take();
                finished = failed;
                finished.answer.ops = ops;
            }
        }
        finished
    }
}

/// A runbook's check, as the command's user.
fn check_of(work: &OpsWork, line: &str) -> OpsWork {
    OpsWork {
        command: line.to_owned(),
        run_as: work.run_as.clone(),
        ..OpsWork::default()
    }
}

fn short(limits: &runner::Limits) -> runner::Limits {
    let longest = Duration::from_millis(limits::RUNBOOK_CHECK_MS_MAX);
    runner::Limits {
        deadline: limits.deadline.min(longest),
        ..limits.clone()
    }
}

async fn stoppable(
    check: &OpsWork,
    limits: &runner::Limits,
    mark: Option<&Mark>,
    stop: impl Future<Output = Stop>,
) -> Finished {
    let mut stopped = None;
    let progress = Progress::default();
    let end = runner::run(check, limits, mark, &progress, async {
        stopped = Some(stop.await);
    })
    .await;
    finished(end, stopped)
}

fn finished(end: RunEnd, stopped: Option<Stop>) -> Finished {
    let mut finished = Finished {
        verdict: end.verdict,
        reason: end.reason,
        answer: Answer {
            message: end.message,
            ops: end.report,
            ..Answer::default()
        },
        bundle: None,
    };
    if end.reason == Reason::Cancelled && stopped == Some(Stop::AgentStops) {
        let bare = Finished::stopped(Stop::AgentStops);
        finished.reason = bare.reason;
        finished.answer.message = bare.answer.message;
    }
    finished
}

/// What a runbook's check comes to, unless it passed.
fn failed_check(mut check: Finished, reason: Reason) -> Option<Finished> {
    match check.reason {
        Reason::None => return None,
        Reason::Cancelled | Reason::AgentRestarted => {}
        _ => {
            let said = check.answer.ops.as_ref().map(|it| it.stderr.text.trim());
            let said = said.filter(|it| !it.is_empty()).map(|it| format!(": {it}"));
            check.answer.message = format!(
                "{} ({}{})",
                reason.sentence(),
                check.answer.message,
                said.unwrap_or_default()
            );
            (check.verdict, check.reason) = (Verdict::Fail, reason);
        }
    }
    // What a check wrote is no output of the command.
    check.answer.ops = None;
    Some(check)
}
