//! Hosts that answered the same, together: "9,997 hosts said the same, 3 differ". Pure.
//!
//! Whatever a host said stands behind a bar, on every row of the terminal. What a person may paste into a root shell stands in a
//! section of its own at the end, without one: a host cannot write there, nor anything that looks like it.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write;

use model::{Cause, Reason};
use protocol::answer::{AssetReport, Limited};
use protocol::api::task::{DispatchType, HostDetail, WholeOutput};

use super::now::{HOSTS_MAX, Now};
use crate::ui::{clean_line, count, without_tabs, wrap};

/// Names of hosts that a group shows.
pub(super) const NAMES_MAX: usize = 8;
/// First lines of an output that a group shows, and as many last ones: errors stand at the end.
const OUTPUT_LINES_HALF: usize = 10;
/// Manual commands that are shown: each is long, and each is for one host.
const MANUAL_MAX: usize = 5;
/// Cells before the text of a row.
const BAR: usize = "  output | ".len();
/// Cells of text in a row, however narrow the terminal is.
const ROW_MIN: usize = 16;

/// What makes two answers the same: how it ended and what was said, but not by whom or with which words of evidence.
#[derive(Clone, PartialEq, Eq, Hash)]
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
    /// What those do that run and have said so, by name.
    running: Vec<(String, Now)>,
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
    /// Hosts that are in no group, and why.
    left_out: Vec<(u64, &'static str)>,
}

impl Groups {
    /// Adds a host's answer, or what it does now.
    pub(super) fn add(&mut self, detail: HostDetail, now: Option<Now>) {
        let outcome = Outcome::of(&detail);
        let name = name_of(&detail);
        self.join(outcome.clone(), detail);
        if let Some(group) = self.groups.get_mut(&outcome)
            && group.hosts <= HOSTS_MAX.into()
        {
            group.running.extend(now.map(|it| (name, it)));
        }
    }

    /// Adds so many hosts that answered the same, some of which are here.
    pub(super) fn add_same(&mut self, hosts: u64, details: Vec<HostDetail>) {
        let Some(outcome) = details.first().map(Outcome::of) else {
            return;
        };
        let here = u64::try_from(details.len()).unwrap_or(u64::MAX);
        for detail in details {
            self.join(outcome.clone(), detail);
        }
        if let Some(group) = self.groups.get_mut(&outcome) {
            group.hosts += hosts.saturating_sub(here);
        }
    }

    /// Says that some hosts are in no group, and why, in words that go on after "hosts".
    pub(super) fn leave_out(&mut self, hosts: u64, why: &'static str) {
        if hosts > 0 {
            self.left_out.push((hosts, why));
        }
    }

    fn join(&mut self, outcome: Outcome, detail: HostDetail) {
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
        let group = self.groups.entry(outcome);
        let group = group.or_insert_with(|| Group {
            hosts: 0,
            names: Vec::new(),
            example: detail,
            running: Vec::new(),
        });
        group.hosts += 1;
        if group.names.len() < NAMES_MAX {
            group.names.push(name);
        }
    }

    /// What a person sees on a terminal of this width: the largest group first, what is to be run by hand last.
    pub(super) fn text(&self, width: Option<usize>) -> String {
        let mut page = Page::new(width);
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by(|a, b| (b.hosts, &a.names).cmp(&(a.hosts, &b.names)));
        for group in groups {
            page.group(group);
            page.ours("");
        }
        for (hosts, why) in &self.left_out {
            page.ours(&format!("{} {why}\n", count(*hosts, "more host")));
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

/// A line of a host's output as a person sees it on a terminal of this width.
pub(super) fn output_line(line: &str, width: Option<usize>) -> String {
    let mut page = Page::new(width);
    page.row("output", &without_tabs(line));
    page.text
}

impl Page {
    fn new(width: Option<usize>) -> Self {
        Self {
            text: String::new(),
            room: width.map(|it| it.saturating_sub(BAR).max(ROW_MIN)),
        }
    }

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
        for limit in &detail.limits {
            self.row("limit", &limited(limit));
        }
        self.running(group);
        self.causes(detail);
        if let Some(assets) = &detail.assets {
            self.row("found", &collected(assets));
        }
        self.output(
            "output",
            detail.stdout.as_deref(),
            detail.stdout_whole.as_ref(),
        );
        self.output(
            "errors",
            detail.stderr.as_deref(),
            detail.stderr_whole.as_ref(),
        );
        if group.hosts == 1 && !detail.url.is_empty() {
            self.row("bundle", &detail.url);
        }
    }

    /// What hosts do now, if they are few.
    fn running(&mut self, group: &Group) {
        match group.running.as_slice() {
            [(_, now)] if group.hosts == 1 => {
                self.row("now", &now.text);
                self.output("so far", Some(&now.output), None);
            }
            running if group.hosts <= HOSTS_MAX.into() => {
                for (name, now) in running {
                    self.row("now", &format!("{name}: {}", now.brief()));
                }
            }
            _ => {}
        }
    }

    fn causes(&mut self, detail: &HostDetail) {
        // Findings run side by side with the causes, where the answer was not too large for them.
        let findings = detail.findings.iter().map(Some);
        let findings = findings.chain(std::iter::repeat(None));
        let causes = detail.cause_code.iter().zip(&detail.cause_msg);
        for ((code, sentence), finding) in causes.zip(findings) {
            let cause = code.parse().ok().and_then(Cause::find);
            let severity = cause.map_or("", |it| it.severity().wire());
            let explained = finding.is_some_and(|it| it.explained_by.is_some());
            let label = if explained { "so" } else { "cause" };
            self.row(label, &format!("{code} {severity}: {sentence}"));
            for evidence in finding.into_iter().flat_map(|it| &it.evidence) {
                self.row("", &format!("  {evidence}"));
            }
        }
        for (code, sentence) in detail.res_code.iter().zip(&detail.res_msg) {
            if manual_command(detail) != Some(sentence.as_str()) {
                self.row("fix", &format!("{code}: {sentence}"));
            }
        }
    }

    fn output(&mut self, label: &str, output: Option<&str>, of: Option<&WholeOutput>) {
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
        if let Some(whole) = whole(of) {
            self.row("whole", &whole);
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
                "\n  and on {hosts}: `sickbay task commands` lists all"
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

/// A limit that the command ran under, in a few words.
fn limited(limit: &Limited) -> String {
    let by = match limit.by.as_str() {
        "cgroup" => "by its control group",
        "rlimit" => "by the limits of its processes",
        "agent" => "by the agent",
        other => other,
    };
    let reached = if limit.reached { ": reached" } else { "" };
    format!("{} {} {by}{reached}", limit.name, limit.max)
}

/// How much of a stream there was, where the text does not show it.
fn whole(stream: Option<&WholeOutput>) -> Option<String> {
    let stream = stream.filter(|it| it.cut || it.escaped)?;
    let escaped = if stream.escaped {
        r", \xHH: bytes that cannot be shown"
    } else {
        ""
    };
    Some(format!(
        "{} bytes, SHA-256 {}{escaped}",
        stream.bytes, stream.sha256
    ))
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
pub(super) fn manual_command(detail: &HostDetail) -> Option<&str> {
    let by_hand = model::fix::RUN_BY_HAND.to_string();
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
