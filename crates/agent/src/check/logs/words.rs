//! Lines that say the same whoever writes them: the words of the kernel's interfaces, of `modprobe` and
//! of the libraries that agents share.

use model::Cause;

/// Parts of one line, all in it, and what they tell.
const TOLD: [(&[&str], Cause); 11] = [
    // EDQUOT in the words of the C library, and in those of Go.
    (&["Disk quota exceeded"], Cause::QuotaExceeded),
    (&["disk quota exceeded"], Cause::QuotaExceeded),
    // kmod: modprobe.c
    (&["modprobe: FATAL: Module "], Cause::KernelModuleMissing),
    (
        &["modprobe: ERROR: could not insert "],
        Cause::KernelModuleMissing,
    ),
    // libbpf: "failed to find valid kernel BTF"; cilium/ebpf: "no BTF found for kernel version"
    (
        &["failed to find valid kernel BTF"],
        Cause::KernelModuleMissing,
    ),
    (&["no BTF found for kernel"], Cause::KernelModuleMissing),
    (
        &["iptables", "Table does not exist"],
        Cause::KernelModuleMissing,
    ),
    // audit-userspace: auditd.c; the kernel answers EEXIST where another process has the events.
    (
        &["Error setting audit daemon pid", "File exists"],
        Cause::AuditTaken,
    ),
    // go-libaudit: audit.go
    (
        &["failed to set audit PID", "already running"],
        Cause::AuditTaken,
    ),
    (
        &["failed to set audit PID", "file exists"],
        Cause::AuditTaken,
    ),
    // osquery: auditdnetlink.cpp
    (&["Failed to set the netlink owner"], Cause::AuditTaken),
];

/// What the newest of the lines tell, once for each cause, with the line.
pub(super) fn told<'a>(lines: &[&'a str]) -> Vec<(Cause, &'a str)> {
    let mut told: Vec<(Cause, &str)> = Vec::new();
    for line in lines.iter().rev() {
        let has = |parts: &&[&str]| parts.iter().all(|it| line.contains(it));
        let found = TOLD.iter().find(|(parts, _)| has(parts));
        if let Some((_, cause)) = found
            && !told.iter().any(|(other, _)| other == cause)
        {
            told.push((*cause, line));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_once_by_its_newest_line() {
        let lines = [
            "modprobe: FATAL: Module falco not found in directory /lib/modules/6.1.0",
            "modprobe: FATAL: Module falco not found in directory /lib/modules/6.1.1",
            "auditd: Error setting audit daemon pid (File exists)",
            "modprobe tried",
            "write /var/lib/x/q: disk quota exceeded",
        ];
        let told = told(&lines);
        assert_eq!(told[0], (Cause::QuotaExceeded, lines[4]));
        assert_eq!(told[1], (Cause::AuditTaken, lines[2]));
        assert_eq!(told[2], (Cause::KernelModuleMissing, lines[1]));
        assert_eq!(told.len(), 3);
    }
}
