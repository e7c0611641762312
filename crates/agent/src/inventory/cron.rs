//! Jobs of cron: `/etc/crontab`, `/etc/cron.d`, the users' tables and the folders of scripts
//! (crontab(5)).

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use protocol::answer::CronJob;

use super::{Unread, read};
use crate::check::redact::redact;

const SUBJECT: &str = "cron jobs";
const COMMAND_BYTES_MAX: usize = 1 << 10;
const FIELD_BYTES_MAX: usize = 256;
/// Tables of users, each named by its user: Debian, Red Hat, Alpine.
const USER_TABLES: [&str; 3] = [
    "/var/spool/cron/crontabs",
    "/var/spool/cron",
    "/etc/crontabs",
];

pub(super) fn collect(unread: &mut Unread) -> Vec<CronJob> {
    let mut jobs = Vec::new();
    // Some of these folders are links to others.
    let mut seen = BTreeSet::new();
    let mut tables = vec![PathBuf::from("/etc/crontab")];
    tables.extend(files(Path::new("/etc/cron.d"), unread));
    for path in tables {
        read_table(&path, None, &mut seen, &mut jobs, unread);
    }
    for path in USER_TABLES
        .iter()
        .flat_map(|folder| files(Path::new(folder), unread))
        .collect::<Vec<_>>()
    {
        let user = read::file_name(&path);
        read_table(&path, Some(&user), &mut seen, &mut jobs, unread);
    }
    for period in ["hourly", "daily", "weekly", "monthly"] {
        let folder = format!("/etc/cron.{period}");
        for path in files(Path::new(&folder), unread) {
            jobs.push(CronJob {
                file: clip_path(&path),
                schedule: format!("@{period}"),
                user: "root".to_owned(),
                command: clip_path(&path),
            });
        }
    }
    unread.cap(SUBJECT, jobs)
}

/// The plain files of a folder, without hidden ones. That there is no such folder is no fault.
fn files(folder: &Path, unread: &mut Unread) -> Vec<PathBuf> {
    let mut paths = read::folder(folder).unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            unread.failed(SUBJECT, folder, &error);
        }
        Vec::new()
    });
    paths.retain(|path| path.is_file() && !read::file_name(path).starts_with('.'));
    paths
}

fn read_table(
    path: &Path,
    user: Option<&str>,
    seen: &mut BTreeSet<PathBuf>,
    jobs: &mut Vec<CronJob>,
    unread: &mut Unread,
) {
    if seen.insert(path.canonicalize().unwrap_or_else(|_| path.to_owned())) {
        match read::text(path) {
            Ok(text) => jobs.extend(parse(&clip_path(path), user, &text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => unread.failed(SUBJECT, path, &error),
        }
    }
}

fn clip_path(path: &Path) -> String {
    read::clip(&path.to_string_lossy(), FIELD_BYTES_MAX)
}

/// The jobs of a table; `user` is `None` where each line names its user.
fn parse(file: &str, user: Option<&str>, text: &str) -> Vec<CronJob> {
    text.lines()
        .filter_map(|line| parse_line(file, user, line.trim()))
        .collect()
}

fn parse_line(file: &str, user: Option<&str>, line: &str) -> Option<CronJob> {
    // A leading `-` asks some crons not to log the job.
    let line = line.strip_prefix('-').unwrap_or(line);
    // Comments, and settings such as `MAILTO=root`: a minute begins otherwise.
    if !line.starts_with(|sign: char| sign.is_ascii_digit() || "*@~".contains(sign)) {
        return None;
    }
    let fields = if line.starts_with('@') { 1 } else { 5 };
    let (schedule, rest) = split_fields(line, fields)?;
    let (user, command) = match user {
        Some(user) => (user.to_owned(), rest),
        None => split_fields(rest, 1)?,
    };
    (!command.is_empty()).then(|| CronJob {
        file: file.to_owned(),
        schedule: read::clip(&schedule, FIELD_BYTES_MAX),
        user: read::clip(&user, FIELD_BYTES_MAX),
        command: read::clip(&redact(command).0, COMMAND_BYTES_MAX),
    })
}

/// The first `count` words, with one space between them, and what follows.
fn split_fields(text: &str, count: usize) -> Option<(String, &str)> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    for _ in 0..count {
        let (word, tail) = rest.split_once(|sign: char| sign.is_ascii_whitespace())?;
        words.push(word);
        rest = tail.trim_start();
    }
    Some((words.join(" "), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(user: Option<&str>, text: &str) -> Vec<String> {
        let show = |it: CronJob| format!("{} | {} | {}", it.schedule, it.user, it.command);
        parse("f", user, text).into_iter().map(show).collect()
    }

    #[test]
    fn the_systems_table_names_its_users() {
        let text = "\
# m h dom mon dow user command
SHELL=/bin/sh
MAILTO = root
17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly
@reboot  www-data /usr/bin/warm   up
*/5 * * * *
-0 1 * * 7 root /usr/bin/quiet
";
        assert_eq!(
            shown(None, text),
            [
                "17 * * * * | root | cd / && run-parts --report /etc/cron.hourly",
                "@reboot | www-data | /usr/bin/warm   up",
                "0 1 * * 7 | root | /usr/bin/quiet",
            ]
        );
    }

    #[test]
    fn a_users_table_does_not() {
        assert_eq!(
            shown(Some("ada"), "0 3 * * 1-5 root of all=1\n"),
            ["0 3 * * 1-5 | ada | root of all=1"]
        );
    }

    #[test]
    fn secrets_in_a_job_do_not_leave_the_host() {
        let jobs = shown(Some("ada"), "@daily curl -H token=hunter2 localhost\n");
        assert_eq!(jobs.len(), 1);
        assert!(!jobs[0].contains("hunter2"), "{}", jobs[0]);
    }

    #[test]
    fn broken_tables_are_survived() {
        let sample = "SHELL=/bin/sh\n17 * * * * root cd / && run-parts --report /etc/cron.hourly\n@daily root x\n";
        crate::fuzz::text("cron", &[sample], |it| {
            drop((parse("/etc/crontab", None, it), parse("x", Some("y"), it)));
        });
    }
}
