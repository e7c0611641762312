//! Who the host says it is: its machine id and its name. Reads files only; where nothing gives a machine
//! id its meaning (a container without an init) there is nothing to be found.

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::{Context, command, procfs};

const MACHINE_ID: &str = "/etc/machine-id";
/// systemd may still be giving the host its id before, in seconds (machine-id(5): first boot).
const BOOT_SECONDS: u64 = 600;
/// An id that somebody typed: hosts that have it did not make it.
const TYPED: &str = "0123456789abcdef0123456789abcdef";
/// Names that say no more than "this host" (hostname(5) and the defaults of kernel and systemd).
const DEFAULT_NAMES: [&str; 4] = [
    "localhost",
    "localhost.localdomain",
    "localhost.local",
    "(none)",
];

/// The machine id, and the name that the kernel knows.
pub(super) fn probe(_: &Context) -> Verdict {
    let is_booted =
        command::systemd_runs() && procfs::uptime_seconds().is_some_and(|it| it > BOOT_SECONDS);
    let id = std::fs::read_to_string(MACHINE_ID);
    let id = id.as_deref().map_err(std::io::Error::kind);
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let findings = [judge_id(id, is_booted), judge_name(name, is_booted)];
    let note = format!("named {name}");
    Verdict::of(note, findings.into_iter().flatten().collect())
}

fn judge_id(read: Result<&str, std::io::ErrorKind>, is_booted: bool) -> Option<Finding> {
    let found = |cause: Cause, evidence: String| {
        let known = [("PATH", MACHINE_ID)];
        finding(cause, cause.sentence(), vec![evidence], &known)
    };
    let invalid = |what: &str| {
        let evidence = format!("{MACHINE_ID} {what}");
        is_booted.then(|| found(Cause::MachineIdInvalid, evidence))
    };
    let id = match read {
        Ok(text) => text.trim(),
        Err(std::io::ErrorKind::NotFound) => return invalid("is missing"),
        // Not ours to see, so nothing is known.
        Err(_) => return None,
    };
    match id {
        "" => return invalid("is empty"),
        "uninitialized" => return invalid("says \"uninitialized\""),
        _ => {}
    }
    let is_formed = id.len() == 32 && id.bytes().all(|it| it.is_ascii_hexdigit());
    let first = id.chars().next()?;
    let is_one_digit = id.chars().all(|it| it == first);
    if !is_formed || (is_one_digit && first == '0') {
        return invalid("does not hold 32 hexadecimal digits other than zeros");
    }
    (is_one_digit || id.eq_ignore_ascii_case(TYPED)).then(|| {
        let evidence = format!("{MACHINE_ID} holds {id}, which no host made for itself");
        found(Cause::MachineIdDuplicated, evidence)
    })
}

fn judge_name(name: &str, is_booted: bool) -> Option<Finding> {
    (is_booted && DEFAULT_NAMES.contains(&name)).then(|| {
        let cause = Cause::HostNameClash;
        let evidence = format!("the host is named {name}");
        finding(cause, cause.sentence(), vec![evidence], &[])
    })
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn an_id_is_invalid_only_where_an_init_would_have_made_one() {
        let cause = |read, is_booted| judge_id(read, is_booted).map(|it| it.cause);
        for bad in [
            "",
            "\n",
            "uninitialized\n",
            "3d12",
            "00000000000000000000000000000000",
            "0000000000000000000000000000000z",
        ] {
            assert_eq!(cause(Ok(bad), true), Some(2704), "{bad}");
            assert_eq!(cause(Ok(bad), false), None, "{bad}");
        }
        assert_eq!(cause(Err(ErrorKind::NotFound), true), Some(2704));
        assert_eq!(cause(Err(ErrorKind::NotFound), false), None);
        assert_eq!(cause(Err(ErrorKind::PermissionDenied), true), None);
    }

    #[test]
    fn an_id_that_nobody_drew_is_shared() {
        let cause = |id: &str| judge_id(Ok(id), false).map(|it| it.cause);
        assert_eq!(cause(&"f".repeat(32)), Some(2703));
        assert_eq!(cause("0123456789ABCDEF0123456789abcdef\n"), Some(2703));
        assert_eq!(cause("3d1219c7c4c5404aaa1f6d2a48adfda4\n"), None);
    }

    #[test]
    fn only_default_names_clash() {
        let cause = |name, is_booted| judge_name(name, is_booted).map(|it| it.cause);
        assert_eq!(cause("localhost.localdomain", true), Some(2705));
        assert_eq!(cause("localhost", false), None);
        assert_eq!(cause("debian", true), None);
    }
}
