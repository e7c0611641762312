//! `sickbay-agent status`: reads the agent's files, changes none.

use serde::Serialize;

use super::{FAILED, Failure, write};
use crate::config::{self, DataDir};
use crate::identity::Identity;
use crate::journal;
use crate::session::{self, State};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    host_uuid: String,
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<String>,
    /// Process id of the running agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    is_online: bool,
    /// How the connection stands, in words.
    connection: String,
    /// Which policy the running agent started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// Results that the server has not confirmed.
    results_unconfirmed: usize,
}

/// Prints how the agent stands; exit code 0 if it is online.
pub(super) fn status(data: &DataDir, json: bool) -> Result<u8, Failure> {
    let status = read(data)?;
    if json {
        write(&serde_json::to_string_pretty(&status).unwrap_or_default());
    } else {
        write(&render(&status));
    }
    Ok(if status.is_online { 0 } else { FAILED })
}

fn read(data: &DataDir) -> Result<Status, Failure> {
    let identity = Identity::load(data).map_err(session::Error::from)?;
    let pid = data.lock_holder();
    let state = State::load(data).filter(|_| pid.is_some());
    let connection = match &state {
        _ if pid.is_none() => "the agent does not run".to_owned(),
        None => "connecting".to_owned(),
        Some(state) => {
            let since = span(config::now().0.saturating_sub(state.since_ms));
            match state.is_online {
                true => format!("online for {since}"),
                false => format!("offline for {since}: {}", state.message),
            }
        }
    };
    Ok(Status {
        host_uuid: identity.host_uuid.to_string(),
        server: identity.server.to_string(),
        pin: identity.pin.map(|it| it.to_string()),
        pid,
        is_online: state.as_ref().is_some_and(|it| it.is_online),
        connection,
        policy: state.map(|it| it.policy).filter(|it| !it.is_empty()),
        results_unconfirmed: journal::unconfirmed(&data.journal()),
    })
}

fn render(status: &Status) -> String {
    let pid = status.pid.map(|it| it.to_string());
    let rows = [
        ("host", Some(status.host_uuid.clone())),
        ("server", Some(status.server.clone())),
        ("pin", status.pin.clone()),
        ("process", pid),
        ("connection", Some(status.connection.clone())),
        (
            "policy",
            status
                .policy
                .as_ref()
                .map(|it| it.strip_prefix("policy ").unwrap_or(it).to_owned()),
        ),
        ("unconfirmed", Some(status.results_unconfirmed.to_string())),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let lines: Vec<String> = rows
        .map(|(name, value)| format!("{name:<12}{value}"))
        .collect();
    lines.join("\n")
}

/// A time span in its two largest units.
fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn spans_show_two_units() {
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3_661, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds * 1_000), text);
        }
    }

    #[test]
    fn an_agent_that_does_not_run_is_told_from_one_that_is_not_enrolled() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::new(temp.path());
        let failure = read(&data).err().unwrap();
        assert!(failure.line.contains("not enrolled"));
        let identity = Identity {
            host_uuid: "inet-1".parse().unwrap(),
            server: "https://a:1".parse().unwrap(),
            pin: None,
            order_keys: Vec::new(),
            key_name: crate::identity::FIRST_KEY.into(),
        };
        identity.save(&data).unwrap();
        let status = read(&data).ok().unwrap();
        assert_eq!(status.connection, "the agent does not run");
        assert!(render(&status).starts_with("host        inet-1\nserver      https://a:1\n"));
    }
}
