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
];
