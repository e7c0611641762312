//! What the agent's own log says: crashes, and errors again and again.

mod words;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::profile::LogLine;
use super::subject::Subject;
use super::{Context, command, redact, rights, tail};

/// Lines that are looked at.
const LINES_MAX: usize = 200;
/// Last lines of a log that tell why its agent ended.
const LAST_WORDS: usize = 12;
/// Part of a log file that is read, in bytes.
const TAIL_BYTES: u64 = 256 << 10;
/// Errors among those lines that are too many.
const ERRORS_MANY: usize = 20;
/// Crashes that are older tell of the past, in ms.
const CRASH_AGE_MS_MAX: i64 = 24 * 3_600_000;
/// Errors that are older may have been overcome since, in ms.
const ERROR_AGE_MS_MAX: i64 = 3_600_000;
/// Words of patterns that stand for a path.
const PATH_WORDS: [&str; 3] = ["dir", "file", "path"];
/// Words that only a crash writes.
const CRASH_MARKS: [&str; 10] = [
    "panicked at",
    "fatal runtime error",
    "has overflowed its stack",
    "memory allocation of",
    "SIGSEGV",
    "SIGABRT",
    "segmentation fault",
    "Segmentation fault",
    "core dumped",
    "double free or corruption",
];

/// The log files; where there are none, the journal of the unit.
pub(super) async fn probe(context: Arc<Context>) -> Verdict {
    let reading = Arc::clone(&context);
    let files = tokio::task::spawn_blocking(move || read_files(&reading.subject)).await;
    let (mut logs, unread) = files.unwrap_or_default();
    let unit = context.subject.unit.as_str();
    if logs.is_empty() && !unit.is_empty() && command::systemd_runs() {
        let lines = LINES_MAX.to_string();
        let arguments = [
            "-u",
            unit,
            "-n",
            &lines,
            "--no-pager",
            "--utc",
            "-o",
            "short-iso",
            "--since",
            "-24h",
        ];
        if let Ok(text) = command::output("journalctl", &arguments, 3_000).await {
            let about = Log {
                name: format!("the journal of {unit}"),
                file: None,
                text,
                changed_ms: Some(context.now_ms),
            };
            logs.extend((about.text.lines().count() > 1).then_some(about));
        }
    }
    if logs.is_empty() {
        let why = if unread.is_empty() {
            "there is no log".to_owned()
        } else {
            unread.join("; ")
        };
        return Verdict::skipped(why);
    }
    let names: Vec<&str> = logs.iter().map(|it| it.name.as_str()).collect();
    let note = format!("looked at {}", names.join(", "));
    let judging = tokio::task::spawn_blocking(move || {
        let (subject, now_ms) = (&context.subject, context.now_ms);
        let findings = logs.iter().flat_map(|it| {
            let missing = rights::missing(&recent(it, now_ms, ERROR_AGE_MS_MAX), subject);
            let found = judge(it, &subject.log_lines, now_ms);
            found.into_iter().chain(missing)
        });
        Verdict::of(note, findings.collect())
    });
    let judged = judging.await;
    judged.unwrap_or_else(|error| Verdict::skipped(format!("the probe broke: {error}")))
}

struct Log {
    name: String,
    /// Its path, if it is no journal.
    file: Option<String>,
    text: String,
    /// When it was last written, for lines without a time; in ms since the Unix epoch.
    changed_ms: Option<i64>,
}

fn read_files(subject: &Subject) -> (Vec<Log>, Vec<String>) {
    let mut logs = Vec::new();
    let mut unread = Vec::new();
    for path in subject.log_files.iter().filter(|it| it.exists()) {
        match tail::read(path, TAIL_BYTES) {
            Ok((text, _)) => logs.push(Log {
                name: path.display().to_string(),
                file: Some(path.display().to_string()),
                text,
                changed_ms: changed_ms(path),
            }),
            Err(error) => unread.push(format!("{}: {error}", path.display())),
        }
    }
    (logs, unread)
}

/// The last lines of each log file, not older than `age_ms_max`: what an agent that has ended said in them.
pub(super) fn last_words(subject: &Subject, now_ms: i64, age_ms_max: i64) -> Vec<String> {
    let (logs, _) = read_files(subject);
    let of_log = |log: &Log| {
        let lines = recent(log, now_ms, age_ms_max);
        let last = lines.len().saturating_sub(LAST_WORDS);
        let lines = lines.into_iter().skip(last).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    logs.iter().flat_map(of_log).collect()
}

fn changed_ms(path: &Path) -> Option<i64> {
    let changed = std::fs::metadata(path).and_then(|it| it.modified()).ok()?;
    let since_epoch = changed.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_millis()).ok()
}

/// Those of the last lines that are not older. A line without a time is as old as the one before it.
fn recent(log: &Log, now_ms: i64, age_ms_max: i64) -> Vec<&str> {
    let all: Vec<&str> = log.text.lines().collect();
    let first = all.len().saturating_sub(LINES_MAX);
    let last: Vec<&str> = all.into_iter().skip(first).collect();
    let zone_ms = zone_ms(&last, log.changed_ms, now_ms);
    let mut at = log.changed_ms;
    let is_recent = |line: &&str| {
        let stamp = tail::stamp(line, now_ms);
        let stamp = stamp.map(|it| it.ms - if it.is_zoned { 0 } else { zone_ms });
        at = stamp.or(at);
        at.is_some_and(|at| now_ms.saturating_sub(at) <= age_ms_max)
    };
    last.into_iter().filter(is_recent).collect()
}

/// What the log's own clock is ahead of UTC, where its lines do not say: the file was last changed when
/// its last line was written. Zones differ by quarters of an hour, at most by 14 h.
fn zone_ms(lines: &[&str], changed_ms: Option<i64>, now_ms: i64) -> i64 {
    const QUARTER_MS: i64 = 15 * 60_000;
    let last = lines.iter().rev().find_map(|it| tail::stamp(it, now_ms));
    let (Some(last), Some(changed_ms)) = (last.filter(|it| !it.is_zoned), changed_ms) else {
        return 0;
    };
    let ahead = last.ms.saturating_sub(changed_ms);
    let quarters = ahead.saturating_add(QUARTER_MS / 2).div_euclid(QUARTER_MS);
    if quarters.abs() <= 14 * 4 {
        quarters * QUARTER_MS
    } else {
        0
    }
}

fn judge(log: &Log, known: &[LogLine], now_ms: i64) -> Vec<Finding> {
    let lines = recent(log, now_ms, CRASH_AGE_MS_MAX);
    let shown = |line: &str| redact::redact(line).0;
    let found = |cause: Cause, evidence| {
        let summary = format!("{} ({})", cause.sentence().trim_end_matches('.'), log.name);
        let file = log.file.as_deref().map(|it| ("LOG", it));
        finding(cause, format!("{summary}."), evidence, file.as_slice())
    };
    let is_crash = |line: &&&str| CRASH_MARKS.iter().any(|mark| line.contains(mark));
    let crashes: Vec<&&str> = lines.iter().filter(is_crash).collect();
    let mut findings = Vec::new();
    if let Some(last) = crashes.last() {
        let count = format!(
            "such lines among the last {}: {}",
            lines.len(),
            crashes.len()
        );
        findings.push(found(Cause::LogShowsCrash, vec![shown(last), count]));
    }
    let lines = recent(log, now_ms, ERROR_AGE_MS_MAX);
    let errors: Vec<&str> = lines.iter().copied().filter(|it| is_error(it)).collect();
    if errors.len() >= ERRORS_MANY {
        let mut evidence = vec![format!(
            "{} errors in the last {} lines",
            errors.len(),
            lines.len()
        )];
        evidence.extend(
            commonest(&errors).map(|(count, line)| format!("{count} times: {}", shown(line))),
        );
        findings.push(found(Cause::LogShowsErrors, evidence));
    }
    for told in told(&lines, known) {
        let mut found = found(told.cause, told.evidence);
        found
            .known
            .extend(told.path.map(|it| ("PATH".to_owned(), it)));
        findings.push(found);
    }
    for (cause, line) in words::told(&lines) {
        findings.push(found(cause, vec![shown(line)]));
    }
    findings
}

/// What a line tells that the profile knows.
pub(super) struct Told {
    pub(super) cause: Cause,
    /// The last such line, what its words stood for, and what to do about it.
    pub(super) evidence: Vec<String>,
    /// The file or directory that it names.
    pub(super) path: Option<String>,
}

/// What the lines tell that the profile knows.
pub(super) fn told(lines: &[&str], known: &[LogLine]) -> Vec<Told> {
    let mut told = Vec::new();
    for row in known {
        let mut last = None;
        let mut count: usize = 0;
        for line in lines {
            if let Some(words) = row.pattern.find(line) {
                last = Some((line, words));
                count += 1;
            } else if row
                .cleared_by
                .as_ref()
                .is_some_and(|it| it.find(line).is_some())
            {
                last = None;
            }
        }
        if let Some((line, words)) = last {
            let mut evidence = vec![redact::redact(line).0];
            evidence.extend(
                words
                    .iter()
                    .map(|(name, it)| format!("{name}: {}", redact::redact(it).0)),
            );
            evidence.push(format!(
                "such lines among the last {}: {count}",
                lines.len()
            ));
            evidence.extend(row.hint.clone());
            let mut paths = words.iter().filter(|it| PATH_WORDS.contains(&it.0));
            told.push(Told {
                cause: row.cause,
                evidence,
                path: paths.next().map(|it| it.1.to_owned()),
            });
        }
    }
    told
}

/// Whether a line reports an error: by its level, not by a word in its text.
fn is_error(line: &str) -> bool {
    let by_word = line
        .split(|c: char| !c.is_ascii_alphanumeric())
        .take(24)
        .any(|word| matches!(word, "ERROR" | "FATAL" | "CRITICAL"));
    by_word
        || [
            "level=error",
            "level=fatal",
            "\"level\":\"error\"",
            "\"level\":\"ERROR\"",
            "[error]",
            " E! ",
        ]
        .iter()
        .any(|mark| line.contains(mark))
}

/// The commonest message, digits and times aside, with its last line.
fn commonest<'a>(lines: &[&'a str]) -> Option<(usize, &'a str)> {
    let mut counts: BTreeMap<String, (usize, &'a str)> = BTreeMap::new();
    for line in lines {
        let shape = line.chars().filter(|c| !c.is_ascii_digit()).collect();
        let entry = counts.entry(shape).or_insert((0, line));
        *entry = (entry.0 + 1, line);
    }
    counts.into_values().max_by_key(|(count, _)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-03-02T12:00:00Z";

    fn log(text: &str, fresh: bool) -> Log {
        let now = protocol::stamp::parse(NOW).unwrap();
        Log {
            name: "/var/log/sickbay/agent.log".into(),
            file: Some("/var/log/sickbay/agent.log".into()),
            text: text.into(),
            changed_ms: fresh.then_some(now),
        }
    }

    fn causes(text: &str, fresh: bool) -> Vec<Finding> {
        let now = protocol::stamp::parse(NOW).unwrap();
        judge(&log(text, fresh), &[], now)
    }

    #[test]
    fn a_crash_of_today_is_found_with_its_line() {
        let text = "2026-03-02T11:59:00Z  INFO agent: connected\n\
                    thread 'main' panicked at src/session.rs:42:9: token=abcdef\n";
        let found = causes(text, true);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].cause, 2801);
        assert_eq!(
            found[0].evidence[0],
            "thread 'main' panicked at src/session.rs:42:9: token=[redacted]"
        );
        assert_eq!(found[0].known["LOG"], "/var/log/sickbay/agent.log");
    }

    #[test]
    fn old_crashes_tell_of_the_past() {
        let old = "2026-02-01T11:59:00Z  INFO agent: connected\nthread 'main' panicked at x\n2026-03-02T10:00:00Z  INFO agent: started\n";
        assert!(causes(old, true).is_empty());
        assert!(causes("thread 'main' panicked at x\n", false).is_empty());
        assert!(!causes("thread 'main' panicked at x\n", true).is_empty());
    }

    #[test]
    fn many_errors_are_found_and_few_are_not() {
        let line = |at: usize| {
            format!(
                "2026-03-02T11:{at:02}:00Z ERROR agent::session: cannot connect, attempt {at}\n"
            )
        };
        let few: String = (0..19).map(line).collect();
        assert!(causes(&few, true).is_empty());
        let many: String = (0..25).map(line).collect();
        let found = causes(&many, true);
        assert_eq!(found[0].cause, 2802);
        assert_eq!(found[0].evidence[0], "25 errors in the last 25 lines");
        assert!(found[0].evidence[1].starts_with("25 times: 2026-03-02T11:24:00Z"));
    }

    #[test]
    fn what_a_log_says_in_local_time_is_as_old_as_its_file_shows() {
        let crash = "2026-03-02 20:30:00 x panicked at y\n";
        // Written at noon by a clock eight hours ahead: half an hour later than "now" is.
        let lines =
            format!("2026-03-02 13:00:00 panicked at old\n{crash}2026-03-02 20:00:00 fine\n");
        let log = log(&lines, true);
        let now = protocol::stamp::parse(NOW).unwrap();
        let hour_ago: Vec<&str> = recent(&log, now, ERROR_AGE_MS_MAX);
        assert_eq!(hour_ago.len(), 2, "{hour_ago:?}");
        assert_eq!(zone_ms(&["2026-03-02T20:00:00Z x"], Some(now), now), 0);
        assert_eq!(
            zone_ms(&["2026-02-20 20:00:00 x"], Some(now), now),
            0,
            "merely old"
        );
    }

    #[test]
    fn lines_that_the_profile_knows_tell_their_cause_until_the_fault_has_passed() {
        let known = [LogLine {
            pattern: "cannot reach {server}: refused".parse().unwrap(),
            cause: Cause::ConnectionRefused,
            cleared_by: Some("works again".parse().unwrap()),
            hint: None,
        }];
        let now = protocol::stamp::parse(NOW).unwrap();
        let fault = "2026-03-02T11:59:00Z E cannot reach a.example:1: refused\n";
        let found = judge(&log(&fault.repeat(2), true), &known, now);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].cause, Cause::ConnectionRefused.code());
        assert_eq!(found[0].evidence[1], "server: a.example:1");
        assert_eq!(found[0].evidence[2], "such lines among the last 2: 2");
        let passed = format!("{fault}2026-03-02T11:59:30Z I works again\n");
        assert!(judge(&log(&passed, true), &known, now).is_empty());
        let old = fault.replace("11:59", "09:59");
        assert!(judge(&log(&old, true), &known, now).is_empty());
    }

    #[test]
    fn errors_that_were_overcome_are_not_found() {
        let hours_ago = "2026-03-02T09:00:00Z ERROR agent::session: cannot connect\n".repeat(50);
        assert!(causes(&hours_ago, true).is_empty());
    }

    #[test]
    fn the_word_error_in_a_message_is_no_error() {
        for line in [
            "INFO finished with 0 errors",
            "2026 INFO error rate is 0",
            "level=info msg=\"no error\"",
        ] {
            assert!(!is_error(line), "{line}");
        }
        for line in [
            "[2026-03-02] [error] x",
            "{\"level\":\"error\"}",
            "time=x level=error msg=y",
            "host app[1]: ERROR x",
        ] {
            assert!(is_error(line), "{line}");
        }
    }

    #[test]
    fn a_broken_log_is_survived() {
        let samples = [
            "2026-03-02T11:59:00Z ERROR agent: cannot connect\nthread 'main' panicked at src/x.rs:4:9: token=abcdef\n",
            "Mar  2 11:59:00 host agent[7]: {\"level\":\"error\",\"msg\":\"x\"}\n",
            "modprobe: FATAL: Module falco not found\nsocket: Operation not permitted\n",
        ];
        crate::fuzz::text("logs", &samples, |it| drop(causes(it, true)));
    }
}
