//! Faults as administrators meet them, of no one kind: neighbours of those in the other files.

use crate::case::Step::{Filter, Host, Revoke};
use crate::case::{Fault, fault, plain};
use crate::subject::{COLLECTD, EXPORTER, RSYSLOG, SICKBAY, ZABBIX};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "exporter-address-malformed",
        &EXPORTER,
        &[Host(
            "echo 'ARGS=\"--web.listen-address=9100\"' >$CONFIG; restart; wait_for crashes",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "zabbix-psk-file-missing",
        &ZABBIX,
        &[Host(
            "printf 'TLSConnect=psk\\nTLSAccept=psk\\nTLSPSKIdentity=lab\\nTLSPSKFile=/etc/zabbix/agent.psk\\n' >>$CONFIG; restart; \
                wait_for is_down",
        )],
        &["ConfigurationNamesMissingFile"],
    ),
    fault(
        "zabbix-settings-incomplete",
        &ZABBIX,
        &[Host(
            "printf 'TLSConnect=psk\\nTLSPSKIdentity=lab\\nTLSPSKFile=/etc/zabbix/agent.psk\\n' >>$CONFIG; restart; \
                wait_for is_down",
        )],
        &["ConfigurationInvalid"],
    ),
    fault(
        "zabbix-run-folder-wrong-owner",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; chown root:root /run/zabbix; chmod 755 /run/zabbix; restart; wait_for is_down",
        )],
        &["PathWrongOwner", "PathNotAccessible"],
    ),
    fault(
        "rsyslog-log-folder-full",
        &RSYSLOG,
        &[Host(
            "small /var/log size=16m; restart; fill /var/log; logger lost",
        )],
        &["DiskFull"],
    ),
    fault(
        "zabbix-unit-protects-log",
        &ZABBIX,
        &[Host(
            "drop_in '[Service]' 'ReadOnlyPaths=/var/log'; restart; wait_for is_down",
        )],
        &["MountReadOnly", "PathNotAccessible"],
    ),
    fault(
        "zabbix-unit-hides-config",
        &ZABBIX,
        &[Host(
            "drop_in '[Service]' 'InaccessiblePaths=/etc/zabbix'; restart; wait_for is_down",
        )],
        &["PathNotAccessible"],
    ),
    fault(
        "dns-first-server-drops",
        &SICKBAY,
        &[
            Filter("ip saddr HOST ip daddr 10.77.0.19 drop"),
            Host(
                "printf 'nameserver 10.77.0.19\\nnameserver 10.77.0.53\\n' >/etc/resolv.conf; restart",
            ),
        ],
        &["ResolverSlow", "ResolverUnanswered"],
    ),
    fault(
        "hosts-file-other-server",
        &SICKBAY,
        &[Host("echo '10.77.0.13 sickbay.lab' >>/etc/hosts; restart")],
        &["NameResolvesWrongly"],
    ),
    fault(
        "clock-two-minutes-ahead",
        &SICKBAY,
        &[Host("tell_time +130s; restart")],
        &["ClockWrong"],
    ),
    fault(
        "clock-before-the-certificate",
        &SICKBAY,
        &[Host("tell_time -4000d; restart")],
        &["ClockWrong"],
    ),
    fault(
        "collectd-plugin-not-there",
        &COLLECTD,
        &[Host("echo 'LoadPlugin rediss' >>$CONFIG; restart; sleep 1")],
        &["ConfigurationInvalid", "ConfigurationNamesMissingFile"],
    ),
    fault(
        "proxy-without-port",
        &SICKBAY,
        &[Host(
            "drop_in '[Service]' 'Environment=HTTPS_PROXY=proxy.lab'; restart",
        )],
        &["ProxyUnreachable", "ConfigurationInvalid"],
    ),
    fault(
        "data-link-dangling",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; rm -r $DATA; ln -s /srv/data/agent $DATA; restart; wait_for crashes",
        )],
        &["AgentNotEnrolled", "PathMissing"],
    ),
    fault(
        "key-empty",
        &SICKBAY,
        &[Host(
            "systemctl stop $UNIT; : >$DATA/key.p8; restart; wait_for crashes",
        )],
        &["IdentityCorrupt"],
    ),
    fault(
        "zabbix-log-is-a-folder",
        &ZABBIX,
        &[Host(
            "systemctl stop $UNIT; rm $LOG; mkdir $LOG; restart; wait_for is_down",
        )],
        &["PathNotAccessible"],
    ),
    fault(
        "gateway-hardware-address-wrong",
        &SICKBAY,
        &[Host(
            "ip neigh replace $(ip route show default | awk '{print $3}') lladdr 02:00:00:00:00:99 nud permanent dev eth0; \
                restart",
        )],
        &[
            "GatewayUnreachable",
            "ConnectionTimedOut",
            "NetworkUnreachable",
            "ResolverUnanswered",
        ],
    ),
    plain(
        "enrolment-revoked-plain",
        &SICKBAY,
        &[
            Revoke,
            Host(
                "pkill sickbay-agent; wait_for sh -c '! pgrep sickbay-agent'; \
                    setsid sickbay-agent run >/dev/null 2>&1 </dev/null &",
            ),
        ],
        &["EnrolmentRevoked"],
    ),
];
