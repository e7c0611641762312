//! What is on this host: facts, processes, ports, accounts, packages, jobs, modules, autoruns.
//!
//! Reads files and `/proc`; runs nothing but `rpm`, whose database has no format that we could read.
//! It changes nothing and never fails: what cannot be read is said in the report. Command lines are
//! redacted before they leave this module. Called by the session at every connect (facts) and for
//! asset tasks, and by the runner, which needs `/etc/passwd` and the process table too.

pub(crate) mod accounts;
mod autoruns;
mod cron;
mod libraries;
mod logins;
mod modules;
pub(crate) mod packages;
mod ports;
pub(crate) mod processes;
pub(crate) mod read;
mod sudo;
mod system;
mod trim;

pub use system::facts;
pub(crate) use trim::fit;

use std::{io, path::Path};

use model::AssetItem;
use protocol::answer::AssetReport;

use crate::progress::Progress;

/// Most entries of one list.
const ENTRIES_MAX: usize = 20_000;
/// Most lines that say what was not read.
const UNREAD_LINES_MAX: usize = 100;
/// Longest of these lines, in bytes.
const UNREAD_LINE_BYTES_MAX: usize = 300;

/// Collects the items. Blocking: call it where blocking is allowed. What cannot be read, or does
/// not fit into one answer, is said in `unread`. `progress` is told which item it is at.
#[must_use]
pub fn collect(items: &[AssetItem], progress: &Progress) -> AssetReport {
    let mut report = AssetReport::default();
    let mut unread = Unread::default();
    for (done, item) in items.iter().enumerate() {
        progress.at(done, items.len(), item.wire());
        unread.item = Some(*item);
        match item {
            AssetItem::System => report.system = Some(facts()),
            AssetItem::Accounts => report.accounts = Some(accounts::collect(&mut unread)),
            AssetItem::Ports => report.ports = Some(ports::collect(&mut unread)),
            AssetItem::Processes => report.processes = Some(processes::collect(&mut unread)),
            AssetItem::Packages => report.packages = Some(packages::collect(&mut unread)),
            AssetItem::CronJobs => report.cron_jobs = Some(cron::collect(&mut unread)),
            AssetItem::KernelModules => report.kernel_modules = Some(modules::collect(&mut unread)),
            AssetItem::Autoruns => report.autoruns = Some(autoruns::collect(&mut unread)),
        }
    }
    report.unread = unread.lines;
    report.partial = unread.partial;
    fit(&mut report);
    report
}

/// What could not be read, or was left out.
#[derive(Default)]
pub(crate) struct Unread {
    lines: Vec<String>,
    /// What is being collected.
    item: Option<AssetItem>,
    /// The lists in which something may be missing.
    partial: Vec<AssetItem>,
}

impl Unread {
    fn say(&mut self, line: &str) {
        if self.lines.len() < UNREAD_LINES_MAX {
            self.lines.push(read::clip(line, UNREAD_LINE_BYTES_MAX));
        }
    }

    /// Says why entries of the list may be missing.
    fn lacks(&mut self, line: &str) {
        self.say(line);
        let item = self.item.filter(|it| !self.partial.contains(it));
        self.partial.extend(item);
    }

    /// The text of a file that has entries; none, and a line that says so, if it cannot be read.
    fn text(&mut self, subject: &str, path: &Path) -> String {
        read::text(path).unwrap_or_else(|error| {
            self.failed(subject, path, &error);
            String::new()
        })
    }

    /// Likewise, of a file that only says more about the entries.
    fn more(&mut self, subject: &str, path: &Path) -> String {
        read::text(path).unwrap_or_else(|error| {
            self.say(&unreadable(subject, path, &error));
            String::new()
        })
    }

    /// Something that has entries cannot be read.
    fn failed(&mut self, subject: &str, path: &Path, error: &io::Error) {
        self.lacks(&unreadable(subject, path, error));
    }

    /// The list with at most [`ENTRIES_MAX`] entries.
    fn cap<T>(&mut self, subject: &str, mut list: Vec<T>) -> Vec<T> {
        if list.len() > ENTRIES_MAX {
            self.lacks(&format!("{subject}: {ENTRIES_MAX} of {} kept", list.len()));
            list.truncate(ENTRIES_MAX);
        }
        list
    }
}

fn unreadable(subject: &str, path: &Path, error: &io::Error) -> String {
    format!("{subject}: {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_processes_and_accounts_and_the_report_fits_an_answer() {
        let progress = Progress::default();
        let report = collect(&AssetItem::ALL, &progress);
        assert_eq!(progress.changes(), 8, "one for each item");
        let processes = report.processes.as_ref().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let own = processes.iter().find(|process| process.pid == own).unwrap();
        assert!(own.rss_bytes > 0 && own.started_ms > 1_500_000_000_000);
        assert!(own.path.starts_with('/') && !own.cmdline.is_empty());
        let accounts = report.accounts.as_ref().unwrap();
        assert!(accounts.iter().any(|account| account.uid == 0));
        let system = report.system.as_ref().unwrap();
        assert!(!system.kernel.is_empty() && system.cpu_count > 0 && system.memory_bytes > 0);
        let json = serde_json::to_vec(&report).unwrap();
        assert!(json.len() < model::limits::ANSWER_BYTES_MAX);
    }

    #[test]
    fn only_what_was_asked_for_is_collected() {
        let report = collect(
            &[AssetItem::Accounts, AssetItem::Accounts],
            &Progress::default(),
        );
        assert!(report.accounts.is_some());
        assert_eq!((report.processes, report.system), (None, None));
    }

    #[test]
    fn a_listening_socket_is_found_with_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        let ports = collect(&[AssetItem::Ports], &Progress::default())
            .ports
            .unwrap();
        let port = ports.iter().find(|port| port.port == number).unwrap();
        assert_eq!(
            (port.protocol.as_str(), port.address.as_str()),
            ("tcp", "127.0.0.1")
        );
        assert_eq!(port.pid, i32::try_from(std::process::id()).ok());
    }

    #[test]
    fn a_list_at_the_limit_is_whole_and_one_past_it_is_cut_and_said() {
        let mut unread = Unread {
            item: Some(AssetItem::Ports),
            ..Unread::default()
        };
        assert_eq!(unread.cap("x", vec![0; ENTRIES_MAX]).len(), ENTRIES_MAX);
        assert!(unread.lines.is_empty() && unread.partial.is_empty());
        assert_eq!(unread.cap("x", vec![0; ENTRIES_MAX + 1]).len(), ENTRIES_MAX);
        assert_eq!(unread.lines, ["x: 20000 of 20001 kept"]);
        assert_eq!(unread.partial, [AssetItem::Ports]);
    }

    #[test]
    fn only_what_has_entries_makes_a_list_partial_when_it_cannot_be_read() {
        let mut unread = Unread {
            item: Some(AssetItem::Accounts),
            ..Unread::default()
        };
        let nowhere = Path::new("/nowhere");
        assert_eq!(unread.more("accounts", nowhere), "");
        assert_eq!((unread.lines.len(), unread.partial.len()), (1, 0));
        for _ in 0..2 {
            assert_eq!(unread.text("accounts", nowhere), "");
        }
        assert_eq!(unread.partial, [AssetItem::Accounts]);
    }
}
