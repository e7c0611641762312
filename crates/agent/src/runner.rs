//! Runs one command of an order and tells how it ended.
//!
//! Owns the command's whole life: start, output, limits, the end of every process it started. It
//! never judges whether the command is allowed: the caller has asked the local policy before. What
//! the command leaves running in its process group is ended with it; a daemon that made its own
//! session stays, as a daemon that an init script starts must.
//!
//! Called by the session for `CLIENT_DEV_OPS`.

mod capture;
mod cgroup;
mod child;
mod confine;
mod group;
mod handed;
mod start;
mod tree;

use std::{
    future::Future, os::unix::process::ExitStatusExt, process::ExitStatus, sync::Arc,
    time::Duration,
};

use model::{Reason, Verdict};
use protocol::{
    answer::{Limited, OpsReport},
    work::OpsWork,
};
use rustix::process::Signal;
use tokio::{
    process::Child,
    time::{Instant, sleep, timeout},
};

use crate::journal::Mark;
use crate::progress::Progress;
use capture::Streams;
use cgroup::Cgroup;
use tracing::warn;
use tree::Tree;

pub use cgroup::Cgroups;
pub use group::Group;

/// Time that the pipes have to close after the command ended, for output that is on its way.
const PIPES_CLOSE: Duration = Duration::from_secs(1);
/// Time that killed processes have to be gone; one in an uninterruptible call may take longer.
const KILLED_GONE: Duration = Duration::from_secs(2);

/// What one command may use besides what its order says.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Wall time.
    pub deadline: Duration,
    /// Time between the request to end and the kill.
    pub grace: Duration,
    /// Part of each output stream that is kept, in bytes.
    pub output_bytes_max: usize,
    /// Where its control group is made; `None`: it has none.
    pub place: Option<Place>,
}

/// Where a command's control group is made, and what it is called.
#[derive(Clone, Debug)]
pub struct Place {
    /// The place of all groups.
    pub cgroups: Arc<Cgroups>,
    /// A name that no other command has.
    pub name: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(model::limits::TASK_TIMEOUT_MS_DEFAULT.unsigned_abs()),
            grace: Duration::from_secs(2),
            output_bytes_max: model::limits::OUTPUT_BYTES_MAX,
            place: None,
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
    /// Exit and output; `None`: nothing was started.
    pub report: Option<OpsReport>,
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

/// Runs one command in a session and a control group of its own, with a minimal environment, and with
/// nothing to read on its standard input but what its order brings. The whole tree is killed when `cancel` resolves, at the deadline
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
    let stream_bytes_max = work.limits.output_bytes;
    let stream_bytes_max = stream_bytes_max.unwrap_or(model::limits::STREAM_BYTES_MAX);
    let stop = running
        .watch(limits.deadline, stream_bytes_max, cancel)
        .await;
    let leftovers = match stop {
        Some(_) => {
            running.stop(limits.grace).await;
            false
        }
        None => running.sweep().await,
    };
    let reached = running.reached(stop);
    let end = End {
        stop,
        status: running.status,
        reached: &reached,
        deadline: limits.deadline,
        stream_bytes_max,
    };
    let (verdict, reason, mut message) = end.judge();
    if leftovers {
        message.push_str("; what it left running in its process group was ended");
    }
    if let (Some(place), Some(group)) = (&limits.place, running.tree.cgroup()) {
        let remain = group.pids().len();
        if remain > 0 {
            message.push_str(&format!(
                "; {remain} of its processes run on in sessions of their own"
            ));
        }
        place.cgroups.give_up(group);
    }
    let status = running.status;
    let (stdout, stderr) = running.streams.finish();
    let report = OpsReport {
        exit_code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        stdout,
        stderr,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        limits: reached,
    };
    RunEnd {
        verdict,
        reason,
        report: Some(report),
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
    /// The limits that it runs under.
    limits: Vec<Limited>,
}

impl Running {
    /// Reads the output until the command ends (`None`) or has to be stopped.
    async fn watch(
        &mut self,
        deadline: Duration,
        stream_bytes_max: u64,
        cancel: impl Future<Output = ()>,
    ) -> Option<Stop> {
        tokio::pin!(cancel);
        let deadline = sleep(deadline);
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
                drained = self.streams.drain(stream_bytes_max), if is_open => {
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

    /// The limits, with what is known of whether the command came up against them.
    fn reached(&self, stop: Option<Stop>) -> Vec<Limited> {
        let mut limits = self.limits.clone();
        let group = self.tree.cgroup();
        for limit in &mut limits {
            limit.reached = match (limit.name.as_str(), limit.by.as_str()) {
                ("memoryBytes", "cgroup") => group.is_some_and(Cgroup::ran_out_of_memory),
                ("pids", "cgroup") => group.is_some_and(Cgroup::was_denied_pids),
                ("outputBytes", _) => matches!(stop, Some(Stop::Output)),
                _ => false,
            };
        }
        limits
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
        reason: error.reason(),
        report: None,
        message,
    }
}

/// What is known of how a command ended.
struct End<'a> {
    stop: Option<Stop>,
    status: Option<ExitStatus>,
    reached: &'a [Limited],
    deadline: Duration,
    stream_bytes_max: u64,
}

impl End<'_> {
    fn judge(&self) -> (Verdict, Reason, String) {
        let fail = |reason, message: String| (Verdict::Fail, reason, message);
        match self.stop {
            Some(Stop::Deadline) => {
                let message = format!("stopped after {} ms", self.deadline.as_millis());
                (Verdict::Timeout, Reason::Deadline, message)
            }
            Some(Stop::Cancelled) => fail(Reason::Cancelled, "stopped: cancelled".to_owned()),
            Some(Stop::Output) => fail(
                Reason::LimitExceeded,
                format!(
                    "stopped: it wrote more than {} bytes",
                    self.stream_bytes_max
                ),
            ),
            None => self.by_itself(),
        }
    }

    fn by_itself(&self) -> (Verdict, Reason, String) {
        let Some(status) = self.status else {
            let message = "how the command ended could not be learnt".to_owned();
            return (Verdict::Fail, Reason::AgentFault, message);
        };
        let (reason, how) = match (status.code(), status.signal()) {
            (Some(0), _) => (Reason::None, "exit code 0".to_owned()),
            (Some(code), _) => (
                Reason::ExitCode,
                format!("the command ended with exit code {code}"),
            ),
            (None, signal) => (
                Reason::Signal,
                format!(
                    "the command was ended by signal {}",
                    signal.unwrap_or_default()
                ),
            ),
        };
        let max = |name| {
            let limit = self.reached.iter().find(|it| it.reached && it.name == name);
            limit.map(|it| it.max)
        };
        if reason == Reason::None {
            let denied = max("pids")
                .map(|it| format!("{how}, though it was denied more than {it} processes"));
            return (Verdict::Success, reason, denied.unwrap_or(how));
        }
        match (max("memoryBytes"), max("pids")) {
            (Some(bytes), _) => (
                Verdict::Fail,
                Reason::OutOfMemory,
                format!("the kernel ended it: it wanted more than {bytes} bytes of memory ({how})"),
            ),
            (None, Some(pids)) => (
                Verdict::Fail,
                Reason::PidsLimit,
                format!("it was denied more than {pids} processes ({how})"),
            ),
            (None, None) => (Verdict::Fail, reason, how),
        }
    }
}

#[cfg(test)]
mod tests;
