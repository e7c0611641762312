//! What logs say, the kernel's before all, and what stands in the agent's way. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Critical, Error, Warning};
use crate::{Fix, Text};

pub(super) const LogShowsCrash: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent's log shows that it crashed.",
        zh: "客户端日志显示其曾崩溃。",
    },
    explanation: "A panic, an exception without a handler or a failed assertion stands in the log. \
                  It is a fault of the agent, unless another cause named here led to it.",
    verify: &["tail -n 200 LOG", "journalctl -u UNIT -n 200"],
    fixes: &[Fix::Report],
};

pub(super) const LogShowsErrors: About = About {
    severity: Warning,
    sentence: Text {
        en: "The agent's log shows errors again and again.",
        zh: "客户端日志反复出现错误。",
    },
    explanation: "The evidence has the newest of them. Where another cause is named before this \
                  one, they are its consequence.",
    verify: &["tail -n 200 LOG", "journalctl -u UNIT -n 200"],
    fixes: &[Fix::ReadServiceLog],
};

pub(super) const KernelDiskErrors: About = About {
    severity: Critical,
    sentence: Text {
        en: "The kernel reports read or write errors of a disk.",
        zh: "内核报告磁盘读写错误。",
    },
    explanation: "Data may be lost, and the file system may turn read-only. The disk, its cable or \
                  the storage behind it fails. Save what matters first.",
    verify: &["dmesg | grep -iE 'i/o error|remount'"],
    fixes: &[Fix::ReplaceDisk],
};

pub(super) const KernelKilledOthers: About = About {
    severity: Warning,
    sentence: Text {
        en: "The kernel killed other processes for want of memory.",
        zh: "内核因内存不足终止了其他进程。",
    },
    explanation: "The agent survived, but the host is short of memory and something it relies on \
                  may be gone. The evidence names what was killed.",
    verify: &["dmesg | grep -i 'killed process'"],
    fixes: &[Fix::FreeMemory],
};

pub(super) const AgentSegfaulted: About = About {
    severity: Critical,
    sentence: Text {
        en: "The kernel reports that the agent crashed with a memory fault.",
        zh: "内核报告客户端因内存错误崩溃。",
    },
    explanation: "A segmentation fault or an illegal instruction ended it. A fault of the agent, a \
                  library that does not fit, a processor without an instruction that it needs, or \
                  bad memory is the reason.",
    verify: &[
        "dmesg | grep -iE 'segfault|traps:'",
        "coredumpctl list PROGRAM",
    ],
    fixes: &[Fix::Report, Fix::UpgradeAgent],
};

pub(super) const KernelTaskHung: About = About {
    severity: Error,
    sentence: Text {
        en: "The kernel reports that processes hang or a processor is locked up.",
        zh: "内核报告进程挂起或处理器死锁。",
    },
    explanation: "Something waits for a device for more than two minutes, or a processor does not \
                  leave the kernel. Storage that does not answer, a driver's fault or an \
                  overcommitted hypervisor is the reason.",
    verify: &["dmesg | grep -iE 'blocked for more than|soft lockup'"],
    fixes: &[Fix::LowerLoad, Fix::Report],
};

pub(super) const KernelModuleMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "A kernel module or feature that the agent needs is not available.",
        zh: "客户端所需的内核模块或功能不可用。",
    },
    explanation: "The agent cannot see what it is meant to watch. After a kernel upgrade its \
                  module was not built anew, the module is forbidden, or the kernel lacks BPF or \
                  type information.",
    verify: &["uname -r", "lsmod"],
    fixes: &[Fix::LoadModule, Fix::UpgradeAgent],
};

pub(super) const SystemCallDenied: About = About {
    severity: Critical,
    sentence: Text {
        en: "A filter denies the agent system calls that it needs.",
        zh: "系统调用过滤器拒绝了客户端所需的调用。",
    },
    explanation: "A seccomp filter of the unit or the container ends the agent or lets the call \
                  fail. SystemCallFilter is too narrow, or the container's default profile is in \
                  the way.",
    verify: &[
        "grep Seccomp /proc/PID/status",
        "dmesg | grep -i 'type=1326'",
    ],
    fixes: &[Fix::GrantRights],
};

pub(super) const CapabilityMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent lacks a capability that it needs.",
        zh: "客户端缺少所需的 capability 权限。",
    },
    explanation: "It runs, even as root, without a right such as CAP_NET_ADMIN, and part of its \
                  work fails with \"operation not permitted\". The unit's CapabilityBoundingSet \
                  or the container takes it away.",
    verify: &[
        "grep Cap /proc/PID/status",
        "systemctl show -p CapabilityBoundingSet,AmbientCapabilities UNIT",
    ],
    fixes: &[Fix::GrantRights],
};

pub(super) const CompetingAgent: About = About {
    severity: Warning,
    sentence: Text {
        en: "Another product of the same kind runs on this host.",
        zh: "主机上运行着同类的其他产品。",
    },
    explanation: "Two that watch files, processes or the audit system hinder each other: each sees \
                  the other's work as suspicious, and both become slow. Exclude one from the \
                  other or remove one.",
    verify: &["ps -ef"],
    fixes: &[Fix::ChooseOneAgent],
};

pub(super) const OldAgentLeftOver: About = About {
    severity: Warning,
    sentence: Text {
        en: "An older installation of the agent is left over on this host.",
        zh: "主机上残留旧版客户端。",
    },
    explanation: "Its service, program or timer may start again beside the new one and use the \
                  same port or identity. It was installed in another way than the one in use.",
    verify: &["systemctl list-unit-files", "pgrep -a -f PROCESS"],
    fixes: &[Fix::RemoveOldAgent],
};

pub(super) const AuditTaken: About = About {
    severity: Error,
    sentence: Text {
        en: "Another process owns the kernel's audit events that the agent needs.",
        zh: "客户端所需的内核审计事件被其他进程占用。",
    },
    explanation: "The kernel gives them to one process only. The agent runs and sees nothing. \
                  Usually auditd and a security product, or two of them, compete.",
    verify: &["auditctl -s"],
    fixes: &[Fix::ChooseOneAgent],
};
