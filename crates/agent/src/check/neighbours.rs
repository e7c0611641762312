//! What else is on this host that hinders the agent: who holds its ports, and which agents must not
//! run beside it.

use model::{AssetItem, Cause};
use protocol::answer::{Finding, Port};

use super::probe::{Verdict, finding};
use super::profile::Protocol;
use super::subject::{Listening, Subject};
use super::{Context, procfs};
use crate::inventory;
use crate::progress::Progress;

/// Ports that are held by others, and competing agents that run.
pub(super) fn probe(context: &Context) -> Verdict {
    let subject = &context.subject;
    let mut notes = Vec::new();
    let mut findings = Vec::new();
    if !subject.listens.is_empty() {
        let held = inventory::collect(&[AssetItem::Ports], &Progress::default())
            .ports
            .unwrap_or_default();
        let agents = procfs::agents(subject);
        for listening in &subject.listens {
            match judge_port(subject, *listening, &held, &agents) {
                Ok(note) => notes.push(note),
                Err(found) => findings.push(found),
            }
        }
    }
    let running = context.detected.iter().filter(|it| it.running);
    let competing = running.filter(|it| subject.conflicts.contains(&it.name));
    for it in competing {
        let summary = format!("{} runs beside {}, and must not.", it.title, subject.title);
        findings.push(finding(
            Cause::CompetingAgent,
            summary,
            it.signs.clone(),
            &[],
        ));
    }
    if notes.is_empty() && subject.conflicts.is_empty() && findings.is_empty() {
        return Verdict::skipped("it needs no port and gets on with every other agent");
    }
    if !subject.conflicts.is_empty() {
        notes.push(format!(
            "must not run beside {}",
            subject.conflicts.join(", ")
        ));
    }
    Verdict::of(notes.join("; "), findings)
}

fn judge_port(
    subject: &Subject,
    listening: Listening,
    held: &[Port],
    agents: &[u32],
) -> Result<String, Finding> {
    let Listening { port, protocol } = listening;
    let word = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    let holders: Vec<&Port> = held
        .iter()
        .filter(|it| it.port == port && it.protocol.starts_with(word))
        .collect();
    let is_own = |it: &&&Port| match it.pid.and_then(|it| u32::try_from(it).ok()) {
        Some(pid) => agents.contains(&pid) || subject.has_process(&it.process),
        None => false,
    };
    if let Some(own) = holders.iter().find(is_own) {
        return Ok(format!("listens on {word} {}:{port}", own.address));
    }
    // Who holds it cannot always be seen, and another address may be free.
    match holders.iter().find(|it| it.pid.is_some()) {
        Some(other) if agents.is_empty() => {
            let evidence = format!(
                "{word} {}:{port} is held by {} (process {})",
                other.address,
                other.process,
                other.pid.unwrap_or_default()
            );
            let summary =
                format!("Another process holds the port {port} that the agent listens on.");
            let known = [("PORT", &*port.to_string())];
            Err(finding(Cause::PortTaken, summary, vec![evidence], &known))
        }
        Some(other) => Ok(format!("{word} port {port} is held by {}", other.process)),
        None if holders.is_empty() => Ok(format!("nobody listens on {word} port {port}")),
        None => Ok(format!(
            "it cannot be seen who listens on {word} port {port}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(pid: Option<i32>, process: &str) -> Vec<Port> {
        vec![Port {
            protocol: "tcp6".into(),
            address: "::".into(),
            port: 9_100,
            pid,
            process: process.into(),
        }]
    }

    #[test]
    fn a_port_is_taken_when_another_has_it_and_the_agent_does_not_run() {
        let subject = Subject {
            processes: vec!["node_exporter".into()],
            ..Subject::default()
        };
        let listening = Listening {
            port: 9_100,
            protocol: Protocol::Tcp,
        };
        let judge = |held: &[Port], agents: &[u32]| {
            judge_port(&subject, listening, held, agents).map_err(|it| it.cause)
        };
        assert_eq!(
            judge(&held(Some(7), "nginx"), &[]),
            Err(Cause::PortTaken.code())
        );
        assert!(
            judge(&held(Some(7), "nginx"), &[9]).is_ok(),
            "it may have another address"
        );
        assert_eq!(
            judge(&held(Some(9), "exporter"), &[9]),
            Ok("listens on tcp :::9100".to_owned())
        );
        assert!(
            judge(&held(None, ""), &[]).is_ok(),
            "nobody is accused without a name"
        );
        assert!(judge(&[], &[]).is_ok());
    }
}
