//! The way to the server, step by step: name, connection, TLS, HTTP.
//!
//! Each step builds on the one before; the first that fails is found, the rest are skipped.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;
use protocol::endpoint::Endpoint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::probe::{Step, Verdict, finding};
use super::profile::{Protocol, Trust};
use super::resolver::{self, Reply};
use super::subject::Target;
use super::{Context, http, tls};
use crate::connect::proxy_to;
use crate::resolve::{self, Found, Source};

/// Addresses of a name that are tried, side by side.
const ADDRESSES_MAX: usize = 6;

/// Time limits of the steps, in ms.
struct Limits {
    name: u64,
    connect: u64,
    handshake: u64,
    answer: u64,
}

const STANDARD: Limits = Limits {
    name: 1_500,
    connect: 2_000,
    handshake: 1_500,
    answer: 1_500,
};
const DEEP: Limits = Limits {
    name: 6_000,
    connect: 8_000,
    handshake: 6_000,
    answer: 6_000,
};

/// A connection, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Steps that were taken; the rest follows as skipped.
struct Journey {
    steps: Vec<Step>,
    since: Instant,
}

const STEPS: [&str; 4] = ["dns", "tcp", "tls", "http"];

impl Journey {
    fn new() -> Self {
        Self {
            steps: Vec::new(),
            since: Instant::now(),
        }
    }

    fn took(&mut self, verdict: Verdict) {
        let name = STEPS.get(self.steps.len()).copied().unwrap_or("network");
        let took = self.since.elapsed();
        self.since = Instant::now();
        self.steps.push(Step {
            name,
            verdict,
            took,
        });
    }

    fn ends(mut self, why: &str) -> Vec<Step> {
        while self.steps.len() < STEPS.len() {
            self.took(Verdict::skipped(why));
        }
        self.steps
    }
}

/// All four steps to each server, side by side.
pub(super) async fn steps(context: Arc<Context>) -> Vec<Step> {
    let targets = &context.subject.targets;
    if targets.is_empty() {
        return Journey::new().ends("it is not known which server the agent talks to");
    }
    let journeys = targets.iter().map(|it| steps_to(&context, it));
    let ended = futures_util::future::join_all(journeys).await;
    let several = targets.len() > 1;
    let mut all = Vec::new();
    for (target, steps) in targets.iter().zip(ended) {
        all.extend(steps.into_iter().map(|mut it| {
            if several {
                it.verdict.note = format!("{}: {}", target.server.authority(), it.verdict.note);
            }
            it
        }));
    }
    all
}

async fn steps_to(context: &Context, target: &Target) -> Vec<Step> {
    let mut journey = Journey::new();
    let server = &target.server;
    let limits = if context.deep { &DEEP } else { &STANDARD };
    let addresses = match resolve(server, limits).await {
        Ok((addresses, verdict)) => {
            journey.took(verdict);
            addresses
        }
        Err(verdict) => {
            journey.took(unless_by_proxy(server, verdict));
            return journey.ends("the server's name was not resolved");
        }
    };
    if target.protocol == Protocol::Udp {
        return journey
            .ends("the server is spoken to over UDP, which answers only its own clients");
    }
    let stream = match connect(server, &addresses, limits).await {
        Ok((stream, verdict)) => {
            journey.took(verdict);
            stream
        }
        Err(verdict) => {
            journey.took(unless_by_proxy(server, verdict));
            return journey.ends("there was no connection to the server");
        }
    };
    let peer = stream.peer_addr();
    let stream: Box<dyn Stream> = if server.tls {
        let limit = Duration::from_millis(limits.handshake);
        match tls::handshake(server, target.pin, stream, peer.ok(), limit, context.now_ms).await {
            Ok((stream, verdict)) => {
                journey.took(verdict);
                stream
            }
            Err(verdict) => {
                journey.took(excused(target, verdict));
                return journey.ends("the TLS handshake did not succeed");
            }
        }
    } else {
        journey.took(Verdict::skipped("the server is spoken to without TLS"));
        Box::new(stream)
    };
    let Some(path) = &target.http else {
        return journey.ends("no HTTP path of the server is known");
    };
    journey.took(http::ask(target, path, stream, limits.answer).await);
    journey.ends("")
}

/// An agent may trust a certificate by its own configuration that this host does not trust.
fn excused(target: &Target, verdict: Verdict) -> Verdict {
    let untrusted = [Cause::CertificateUntrusted, Cause::AuthorityUnknown];
    let is_untrusted = |it: &Finding| untrusted.iter().any(|cause| cause.code() == it.cause);
    if target.trust == Trust::Own && verdict.findings.iter().all(is_untrusted) {
        let note = format!("{}; whom the agent trusts is its own affair", verdict.note);
        return Verdict::skipped(note);
    }
    verdict
}

/// Placeholders in the commands of network causes.
pub(super) fn found(cause: Cause, server: &Endpoint, evidence: Vec<String>) -> Finding {
    found_at(cause, server, &server.host, evidence)
}

/// Like [`found`], with the address that was tried.
fn found_at(cause: Cause, server: &Endpoint, address: &str, evidence: Vec<String>) -> Finding {
    let (port, url) = (server.port.to_string(), server.to_string());
    let known = [
        ("ENDPOINT", server.authority()),
        ("SERVER", server.host.clone()),
        ("PORT", port),
        ("ADDRESS", address.to_owned()),
        ("URL", url),
    ];
    let known: Vec<(&str, &str)> = known
        .iter()
        .map(|(name, it)| (*name, it.as_str()))
        .collect();
    let sentence = cause.sentence().trim_end_matches('.');
    finding(
        cause,
        format!("{sentence} ({}).", server.authority()),
        evidence,
        &known,
    )
}

/// A finding of the TLS step.
pub(super) fn found_in_tls(cause: Cause, server: &Endpoint, evidence: Vec<String>) -> Finding {
    found(cause, server, evidence)
}

async fn resolve(
    server: &Endpoint,
    limits: &Limits,
) -> Result<(Vec<SocketAddr>, Verdict), Verdict> {
    let host = server.host.as_str();
    let looking = resolve::addresses(host);
    let limit = Duration::from_millis(limits.name);
    let why = match timeout(limit, looking).await {
        Ok(Ok(Found { addresses, source })) => {
            let verdict = match source {
                Source::Itself => {
                    let note = format!("{host} is an address: there is no name to resolve");
                    Verdict::skipped(note)
                }
                Source::Getent => clear_name(host, &addresses, source),
                Source::Hosts | Source::Dns => {
                    match timeout(limit, resolve::ask_getent(host)).await {
                        Ok(Some(known)) if known.is_empty() => unknown_to_host(server, source),
                        _ => clear_name(host, &addresses, source),
                    }
                }
            };
            let addresses = addresses.into_iter().take(ADDRESSES_MAX);
            let addresses = addresses.map(|it| (it, server.port).into()).collect();
            return Ok((addresses, verdict));
        }
        Ok(Err(error)) => format!("resolving {host}: {error}"),
        Err(_) => format!("resolving {host}: no answer within {} ms", limits.name),
    };
    Err(judge_name(server, why, &resolver::ask_all(host).await))
}

fn clear_name(host: &str, addresses: &[IpAddr], source: Source) -> Verdict {
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Verdict::clear(format!("{host} is {} {source}", shown.join(", ")))
}

/// The agent finds the name all the same, but programs that use the C library do not.
fn unknown_to_host(server: &Endpoint, source: Source) -> Verdict {
    let host = &server.host;
    let note = format!("{host} is known {source}, but getent finds no address");
    let evidence = vec![note.clone(), "see /etc/nsswitch.conf".to_owned()];
    Verdict::of(note, vec![found(Cause::NameNotResolved, server, evidence)])
}

/// The name's fault or the name servers'? Without a clear sign neither.
fn judge_name(server: &Endpoint, why: String, replies: &[(IpAddr, Reply)]) -> Verdict {
    let mut evidence = vec![why.clone()];
    evidence.extend(
        replies
            .iter()
            .map(|(it, reply)| format!("name server {it} {reply}")),
    );
    let silent = replies.iter().all(|(_, reply)| *reply == Reply::Silence);
    let answered = replies
        .iter()
        .any(|(_, reply)| matches!(reply, Reply::Answer { code: 0, .. }) && !reply.denies());
    if answered {
        return Verdict::skipped(format!("{why}, but {}", evidence.split_off(1).join(", ")));
    }
    let cause = if silent {
        Cause::ResolverUnanswered
    } else {
        Cause::NameNotResolved
    };
    Verdict::of(why, vec![found(cause, server, evidence)])
}

async fn connect(
    server: &Endpoint,
    addresses: &[SocketAddr],
    limits: &Limits,
) -> Result<(TcpStream, Verdict), Verdict> {
    let limit = Duration::from_millis(limits.connect);
    let mut trials = JoinSet::new();
    for address in addresses.iter().copied() {
        trials.spawn(async move {
            let connected = timeout(limit, TcpStream::connect(address)).await;
            (
                address,
                connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())),
            )
        });
    }
    let mut failures = Vec::new();
    while let Some(ended) = trials.join_next().await {
        match ended {
            Ok((address, Ok(stream))) => {
                return Ok((stream, Verdict::clear(format!("connected to {address}"))));
            }
            Ok((address, Err(error))) => failures.push((address, error)),
            Err(_) => {}
        }
    }
    failures.sort_by_key(|(address, _)| *address);
    Err(judge_connection(server, &failures, limits.connect))
}

/// Where the environment names a proxy, the direct way need not work.
fn unless_by_proxy(server: &Endpoint, verdict: Verdict) -> Verdict {
    match proxy_to(server) {
        Some(proxy) => {
            let note = format!("{}; the environment names the proxy {proxy}", verdict.note);
            Verdict::skipped(note)
        }
        None => verdict,
    }
}

/// How much a failure says, and its cause. Of several addresses the most telling one counts: a
/// refusal proves that packets go there and back.
fn cause_of(error: &io::Error) -> Option<(u8, Cause)> {
    match error.kind() {
        ErrorKind::ConnectionRefused => Some((3, Cause::ConnectionRefused)),
        ErrorKind::TimedOut => Some((2, Cause::ConnectionTimedOut)),
        // A firewall of this very host forbids it (connect(2)).
        ErrorKind::PermissionDenied => Some((2, Cause::ConnectionTimedOut)),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
            Some((1, Cause::NetworkUnreachable))
        }
        _ => None,
    }
}

fn judge_connection(server: &Endpoint, failures: &[(SocketAddr, io::Error)], ms: u64) -> Verdict {
    let describe = |(address, error): &(SocketAddr, io::Error)| match error.kind() {
        ErrorKind::TimedOut => format!("connecting to {address}: no answer within {ms} ms"),
        ErrorKind::PermissionDenied => {
            format!("connecting to {address}: this host's own rules forbid it ({error})")
        }
        _ => format!("connecting to {address}: {error}"),
    };
    let evidence: Vec<String> = failures.iter().map(describe).collect();
    let note = evidence.first().cloned().unwrap_or_default();
    let telling = failures
        .iter()
        .filter_map(|(address, error)| Some((cause_of(error)?, address)))
        .max_by_key(|((weight, _), _)| *weight);
    match telling {
        Some(((_, cause), address)) => {
            let address = address.ip().to_string();
            Verdict::of(note, vec![found_at(cause, server, &address, evidence)])
        }
        None => Verdict::skipped(note),
    }
}

#[cfg(test)]
mod tests {
    use protocol::answer::ProbeOutcome;

    use super::*;

    fn server() -> Endpoint {
        "https://sickbay.example:8443".parse().unwrap()
    }

    fn causes(verdict: &Verdict) -> Vec<u16> {
        verdict.findings.iter().map(|it| it.cause).collect()
    }

    #[test]
    fn a_name_fails_by_itself_or_for_want_of_a_name_server() {
        let replies = |all: &[Reply]| -> Vec<(IpAddr, Reply)> {
            all.iter()
                .map(|it| ("10.0.0.2".parse().unwrap(), *it))
                .collect()
        };
        let denied = Reply::Answer {
            code: 3,
            addresses: 0,
        };
        let judge = |all: &[Reply]| judge_name(&server(), "resolving: x".into(), &replies(all));
        assert_eq!(causes(&judge(&[Reply::Silence, Reply::Silence])), [2302]);
        assert_eq!(causes(&judge(&[Reply::Silence, denied])), [2301]);
        assert_eq!(
            causes(&judge(&[Reply::Answer {
                code: 2,
                addresses: 0
            }])),
            [2301]
        );
        let slow = judge(&[Reply::Answer {
            code: 0,
            addresses: 1,
        }]);
        assert_eq!(
            slow.outcome,
            ProbeOutcome::Skipped,
            "the name exists: no guess"
        );
    }

    #[test]
    fn of_several_addresses_the_most_telling_failure_counts() {
        let judge = |kinds: &[ErrorKind]| {
            let address: SocketAddr = "10.0.0.7:8443".parse().unwrap();
            let failures: Vec<_> = kinds
                .iter()
                .map(|it| (address, io::Error::from(*it)))
                .collect();
            judge_connection(&server(), &failures, 2_000)
        };
        assert_eq!(
            causes(&judge(&[
                ErrorKind::NetworkUnreachable,
                ErrorKind::ConnectionRefused
            ])),
            [2303]
        );
        assert_eq!(
            causes(&judge(&[
                ErrorKind::NetworkUnreachable,
                ErrorKind::TimedOut
            ])),
            [2305]
        );
        let unreachable = judge(&[ErrorKind::HostUnreachable]);
        assert_eq!(causes(&unreachable), [2304]);
        assert_eq!(unreachable.findings[0].known["ADDRESS"], "10.0.0.7");
        assert_eq!(judge(&[ErrorKind::Other]).outcome, ProbeOutcome::Skipped);
    }

    #[test]
    fn a_certificate_that_the_host_does_not_trust_may_be_trusted_by_the_agent() {
        let refused = |cause| Verdict::of("no", vec![found(cause, &server(), Vec::new())]);
        let target = |trust| Target {
            server: server(),
            pin: None,
            http: None,
            statuses: Vec::new(),
            protocol: Protocol::Tcp,
            trust,
        };
        let (own, system) = (target(Trust::Own), target(Trust::System));
        let excused_of = |target: &Target, cause| excused(target, refused(cause)).outcome;
        assert_eq!(
            excused_of(&own, Cause::CertificateUntrusted),
            ProbeOutcome::Skipped
        );
        assert_eq!(
            excused_of(&own, Cause::CertificateExpired),
            ProbeOutcome::Found
        );
        assert_eq!(
            excused_of(&system, Cause::CertificateUntrusted),
            ProbeOutcome::Found
        );
    }
}
