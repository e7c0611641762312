//! What the host's own C library says of a name, by its program getent(1).

use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::message::{Kind, Question};

/// Time for it.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Exit code "not found" of getent(1).
const NOT_FOUND: i32 = 2;

/// The addresses that `getent` finds, empty if it knows none. Nothing where there is no such program
/// that can tell, or not in time.
pub(crate) async fn ask(host: &str) -> Option<Vec<IpAddr>> {
    // What looks like an option, or is no name, is not passed on.
    Question::new(host, Kind::A)?;
    let running = Command::new("getent")
        .args(["ahosts", host])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(TIME_MAX, running).await.ok()?.ok()?;
    let known = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => Some(parse(&known)),
        Some(NOT_FOUND) => Some(Vec::new()),
        _ => None,
    }
}

/// One address a line, first; link-local ones have their interface behind a `%`.
fn parse(text: &str) -> Vec<IpAddr> {
    let first = |line: &str| line.split([' ', '\t']).next()?.parse().ok();
    text.lines().filter_map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_first_in_their_lines() {
        let text = "10.0.0.7        STREAM sickbay.example\n10.0.0.7        DGRAM\n::1 RAW\nx\n\n";
        let all: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(all, ["10.0.0.7", "10.0.0.7", "::1"]);
    }

    #[tokio::test]
    async fn options_are_not_passed_on() {
        assert_eq!(ask("--help").await, None);
        assert_eq!(ask("-x").await, None);
    }
}
