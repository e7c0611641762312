//! Where the host's time comes from: does the time service get answers, and is the hardware clock right?
//!
//! Judges only what a service that runs says of itself; a host without one, as a container, has none.

use crate::check::{command, procfs};

/// Time that a program has to answer, in ms.
const ASK_MS: u64 = 1_500;
/// A service that began later may still be looking for its sources, in seconds.
const SETTLED_SECONDS: u64 = 15 * 60;
/// Difference of the hardware clock that matters, in seconds.
const HARDWARE_SECONDS: u64 = 5 * 60;
/// Time zones are whole quarters of an hour, at most 14 h from UTC.
const QUARTER_SECONDS: u64 = 15 * 60;
const ZONE_SECONDS_MAX: u64 = 14 * 3_600;

/// What a time service says of its sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sources {
    /// It hears at least one.
    Heard,
    /// It has some, and none of them answers: these.
    Silent(Vec<String>),
}

/// Asks the time service that runs; `None`: none that is known, or none that has had the time.
pub(super) async fn ask() -> Option<Sources> {
    let uptime = procfs::uptime_seconds()?;
    let processes = procfs::processes();
    let settled = |name: &str| {
        let named = processes.iter().find(|it| it.name == name)?;
        let age = uptime.checked_sub(started_seconds(named.pid)?)?;
        (age >= SETTLED_SECONDS).then_some(())
    };
    if settled("chronyd").is_some() {
        let said = command::output("chronyc", &["-n", "-c", "sources"], ASK_MS).await;
        return parse_chrony(&said.ok()?);
    }
    if settled("ntpd").is_some() {
        return parse_ntp(&command::output("ntpq", &["-pn"], ASK_MS).await.ok()?);
    }
    settled("systemd-timesyn")?;
    let said = command::output("timedatectl", &["show-timesync"], ASK_MS).await;
    parse_timesyncd(&said.ok()?)
}

/// When a process began, in seconds since boot (proc(5), field 22 of `stat`).
fn started_seconds(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, tail) = text.rsplit_once(')')?;
    let ticks: u64 = tail.split_whitespace().nth(19)?.parse().ok()?;
    Some(ticks / procfs::TICKS_PER_SECOND)
}

/// `mode,state,name,stratum,poll,reach,…` (chronyc(1)); the reach is octal.
fn parse_chrony(said: &str) -> Option<Sources> {
    let sources = said.lines().filter_map(|line| {
        let words: Vec<&str> = line.split(',').collect();
        Some((
            (*words.get(2)?).to_owned(),
            u32::from_str_radix(words.get(5)?, 8).ok()?,
        ))
    });
    judge(sources)
}

/// `remote refid st t when poll reach delay offset jitter` (ntpq(8)).
fn parse_ntp(said: &str) -> Option<Sources> {
    let sources = said.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // A pool's own line stands for no server.
        let is_pool = words.get(1) == Some(&".POOL.");
        let reach = u32::from_str_radix(words.get(6)?, 8).ok()?;
        (!is_pool).then(|| {
            (
                words
                    .first()
                    .unwrap_or(&"")
                    .trim_start_matches(['*', '+', '-', '#', 'x', 'o'])
                    .to_owned(),
                reach,
            )
        })
    });
    judge(sources)
}

fn judge(sources: impl Iterator<Item = (String, u32)>) -> Option<Sources> {
    let sources: Vec<(String, u32)> = sources.collect();
    if sources.is_empty() {
        return None;
    }
    Some(match sources.iter().any(|(_, reach)| *reach != 0) {
        true => Sources::Heard,
        false => Sources::Silent(sources.into_iter().map(|(name, _)| name).collect()),
    })
}

/// `timedatectl show-timesync`: a message is shown once there was an answer.
fn parse_timesyncd(said: &str) -> Option<Sources> {
    let value = |name: &str| {
        let line = said
            .lines()
            .find_map(|it| it.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim()).filter(|it| !it.is_empty())
    };
    if value("NTPMessage").is_some() {
        return Some(Sources::Heard);
    }
    let asked = value("ServerName").or_else(|| value("FallbackNTPServers"))?;
    Some(Sources::Silent(
        asked.split_whitespace().map(str::to_owned).collect(),
    ))
}

/// What the hardware clock says, if it differs from the system's; both in seconds since the Unix epoch.
pub(super) fn hardware(now_ms: i64) -> Option<String> {
    let hardware = procfs::number("/sys/class/rtc/rtc0/since_epoch")?;
    let now = u64::try_from(now_ms / 1_000).ok()?;
    let adjust = std::fs::read_to_string("/etc/adjtime").unwrap_or_default();
    judge_hardware(hardware, now, adjust.lines().any(|it| it.trim() == "LOCAL"))
}

fn judge_hardware(hardware: u64, now: u64, is_local: bool) -> Option<String> {
    let away = hardware.abs_diff(now);
    let quarters = away % QUARTER_SECONDS;
    let is_zone = away <= ZONE_SECONDS_MAX + 60 && quarters.min(QUARTER_SECONDS - quarters) < 60;
    if away < HARDWARE_SECONDS || (is_local && is_zone) {
        return None;
    }
    let side = if hardware > now { "ahead of" } else { "behind" };
    Some(format!(
        "the hardware clock is {away} s {side} the system's clock"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chrony_tells_which_sources_answer() {
        let well = "^,*,192.0.2.1,2,6,377,22,0.000012,0.000034,0.001\n^,?,192.0.2.2,0,8,0,4294967295,0,0,0\n";
        assert_eq!(parse_chrony(well), Some(Sources::Heard));
        let silent = "^,?,192.0.2.2,0,8,0,4294967295,0.000000000,0.000000000,0.000000000\n";
        assert_eq!(
            parse_chrony(silent),
            Some(Sources::Silent(vec!["192.0.2.2".into()]))
        );
        assert_eq!(parse_chrony(""), None);
        assert_eq!(parse_chrony("506 Cannot talk to daemon\n"), None);
    }

    #[test]
    fn ntpd_tells_which_sources_answer() {
        let head = "     remote           refid      st t when poll reach   delay   offset  jitter\n==============================================================================\n 0.debian.pool.n .POOL.          16 p    -   64    0    0.000    0.000   0.000\n";
        let well = format!(
            "{head}*192.0.2.1       10.0.0.1         2 u   33   64  377    0.5    0.1   0.02\n"
        );
        assert_eq!(parse_ntp(&well), Some(Sources::Heard));
        let silent = format!(
            "{head} 192.0.2.1       .INIT.          16 u    -   64    0    0.000    0.000   0.000\n"
        );
        assert_eq!(
            parse_ntp(&silent),
            Some(Sources::Silent(vec!["192.0.2.1".into()]))
        );
        assert_eq!(parse_ntp(head), None);
    }

    #[test]
    fn timesyncd_tells_whether_it_was_answered() {
        let told = "FallbackNTPServers=0.debian.pool.ntp.org 1.debian.pool.ntp.org\nServerName=ntp.example\nServerAddress=192.0.2.1\nPollIntervalUSec=34min 8s\nNTPMessage={ Leap=0, Version=4, Mode=4, Stratum=2 }\n";
        assert_eq!(parse_timesyncd(told), Some(Sources::Heard));
        let silent = "ServerName=ntp.example\nPollIntervalUSec=0\nFrequency=0\n";
        assert_eq!(
            parse_timesyncd(silent),
            Some(Sources::Silent(vec!["ntp.example".into()]))
        );
        assert_eq!(parse_timesyncd(""), None);
    }

    #[test]
    fn a_hardware_clock_in_local_time_is_no_fault() {
        assert_eq!(judge_hardware(1_000_000, 1_000_030, false), None);
        assert_eq!(judge_hardware(1_007_200, 1_000_003, true), None);
        let said = judge_hardware(1_007_200, 1_000_000, false).unwrap();
        assert_eq!(
            said,
            "the hardware clock is 7200 s ahead of the system's clock"
        );
        assert!(judge_hardware(1_000_000, 3_000_000, true).is_some());
    }

    #[test]
    fn broken_answers_are_survived() {
        let samples = [
            "^,*,10.0.0.1,2,6,377,12,0.000012,0.000012,0.000100\n^,?,10.0.0.2,0,6,0,-,0,0,0\n",
            "     remote           refid      st t when poll reach   delay   offset  jitter\n====\n*10.0.0.1 .GPS. 1 u 12 64 377 0.1 0.2 0.3\n",
            "Server: 10.0.0.1 (x)\nPacketCount: 0\n",
        ];
        crate::fuzz::text("time sources", &samples, |it| {
            drop((parse_chrony(it), parse_ntp(it), parse_timesyncd(it)));
        });
    }
}
