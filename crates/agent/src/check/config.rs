//! Can the agent's configuration be used? Its form is looked at here, its meaning by the vendor's own
//! check, where the profile names one: with a time limit, and without privileges unless it needs them.

use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use model::Cause;
use protocol::answer::Finding;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::probe::{Verdict, finding};
use super::settings::{self, Format};
use super::subject::{ConfigFile, Subject};
use super::{Context, command, logs, procfs, reading, redact, why};
use crate::policy::{self, Policy};

/// Files that the vendor's check is run on.
const CHECKS_MAX: usize = 4;
/// Time for one check, by mode, in ms.
const CHECK_MS_STANDARD: u64 = 2_500;
/// See [`CHECK_MS_STANDARD`].
const CHECK_MS_DEEP: u64 = 15_000;
/// Most that is read of a file or of what a check says, in bytes.
const BYTES_MAX: u64 = 1 << 20;
/// Last lines of a check that are shown.
const SHOWN_MAX: usize = 5;
/// The user that is nobody, where the agent's own user does not exist.
const NOBODY: u32 = 65_534;
/// What a program says that was called in a way it does not know: an older or newer version.
const NOT_UNDERSTOOD: [&str; 8] = [
    "invalid option",
    "unrecognized option",
    "unknown option",
    "unknown flag",
    "unknown shorthand",
    "unknown command",
    "not defined: -",
    "illegal option",
];

/// Form, and the vendor's own check.
pub(super) async fn probe(context: Arc<Context>) -> Verdict {
    let subject = &context.subject;
    if subject.configs.is_empty() {
        return Verdict::skipped("no configuration file of it is known here");
    }
    let reading = Arc::clone(&context);
    let read = tokio::task::spawn_blocking(move || forms(&reading.subject)).await;
    let (mut notes, mut findings) = read.unwrap_or_default();
    let limit_ms = if context.deep {
        CHECK_MS_DEEP
    } else {
        CHECK_MS_STANDARD
    };
    let checked = subject
        .configs
        .iter()
        .filter(|it| it.check.is_some() && it.path.exists());
    let checks = checked
        .take(CHECKS_MAX)
        .map(|it| check(subject, it, limit_ms));
    for result in futures_util::future::join_all(checks).await {
        match result {
            Ok(note) => notes.push(note),
            Err(found) => findings.push(found),
        }
    }
    Verdict::of(notes.join("; "), findings)
}

fn forms(subject: &Subject) -> (Vec<String>, Vec<Finding>) {
    let running = !procfs::agents(subject).is_empty();
    let mut notes = Vec::new();
    let mut findings = Vec::new();
    for config in &subject.configs {
        let judged = match config.format {
            Format::Policy => judge_policy(&config.path, Policy::load(&config.path), running),
            _ => judge_form(config, read(&config.path), running),
        };
        match judged {
            Ok(note) => notes.push(note),
            Err(found) => findings.push(found),
        }
    }
    (notes, findings)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    reading::file(path)?
        .take(BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unusable(path: &Path, evidence: Vec<String>) -> Finding {
    let summary = format!("The configuration {} cannot be used.", path.display());
    finding(Cause::ConfigurationInvalid, summary, evidence, &[])
}

fn judge_form(
    config: &ConfigFile,
    read: io::Result<String>,
    running: bool,
) -> Result<String, Finding> {
    let shown = config.path.display();
    match read {
        // What runs has found what it needs.
        Err(error) if error.kind() == ErrorKind::NotFound && config.required && !running => {
            let cause = Cause::ConfigurationMissing;
            let evidence = vec![format!("there is no file {shown}")];
            let path = shown.to_string();
            let known = [("CONFIG", path.as_str()), ("PATH", path.as_str())];
            Err(finding(cause, cause.sentence(), evidence, &known))
        }
        // The agent's user may be allowed what we are not.
        Err(error) => Ok(format!("{shown} cannot be read: {error}")),
        Ok(text) => match settings::read(config.format, &text) {
            Ok(_) => Ok(format!("configuration {shown}")),
            Err(fault) => {
                let (why, _) = redact::redact(&fault.to_string());
                Err(unusable(&config.path, vec![format!("{shown}, {why}")]))
            }
        },
    }
}

fn judge_policy(
    path: &Path,
    loaded: Result<Policy, policy::Error>,
    running: bool,
) -> Result<String, Finding> {
    let shown = path.display();
    match loaded {
        Ok(_) => Ok(format!("configuration {shown} is valid, or absent")),
        // The agent's user may be allowed what we are not.
        Err(policy::Error::Unreadable(_, error)) if error.kind() == ErrorKind::PermissionDenied => {
            Ok(format!("{shown} may not be read by this user"))
        }
        // Of its owner the agent is the judge, and it has started with it.
        Err(policy::Error::Unsafe { what, .. }) if running => Ok(format!("{shown}: {what}")),
        Err(error) => {
            let (why, _) = redact::redact(&super::chain(&error));
            Err(unusable(path, vec![why]))
        }
    }
}

/// How a vendor's check ended.
struct Ended {
    is_well: bool,
    said: String,
    as_root: bool,
}

async fn check(subject: &Subject, config: &ConfigFile, limit_ms: u64) -> Result<String, Finding> {
    let words = config.check.as_deref().unwrap_or_default();
    let line = words.join(" ");
    let running = run(subject, config, words);
    match tokio::time::timeout(Duration::from_millis(limit_ms), running).await {
        Ok(Ok(ended)) => judge_check(subject, &config.path, &line, &ended),
        Ok(Err(error)) => Ok(format!("`{line}` cannot be run: {error}")),
        Err(_) => Ok(format!("`{line}` did not finish within {limit_ms} ms")),
    }
}

/// Runs the check in `/`, with a minimal environment. It is killed when nobody waits for it any more.
async fn run(subject: &Subject, config: &ConfigFile, words: &[String]) -> io::Result<Ended> {
    let [program, arguments @ ..] = words else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C")])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let is_root = rustix::process::geteuid().is_root();
    let as_root = is_root && config.check_as_root;
    if is_root && !as_root {
        let (uid, gid) = user_of(subject);
        // Groups of root are given up with it.
        command.uid(uid).gid(gid);
    }
    let mut child = command.spawn()?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (from_out, from_err) = tokio::join!(
        async {
            match stdout {
                Some(it) => it.take(BYTES_MAX).read_to_end(&mut out).await,
                None => Ok(0),
            }
        },
        async {
            match stderr {
                Some(it) => it.take(BYTES_MAX).read_to_end(&mut err).await,
                None => Ok(0),
            }
        },
    );
    from_out.and(from_err)?;
    let status = child.wait().await?;
    out.push(b'\n');
    out.append(&mut err);
    Ok(Ended {
        is_well: status.success(),
        said: String::from_utf8_lossy(&out).into_owned(),
        as_root,
    })
}

/// User and group of the agent's first user that exists, or nobody.
fn user_of(subject: &Subject) -> (u32, u32) {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |name: &String| {
        let line = accounts
            .lines()
            .find(|it| it.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = subject
        .users
        .iter()
        .find_map(of)
        .filter(|(uid, _)| *uid != 0);
    found.unwrap_or((NOBODY, NOBODY))
}

fn judge_check(
    subject: &Subject,
    path: &Path,
    line: &str,
    ended: &Ended,
) -> Result<String, Finding> {
    // What the program cannot do for another reason is no verdict on the configuration; and some only say
    // what is wrong, and end well.
    let said: Vec<&str> = ended.said.lines().collect();
    let first = said
        .iter()
        .find_map(|it| logs::told(&[it], &subject.log_lines).pop());
    if let Some(told) = first {
        return judge_told(line, told);
    }
    if ended.is_well {
        return Ok(format!("`{line}` finds no fault"));
    }
    let says = |mark: &&str| ended.said.to_lowercase().contains(*mark);
    if NOT_UNDERSTOOD.iter().any(&says) {
        return Ok(format!("`{line}`: this version has no such check"));
    }
    // Without root it may be refused what the agent may read.
    if !ended.as_root
        && ["permission denied", "not permitted", "must be root"]
            .iter()
            .any(&says)
    {
        return Ok(format!("`{line}` needs more rights"));
    }
    let cannot_begin = [
        Cause::LibraryMissing,
        Cause::PortTaken,
        Cause::ThreadsExhausted,
    ];
    let begun = why::judge(&said, subject, why::Limits::default());
    let mut causes = begun.into_iter();
    if let Some(found) = causes.find(|it| cannot_begin.iter().any(|own| own.code() == it.cause)) {
        return Err(found);
    }
    let (said, _) = redact::redact(&ended.said);
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    let last = lines.len().saturating_sub(SHOWN_MAX);
    let mut evidence = vec![format!("`{line}` finds a fault:")];
    evidence.extend(lines.into_iter().skip(last).map(str::to_owned));
    Err(unusable(path, evidence))
}

/// What the check says that the profile knows.
fn judge_told(line: &str, told: logs::Told) -> Result<String, Finding> {
    // systemd makes such directories when it starts the service, and removes them when it stops.
    let is_made_at_start = |it: &str| it.starts_with("/run/") || it.starts_with("/var/run/");
    let path = told.path.as_deref().unwrap_or_default();
    if told.cause == Cause::PathMissing && is_made_at_start(path) && command::systemd_runs() {
        return Ok(format!(
            "`{line}` needs {path}, which is there while it runs"
        ));
    }
    let mut evidence = vec![format!("`{line}` says:")];
    evidence.extend(told.evidence);
    let summary = match path {
        "" => told.cause.sentence().to_owned(),
        path => format!("{} ({path}).", told.cause.sentence().trim_end_matches('.')),
    };
    let known: Vec<(&str, &str)> = told.path.iter().map(|it| ("PATH", &**it)).collect();
    Err(finding(told.cause, summary, evidence, &known))
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    #[test]
    fn a_faulty_configuration_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        let judge = |running| judge_policy(&path, Policy::load(&path), running);
        assert!(judge(false).is_ok(), "absent means defaults");
        std::fs::write(&path, "\nb = = 2\n").unwrap();
        let found = judge(true).unwrap_err();
        assert_eq!(found.cause, Cause::ConfigurationInvalid.code());
        assert!(found.evidence[0].contains("line 2"), "{:?}", found.evidence);
        let denied = Error::from(ErrorKind::PermissionDenied);
        let unreadable = policy::Error::Unreadable(path.clone(), denied);
        assert!(judge_policy(&path, Err(unreadable), false).is_ok());
    }

    #[test]
    fn a_configuration_that_others_may_change_stops_the_agent() {
        let open = || policy::Error::Unsafe {
            path: "/p".into(),
            what: "its mode is 0666".into(),
        };
        assert!(judge_policy(Path::new("/p"), Err(open()), false).is_err());
        assert!(judge_policy(Path::new("/p"), Err(open()), true).is_ok());
    }

    fn config(path: &Path, format: Format) -> ConfigFile {
        ConfigFile {
            path: path.to_owned(),
            format,
            required: true,
            check: None,
            check_as_root: false,
        }
    }

    #[test]
    fn a_file_that_is_not_of_its_form_is_found_with_its_line() {
        let config = config(Path::new("/etc/x.toml"), Format::Toml);
        let judge = |text: &str| judge_form(&config, Ok(text.to_owned()), true);
        assert!(judge("a = 1\n").is_ok());
        let found = judge("a = 1\nb = [\n").unwrap_err();
        assert_eq!(found.cause, Cause::ConfigurationInvalid.code());
        assert!(
            found.evidence[0].contains("/etc/x.toml, line"),
            "{:?}",
            found.evidence
        );
        let absent = || Err(Error::from(ErrorKind::NotFound));
        assert!(
            judge_form(&config, absent(), true).is_ok(),
            "what runs has what it needs"
        );
        let missing = judge_form(&config, absent(), false).unwrap_err();
        assert_eq!(missing.cause, Cause::ConfigurationMissing.code());
        assert!(judge_form(&config, Err(ErrorKind::PermissionDenied.into()), false).is_ok());
    }

    #[test]
    fn only_a_check_that_was_understood_and_allowed_finds_faults() {
        let path = Path::new("/etc/x.conf");
        let judge = |said: &str, as_root| {
            let ended = Ended {
                is_well: false,
                said: said.to_owned(),
                as_root,
            };
            judge_check(&Subject::default(), path, "/usr/sbin/x -t", &ended)
        };
        let found = judge("x: line 3: bad word\n", false).unwrap_err();
        assert_eq!(found.evidence[1], "x: line 3: bad word");
        assert!(judge("x: invalid option -- 'T'", false).is_ok());
        assert!(judge("open /etc/x.conf: Permission denied", false).is_ok());
        assert!(judge("open /etc/x.conf: Permission denied", true).is_err());
    }

    /// Where what the program lacks is known by its words, its check is no verdict on its configuration.
    #[test]
    fn what_a_check_misses_elsewhere_is_no_fault_of_the_configuration() {
        let profiles = crate::check::profile::Profiles::load("/nonexistent".as_ref());
        let known = profiles.find("sshd").unwrap();
        let subject = Subject {
            log_lines: known.profile.log_lines.clone(),
            ..Subject::default()
        };
        let judge = |said: &str| {
            let ended = Ended {
                is_well: false,
                said: said.to_owned(),
                as_root: true,
            };
            judge_check(
                &subject,
                Path::new("/etc/ssh/sshd_config"),
                "sshd -t",
                &ended,
            )
        };
        let directory = judge("Missing privilege separation directory: /run/sshd\n");
        match directory {
            Ok(note) => assert!(command::systemd_runs(), "{note}"),
            Err(found) => {
                assert_eq!(found.cause, Cause::PathMissing.code());
                assert_eq!(found.known["PATH"], "/run/sshd");
            }
        }
        let keys = judge("sshd: no hostkeys available -- exiting.\n").unwrap_err();
        assert_eq!(keys.cause, Cause::ConfigurationNamesMissingFile.code());
        assert!(keys.evidence.iter().any(|it| it.contains("ssh-keygen -A")));
        let open = judge(
            "Permissions 0644 for '/etc/ssh/ssh_host_rsa_key' are too open.\nsshd: no hostkeys available -- exiting.\n",
        );
        assert_eq!(open.unwrap_err().cause, Cause::PathExposed.code());
        let value = judge("/etc/ssh/sshd_config line 9: unsupported option \"maybe\".\n");
        assert_eq!(value.unwrap_err().cause, Cause::ConfigurationInvalid.code());
    }

    #[tokio::test]
    async fn the_vendors_check_is_run_on_the_file() {
        let subject = Subject::default();
        let mut config = config(Path::new("/etc/passwd"), Format::None);
        let words = |list: &[&str]| Some(list.iter().map(|it| (*it).to_owned()).collect());
        config.check = words(&["/bin/sh", "-c", "echo fault at 3 >&2; exit 1", "x"]);
        let found = check(&subject, &config, 60_000).await.unwrap_err();
        assert_eq!(found.evidence[1], "fault at 3");
        config.check = words(&["/bin/true"]);
        assert!(check(&subject, &config, 60_000).await.is_ok());
        config.check = words(&["/nonexistent/x"]);
        let note = check(&subject, &config, 60_000).await.unwrap();
        assert!(note.contains("cannot be run"), "{note}");
        config.check = words(&["/bin/sleep", "1000"]);
        let note = check(&subject, &config, 1).await.unwrap();
        assert!(note.contains("did not finish"), "{note}");
    }
}
