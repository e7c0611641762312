//! The agent is not there, not started, or does not stay. Data only; named in the list of [`super`].

#![expect(
    non_upper_case_globals,
    reason = "named like the variants that they describe"
)]

use super::About;
use super::Severity::{Critical, Error, Warning};
use crate::{Fix, Text};

pub(super) const AgentNotInstalled: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent is not installed on this host.",
        zh: "此主机上未安装客户端。",
    },
    explanation: "Neither its program nor its service was found in the usual places. Nothing \
                  reports from this host until it is installed. Common reasons are an image built \
                  without it, an installation that failed half-way, or a removal.",
    verify: &["command -v PROCESS", "systemctl status UNIT"],
    fixes: &[Fix::InstallAgent],
};

pub(super) const AgentNotRunning: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent is installed but no process of it runs.",
        zh: "客户端已安装，但没有运行中的进程。",
    },
    explanation: "The host is not watched while nothing runs. Often somebody stopped the service, \
                  it ended by itself, or it never started after a boot. If another cause is named \
                  before this one, that is the reason.",
    verify: &["systemctl status UNIT", "pgrep -a -f PROCESS"],
    fixes: &[Fix::StartService, Fix::ReadServiceLog],
};

pub(super) const ServiceDisabled: About = About {
    severity: Warning,
    sentence: Text {
        en: "The agent's service is not enabled and will not start at boot.",
        zh: "客户端服务未启用，开机时不会自动启动。",
    },
    explanation: "It may run now, but will be gone after the next restart of the host. Usually an \
                  installation left out this step or somebody disabled it.",
    verify: &["systemctl is-enabled UNIT"],
    fixes: &[Fix::EnableService],
};

pub(super) const ServiceFailed: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's service has failed.",
        zh: "客户端服务已失败。",
    },
    explanation: "The service manager saw the program end with an error and does not start it \
                  again. The exit code or signal in the evidence says how it ended, the log says \
                  why. Look at the causes named before this one first.",
    verify: &["systemctl status UNIT", "journalctl -u UNIT -n 50"],
    fixes: &[Fix::ReadServiceLog, Fix::StartService],
};

pub(super) const ServiceCrashLoop: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's service is restarted again and again.",
        zh: "客户端服务反复重启。",
    },
    explanation: "The program starts, ends with an error after a short time, and is started again. \
                  It does no work and uses CPU and disk for its log. Common reasons are a broken \
                  configuration, a missing file, a port that is taken, or a fault of the program.",
    verify: &[
        "systemctl show -p NRestarts,Result,ExecMainStatus UNIT",
        "journalctl -u UNIT -n 50",
    ],
    fixes: &[Fix::ReadServiceLog, Fix::Report],
};

pub(super) const UnitInvalid: About = About {
    severity: Critical,
    sentence: Text {
        en: "The service's unit file cannot be loaded.",
        zh: "服务的单元文件无法加载。",
    },
    explanation: "The service manager refuses the file, so it cannot start the program at all. \
                  Usually somebody edited the unit or a drop-in and made a mistake.",
    verify: &["systemd-analyze verify UNIT"],
    fixes: &[Fix::MendUnit],
};

pub(super) const ProgramMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "The program that the service starts does not exist or cannot be executed.",
        zh: "服务要启动的程序不存在或无法执行。",
    },
    explanation: "The unit names a file that is not there or lacks the right to be executed. The \
                  service fails at once on each start. Common reasons are a damaged or \
                  half-removed package, a moved file, or lost file modes.",
    verify: &["systemctl show -p ExecStart UNIT", "ls -l PROGRAM"],
    fixes: &[Fix::Reinstall],
};

pub(super) const ConfigurationInvalid: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's configuration cannot be read or is not valid.",
        zh: "客户端配置无法读取或无效。",
    },
    explanation: "The program refuses to start, or goes on with old settings, when it cannot \
                  understand its configuration. Usually a recent edit left a mistake in the \
                  syntax or a wrong value; the evidence names the place.",
    verify: &["ls -l CONFIG", "journalctl -u UNIT -n 50"],
    fixes: &[Fix::MendConfiguration],
};

pub(super) const AgentNotEnrolled: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent is installed but not enrolled with any server.",
        zh: "客户端已安装，但未注册到任何服务器。",
    },
    explanation: "It has no identity and does not know whom to report to. Enrolment was never \
                  done, failed, or its data directory was removed.",
    verify: &["ls -l DATA"],
    fixes: &[Fix::Enrol],
};

pub(super) const ServiceMasked: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's service is masked and cannot be started.",
        zh: "客户端服务已被屏蔽（masked），无法启动。",
    },
    explanation: "A masked unit points to /dev/null: neither a person nor another unit can start \
                  it. Somebody, or a script, masked it on purpose; find out why before you undo \
                  it.",
    verify: &["systemctl is-enabled UNIT"],
    fixes: &[Fix::UnmaskService],
};

pub(super) const LibraryMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "A shared library that the agent needs is missing.",
        zh: "客户端所需的共享库缺失。",
    },
    explanation: "The dynamic loader cannot find a library and ends the program before it begins. \
                  Common reasons are a removed or upgraded package, a program built for another \
                  release, or a changed search path.",
    verify: &["ldd PROGRAM"],
    fixes: &[Fix::InstallLibrary, Fix::Reinstall],
};

pub(super) const InterpreterMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "The interpreter or loader that the agent's program needs is missing.",
        zh: "客户端程序所需的解释器或加载器缺失。",
    },
    explanation: "The kernel says \"no such file\" although the program exists: the file named in \
                  its first line, or its dynamic loader, is not there. Typical for a script whose \
                  Python or shell was removed and for a glibc program on a musl host.",
    verify: &["head -c 200 PROGRAM", "file PROGRAM"],
    fixes: &[Fix::InstallLibrary, Fix::Reinstall],
};

pub(super) const PortTaken: About = About {
    severity: Critical,
    sentence: Text {
        en: "Another process holds the port that the agent listens on.",
        zh: "客户端要监听的端口被其他进程占用。",
    },
    explanation: "Only one process can listen on a port, so the agent cannot start or serves \
                  nothing. Common reasons are a second instance, an old agent left behind, or \
                  another product with the same default port.",
    verify: &["ss -ltnp"],
    fixes: &[Fix::FreePort],
};

pub(super) const ConfigurationMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's configuration file is missing.",
        zh: "客户端配置文件缺失。",
    },
    explanation: "The program needs this file and does not start, or starts with defaults that do \
                  not fit. It was removed, never written, or lies in another place than the \
                  service says.",
    verify: &["ls -l CONFIG"],
    fixes: &[Fix::RestoreConfiguration, Fix::Reinstall],
};

pub(super) const ConfigurationNamesMissingFile: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's configuration names a file that does not exist.",
        zh: "客户端配置引用了不存在的文件。",
    },
    explanation: "The configuration itself is well-formed, but a certificate, key, included file \
                  or directory in it is not there. The program refuses to start or leaves out a \
                  part of its work.",
    verify: &["ls -l PATH"],
    fixes: &[Fix::MendConfiguration],
};

pub(super) const PackageDamaged: About = About {
    severity: Error,
    sentence: Text {
        en: "Files of the agent's package differ from those that were installed.",
        zh: "客户端软件包的文件与安装时不一致。",
    },
    explanation: "The package manager compares digests and finds changed or missing files that are \
                  no configuration. A disk fault, a manual copy, an interrupted upgrade or \
                  tampering can be the reason.",
    verify: &["dpkg -V PACKAGE", "rpm -V PACKAGE"],
    fixes: &[Fix::Reinstall],
};

pub(super) const PackageHalfConfigured: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent's package is installed only in part.",
        zh: "客户端软件包未完整安装或配置。",
    },
    explanation: "The package manager began to install, configure or remove it and did not finish. \
                  Its files can be of two versions and its service may not be set up. Typical \
                  after an interrupted upgrade or a full disk.",
    verify: &["dpkg -s PACKAGE", "dpkg --audit"],
    fixes: &[Fix::FinishConfiguration, Fix::Reinstall],
};

pub(super) const VersionTooOld: About = About {
    severity: Warning,
    sentence: Text {
        en: "The agent's version is older than its server supports.",
        zh: "客户端版本低于服务器支持的最低版本。",
    },
    explanation: "An old agent may connect and yet be refused some of its work. It was not \
                  upgraded with the rest, or upgrades fail on this host.",
    verify: &["PROGRAM --version"],
    fixes: &[Fix::UpgradeAgent],
};

pub(super) const VersionDiffers: About = About {
    severity: Error,
    sentence: Text {
        en: "The agent's program is of another version than its package.",
        zh: "客户端程序版本与软件包记录的版本不符。",
    },
    explanation: "The file was replaced outside the package manager, or another copy stands before \
                  it in the search path. Faults of a version that nobody believes to run are hard \
                  to find.",
    verify: &["PROGRAM --version", "dpkg -s PACKAGE"],
    fixes: &[Fix::Reinstall, Fix::RestartService],
};

pub(super) const AgentPaused: About = About {
    severity: Warning,
    sentence: Text {
        en: "The agent was paused on purpose.",
        zh: "客户端被人为暂停。",
    },
    explanation: "A setting or a mark on the host tells the agent to do nothing. It is healthy but \
                  does no work until the pause is ended. Usually a person did it for maintenance \
                  and forgot it.",
    verify: &["systemctl status UNIT", "ls -l CONFIG"],
    fixes: &[Fix::EndPause],
};

pub(super) const DependencyFailed: About = About {
    severity: Critical,
    sentence: Text {
        en: "A unit that the agent's service requires has failed.",
        zh: "客户端服务依赖的单元已失败。",
    },
    explanation: "The service manager starts the agent only together with what it requires: a \
                  mount, a network target or another service. The fault is there, not in the \
                  agent.",
    verify: &["systemctl list-dependencies UNIT", "systemctl --failed"],
    fixes: &[Fix::ReadServiceLog, Fix::MendUnit],
};

pub(super) const ServiceStartTimesOut: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's service does not become ready in time and is ended.",
        zh: "客户端服务未能按时就绪，已被终止。",
    },
    explanation: "The program starts but does not tell the service manager that it is ready before \
                  TimeoutStartSec. It waits for the network, a lock or a slow disk, or the unit \
                  has a wrong Type.",
    verify: &[
        "systemctl show -p Result,TimeoutStartUSec,Type UNIT",
        "journalctl -u UNIT -n 50",
    ],
    fixes: &[Fix::ReadServiceLog, Fix::MendUnit],
};

pub(super) const WatchdogEnded: About = About {
    severity: Critical,
    sentence: Text {
        en: "The service manager ended the agent because it no longer gave a sign of life.",
        zh: "客户端停止响应看门狗，已被服务管理器终止。",
    },
    explanation: "The unit has WatchdogSec and the program did not report within it. It hung, was \
                  starved of CPU or blocked on a disk or a network file system.",
    verify: &["systemctl show -p Result,WatchdogUSec UNIT"],
    fixes: &[Fix::ReadServiceLog, Fix::Report],
};

pub(super) const ServiceUserMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "The user or group that the agent's service runs as does not exist.",
        zh: "客户端服务指定的运行用户或组不存在。",
    },
    explanation: "The service fails with status 217 or 216 before the program begins. The account \
                  was removed, comes from a directory service that does not answer, or was never \
                  made by the package.",
    verify: &["systemctl show -p User,Group UNIT", "getent passwd USER"],
    fixes: &[Fix::MendAccount, Fix::Reinstall],
};

pub(super) const ServiceDirectoryMissing: About = About {
    severity: Critical,
    sentence: Text {
        en: "A directory that the agent's unit names does not exist or cannot be entered.",
        zh: "客户端单元文件指定的目录不存在或无法进入。",
    },
    explanation: "The service fails with status 200, 226 or 238 before the program begins: its \
                  working, state or bind-mounted directory is not there. It was removed, or lies \
                  on a disk that is not mounted.",
    verify: &["systemctl show -p WorkingDirectory,StateDirectory,ReadWritePaths UNIT"],
    fixes: &[Fix::RestorePath, Fix::MendUnit],
};

pub(super) const ProgramForOtherMachine: About = About {
    severity: Critical,
    sentence: Text {
        en: "The agent's program is built for another processor.",
        zh: "客户端程序不适用于本机处理器架构。",
    },
    explanation: "The kernel refuses it with \"exec format error\". The package of a wrong \
                  architecture was copied or installed.",
    verify: &["file PROGRAM", "uname -m"],
    fixes: &[Fix::Reinstall],
};
