//! Faults of disks, mounts and files.

use crate::case::Step::Host;
use crate::case::{Fault, fault, plain};
use crate::subject::{AUDITD, COLLECTD, EXPORTER, RSYSLOG, SICKBAY, ZABBIX};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "data-disk-full",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; small $DATA size=2m; fill $DATA; restart",
        )],
        &["DiskFull"],
    ),
    plain(
        "data-disk-full-plain",
        &SICKBAY,
        &[Host(
            "pkill sickbay-agent; small $DATA size=2m; fill $DATA; \
                setsid sickbay-agent run >/dev/null 2>&1 </dev/null &",
        )],
        &["DiskFull"],
    ),
    fault(
        "root-disk-full",
        &SICKBAY,
        &[Host("fill /var")],
        &["DiskFull"],
    ),
    fault(
        "zabbix-log-disk-full",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; small $DATA size=1m; fill $DATA; restart",
        )],
        &["DiskFull"],
    ),
    fault(
        "collectd-data-disk-full",
        &COLLECTD,
        &[Host(
            "systemctl stop $UNIT; small $DATA size=1m; fill $DATA; restart",
        )],
        &["DiskFull"],
    ),
    fault(
        "data-inodes-out",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; small $DATA size=8m,nr_inodes=40; fill_inodes $DATA; restart",
        )],
        &["InodesExhausted"],
    ),
    fault(
        "zabbix-log-inodes-out",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; rm -f $LOG; small $DATA size=8m,nr_inodes=20; fill_inodes $DATA; restart",
        )],
        &["InodesExhausted"],
    ),
    fault(
        "data-read-only",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; mount --bind $DATA $DATA; mount -o remount,bind,ro $DATA; restart",
        )],
        &["MountReadOnly"],
    ),
    fault(
        "zabbix-log-read-only",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; mount --bind $DATA $DATA; mount -o remount,bind,ro $DATA; restart; \
                wait_for is_down",
        )],
        &["MountReadOnly"],
    ),
    plain(
        "collectd-data-read-only-plain",
        &COLLECTD,
        &[Host(
            "/etc/init.d/collectd stop; mkdir -p $DATA; mount --bind $DATA $DATA; mount -o remount,bind,ro $DATA; \
                /etc/init.d/collectd start",
        )],
        &["MountReadOnly"],
    ),
    fault(
        "data-hangs",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; dead_disk $DATA; systemctl start --no-block $UNIT",
        )],
        &["NetworkMountDead", "AgentStuck"],
    ),
    fault(
        "zabbix-log-hangs",
        &ZABBIX,
        &[Host(
            "dead_disk $DATA; systemctl restart --no-block $UNIT; sleep 2",
        )],
        &["NetworkMountDead", "AgentStuck"],
    ),
    fault(
        "data-wrong-owner",
        &SICKBAY,
        &[Host("chown -R nobody $DATA; restart; wait_for crashes")],
        &["PathWrongOwner", "PathNotAccessible"],
    ),
    fault(
        "data-open-to-all",
        &SICKBAY,
        &[Host("chmod 777 $DATA; restart; wait_for crashes")],
        &["PathExposed", "PathWrongMode"],
    ),
    fault(
        "key-open-to-all",
        &SICKBAY,
        &[Host("chmod 644 $DATA/key.p8")],
        &["PathExposed", "PathWrongMode"],
    ),
    fault(
        "data-is-a-file",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; mv $DATA $DATA.old; : >$DATA; restart; wait_for crashes",
        )],
        &["PathNotAccessible", "PathMissing"],
    ),
    fault(
        "zabbix-log-wrong-owner",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; chown -R root:root $DATA; chmod 755 $DATA; chmod 644 $LOG; restart; \
                wait_for is_down",
        )],
        &["PathWrongOwner", "PathNotAccessible"],
    ),
    fault(
        "zabbix-config-unreadable",
        &ZABBIX,
        &[Host(
            "chmod 600 $CONFIG; chown root:root $CONFIG; restart; wait_for is_down",
        )],
        &["PathWrongMode", "PathWrongOwner", "PathNotAccessible"],
    ),
    plain(
        "zabbix-log-wrong-owner-plain",
        &ZABBIX,
        &[Host(
            "/etc/init.d/zabbix-agent stop; chown -R root:root $DATA; chmod 755 $DATA; chmod 644 $LOG; \
                /etc/init.d/zabbix-agent start || true",
        )],
        &["PathWrongOwner", "PathNotAccessible"],
    ),
    fault(
        "exporter-config-folder-locked",
        &EXPORTER,
        &[Host(
            "mkdir /etc/exporter; echo 'basic_auth_users: {}' >/etc/exporter/web.yml; chmod 700 /etc/exporter; \
                echo 'ARGS=\"--web.config.file=/etc/exporter/web.yml\"' >$CONFIG; restart; wait_for crashes",
        )],
        &["PathWrongMode", "PathWrongOwner", "PathNotAccessible"],
    ),
    fault(
        "data-immutable",
        &SICKBAY,
        &[Host("systemctl stop $UNIT; chattr +i $DATA; restart")],
        &["PathImmutable"],
    ),
    fault(
        "zabbix-log-immutable",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; chattr +i $LOG; restart; wait_for is_down",
        )],
        &["PathImmutable"],
    ),
    fault(
        "deleted-file-holds-space",
        &SICKBAY,
        &[Host(
            "systemd-run --quiet --unit=hoarder sh -c 'exec 3>/var/hoard; rm /var/hoard; cat /dev/zero >&3; \
                exec sleep 3600'; wait_for sh -c '[ $(df --output=pcent / | tail -n 1 | tr -d \" %\") = 100 ]'",
        )],
        &["DeletedFileHoldsSpace"],
    ),
    fault(
        "log-fills-the-disk",
        &ZABBIX,
        &[Host(
            "fill $DATA; cat $DATA/filler >/dev/null; mv $DATA/filler $LOG; chown zabbix $LOG; restart",
        )],
        &["AgentFilesHuge", "DiskFull"],
    ),
    fault(
        "log-huge",
        &RSYSLOG,
        &[Host("fallocate --length 700M $LOG")],
        &["AgentFilesHuge"],
    ),
    fault(
        "temporary-folder-locked",
        &SICKBAY,
        &[Host("rm -rf $DATA/work; : >$DATA/work")],
        &["PathNotAccessible"],
    ),
    fault(
        "disk-nearly-full",
        &SICKBAY,
        &[Host(
            "fallocate --length $(( $(df --output=avail --block-size=1 / | tail -n 1) - 42000000 )) /var/filler",
        )],
        &["DiskNearlyFull"],
    ),
    fault(
        "zabbix-runtime-folder-gone",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; rm -rf /run/zabbix; restart; wait_for is_down",
        )],
        &["PathMissing"],
    ),
    fault(
        "auditd-log-folder-gone",
        &AUDITD,
        &[Host(
            "systemctl kill $UNIT; wait_for is_down; rm -r $DATA; restart; wait_for is_failed",
        )],
        &["PathMissing"],
    ),
    fault(
        "collectd-types-gone",
        &COLLECTD,
        &[Host("rm /usr/share/collectd/types.db; restart; sleep 1")],
        &[
            "PackageDamaged",
            "PathMissing",
            "ConfigurationNamesMissingFile",
        ],
    ),
];
