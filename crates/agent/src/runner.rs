//! Runs one command of an order and tells how it ended.
//!
//! Owns the command's whole life: start, output, limits, the end of every process it started. It
//! never judges whether the command is allowed: the caller has asked the local policy before. What
//! the command leaves running in its process group is ended with it; a daemon that made its own
//! session stays, as a daemon that an init script starts must.
//!
//! Called by the session for `CLIENT_DEV_OPS`.

mod capture;
mod group;
mod start;
mod tree;

use std::{future::Future, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use model::{Reason, Verdict};
use protocol::{answer::OpsReport, work::OpsWork};
use rustix::process::Signal;
use tokio::{
    process::Child,
    time::{Instant, sleep, timeout},
};

use crate::journal::Mark;
use crate::progress::Progress;
use capture::Streams;
use tracing::warn;
use tree::Tree;

pub use group::Group;

/// Time that the pipes have to close after the command ended, for output that is on its way.
const PIPES_CLOSE: Duration = Duration::from_secs(1);
/// Time that killed processes have to be gone; one in an uninterruptible call may take longer.
const KILLED_GONE: Duration = Duration::from_secs(2);

/// What one command may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall time.
    pub deadline: Duration,
    /// Time between the request to end and the kill.
    pub grace: Duration,
    /// Part of each output stream that is kept, in bytes.
    pub output_bytes_max: usize,
    /// Length of an output stream at which the command is stopped, in bytes.
    pub stream_bytes_max: u64,
    /// Address space of each of its processes, in bytes; `None`: no limit of ours. Set right after
    /// the start: a process that the command starts earlier than that has no limit.
    pub memory_bytes_max: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(model::limits::TASK_TIMEOUT_MS_DEFAULT.unsigned_abs()),
            grace: Duration::from_secs(2),
            output_bytes_max: model::limits::OUTPUT_BYTES_MAX,
            stream_bytes_max: 1 << 30,
            memory_bytes_max: None,
        }
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// The outcome.
    pub verdict: Verdict,
    /// Why it is not a success.
    pub reason: Reason,
    /// Exit and output.
    pub report: OpsReport,
    /// One line for a person.
    pub message: String,
}

/// Why we stopped a command that had not ended.
#[derive(Clone, Copy)]
enum Stop {
    Deadline,
    Cancelled,
    Output,
}

/// Runs one command in its own process group, with nothing to read on its standard input, in `/`
/// and with a minimal environment. The whole tree is killed when `cancel` resolves, at the deadline
/// and when a stream grows over its limit. What it writes is told to `progress`. Dropping the future kills it too. Where this process is
/// killed, a later one finds the command by the [`Group`] in `mark`.
pub async fn run(
    work: &OpsWork,
    limits: &Limits,
    mark: Option<&Mark>,
    progress: &Progress,
    cancel: impl Future<Output = ()>,
) -> RunEnd {
    let began = Instant::now();
    let mut running = match start::start(work, limits, progress) {
        Ok(running) => running,
        Err(error) => return not_started(&error),
    };
    if let (Some(mark), Some(group)) = (mark, running.tree.group())
        && let Err(error) = mark.write(&group)
    {
        warn!(error = %error, "a command's process group cannot be noted");
    }
    let stop = running.watch(limits, cancel).await;
    let leftovers = match stop {
        Some(_) => {
            running.stop(limits.grace).await;
            false
        }
        None => running.sweep().await,
    };
    let (verdict, reason, mut message) = judge(stop, running.status, limits);
    if leftovers {
        message.push_str("; what it left running in its process group was ended");
    }
    let status = running.status;
    let (stdout, stderr) = running.streams.finish();
    let report = OpsReport {
        exit_code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        stdout,
        stderr,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    RunEnd {
        verdict,
        reason,
        report,
        message,
    }
}

/// A command that has started.
struct Running {
    child: Child,
    tree: Tree,
    streams: Streams,
    /// How the command itself ended; `None`: not yet, or it could not be learnt.
    status: Option<ExitStatus>,
}

impl Running {
    /// Reads the output until the command ends (`None`) or has to be stopped.
    async fn watch(&mut self, limits: &Limits, cancel: impl Future<Output = ()>) -> Option<Stop> {
        tokio::pin!(cancel);
        let deadline = sleep(limits.deadline);
        tokio::pin!(deadline);
        let mut is_open = true;
        loop {
            // In this order, so that a command that has ended is never called stopped.
            tokio::select! {
                biased;
                status = self.child.wait() => {
                    self.status = status.ok();
                    return None;
                }
                () = &mut cancel => return Some(Stop::Cancelled),
                () = &mut deadline => return Some(Stop::Deadline),
                drained = self.streams.drain(limits.stream_bytes_max), if is_open => {
                    if drained.is_err() {
                        return Some(Stop::Output);
                    }
                    is_open = false;
                }
            }
        }
    }

    /// Asks the tree to end, then kills what is left of it.
    async fn stop(&mut self, grace: Duration) {
        self.tree.signal(Signal::TERM);
        self.settle(grace).await;
        self.tree.signal(Signal::KILL);
        self.settle(KILLED_GONE).await;
        self.tree.forget();
    }

    /// After the command ended: takes the rest of the output and ends what is left of its group.
    /// Returns whether anything was.
    async fn sweep(&mut self) -> bool {
        let closed = timeout(PIPES_CLOSE, self.streams.drain(u64::MAX)).await;
        let leftovers = self.tree.kill_group();
        if closed.is_err() {
            // A process that left the group may hold the pipes for ever: their rest is given up.
            let _rest = timeout(PIPES_CLOSE, self.streams.drain(u64::MAX)).await;
        }
        self.tree.forget();
        leftovers
    }

    /// Waits until the command, its tree and its pipes have ended, at most for `limit`.
    async fn settle(&mut self, limit: Duration) {
        let ended = async {
            tokio::join!(
                self.child.wait(),
                self.tree.gone(),
                self.streams.drain(u64::MAX)
            )
        };
        let _late = timeout(limit, ended).await;
        self.status = self.child.try_wait().ok().flatten();
    }
}

fn not_started(error: &start::Error) -> RunEnd {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        message.push_str(": ");
        message.push_str(&source.to_string());
        cause = source.source();
    }
    RunEnd {
        verdict: Verdict::Fail,
        reason: Reason::NotStarted,
        report: OpsReport::default(),
        message,
    }
}

fn judge(
    stop: Option<Stop>,
    status: Option<ExitStatus>,
    limits: &Limits,
) -> (Verdict, Reason, String) {
    match stop {
        Some(Stop::Deadline) => (
            Verdict::Timeout,
            Reason::Deadline,
            format!("stopped after {} ms", limits.deadline.as_millis()),
        ),
        Some(Stop::Cancelled) => (
            Verdict::Fail,
            Reason::Cancelled,
            "stopped: cancelled".to_owned(),
        ),
        Some(Stop::Output) => (
            Verdict::Fail,
            Reason::LimitExceeded,
            format!(
                "stopped: it wrote more than {} bytes",
                limits.stream_bytes_max
            ),
        ),
        None => match status.map(|status| (status.code(), status.signal())) {
            Some((Some(0), _)) => (Verdict::Success, Reason::None, "exit code 0".to_owned()),
            Some((Some(code), _)) => (
                Verdict::Fail,
                Reason::ExitCode,
                format!("the command ended with exit code {code}"),
            ),
            Some((None, Some(signal))) => (
                Verdict::Fail,
                Reason::Signal,
                format!("the command was ended by signal {signal}"),
            ),
            Some((None, None)) | None => (
                Verdict::Fail,
                Reason::AgentFault,
                "how the command ended could not be learnt".to_owned(),
            ),
        },
    }
}

#[cfg(test)]
mod tests;
