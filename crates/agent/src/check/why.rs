//! What a program's last words tell of why it could not run, whatever program it is: what the C library,
//! the kernel and the usual languages say. A path in such a line is looked at before it is believed.
//!
//! Called for a program that did not stay up, with what its last start wrote.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use model::Cause;
use protocol::answer::Finding;

use super::disk;
use super::probe::finding;
use super::redact;
use super::subject::Subject;

/// A limit of descriptors below this is too low for a daemon.
const DESCRIPTORS_FEW: u64 = 256;
/// What only a program says that cannot use its arguments or settings.
const BAD_ARGUMENTS: [&str; 8] = [
    "unknown long flag",
    "unknown short flag",
    "unknown flag:",
    "unknown shorthand flag",
    "flag provided but not defined",
    "unrecognized option '",
    "invalid option -- '",
    "unexpected argument '",
];
/// What is said when neither process nor thread can be made.
const NO_TASKS: [&str; 12] = [
    "pthread_create failed",
    "unable to create new native thread",
    "failed to spawn thread",
    "cannot create thread",
    "failed to create thread",
    "unable to create thread",
    "failed to create new os thread",
    "can't start new thread",
    "failed to fork",
    "cannot fork",
    "fork: retry",
    "fork: resource temporarily unavailable",
];

/// Lines that count at the end of what a program wrote.
const LINES_MAX: usize = 60;
/// How the list of what a crashed program was at begins.
const LISTINGS: [&str; 4] = [
    "runtime stack:",
    "goroutine ",
    "stack backtrace:",
    "Traceback (most recent call last)",
];
/// What a program says of a value that it cannot use.
const BAD_VALUES: [&str; 10] = [
    "missing port in address",
    "too many colons in address",
    "invalid port",
    "invalid value",
    "invalid argument value",
    "strconv.parse",
    "syntax error",
    "parse error",
    "error parsing",
    "cannot parse",
];
/// Words for what a program is set up with.
const SETTINGS: [&str; 6] = [
    "parameter",
    "configuration",
    "config file",
    "directive",
    "setting",
    "option",
];
/// How a line says that it is about a failure.
const FAILS: [&str; 6] = [
    "error",
    "fatal",
    "invalid",
    "unknown",
    "failed",
    "unsupported",
];
/// What such a line is about if one of these stands in it: something outside the settings.
const OUTSIDE: [&str; 11] = [
    "connect",
    "timed out",
    "timeout",
    "refused",
    "unreachable",
    "no such host",
    "certificate",
    "denied",
    "no such file",
    "no space",
    "memory",
];
/// Last lines in which a program that failed blames its settings.
const LAST_WORDS: usize = 12;

/// How the service manager's own lines begin or go on; what they tell, its codes tell better.
const OF_THE_MANAGER: [&str; 3] = [
    "Failed at step ",
    " locate executable ",
    "Failed to execute ",
];

/// Limits that the service manager set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// Processes and threads; `None`: without limit, or unknown.
    pub(super) tasks: Option<u64>,
    /// Open files.
    pub(super) descriptors: Option<u64>,
}

/// The causes that these lines tell, each once, by its last line.
pub(super) fn judge(lines: &[&str], subject: &Subject, limits: Limits) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for line in lines.iter().rev() {
        if let Some(found) = told(line, subject, limits)
            && !findings.iter().any(|it| it.cause == found.cause)
        {
            findings.push(found);
        }
    }
    findings
}

/// What a program that failed blames in its last lines where nothing more definite is told.
pub(super) fn blamed(lines: &[&str]) -> Option<Finding> {
    let last = lines.iter().rev().filter(|it| !is_of_manager(it));
    let line = last.take(LAST_WORDS).find(|it| blames_settings(it))?;
    let cause = Cause::ConfigurationInvalid;
    let shown = vec![redact::redact(line).0];
    Some(finding(cause, cause.sentence(), shown, &[]))
}

fn blames_settings(line: &str) -> bool {
    let lower = line.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|it| lower.contains(it));
    !has(&OUTSIDE) && (has(&BAD_VALUES) || has(&SETTINGS) && has(&FAILS))
}

/// Whether the service manager says it, and not the program.
fn is_of_manager(line: &str) -> bool {
    OF_THE_MANAGER.iter().any(|it| line.contains(it))
        || line
            .split(": ")
            .next()
            .is_some_and(|it| it.ends_with(".service"))
}

/// The lines that count of all that a program wrote: the last ones, and those before a crash began to
/// list what it was at, which may take hundreds of lines.
pub(super) fn telling<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let last = lines.len().saturating_sub(LINES_MAX);
    let begins = |it: &&str| LISTINGS.iter().any(|mark| it.starts_with(mark));
    let crash = lines.iter().position(begins).filter(|it| *it < last);
    let before = crash.map_or(0..0, |it| it.saturating_sub(LINES_MAX / 2)..it);
    let rest = lines.iter().skip(last.max(before.end));
    let before = lines.get(before).unwrap_or_default();
    before.iter().chain(rest).copied().collect()
}

fn told(line: &str, subject: &Subject, limits: Limits) -> Option<Finding> {
    if is_of_manager(line) {
        return None;
    }
    let lower = line.to_lowercase();
    let shown = vec![redact::redact(line).0];
    let found = |cause: Cause| Some(finding(cause, cause.sentence(), shown.clone(), &[]));
    if lower.contains("error while loading shared libraries:") {
        return found(Cause::LibraryMissing);
    }
    if lower.contains("address already in use") && !lower.contains(".sock") {
        return found(Cause::PortTaken);
    }
    if lower.contains("too many open files") {
        let is_low = limits.descriptors.is_some_and(|it| it < DESCRIPTORS_FEW);
        return found(if is_low {
            Cause::DescriptorLimitLow
        } else {
            Cause::AgentDescriptorsExhausted
        });
    }
    if NO_TASKS.iter().any(|it| lower.contains(it)) {
        return found(match limits.tasks {
            Some(_) => Cause::CgroupProcessLimit,
            None => Cause::ThreadsExhausted,
        });
    }
    if BAD_ARGUMENTS.iter().any(|it| lower.contains(it)) {
        return found(Cause::ConfigurationInvalid);
    }
    if is_place(&lower)
        && path_in(line).is_some_and(|it| subject.configs.iter().any(|config| config.path == it))
    {
        return found(Cause::ConfigurationInvalid);
    }
    if lower.contains("disk quota exceeded") {
        return found(Cause::QuotaExceeded);
    }
    if lower.contains("no space left on device") {
        return short(&path_in(line)?, shown);
    }
    if lower.contains("read-only file system") {
        return written_nowhere(&path_in(line)?, shown);
    }
    if lower.contains("is a directory") || lower.contains("not a directory") {
        return of_other_kind(&path_in(line)?, shown);
    }
    if lower.contains("permission denied") {
        return denied(&path_in(line)?, shown);
    }
    if lower.contains("no such file or directory") {
        return absent(&path_in(line)?, subject, shown);
    }
    None
}

/// Whether a line names a place in a file: `line 12`, `line: 12`.
fn is_place(lower: &str) -> bool {
    let mut parts = lower.split("line").skip(1);
    parts.any(|it| {
        let number = it.trim_start_matches([' ', ':']);
        number.len() < it.len() && number.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// The last path of a line, without what quotes or ends it.
fn path_in(line: &str) -> Option<PathBuf> {
    let is_end = |c: char| c.is_whitespace() || "\"'`()[]<>,;=".contains(c);
    let mut words = line.split(is_end).map(|it| it.trim_end_matches([':', '.']));
    let path = words.rfind(|it| it.starts_with('/') && it.len() > 1);
    path.map(PathBuf::from)
}

/// A disk without room, if it still has none.
fn short(path: &Path, shown: Vec<String>) -> Option<Finding> {
    let place = path.ancestors().find(|it| it.exists())?;
    let cause = disk::shortage(place)?;
    let path = path.display().to_string();
    Some(finding(cause, cause.sentence(), shown, &[("PATH", &path)]))
}

/// The service may see another file system there than the host: its unit can make one read-only for it.
fn written_nowhere(path: &Path, mut shown: Vec<String>) -> Option<Finding> {
    let is_writable = disk::is_read_only(path) == Some(false);
    shown.extend(is_writable.then(|| {
        "it may be written elsewhere on this host: the unit makes it read-only for the service \
         (ReadOnlyPaths=, ProtectSystem=)"
            .to_owned()
    }));
    let path = path.display().to_string();
    let summary = format!("The agent may not write {path}: it is mounted read-only for it.");
    let cause = Cause::MountReadOnly;
    Some(finding(cause, summary, shown, &[("PATH", &path)]))
}

/// A directory where a file should be, or the other way round.
fn of_other_kind(path: &Path, shown: Vec<String>) -> Option<Finding> {
    let above = path.ancestors().skip(1).find(|it| it.exists())?;
    (path.is_dir() || path.exists() || !above.is_dir()).then(|| {
        let path = path.display().to_string();
        let summary =
            format!("The agent cannot use {path}: it is a directory, or lies in no directory.");
        finding(Cause::PathNotAccessible, summary, shown, &[("PATH", &path)])
    })
}

fn denied(path: &Path, shown: Vec<String>) -> Option<Finding> {
    // Devices and the kernel's files are matters of rights, not of modes.
    let is_file = !["/proc", "/sys", "/dev"]
        .iter()
        .any(|it| path.starts_with(it));
    is_file.then(|| {
        let path = path.display().to_string();
        let summary = format!("The agent may not use {path}.");
        finding(Cause::PathNotAccessible, summary, shown, &[("PATH", &path)])
    })
}

fn absent(path: &Path, subject: &Subject, shown: Vec<String>) -> Option<Finding> {
    let is_gone =
        |it: &Path| std::fs::metadata(it).is_err_and(|it| it.kind() == ErrorKind::NotFound);
    if !is_gone(path) {
        return None;
    }
    let parent = path.parent().filter(|it| is_gone(it));
    let is_config = subject.configs.iter().any(|it| it.path == path);
    let (cause, path) = match parent {
        _ if is_config => (Cause::ConfigurationMissing, path),
        _ if path.starts_with("/etc") => (Cause::ConfigurationNamesMissingFile, path),
        Some(parent) => (Cause::PathMissing, parent),
        None => (Cause::PathMissing, path),
    };
    let path = path.display().to_string();
    let summary = format!("{} ({path})", cause.sentence().trim_end_matches('.'));
    let known = [("PATH", &*path)];
    Some(finding(cause, format!("{summary}."), shown, &known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(line: &str) -> Option<Cause> {
        let limits = Limits {
            tasks: Some(20),
            descriptors: Some(1_024),
        };
        let found = judge(&[line], &Subject::default(), limits);
        found.first().and_then(|it| Cause::find(it.cause))
    }

    #[test]
    fn last_words_tell_their_cause() {
        for (line, expected) in [
            (
                "/usr/sbin/x: error while loading shared libraries: libz.so.1: cannot open shared object file: No such file or directory",
                Cause::LibraryMissing,
            ),
            (
                "listen tcp :9100: bind: address already in use",
                Cause::PortTaken,
            ),
            (
                "prometheus-node-exporter: error: unknown long flag '--collector.disk', try --help",
                Cause::ConfigurationInvalid,
            ),
            (
                "runtime: failed to create new OS thread (have 2 already; errno=11)",
                Cause::CgroupProcessLimit,
            ),
            (
                "unable to open log file [/tmp]: [21] Is a directory",
                Cause::PathNotAccessible,
            ),
            (
                "open /tmp/x.log: read-only file system",
                Cause::MountReadOnly,
            ),
            (
                "accept: Too many open files",
                Cause::AgentDescriptorsExhausted,
            ),
            (
                "open /etc/exporter/web.yml: permission denied",
                Cause::PathNotAccessible,
            ),
            (
                "zabbix_agentd [7]: cannot create PID file [/nonexistent/run/x.pid]: [2] No such file or directory",
                Cause::PathMissing,
            ),
            (
                "cannot open \"/etc/nonexistent9/site.conf\": [2] No such file or directory",
                Cause::ConfigurationNamesMissingFile,
            ),
            (
                "write /var/lib/x/state: Disk quota exceeded (os error 122)",
                Cause::QuotaExceeded,
            ),
        ] {
            assert_eq!(cause(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn lines_that_prove_nothing_tell_nothing() {
        for line in [
            "started",
            "open /etc/passwd: no such file or directory",
            "connect: permission denied",
            "open /proc/kcore: permission denied",
            "bind /run/x.sock: address already in use",
            "write /proc/x: no space left on device",
            "inotify_add_watch: no space left on device",
            "x.service: Failed at step EXEC spawning /opt/x: Permission denied",
            "x.service: Unable to locate executable '/nonexistent/x': No such file or directory",
        ] {
            assert_eq!(cause(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_that_names_a_place_in_the_configuration_finds_fault_with_it() {
        let config = crate::check::subject::ConfigFile {
            path: "/etc/x.conf".into(),
            format: crate::check::settings::Format::None,
            required: true,
            check: None,
            check_as_root: false,
        };
        let subject = Subject {
            configs: vec![config],
            ..Subject::default()
        };
        let found = |line: &str| !judge(&[line], &subject, Limits::default()).is_empty();
        assert!(found(
            "unknown parameter \"A\" in config file \"/etc/x.conf\", line 3"
        ));
        assert!(found(
            "Parse error in file `/etc/x.conf', line 190 near `<newline>'"
        ));
        assert!(!found("reading /etc/x.conf"));
        assert!(!found("error in /etc/y.conf, line 3"));
    }

    #[test]
    fn a_program_that_failed_may_blame_its_settings() {
        for line in [
            "x: ERROR: parameter \"A\" is defined, but \"B\" is not defined",
            "level=error err=\"listen tcp: address 9100: missing port in address\"",
            "fatal: unknown option --x",
        ] {
            let found = blamed(&[line, "x.service: Failed with result 'exit-code'."]);
            assert_eq!(
                found.unwrap().cause,
                Cause::ConfigurationInvalid.code(),
                "{line}"
            );
        }
        for line in [
            "INFO configuration read",
            "error: cannot load the configuration: connection refused",
            "x.service: Failed to parse the configuration",
        ] {
            assert!(blamed(&[line]).is_none(), "{line}");
        }
    }

    #[test]
    fn what_was_said_before_a_crash_listed_what_it_was_at_counts() {
        let trace = vec!["\t/usr/lib/go/x.go:1"; 500];
        let lines = [vec!["old"; 200], vec!["why", "goroutine 1:"], trace].concat();
        let told = telling(&lines);
        assert!(told.contains(&"why") && told.len() < 100, "{}", told.len());
        assert_eq!(telling(&["a", "goroutine 1:"]).len(), 2);
    }

    #[test]
    fn the_path_of_a_line_is_found_whatever_quotes_it() {
        let path = |line| path_in(line).unwrap_or_default().display().to_string();
        assert_eq!(
            path("cannot open \"/var/log/a.log\": [13] Permission denied"),
            "/var/log/a.log"
        );
        assert_eq!(path("open /a/b.yml: no such file"), "/a/b.yml");
        assert_eq!(path("file [/run/x.pid]: no"), "/run/x.pid");
        assert_eq!(path("nothing / here"), "");
    }
}
