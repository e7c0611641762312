//! The agent runs, but badly. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Critical, Error, Warning};
use crate::{Fix, Text};

pub(super) const AgentHighCpu: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent's process uses much CPU.",
        zh: "客户端进程占用 CPU 过高。",
    },
    explanation: "It used most of a processor through the whole time that the check looked. It \
                  slows the host's real work. Reasons are a busy loop, a very large queue after \
                  an outage, or rules that match too much.",
    verify: &["top -b -n 1 | grep -w PID"],
    fixes: &[Fix::RestartService, Fix::Report],
};

pub(super) const AgentHighMemory: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent's process uses much memory.",
        zh: "客户端进程占用内存过高。",
    },
    explanation: "It holds more than its profile allows. Reasons are a leak, a queue that cannot \
                  be delivered, or very many files or connections to watch. It may be killed when \
                  memory becomes short.",
    verify: &["grep -E '^(Name|Vm|Rss)' /proc/PID/status"],
    fixes: &[Fix::RestartService, Fix::Report],
};

pub(super) const AgentDescriptorsExhausted: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent's process has nearly used up its file descriptors.",
        zh: "客户端进程的文件描述符即将耗尽。",
    },
    explanation: "When none is left it can open neither files nor connections, and fails in odd \
                  ways. Either its limit is too low for its work or it does not close what it \
                  opens.",
    verify: &[
        "ls /proc/PID/fd | wc -l",
        "grep 'open files' /proc/PID/limits",
    ],
    fixes: &[Fix::RaiseLimit, Fix::RestartService],
};

pub(super) const AgentStuck: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent's process hangs in an uninterruptible wait.",
        zh: "客户端进程处于不可中断的等待状态。",
    },
    explanation: "It waits in the kernel (state D) and cannot even be killed. Nearly always a disk \
                  or a network file system does not answer. Mend that; a restart of the service \
                  will hang too.",
    verify: &[
        "grep -E '^(Name|State)' /proc/PID/status",
        "cat /proc/PID/wchan",
    ],
    fixes: &[Fix::Report, Fix::RestartService],
};

pub(super) const AgentFrozen: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's process is stopped or its control group is frozen.",
        zh: "客户端进程被暂停，或其控制组被冻结。",
    },
    explanation: "It exists but is given no CPU: it received SIGSTOP, or the freezer of its \
                  control group is on. A debugger, a backup script, a container manager or a \
                  person did it.",
    verify: &[
        "grep -E '^(Name|State)' /proc/PID/status",
        "systemctl show -p FreezerState UNIT",
    ],
    fixes: &[Fix::ResumeProcess, Fix::RestartService],
};

pub(super) const ProgramDeleted: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent runs from a program file that was deleted.",
        zh: "客户端正在运行的程序文件已被删除。",
    },
    explanation: "The process goes on until it ends, and then cannot be started again. An \
                  uninstallation, a cleaning script or a failed upgrade removed the file.",
    verify: &["ls -l /proc/PID/exe"],
    fixes: &[Fix::Reinstall, Fix::RestartService],
};

pub(super) const ProgramReplaced: About = About {
    severity: Warning,
    sentence: Text {
        en: "The agent's program was replaced after the process started: it still runs the old \
             one.",
        zh: "客户端程序已更新，但进程仍在运行旧版本。",
    },
    explanation: "An upgrade put a new file in place and nobody restarted the service. Fixes in \
                  the new version are not in effect.",
    verify: &["ls -l /proc/PID/exe"],
    fixes: &[Fix::RestartService],
};

pub(super) const AgentDuplicated: About = About {
    severity: Error,
    sentence: Text {
        en: "More than one instance of the agent runs.",
        zh: "有多个客户端实例同时运行。",
    },
    explanation: "Two daemons share one identity, one data directory and one port; they disturb \
                  each other and the server sees the host come and go. One was started by hand, \
                  by an old init script, or survived a restart.",
    verify: &["pgrep -a -f PROCESS"],
    fixes: &[Fix::StopOtherInstance],
};

pub(super) const AgentStarved: About = About {
    severity: Warning,
    sentence: Text {
        en: "The agent has so low a priority that it gets too little CPU.",
        zh: "客户端优先级过低，得不到足够的 CPU。",
    },
    explanation: "Its nice value, scheduling class or CPU weight puts it behind everything else, \
                  and the host is busy. It reports late or misses its watchdog.",
    verify: &[
        "ps -o ni,cls,pri,args -p PID",
        "grep -E 'policy|prio' /proc/PID/sched",
    ],
    fixes: &[Fix::RestartService, Fix::LowerLoad],
};

pub(super) const AgentZombie: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent's process has ended but its parent has not collected it.",
        zh: "客户端进程已结束，但未被父进程回收（僵尸进程）。",
    },
    explanation: "The entry in the process list does nothing, yet looks like a running agent to \
                  simple checks. The parent hangs or is no proper init.",
    verify: &["grep -E '^(Name|State|PPid)' /proc/PID/status"],
    fixes: &[Fix::RestartService, Fix::MendParent],
};
