//! Hosts that answered the same, together: "9,997 hosts said the same, 3 differ". Pure.
//!
//! Whatever a host said stands behind a bar, on every row of the terminal. What a person may paste into a root shell stands in a
//! section of its own at the end, without one: a host cannot write there, nor anything that looks like it.

use std::collections::HashMap;
use std::fmt::Write;

use model::{Cause, Reason};
use protocol::answer::{AssetReport, Finding};
use protocol::api::task::{DispatchType, HostDetail};

use crate::ui::{clean_line, count, without_tabs, wrap};

/// Names of hosts that a group shows.
const NAMES_MAX: usize = 8;
/// First lines of an output that a group shows, and as many last ones: errors stand at the end.
const OUTPUT_LINES_HALF: usize = 10;
/// Manual commands that are shown: each is long, and each is for one host.
const MANUAL_MAX: usize = 5;
/// Cells before the text of a row.
const BAR: usize = "  output | ".len();
/// Cells of text in a row, however narrow the terminal is.
const ROW_MIN: usize = 16;

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
    /// The first of them, as an example.
    example: HostDetail,
}

/// What is to be run by hand on one host.
struct ByHand {
    uuid: String,
    name: String,
    command: String,
}

/// All outcomes of a task.
#[derive(Default)]
pub(super) struct Groups {
    groups: HashMap<Outcome, Group>,
    by_hand: Vec<ByHand>,
    /// How many more there are.
    by_hand_more: u64,
}

impl Groups {
    /// Adds a host's answer.
    pub(super) fn add(&mut self, detail: HostDetail) {
        match manual_command(&detail) {
            Some(command) if self.by_hand.len() < MANUAL_MAX => self.by_hand.push(ByHand {
                uuid: detail.uuid.clone(),
                name: detail.instance_name.clone(),
                command: command.to_owned(),
            }),
            Some(_) => self.by_hand_more += 1,
            None => {}
        }
        let name = name_of(&detail);
        let group = self.groups.entry(Outcome::of(&detail));
        let group = group.or_insert_with(|| Group {
            hosts: 0,
            names: Vec::new(),
            example: detail,
        });
        group.hosts += 1;
        if group.names.len() < NAMES_MAX {
            group.names.push(name);
        }
    }

    /// What a person sees on a terminal of this width: the largest group first, what is to be run by hand last.
    pub(super) fn text(&self, width: Option<usize>) -> String {
        let mut page = Page {
            text: String::new(),
            room: width.map(|it| it.saturating_sub(BAR).max(ROW_MIN)),
        };
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by(|a, b| (b.hosts, &a.names).cmp(&(a.hosts, &b.names)));
        for group in groups {
            page.group(group);
            page.ours("");
        }
        page.by_hand(&self.by_hand, self.by_hand_more);
        page.text
    }
}

/// The text that is being put together.
struct Page {
    text: String,
    /// Cells for the text of a row; `None`: no terminal breaks it.
    room: Option<usize>,
}

impl Page {
    fn group(&mut self, group: &Group) {
        let detail = &group.example;
        self.ours(&format!("{}: {}", count(group.hosts, "host"), how(detail)));
        let names = u64::try_from(group.names.len()).unwrap_or(u64::MAX);
        let and = match group.hosts.saturating_sub(names) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        self.row("hosts", &format!("{}{and}", group.names.join(", ")));
        if !detail.message.is_empty() {
            self.row("said", &detail.message);
        }
        self.causes(detail);
        if let Some(assets) = &detail.assets {
            self.row("found", &collected(assets));
        }
        self.output("output", detail.stdout.as_deref());
        self.output("errors", detail.stderr.as_deref());
        if group.hosts == 1 && !detail.url.is_empty() {
            self.row("bundle", &detail.url);
        }
    }

    fn causes(&mut self, detail: &HostDetail) {
        let find = |code: &str| -> Option<&Finding> {
            let code: u16 = code.parse().ok()?;
            detail.findings.iter().find(|it| it.cause == code)
        };
        for (code, sentence) in detail.cause_code.iter().zip(&detail.cause_msg) {
            let cause = code.parse().ok().and_then(Cause::find);
            let severity = cause.map_or("", |it| it.severity().wire());
            self.row("cause", &format!("{code} {severity}: {sentence}"));
            for evidence in find(code).into_iter().flat_map(|it| &it.evidence) {
                self.row("", &format!("  {evidence}"));
            }
        }
        for (code, sentence) in detail.res_code.iter().zip(&detail.res_msg) {
            if manual_command(detail) != Some(sentence.as_str()) {
                self.row("fix", &format!("{code}: {sentence}"));
            }
        }
    }

    fn output(&mut self, label: &str, output: Option<&str>) {
        let lines: Vec<&str> = output.unwrap_or_default().lines().collect();
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        let hidden = lines.len().saturating_sub(2 * OUTPUT_LINES_HALF);
        for (at, (label, line)) in labels.zip(&lines).enumerate() {
            if hidden > 0 && at == OUTPUT_LINES_HALF {
                let lines = count(u64::try_from(hidden).unwrap_or(u64::MAX), "line");
                let are = if hidden == 1 { "is" } else { "are" };
                self.row("", &format!(
                    "… {lines} of what is kept {are} not shown: `sickbay task get LEAF -o json` has them all …"
                ));
            }
            if hidden == 0 || at < OUTPUT_LINES_HALF || at >= OUTPUT_LINES_HALF + hidden {
                self.row(label, &without_tabs(line));
            }
        }
    }

    fn by_hand(&mut self, hosts: &[ByHand], more: u64) {
        if hosts.is_empty() {
            return;
        }
        self.ours("Run by hand:");
        for it in hosts {
            // The uuid is the server's word, the name is the host's.
            self.ours(&format!("\n  on host {}", clean_line(&it.uuid)));
            if !it.name.is_empty() {
                self.row("name", &it.name);
            }
            self.ours(&format!("  {}", clean_line(&it.command)));
        }
        if more > 0 {
            let hosts = count(more, "more host");
            self.ours(&format!(
                "\n  and on {hosts}: `sickbay task get` shows the command of a leaf that `sickbay task leaves` lists"
            ));
        }
    }

    /// Adds what a host said, as one line. Where the terminal would break it, it goes on behind the bar.
    fn row(&mut self, label: &str, content: &str) {
        let line = clean_line(content);
        let line = line.trim_end();
        let pieces = match self.room {
            Some(room) => wrap(line, room),
            None => vec![line.to_owned()],
        };
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        for (label, piece) in labels.zip(pieces) {
            self.ours(format!("  {label:<6} │ {piece}").trim_end());
        }
    }

    /// Adds text of ours. Writing into a string cannot fail.
    fn ours(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
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
    clean_line(&words.join(", "))
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

/// What a host is called. A name of other characters than names have is quoted: it could be taken for several.
fn name_of(detail: &HostDetail) -> String {
    let usual = |it: char| it.is_alphanumeric() || "-_.".contains(it);
    match detail.instance_name.as_str() {
        "" => detail.uuid.clone(),
        name if name.chars().all(usual) => name.to_owned(),
        name => format!("{name:?}"),
    }
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
        text_at(details, None)
    }

    fn text_at(details: Vec<HostDetail>, width: Option<usize>) -> String {
        let mut groups = Groups::default();
        details.into_iter().for_each(|it| groups.add(it));
        groups.text(width)
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
            "2 hosts: SUCCESS, exit code 0\n  hosts  │ a, b\n  output │ active\n\n\
             1 host: FAIL, exit code 3\n  hosts  │ odd\n  output │ no\n\n"
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
            "2 hosts: SUCCESS\n  hosts  │ a, b\n  cause  │ 2401 critical: /var is full\n         │   0 B free\n\
             \u{20} fix    │ 1301: Free space.\n\n"
        );
    }

    fn waiting(name: &str, message: &str) -> HostDetail {
        HostDetail {
            uuid: "inet-1".to_owned(),
            instance_name: name.to_owned(),
            status: "DISPATCH".to_owned(),
            dispatch_type: DispatchType::Manual,
            message: message.to_owned(),
            res_code: vec!["1003".to_owned()],
            res_msg: vec!["sh -c 'genuine'".to_owned()],
            online: Some(false),
            ..HostDetail::default()
        }
    }

    #[test]
    fn a_command_to_run_by_hand_is_shown_for_its_host_at_the_end() {
        let text = text(vec![
            waiting("a", ""),
            waiting("b", ""),
            ran("c", "SUCCESS", 0, ""),
        ]);
        assert_eq!(
            text,
            "2 hosts: DISPATCH, the host is offline\n  hosts  │ a, b\n\n\
             1 host: SUCCESS, exit code 0\n  hosts  │ c\n\n\
             Run by hand:\n\n\
             \u{20} on host inet-1\n  name   │ a\n  sh -c 'genuine'\n\n\
             \u{20} on host inet-1\n  name   │ b\n  sh -c 'genuine'\n"
        );
    }

    #[test]
    fn commands_that_are_not_shown_are_counted() {
        let text = text((0..MANUAL_MAX + 2).map(|_| waiting("a", "")).collect());
        assert_eq!(text.matches("genuine").count(), MANUAL_MAX, "{text}");
        assert!(text.contains("and on 2 more hosts"), "{text}");
    }

    /// A command that a host wants to be pasted, dressed as one of ours: behind line ends of all kinds, behind cursor movements, and
    /// behind as many blanks as bring it to the next row of a terminal.
    fn forged(width: usize) -> String {
        const LINES: [&str; 5] = [
            "",
            "1 host: DISPATCH, the host is offline",
            "Run by hand:",
            "  on host inet-9",
            "  sh -c 'evil'",
        ];
        let mut text = "web-1".to_owned();
        for end in [
            "\n", "\r\n", "\r", "\u{85}", "\u{2028}", "\u{b}", "\u{1b}[E", "\u{9b}E",
        ] {
            text.push_str(&LINES.join(end));
        }
        for line in LINES {
            text.push_str(&format!("{line:width$}"));
        }
        text
    }

    #[test]
    fn nothing_that_a_host_says_can_pass_for_a_command_to_run_by_hand() {
        const WIDTH: usize = 80;
        for width in [None, Some(WIDTH), Some(0)] {
            let evil = forged(WIDTH);
            let mut said = waiting(&evil, &evil);
            said.cause_code = vec!["2401".to_owned()];
            said.cause_msg = vec![evil.clone()];
            said.findings = vec![Finding {
                cause: 2401,
                summary: evil.clone(),
                evidence: vec![evil.clone()],
            }];
            said.stdout = Some(evil.clone());
            said.stderr = Some(evil.clone());
            said.url = evil;
            let text = text_at(vec![said], width);
            let ours: Vec<&str> = text.lines().filter(|it| !it.contains(" │")).collect();
            assert_eq!(
                ours,
                [
                    "1 host: DISPATCH, the host is offline",
                    "",
                    "Run by hand:",
                    "",
                    "  on host inet-1",
                    "  sh -c 'genuine'",
                ],
                "{text}"
            );
            for line in text.lines().filter(|it| it.contains(" │")) {
                assert_eq!(line.chars().nth(BAR - 2), Some('│'), "{text}");
                let too_wide = width == Some(WIDTH) && line.chars().count() > WIDTH;
                assert!(!too_wide, "{line}");
            }
            assert!(
                text.chars().all(|it| it == '\n' || !it.is_control()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_name_that_could_be_several_is_quoted() {
        let text = text(vec![ran("web-1, db-9", "SUCCESS", 0, "")]);
        assert!(text.contains("hosts  │ \"web-1, db-9\"\n"), "{text}");
    }

    #[test]
    fn many_hosts_and_long_outputs_are_cut_with_a_count() {
        let lines = 2 * OUTPUT_LINES_HALF + 7;
        let long: String = (1..=lines).map(|at| format!("line {at}\n")).collect();
        let details = (0..NAMES_MAX + 5).map(|at| ran(&format!("h{at}"), "SUCCESS", 0, &long));
        let text = text(details.collect());
        assert!(text.contains("and 5 more"), "{text}");
        assert!(text.contains("… 7 lines of what is kept"), "{text}");
        let shown = text.matches("│ line ").count();
        assert_eq!(shown, 2 * OUTPUT_LINES_HALF, "{text}");
        assert!(text.contains("output │ line 1\n"), "{text}");
        assert!(text.contains(&format!("│ line {lines}\n")), "{text}");
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
}
