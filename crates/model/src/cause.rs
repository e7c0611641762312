//! The catalogue of causes and fixes: codes, not prose.
//!
//! A cause code says why an agent misbehaves, a fix code what to do. Codes are stable and append
//! only. Causes are numbered by subject: 21xx the agent's service, 22xx its process, 23xx the network,
//! 24xx disks and files, 25xx memory, CPU and limits, 26xx the clock, 27xx identity and access,
//! 28xx what logs say. Fixes are numbered from 1100; 1003 is the API's own code for "run this by hand".

/// How bad a cause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; breaks nothing by itself yet.
    Warning,
    /// The agent works badly.
    Error,
    /// The agent cannot work.
    Critical,
}

impl Severity {
    /// The word on the wire.
    #[must_use]
    pub const fn wire(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// The fix code that means "run this command by hand"; its message is the command.
pub const FIX_RUN_BY_HAND: u16 = 1003;

macro_rules! fixes {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal, $text:literal; )+) => {
        /// What to do about a cause.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Fix { $( $(#[doc = $doc])+ $name = $code, )+ }

        impl Fix {
            /// All fixes, by code.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> u16 { self as u16 }

            /// The fix of that code.
            #[must_use]
            pub fn find(code: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.code() == code)
            }

            /// What to do, in one sentence.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $( Self::$name => $text, )+ }
            }
        }
    };
}

macro_rules! causes {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal, $severity:ident, $text:literal, $verify:literal, [$($fix:ident),+]; )+) => {
        /// Why an agent or its host misbehaves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Cause { $( $(#[doc = $doc])+ $name = $code, )+ }

        impl Cause {
            /// All causes, by code.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> u16 { self as u16 }

            /// The cause of that code.
            #[must_use]
            pub fn find(code: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.code() == code)
            }

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )+ }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $( Self::$name => Severity::$severity, )+ }
            }

            /// What is wrong, in one sentence.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $( Self::$name => $text, )+ }
            }

            /// The command with which a person sees it on the host.
            #[must_use]
            pub const fn verify(self) -> &'static str {
                match self { $( Self::$name => $verify, )+ }
            }

            /// What to do about it, most useful first.
            #[must_use]
            pub const fn fixes(self) -> &'static [Fix] {
                match self { $( Self::$name => &[ $( Fix::$fix, )+ ], )+ }
            }
        }
    };
}

fixes! {
    /// Install.
    InstallAgent = 1101, "Install the agent and enrol it: SICKBAY_INSTALL_CODE=CODE sickbay-agent enrol --server URL.";
    /// Enable.
    EnableService = 1102, "Enable the agent's service: systemctl enable --now UNIT.";
    /// Start.
    StartService = 1103, "Start the agent's service: systemctl start UNIT.";
    /// Read the log.
    ReadServiceLog = 1104, "Read why it stops: journalctl -u UNIT -n 100, or the agent's own log.";
    /// Reinstall.
    Reinstall = 1105, "Install the agent's package again; its files are damaged or incomplete.";
    /// Mend the unit.
    MendUnit = 1106, "Correct the service's unit file: systemd-analyze verify UNIT, then systemctl daemon-reload.";
    /// Mend the configuration.
    MendConfiguration = 1107, "Correct the agent's configuration; the evidence names the file and the line.";
    /// Mend DNS.
    MendDns = 1201, "Correct name resolution: check /etc/resolv.conf and that its name servers answer.";
    /// Open the firewall.
    OpenFirewall = 1202, "Let the host reach the server's port: check local firewall rules, security groups and routers.";
    /// Mend the route.
    MendRoute = 1203, "Give the host a route to the server: ip route get ADDRESS.";
    /// Start the server.
    CheckServer = 1204, "Check that the server runs and listens at that address and port.";
    /// Trust or renew the certificate.
    RenewCertificate = 1205, "Renew the server's certificate, or enrol the agent again if the certificate was replaced on purpose.";
    /// Bypass the interceptor.
    StopInterception = 1206, "Exclude the server's address from TLS inspection by proxies on the way.";
    /// Free space.
    FreeDisk = 1301, "Free space: find the largest directories with du -xh --max-depth=2 MOUNT | sort -h.";
    /// Free inodes.
    FreeInodes = 1302, "Free inodes: find the directory with very many small files and remove what is not needed.";
    /// Remount.
    Remount = 1303, "Find out why the file system went read-only (dmesg), check it, then mount it read-write again.";
    /// Mend permissions.
    MendPermissions = 1304, "Give the agent's user the rights on the named path: chown and chmod as the evidence says.";
    /// Free memory.
    FreeMemory = 1401, "Free memory or add some: the evidence lists the largest processes.";
    /// Lower the load.
    LowerLoad = 1402, "Find what uses the CPU: the evidence lists the busiest processes.";
    /// Raise the limit.
    RaiseLimit = 1403, "Raise the limit for the service (LimitNOFILE=, TasksMax=, MemoryMax= in its unit), then restart it.";
    /// Restart.
    RestartService = 1404, "Restart the agent's service; if it comes back, read its log and report it.";
    /// Synchronise.
    SynchroniseClock = 1501, "Synchronise the clock: chronyc makestep, or timedatectl set-ntp true.";
    /// Enrol again.
    EnrolAgain = 1601, "Give the host an identity of its own: remove the agent's data directory and enrol it again.";
    /// Enrol.
    Enrol = 1602, "Enrol this host: make a code with `sickbay install-code create`, then SICKBAY_INSTALL_CODE=CODE sickbay-agent enrol --server URL.";
    /// Report.
    Report = 1901, "Keep the log bundle and report the fault to the agent's maker.";
}

causes! {
    /// Not installed.
    AgentNotInstalled = 2101, Critical, "The agent is not installed on this host.",
        "command -v sickbay-agent; systemctl status sickbay-agent", [InstallAgent];
    /// Not running.
    AgentNotRunning = 2102, Critical, "The agent is installed but no process of it runs.",
        "systemctl status sickbay-agent; pgrep -a sickbay-agent", [StartService, ReadServiceLog];
    /// Disabled.
    ServiceDisabled = 2103, Warning, "The agent's service is not enabled and will not start at boot.",
        "systemctl is-enabled sickbay-agent", [EnableService];
    /// Failed.
    ServiceFailed = 2104, Critical, "The agent's service has failed.",
        "systemctl status sickbay-agent", [ReadServiceLog, StartService];
    /// Crash loop.
    ServiceCrashLoop = 2105, Critical, "The agent's service is restarted again and again.",
        "systemctl show -p NRestarts,Result,ExecMainStatus sickbay-agent", [ReadServiceLog, Report];
    /// Bad unit.
    UnitInvalid = 2106, Critical, "The service's unit file cannot be loaded.",
        "systemd-analyze verify sickbay-agent.service", [MendUnit];
    /// Missing file.
    ProgramMissing = 2107, Critical, "The program that the service starts does not exist or cannot be executed.",
        "systemctl show -p ExecStart sickbay-agent", [Reinstall];
    /// Configuration broken.
    ConfigurationInvalid = 2108, Critical, "The agent's configuration cannot be read or is not valid.",
        "sickbay-agent status", [MendConfiguration];
    /// Not enrolled.
    AgentNotEnrolled = 2109, Critical, "The agent is installed but not enrolled with any server.",
        "sickbay-agent status", [Enrol];

    /// CPU of the agent.
    AgentHighCpu = 2201, Error, "The agent's process uses much CPU.",
        "top -b -n 1 -p $(pgrep -d, sickbay-agent)", [RestartService, Report];
    /// Memory of the agent.
    AgentHighMemory = 2202, Error, "The agent's process uses much memory.",
        "ps -o rss,vsz,cmd -C sickbay-agent", [RestartService, Report];
    /// Descriptors of the agent.
    AgentDescriptorsExhausted = 2203, Error, "The agent's process has nearly used up its file descriptors.",
        "ls /proc/$(pgrep -o sickbay-agent)/fd | wc -l", [RaiseLimit, RestartService];
    /// Hung.
    AgentStuck = 2204, Error, "The agent's process hangs in an uninterruptible wait or is stopped.",
        "ps -o stat,wchan,cmd -C sickbay-agent", [RestartService, Report];

    /// Name.
    NameNotResolved = 2301, Critical, "The server's name cannot be resolved.",
        "getent ahosts SERVER", [MendDns];
    /// Resolver.
    ResolverUnanswered = 2302, Critical, "No configured name server answers.",
        "cat /etc/resolv.conf; getent ahosts SERVER", [MendDns];
    /// Refused.
    ConnectionRefused = 2303, Critical, "The server's host refuses connections on that port.",
        "nc -vz SERVER PORT", [CheckServer, OpenFirewall];
    /// Unreachable.
    NetworkUnreachable = 2304, Critical, "There is no route to the server.",
        "ip route get ADDRESS", [MendRoute];
    /// Silence.
    ConnectionTimedOut = 2305, Critical, "Connecting to the server gets no answer: something on the way drops it.",
        "nc -vz -w 5 SERVER PORT", [OpenFirewall, CheckServer];
    /// Certificate expired.
    CertificateExpired = 2306, Critical, "The server's certificate is outside its time of validity.",
        "openssl s_client -connect SERVER:PORT </dev/null | openssl x509 -noout -dates", [RenewCertificate, SynchroniseClock];
    /// Certificate untrusted.
    CertificateUntrusted = 2307, Critical, "The server's certificate is not the pinned one and not trusted.",
        "openssl s_client -connect SERVER:PORT -showcerts </dev/null", [StopInterception, RenewCertificate];
    /// Handshake.
    HandshakeFailed = 2308, Critical, "The TLS handshake with the server fails.",
        "openssl s_client -connect SERVER:PORT </dev/null", [CheckServer, StopInterception];
    /// Certificate ends soon.
    CertificateEndsSoon = 2309, Warning, "The server's certificate expires within 14 days.",
        "openssl s_client -connect SERVER:PORT </dev/null | openssl x509 -noout -enddate", [RenewCertificate];
    /// Server answers wrongly.
    ServerUnhealthy = 2310, Critical, "Something answers at the server's address, but it is not a healthy Sickbay server.",
        "curl -i URL/healthz", [CheckServer];

    /// Disk full.
    DiskFull = 2401, Critical, "A file system that the agent needs is full.",
        "df -h PATH", [FreeDisk];
    /// Disk nearly full.
    DiskNearlyFull = 2402, Warning, "A file system that the agent needs is more than 95 % full.",
        "df -h PATH", [FreeDisk];
    /// Inodes.
    InodesExhausted = 2403, Critical, "A file system that the agent needs has no free inodes.",
        "df -i PATH", [FreeInodes];
    /// Read-only.
    MountReadOnly = 2404, Critical, "A file system that the agent writes to is mounted read-only.",
        "findmnt -T PATH", [Remount];
    /// Permissions.
    PathNotAccessible = 2405, Critical, "The agent's files have wrong permissions or a wrong owner.",
        "ls -ld PATH", [MendPermissions];

    /// Memory.
    MemoryExhausted = 2501, Critical, "The host is nearly out of memory.",
        "free -m; cat /proc/pressure/memory", [FreeMemory];
    /// CPU.
    CpuOverloaded = 2502, Error, "The host's processors are overloaded.",
        "uptime; cat /proc/pressure/cpu", [LowerLoad];
    /// IO.
    IoOverloaded = 2503, Error, "The host's disks are overloaded.",
        "cat /proc/pressure/io", [LowerLoad];
    /// OOM.
    KilledForMemory = 2504, Critical, "The kernel killed the agent for want of memory.",
        "dmesg | grep -i 'killed process'", [FreeMemory, RaiseLimit];
    /// Processes.
    ProcessesExhausted = 2505, Error, "The host has nearly reached its limit of processes.",
        "cat /proc/sys/kernel/pid_max; ls -d /proc/[0-9]* | wc -l", [LowerLoad, RaiseLimit];
    /// Descriptors.
    DescriptorsExhausted = 2506, Error, "The host has nearly used up its open files.",
        "cat /proc/sys/fs/file-nr", [LowerLoad, RaiseLimit];
    /// Memory limit.
    CgroupMemoryLimit = 2507, Error, "The agent is at the memory limit of its control group.",
        "systemctl show -p MemoryCurrent,MemoryMax sickbay-agent", [RaiseLimit];

    /// Clock.
    ClockWrong = 2601, Error, "The host's clock differs from the server's by more than 60 s.",
        "date -u; timedatectl", [SynchroniseClock];
    /// Not synchronised.
    ClockNotSynchronised = 2602, Warning, "The kernel says that the clock is not synchronised and it already drifts.",
        "timedatectl", [SynchroniseClock];

    /// Refused by the server.
    EnrolmentRevoked = 2701, Critical, "The server does not know this host, or removed it.",
        "sickbay-agent status", [EnrolAgain];
    /// Duplicate.
    DuplicateIdentity = 2702, Critical, "Another host uses the same identity: this one was cloned.",
        "cat /etc/machine-id; sickbay-agent status", [EnrolAgain];

    /// Panics in the log.
    LogShowsCrash = 2801, Error, "The agent's log shows that it crashed.",
        "tail -n 200 LOG", [Report];
    /// Errors in the log.
    LogShowsErrors = 2802, Warning, "The agent's log shows errors again and again.",
        "tail -n 200 LOG", [ReadServiceLog];
    /// Kernel I/O errors.
    KernelDiskErrors = 2803, Critical, "The kernel reports read or write errors of a disk.",
        "dmesg | grep -iE 'i/o error|remount'", [Report, FreeDisk];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for pair in Cause::ALL.windows(2) {
            assert!(pair[0].code() < pair[1].code(), "{pair:?}");
        }
        for pair in Fix::ALL.windows(2) {
            assert!(pair[0].code() < pair[1].code(), "{pair:?}");
        }
        assert!(
            Cause::ALL
                .iter()
                .all(|it| Cause::find(it.code()) == Some(*it))
        );
        assert!(Fix::ALL.iter().all(|it| Fix::find(it.code()) == Some(*it)));
        assert_eq!(Fix::find(FIX_RUN_BY_HAND), None);
    }

    #[test]
    fn every_fix_is_the_fix_of_some_cause() {
        for fix in Fix::ALL {
            let used = Cause::ALL.iter().any(|cause| cause.fixes().contains(fix));
            assert!(used, "{fix:?}");
        }
    }
}
