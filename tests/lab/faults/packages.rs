//! Faults of installed packages.

use crate::case::Step::Host;
use crate::case::{Fault, fault};
use crate::subject::{COLLECTD, EXPORTER, SICKBAY, ZABBIX};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "not-installed",
        &SICKBAY,
        &[Host(
            "systemctl disable --now --quiet $UNIT; rm /usr/lib/systemd/system/$UNIT; systemctl daemon-reload; \
                mv $PROGRAM /run/check",
        )],
        &["AgentNotInstalled"],
    ),
    fault(
        "package-removed",
        &EXPORTER,
        &[Host("dpkg --remove prometheus-node-exporter >/dev/null")],
        &["AgentNotInstalled"],
    ),
    fault(
        "package-removed-but-configured",
        &ZABBIX,
        &[Host(
            "dpkg --remove --force-depends zabbix-agent >/dev/null",
        )],
        &["AgentNotInstalled"],
    ),
    fault(
        "package-half-configured",
        &ZABBIX,
        &[Host(
            "sed -i '/^Package: zabbix-agent$/,/^$/s/^Status: .*/Status: install ok half-configured/' /var/lib/dpkg/status",
        )],
        &["PackageHalfConfigured"],
    ),
    fault(
        "package-unpacked-only",
        &EXPORTER,
        &[Host(
            "sed -i '/^Package: prometheus-node-exporter$/,/^$/s/^Status: .*/Status: install ok unpacked/' /var/lib/dpkg/status; \
                systemctl stop $UNIT",
        )],
        &["PackageHalfConfigured"],
    ),
    fault(
        "package-file-damaged",
        &COLLECTD,
        &[Host(
            "systemctl stop $UNIT; \
                dd if=/dev/urandom of=/usr/lib/collectd/cpu.so bs=4k count=4 conv=notrunc 2>/dev/null; restart; \
                sleep 1",
        )],
        &["PackageDamaged"],
    ),
    fault(
        "package-program-damaged",
        &EXPORTER,
        &[Host(
            "systemctl stop $UNIT; dd if=/dev/urandom of=$PROGRAM bs=4k seek=16 count=64 conv=notrunc 2>/dev/null; \
                restart; wait_for crashes 1",
        )],
        &["PackageDamaged"],
    ),
];
