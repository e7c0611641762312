//! Hosts that answered the same, together: "9,997 hosts said the same, 3 differ". Pure.

use std::collections::HashMap;
use std::fmt::Write;

use model::{Cause, Reason};
use protocol::answer::{AssetReport, Finding};
use protocol::api::task::{DispatchType, HostDetail};

use crate::ui::{clean, count};

/// Names of hosts that a group shows.
const NAMES_MAX: usize = 8;
/// Lines of an output that a group shows.
const OUTPUT_LINES_MAX: usize = 20;
/// Manual commands that a group shows: each is long, and each is for one host.
const MANUAL_MAX: usize = 3;

/// What makes two answers the same: how it ended and what was said, but not by whom or with which words of evidence.
#[derive(PartialEq, Eq, Hash)]
struct Outcome {
    status: String,
    reason: String,
    is_manual: bool,
    causes: Vec<String>,
    exit_code: Option<i32>,
    signal: Option<i32>,
    stdout: Option<String>,
    stderr: Option<String>,
}

impl Outcome {
    fn of(detail: &HostDetail) -> Self {
        let mut causes = detail.cause_code.clone();
        causes.sort_unstable();
        Self {
            status: detail.status.clone(),
            reason: detail.reason.clone(),
            is_manual: detail.dispatch_type == DispatchType::Manual,
            causes,
            exit_code: detail.exit_code,
            signal: detail.signal,
            stdout: detail.stdout.clone(),
            stderr: detail.stderr.clone(),
        }
    }
}

/// Hosts with one outcome.
struct Group {
    hosts: u64,
    names: Vec<String>,
    /// Host and command.
    manual: Vec<(String, String)>,
    /// The first of them, as an example.
    example: HostDetail,
}

/// All outcomes of a task.
#[derive(Default)]
pub(super) struct Groups(HashMap<Outcome, Group>);

impl Groups {
    /// Adds a host's answer.
    pub(super) fn add(&mut self, detail: HostDetail) {
        let name = name_of(&detail);
        let manual = manual_command(&detail).map(|it| (name.clone(), it.to_owned()));
        let group = self.0.entry(Outcome::of(&detail)).or_insert_with(|| Group {
            hosts: 0,
            names: Vec::new(),
            manual: Vec::new(),
            example: detail,
        });
        group.hosts += 1;
        if group.names.len() < NAMES_MAX {
            group.names.push(name);
        }
        if group.manual.len() < MANUAL_MAX {
            group.manual.extend(manual);
        }
    }

    /// What a person sees: the largest group first.
    pub(super) fn text(&self) -> String {
        let mut groups: Vec<&Group> = self.0.values().collect();
        groups.sort_by(|a, b| (b.hosts, &a.names).cmp(&(a.hosts, &b.names)));
        let texts: Vec<String> = groups.into_iter().map(Group::text).collect();
        texts.join("\n")
    }
}

impl Group {
    fn text(&self) -> String {
        let detail = &self.example;
        let mut text = format!("{}: {}\n", count(self.hosts, "host"), how(detail));
        let more = usize::try_from(self.hosts)
            .unwrap_or(usize::MAX)
            .saturating_sub(self.names.len());
        let and = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        line(&mut text, "  ", &format!("{}{and}", self.names.join(", ")));
        if !detail.message.is_empty() {
            line(&mut text, "  ", &detail.message);
        }
        causes(&mut text, detail);
        if let Some(assets) = &detail.assets {
            line(&mut text, "  ", &collected(assets));
        }
        output(&mut text, "  │ ", detail.stdout.as_deref());
        output(&mut text, "  ! ", detail.stderr.as_deref());
        for (name, command) in &self.manual {
            line(&mut text, "  ", &format!("run on {name}:"));
            line(&mut text, "    ", command);
        }
        if self.hosts == 1 && !detail.url.is_empty() {
            line(&mut text, "  ", &format!("log bundle: {}", detail.url));
        }
        text
    }
}

/// Status, reason and exit in a few words.
fn how(detail: &HostDetail) -> String {
    let mut words = vec![detail.status.clone()];
    match Reason::from_wire(&detail.reason) {
        Some(Reason::None) | None => {}
        // Said by the exit code or signal itself.
        Some(Reason::ExitCode | Reason::Signal) => {}
        Some(reason) => words.push(reason.sentence().to_owned()),
    }
    words.extend(detail.exit_code.map(|it| format!("exit code {it}")));
    words.extend(detail.signal.map(|it| format!("ended by signal {it}")));
    let was_checked = !detail.problem_type.is_empty() && detail.status == "SUCCESS";
    if was_checked && detail.cause_code.is_empty() {
        words.push("no cause found".to_owned());
    }
    if detail.online == Some(false) && matches!(detail.status.as_str(), "INIT" | "DISPATCH") {
        words.push("the host is offline".to_owned());
    }
    words.join(", ")
}

fn causes(text: &mut String, detail: &HostDetail) {
    let find = |code: &str| -> Option<&Finding> {
        let code: u16 = code.parse().ok()?;
        detail.findings.iter().find(|it| it.cause == code)
    };
    for (code, sentence) in detail.cause_code.iter().zip(&detail.cause_msg) {
        let cause = code.parse().ok().and_then(Cause::find);
        let severity = cause.map_or("", |it| it.severity().wire());
        line(text, "  ", &format!("{code} {severity}: {sentence}"));
        for evidence in find(code).into_iter().flat_map(|it| &it.evidence) {
            line(text, "      ", evidence);
        }
    }
    for (code, sentence) in detail.res_code.iter().zip(&detail.res_msg) {
        if manual_command(detail) != Some(sentence.as_str()) {
            line(text, "  ", &format!("fix {code}: {sentence}"));
        }
    }
}

fn collected(assets: &AssetReport) -> String {
    let number = |length: Option<usize>, noun: &str| {
        length.map(|it| count(u64::try_from(it).unwrap_or(u64::MAX), noun))
    };
    let parts: Vec<String> = [
        assets.system.as_ref().map(|it| it.os_name.clone()),
        number(assets.accounts.as_ref().map(Vec::len), "account"),
        number(assets.ports.as_ref().map(Vec::len), "port"),
        number(assets.processes.as_ref().map(Vec::len), "process record"),
        number(assets.packages.as_ref().map(Vec::len), "package"),
        number(assets.cron_jobs.as_ref().map(Vec::len), "cron job"),
        number(
            assets.kernel_modules.as_ref().map(Vec::len),
            "kernel module",
        ),
        number(assets.autoruns.as_ref().map(Vec::len), "autorun"),
    ]
    .into_iter()
    .flatten()
    .collect();
    parts.join(", ")
}

/// The command to run by hand, while it is of use.
fn manual_command(detail: &HostDetail) -> Option<&str> {
    let by_hand = model::cause::FIX_RUN_BY_HAND.to_string();
    let pairs = detail.res_code.iter().zip(&detail.res_msg);
    let mut commands = pairs.filter(|(code, _)| **code == by_hand);
    commands.next().map(|(_, command)| command.as_str())
}

fn name_of(detail: &HostDetail) -> String {
    if detail.instance_name.is_empty() {
        detail.uuid.clone()
    } else {
        detail.instance_name.clone()
    }
}

fn output(text: &mut String, mark: &str, output: Option<&str>) {
    let lines: Vec<&str> = output.unwrap_or_default().lines().collect();
    for it in lines.iter().take(OUTPUT_LINES_MAX) {
        line(text, mark, it);
    }
    let more = lines.len().saturating_sub(OUTPUT_LINES_MAX);
    if more > 0 {
        line(text, mark, &format!("… {more} more lines"));
    }
}

/// Adds one line, cleaned of what could steer a terminal. Writing into a string cannot fail.
fn line(text: &mut String, indent: &str, content: &str) {
    let _ = writeln!(text, "{indent}{}", clean(content).trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(name: &str, status: &str, exit_code: i32, stdout: &str) -> HostDetail {
        HostDetail {
            instance_name: name.to_owned(),
            status: status.to_owned(),
            exit_code: Some(exit_code),
            stdout: Some(stdout.to_owned()),
            ..HostDetail::default()
        }
    }

    fn text(details: Vec<HostDetail>) -> String {
        let mut groups = Groups::default();
        details.into_iter().for_each(|it| groups.add(it));
        groups.text()
    }

    #[test]
    fn the_same_answers_stand_together_and_the_largest_group_first() {
        let text = text(vec![
            ran("odd", "FAIL", 3, "no\n"),
            ran("a", "SUCCESS", 0, "active\n"),
            ran("b", "SUCCESS", 0, "active\n"),
        ]);
        assert_eq!(
            text,
            "2 hosts: SUCCESS, exit code 0\n  a, b\n  │ active\n\n1 host: FAIL, exit code 3\n  odd\n  │ no\n"
        );
    }

    #[test]
    fn evidence_may_differ_between_hosts_with_the_same_causes() {
        let checked = |name: &str, evidence: &str| HostDetail {
            instance_name: name.to_owned(),
            status: "SUCCESS".to_owned(),
            problem_type: "offline".to_owned(),
            cause_code: vec!["2401".to_owned()],
            cause_msg: vec!["/var is full".to_owned()],
            res_code: vec!["1301".to_owned()],
            res_msg: vec!["Free space.".to_owned()],
            findings: vec![Finding {
                cause: 2401,
                summary: String::new(),
                evidence: vec![evidence.to_owned()],
            }],
            ..HostDetail::default()
        };
        let text = text(vec![checked("a", "0 B free"), checked("b", "1 B free")]);
        assert_eq!(
            text,
            "2 hosts: SUCCESS\n  a, b\n  2401 critical: /var is full\n      0 B free\n  fix 1301: Free space.\n"
        );
    }

    #[test]
    fn a_command_to_run_by_hand_is_shown_for_its_host() {
        let waiting = |name: &str| HostDetail {
            instance_name: name.to_owned(),
            status: "DISPATCH".to_owned(),
            dispatch_type: DispatchType::Manual,
            res_code: vec!["1003".to_owned()],
            res_msg: vec![format!("curl {name} | sh")],
            online: Some(false),
            ..HostDetail::default()
        };
        let text = text(vec![waiting("a"), waiting("b")]);
        assert!(
            text.starts_with("2 hosts: DISPATCH, the host is offline\n"),
            "{text}"
        );
        assert!(text.contains("run on b:\n    curl b | sh\n"), "{text}");
        assert!(!text.contains("fix 1003"), "{text}");
    }

    #[test]
    fn many_hosts_and_long_outputs_are_cut_with_a_count() {
        let long = "x\n".repeat(OUTPUT_LINES_MAX + 7);
        let details = (0..NAMES_MAX + 5).map(|at| ran(&format!("h{at}"), "SUCCESS", 0, &long));
        let text = text(details.collect());
        assert!(text.contains("and 5 more"), "{text}");
        assert!(text.contains("… 7 more lines"), "{text}");
    }

    #[test]
    fn a_healthy_host_has_no_cause_and_an_undelivered_one_says_so() {
        let healthy = HostDetail {
            status: "SUCCESS".to_owned(),
            problem_type: "other".to_owned(),
            ..HostDetail::default()
        };
        assert_eq!(how(&healthy), "SUCCESS, no cause found");
        let lost = HostDetail {
            status: "TIMEOUT".to_owned(),
            reason: "never_delivered".to_owned(),
            ..HostDetail::default()
        };
        assert!(how(&lost).contains("never delivered"));
    }

    #[test]
    fn output_cannot_steer_the_terminal() {
        let text = text(vec![ran("a", "SUCCESS", 0, "\u{1b}]0;evil\u{7}")]);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
