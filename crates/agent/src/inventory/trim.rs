//! Makes a report fit into one answer by cutting its longest lists, and says so.

use model::AssetItem;
use model::limits::ANSWER_BYTES_MAX;
use protocol::answer::AssetReport;
use serde::Serialize;

/// Left for the rest of the answer, and for the lines that say what was cut, in bytes.
const RESERVE_BYTES: usize = 16 << 10;

/// Cuts the longest lists, in bytes of JSON, until the report fits.
pub(crate) fn fit(report: &mut AssetReport) {
    fit_into(report, ANSWER_BYTES_MAX - RESERVE_BYTES);
}

fn fit_into(report: &mut AssetReport, bytes_max: usize) {
    let before = lengths(report);
    loop {
        let excess = json_bytes(report).saturating_sub(bytes_max);
        let mut lists = lists(report);
        let longest = lists.iter_mut().max_by_key(|it| it.2.bytes());
        let Some((_, _, list)) = longest.filter(|it| excess > 0 && it.2.length() > 0) else {
            break;
        };
        // At most half at a time, so that the next longest gets its turn.
        let (bytes, length) = (list.bytes(), list.length());
        let kept = bytes.saturating_sub(excess).max(bytes / 2);
        list.shorten((length * kept / bytes).min(length - 1));
    }
    for ((item, name, before), (_, _, after)) in before.into_iter().zip(lengths(report)) {
        if after < before {
            report.partial.retain(|it| *it != item);
            report.partial.push(item);
            report.unread.push(format!(
                "{name}: {after} of {before} kept: the answer would be too long"
            ));
        }
    }
}

fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

fn lengths(report: &mut AssetReport) -> Vec<(AssetItem, &'static str, usize)> {
    let lists = lists(report);
    let lengths = lists
        .iter()
        .map(|(item, name, list)| (*item, *name, list.length()));
    lengths.collect()
}

fn lists(report: &mut AssetReport) -> [(AssetItem, &'static str, &mut dyn List); 7] {
    use AssetItem as Item;
    [
        (Item::Processes, "processes", &mut report.processes),
        (Item::Ports, "ports", &mut report.ports),
        (Item::Accounts, "accounts", &mut report.accounts),
        (Item::Packages, "packages", &mut report.packages),
        (Item::CronJobs, "cron jobs", &mut report.cron_jobs),
        (
            Item::KernelModules,
            "kernel modules",
            &mut report.kernel_modules,
        ),
        (Item::Autoruns, "autoruns", &mut report.autoruns),
    ]
}

trait List {
    /// Bytes of JSON.
    fn bytes(&self) -> usize;
    fn length(&self) -> usize;
    fn shorten(&mut self, length: usize);
}

impl<T: Serialize> List for Option<Vec<T>> {
    fn bytes(&self) -> usize {
        json_bytes(self)
    }

    fn length(&self) -> usize {
        self.as_ref().map_or(0, Vec::len)
    }

    fn shorten(&mut self, length: usize) {
        if let Some(list) = self {
            list.truncate(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::answer::{Autorun, KernelModule};

    use super::*;

    fn report() -> AssetReport {
        let module = KernelModule {
            name: "ext4".to_owned(),
            size_bytes: 1,
            used_by: Vec::new(),
        };
        let autorun = Autorun {
            kind: "systemd".to_owned(),
            path: "/etc/systemd/system/multi-user.target.wants/ssh.service".to_owned(),
            name: "ssh.service".to_owned(),
        };
        AssetReport {
            kernel_modules: Some(vec![module; 10]),
            autoruns: Some(vec![autorun; 1_000]),
            ..AssetReport::default()
        }
    }

    #[test]
    fn a_report_at_the_limit_is_whole_and_one_past_it_is_cut_and_says_so() {
        let bytes = json_bytes(&report());
        let mut fitting = report();
        fit_into(&mut fitting, bytes);
        assert_eq!(fitting, report());
        let mut cut = report();
        fit_into(&mut cut, bytes - 1);
        assert_eq!(cut.autoruns.as_ref().map(Vec::len), Some(999));
        assert_eq!(
            cut.unread,
            ["autoruns: 999 of 1000 kept: the answer would be too long"]
        );
        assert_eq!(cut.partial, [AssetItem::Autoruns]);
    }

    #[test]
    fn short_lists_survive_long_ones() {
        let mut cut = report();
        fit_into(&mut cut, 10_000);
        assert_eq!(cut.kernel_modules.as_ref().map(Vec::len), Some(10));
        cut.unread.clear();
        assert!(json_bytes(&cut) <= 10_000);
    }

    #[test]
    fn a_limit_that_nothing_fits_ends() {
        let mut cut = report();
        fit_into(&mut cut, 0);
        assert_eq!(cut.autoruns.as_ref().map(Vec::len), Some(0));
        assert_eq!(cut.unread.len(), 2);
    }
}
