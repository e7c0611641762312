//! Orders findings: root causes before their symptoms, each symptom under what explains it.
//!
//! Which cause leads to which is the catalogue's knowledge ([`Cause::leads_to`]). Pure; called by
//! [`super::run`].

use std::cmp::Reverse;
use std::collections::BTreeMap;

use model::{Cause, Severity};
use protocol::answer::Finding;

/// What an agent that is not there cannot have: its service, process and files, unless the fault is
/// why it is not there.
fn needs_agent(code: u16) -> bool {
    use Cause as C;
    let tells_why = [
        C::AgentNotInstalled,
        C::PackageDamaged,
        C::PackageHalfConfigured,
        C::AgentPaused,
    ];
    let files = [
        C::PathNotAccessible,
        C::PathWrongOwner,
        C::PathWrongMode,
        C::PathExposed,
        C::PathMissing,
        C::IdentityUnreadable,
        C::IdentityCorrupt,
    ];
    let is_of = |causes: &[Cause]| causes.iter().any(|it| it.code() == code);
    ((2100..2300).contains(&code) && !is_of(&tells_why)) || is_of(&files)
}

/// Merges findings that say the same, drops superfluous ones, says of each symptom what explains it, and
/// sorts: a root, then its symptoms, then the next root. The worse comes first, counting what a root
/// leads to; then goes by code and text. A finding of an agent is explained by its own causes and those
/// of the host. The same findings always come in the same order.
pub(super) fn rank(found: Vec<Finding>) -> Vec<Finding> {
    let mut findings = merged(found);
    let absent: Vec<String> = findings
        .iter()
        .filter(|it| it.cause == Cause::AgentNotInstalled.code())
        .map(|it| it.subject.clone())
        .collect();
    findings.retain(|it| !absent.contains(&it.subject) || !needs_agent(it.cause));
    findings.sort_by(|a, b| (node(a), &a.summary).cmp(&(node(b), &b.summary)));
    let tree = Tree::of(&findings);
    for finding in &mut findings {
        finding.explained_by = tree.parent(&node(finding)).map(|it| it.0);
    }
    let order = tree.order();
    findings.sort_by_cached_key(|it| order.iter().position(|at| *at == node(it)));
    findings
}

/// A cause that was found, by its code, and the agent that has it; empty: the only one, or the host.
type Node = (u16, String);

fn node(finding: &Finding) -> Node {
    (finding.cause, finding.subject.clone())
}

/// Whether the first explains the second.
fn explains(root: &Node, symptom: &Node) -> bool {
    let concerns = root.1.is_empty() || symptom.1.is_empty() || root.1 == symptom.1;
    let causes = (Cause::find(root.0), Cause::find(symptom.0));
    concerns && matches!(causes, (Some(root), Some(symptom)) if root.leads_to(symptom))
}

/// The causes that were found, each below the one that explains it.
struct Tree {
    /// Parent by node, for all that were found.
    parents: BTreeMap<Node, Option<Node>>,
}

impl Tree {
    fn of(findings: &[Finding]) -> Self {
        let mut present: Vec<Node> = findings.iter().map(node).collect();
        present.sort();
        present.dedup();
        let depths = depths(&present);
        let parent = |symptom: &Node| {
            let explain = present.iter().zip(&depths);
            let explain = explain.filter(|(it, _)| explains(it, symptom));
            // The nearest explanation says most: memory ran out, so the kernel killed it, so it is gone.
            explain
                .max_by_key(|(it, depth)| (**depth, severity(it), Reverse(*it)))
                .map(|(it, _)| it.clone())
        };
        Self {
            parents: present.iter().map(|it| (it.clone(), parent(it))).collect(),
        }
    }

    fn parent(&self, node: &Node) -> Option<&Node> {
        self.parents.get(node)?.as_ref()
    }

    /// What it explains directly, the worst first; of `None` the roots.
    fn children(&self, parent: Option<&Node>) -> Vec<&Node> {
        let below = self.parents.iter().filter(|(_, it)| it.as_ref() == parent);
        let mut below: Vec<&Node> = below.map(|(node, _)| node).collect();
        below.sort_by_key(|it| Reverse((self.worst(it), severity(it), Reverse(*it))));
        below
    }

    /// The worst of it and of all below it.
    fn worst(&self, node: &Node) -> Option<Severity> {
        let below = self
            .parents
            .iter()
            .filter(|(_, it)| it.as_ref() == Some(node));
        below
            .map(|(below, _)| self.worst(below))
            .fold(severity(node), Ord::max)
    }

    /// All of them: each before what it explains.
    fn order(&self) -> Vec<Node> {
        let mut order = Vec::new();
        let mut open = self.children(None);
        open.reverse();
        while let Some(node) = open.pop() {
            order.push(node.clone());
            open.extend(self.children(Some(node)).into_iter().rev());
        }
        order
    }
}

fn severity(node: &Node) -> Option<Severity> {
    Cause::find(node.0).map(Cause::severity)
}

/// How many of these causes stand in a row behind each of them.
fn depths(present: &[Node]) -> Vec<usize> {
    let mut depths = vec![0; present.len()];
    // A row is no longer than there are causes.
    for _ in present {
        let next = present.iter().map(|symptom| {
            let behind = present.iter().zip(&depths);
            let behind = behind.filter(|(root, _)| explains(root, symptom));
            behind.map(|(_, depth)| depth + 1).max().unwrap_or(0)
        });
        let next: Vec<usize> = next.collect();
        if next == depths {
            break;
        }
        depths = next;
    }
    depths
}

/// What two probes found is one finding if they say the same, or if one of them only names the cause.
/// What was seen alike for two subjects, and is not about an agent itself, concerns the host.
fn merged(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(says_no_more);
    let mut findings: Vec<Finding> = Vec::new();
    for next in found {
        let general = says_no_more(&next);
        let same = |it: &&mut Finding| {
            it.cause == next.cause
                && if it.subject == next.subject {
                    general || it.summary == next.summary || is_one_path(it, &next)
                } else {
                    !needs_agent(it.cause)
                        && it.summary == next.summary
                        && it.evidence == next.evidence
                }
        };
        match findings.iter_mut().find(same) {
            Some(there) => {
                if there.subject != next.subject {
                    there.subject = String::new();
                }
                for line in next.evidence {
                    if !there.evidence.contains(&line) {
                        there.evidence.push(line);
                    }
                }
                for (word, value) in next.known {
                    there.known.entry(word).or_insert(value);
                }
            }
            None => findings.push(next),
        }
    }
    findings
}

/// Whether both are about one path: a log's line and a start's last words tell of it in different words.
fn is_one_path(one: &Finding, other: &Finding) -> bool {
    let path = |it: &Finding| it.known.get(model::Placeholder::Path.word()).cloned();
    path(one).is_some() && path(one) == path(other)
}

/// Whether the summary is the cause's sentence and nothing more concrete.
fn says_no_more(finding: &Finding) -> bool {
    Cause::find(finding.cause).is_some_and(|it| it.sentence() == finding.summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cause: Cause) -> Finding {
        Finding {
            cause: cause.code(),
            summary: cause.sentence().into(),
            evidence: vec!["e".into()],
            ..Finding::default()
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
        assert_eq!(ranked[0].evidence, ["e", "f"]);
    }

    #[test]
    fn a_general_finding_joins_the_concrete_one() {
        let mut concrete = found(Cause::DiskFull);
        concrete.summary = "The file system /var is full.".into();
        let mut general = found(Cause::DiskFull);
        general.evidence = vec!["f".into()];
        let ranked = rank(vec![general, concrete]);
        assert_eq!(ranked.len(), 1);
        assert_eq!(ranked[0].summary, "The file system /var is full.");
        assert_eq!(ranked[0].evidence, ["e", "f"]);
    }

    /// Each found cause and what explains it.
    fn explained(causes: &[Cause]) -> Vec<(Cause, Option<Cause>)> {
        let ranked = rank(causes.iter().copied().map(found).collect());
        let cause = |code| Cause::find(code).unwrap();
        ranked
            .iter()
            .map(|it| (cause(it.cause), it.explained_by.map(cause)))
            .collect()
    }

    #[test]
    fn what_is_wrong_with_one_agent_explains_nothing_of_another() {
        let of = |subject: &str, cause| Finding {
            subject: subject.into(),
            ..found(cause)
        };
        let ranked = rank(vec![
            of("a", Cause::ServiceFailed),
            of("a", Cause::AgentNotRunning),
            of("b", Cause::AgentNotRunning),
            of("c", Cause::AgentNotInstalled),
            of("c", Cause::AgentNotRunning),
            of("a", Cause::DiskFull),
            of("b", Cause::DiskFull),
        ]);
        let named = ranked
            .iter()
            .map(|it| (it.subject.as_str(), it.cause, it.explained_by));
        let named: Vec<_> = named.collect();
        assert!(
            named.contains(&("", 2401, None)),
            "one of the host: {named:?}"
        );
        assert!(named.contains(&("a", 2104, Some(2401))), "{named:?}");
        assert!(named.contains(&("a", 2102, Some(2104))), "{named:?}");
        assert!(named.contains(&("b", 2102, Some(2401))), "{named:?}");
        assert!(named.contains(&("c", 2101, None)), "{named:?}");
        assert_eq!(named.len(), 5, "{named:?}");
    }

    #[test]
    fn a_symptom_stands_under_what_explains_it() {
        use Cause as C;
        for (root, symptom) in [
            (C::DiskFull, C::ServiceCrashLoop),
            (C::ClockWrong, C::CertificateExpired),
            (C::ClockWrong, C::CertificateNotYetValid),
            (C::ResolverUnanswered, C::LogShowsErrors),
            (C::KilledForMemory, C::AgentNotRunning),
            (C::ServiceMasked, C::AgentNotRunning),
            (C::LibraryMissing, C::ServiceFailed),
            (C::FirewallDrops, C::ConnectionTimedOut),
            (C::ProxyUnwanted, C::ProxyUnreachable),
        ] {
            assert_eq!(
                explained(&[symptom, root]),
                [(root, None), (symptom, Some(root))]
            );
        }
    }

    #[test]
    fn two_roots_stay_two_roots_each_with_its_own() {
        use Cause as C;
        assert_eq!(
            explained(&[
                C::CertificateExpired,
                C::ServiceCrashLoop,
                C::ClockWrong,
                C::AgentNotRunning,
                C::DiskFull
            ]),
            [
                (C::DiskFull, None),
                (C::ServiceCrashLoop, Some(C::DiskFull)),
                (C::AgentNotRunning, Some(C::ServiceCrashLoop)),
                (C::ClockWrong, None),
                (C::CertificateExpired, Some(C::ClockWrong)),
            ]
        );
        assert_eq!(
            explained(&[C::DiskFull, C::NameNotResolved]),
            [(C::NameNotResolved, None), (C::DiskFull, None)]
        );
    }

    #[test]
    fn every_cause_at_once_has_an_order() {
        let ranked = explained(Cause::ALL);
        for (at, (cause, parent)) in ranked.iter().enumerate() {
            let above = ranked.iter().take(at);
            assert!(
                parent.is_none_or(|parent| above.clone().any(|(it, _)| *it == parent)),
                "{cause:?} stands before {parent:?}"
            );
        }
    }

    #[test]
    fn what_is_not_in_the_catalogue_is_a_root_at_the_end() {
        let mut strange = found(Cause::DiskFull);
        strange.cause = 9_999;
        let ranked = rank(vec![strange, found(Cause::DiskNearlyFull)]);
        let codes: Vec<u16> = ranked.iter().map(|it| it.cause).collect();
        assert_eq!(codes, [2402, 9_999]);
        assert_eq!(ranked[1].explained_by, None);
    }
}
