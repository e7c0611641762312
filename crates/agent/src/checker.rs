//! A check that a person runs on the host: with `-b`, the leaf of a manual command; without, a look
//! at this host that is reported nowhere.
//!
//! Needs no installed agent and leaves nothing behind, but a bundle that could not be sent. Shows
//! what it found before it reports it.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{ProblemType, TaskType, Verdict};
use protocol::answer::Answer;
use protocol::endpoint::{self, Endpoint};
use protocol::frame::{Challenge, Hello};
use protocol::manual::ManualArgument;
use protocol::order::key_digest;
use protocol::tls::{self, Fingerprint};
use protocol::work::CheckWork;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::check::{self, Local};
use crate::config;
use crate::connect::Route;
use crate::journal::{self, Journal};
use crate::policy::Policy;
use crate::progress::Progress;
use crate::session::backoff::Backoff;
use crate::session::desk::{Desk, Ended, Executor};
use crate::session::link::{self, Greeted};
use crate::session::{self, Until, facts, hello, serve};
use crate::work::{Finished, Worker};

mod temporary;

use temporary::Temporary;

/// Time that the server has to hand over the order after its welcome.
const ORDER_TIME_MAX: Duration = Duration::from_secs(30);
/// Time that the report may take after the work.
const REPORT_TIME_MAX: Duration = Duration::from_secs(600);

/// Why there was no check.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The argument names no server address.
    #[error("the -b argument holds no usable server address")]
    Endpoint(#[from] endpoint::Error),
    /// The argument names no certificate.
    #[error("the -b argument holds no usable certificate fingerprint")]
    Pin(#[from] tls::Error),
    /// The server refused, or there is no way to it.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// The server is not the one that made the command.
    #[error(
        "the server at {0} does not have the order key that the -b argument names: it is not the \
         one that made this command"
    )]
    OtherKey(Endpoint),
    /// Nothing was examined.
    #[error(transparent)]
    Check(#[from] check::Error),
    /// No temporary directory.
    #[error("no temporary directory could be made in {0}")]
    Temporary(PathBuf, #[source] io::Error),
    /// The temporary directory cannot be used.
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

/// Shows an answer to the person, as soon as there is one.
pub type Show = Arc<dyn Fn(&Answer) + Send + Sync>;

/// How a check went.
#[derive(Debug)]
pub struct Checked {
    /// Whether the work succeeded and found no causes.
    pub is_healthy: bool,
    /// What hindered the report into the leaf, if it was to be reported.
    pub unreported: Option<String>,
    /// The bundle that could not be sent.
    pub bundle: Option<PathBuf>,
}

/// Checks this host without reporting anywhere.
///
/// # Errors
/// There is no such profile, or no temporary directory could be made.
pub async fn locally(work: &CheckWork, local: &Local, show: &Show) -> Result<Checked, Error> {
    let temporary = Temporary::new()?;
    run_here(work, local, show, &temporary).await
}

async fn run_here(
    work: &CheckWork,
    local: &Local,
    show: &Show,
    temporary: &Temporary,
) -> Result<Checked, Error> {
    let outcome = check::run(work, local, None, temporary.path(), &Progress::default()).await?;
    let is_healthy = outcome.report.findings.is_empty();
    let answer = Answer {
        check: Some(outcome.report),
        ..Answer::default()
    };
    show(&answer);
    Ok(Checked {
        is_healthy,
        unreported: None,
        bundle: outcome.bundle,
    })
}

/// Runs the leaf of a manual command and reports into it. If the server cannot be reached, the
/// check is run all the same and [`Checked::unreported`] says why nobody but the person will know.
///
/// # Errors
/// The argument is unusable, the server refuses it, or no temporary directory could be made.
pub async fn by_argument(
    argument: &ManualArgument,
    local: &Local,
    show: &Show,
) -> Result<Checked, Error> {
    let mut temporary = Temporary::new()?;
    let server: Option<Endpoint> = match argument.server.as_str() {
        "" => None,
        text => Some(text.parse()?),
    };
    let pin = match argument.pin.as_str() {
        "" => None,
        text => Some(Fingerprint::parse(text)?),
    };
    let local = Local {
        server: server.clone(),
        pin,
        ..local.clone()
    };
    let hindrance = match server {
        Some(server) => match report(argument, server, pin, &local, show, &temporary).await {
            Ok(Reported::Fully(checked)) => return Ok(checked),
            Ok(Reported::Lost(mut checked, why)) => {
                checked.unreported = Some(session::chain(&why));
                checked.bundle = checked.bundle.and_then(|it| temporary.keep(&it));
                return Ok(checked);
            }
            Ok(Reported::NotBegun(why)) => why,
            Err(Error::Session(error)) if can_check_alone(&error) => session::chain(&error),
            Err(error) => return Err(error),
        },
        None => "the -b argument names no server".to_owned(),
    };
    let mut checked = run_here(&work_of(argument), &local, show, &temporary).await?;
    checked.bundle = checked.bundle.and_then(|it| temporary.keep(&it));
    checked.unreported = Some(hindrance);
    Ok(checked)
}

/// Whether the person is better served by a check without report than by the error alone.
fn can_check_alone(error: &session::Error) -> bool {
    use crate::connect::Error::WrongPin;
    use session::Error as E;
    match error {
        E::Refused { retry, .. } => *retry,
        E::Connect(WrongPin(_)) => false,
        E::Connect(_) | E::Silent | E::Lost(_) | E::Protocol(_) => true,
        _ => false,
    }
}

fn work_of(argument: &ManualArgument) -> CheckWork {
    let problem = ProblemType::find(&argument.issue).map_or("other", |it| it.name);
    CheckWork {
        problem_type: problem.to_owned(),
        mode: argument.mode,
        subject: argument.subject.clone(),
    }
}

enum Reported {
    /// The server has the result.
    Fully(Checked),
    /// The work was done and the session was lost before the server had the result.
    Lost(Checked, session::Error),
    /// No server brought work, and why.
    NotBegun(String),
}

/// What the executor saw of its one job.
#[derive(Default)]
struct Seen {
    begun: Notify,
    ended: Notify,
    outcome: Mutex<Option<Checked>>,
}

async fn report(
    argument: &ManualArgument,
    server: Endpoint,
    pin: Option<Fingerprint>,
    local: &Local,
    show: &Show,
    temporary: &Temporary,
) -> Result<Reported, Error> {
    if argument.key.is_empty() {
        let why = "the -b argument names no order key, so no order can be told from a forged one";
        return Ok(Reported::NotBegun(why.to_owned()));
    }
    let route = Route::new(server, pin).map_err(session::Error::from)?;
    let facts = facts().await;
    let greeting = |_: &Challenge| Hello {
        host_uuid: argument.uuid.clone(),
        ticket: argument.token.clone(),
        leaf_id: argument.cmd_idx.clone(),
        ..hello(facts)
    };
    let greeted = link::greet(&route, greeting).await?;
    let mut keys = greeted.welcome.order_keys.clone();
    keys.retain(|it| key_digest(&it.public_key) == argument.key);
    if keys.is_empty() {
        return Err(Error::OtherKey(route.endpoint().clone()));
    }
    let seen = Arc::new(Seen::default());
    let executor = watched(local, show, Arc::clone(&seen));
    let journal = Journal::open(&temporary.path().join("journal"), config::now())?;
    let (policy, work_dir) = (Arc::new(reading_only()), temporary.path().join("work"));
    let uuid = argument.uuid.as_str();
    let (desk, ends) = Desk::new(uuid, keys, policy, journal, work_dir, executor);
    Ok(attend(greeted, desk.without_receipts(), ends, &seen).await)
}

/// Serves the session until the result of its one leaf is known to the server.
async fn attend(
    greeted: Greeted,
    mut desk: Desk,
    mut ends: mpsc::Receiver<Ended>,
    seen: &Seen,
) -> Reported {
    let Greeted {
        mut link,
        clock,
        welcome,
    } = greeted;
    desk.connected(clock, welcome.takes_progress);
    let late = pin!(async {
        if timeout(ORDER_TIME_MAX, seen.begun.notified()).await.is_ok() {
            seen.ended.notified().await;
            sleep(REPORT_TIME_MAX).await;
        }
    });
    let mut beat = Backoff::new();
    let until = Until::Settled;
    let served = serve(&mut link, &mut desk, &mut ends, &mut beat, until, late).await;
    // Without a session the person still wants to know.
    while !desk.is_idle() {
        match ends.recv().await {
            Some(ended) => desk.ended(ended),
            None => break,
        }
    }
    let outcome = seen
        .outcome
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let why = match served {
        Ok(()) if desk.is_settled() => {
            link.close().await;
            None
        }
        Ok(()) => Some(session::Error::Silent),
        Err(error) => Some(error),
    };
    match (outcome, why) {
        (Some(checked), None) => Reported::Fully(checked),
        (Some(checked), Some(why)) => Reported::Lost(checked, why),
        (None, Some(why)) => Reported::NotBegun(session::chain(&why)),
        (None, None) => Reported::NotBegun("the server brought no order that may run".to_owned()),
    }
}

fn watched(local: &Local, show: &Show, seen: Arc<Seen>) -> Executor {
    let worker = Worker {
        local: local.clone(),
        policy: Arc::new(reading_only()),
        cgroups: None,
    };
    let show = Arc::clone(show);
    Arc::new(move |job| {
        let (worker, show, seen) = (worker.clone(), Arc::clone(&show), Arc::clone(&seen));
        Box::pin(async move { seen.watch(worker.execute(job), &show).await })
    })
}

impl Seen {
    /// Shows what came of the work before anybody else is told.
    async fn watch(&self, work: impl Future<Output = Finished>, show: &Show) -> Finished {
        self.begun.notify_one();
        let finished = work.await;
        show(&finished.answer);
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        *outcome = Some(checked(&finished));
        self.ended.notify_one();
        finished
    }
}

fn checked(finished: &Finished) -> Checked {
    let found = finished
        .answer
        .check
        .as_ref()
        .map_or(0, |it| it.findings.len());
    Checked {
        is_healthy: finished.verdict == Verdict::Success && found == 0,
        unreported: None,
        bundle: finished.bundle.clone(),
    }
}

/// A pasted command must not become a way to run others: only work that reads.
fn reading_only() -> Policy {
    let reading = TaskType::ALL.into_iter().filter(|it| it.only_reads());
    Policy {
        allowed_task_types: reading.collect(),
        commands: false,
        work_at_once_max: 1,
        ..Policy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::node::{HOST, Node, Peer, key, leaf, limited, order, order_key};
    use model::Reason;
    use protocol::frame::{DownFrame, Welcome};
    use protocol::order::sign;

    /// What the person and the server see of a leaf whose work is pretended.
    async fn attended(
        node: impl AsyncFnOnce(&Node),
        command: fn() -> Finished,
    ) -> (Reported, usize) {
        let server = Node::start().await;
        let route = Route::new(server.endpoint(), None).unwrap();
        let greeting = |_: &Challenge| Hello {
            host_uuid: HOST.into(),
            ticket: "ticket".into(),
            leaf_id: leaf(1).to_string(),
            ..Hello::default()
        };
        let shown = Arc::new(Mutex::new(0));
        let (seen, count) = (Arc::new(Seen::default()), Arc::clone(&shown));
        let show: Show = Arc::new(move |_| *count.lock().unwrap() += 1);
        let watch = Arc::clone(&seen);
        let executor: Executor = Arc::new(move |_| {
            let (seen, show) = (Arc::clone(&watch), Arc::clone(&show));
            Box::pin(async move { seen.watch(async { command() }, &show).await })
        });
        let temporary = Temporary::new().unwrap();
        let journal = Journal::open(temporary.path(), config::now()).unwrap();
        let policy = Arc::new(Policy::default());
        let work_dir = temporary.path().join("work");
        let keys = server.order_keys();
        let (desk, ends) = Desk::new(HOST, keys, policy, journal, work_dir, executor);
        let client = async {
            let greeted = link::greet(&route, greeting).await.unwrap();
            attend(greeted, desk.without_receipts(), ends, &seen).await
        };
        let (reported, ()) = tokio::join!(client, node(&server));
        let shown = *shown.lock().unwrap();
        (reported, shown)
    }

    fn healthy() -> Finished {
        Finished::bare(Verdict::Success, Reason::None, "")
    }

    #[tokio::test]
    async fn a_leaf_is_shown_and_reported_without_a_receipt() {
        let node = async |node: &Node| {
            let mut peer = node.accept().await;
            assert_eq!(peer.hello.ticket, "ticket");
            peer.order(&node.sign(&order(leaf(1), "x"))).await;
            assert_eq!(peer.result(leaf(1)).await.status, 2);
            peer.ack(leaf(1)).await;
            assert_eq!(peer.try_hear().await, None);
        };
        let (reported, shown) = limited(Box::pin(attended(node, healthy))).await;
        assert!(matches!(
            reported,
            Reported::Fully(Checked {
                is_healthy: true,
                ..
            })
        ));
        assert_eq!(shown, 1);
    }

    #[tokio::test]
    async fn a_lost_session_does_not_take_the_findings_with_it() {
        let node = async |node: &Node| {
            let mut peer = node.accept().await;
            peer.order(&node.sign(&order(leaf(1), "x"))).await;
            peer.result(leaf(1)).await;
        };
        let (reported, shown) = limited(Box::pin(attended(node, healthy))).await;
        assert!(matches!(reported, Reported::Lost(..)));
        assert_eq!(shown, 1);
    }

    /// What a checker makes of its argument, at this server, without ever running anything.
    async fn brought(server: &Node, key: String) -> Result<Reported, Error> {
        let argument = ManualArgument {
            uuid: HOST.into(),
            cmd_idx: leaf(1).to_string(),
            token: "ticket".into(),
            key,
            ..ManualArgument::default()
        };
        let nowhere = std::path::Path::new("/nowhere");
        let local = Local::new(nowhere, nowhere);
        let show: Show = Arc::new(|_| panic!("nothing may run"));
        let temporary = Temporary::new().unwrap();
        let reporting = report(
            &argument,
            server.endpoint(),
            None,
            &local,
            &show,
            &temporary,
        );
        Box::pin(reporting).await
    }

    /// Shows the keys 1 and 2 and sends an order that 2 signed.
    async fn pose(node: &Node) -> Peer {
        let mut peer = node.greet().await;
        let welcome = Welcome {
            host_uuid: HOST.into(),
            order_keys: vec![order_key(&key(1)), order_key(&key(2))],
            takes_progress: false,
        };
        let order = sign(&order(leaf(1), "x"), &key(2));
        let frames = [DownFrame::Welcome(welcome), DownFrame::Order(order)];
        peer.say_at_once(frames).await;
        peer
    }

    fn digest(seed: u8) -> String {
        key_digest(&order_key(&key(seed)).public_key)
    }

    #[tokio::test]
    async fn only_an_order_of_the_named_key_is_obeyed() {
        limited(Box::pin(async {
            let node = Node::start().await;
            let (reported, ()) = tokio::join!(brought(&node, digest(1)), async {
                let result = pose(&node).await.result(leaf(1)).await;
                assert_eq!((result.status, result.reason.as_str()), (3, "refused"));
            });
            assert!(matches!(reported, Ok(Reported::NotBegun(_))));

            // A part of a digest names nothing.
            for named in [digest(3), digest(2).get(..16).unwrap().to_owned()] {
                let (reported, ()) = tokio::join!(brought(&node, named), async {
                    assert_eq!(pose(&node).await.try_hear_any().await, None);
                });
                assert!(matches!(reported, Err(Error::OtherKey(_))));
            }
        }))
        .await;
    }

    #[tokio::test]
    async fn an_argument_without_a_key_connects_to_nobody() {
        let node = Node::start().await;
        // The node answers nobody: a connection would wait for its greeting.
        let reported = limited(brought(&node, String::new())).await;
        assert!(matches!(reported, Ok(Reported::NotBegun(why)) if why.contains("no order key")));
    }

    #[test]
    fn a_pasted_command_only_reads() {
        let policy = reading_only();
        for it in TaskType::ALL {
            assert_eq!(policy.allowed_task_types.contains(&it), it.only_reads());
        }
        assert!(!policy.commands);
    }
}
