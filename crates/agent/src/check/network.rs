//! The way to the server, step by step: name, connection, TLS, HTTP.
//!
//! Each step builds on the one before; the first that fails is found, the rest are skipped. Here is the
//! order of the steps; what each looks at and what it concludes is in the modules. Where a step fails,
//! they look for why: it is this host's rules, routes and limits, or else the way or the server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;
use protocol::endpoint::Endpoint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use self::connection::{Attempts, Explained};
use self::firewall::{Flow, Transport};
use self::hindrance::{State, Symptom};
use self::names::Names;
use self::resolver::Reply;
use super::probe::{Step, Verdict, finding};
use super::profile::{Protocol, Trust};
use super::subject::Target;
use super::{Context, clock, http, tls};

mod connection;
mod detour;
mod firewall;
mod hindrance;
mod icmp;
mod loss;
mod names;
mod proxy;
mod resolver;
mod route;
mod sockets;
mod stall;

/// A connection that takes longer needed its first packet sent again, in ms.
const LATE_MS: u128 = 900;
/// Time for a second look at addresses and proxies once a step has failed, in ms.
const SECOND_LOOK_MS: u64 = 1_200;

/// Time limits of the steps, in ms.
struct Limits {
    name: u64,
    connect: u64,
    handshake: u64,
    answer: u64,
}

const STANDARD: Limits = Limits {
    name: 4_300,
    connect: 2_000,
    handshake: 1_500,
    answer: 1_500,
};
const DEEP: Limits = Limits {
    name: 8_000,
    connect: 8_000,
    handshake: 5_000,
    answer: 5_000,
};

const fn ms(limit: u64) -> Duration {
    Duration::from_millis(limit)
}

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

    /// Adds what showed later of a step that was taken.
    fn adds(&mut self, name: &str, finding: Finding) {
        if let Some(step) = self.steps.iter_mut().find(|it| it.name == name) {
            let mut findings = std::mem::take(&mut step.verdict.findings);
            findings.push(finding);
            step.verdict = Verdict::of(step.verdict.note.clone(), findings);
        }
    }

    fn ends(mut self, why: &str) -> Vec<Step> {
        while self.steps.len() < STEPS.len() {
            self.took(Verdict::skipped(why));
        }
        self.steps
    }
}

/// All four steps to each server, side by side, the way that the agent goes.
pub(super) async fn steps(context: Arc<Context>) -> Vec<Step> {
    let mut steps = to_servers(context).await;
    // Agents speak to their own parts, to name servers and proxies of the host by it.
    if let Some(first) = steps.first_mut()
        && route::is_loopback_down()
    {
        let summary = "The loopback interface lo is down: the host cannot reach itself.";
        let evidence = vec!["lo is not up".to_owned()];
        let known = [("INTERFACE", "lo")];
        first.verdict.add(vec![finding(
            Cause::InterfaceDown,
            summary,
            evidence,
            &known,
        )]);
    }
    steps
}

async fn to_servers(context: Arc<Context>) -> Vec<Step> {
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
    let way = Way {
        context,
        target,
        server: &target.server,
        limits: if context.deep { &DEEP } else { &STANDARD },
    };
    // The variables that name proxies are for those who speak HTTP.
    let proxy = match target.http {
        Some(_) => proxy::of_agent(context, way.server).await,
        None => Ok(None),
    };
    match proxy {
        Ok(None) => way.direct(Journey::new()).await,
        Ok(Some(setting)) => way.through(&setting, Journey::new()).await,
        Err(why) => way.through_nothing(why, Journey::new()),
    }
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

/// Whether what failed shows that it is the server all the same, or one that is put in its place.
fn is_server(verdict: &Verdict) -> bool {
    let shows = [
        Cause::CertificateExpired,
        Cause::CertificateNotYetValid,
        Cause::ClientCertificateExpired,
        Cause::ConnectionIntercepted,
        Cause::AuthoritiesMissing,
    ];
    let found = |it: &Finding| shows.iter().any(|cause| cause.code() == it.cause);
    verdict.findings.iter().any(found)
}

/// The way to one server.
struct Way<'a> {
    context: &'a Context,
    target: &'a Target,
    server: &'a Endpoint,
    limits: &'a Limits,
}

impl Way<'_> {
    async fn direct(&self, mut journey: Journey) -> Vec<Step> {
        let (names, addresses, is_slow) = match self.resolve().await {
            Ok((names, addresses, verdict)) => {
                let is_slow = !verdict.findings.is_empty();
                journey.took(verdict);
                (names, addresses, is_slow)
            }
            Err(verdict) => {
                journey.took(verdict);
                return journey.ends("the server's name was not resolved");
            }
        };
        if self.target.protocol == Protocol::Udp {
            return journey
                .ends("the server is spoken to over UDP, which answers only its own clients");
        }
        let limit = ms(self.limits.connect);
        let mut attempts = Attempts::begin(&addresses, limit);
        let Some(connected) = attempts.first().await else {
            journey.took(self.unconnected(attempts, names.as_ref(), limit).await);
            return journey.ends("there was no connection to the server");
        };
        let to = connected.to;
        journey.took(Verdict::clear(format!("connected to {to}")));
        let suspicious = self.context.deep || is_slow || connected.took.as_millis() >= LATE_MS;
        let late = async {
            match suspicious {
                true => loss::trial(to).await.judge(),
                false => None,
            }
        };
        let going_on = self.secure(connected.stream, Some(to), names.as_ref(), journey);
        let (mut journey, lost) = tokio::join!(going_on, late);
        if let Some(lost) = lost {
            let found = self.found_at(Cause::PacketLoss, to.ip(), vec![lost]);
            journey.adds("tcp", found);
        }
        if let Some(evidence) = attempts.broken_family().await {
            journey.adds("tcp", self.found(Cause::AddressFamilyBroken, evidence));
        }
        journey.steps
    }

    /// TLS and HTTP.
    async fn secure(
        &self,
        stream: TcpStream,
        peer: Option<SocketAddr>,
        names: Option<&Names>,
        mut journey: Journey,
    ) -> Journey {
        let Self {
            context,
            target,
            server,
            limits,
        } = self;
        let limit = ms(limits.handshake);
        let stream: Box<dyn Stream> = if server.tls {
            match tls::handshake(server, target.pin, stream, peer, limit, context.now_ms).await {
                Ok((stream, verdict)) => {
                    journey.took(verdict);
                    stream
                }
                Err(failed) => {
                    let mut verdict = self.insecure(failed, peer).await;
                    if let Some(names) = names
                        && !verdict.findings.is_empty()
                        && let Some(found) = self.misled(names, !is_server(&verdict)).await
                    {
                        verdict.findings.push(found);
                    }
                    journey.took(verdict);
                    let why = "the TLS handshake did not succeed";
                    while journey.steps.len() < STEPS.len() {
                        journey.took(Verdict::skipped(why));
                    }
                    return journey;
                }
            }
        } else {
            journey.took(Verdict::skipped("the server is spoken to without TLS"));
            Box::new(stream)
        };
        match &target.http {
            Some(path) => journey.took(self.health(path, stream).await),
            None => journey.took(Verdict::skipped("no HTTP path of the server is known")),
        }
        journey
    }

    async fn insecure(&self, failed: tls::Failed, peer: Option<SocketAddr>) -> Verdict {
        let why = match failed {
            tls::Failed::Told(verdict) => return excused(self.target, verdict),
            tls::Failed::Stalled(why) => why,
        };
        let (cause, more) = match peer {
            Some(peer) => {
                let (pin, limit) = (self.target.pin, ms(self.limits.handshake));
                stall::explain(self.server, pin, peer, limit).await
            }
            None => (Cause::HandshakeFailed, Vec::new()),
        };
        let evidence = [vec![why.clone()], more].concat();
        Verdict::of(why, vec![self.found(cause, evidence)])
    }

    /// Addresses of the server, and how they were found.
    async fn resolve(&self) -> Result<(Option<Names>, Vec<SocketAddr>, Verdict), Verdict> {
        let (host, port) = (self.server.host.as_str(), self.server.port);
        if let Ok(address) = host.parse::<IpAddr>() {
            let note = format!("{host} is an address: there is no name to resolve");
            return Ok((None, vec![(address, port).into()], Verdict::skipped(note)));
        }
        let names = Names::look(host, ms(self.limits.name)).await;
        let judged = names.judge();
        let found = judged
            .clone()
            .map(|(cause, evidence)| self.found(cause, evidence));
        match &names.told {
            Ok(addresses) => {
                let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let note = format!("{host} is {}", shown.join(", "));
                let verdict = Verdict::of(note, found.into_iter().collect());
                let addresses = addresses.iter().map(|it| (*it, port).into()).collect();
                Ok((Some(names), addresses, verdict))
            }
            // Programs waited in vain for what one name server says: that is where the way leads.
            Err(why) if matches!(judged, Some((Cause::ResolverSlow, _))) => {
                let verdict = Verdict::of(why.clone(), found.into_iter().collect());
                let answered = names.answered();
                let addresses = answered.iter().map(|it| (*it, port).into()).collect();
                Ok((Some(names), addresses, verdict))
            }
            Err(why) => {
                let Some(found) = found else {
                    let said = names.evidence().join(", ");
                    return Err(Verdict::skipped(format!("{why}, but {said}")));
                };
                let mut findings = vec![found];
                findings.extend(self.unasked(&names).await);
                findings.extend(self.proxy_not_used().await);
                Err(Verdict::of(why.clone(), findings))
            }
        }
    }

    /// What on this host keeps queries from the name servers.
    async fn unasked(&self, names: &Names) -> Option<Finding> {
        let is_answered = |it: &&resolver::Asked| matches!(it.reply, Reply::Answer { .. });
        if names.asked.iter().any(|it| is_answered(&it)) {
            return None;
        }
        for asked in names.asked.iter().filter(|it| !it.v6) {
            let symptom = match &asked.reply {
                Reply::Failed(symptom) => *symptom,
                _ => Symptom::Silence,
            };
            let flow = Flow {
                transport: Transport::Udp,
                to: asked.server,
            };
            let state = State::gather(flow, &[]).await;
            if let Some((cause, mut evidence)) = hindrance::judge(flow, symptom, &state) {
                evidence.insert(0, asked.to_string());
                let mut found = self.found_at(cause, asked.server.ip(), evidence);
                let interface = hindrance::interface(&state, flow);
                found
                    .known
                    .extend(interface.map(|it| ("INTERFACE".to_owned(), it)));
                return Some(found);
            }
        }
        None
    }

    /// Why no address of the server could be connected to.
    async fn unconnected(
        &self,
        attempts: Attempts,
        names: Option<&Names>,
        limit: Duration,
    ) -> Verdict {
        let misled = async {
            match names {
                Some(names) => self.misled(names, true).await,
                None => None,
            }
        };
        let (explained, misled, proxied) =
            tokio::join!(attempts.explain(limit), misled, self.proxy_not_used());
        let mut findings: Vec<Finding> = misled.into_iter().chain(proxied).collect();
        let note = match explained {
            Err(why) if findings.is_empty() => return Verdict::skipped(why),
            Err(why) => why,
            Ok(explained) => {
                let note = explained.evidence.first().cloned().unwrap_or_default();
                findings.push(self.explained(explained));
                note
            }
        };
        Verdict::of(note, findings)
    }

    /// Whether programs of this host are told a wrong address. `may_lie`: whether name servers that tell
    /// an address for everything may have told it for this name, too.
    async fn misled(&self, names: &Names, may_lie: bool) -> Option<Finding> {
        let limit = ms(SECOND_LOOK_MS);
        let told = names.told.clone().unwrap_or_default();
        let mut others = names.answered();
        others.retain(|it| !told.contains(it));
        let others: Vec<SocketAddr> = others
            .iter()
            .map(|it| (*it, self.server.port).into())
            .collect();
        let reached = async {
            Attempts::begin(&others, limit)
                .first()
                .await
                .map(|it| it.to.ip())
        };
        let lies = async {
            match may_lie {
                true => names.lies(limit).await,
                false => Vec::new(),
            }
        };
        let (reached, lies) = tokio::join!(reached, lies);
        let evidence = names.misled(reached, &lies)?;
        Some(self.found(Cause::NameResolvesWrongly, evidence))
    }

    async fn health(&self, path: &str, stream: Box<dyn Stream>) -> Verdict {
        let (mut verdict, date_ms) = http::ask(self.target, path, stream, self.limits.answer).await;
        // A session with the server knows this better.
        if let Some(date_ms) = date_ms.filter(|_| self.context.clock_offset_ms.is_none()) {
            let offset_ms = date_ms.saturating_sub(self.context.now_ms);
            verdict.findings.extend(clock::judge(offset_ms, None));
        }
        Verdict::of(verdict.note, verdict.findings)
    }

    fn explained(&self, it: Explained) -> Finding {
        let mut found = self.found_at(it.cause, it.address, it.evidence);
        let interface = it.interface.map(|it| ("INTERFACE".to_owned(), it));
        found.known.extend(interface);
        found
    }

    fn found(&self, cause: Cause, evidence: Vec<String>) -> Finding {
        found(cause, self.server, evidence)
    }

    fn found_at(&self, cause: Cause, address: IpAddr, evidence: Vec<String>) -> Finding {
        found_at(cause, self.server, &address.to_string(), evidence)
    }
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
