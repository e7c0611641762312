//! The agents under test: where their parts lie, and how each is brought up well.

/// An agent on a host.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The name of its profile.
    pub(crate) name: &'static str,
    /// What scripts are told of it: `UNIT`, `PROGRAM`, `CONFIG`, `DATA`, `LOG`, `OWNER` …
    pub(crate) variables: &'static [(&'static str, &'static str)],
    /// Makes it ready to start.
    prepare: &'static str,
    /// Starts it where there is no systemd.
    start_plain: &'static str,
    /// Waits until it works.
    ready: &'static str,
}

impl Subject {
    /// The script that brings it up. An install code is in `CODE`.
    pub(crate) fn script(&self) -> String {
        let Self {
            prepare,
            start_plain,
            ready,
            ..
        } = self;
        format!(
            "{prepare}\nif has_systemd; then systemctl enable --quiet --now \"$UNIT\"\nelse\n{start_plain}\nfi\n{ready}\n"
        )
    }
}

/// Our own.
pub(crate) static SICKBAY: Subject = Subject {
    name: "sickbay",
    variables: &[
        ("UNIT", "sickbay-agent.service"),
        ("PROGRAM", "/usr/bin/sickbay-agent"),
        ("CONFIG", "/etc/sickbay/agent.toml"),
        ("DATA", "/var/lib/sickbay-agent"),
        ("OWNER", "root"),
    ],
    prepare: "mkdir -p /etc/sickbay /var/log/sickbay\n\
        printf 'commands = true\\n' >\"$CONFIG\"\n\
        SICKBAY_INSTALL_CODE=$CODE sickbay-agent enrol --server https://sickbay.lab:8443 >/dev/null",
    start_plain: "setsid sickbay-agent run >>/var/log/sickbay/agent.log 2>&1 </dev/null &",
    ready: "wait_for sickbay-agent status",
};

/// Prometheus' exporter of the host's figures.
pub(crate) static EXPORTER: Subject = Subject {
    name: "node-exporter",
    variables: &[
        ("UNIT", "prometheus-node-exporter.service"),
        ("PROGRAM", "/usr/bin/prometheus-node-exporter"),
        ("CONFIG", "/etc/default/prometheus-node-exporter"),
        ("DATA", "/var/lib/prometheus/node-exporter"),
        ("OWNER", "prometheus"),
        ("PORT", "9100"),
    ],
    prepare: "",
    start_plain: "/etc/init.d/prometheus-node-exporter start >/dev/null",
    ready: "wait_for listens 9100",
};

/// Zabbix' agent, which asks the server for what to watch.
pub(crate) static ZABBIX: Subject = Subject {
    name: "zabbix-agent",
    variables: &[
        ("UNIT", "zabbix-agent.service"),
        ("PROGRAM", "/usr/sbin/zabbix_agentd"),
        ("CONFIG", "/etc/zabbix/zabbix_agentd.conf"),
        ("DATA", "/var/log/zabbix-agent"),
        ("LOG", "/var/log/zabbix-agent/zabbix_agentd.log"),
        ("OWNER", "zabbix"),
        ("PORT", "10050"),
        ("SERVER", "10.77.0.70"),
    ],
    prepare: "sed -i -e 's/^Server=.*/Server=zabbix.lab/' -e 's/^ServerActive=.*/ServerActive=zabbix.lab/' \"$CONFIG\"",
    start_plain: "/etc/init.d/zabbix-agent start >/dev/null",
    ready: "wait_for listens 10050",
};

/// collectd, writing to files.
pub(crate) static COLLECTD: Subject = Subject {
    name: "collectd",
    variables: &[
        ("UNIT", "collectd.service"),
        ("PROGRAM", "/usr/sbin/collectd"),
        ("CONFIG", "/etc/collectd/collectd.conf"),
        ("DATA", "/var/lib/collectd"),
        ("LOG", "/var/log/collectd.log"),
        ("OWNER", "root"),
    ],
    prepare: "printf '%s\\n' 'Interval 10' 'LoadPlugin logfile' '<Plugin logfile>' '  LogLevel info' '  File \"/var/log/collectd.log\"' \
        '  Timestamp true' '</Plugin>' 'LoadPlugin cpu' 'LoadPlugin load' 'LoadPlugin memory' 'LoadPlugin csv' '<Plugin csv>' \
        '  DataDir \"/var/lib/collectd/csv\"' '</Plugin>' >\"$CONFIG\"",
    start_plain: "/etc/init.d/collectd start >/dev/null",
    ready: "wait_for pgrep --full /usr/sbin/collectd",
};

/// rsyslog, sending what it gets to a server.
pub(crate) static RSYSLOG: Subject = Subject {
    name: "rsyslog",
    variables: &[
        ("UNIT", "rsyslog.service"),
        ("PROGRAM", "/usr/sbin/rsyslogd"),
        ("CONFIG", "/etc/rsyslog.conf"),
        ("DATA", "/var/spool/rsyslog"),
        ("LOG", "/var/log/syslog"),
        ("OWNER", "root"),
        ("SERVER", "10.77.0.71"),
    ],
    prepare: "sed -i 's/^module(load=\"imklog\").*//' \"$CONFIG\"\necho '*.* @@logs.lab:514' >/etc/rsyslog.d/lab.conf",
    start_plain: "setsid rsyslogd -n >/dev/null 2>&1 </dev/null &",
    ready: "wait_for pgrep --full /usr/sbin/rsyslogd",
};

/// The audit daemon as it is meant to run in a container: the kernel speaks to no other there.
pub(crate) static AUDITD: Subject = Subject {
    name: "auditd",
    variables: &[
        ("UNIT", "auditd.service"),
        ("PROGRAM", "/sbin/auditd"),
        ("CONFIG", "/etc/audit/auditd.conf"),
        ("DATA", "/var/log/audit"),
        ("LOG", "/var/log/audit/audit.log"),
        ("OWNER", "root"),
    ],
    prepare: "sed -i 's/^local_events.*/local_events = no/' \"$CONFIG\"",
    start_plain: "/sbin/auditd",
    ready: "wait_for pgrep --full /sbin/auditd",
};
