//! Disks, files and their rights. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Critical, Error, Warning};
use crate::{Fix, Text};

pub(super) const DiskFull: About = About {
    severity: Critical,
    sentence: Text {
        en: "A file system that the agent needs is full.",
        zh: "客户端所需的文件系统已满。",
    },
    explanation: "It cannot write its log, its queue or its state; it fails, loses data or does \
                  not start. What grows is usually logs, core dumps, container images or a queue \
                  that cannot be delivered.",
    verify: &["df -h PATH"],
    fixes: &[Fix::FreeDisk],
};

pub(super) const DiskNearlyFull: About = About {
    severity: Warning,
    sentence: Text {
        en: "A file system that the agent needs is more than 95 % full.",
        zh: "客户端所需的文件系统使用率超过 95%。",
    },
    explanation: "It works now and will not for long. Free space before the agent and everything \
                  else that writes there begins to fail.",
    verify: &["df -h PATH"],
    fixes: &[Fix::FreeDisk],
};

pub(super) const InodesExhausted: About = About {
    severity: Critical,
    sentence: Text {
        en: "A file system that the agent needs has no free inodes.",
        zh: "客户端所需的文件系统 inode 已耗尽。",
    },
    explanation: "New files cannot be made although there is space: programs say \"no space left \
                  on device\". Somewhere lie very many small files, such as sessions, mails or \
                  caches.",
    verify: &["df -i PATH"],
    fixes: &[Fix::FreeInodes],
};

pub(super) const MountReadOnly: About = About {
    severity: Critical,
    sentence: Text {
        en: "A file system that the agent writes to is mounted read-only.",
        zh: "客户端写入的文件系统以只读方式挂载。",
    },
    explanation: "Every write fails. The kernel remounts a file system read-only after errors of \
                  the disk; otherwise /etc/fstab or a person did it.",
    verify: &["findmnt -T PATH"],
    fixes: &[Fix::Remount],
};

pub(super) const PathNotAccessible: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent cannot use one of its own files or directories.",
        zh: "客户端无法访问自己的文件或目录。",
    },
    explanation: "The agent's user may not read or write what it needs. Usually somebody copied \
                  files as root, changed a umask, or restored a backup without owners.",
    verify: &["ls -ld PATH", "namei -l PATH"],
    fixes: &[Fix::MendPermissions],
};

pub(super) const QuotaExceeded: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's user has used up its disk quota.",
        zh: "客户端用户的磁盘配额已用尽。",
    },
    explanation: "Writes fail with \"disk quota exceeded\" although the file system has space. The \
                  quota of the user, group or project is too small, or somebody else's files \
                  count against it.",
    verify: &["quota -v -u USER", "repquota -a"],
    fixes: &[Fix::RaiseQuota, Fix::FreeDisk],
};

pub(super) const FileSystemErrors: About = About {
    severity: Critical,
    sentence: Text {
        en: "A file system that the agent needs has recorded errors.",
        zh: "客户端所需的文件系统记录了错误。",
    },
    explanation: "The file system noticed damage in its own structures. Files may be unreadable, \
                  and it may turn read-only at any time. An unclean power-off or a failing disk \
                  is the usual reason.",
    verify: &[
        "grep . /sys/fs/ext4/*/errors_count",
        "dmesg | grep -iE 'ext4|xfs|btrfs'",
    ],
    fixes: &[Fix::CheckFileSystem],
};

pub(super) const AgentFilesHuge: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent's log or data files have grown very large.",
        zh: "客户端的日志或数据文件过大。",
    },
    explanation: "The agent itself fills the disk. Rotation does not work, a debug level was left \
                  on, or a queue grows because nothing can be delivered.",
    verify: &["du -xh -d 2 DATA", "ls -lh LOG"],
    fixes: &[Fix::TrimLog],
};

pub(super) const DeletedFileHoldsSpace: About = About {
    severity: Warning,
    sentence: Text {
        en: "A file that was deleted still holds much space because a process has it open.",
        zh: "已删除的文件仍被进程打开并占用大量空间。",
    },
    explanation: "du does not see it, df does. The space comes back when the process closes the \
                  file; usually a log was removed instead of rotated.",
    verify: &["ls -l /proc/[0-9]*/fd | grep -F '(deleted)'"],
    fixes: &[Fix::ReleaseFile],
};

pub(super) const PathWrongOwner: About = About {
    severity: Critical,
    sentence: Text {
        en: "One of the agent's files or directories has a wrong owner.",
        zh: "客户端的文件或目录属主不正确。",
    },
    explanation: "The agent's user is not the owner and may not write, or the agent refuses a file \
                  that others could change. Files were made as root by hand or copied from \
                  another host.",
    verify: &["ls -ld PATH"],
    fixes: &[Fix::MendPermissions],
};

pub(super) const PathWrongMode: About = About {
    severity: Critical,
    sentence: Text {
        en: "One of the agent's files or directories has wrong permission bits.",
        zh: "客户端的文件或目录权限位不正确。",
    },
    explanation: "The bits for the agent's user do not let it read, write or enter what is its \
                  own. A recursive chmod or a changed umask is the usual reason.",
    verify: &["ls -ld PATH"],
    fixes: &[Fix::MendPermissions],
};

pub(super) const PathImmutable: About = About {
    severity: Critical,
    sentence: Text {
        en: "One of the agent's files is marked immutable or append-only.",
        zh: "客户端的文件被设置为不可修改（immutable）。",
    },
    explanation: "Nobody can change, rename or remove it, not even root. Upgrades and new settings \
                  fail with \"operation not permitted\". A hardening script or a person set the \
                  attribute.",
    verify: &["lsattr -d PATH"],
    fixes: &[Fix::ClearImmutable],
};

pub(super) const SelinuxDenies: About = About {
    severity: Critical,
    sentence: Text {
        en: "SELinux denies the agent something that it needs.",
        zh: "SELinux 拒绝了客户端所需的访问。",
    },
    explanation: "The file permissions are right and the policy says no. The files have a wrong \
                  label after a copy or restore, lie in an unusual place, or the policy lacks a \
                  rule.",
    verify: &["ausearch -m avc -ts recent", "ls -Zd PATH"],
    fixes: &[Fix::RestoreLabels, Fix::AllowInPolicy],
};

pub(super) const AppArmorDenies: About = About {
    severity: Critical,
    sentence: Text {
        en: "AppArmor denies the agent something that it needs.",
        zh: "AppArmor 拒绝了客户端所需的访问。",
    },
    explanation: "A profile confines the program and does not list this path or right. Data was \
                  moved to another place, or a newer version needs more than the profile knows.",
    verify: &["dmesg | grep 'apparmor=\"DENIED\"'", "aa-status"],
    fixes: &[Fix::AllowInPolicy],
};

pub(super) const MountNoExec: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's program lies on a file system that forbids execution.",
        zh: "客户端程序所在的文件系统禁止执行（noexec）。",
    },
    explanation: "The mount has the option noexec: starting fails with \"permission denied\" \
                  although the modes are right. Typical of hardened /tmp, /var or /opt.",
    verify: &["findmnt -T PROGRAM"],
    fixes: &[Fix::RemountExec, Fix::Reinstall],
};

pub(super) const NetworkMountDead: About = About {
    severity: Critical,
    sentence: Text {
        en: "A network file system that is mounted on this host does not answer.",
        zh: "本机挂载的网络文件系统无响应。",
    },
    explanation: "Every process that touches it hangs and cannot be killed; the load grows without \
                  CPU being used. The file server is down or cannot be reached.",
    verify: &["findmnt -t nfs,nfs4,cifs"],
    fixes: &[Fix::MendNetworkMount],
};

pub(super) const PathMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "A file or directory that the agent needs does not exist.",
        zh: "客户端所需的文件或目录不存在。",
    },
    explanation: "The agent fails when it wants to use it. It was removed by hand or by a cleaning \
                  script, or lies on a file system that is not mounted.",
    verify: &["ls -ld PATH", "findmnt -T PATH"],
    fixes: &[Fix::RestorePath, Fix::Reinstall],
};

pub(super) const TemporaryDirectoryUnusable: About = About {
    severity: Error,
    sentence: Text {
        en: "The directory for temporary files cannot be used.",
        zh: "临时目录不可用。",
    },
    explanation: "/tmp or /var/tmp is missing or not writable for everyone (mode 1777). Many \
                  programs, installers first, fail with messages that do not say so.",
    verify: &["ls -ld /tmp /var/tmp"],
    fixes: &[Fix::MendPermissions],
};

pub(super) const PathExposed: About = About {
    severity: Error,
    sentence: Text {
        en: "Every user of the host may read or change one of the agent's private files.",
        zh: "主机上的任何用户都可以读取或修改客户端的私有文件。",
    },
    explanation: "Whoever reads the agent's key can speak in its name, whoever changes its files can \
                  make it do things. Some agents refuse to start like that. A recursive chmod or a \
                  copy with a wide umask is the usual reason.",
    verify: &["ls -ld PATH"],
    fixes: &[Fix::ClosePath],
};
