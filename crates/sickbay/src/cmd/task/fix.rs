//! `sickbay task create CLIENT_DEV_OPS --fix CODE --from-task ROOT`: the catalogue's fix on exactly the hosts that a check found to need it.
//!
//! Reads the findings of the check, makes each host's command of the fix's template, shows what would run where and, when that is
//! agreed to, has a task created per command. What a host says of itself is quoted as a value and never becomes syntax
//! ([`model::template`]); what a placeholder does not accept leaves the host out.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write as _};

use anyhow::bail;
use client::{Client, LeafFilter};
use model::fix::Action;
use model::limits::PAGE_SIZE_MAX;
use model::{Cause, Fix, Status, TaskId, TaskType, template};
use protocol::answer::Finding;
use protocol::api::task::{HostDetail, Task, read_details};
use protocol::runbook::Runbook;
use serde_json::{Value, json};

use super::group::NAMES_MAX;
use crate::exit::Usage;
use crate::ui::{Format, Ui, clean_line, count};

/// What is to be mended: a fix, or the first fix of one cause that is a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    fix: Fix,
    /// Only hosts with this cause.
    cause: Option<Cause>,
}

/// A code of a cause or a fix with something to run, from an argument.
pub(super) fn wanted(text: &str) -> Result<Wanted, String> {
    let code: Option<u16> = text.parse().ok();
    let (cause, fix) = (code.and_then(Cause::find), code.and_then(Fix::find));
    match (cause, fix) {
        (_, Some(fix)) if fix.action().is_some() => Ok(Wanted { fix, cause: None }),
        (_, Some(fix)) => Err(format!("there is no command for it: {}", fix.sentence())),
        (Some(cause), None) => {
            let runnable = cause.fixes().iter().find(|it| it.action().is_some());
            let fix = runnable.copied();
            let none = || {
                let fixes: Vec<&str> = cause.fixes().iter().map(|it| it.sentence()).collect();
                format!("there is no command for it: {}", fixes.join(" "))
            };
            let cause = Some(cause);
            fix.map(|fix| Wanted { fix, cause }).ok_or_else(none)
        }
        (None, None) => Err("it is no code of a cause or a fix; see `sickbay explain`".to_owned()),
    }
}

impl Wanted {
    /// The runbook that its command is.
    pub(super) fn runbook(self) -> String {
        format!("fix-{}", self.fix.code())
    }

    /// The hosts of a command; a host whose findings make several commands is in several.
    fn is_for(self, finding: &Finding) -> bool {
        Cause::find(finding.cause).is_some_and(|cause| match self.cause {
            Some(only) => cause == only,
            None => cause.fixes().contains(&self.fix),
        })
    }
}

/// One host that needs it.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    uuid: String,
    name: String,
    online: bool,
}

/// What is said where nothing would run.
const NOBODY: &str = "no host of that task has a cause with this fix";

/// Values of the parameters of a fix's runbook.
type Parameters = BTreeMap<String, String>;

/// What would run where.
#[derive(Debug, Default)]
pub(super) struct Remedy {
    /// Hosts by command, with what the command is made of.
    by_command: BTreeMap<String, (Parameters, Vec<Host>)>,
    /// Hosts left out, by what is not known of them.
    left_out: BTreeMap<String, u64>,
}

impl Remedy {
    /// Adds what a host's check found.
    fn add(&mut self, detail: HostDetail, wanted: Wanted, action: &Action) {
        let mut commands: BTreeMap<String, Parameters> = BTreeMap::new();
        let mut unknown = None;
        for finding in detail.findings.iter().filter(|it| wanted.is_for(it)) {
            match finding.fill(action.command) {
                Ok(command) => {
                    let parameters = parameters(finding, action);
                    let book = Runbook::find(&wanted.runbook());
                    match book.map(|it| it.resolve(&parameters, None)) {
                        Some(Err(error)) => unknown = Some(error.to_string()),
                        _ => drop(commands.insert(command, parameters)),
                    }
                }
                Err(error) => unknown = Some(error.to_string()),
            }
        }
        if commands.is_empty()
            && let Some(why) = unknown
        {
            *self.left_out.entry(why).or_default() += 1;
        }
        for (command, parameters) in commands {
            let (_, hosts) = self
                .by_command
                .entry(command)
                .or_insert_with(|| (parameters, Vec::new()));
            hosts.push(Host {
                uuid: detail.uuid.clone(),
                name: detail.instance_name.clone(),
                online: detail.online == Some(true),
            });
        }
    }

    /// What each command is made of, with the uuids of its hosts.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (&Parameters, Vec<&str>)> {
        self.by_command.values().map(|(parameters, hosts)| {
            let uuids = hosts.iter().map(|it| it.uuid.as_str()).collect();
            (parameters, uuids)
        })
    }

    fn is_empty(&self) -> bool {
        self.by_command.is_empty() && self.left_out.is_empty()
    }

    fn value(&self, wanted: Wanted) -> Value {
        let commands: Vec<Value> = self
            .by_command
            .iter()
            .map(|(command, (_, hosts))| {
                let uuids: Vec<&str> = hosts.iter().map(|it| it.uuid.as_str()).collect();
                json!({"Command": command, "Uuids": uuids, "OfflineCount": offline(hosts)})
            })
            .collect();
        json!({"Fix": wanted.fix.code(), "Commands": commands, "LeftOut": self.left_out})
    }

    /// For a person: one line each, so that no name of a host can look like a command.
    fn lines(&self, wanted: Wanted) -> Vec<String> {
        let mut lines = vec![format!(
            "fix {}: {}",
            wanted.fix.code(),
            wanted.fix.sentence()
        )];
        for (command, (_, hosts)) in &self.by_command {
            let number = u64::try_from(hosts.len()).unwrap_or(u64::MAX);
            let on = count(number, "host");
            lines.push(format!("on {on}, {} of them offline:", offline(hosts)));
            lines.push(format!("  runs   │ {command}"));
            let names: Vec<String> = hosts.iter().take(NAMES_MAX).map(Host::shown).collect();
            let more = match hosts.len().saturating_sub(NAMES_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            lines.push(format!("  hosts  │ {}{more}", names.join(", ")));
        }
        if self.is_empty() {
            lines.push(NOBODY.to_owned());
        }
        for (why, hosts) in &self.left_out {
            lines.push(format!("left out: {}, where {why}", count(*hosts, "host")));
        }
        lines.iter().map(|it| clean_line(it)).collect()
    }
}

impl Host {
    fn shown(&self) -> String {
        if self.name.is_empty() {
            self.uuid.clone()
        } else {
            format!("{:?}", self.name)
        }
    }
}

/// What the words of the fix's command mean by this finding.
fn parameters(finding: &Finding, action: &Action) -> Parameters {
    let words = template::placeholders(action.command).into_iter();
    let known = words.filter_map(|it| {
        let value = finding.known.get(it.word())?;
        Some((it.word().to_ascii_lowercase(), value.clone()))
    });
    known.collect()
}

fn offline(hosts: &[Host]) -> usize {
    hosts.iter().filter(|it| !it.online).count()
}

/// What is to be mended on which hosts, by the findings of the check `from`.
pub(super) async fn plan(wanted: Wanted, from: TaskId, client: &Client) -> anyhow::Result<Remedy> {
    let task = super::existing(client, from).await?;
    let check = TaskType::ClientProblemCheck.wire();
    let TaskId::Root(_) = from else {
        bail!(Usage(
            "--from-task is a whole task, not one host's part of it".to_owned()
        ));
    };
    if task.task_type != check {
        bail!(Usage(format!(
            "--from-task is a {check}; {from} is a {}",
            task.task_type
        )));
    }
    let Some(action) = wanted.fix.action() else {
        return Ok(Remedy::default());
    };
    let filter = LeafFilter {
        statuses: vec![Status::Success],
        outcome: None,
    };
    let mut remedy = Remedy::default();
    let mut pages = client.leaves(&task.task_id, &filter, PAGE_SIZE_MAX);
    while let Some(leaves) = pages.next().await? {
        for leaf in leaves {
            for detail in answers(&leaf, client).await? {
                remedy.add(detail, wanted, action);
            }
        }
    }
    Ok(remedy)
}

/// What was found; asked for by itself where the list had no room for it, which only a message tells.
async fn answers(leaf: &Task, client: &Client) -> anyhow::Result<Vec<HostDetail>> {
    let listed = read_details(&leaf.detail_data)?;
    let is_left_out = |it: &HostDetail| it.findings.is_empty() && !it.message.is_empty();
    if !listed.iter().any(is_left_out) {
        return Ok(listed);
    }
    let whole = super::existing(client, leaf.task_id.parse()?).await?;
    Ok(read_details(&whole.detail_data)?)
}

/// Shows what would run; says whether it is to run. `yes`: it was agreed to beforehand.
pub(super) fn is_agreed(
    remedy: &Remedy,
    wanted: Wanted,
    (yes, dry_run): (bool, bool),
    ui: &Ui,
) -> anyhow::Result<bool> {
    if dry_run && ui.format() != Format::Table {
        ui.value(&remedy.value(wanted))?;
        if remedy.is_empty() {
            ui.say(NOBODY);
        }
        return Ok(false);
    }
    for line in remedy.lines(wanted) {
        ui.say(&line);
    }
    if dry_run {
        return Ok(false);
    }
    if remedy.by_command.is_empty() {
        bail!("there is no host to run it on");
    }
    let unattended = wanted.fix.action().is_some_and(|it| it.unattended);
    if yes && unattended {
        return Ok(true);
    }
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    match (is_terminal, unattended) {
        (true, _) => {
            let agreed = ask()?;
            if !agreed {
                ui.say("nothing was created");
            }
            Ok(agreed)
        }
        (false, true) => bail!(Usage("nobody is there to agree: give --yes".to_owned())),
        (false, false) => bail!(Usage(
            "this fix wants a person who has looked at the hosts: agree to it on a terminal"
                .to_owned()
        )),
    }
}

fn ask() -> anyhow::Result<bool> {
    let mut to = io::stderr().lock();
    write!(to, "Run it? [y/N] ")?;
    to.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(uuid: &str, cause: Cause, known: &[(&str, &str)]) -> HostDetail {
        let known = known.iter();
        HostDetail {
            uuid: uuid.to_owned(),
            online: Some(uuid != "off"),
            findings: vec![Finding {
                cause: cause.code(),
                known: known
                    .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                    .collect(),
                ..Finding::default()
            }],
            ..HostDetail::default()
        }
    }

    fn remedy(code: &str, details: Vec<HostDetail>) -> Remedy {
        let wanted = wanted(code).unwrap();
        let mut remedy = Remedy::default();
        for detail in details {
            remedy.add(detail, wanted, wanted.fix.action().unwrap());
        }
        remedy
    }

    #[test]
    fn where_no_host_has_such_a_cause_that_is_said() {
        let lines = Remedy::default().lines(wanted("1103").unwrap());
        assert_eq!(lines.last().map(String::as_str), Some(NOBODY));
    }

    #[test]
    fn a_code_means_a_fix_or_the_first_runnable_fix_of_a_cause() {
        assert_eq!(wanted("1103").unwrap().fix, Fix::StartService);
        let of_cause = wanted("2104").unwrap();
        assert_eq!(
            (of_cause.fix, of_cause.cause),
            (Fix::StartService, Some(Cause::ServiceFailed))
        );
        for (code, word) in [
            ("1301", "largest"),
            ("2401", "largest"),
            ("7", "explain"),
            ("x", "explain"),
        ] {
            assert!(wanted(code).unwrap_err().contains(word), "{code}");
        }
    }

    #[test]
    fn hosts_that_need_the_same_command_share_a_task() {
        let unit = |name: &'static str| [("UNIT", name)];
        let remedy = remedy(
            "1103",
            vec![
                checked("a", Cause::AgentNotRunning, &unit("x.service")),
                checked("off", Cause::ServiceFailed, &unit("x.service")),
                checked("b", Cause::AgentNotRunning, &unit("y.service")),
                checked("c", Cause::DiskFull, &unit("x.service")),
                checked("d", Cause::AgentNotRunning, &[]),
            ],
        );
        let tasks: Vec<_> = remedy.tasks().collect();
        assert_eq!(tasks.len(), 2);
        assert_eq!(tasks[0].0["unit"], "x.service");
        assert_eq!(tasks[0].1, ["a", "off"]);
        assert_eq!(tasks[1].1, ["b"]);
        let lines = remedy.lines(wanted("1103").unwrap());
        assert!(
            lines.contains(&"on 2 hosts, 1 of them offline:".to_owned()),
            "{lines:?}"
        );
        assert_eq!(
            lines.last().unwrap(),
            "left out: 1 host, where UNIT is not known"
        );
    }

    #[test]
    fn the_code_of_a_cause_leaves_out_other_causes_with_the_same_fix() {
        let unit = [("UNIT", "x.service")];
        let remedy = remedy(
            "2104",
            vec![
                checked("a", Cause::AgentNotRunning, &unit),
                checked("b", Cause::ServiceFailed, &unit),
            ],
        );
        assert_eq!(remedy.tasks().next().unwrap().1, ["b"]);
    }

    #[test]
    fn what_a_host_says_never_becomes_syntax() {
        let evil = remedy(
            "1103",
            vec![checked("a", Cause::ServiceFailed, &[("UNIT", "x; reboot")])],
        );
        assert_eq!(evil.tasks().count(), 0);
        let odd = remedy(
            "1309",
            vec![checked(
                "a",
                Cause::PathImmutable,
                &[("PATH", "/a'; reboot #")],
            )],
        );
        let command = odd.by_command.keys().next().unwrap();
        assert_eq!(command, r"chattr -i -a -- '/a'\''; reboot #'");
    }
}
