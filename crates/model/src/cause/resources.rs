//! Memory, processors and limits. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Critical, Error, Warning};
use crate::{Fix, Text};

pub(super) const MemoryExhausted: About = About {
    severity: Critical,
    sentence: Text {
        en: "The host is nearly out of memory.",
        zh: "主机内存即将耗尽。",
    },
    explanation: "Programs slow down, fail to start or are killed. The evidence lists the largest \
                  processes; either one of them grew or the host is too small.",
    verify: &["free -m", "cat /proc/pressure/memory"],
    fixes: &[Fix::FreeMemory],
};

pub(super) const CpuOverloaded: About = About {
    severity: Error,
    sentence: Text {
        en: "The host's processors are overloaded.",
        zh: "主机处理器过载。",
    },
    explanation: "More work is ready than the processors can do, so everything waits, the agent \
                  too. The evidence lists the busiest processes.",
    verify: &["uptime", "cat /proc/pressure/cpu"],
    fixes: &[Fix::LowerLoad],
};

pub(super) const IoOverloaded: About = About {
    severity: Error,
    sentence: Text {
        en: "The host's disks are overloaded.",
        zh: "主机磁盘 I/O 过载。",
    },
    explanation: "Processes wait for the disk for much of their time. A backup, a rebuild of an \
                  array, swapping or a slow volume is the usual reason.",
    verify: &["cat /proc/pressure/io"],
    fixes: &[Fix::LowerLoad],
};

pub(super) const KilledForMemory: About = About {
    severity: Critical,
    sentence: Text {
        en: "The kernel killed the agent for want of memory.",
        zh: "内核因内存不足终止了客户端。",
    },
    explanation: "The host, or the agent's control group, had no memory left and the kernel chose \
                  the agent. It will happen again unless memory is freed or the limit is raised.",
    verify: &[
        "dmesg | grep -i 'killed process'",
        "systemctl show -p Result,MemoryMax UNIT",
    ],
    fixes: &[Fix::FreeMemory, Fix::RaiseLimit],
};

pub(super) const ProcessesExhausted: About = About {
    severity: Error,
    sentence: Text {
        en: "The host has nearly reached its limit of processes.",
        zh: "主机进程数即将达到上限。",
    },
    explanation: "New processes and threads cannot be made: \"resource temporarily unavailable\". \
                  A program that forks without end or a very low pid_max is the reason.",
    verify: &["cat /proc/sys/kernel/pid_max", "ls -d /proc/[0-9]* | wc -l"],
    fixes: &[Fix::LowerLoad, Fix::RaiseLimit],
};

pub(super) const DescriptorsExhausted: About = About {
    severity: Error,
    sentence: Text {
        en: "The host has nearly used up its open files.",
        zh: "主机的打开文件数即将达到上限。",
    },
    explanation: "When fs.file-max is reached, no program can open anything. One program usually \
                  holds most of them.",
    verify: &["cat /proc/sys/fs/file-nr"],
    fixes: &[Fix::LowerLoad, Fix::RaiseLimit],
};

pub(super) const CgroupMemoryLimit: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent is at the memory limit of its control group.",
        zh: "客户端已达到其控制组的内存上限。",
    },
    explanation: "The kernel takes memory back from it all the time, which makes it slow, and \
                  kills it if that does not help. The limit is too low or the agent uses too \
                  much.",
    verify: &["systemctl show -p MemoryCurrent,MemoryMax UNIT"],
    fixes: &[Fix::RaiseLimit],
};

pub(super) const SwapThrashing: About = About {
    severity: Error,
    sentence: Text {
        en: "The host moves memory to and from swap all the time.",
        zh: "主机频繁换入换出内存。",
    },
    explanation: "What programs need does not fit into memory: pages are written out and read back \
                  at once. Everything becomes slower by orders of magnitude.",
    verify: &["vmstat 1 5"],
    fixes: &[Fix::FreeMemory],
};

pub(super) const MemoryPressure: About = About {
    severity: Error,
    sentence: Text {
        en: "Programs on the host wait for memory much of the time.",
        zh: "主机内存压力过高。",
    },
    explanation: "The kernel's pressure figures show that work stands still while memory is \
                  reclaimed. It is not out of memory yet, but close to it.",
    verify: &["cat /proc/pressure/memory"],
    fixes: &[Fix::FreeMemory],
};

pub(super) const CgroupCpuThrottled: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent is throttled by the CPU quota of its control group.",
        zh: "客户端受到控制组 CPU 配额限制。",
    },
    explanation: "It used up its share and stands still until the next period, many times in a \
                  row. It reports late and misses time limits. The quota is too small for its \
                  work.",
    verify: &[
        "systemctl show -p CPUQuotaPerSecUSec UNIT",
        "grep throttled /sys/fs/cgroup/system.slice/UNIT/cpu.stat",
    ],
    fixes: &[Fix::RaiseLimit],
};

pub(super) const CgroupProcessLimit: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent has reached the limit of processes and threads of its control group.",
        zh: "客户端已达到其控制组的进程/线程数上限。",
    },
    explanation: "It can start neither threads nor programs: \"resource temporarily unavailable\". \
                  TasksMax is too low, or children pile up.",
    verify: &["systemctl show -p TasksCurrent,TasksMax UNIT"],
    fixes: &[Fix::RaiseLimit, Fix::RestartService],
};

pub(super) const DescriptorLimitLow: About = About {
    severity: Warning,
    sentence: Text {
        en: "The agent's limit of open files is too low for its work.",
        zh: "客户端的打开文件数限制过低。",
    },
    explanation: "Its soft limit is below what its maker asks for. It works while there is little \
                  to do and fails under load.",
    verify: &["grep 'open files' /proc/PID/limits"],
    fixes: &[Fix::RaiseLimit],
};

pub(super) const WatchesExhausted: About = About {
    severity: Error,
    sentence: Text {
        en: "The host has no inotify watches or instances left.",
        zh: "主机的 inotify 监视数量已耗尽。",
    },
    explanation: "Agents that watch files miss changes or refuse to start. They say \"no space left \
                  on device\" or \"too many open files\", which has nothing to do with disks here.",
    verify: &["sysctl fs.inotify.max_user_watches fs.inotify.max_user_instances"],
    fixes: &[Fix::RaiseWatches],
};

pub(super) const ThreadsExhausted: About = About {
    severity: Error,
    sentence: Text {
        en: "The host has nearly reached its limit of threads.",
        zh: "主机线程数即将达到内核上限。",
    },
    explanation: "kernel.threads-max bounds all threads together. When it is reached nothing new \
                  starts; one program with thousands of threads is the usual reason.",
    verify: &[
        "sysctl kernel.threads-max",
        "ls -d /proc/[0-9]*/task/[0-9]* | wc -l",
    ],
    fixes: &[Fix::LowerLoad],
};

pub(super) const ZombiesPileUp: About = About {
    severity: Warning,
    sentence: Text {
        en: "Very many ended processes have not been collected by their parent.",
        zh: "大量僵尸进程未被父进程回收。",
    },
    explanation: "Each holds a process number; when none is left nothing starts. The parent named \
                  in the evidence has a fault, or a container runs without an init.",
    verify: &["grep -l '^State:.*Z' /proc/[0-9]*/status"],
    fixes: &[Fix::MendParent],
};

pub(super) const CompetitorBusy: About = About {
    severity: Warning,
    sentence: Text {
        en: "Another process uses most of the host's CPU.",
        zh: "其他进程占用了主机的大部分 CPU。",
    },
    explanation: "The agent is fine but gets little of the processor. A runaway program, a miner \
                  or a heavy job is the reason; the evidence names it.",
    verify: &["top -b -n 1"],
    fixes: &[Fix::StopRunaway],
};
