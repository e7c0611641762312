//! Which cause leads to which: data for ranking, and for the pages of the catalogue.
//!
//! Says nothing about what was found; the agent asks it which of its findings are symptoms of others.

use super::Cause;
use super::Cause::*;

/// Each row: causes, and what each of them leads to. Has no cycles.
const LEADS_TO: &[(&[Cause], &[Cause])] = &[
    // The service and what it starts.
    (&[AgentNotInstalled], &[AgentNotRunning, ServiceFailed]),
    (
        &[PackageHalfConfigured],
        &[
            AgentNotInstalled,
            PackageDamaged,
            ServiceDisabled,
            ServiceMasked,
            VersionDiffers,
        ],
    ),
    (&[PackageHalfConfigured, PackageDamaged], INCOMPLETE),
    (&[PackageHalfConfigured, PackageDamaged], STOPPED),
    (
        &[
            UnitInvalid,
            ProgramMissing,
            ProgramForOtherMachine,
            LibraryMissing,
            InterpreterMissing,
            ConfigurationInvalid,
            ConfigurationMissing,
            ConfigurationNamesMissingFile,
            AgentNotEnrolled,
            PortTaken,
            ServiceUserMissing,
            ServiceDirectoryMissing,
            DependencyFailed,
            WatchdogEnded,
            LogShowsCrash,
            AgentSegfaulted,
        ],
        STOPPED,
    ),
    (
        &[ServiceMasked, AgentPaused],
        &[ServiceDisabled, ServiceFailed, AgentNotRunning],
    ),
    (&[AgentPaused], &[AgentFrozen]),
    (
        &[
            ServiceDisabled,
            ServiceFailed,
            ServiceCrashLoop,
            ServiceStartTimesOut,
            AgentZombie,
        ],
        &[AgentNotRunning],
    ),
    (&[ServiceStartTimesOut], &[ServiceFailed, ServiceCrashLoop]),
    (&[AgentSegfaulted], &[LogShowsCrash]),
    (
        &[PathMissing],
        &[
            ProgramMissing,
            ServiceDirectoryMissing,
            ConfigurationMissing,
        ],
    ),
    (&[ConfigurationMissing], &[ConfigurationNamesMissingFile]),
    (&[MountNoExec], &[ProgramMissing]),
    (
        &[
            MountNoExec,
            AgentDuplicated,
            DescriptorLimitLow,
            AgentDescriptorsExhausted,
        ],
        STOPPED,
    ),
    (&[OldAgentLeftOver], &[AgentDuplicated, PortTaken]),
    (&[AgentDuplicated], &[PortTaken]),
    // The vendor's own check of a configuration is run by the program itself, and many programs end with
    // the code for "not configured" whatever they lack.
    (
        &[
            PackageDamaged,
            ProgramForOtherMachine,
            LibraryMissing,
            InterpreterMissing,
            MountNoExec,
            ConfigurationMissing,
            ConfigurationNamesMissingFile,
            PathNotAccessible,
            PathWrongOwner,
            PathWrongMode,
            PathExposed,
            PathMissing,
            AgentNotEnrolled,
            AuthoritiesMissing,
            IdentityCorrupt,
            IdentityUnreadable,
        ],
        &[ConfigurationInvalid],
    ),
    // The freezer of version 1 shows its processes in an uninterruptible wait.
    (&[AgentFrozen], &[AgentStuck]),
    (&[AgentFrozen, AgentStuck], &[ServiceStartTimesOut]),
    // Some agents refuse to start with secrets that others may read.
    (&[NetworkMountDead, PathExposed], CANNOT_WORK),
    (&[CompetingAgent], &[AuditTaken]),
    (&[ProgramReplaced], &[VersionDiffers]),
    (&[ProgramDeleted], &[ProgramMissing]),
    (&[AgentFrozen, AgentStuck, AgentStarved], &[WatchdogEnded]),
    (
        &[VersionTooOld],
        &[ServerRejectsRequest, TlsVersionUnsupported],
    ),
    // Disks and files.
    (
        &[AgentFilesHuge, DeletedFileHoldsSpace],
        &[DiskFull, DiskNearlyFull],
    ),
    (&[AgentFilesHuge], &[QuotaExceeded, InodesExhausted]),
    (
        &[
            DiskFull,
            InodesExhausted,
            MountReadOnly,
            QuotaExceeded,
            PathNotAccessible,
            PathWrongOwner,
            PathWrongMode,
            PathImmutable,
            PathMissing,
            SelinuxDenies,
            AppArmorDenies,
            TemporaryDirectoryUnusable,
        ],
        CANNOT_WORK,
    ),
    (
        &[DiskFull, InodesExhausted],
        &[PackageHalfConfigured, IdentityCorrupt],
    ),
    (
        &[
            MountReadOnly,
            PathWrongOwner,
            PathWrongMode,
            PathImmutable,
            SelinuxDenies,
            AppArmorDenies,
        ],
        &[PathNotAccessible],
    ),
    (
        &[
            PathNotAccessible,
            PathWrongOwner,
            PathWrongMode,
            SelinuxDenies,
            AppArmorDenies,
        ],
        &[IdentityUnreadable],
    ),
    (
        &[KernelDiskErrors],
        &[
            FileSystemErrors,
            MountReadOnly,
            IoOverloaded,
            KernelTaskHung,
            AgentStuck,
        ],
    ),
    (&[FileSystemErrors], &[MountReadOnly, PackageDamaged]),
    (&[KernelDiskErrors], &[PackageDamaged]),
    (
        &[PathWrongOwner, PathWrongMode, PathMissing],
        &[PathNotAccessible, TemporaryDirectoryUnusable],
    ),
    (
        &[NetworkMountDead],
        &[
            KernelTaskHung,
            AgentStuck,
            ServiceStartTimesOut,
            IoOverloaded,
            // Whoever did not mount it is told that it may not look there.
            PathNotAccessible,
            ConfigurationInvalid,
            ConfigurationMissing,
        ],
    ),
    (
        &[KernelTaskHung, IoOverloaded],
        &[AgentStuck, ServiceStartTimesOut],
    ),
    // Memory, processors and limits.
    (
        &[AgentHighMemory],
        &[
            MemoryExhausted,
            MemoryPressure,
            SwapThrashing,
            CgroupMemoryLimit,
            KilledForMemory,
        ],
    ),
    (
        &[MemoryExhausted],
        &[
            SwapThrashing,
            MemoryPressure,
            KilledForMemory,
            KernelKilledOthers,
            IoOverloaded,
            AgentNotRunning,
        ],
    ),
    (&[SwapThrashing], &[MemoryPressure, IoOverloaded]),
    (&[CgroupMemoryLimit], &[KilledForMemory]),
    (&[KilledForMemory], STOPPED),
    (&[AgentHighCpu, CompetitorBusy], &[CpuOverloaded]),
    (
        &[CompetitorBusy, CpuOverloaded, CgroupCpuThrottled],
        &[AgentStarved],
    ),
    (&[CpuOverloaded], &[ServerUnhealthy]),
    (
        &[CpuOverloaded, CgroupCpuThrottled],
        &[ServiceStartTimesOut, WatchdogEnded],
    ),
    (&[DescriptorLimitLow], &[AgentDescriptorsExhausted]),
    (
        &[AgentDescriptorsExhausted],
        &[DescriptorsExhausted, LogShowsErrors],
    ),
    (&[ZombiesPileUp], &[ProcessesExhausted, CgroupProcessLimit]),
    (
        &[
            ProcessesExhausted,
            ThreadsExhausted,
            CgroupProcessLimit,
            DescriptorsExhausted,
            WatchesExhausted,
            SystemCallDenied,
            CapabilityMissing,
            KernelModuleMissing,
            AuditTaken,
        ],
        CANNOT_WORK,
    ),
    // The network.
    (
        &[InterfaceDown],
        &[NoDefaultRoute, GatewayUnreachable, NetworkUnreachable],
    ),
    (&[NoDefaultRoute, GatewayUnreachable], &[NetworkUnreachable]),
    (
        &[InterfaceDown, NoDefaultRoute, GatewayUnreachable],
        CUT_OFF,
    ),
    (
        &[FirewallRejects, FirewallDrops, ConnectionTableFull],
        CUT_OFF,
    ),
    (
        &[FirewallRejects, FirewallDrops],
        &[NetworkUnreachable, ConnectionRefused, ConnectionProhibited],
    ),
    (&[ConnectionTableFull], &[PacketLoss]),
    (
        &[PacketLoss],
        &[
            ResolverSlow,
            ConnectionTimedOut,
            HandshakeFailed,
            ServerUnhealthy,
        ],
    ),
    (&[PathMtuBlackHole], &[HandshakeFailed, ServerUnhealthy]),
    (
        &[ResolverNotConfigured, NameSwitchBroken, ResolverUnanswered],
        &[NameNotResolved, ResolverSlow],
    ),
    (
        &[ResolverNotConfigured, NameSwitchBroken],
        &[ResolverUnanswered],
    ),
    (
        &[
            ResolverNotConfigured,
            NameSwitchBroken,
            ResolverUnanswered,
            NameNotResolved,
        ],
        &[
            ConnectionRefused,
            ConnectionTimedOut,
            ProxyUnreachable,
            TimeSourceUnreachable,
        ],
    ),
    (
        &[ResolverUnanswered, NameNotResolved],
        &[NetworkUnreachable],
    ),
    (
        &[NameResolvesWrongly],
        &[
            ConnectionRefused,
            ConnectionTimedOut,
            NetworkUnreachable,
            ServerUnhealthy,
        ],
    ),
    (&[NameResolvesWrongly, ConnectionIntercepted], MISTRUST),
    (
        &[AuthoritiesMissing],
        &[AuthorityUnknown, CertificateUntrusted],
    ),
    (&[AuthoritiesMissing], STOPPED),
    (
        &[
            AuthoritiesMissing,
            TlsVersionUnsupported,
            ClientCertificateExpired,
        ],
        &[HandshakeFailed],
    ),
    (
        &[ProxyUnwanted],
        &[
            ProxyUnreachable,
            ProxyRefuses,
            ProxyNeedsAuthentication,
            ProxyAnswersWrongly,
        ],
    ),
    (
        &[ProxyNotUsed],
        &[
            NameNotResolved,
            ConnectionRefused,
            ConnectionTimedOut,
            ConnectionProhibited,
            NetworkUnreachable,
        ],
    ),
    (
        &[ServerFails, ServerRejectsCredential, ServerRejectsRequest],
        &[ServerUnhealthy],
    ),
    // The clock.
    (
        &[TimeSourceUnreachable],
        &[ClockNotSynchronised, ClockWrong],
    ),
    (&[ClockNotSynchronised], &[ClockWrong]),
    (
        &[ClockWrong],
        &[
            ClockJumped,
            HardwareClockWrong,
            CertificateExpired,
            CertificateNotYetValid,
            CertificateEndsSoon,
            ClientCertificateExpired,
            ServerRejectsCredential,
            CredentialRejected,
            LicenceExpired,
            LogShowsErrors,
        ],
    ),
    // Identity and access.
    (
        &[MachineIdDuplicated, MachineIdInvalid],
        &[DuplicateIdentity],
    ),
    (
        &[EnrolmentRevoked, LicenceExpired, ClientCertificateExpired],
        &[ServerRejectsCredential],
    ),
    (&[ServerRejectsCredential], &[CredentialRejected]),
    (&[IdentityCorrupt, IdentityUnreadable], CANNOT_WORK),
    // Whoever cannot speak to the server says so in the log.
    (
        &[
            NameNotResolved,
            ResolverUnanswered,
            NameResolvesWrongly,
            ConnectionRefused,
            NetworkUnreachable,
            ConnectionTimedOut,
            ConnectionProhibited,
            EphemeralPortsExhausted,
            PathMtuBlackHole,
            PacketLoss,
            HandshakeFailed,
            CertificateUntrusted,
            CertificateExpired,
            CertificateNotYetValid,
            CertificateWrongName,
            AuthorityUnknown,
            ConnectionIntercepted,
            ProxyUnreachable,
            ProxyRefuses,
            ProxyNeedsAuthentication,
            ProxyAnswersWrongly,
            ServerUnhealthy,
            ServerFails,
            ServerRejectsCredential,
            ServerRejectsRequest,
            CredentialRejected,
            DuplicateIdentity,
            EnrolmentRevoked,
            KernelDiskErrors,
        ],
        &[LogShowsErrors],
    ),
];

const INCOMPLETE: &[Cause] = &[
    UnitInvalid,
    ProgramMissing,
    LibraryMissing,
    InterpreterMissing,
    ConfigurationMissing,
    ServiceUserMissing,
];
const STOPPED: &[Cause] = &[
    ServiceFailed,
    ServiceCrashLoop,
    AgentNotRunning,
    LogShowsErrors,
];
const CANNOT_WORK: &[Cause] = &[
    ServiceFailed,
    ServiceCrashLoop,
    ServiceStartTimesOut,
    AgentNotRunning,
    LogShowsCrash,
    LogShowsErrors,
];
const CUT_OFF: &[Cause] = &[
    ResolverUnanswered,
    NameNotResolved,
    ConnectionTimedOut,
    ProxyUnreachable,
    TimeSourceUnreachable,
    LogShowsErrors,
];
const MISTRUST: &[Cause] = &[
    CertificateUntrusted,
    CertificateWrongName,
    AuthorityUnknown,
    HandshakeFailed,
];

impl Cause {
    /// Whether this cause, if it is there, accounts for that one by itself.
    #[must_use]
    pub fn leads_to(self, symptom: Self) -> bool {
        LEADS_TO
            .iter()
            .any(|(roots, symptoms)| roots.contains(&self) && symptoms.contains(&symptom))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_to_itself_by_any_way() {
        let mut open: Vec<Cause> = Cause::ALL.to_vec();
        loop {
            let before = open.len();
            let left = open.clone();
            // What nothing that is left leads to is done with.
            open.retain(|it| left.iter().any(|root| root.leads_to(*it)));
            if open.len() == before {
                break;
            }
        }
        assert_eq!(open, [], "they go round in circles");
    }
}
