//! The catalogue of causes: codes, not prose.
//!
//! A cause code says why an agent misbehaves. Codes and names are stable and append only. They are
//! numbered by subject: 21xx the agent's service, 22xx its process, 23xx the network, 24xx disks and
//! files, 25xx memory, CPU and limits, 26xx the clock, 27xx identity and access, 28xx what logs say
//! and what stands in the way. Each is something that a probe can decide on a host; deciding is the
//! agent's. `docs/causes/` is written from this list.

mod clock;
mod disk;
mod graph;
mod identity;
mod kernel;
mod network;
mod process;
mod resources;
mod server;
mod service;
mod tls;

use crate::catalogue::catalogue;
use crate::{Fix, Text};

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

/// What is known about a cause.
#[derive(Debug)]
pub struct About {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub sentence: Text,
    /// What it means, what it leads to and where it usually comes from. English.
    pub explanation: &'static str,
    /// Templates of commands with which a person sees it on the host; they only look. See
    /// [`crate::template`].
    pub verify: &'static [&'static str],
    /// What to do about it, most useful first.
    pub fixes: &'static [Fix],
}

impl Cause {
    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.about().severity
    }

    /// What is wrong, in one English sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        self.about().sentence.en
    }

    /// What to do about it, most useful first.
    #[must_use]
    pub const fn fixes(self) -> &'static [Fix] {
        self.about().fixes
    }
}

catalogue! {
    /// Why an agent or its host misbehaves.
    Cause:
    AgentNotInstalled = 2101 in service;
    AgentNotRunning = 2102 in service;
    ServiceDisabled = 2103 in service;
    ServiceFailed = 2104 in service;
    ServiceCrashLoop = 2105 in service;
    UnitInvalid = 2106 in service;
    ProgramMissing = 2107 in service;
    ConfigurationInvalid = 2108 in service;
    AgentNotEnrolled = 2109 in service;
    ServiceMasked = 2110 in service;
    LibraryMissing = 2111 in service;
    InterpreterMissing = 2112 in service;
    PortTaken = 2113 in service;
    ConfigurationMissing = 2114 in service;
    ConfigurationNamesMissingFile = 2115 in service;
    PackageDamaged = 2116 in service;
    PackageHalfConfigured = 2117 in service;
    VersionTooOld = 2118 in service;
    VersionDiffers = 2119 in service;
    AgentPaused = 2120 in service;
    DependencyFailed = 2121 in service;
    ServiceStartTimesOut = 2122 in service;
    WatchdogEnded = 2123 in service;
    ServiceUserMissing = 2124 in service;
    ServiceDirectoryMissing = 2125 in service;
    ProgramForOtherMachine = 2126 in service;

    AgentHighCpu = 2201 in process;
    AgentHighMemory = 2202 in process;
    AgentDescriptorsExhausted = 2203 in process;
    AgentStuck = 2204 in process;
    AgentFrozen = 2205 in process;
    ProgramDeleted = 2206 in process;
    ProgramReplaced = 2207 in process;
    AgentDuplicated = 2208 in process;
    AgentStarved = 2209 in process;
    AgentZombie = 2210 in process;

    NameNotResolved = 2301 in network;
    ResolverUnanswered = 2302 in network;
    ConnectionRefused = 2303 in network;
    NetworkUnreachable = 2304 in network;
    ConnectionTimedOut = 2305 in network;
    CertificateExpired = 2306 in tls;
    CertificateUntrusted = 2307 in tls;
    HandshakeFailed = 2308 in tls;
    CertificateEndsSoon = 2309 in tls;
    ServerUnhealthy = 2310 in server;
    ResolverSlow = 2311 in network;
    NameResolvesWrongly = 2312 in network;
    NameSwitchBroken = 2313 in network;
    NoDefaultRoute = 2314 in network;
    InterfaceDown = 2315 in network;
    PathMtuBlackHole = 2316 in network;
    FirewallRejects = 2317 in network;
    FirewallDrops = 2318 in network;
    ConnectionProhibited = 2319 in network;
    ConnectionTableFull = 2320 in network;
    EphemeralPortsExhausted = 2321 in network;
    PacketLoss = 2322 in network;
    CertificateWrongName = 2323 in tls;
    CertificateNotYetValid = 2324 in tls;
    AuthorityUnknown = 2325 in tls;
    ConnectionIntercepted = 2326 in tls;
    ClientCertificateExpired = 2327 in tls;
    TlsVersionUnsupported = 2328 in tls;
    AuthoritiesMissing = 2329 in tls;
    ProxyUnreachable = 2330 in server;
    ProxyRefuses = 2331 in server;
    ProxyNeedsAuthentication = 2332 in server;
    ProxyAnswersWrongly = 2333 in server;
    ProxyUnwanted = 2334 in server;
    ServerRejectsCredential = 2335 in server;
    ServerRejectsRequest = 2336 in server;
    ServerFails = 2337 in server;
    ProxyNotUsed = 2338 in server;
    AddressFamilyBroken = 2339 in network;
    ResolverNotConfigured = 2340 in network;
    GatewayUnreachable = 2341 in network;

    DiskFull = 2401 in disk;
    DiskNearlyFull = 2402 in disk;
    InodesExhausted = 2403 in disk;
    MountReadOnly = 2404 in disk;
    PathNotAccessible = 2405 in disk;
    QuotaExceeded = 2406 in disk;
    FileSystemErrors = 2407 in disk;
    AgentFilesHuge = 2408 in disk;
    DeletedFileHoldsSpace = 2409 in disk;
    PathWrongOwner = 2410 in disk;
    PathWrongMode = 2411 in disk;
    PathImmutable = 2412 in disk;
    SelinuxDenies = 2413 in disk;
    AppArmorDenies = 2414 in disk;
    MountNoExec = 2415 in disk;
    NetworkMountDead = 2416 in disk;
    PathMissing = 2417 in disk;
    TemporaryDirectoryUnusable = 2418 in disk;
    PathExposed = 2419 in disk;

    MemoryExhausted = 2501 in resources;
    CpuOverloaded = 2502 in resources;
    IoOverloaded = 2503 in resources;
    KilledForMemory = 2504 in resources;
    ProcessesExhausted = 2505 in resources;
    DescriptorsExhausted = 2506 in resources;
    CgroupMemoryLimit = 2507 in resources;
    SwapThrashing = 2508 in resources;
    MemoryPressure = 2509 in resources;
    CgroupCpuThrottled = 2510 in resources;
    CgroupProcessLimit = 2511 in resources;
    DescriptorLimitLow = 2512 in resources;
    WatchesExhausted = 2513 in resources;
    ThreadsExhausted = 2514 in resources;
    ZombiesPileUp = 2515 in resources;
    CompetitorBusy = 2516 in resources;

    ClockWrong = 2601 in clock;
    ClockNotSynchronised = 2602 in clock;
    ClockJumped = 2603 in clock;
    TimeSourceUnreachable = 2604 in clock;
    HardwareClockWrong = 2605 in clock;

    EnrolmentRevoked = 2701 in identity;
    DuplicateIdentity = 2702 in identity;
    MachineIdDuplicated = 2703 in identity;
    MachineIdInvalid = 2704 in identity;
    HostNameClash = 2705 in identity;
    IdentityUnreadable = 2706 in identity;
    IdentityCorrupt = 2707 in identity;
    CredentialRejected = 2708 in identity;
    LicenceExpired = 2709 in identity;

    LogShowsCrash = 2801 in kernel;
    LogShowsErrors = 2802 in kernel;
    KernelDiskErrors = 2803 in kernel;
    KernelKilledOthers = 2804 in kernel;
    AgentSegfaulted = 2805 in kernel;
    KernelTaskHung = 2806 in kernel;
    KernelModuleMissing = 2807 in kernel;
    SystemCallDenied = 2808 in kernel;
    CapabilityMissing = 2809 in kernel;
    CompetingAgent = 2810 in kernel;
    OldAgentLeftOver = 2811 in kernel;
    AuditTaken = 2812 in kernel;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_rise_and_read_back() {
        for pair in Cause::ALL.windows(2) {
            assert!(pair[0].code() < pair[1].code(), "{pair:?}");
        }
        for cause in Cause::ALL {
            assert_eq!(Cause::find(cause.code()), Some(*cause));
        }
        assert_eq!(Cause::DiskFull.code(), 2401);
        assert_eq!(Cause::DiskFull.name(), "DiskFull");
    }

    #[test]
    fn every_cause_is_explained_in_whole_sentences() {
        let mut sentences = std::collections::BTreeSet::new();
        for cause in Cause::ALL {
            let About {
                sentence,
                explanation,
                verify,
                fixes,
                ..
            } = cause.about();
            assert!(
                sentences.insert(sentence.en),
                "{cause:?} says what another says"
            );
            assert!(
                sentence.en.ends_with('.') && sentence.zh.ends_with('。'),
                "{cause:?}"
            );
            let count = explanation.split(". ").count();
            assert!((2..=4).contains(&count), "{cause:?}: {count} sentences");
            assert!(explanation.ends_with('.'), "{cause:?}");
            assert!(!verify.is_empty() && !fixes.is_empty(), "{cause:?}");
        }
    }
}
