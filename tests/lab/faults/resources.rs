//! Faults of processes and what they may use: memory, processors, descriptors, processes.

use crate::case::Step::Host;
use crate::case::{Fault, fault, plain};
use crate::subject::{COLLECTD, EXPORTER, SICKBAY, ZABBIX};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "service-frozen",
        &SICKBAY,
        &[Host("kill -STOP $(main_pid)")],
        &["AgentFrozen"],
    ),
    plain(
        "process-frozen-plain",
        &SICKBAY,
        &[Host("pkill --signal=STOP sickbay-agent")],
        &["AgentFrozen"],
    ),
    fault(
        "zabbix-frozen",
        &ZABBIX,
        &[Host("pkill --signal=STOP zabbix_agentd")],
        &["AgentFrozen"],
    ),
    fault(
        "group-frozen",
        &EXPORTER,
        &[Host(
            "mkdir /sys/fs/cgroup/freezer/cold; echo $(main_pid) >/sys/fs/cgroup/freezer/cold/cgroup.procs; \
                echo FROZEN >/sys/fs/cgroup/freezer/cold/freezer.state",
        )],
        &["AgentFrozen"],
    ),
    fault(
        "descriptors-used-up",
        &EXPORTER,
        &[Host(
            "pid=$(main_pid); \
                setpriv --reuid=$OWNER --regid=$OWNER --clear-groups prlimit --pid $pid --nofile=$(ls /proc/$pid/fd | wc -l):",
        )],
        &["AgentDescriptorsExhausted"],
    ),
    fault(
        "zabbix-descriptors-too-few",
        &ZABBIX,
        &[Host(
            "drop_in '[Service]' 'LimitNOFILE=4'; restart; wait_for crashes 1",
        )],
        &["DescriptorLimitLow", "AgentDescriptorsExhausted"],
    ),
    fault(
        "processes-limited",
        &ZABBIX,
        &[Host(
            "drop_in '[Service]' 'TasksMax=2'; restart; \
                wait_for sh -c 'journalctl --unit $UNIT | grep -q \"failed to fork\"'",
        )],
        &["CgroupProcessLimit"],
    ),
    fault(
        "threads-limited",
        &EXPORTER,
        &[Host(
            "drop_in '[Service]' 'TasksMax=2'; restart; wait_for is_failed",
        )],
        &["CgroupProcessLimit"],
    ),
    fault(
        "killed-for-memory",
        &COLLECTD,
        &[Host(
            "mknod /dev/kmsg c 1 11; drop_in '[Service]' 'MemoryLimit=512K' 'Restart=no'; restart; wait_for is_down",
        )],
        &["KilledForMemory", "CgroupMemoryLimit"],
    ),
    fault(
        "memory-limit-reached",
        &EXPORTER,
        &[Host(
            "pid=$(main_pid); group=/sys/fs/cgroup/memory$(sed -n 's/.*:memory://p' /proc/$pid/cgroup); \
                echo 1 >$group/memory.force_empty 2>/dev/null || true; \
                used=$(awk '/^rss /{print $2}' $group/memory.stat); \
                echo $((used + 400000)) >$group/memory.limit_in_bytes",
        )],
        &["CgroupMemoryLimit"],
    ),
    fault(
        "agent-burns-cpu",
        &COLLECTD,
        &[Host(
            "sed -i 's/^Interval.*/Interval 0.00002/' $CONFIG; restart; sleep 2",
        )],
        &["AgentHighCpu"],
    ),
    fault(
        "cpu-quota",
        &EXPORTER,
        &[Host(
            "systemctl set-property --runtime $UNIT CPUQuota=1%; \
                systemd-run --quiet --unit=scraper sh -c 'while :; \
                do curl --silent --max-time 1 localhost:9100/metrics >/dev/null; done'; sleep 4",
        )],
        &["CgroupCpuThrottled"],
    ),
    fault(
        "host-cpu-hogs",
        &SICKBAY,
        &[Host(
            "systemd-run --quiet --unit=hogs sh -c 'for n in $(seq 40); do while :; do :; done & done; wait'; \
                wait_for sh -c '[ $(cut -d. -f1 /proc/loadavg) -gt 18 ]'",
        )],
        &["CpuOverloaded"],
    ),
    fault(
        "zombies",
        &SICKBAY,
        &[Host(
            "systemd-run --quiet --unit=zombies sh -c 'for n in $(seq 600); do true & done; exec sleep 3600'; \
                sleep 2",
        )],
        &["ZombiesPileUp"],
    ),
    fault(
        "waits-for-dead-disk",
        &COLLECTD,
        &[Host("dead_disk $DATA; sleep 11")],
        &["NetworkMountDead", "AgentStuck"],
    ),
];
