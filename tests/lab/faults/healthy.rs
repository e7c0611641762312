//! Hosts that are well.

use crate::case::{Healthy, Person};
use crate::host::Init;
use crate::subject::{AUDITD, COLLECTD, EXPORTER, RSYSLOG, SICKBAY, Subject, ZABBIX};

const fn well(
    name: &'static str,
    subject: &'static Subject,
    init: Init,
    person: Person,
) -> Healthy {
    Healthy {
        name,
        subject,
        init,
        person,
        work: "",
    }
}

/// A host that is well although something about it looks odd.
const fn odd(name: &'static str, subject: &'static Subject, work: &'static str) -> Healthy {
    Healthy {
        name,
        subject,
        init: Init::Systemd,
        person: Person::Root,
        work,
    }
}

/// Keeps the processors and the page cache busy, as a build does, and then goes on in the background.
const BUSY: &str = "for worker in 1 2; do setsid sh -c 'while :; do tar -cf - /usr/bin 2>/dev/null | gzip -1 >/dev/null; done' \
    >/dev/null 2>&1 </dev/null & done; cat /usr/bin/* /usr/lib/x86_64-linux-gnu/*.so* >/dev/null 2>&1 || true; sleep 5";

/// Every agent, with and without systemd, seen by root and by an ordinary user.
pub(crate) const HOSTS: &[Healthy] = &[
    well("healthy-sickbay", &SICKBAY, Init::Systemd, Person::Root),
    well(
        "healthy-sickbay-user",
        &SICKBAY,
        Init::Systemd,
        Person::User,
    ),
    well("healthy-sickbay-plain", &SICKBAY, Init::Plain, Person::Root),
    well(
        "healthy-sickbay-plain-user",
        &SICKBAY,
        Init::Plain,
        Person::User,
    ),
    Healthy {
        name: "healthy-sickbay-busy",
        subject: &SICKBAY,
        init: Init::Systemd,
        person: Person::Root,
        work: BUSY,
    },
    well("healthy-exporter", &EXPORTER, Init::Systemd, Person::Root),
    well(
        "healthy-exporter-user",
        &EXPORTER,
        Init::Systemd,
        Person::User,
    ),
    well(
        "healthy-exporter-plain",
        &EXPORTER,
        Init::Plain,
        Person::Root,
    ),
    well(
        "healthy-exporter-plain-user",
        &EXPORTER,
        Init::Plain,
        Person::User,
    ),
    Healthy {
        name: "healthy-exporter-busy",
        subject: &EXPORTER,
        init: Init::Systemd,
        person: Person::Root,
        work: BUSY,
    },
    well("healthy-zabbix", &ZABBIX, Init::Systemd, Person::Root),
    well("healthy-zabbix-user", &ZABBIX, Init::Systemd, Person::User),
    well("healthy-zabbix-plain", &ZABBIX, Init::Plain, Person::Root),
    well(
        "healthy-zabbix-plain-user",
        &ZABBIX,
        Init::Plain,
        Person::User,
    ),
    well("healthy-collectd", &COLLECTD, Init::Systemd, Person::Root),
    well(
        "healthy-collectd-user",
        &COLLECTD,
        Init::Systemd,
        Person::User,
    ),
    well(
        "healthy-collectd-plain",
        &COLLECTD,
        Init::Plain,
        Person::Root,
    ),
    well("healthy-rsyslog", &RSYSLOG, Init::Systemd, Person::Root),
    well("healthy-rsyslog-plain", &RSYSLOG, Init::Plain, Person::Root),
    well("healthy-auditd", &AUDITD, Init::Systemd, Person::Root),
    well("healthy-auditd-plain", &AUDITD, Init::Plain, Person::Root),
    odd(
        "healthy-behind-a-proxy",
        &SICKBAY,
        "drop_in '[Service]' 'Environment=HTTPS_PROXY=http://proxy.lab:3128'; restart; wait_for sickbay-agent status",
    ),
    odd(
        "healthy-behind-a-filter",
        &SICKBAY,
        "iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT; \
            iptables -A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT; \
            iptables -A OUTPUT -p tcp --dport 25 -j REJECT",
    ),
    odd(
        "healthy-in-company",
        &SICKBAY,
        "systemctl start prometheus-node-exporter zabbix-agent rsyslog",
    ),
    odd(
        "healthy-with-other-service-failed",
        &SICKBAY,
        "systemd-run --quiet --unit=broken /bin/false; wait_for systemctl is-failed --quiet broken",
    ),
    odd(
        "healthy-disk-used-by-90-percent",
        &SICKBAY,
        "fallocate --length $(( $(df --output=avail --block-size=1 / | tail -n 1) - 100000000 )) /var/filler",
    ),
    odd(
        "healthy-other-disk-full",
        &SICKBAY,
        "mkdir /srv/full; mount -t tmpfs -o size=1m full /srv/full; fill /srv/full",
    ),
    odd(
        "healthy-restarted-by-an-operator",
        &ZABBIX,
        "for n in 1 2 3; do systemctl restart $UNIT; sleep 1; done",
    ),
    odd(
        "healthy-config-of-its-own",
        &EXPORTER,
        "echo 'ARGS=\"--web.listen-address=127.0.0.1:9200 --no-collector.wifi\"' >$CONFIG; restart; \
            wait_for listens 9200",
    ),
    odd(
        "healthy-after-errors-of-yesterday",
        &ZABBIX,
        "for n in $(seq 200); \
            do echo \" 99:20260101:030405.678 active check configuration update from [zabbix.lab:10051] started to fail (cannot connect)\"; \
            done >/run/old; cat $LOG >>/run/old; cat /run/old >$LOG",
    ),
    odd(
        "healthy-second-name-server-dead",
        &SICKBAY,
        "echo 'nameserver 10.77.0.19' >>/etc/resolv.conf; restart; wait_for sickbay-agent status",
    ),
    odd(
        "healthy-data-behind-a-link",
        &SICKBAY,
        "systemctl stop $UNIT; mv $DATA /srv/agent; ln -s /srv/agent $DATA; restart; wait_for sickbay-agent status",
    ),
    odd(
        "healthy-log-to-the-journal",
        &ZABBIX,
        "sed -i 's/^LogFile=.*/LogType=system/' $CONFIG; rm -r $DATA; restart; wait_for listens 10050",
    ),
    odd(
        "healthy-unit-hardened",
        &EXPORTER,
        "drop_in '[Service]' 'ProtectSystem=strict' 'PrivateTmp=yes' 'NoNewPrivileges=yes' 'ProtectHome=yes' \
            'LimitNOFILE=512' 'TasksMax=64' 'InaccessiblePaths=/srv'; restart; wait_for listens 9100",
    ),
    odd(
        "healthy-clock-off-by-seconds",
        &SICKBAY,
        "tell_time +20s; restart; wait_for sickbay-agent status",
    ),
];
