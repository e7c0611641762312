//! The second step on the way to a server: a connection, tried to all its addresses side by side.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use model::Cause;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::firewall::{Flow, Transport};
use super::hindrance::{self, State, Symptom};
use super::icmp::Ear;
use super::loss;

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) to: SocketAddr,
    pub(super) error: io::Error,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    pub(super) to: SocketAddr,
    pub(super) took: Duration,
}

type Ended = (SocketAddr, Duration, io::Result<TcpStream>);

/// Attempts that were begun together.
#[derive(Debug)]
pub(super) struct Attempts {
    running: JoinSet<Ended>,
    failures: Vec<Failure>,
    reached: Vec<SocketAddr>,
    ear: Option<Ear>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct Explained {
    pub(super) cause: Cause,
    pub(super) evidence: Vec<String>,
    /// The address that the cause is about.
    pub(super) address: IpAddr,
    /// The interface on the way to it.
    pub(super) interface: Option<String>,
}

impl Attempts {
    /// Tries all addresses, each for that long.
    pub(super) fn begin(addresses: &[SocketAddr], limit: Duration) -> Self {
        let ear = Ear::open();
        let mut running = JoinSet::new();
        for to in addresses.iter().copied() {
            running.spawn(async move {
                let started = Instant::now();
                let connected = timeout(limit, TcpStream::connect(to)).await;
                let connected = connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
                (to, started.elapsed(), connected)
            });
        }
        Self {
            running,
            failures: Vec::new(),
            reached: Vec::new(),
            ear,
        }
    }

    /// The first that succeeds; `None`: none did.
    pub(super) async fn first(&mut self) -> Option<Connected> {
        while let Some(ended) = self.running.join_next().await {
            match ended {
                Ok((to, took, Ok(stream))) => {
                    self.reached.push(to);
                    return Some(Connected { stream, to, took });
                }
                Ok((to, _, Err(error))) => self.failures.push(Failure { to, error }),
                Err(_) => {}
            }
        }
        self.failures.sort_by_key(|it| it.to);
        None
    }

    /// Waits for the rest and says whether one kind of address does not work. To be asked after
    /// [`Self::first`] brought a connection.
    pub(super) async fn broken_family(mut self) -> Option<Vec<String>> {
        while let Some(ended) = self.running.join_next().await {
            match ended {
                Ok((to, _, Ok(_))) => self.reached.push(to),
                Ok((to, _, Err(error))) => self.failures.push(Failure { to, error }),
                Err(_) => {}
            }
        }
        judge_family(&self.reached, &self.failures)
    }

    /// Why none succeeded. To be asked after [`Self::first`] brought none.
    pub(super) async fn explain(self, limit: Duration) -> Result<Explained, String> {
        let evidence: Vec<String> = self.failures.iter().map(|it| it.describe(limit)).collect();
        let Some((symptom, to)) = telling(&self.failures) else {
            return Err(evidence.join("; "));
        };
        let flow = Flow {
            transport: Transport::Tcp,
            to,
        };
        let heard = self.ear.as_ref().map(Ear::heard).unwrap_or_default();
        let state = State::gather(flow, &heard).await;
        let interface = hindrance::interface(&state, flow);
        let explained = |cause, more: Vec<String>| Explained {
            cause,
            evidence: [evidence.clone(), more].concat(),
            address: to.ip(),
            interface: interface.clone(),
        };
        if let Some((cause, more)) = hindrance::judge(flow, symptom, &state) {
            return Ok(explained(cause, more));
        }
        let more: Vec<String> = state.heard.iter().map(|(it, _)| it.to_string()).collect();
        match symptom {
            Symptom::Refused => Ok(explained(Cause::ConnectionRefused, more)),
            Symptom::NoWay => Ok(explained(Cause::NetworkUnreachable, more)),
            Symptom::Silence => Ok(match loss::trial(to).await.judge() {
                Some(lost) => explained(Cause::PacketLoss, vec![lost]),
                None => explained(Cause::ConnectionTimedOut, more),
            }),
            _ => Err(evidence.join("; ")),
        }
    }
}

impl Failure {
    fn describe(&self, limit: Duration) -> String {
        let Self { to, error } = self;
        match error.kind() {
            ErrorKind::TimedOut => {
                format!(
                    "connecting to {to}: no answer within {} ms",
                    limit.as_millis()
                )
            }
            _ => format!("connecting to {to}: {error}"),
        }
    }
}

/// Of several failures the most telling one: a refusal proves that packets go there and back.
fn telling(failures: &[Failure]) -> Option<(Symptom, SocketAddr)> {
    let weight = |it: Symptom| match it {
        Symptom::Forbidden | Symptom::NoPort => 4,
        Symptom::Refused => 3,
        Symptom::Silence | Symptom::Prohibited | Symptom::Discarded => 2,
        Symptom::NoWay => 1,
    };
    let all = failures
        .iter()
        .filter_map(|it| Some((Symptom::of(&it.error)?, it.to)));
    // Of equals the IPv4 address: a host without IPv6 has no fault there.
    all.max_by_key(|(symptom, to)| (weight(*symptom), to.is_ipv4()))
}

/// That all addresses of one kind fail although the host speaks it, while the other kind works.
fn judge_family(reached: &[SocketAddr], failures: &[Failure]) -> Option<Vec<String>> {
    let is_broken = |v4: bool| {
        let mut of_kind = failures
            .iter()
            .filter(|it| it.to.is_ipv4() == v4)
            .peekable();
        let fails = |it: &Failure| {
            matches!(
                Symptom::of(&it.error),
                Some(Symptom::Silence | Symptom::Refused)
            )
        };
        of_kind.peek().is_some()
            && of_kind.all(fails)
            && !reached.iter().any(|it| it.is_ipv4() == v4)
            && reached.iter().any(|it| it.is_ipv4() != v4)
    };
    if !is_broken(true) && !is_broken(false) {
        return None;
    }
    let mut evidence: Vec<String> = reached
        .iter()
        .map(|it| format!("connected to {it}"))
        .collect();
    evidence.extend(
        failures
            .iter()
            .map(|it| format!("connecting to {}: {}", it.to, it.error)),
    );
    Some(evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(to: &str, kind: ErrorKind) -> Failure {
        Failure {
            to: to.parse().unwrap(),
            error: kind.into(),
        }
    }

    #[test]
    fn of_several_addresses_the_most_telling_failure_counts() {
        let of = |kinds: &[ErrorKind]| {
            let failures: Vec<Failure> =
                kinds.iter().map(|it| failure("10.0.0.7:1", *it)).collect();
            telling(&failures).map(|it| it.0)
        };
        let (refused, silence) = (ErrorKind::ConnectionRefused, ErrorKind::TimedOut);
        let no_way = ErrorKind::NetworkUnreachable;
        assert_eq!(of(&[no_way, refused, silence]), Some(Symptom::Refused));
        assert_eq!(of(&[no_way, silence]), Some(Symptom::Silence));
        assert_eq!(of(&[ErrorKind::HostUnreachable]), Some(Symptom::NoWay));
        assert_eq!(of(&[ErrorKind::Other]), None);
        let failures = [
            failure("10.0.0.7:1", no_way),
            failure("[2001:db8::1]:1", no_way),
        ];
        assert!(telling(&failures).unwrap().1.is_ipv4());
    }

    #[test]
    fn one_kind_of_address_that_fails_is_worth_a_warning_only_where_it_is_spoken() {
        let reached: Vec<SocketAddr> = vec!["10.0.0.7:1".parse().unwrap()];
        let judge = |it: Failure| judge_family(&reached, &[it]).is_some();
        assert!(judge(failure("[2001:db8::1]:1", ErrorKind::TimedOut)));
        assert!(judge(failure(
            "[2001:db8::1]:1",
            ErrorKind::ConnectionRefused
        )));
        assert!(!judge(failure(
            "[2001:db8::1]:1",
            ErrorKind::NetworkUnreachable
        )));
        assert!(
            !judge(failure("10.0.0.8:1", ErrorKind::TimedOut)),
            "another address of the kind works"
        );
        assert!(judge_family(&reached, &[]).is_none());
    }

    #[tokio::test]
    async fn a_closed_port_is_a_refusal_by_nobody_of_this_host() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        drop(listener);
        let limit = Duration::from_secs(60);
        let mut attempts = Attempts::begin(&[to], limit);
        assert!(attempts.first().await.is_none());
        let explained = attempts.explain(limit).await.unwrap();
        assert_eq!(explained.cause, Cause::ConnectionRefused);
        assert_eq!(explained.address, to.ip());
    }
}
