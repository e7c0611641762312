//! What a process of the agent may not do although it seems to run as root, and says that it misses.
//!
//! Many services give rights up on purpose, and containers never have all. So a missing capability is
//! named only beside the agent's own word that something was not permitted (capabilities(7)).

use model::Cause;
use protocol::answer::Finding;

use super::probe::finding;
use super::{Subject, procfs};

/// What the C library writes for EPERM, which is what a missing capability leads to.
const NOT_PERMITTED: &str = "operation not permitted";
/// Capabilities that agents need, by their bit (linux/capability.h).
const NEEDED: [(u32, &str); 9] = [
    (2, "CAP_DAC_READ_SEARCH"),
    (12, "CAP_NET_ADMIN"),
    (13, "CAP_NET_RAW"),
    (19, "CAP_SYS_PTRACE"),
    (21, "CAP_SYS_ADMIN"),
    (30, "CAP_AUDIT_CONTROL"),
    (37, "CAP_AUDIT_READ"),
    (38, "CAP_PERFMON"),
    (39, "CAP_BPF"),
];

/// `lines` are what the agent wrote of late.
pub(super) fn missing(lines: &[&str], subject: &Subject) -> Option<Finding> {
    let said = lines.iter().rev().find(|it| says_not_permitted(it))?;
    let pid = *procfs::agents(subject).first()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let last = procfs::number("/proc/sys/kernel/cap_last_cap")?;
    let lacks = lacking(&status, last)?;
    let cause = Cause::CapabilityMissing;
    let evidence = vec![
        super::redact::redact(said).0,
        format!("process {pid} is root without {}", lacks.join(", ")),
    ];
    let known = [("PID", &*pid.to_string())];
    Some(finding(cause, cause.sentence(), evidence, &known))
}

fn says_not_permitted(line: &str) -> bool {
    line.to_ascii_lowercase().contains(NOT_PERMITTED)
}

/// Those that root lacks, of those that this kernel knows; `None`: it lacks none, or is not root.
fn lacking(status: &str, last: u64) -> Option<Vec<&'static str>> {
    let field = |name: &str| status.lines().find_map(|it| it.strip_prefix(name));
    let uid = field("Uid:")?.split_whitespace().nth(1)?;
    if uid != "0" {
        return None;
    }
    let effective = u64::from_str_radix(field("CapEff:")?.trim(), 16).ok()?;
    let is_missing = |bit: u32| u64::from(bit) <= last && effective & (1 << bit) == 0;
    let lacks = NEEDED.iter().filter(|(bit, _)| is_missing(*bit));
    let lacks: Vec<&str> = lacks.map(|(_, name)| *name).collect();
    (!lacks.is_empty()).then_some(lacks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_without_a_capability_that_the_kernel_knows_lacks_it() {
        let status =
            |uid, effective| format!("Name:\tx\nUid:\t{uid}\t{uid}\t0\t0\nCapEff:\t{effective}\n");
        let all = "000001ffffffffff";
        assert_eq!(lacking(&status("0", all), 40), None);
        // CapabilityBoundingSet=~CAP_NET_ADMIN
        let without = "000001ffffffefff";
        assert_eq!(
            lacking(&status("0", without), 40).unwrap(),
            ["CAP_NET_ADMIN"]
        );
        assert_eq!(lacking(&status("998", without), 40), None, "it is not root");
        // An older kernel has no CAP_BPF, so nobody lacks it.
        assert_eq!(lacking(&status("0", "0000003fffffffff"), 37), None);
        assert_eq!(lacking("", 40), None);
    }

    #[test]
    fn nothing_is_missed_that_nobody_misses() {
        assert!(missing(&["open /etc/x: Permission denied"], &Subject::default()).is_none());
        assert!(says_not_permitted("socket: Operation not permitted"));
    }
}
