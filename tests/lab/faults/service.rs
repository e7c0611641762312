//! Faults of the service: not started, not allowed to, or started wrongly.

use crate::case::Step::Host;
use crate::case::{Fault, fault, plain};
use crate::subject::{COLLECTD, EXPORTER, SICKBAY, ZABBIX};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "service-stopped",
        &SICKBAY,
        &[Host("systemctl stop \"$UNIT\"")],
        &["AgentNotRunning"],
    ),
    plain(
        "process-gone",
        &SICKBAY,
        &[Host(
            "pkill sickbay-agent; wait_for sh -c '! pgrep sickbay-agent'",
        )],
        &["AgentNotRunning"],
    ),
    plain(
        "zabbix-process-gone",
        &ZABBIX,
        &[Host("/etc/init.d/zabbix-agent stop")],
        &["AgentNotRunning"],
    ),
    fault(
        "service-disabled",
        &SICKBAY,
        &[Host("systemctl disable --now --quiet \"$UNIT\"")],
        &["ServiceDisabled"],
    ),
    fault(
        "exporter-service-disabled",
        &EXPORTER,
        &[Host("systemctl disable --now --quiet \"$UNIT\"")],
        &["ServiceDisabled"],
    ),
    fault(
        "service-masked",
        &SICKBAY,
        // A unit below /lib may be masked; one that an operator wrote may not.
        &[Host("systemctl mask --now --quiet \"$UNIT\"")],
        &["ServiceMasked"],
    ),
    fault(
        "zabbix-masked",
        &ZABBIX,
        &[Host("systemctl mask --now --quiet \"$UNIT\"")],
        &["ServiceMasked"],
    ),
    fault(
        "unit-bad-setting",
        &SICKBAY,
        &[Host(
            "sed -i '/^ExecStart=/d' /usr/lib/systemd/system/$UNIT; systemctl daemon-reload; \
                systemctl kill --signal=KILL \"$UNIT\"",
        )],
        &["UnitInvalid"],
    ),
    fault(
        "unit-file-empty",
        &ZABBIX,
        &[Host(
            "systemctl stop \"$UNIT\"; : >/usr/lib/systemd/system/$UNIT; systemctl daemon-reload; \
                ! systemctl start \"$UNIT\"",
        )],
        &["UnitInvalid", "ServiceMasked"],
    ),
    fault(
        "unit-file-gone",
        &EXPORTER,
        &[Host(
            "systemctl disable --now --quiet \"$UNIT\"; rm /usr/lib/systemd/system/$UNIT; systemctl daemon-reload",
        )],
        &["UnitInvalid", "AgentNotRunning", "PackageDamaged"],
    ),
    fault(
        "killed-and-not-restarted",
        &EXPORTER,
        &[Host(
            "drop_in '[Service]' 'Restart=no'; restart; wait_for listens 9100; \
                systemctl kill --signal=KILL \"$UNIT\"; wait_for is_failed",
        )],
        &["ServiceFailed"],
    ),
    fault(
        "crash-loop-by-signal",
        &EXPORTER,
        &[Host(
            "printf '#!/bin/sh\\nkill -SEGV $$\\n' >/usr/local/bin/crash; chmod 755 /usr/local/bin/crash; \
                drop_in '[Service]' 'ExecStart=' 'ExecStart=/usr/local/bin/crash' 'Restart=always'; restart; \
                wait_for crashes",
        )],
        &["ServiceCrashLoop", "AgentSegfaulted"],
    ),
    fault(
        "start-times-out",
        &COLLECTD,
        &[Host(
            "drop_in '[Service]' 'ExecStart=' 'ExecStart=/bin/sleep 1000' 'TimeoutStartSec=1' 'Restart=no'; \
                restart; wait_for is_failed",
        )],
        &["ServiceStartTimesOut"],
    ),
    fault(
        "dependency-failed",
        &ZABBIX,
        &[Host(
            "printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' >/etc/systemd/system/needed.service; \
                drop_in '[Unit]' 'Requires=needed.service' 'After=needed.service'; systemctl stop \"$UNIT\"; \
                ! systemctl start \"$UNIT\"",
        )],
        &["DependencyFailed"],
    ),
    fault(
        "condition-not-met",
        &EXPORTER,
        &[Host(
            "drop_in '[Unit]' 'ConditionPathExists=/etc/exporter-allowed'; systemctl restart \"$UNIT\"; \
                wait_for is_down",
        )],
        &["AgentNotRunning", "PathMissing"],
    ),
    fault(
        "user-gone",
        &ZABBIX,
        &[Host(
            "systemctl stop \"$UNIT\"; sed -i '/^zabbix:/d' /etc/passwd /etc/shadow; restart; wait_for is_failed",
        )],
        &["ServiceUserMissing"],
    ),
    fault(
        "working-directory-gone",
        &EXPORTER,
        &[Host(
            "drop_in '[Service]' 'WorkingDirectory=/srv/gone'; restart; wait_for crashes",
        )],
        &["ServiceDirectoryMissing"],
    ),
    fault(
        "environment-file-gone",
        &EXPORTER,
        &[Host("rm \"$CONFIG\"; restart; wait_for crashes")],
        &["ConfigurationMissing", "ConfigurationNamesMissingFile"],
    ),
    fault(
        "watchdog-ends-it",
        &EXPORTER,
        &[Host(
            "drop_in '[Service]' 'WatchdogSec=1' 'Restart=no'; restart; wait_for is_failed",
        )],
        &["WatchdogEnded"],
    ),
    fault(
        "override-names-missing-program",
        &COLLECTD,
        &[Host(
            "drop_in '[Service]' 'ExecStart=' 'ExecStart=/opt/collectd/sbin/collectd'; restart; wait_for crashes 1",
        )],
        &["ProgramMissing"],
    ),
    fault(
        "override-names-other-data",
        &SICKBAY,
        &[Host(
            "drop_in '[Service]' 'ExecStart=' 'ExecStart=/usr/bin/sickbay-agent run --data /srv/agent'; restart; \
                wait_for crashes",
        )],
        &["AgentNotEnrolled"],
    ),
];
