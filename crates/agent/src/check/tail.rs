//! The end of a file, and the time that a log line bears.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::reading;

/// The last `bytes_max` bytes of a file, from the start of a line, and whether more came before.
/// Files of `/proc` have no length; of those the first bytes are read.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<(String, bool)> {
    let mut file = reading::file(path)?;
    let skipped = file.metadata()?.len().saturating_sub(bytes_max);
    if skipped > 0 {
        file.seek(SeekFrom::Start(skipped))?;
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match text.split_once('\n') {
        Some((_, whole)) if skipped > 0 => (whole.to_owned(), true),
        _ => (text.into_owned(), skipped > 0),
    })
}

/// The time that a log line bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// In ms since the Unix epoch, taken for UTC where the line names no zone.
    pub(super) ms: i64,
    /// Whether the line names its zone.
    pub(super) is_zoned: bool,
}

/// The time of a line in the forms that agents' logs have: RFC 3339 and ISO 8601 with `-` or `/`, also
/// as a member of JSON; syslog's (RFC 3164) and glog's without a year; Zabbix's.
pub(super) fn stamp(line: &str, now_ms: i64) -> Option<Stamp> {
    let line = line.trim_start_matches(['[', '"', '{', ' ']);
    let zoned = |ms| Stamp { ms, is_zoned: true };
    let unzoned = |ms| Stamp {
        ms,
        is_zoned: false,
    };
    if let Some(stamp) = of_iso(line) {
        return Some(stamp);
    }
    let head = line.get(..line.floor_char_boundary(256)).unwrap_or(line);
    if let Some((_, rest)) = head.split_once("timestamp\":\"") {
        return of_iso(rest).map(|it| zoned(it.ms));
    }
    let found = of_zabbix(line);
    let found = found.or_else(|| of_syslog(line, now_ms));
    found.or_else(|| of_glog(line, now_ms)).map(unzoned)
}

fn of_iso(line: &str) -> Option<Stamp> {
    let date = line.get(..10)?.replace('/', "-");
    let clock = line.get(11..19)?;
    let at = protocol::stamp::parse(&format!("{date}T{clock}Z"))?;
    let rest = line
        .get(19..)?
        .trim_start_matches(|c: char| matches!(c, '.' | ',') || c.is_ascii_digit());
    let is_zoned = rest.starts_with(['Z', '+', '-']) || rest.starts_with(" UTC");
    Some(Stamp {
        ms: at - zone_ms(rest),
        is_zoned,
    })
}

/// `PID:YYYYMMDD:HHMMSS.mmm`.
fn of_zabbix(line: &str) -> Option<i64> {
    let mut parts = line.split([':', '.']);
    let pid = parts.next()?;
    let (date, clock) = (parts.next()?, parts.next()?);
    let is_number = |it: &str, count| it.len() == count && it.bytes().all(|it| it.is_ascii_digit());
    if pid.is_empty() || !is_number(pid, pid.len()) || !is_number(date, 8) || !is_number(clock, 6) {
        return None;
    }
    let part = |text: &str, from: usize, to: usize| text.get(from..to).map(str::to_owned);
    let (year, month, day) = (part(date, 0, 4)?, part(date, 4, 6)?, part(date, 6, 8)?);
    let (hour, minute, second) = (part(clock, 0, 2)?, part(clock, 2, 4)?, part(clock, 4, 6)?);
    protocol::stamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// `Mar  1 12:00:00`.
fn of_syslog(line: &str, now_ms: i64) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let name = line.get(..3)?;
    let month = MONTHS.iter().position(|it| *it == name)? + 1;
    let mut words = line.get(3..)?.split_whitespace();
    let day: u32 = words.next()?.parse().ok()?;
    without_year(&format!("{month:02}-{day:02}"), words.next()?, now_ms)
}

/// `W0301 12:00:00.123456`: a letter, month and day.
fn of_glog(line: &str, now_ms: i64) -> Option<i64> {
    let rest = line.strip_prefix(['I', 'W', 'E', 'F'])?;
    let (month, day) = (rest.get(..2)?, rest.get(2..4)?);
    let clock = rest.get(4..)?.strip_prefix(' ')?;
    without_year(&format!("{month}-{day}"), clock, now_ms)
}

/// The last such day that is not in the future.
fn without_year(day: &str, clock: &str, now_ms: i64) -> Option<i64> {
    const DAY_MS: i64 = 24 * 3_600_000;
    let clock = clock.get(..8)?;
    let year: i32 = protocol::stamp::format(now_ms).get(..4)?.parse().ok()?;
    let mut candidates = [year + 1, year, year - 1]
        .into_iter()
        .filter_map(|year| protocol::stamp::parse(&format!("{year}-{day}T{clock}Z")));
    candidates.find(|it| *it <= now_ms + DAY_MS)
}

fn zone_ms(text: &str) -> i64 {
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return 0,
    };
    let number =
        |range: std::ops::Range<usize>| digits.get(range).and_then(|it| it.parse::<i64>().ok());
    let minutes = number(3..5).or_else(|| number(2..4)).unwrap_or(0);
    number(0..2).map_or(0, |hours| sign * (hours * 60 + minutes) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> i64 {
        protocol::stamp::parse(text).unwrap()
    }

    #[test]
    fn stamps_of_common_logs_are_read() {
        let (noon, now) = (
            parsed("2026-03-01T12:00:00Z"),
            parsed("2026-03-02T01:00:00Z"),
        );
        for (line, is_zoned) in [
            ("2026-03-01T12:00:00.123456Z ERROR agent: x", true),
            ("[2026-03-01 12:00:00] x", false),
            ("2026/03/01 12:00:00 wazuh-agentd: x", false),
            ("2026-03-01 12:00:00,123 [salt] x", false),
            ("2026-03-01 12:00:00 UTC | CORE | x", true),
            ("2026-03-01T14:00:00+0200 host sickbay-agent[1]: x", true),
            ("2026-03-01T07:30:00-04:30 x", true),
            (
                r#"{"timestamp":"2026-03-01T12:00:00Z","level":"ERROR"}"#,
                true,
            ),
            (
                r#"{"log.level":"error","@timestamp":"2026-03-01T12:00:00.000Z"}"#,
                true,
            ),
            ("  1234:20260301:120000.123 x", false),
            ("Mar  1 12:00:00 host x", false),
            ("W0301 12:00:00.123456  1234 init.cpp:1] x", false),
        ] {
            let expected = Stamp { ms: noon, is_zoned };
            assert_eq!(stamp(line, now), Some(expected), "{line}");
        }
        for line in [
            "",
            "thread 'main' panicked at x.rs:1",
            "Mar is a month",
            "1:2:3",
            "Warning",
        ] {
            assert_eq!(stamp(line, now), None, "{line}");
        }
    }

    #[test]
    fn a_day_without_a_year_is_not_in_the_future() {
        let now = parsed("2026-01-01T00:30:00Z");
        let at = |line| stamp(line, now).map(|it| it.ms);
        assert_eq!(
            at("Dec 31 23:00:00 x"),
            Some(parsed("2025-12-31T23:00:00Z"))
        );
        assert_eq!(
            at("Jan  1 08:00:00 x"),
            Some(parsed("2026-01-01T08:00:00Z"))
        );
        let now = parsed("2025-12-31T23:30:00Z");
        let ahead = stamp("Jan  1 07:30:00 x", now).map(|it| it.ms);
        assert_eq!(ahead, Some(parsed("2026-01-01T07:30:00Z")));
    }

    #[test]
    fn a_tail_starts_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "first line\nsecond line\nthird\n").unwrap();
        assert_eq!(read(&path, 12).unwrap(), ("third\n".to_owned(), true));
        assert_eq!(read(&path, 1_000).unwrap().0.lines().count(), 3);
    }

    #[test]
    fn broken_stamps_are_survived() {
        let samples = [
            "2026-03-02T11:59:00.123+01:00 x",
            "Mar  2 11:59:00 host agent[7]: x",
            "  812:20260302:115900.123 x",
            "I0302 11:59:00.123456 7 x.go:1] x",
        ];
        crate::fuzz::text("stamps", &samples, |it| {
            let _ = stamp(it, 1_795_486_571_000);
        });
    }
}
