//! The way to a server that leads through a proxy, and the one that would.

use std::net::SocketAddr;

use model::Cause;
use protocol::answer::Finding;
use tokio::time::timeout;

use super::connection::Attempts;
use super::proxy::{self, Setting};
use super::{Journey, SECOND_LOOK_MS, Way, ms};
use crate::check::probe::{Step, Verdict};
use crate::resolve;

impl Way<'_> {
    /// The way through the agent's proxy.
    pub(super) async fn through(&self, setting: &Setting, mut journey: Journey) -> Vec<Step> {
        let Setting { proxy, source } = setting;
        journey.took(Verdict::skipped(format!(
            "the agent reaches the server through the proxy {proxy} ({source})"
        )));
        let (name, limit) = (ms(self.limits.name), ms(self.limits.connect));
        let fault = match setting.open(self.server, name, limit).await {
            Ok(stream) => {
                journey.took(Verdict::clear(format!("connected through {proxy}")));
                return self.secure(stream, None, None, journey).await.steps;
            }
            Err(fault) => fault,
        };
        let directly = self.reached_directly().await;
        let mut evidence = fault.evidence;
        evidence
            .extend(directly.map(|it| format!("without the proxy the server is reached, at {it}")));
        let with_proxy = |cause, evidence| {
            let mut found = self.found(cause, evidence);
            found.known.insert("PROXY".to_owned(), proxy.to_string());
            found
        };
        let mut findings = vec![with_proxy(fault.cause, evidence.clone())];
        if fault.found_no_server && directly.is_some() {
            findings.push(with_proxy(Cause::ProxyUnwanted, evidence.clone()));
        }
        if let Some(names) = &fault.names {
            // A name that does not exist is the setting's fault; mute name servers are not.
            let judged = names.judge().filter(|it| it.0 != Cause::NameNotResolved);
            findings.extend(judged.map(|(cause, evidence)| self.found(cause, evidence)));
            findings.extend(self.unasked(names).await);
        }
        let explained = fault.explained;
        let explained = explained.filter(|it| it.cause.leads_to(Cause::ProxyUnreachable));
        findings.extend(explained.map(|it| self.explained(it)));
        journey.took(Verdict::of(evidence.join("; "), findings));
        journey.ends("the proxy did not lead to the server")
    }

    /// What the agent is told is no proxy.
    pub(super) fn through_nothing(&self, why: String, mut journey: Journey) -> Vec<Step> {
        journey.took(Verdict::skipped("the agent is told to use a proxy"));
        let found = self.found(Cause::ProxyUnreachable, vec![why.clone()]);
        journey.took(Verdict::of(why, vec![found]));
        journey.ends("there is no way through that proxy")
    }

    /// A proxy that leads to the server where the direct way is closed.
    pub(super) async fn proxy_not_used(&self) -> Option<Finding> {
        let setting = proxy::of_host(self.server)?;
        let limit = ms(SECOND_LOOK_MS);
        setting.open(self.server, limit, limit).await.ok()?;
        let Setting { proxy, source } = &setting;
        let evidence = format!("{source} names the proxy {proxy}, and it leads to the server");
        let mut found = self.found(Cause::ProxyNotUsed, vec![evidence]);
        found.known.insert("PROXY".to_owned(), proxy.to_string());
        Some(found)
    }

    /// The address at which the server accepts a connection without a proxy.
    async fn reached_directly(&self) -> Option<SocketAddr> {
        let limit = ms(SECOND_LOOK_MS);
        let looking = resolve::as_programs_do(&self.server.host);
        let found = timeout(limit, looking).await.ok()?.ok()?;
        let addresses = found.into_iter().map(|it| (it, self.server.port).into());
        let addresses: Vec<SocketAddr> = addresses.collect();
        let connected = Attempts::begin(&addresses, limit).first().await?;
        Some(connected.to)
    }
}
