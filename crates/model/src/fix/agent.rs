//! What to do to the agent itself. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::{About, Action};
use crate::Text;

pub(super) const InstallAgent: About = About {
    sentence: Text {
        en: "Install the agent and enrol it with its server.",
        zh: "安装客户端并注册到服务器。",
    },
    action: None,
};

pub(super) const EnableService: About = About {
    sentence: Text {
        en: "Enable the agent's service and start it.",
        zh: "启用并启动客户端服务。",
    },
    action: Some(Action {
        command: "if [ -d /run/systemd/system ]; then systemctl enable --now -- UNIT; else \
                  unit=UNIT; name=\"${unit%.service}\"; if command -v update-rc.d >/dev/null; then \
                  update-rc.d \"$name\" defaults; elif command -v rc-update >/dev/null; then \
                  rc-update add \"$name\" default; else chkconfig \"$name\" on; fi && \
                  \"/etc/init.d/$name\" start; fi",
        unattended: true,
    }),
};

pub(super) const StartService: About = About {
    sentence: Text {
        en: "Start the agent's service.",
        zh: "启动客户端服务。",
    },
    action: Some(Action {
        command: "if [ -d /run/systemd/system ]; then systemctl reset-failed -- UNIT; systemctl \
                  start -- UNIT; else unit=UNIT; \"/etc/init.d/${unit%.service}\" start; fi",
        unattended: true,
    }),
};

pub(super) const ReadServiceLog: About = About {
    sentence: Text {
        en: "Read in the service's journal or the agent's own log why it stops.",
        zh: "查看服务日志或客户端日志，了解其停止的原因。",
    },
    action: None,
};

pub(super) const Reinstall: About = About {
    sentence: Text {
        en: "Install the agent's package again; its files are damaged or incomplete.",
        zh: "重新安装客户端软件包，其文件已损坏或不完整。",
    },
    action: Some(Action {
        command: "if command -v apt-get >/dev/null; then DEBIAN_FRONTEND=noninteractive apt-get \
                  install --reinstall -y -- PACKAGE; elif command -v dnf >/dev/null; then dnf \
                  reinstall -y -- PACKAGE; elif command -v zypper >/dev/null; then zypper -n \
                  install -f -- PACKAGE; else yum reinstall -y -- PACKAGE; fi",
        unattended: false,
    }),
};

pub(super) const MendUnit: About = About {
    sentence: Text {
        en: "Correct the service's unit file (systemd-analyze verify names the line), then reload \
             the service manager.",
        zh: "修正服务单元文件（systemd-analyze verify 会指出行号），然后重新加载。",
    },
    action: None,
};

pub(super) const MendConfiguration: About = About {
    sentence: Text {
        en: "Correct the agent's configuration; the evidence names the file and the place.",
        zh: "修正客户端配置；证据中给出了文件和位置。",
    },
    action: None,
};

pub(super) const UnmaskService: About = About {
    sentence: Text {
        en: "Find out why the service was masked; then unmask, enable and start it.",
        zh: "查明服务被屏蔽的原因，然后解除屏蔽、启用并启动。",
    },
    action: Some(Action {
        command: "systemctl unmask -- UNIT && systemctl enable --now -- UNIT",
        unattended: false,
    }),
};

pub(super) const InstallLibrary: About = About {
    sentence: Text {
        en: "Install the package that holds the missing library or interpreter.",
        zh: "安装提供所缺库或解释器的软件包。",
    },
    action: None,
};

pub(super) const FreePort: About = About {
    sentence: Text {
        en: "Stop the process that holds the port, or give the agent another port.",
        zh: "停止占用端口的进程，或为客户端更换端口。",
    },
    action: None,
};

pub(super) const FinishConfiguration: About = About {
    sentence: Text {
        en: "Let the package manager finish what it began.",
        zh: "让软件包管理器完成未完成的操作。",
    },
    action: Some(Action {
        command: "DEBIAN_FRONTEND=noninteractive dpkg --configure -a",
        unattended: false,
    }),
};

pub(super) const UpgradeAgent: About = About {
    sentence: Text {
        en: "Upgrade the agent to a version that its server and this host support.",
        zh: "将客户端升级到服务器和主机支持的版本。",
    },
    action: None,
};

pub(super) const RestoreConfiguration: About = About {
    sentence: Text {
        en: "Put the configuration file back, from a backup or from the package's example.",
        zh: "从备份或软件包示例恢复配置文件。",
    },
    action: None,
};

pub(super) const ResumeProcess: About = About {
    sentence: Text {
        en: "Let the process run again.",
        zh: "恢复进程运行。",
    },
    action: Some(Action {
        // The number may belong to another process by now; the kernel knows 15 bytes of a name.
        command: "grep -qxF -e PROCESS /proc/PID/comm && { if [ -d /run/systemd/system ]; then \
                  unit=$(sed -nE 's,^(0:|1:name=systemd):.*/,,p' /proc/PID/cgroup | head -n 1); \
                  systemctl thaw -- \"$unit\"; fi; pkill -CONT -P PID; kill -CONT PID; }",
        unattended: true,
    }),
};

pub(super) const EndPause: About = About {
    sentence: Text {
        en: "Ask who paused it; if the reason is gone, take the pause away and start the service.",
        zh: "询问暂停者；若原因已消除，取消暂停并启动服务。",
    },
    action: None,
};

pub(super) const StopOtherInstance: About = About {
    sentence: Text {
        en: "Stop the instance that the service manager did not start.",
        zh: "停止不是由服务管理器启动的实例。",
    },
    action: None,
};

pub(super) const RemoveOldAgent: About = About {
    sentence: Text {
        en: "Remove the old installation with the means by which it was installed.",
        zh: "用当初的安装方式卸载旧版客户端。",
    },
    action: None,
};

pub(super) const MendAccount: About = About {
    sentence: Text {
        en: "Create the user and group that the service's unit names.",
        zh: "创建服务单元所指定的用户和组。",
    },
    action: None,
};

pub(super) const GrantRights: About = About {
    sentence: Text {
        en: "Give the service the capabilities and system calls that its maker asks for, in its \
             unit or its container.",
        zh: "在单元或容器中授予服务所需的 capability 和系统调用。",
    },
    action: None,
};
