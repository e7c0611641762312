//! What to do about the host: disks, resources, clock, identity, kernel. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::{About, Action};
use crate::Text;

pub(super) const FreeDisk: About = About {
    sentence: Text {
        en: "Free space: du -xh --max-depth=2 shows which directories are largest.",
        zh: "释放空间：用 du -xh --max-depth=2 找出最大的目录。",
    },
    action: None,
};

pub(super) const FreeInodes: About = About {
    sentence: Text {
        en: "Free inodes: find the directory with very many small files and remove what is not \
             needed.",
        zh: "释放 inode：找到含有大量小文件的目录并删除不需要的文件。",
    },
    action: None,
};

pub(super) const Remount: About = About {
    sentence: Text {
        en: "Find out why the file system went read-only (dmesg), check it, then mount it \
             read-write again.",
        zh: "查明文件系统变为只读的原因（dmesg），检查后重新以读写方式挂载。",
    },
    action: None,
};

pub(super) const MendPermissions: About = About {
    sentence: Text {
        en: "Give the agent's user the rights on the named path: chown and chmod as the evidence \
             says.",
        zh: "按证据所示用 chown 和 chmod 授予客户端用户对该路径的权限。",
    },
    action: None,
};

pub(super) const RaiseQuota: About = About {
    sentence: Text {
        en: "Raise the quota, or remove what the user no longer needs.",
        zh: "提高配额，或删除该用户不再需要的文件。",
    },
    action: None,
};

pub(super) const CheckFileSystem: About = About {
    sentence: Text {
        en: "Save what matters, unmount the file system and check it (fsck, xfs_repair).",
        zh: "备份重要数据，卸载文件系统并检查（fsck、xfs_repair）。",
    },
    action: None,
};

pub(super) const TrimLog: About = About {
    sentence: Text {
        en: "Lower the log level, set up rotation, and find out why the queue grows.",
        zh: "降低日志级别，配置日志轮转，并查明队列增长的原因。",
    },
    action: None,
};

pub(super) const ReleaseFile: About = About {
    sentence: Text {
        en: "Restart the process that holds the deleted file; the evidence names it.",
        zh: "重启占用已删除文件的进程（见证据）。",
    },
    action: None,
};

pub(super) const ClearImmutable: About = About {
    sentence: Text {
        en: "Find out who set the attribute, then take it away.",
        zh: "查明设置该属性的原因，然后取消。",
    },
    action: Some(Action {
        command: "chattr -i -a -- PATH",
        unattended: false,
    }),
};

pub(super) const AllowInPolicy: About = About {
    sentence: Text {
        en: "Add to the policy or the profile what the agent needs; the denial in the evidence \
             says what.",
        zh: "在策略或配置中放行客户端所需的访问（见证据中的拒绝记录）。",
    },
    action: None,
};

pub(super) const RestoreLabels: About = About {
    sentence: Text {
        en: "Give the files back the labels that the policy wants.",
        zh: "恢复策略要求的文件安全标签。",
    },
    action: Some(Action {
        command: "restorecon -R -v -- PATH",
        unattended: false,
    }),
};

pub(super) const RemountExec: About = About {
    sentence: Text {
        en: "Allow execution on that file system, or install the agent elsewhere.",
        zh: "允许在该文件系统上执行，或将客户端安装到其他位置。",
    },
    action: None,
};

pub(super) const MendNetworkMount: About = About {
    sentence: Text {
        en: "Bring the file server back; otherwise unmount lazily (umount -l).",
        zh: "恢复文件服务器；否则延迟卸载（umount -l）。",
    },
    action: None,
};

pub(super) const RestorePath: About = About {
    sentence: Text {
        en: "Make the missing path again with the owner and mode that the agent needs, or mount \
             what belongs there.",
        zh: "以正确的属主和权限重建缺失的路径，或挂载其所在的文件系统。",
    },
    action: None,
};

pub(super) const ClosePath: About = About {
    sentence: Text {
        en: "Take the rights of all other users on the named path away.",
        zh: "取消其他用户对该路径的所有权限。",
    },
    action: Some(Action {
        command: "[ ! -L PATH ] && chmod o-rwx -- PATH",
        unattended: true,
    }),
};

pub(super) const FreeMemory: About = About {
    sentence: Text {
        en: "Free memory or add some: the evidence lists the largest processes.",
        zh: "释放或增加内存：证据中列出了占用最多的进程。",
    },
    action: None,
};

pub(super) const LowerLoad: About = About {
    sentence: Text {
        en: "Find what uses the host's resources: the evidence lists the busiest processes.",
        zh: "找出占用资源的程序：证据中列出了最繁忙的进程。",
    },
    action: None,
};

pub(super) const RaiseLimit: About = About {
    sentence: Text {
        en: "Raise the limit for the service (LimitNOFILE=, TasksMax=, MemoryMax=, CPUQuota= in \
             its unit), then restart it.",
        zh: "提高服务的限制（单元中的 LimitNOFILE=、TasksMax=、MemoryMax=、CPUQuota=），然后重启。",
    },
    action: None,
};

pub(super) const RestartService: About = About {
    sentence: Text {
        en: "Restart the agent's service; if it comes back, read its log and report it.",
        zh: "重启客户端服务；若再次出现，请查看日志并上报。",
    },
    action: Some(Action {
        command: "if [ -d /run/systemd/system ]; then systemctl reset-failed -- UNIT; systemctl \
                  restart -- UNIT; else unit=UNIT; \"/etc/init.d/${unit%.service}\" restart; fi",
        unattended: true,
    }),
};

pub(super) const RaiseWatches: About = About {
    sentence: Text {
        en: "Raise fs.inotify.max_user_watches and max_user_instances; as first aid, double them.",
        zh: "提高 fs.inotify.max_user_watches 和 max_user_instances；应急时可加倍。",
    },
    action: Some(Action {
        command: "for name in max_user_watches max_user_instances; do sysctl -w \
                  \"fs.inotify.$name=$(( $(cat \"/proc/sys/fs/inotify/$name\") * 2 ))\"; done",
        unattended: false,
    }),
};

pub(super) const StopRunaway: About = About {
    sentence: Text {
        en: "Stop or limit the process that the evidence names, after asking whose it is.",
        zh: "询问归属后，停止或限制证据中的进程。",
    },
    action: None,
};

pub(super) const MendParent: About = About {
    sentence: Text {
        en: "Restart the parent that does not collect its children; in a container, run an init.",
        zh: "重启未回收子进程的父进程；在容器中使用 init。",
    },
    action: None,
};

pub(super) const SynchroniseClock: About = About {
    sentence: Text {
        en: "Synchronise the clock with its time source.",
        zh: "与时间源同步时钟。",
    },
    action: Some(Action {
        command: "if command -v chronyc >/dev/null; then chronyc makestep; else timedatectl \
                  set-ntp true; fi",
        unattended: true,
    }),
};

pub(super) const MendTimeSource: About = About {
    sentence: Text {
        en: "Let the host reach its time servers (UDP port 123), or name others.",
        zh: "放行到时间服务器的访问（UDP 123），或更换时间服务器。",
    },
    action: None,
};

pub(super) const CorrectHardwareClock: About = About {
    sentence: Text {
        en: "Synchronise the system's clock, then write it to the hardware clock in UTC.",
        zh: "先同步系统时钟，再以 UTC 写入硬件时钟。",
    },
    action: Some(Action {
        command: "hwclock --systohc --utc",
        unattended: false,
    }),
};

pub(super) const EnrolAgain: About = About {
    sentence: Text {
        en: "Give the host an identity of its own: remove the agent's identity and enrol it again.",
        zh: "为主机生成独立标识：删除客户端身份并重新注册。",
    },
    action: None,
};

pub(super) const Enrol: About = About {
    sentence: Text {
        en: "Enrol this host with its server (Sickbay's own agent: make a code with `sickbay \
             install-code create`, then run `sickbay-agent enrol`).",
        zh: "将此主机注册到服务器（Sickbay 自带客户端：先执行 `sickbay install-code create` 生成安装码，再运行 `sickbay-agent enrol`）。",
    },
    action: None,
};

pub(super) const RenewCredential: About = About {
    sentence: Text {
        en: "Give the agent a valid credential: a new key, token or certificate from its server.",
        zh: "为客户端更换有效凭据：从服务器获取新的密钥、令牌或证书。",
    },
    action: None,
};

pub(super) const RenewLicence: About = About {
    sentence: Text {
        en: "Renew the licence or the enrolment.",
        zh: "续订许可证或重新注册。",
    },
    action: None,
};

pub(super) const RenewMachineId: About = About {
    sentence: Text {
        en: "Give the host a machine id of its own (systemd-machine-id-setup), then enrol its \
             agents again.",
        zh: "为主机生成新的 machine-id（systemd-machine-id-setup），然后重新注册客户端。",
    },
    action: None,
};

pub(super) const RenameHost: About = About {
    sentence: Text {
        en: "Give the host a name of its own (hostnamectl set-hostname).",
        zh: "为主机设置唯一的主机名（hostnamectl set-hostname）。",
    },
    action: None,
};

pub(super) const LoadModule: About = About {
    sentence: Text {
        en: "Install or build the module for the running kernel and load it.",
        zh: "为当前内核安装或编译模块并加载。",
    },
    action: None,
};

pub(super) const ChooseOneAgent: About = About {
    sentence: Text {
        en: "Keep one of the competing products, or exclude each from the other as their makers \
             say.",
        zh: "保留其中一个产品，或按厂商说明互相排除。",
    },
    action: None,
};

pub(super) const ReplaceDisk: About = About {
    sentence: Text {
        en: "Save what matters, check the disk (smartctl -a) and replace it.",
        zh: "备份重要数据，检查磁盘（smartctl -a）并更换。",
    },
    action: None,
};

pub(super) const Report: About = About {
    sentence: Text {
        en: "Keep the log bundle and report the fault to the agent's maker.",
        zh: "保留日志包并向客户端厂商反馈。",
    },
    action: None,
};
