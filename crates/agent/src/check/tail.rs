//! The end of a file, and the time that a log line bears.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// The last `bytes_max` bytes of a file, from the start of a line, and whether more came before.
/// Files of `/proc` have no length; of those the first bytes are read.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<(String, bool)> {
    // Asked before the file is opened: opening a pipe waits for its writer.
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("not an ordinary file"));
    }
    let mut file = File::open(path)?;
    let skipped = about.len().saturating_sub(bytes_max);
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

/// Unix milliseconds of the RFC 3339 or ISO 8601 time at the start of a log line; without a zone it
/// is taken for UTC.
pub(super) fn stamp_ms(line: &str) -> Option<i64> {
    let line = line.trim_start_matches(['[', '"', '{', ' ']);
    let line = line.strip_prefix("timestamp\":\"").unwrap_or(line);
    let date = line.get(..10)?;
    let clock = line.get(11..19)?;
    let at = protocol::stamp::parse(&format!("{date}T{clock}Z"))?;
    let rest = line
        .get(19..)?
        .trim_start_matches(|c: char| matches!(c, '.' | ',') || c.is_ascii_digit());
    Some(at - zone_ms(rest))
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

    #[test]
    fn stamps_of_common_logs_are_read() {
        let noon = protocol::stamp::parse("2026-03-01T12:00:00Z");
        for line in [
            "2026-03-01T12:00:00.123456Z ERROR agent: x",
            "[2026-03-01 12:00:00] x",
            "2026-03-01T14:00:00+0200 host sickbay-agent[1]: x",
            "2026-03-01T07:30:00-04:30 x",
            r#"{"timestamp":"2026-03-01T12:00:00Z","level":"ERROR"}"#,
        ] {
            assert_eq!(stamp_ms(line), noon, "{line}");
        }
        for line in [
            "",
            "thread 'main' panicked at x.rs:1",
            "Mar  1 12:00:00 host x",
        ] {
            assert_eq!(stamp_ms(line), None, "{line}");
        }
    }

    #[test]
    fn a_tail_starts_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "first line\nsecond line\nthird\n").unwrap();
        assert_eq!(read(&path, 12).unwrap(), ("third\n".to_owned(), true));
        assert_eq!(read(&path, 1_000).unwrap().0.lines().count(), 3);
    }
}
