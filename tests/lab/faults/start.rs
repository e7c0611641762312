//! Faults that keep a program from starting: itself, what it needs, its configuration, its port.

use crate::case::Step::Host;
use crate::case::{Fault, fault, plain};
use crate::subject::{AUDITD, COLLECTD, EXPORTER, RSYSLOG, SICKBAY, ZABBIX};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "program-deleted",
        &SICKBAY,
        &[Host(
            "cp $PROGRAM /run/check; rm $PROGRAM; restart; wait_for crashes",
        )],
        &["ProgramMissing"],
    ),
    fault(
        "zabbix-program-deleted",
        &ZABBIX,
        &[Host("rm $PROGRAM; restart; wait_for crashes")],
        &["ProgramMissing"],
    ),
    fault(
        "program-deleted-under-process",
        &EXPORTER,
        &[Host("rm $PROGRAM")],
        &["ProgramDeleted"],
    ),
    fault(
        "program-not-executable",
        &ZABBIX,
        &[Host("chmod 644 $PROGRAM; restart; wait_for crashes")],
        &["ProgramMissing", "PathWrongMode"],
    ),
    fault(
        "program-truncated",
        &COLLECTD,
        &[Host(
            "systemctl stop $UNIT; truncate --size=4096 $PROGRAM; restart; wait_for crashes 1",
        )],
        &["ProgramForOtherMachine", "ProgramMissing", "PackageDamaged"],
    ),
    fault(
        "program-is-text",
        &EXPORTER,
        &[Host(
            "systemctl stop $UNIT; echo '404 page not found' >$PROGRAM; restart; wait_for crashes",
        )],
        &["ProgramForOtherMachine", "ProgramMissing", "PackageDamaged"],
    ),
    fault(
        "interpreter-missing",
        &EXPORTER,
        &[Host(
            "systemctl stop $UNIT; printf '#!/usr/bin/python9\\n' >$PROGRAM; restart; wait_for crashes",
        )],
        &["InterpreterMissing"],
    ),
    fault(
        "library-missing",
        &ZABBIX,
        &[Host(
            "rm /usr/lib/x86_64-linux-gnu/libmodbus.so*; restart; wait_for crashes 1",
        )],
        &["LibraryMissing"],
    ),
    plain(
        "library-missing-plain",
        &ZABBIX,
        &[Host(
            "/etc/init.d/zabbix-agent stop; rm /usr/lib/x86_64-linux-gnu/libmodbus.so*; \
                /etc/init.d/zabbix-agent start || true",
        )],
        &["LibraryMissing"],
    ),
    fault(
        "collectd-library-missing",
        &COLLECTD,
        &[Host(
            "rm /usr/lib/x86_64-linux-gnu/libltdl.so.7* /usr/lib/x86_64-linux-gnu/libyajl.so* || true; \
                mv /usr/lib/collectd/csv.so /root/; restart; wait_for crashes 1",
        )],
        &[
            "LibraryMissing",
            "ConfigurationNamesMissingFile",
            "PackageDamaged",
        ],
    ),
    fault(
        "noexec-mount",
        &EXPORTER,
        &[Host(
            "mkdir /opt/agent; cp $PROGRAM /opt/agent/prometheus-node-exporter; \
                mount --bind /opt/agent /opt/agent; mount -o remount,bind,noexec /opt/agent; \
                drop_in '[Service]' 'ExecStart=' 'ExecStart=/opt/agent/prometheus-node-exporter'; restart; \
                wait_for crashes",
        )],
        &["MountNoExec"],
    ),
    fault(
        "configuration-invalid",
        &SICKBAY,
        &[Host(
            "echo 'commands = maybe' >$CONFIG; restart; wait_for crashes",
        )],
        &["ConfigurationInvalid"],
    ),
    plain(
        "configuration-invalid-plain",
        &SICKBAY,
        &[Host(
            "pkill sickbay-agent; echo 'comands = true' >$CONFIG; ! sickbay-agent run",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "configuration-unsafe",
        &SICKBAY,
        &[Host("chmod 666 $CONFIG; restart; wait_for crashes")],
        &["PathExposed", "PathWrongMode", "ConfigurationInvalid"],
    ),
    fault(
        "zabbix-config-syntax",
        &ZABBIX,
        &[Host(
            "echo 'LogFileSize=very' >>$CONFIG; restart; wait_for is_down",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "zabbix-config-unknown-key",
        &ZABBIX,
        &[Host(
            "echo 'Sever=10.0.0.1' >>$CONFIG; restart; wait_for is_down",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "zabbix-config-missing",
        &ZABBIX,
        &[Host("rm $CONFIG; restart; wait_for is_down")],
        &["ConfigurationMissing"],
    ),
    fault(
        "zabbix-config-include-missing",
        &ZABBIX,
        &[Host(
            "echo 'Include=/etc/zabbix/site.conf' >>$CONFIG; restart; wait_for is_down",
        )],
        &["ConfigurationNamesMissingFile"],
    ),
    fault(
        "collectd-config-syntax",
        &COLLECTD,
        &[Host(
            "echo '<Plugin cpu>' >>$CONFIG; restart; wait_for crashes 1",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "collectd-config-missing",
        &COLLECTD,
        &[Host("rm $CONFIG; restart; wait_for is_down")],
        &["ConfigurationMissing"],
    ),
    fault(
        "exporter-bad-option",
        &EXPORTER,
        &[Host(
            "echo 'ARGS=\"--collector.disk\"' >$CONFIG; restart; wait_for crashes",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "auditd-config-syntax",
        &AUDITD,
        &[Host(
            "echo 'max_log_file = many' >>$CONFIG; systemctl kill $UNIT; wait_for is_down; restart; \
                wait_for is_failed",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "rsyslog-config-syntax",
        &RSYSLOG,
        &[Host(
            "echo 'action(type=\"omfile\" file=' >/etc/rsyslog.d/broken.conf; restart",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "exporter-port-taken",
        &EXPORTER,
        &[Host(
            "systemctl stop $UNIT; take_port 9100; restart; wait_for crashes",
        )],
        &["PortTaken"],
    ),
    fault(
        "zabbix-port-taken",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; take_port 10050; restart; wait_for is_down",
        )],
        &["PortTaken"],
    ),
    plain(
        "exporter-port-taken-plain",
        &EXPORTER,
        &[Host(
            "/etc/init.d/prometheus-node-exporter stop; take_port 9100; \
                /etc/init.d/prometheus-node-exporter start || true",
        )],
        &["PortTaken"],
    ),
    fault(
        "zabbix-config-dangling",
        &ZABBIX,
        &[Host(
            "ln -sf /srv/config/zabbix_agentd.conf $CONFIG; restart; wait_for is_down",
        )],
        &["ConfigurationMissing"],
    ),
    plain(
        "zabbix-config-syntax-plain",
        &ZABBIX,
        &[Host(
            "/etc/init.d/zabbix-agent stop; echo 'LogFileSize=very' >>$CONFIG; \
                /etc/init.d/zabbix-agent start || true",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "rsyslog-module-missing",
        &RSYSLOG,
        &[Host(
            "echo 'module(load=\"omkafka\")' >/etc/rsyslog.d/kafka.conf; restart",
        )],
        &[
            "ConfigurationNamesMissingFile",
            "LibraryMissing",
            "ConfigurationInvalid",
        ],
    ),
];
