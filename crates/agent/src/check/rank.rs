//! Orders findings: root causes before their symptoms.

use std::cmp::Reverse;

use model::Cause;
use protocol::answer::Finding;

/// Each row: a cause, and what it explains when both are found. Has no cycles.
const EXPLAINS: &[(Cause, &[Cause])] = {
    use Cause as C;
    &[
        (
            C::AgentNotInstalled,
            &[C::AgentNotRunning, C::ServiceFailed],
        ),
        (C::AgentNotEnrolled, STOPPED),
        (C::UnitInvalid, STOPPED),
        (C::ProgramMissing, STOPPED),
        (C::ConfigurationInvalid, STOPPED),
        (C::ServiceDisabled, &[C::AgentNotRunning]),
        (C::ServiceFailed, &[C::AgentNotRunning]),
        (C::ServiceCrashLoop, &[C::AgentNotRunning]),
        (C::LogShowsCrash, STOPPED),
        (C::KilledForMemory, STOPPED),
        (
            C::MemoryExhausted,
            &[C::KilledForMemory, C::AgentNotRunning, C::IoOverloaded],
        ),
        (C::CgroupMemoryLimit, &[C::KilledForMemory]),
        (
            C::AgentHighMemory,
            &[C::MemoryExhausted, C::CgroupMemoryLimit, C::KilledForMemory],
        ),
        (C::AgentHighCpu, &[C::CpuOverloaded]),
        (C::CpuOverloaded, &[C::ServerUnhealthy]),
        (C::DiskFull, WRITING),
        (C::InodesExhausted, WRITING),
        (C::MountReadOnly, WRITING),
        (C::PathNotAccessible, WRITING),
        (
            C::KernelDiskErrors,
            &[
                C::MountReadOnly,
                C::IoOverloaded,
                C::AgentStuck,
                C::LogShowsErrors,
            ],
        ),
        (C::IoOverloaded, &[C::AgentStuck]),
        (C::ProcessesExhausted, STOPPED),
        (C::DescriptorsExhausted, STOPPED),
        (C::NameNotResolved, CONNECTION),
        (C::ResolverUnanswered, CONNECTION),
        (C::ConnectionRefused, &[C::LogShowsErrors]),
        (C::NetworkUnreachable, &[C::LogShowsErrors]),
        (C::ConnectionTimedOut, &[C::LogShowsErrors]),
        (C::HandshakeFailed, &[C::LogShowsErrors]),
        (C::CertificateUntrusted, &[C::LogShowsErrors]),
        (C::CertificateExpired, &[C::LogShowsErrors]),
        (C::ServerUnhealthy, &[C::LogShowsErrors]),
        (C::ClockNotSynchronised, &[C::ClockWrong]),
        (
            C::ClockWrong,
            &[C::CertificateExpired, C::CertificateEndsSoon],
        ),
    ]
};

const STOPPED: &[Cause] = &[
    Cause::ServiceFailed,
    Cause::ServiceCrashLoop,
    Cause::AgentNotRunning,
];
const WRITING: &[Cause] = &[
    Cause::ServiceFailed,
    Cause::ServiceCrashLoop,
    Cause::AgentNotRunning,
    Cause::LogShowsCrash,
    Cause::LogShowsErrors,
];
const CONNECTION: &[Cause] = &[
    Cause::ConnectionRefused,
    Cause::NetworkUnreachable,
    Cause::ConnectionTimedOut,
    Cause::LogShowsErrors,
];

/// What says nothing about an agent that is not there.
const NEEDS_AGENT: &[Cause] = &[
    Cause::AgentNotRunning,
    Cause::ServiceDisabled,
    Cause::ServiceFailed,
    Cause::ServiceCrashLoop,
    Cause::UnitInvalid,
    Cause::ProgramMissing,
    Cause::ConfigurationInvalid,
    Cause::AgentNotEnrolled,
    Cause::PathNotAccessible,
];

/// Merges findings that say the same, drops superfluous ones, and sorts: roots before symptoms, then
/// the worse first, then by code and text. The same findings always come in the same order.
pub(super) fn rank(found: Vec<Finding>) -> Vec<Finding> {
    let mut findings = merged(found);
    if findings
        .iter()
        .any(|it| it.cause == Cause::AgentNotInstalled.code())
    {
        findings.retain(|it| !NEEDS_AGENT.iter().any(|cause| cause.code() == it.cause));
    }
    let present: Vec<Cause> = findings
        .iter()
        .filter_map(|it| Cause::find(it.cause))
        .collect();
    findings.sort_by_cached_key(|it| {
        let cause = Cause::find(it.cause);
        let depth = cause.map_or(0, |it| depth(it, &present));
        (
            depth,
            Reverse(cause.map(Cause::severity)),
            it.cause,
            it.summary.clone(),
        )
    });
    findings
}

/// What two probes found is one finding if they say the same, or if one of them only names the cause.
fn merged(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(says_no_more);
    let mut findings: Vec<Finding> = Vec::new();
    for next in found {
        let general = says_no_more(&next);
        let same =
            |it: &&mut Finding| it.cause == next.cause && (general || it.summary == next.summary);
        match findings.iter_mut().find(same) {
            Some(known) => {
                for line in next.evidence {
                    if !known.evidence.contains(&line) {
                        // The last line is the command to see it.
                        let end = known.evidence.len().saturating_sub(1);
                        known.evidence.insert(end, line);
                    }
                }
            }
            None => findings.push(next),
        }
    }
    findings
}

/// Whether the summary is the cause's sentence and nothing more concrete.
fn says_no_more(finding: &Finding) -> bool {
    Cause::find(finding.cause).is_some_and(|it| it.sentence() == finding.summary)
}

/// How many found causes stand in a row behind this one.
fn depth(cause: Cause, present: &[Cause]) -> usize {
    EXPLAINS
        .iter()
        .filter(|(root, symptoms)| symptoms.contains(&cause) && present.contains(root))
        .map(|(root, _)| 1 + depth(*root, present))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cause: Cause) -> Finding {
        Finding {
            cause: cause.code(),
            summary: cause.sentence().into(),
            evidence: vec!["e".into(), "see it: x".into()],
        }
    }

    fn check(causes: &[Cause], expected: &[Cause]) {
        let mut forward: Vec<Finding> = causes.iter().copied().map(found).collect();
        let ranked = |it| -> Vec<Cause> {
            rank(it)
                .iter()
                .map(|it| Cause::find(it.cause).unwrap())
                .collect()
        };
        assert_eq!(ranked(forward.clone()), expected);
        forward.reverse();
        assert_eq!(
            ranked(forward),
            expected,
            "whatever order they are found in"
        );
    }

    #[test]
    fn roots_come_before_symptoms() {
        use Cause as C;
        check(
            &[C::ServiceFailed, C::AgentNotRunning, C::DiskFull],
            &[C::DiskFull, C::ServiceFailed, C::AgentNotRunning],
        );
        check(
            &[C::ConnectionTimedOut, C::NameNotResolved],
            &[C::NameNotResolved, C::ConnectionTimedOut],
        );
        check(
            &[
                C::AgentNotRunning,
                C::KilledForMemory,
                C::AgentHighMemory,
                C::MemoryExhausted,
            ],
            &[
                C::AgentHighMemory,
                C::MemoryExhausted,
                C::KilledForMemory,
                C::AgentNotRunning,
            ],
        );
        check(
            &[C::CertificateExpired, C::ClockWrong],
            &[C::ClockWrong, C::CertificateExpired],
        );
    }

    #[test]
    fn unrelated_findings_are_sorted_by_severity_and_code() {
        use Cause as C;
        check(
            &[
                C::DiskNearlyFull,
                C::IoOverloaded,
                C::ServerUnhealthy,
                C::ConnectionRefused,
            ],
            &[
                C::ConnectionRefused,
                C::ServerUnhealthy,
                C::IoOverloaded,
                C::DiskNearlyFull,
            ],
        );
    }

    #[test]
    fn an_agent_that_is_not_installed_cannot_be_stopped() {
        use Cause as C;
        check(
            &[
                C::AgentNotRunning,
                C::AgentNotInstalled,
                C::ServiceDisabled,
                C::DiskFull,
            ],
            &[C::AgentNotInstalled, C::DiskFull],
        );
    }

    #[test]
    fn the_same_finding_of_two_probes_is_one_with_all_evidence() {
        let mut second = found(Cause::KilledForMemory);
        second.evidence[0] = "f".into();
        let ranked = rank(vec![found(Cause::KilledForMemory), second]);
        assert_eq!(ranked.len(), 1);
        assert_eq!(ranked[0].evidence, ["e", "f", "see it: x"]);
    }

    #[test]
    fn a_general_finding_joins_the_concrete_one() {
        let mut concrete = found(Cause::DiskFull);
        concrete.summary = "The file system /var is full.".into();
        let mut general = found(Cause::DiskFull);
        general.evidence = vec!["f".into(), "see it: x".into()];
        let ranked = rank(vec![general, concrete]);
        assert_eq!(ranked.len(), 1);
        assert_eq!(ranked[0].summary, "The file system /var is full.");
        assert_eq!(ranked[0].evidence, ["e", "f", "see it: x"]);
    }

    #[test]
    fn nothing_explains_itself() {
        for cause in Cause::ALL {
            assert!(depth(*cause, Cause::ALL) < Cause::ALL.len());
        }
    }
}
