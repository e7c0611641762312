//! What the service manager says of the agent's service, and why it does not stay up.

mod condition;
pub(super) mod script;
mod start;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Cause;
use protocol::answer::Finding;

use super::probe::{Verdict, finding};
use super::{Context, command, logs, procfs, why};

/// Lines of the last start that are read: a crash may write hundreds.
const LINES_MAX: &str = "2000";
/// Restarts from which on a service that does not stay up is in a crash loop.
const RESTARTS_MANY: u64 = 5;
/// A service that was restarted often and is up for less than this still crashes, in seconds.
const UP_SECONDS_SHORT: u64 = 120;
const PROPERTIES: &str = "LoadState,LoadError,UnitFileState,ActiveState,SubState,Result,NRestarts,\
    ExecMainCode,ExecMainPID,ExecMainStatus,ExecStart,MainPID,ActiveEnterTimestampMonotonic,\
    InactiveExitTimestampMonotonic,ConditionResult,ConditionTimestampMonotonic,AssertResult,User,\
    Group,WorkingDirectory,Environment,EnvironmentFiles,Requires,BindsTo,Requisite,InvocationID,\
    TasksMax,LimitNOFILE";

/// Loaded, enabled, active; failed or restarted again and again, and why.
pub(super) async fn probe(context: Arc<Context>) -> Verdict {
    if !command::systemd_runs() {
        let looking = tokio::task::spawn_blocking(move || script::look(&context));
        let failed = |error| Verdict::skipped(format!("the probe broke: {error}"));
        return looking.await.unwrap_or_else(failed);
    }
    let unit = context.subject.unit.as_str();
    if unit.is_empty() {
        return Verdict::skipped("the agent has no unit of systemd");
    }
    let arguments = ["show", "--no-pager", "-p", PROPERTIES, unit];
    let shown = match command::output("systemctl", &arguments, 3_000).await {
        Ok(shown) => shown,
        Err(why) => return Verdict::skipped(why),
    };
    let about = Arc::clone(&context);
    let looking = tokio::task::spawn_blocking(move || {
        let properties = parse(&shown);
        let agents = procfs::agents(&about.subject);
        let unit = about.subject.unit.as_str();
        let seen = Seen {
            unit,
            properties: &properties,
            are_inside: agents.iter().any(|pid| is_inside(*pid, unit)),
            agents,
            uptime_seconds: procfs::uptime_seconds(),
        };
        let mut verdict = judge(&seen);
        let causes = if seen.is_well() || seen.runs_otherwise() {
            Vec::new()
        } else {
            start::faults(&shown, &properties)
        };
        verdict.add(causes);
        (seen.invocation(), verdict)
    });
    let Ok((invocation, mut verdict)) = looking.await else {
        return Verdict::skipped("the probe broke");
    };
    if let Some(invocation) = invocation {
        verdict.add(start::failed_dependency(&invocation.requires).await);
        if invocation.is_unmet {
            verdict.add(condition::unmet(&context.subject).await);
        }
        verdict.add(said(&context, &invocation).await);
    }
    verdict
}

/// What a start of the service that came to nothing left behind.
struct Invocation {
    id: String,
    /// Its first process.
    main_pid: u64,
    /// How long ago it began, in ms.
    age_ms: i64,
    /// Whether it failed, and was not merely stopped.
    has_failed: bool,
    /// Whether a condition of the unit kept it from being started.
    is_unmet: bool,
    /// Units that it needs.
    requires: Vec<String>,
    limits: why::Limits,
}

/// What the last start of the service wrote before it ended.
async fn said(context: &Context, invocation: &Invocation) -> Vec<Finding> {
    if invocation.id.is_empty() {
        return Vec::new();
    }
    let (subject, now_ms, age_ms) = (context.subject.clone(), context.now_ms, invocation.age_ms);
    let reading = tokio::task::spawn_blocking(move || logs::last_words(&subject, now_ms, age_ms));
    let of = format!("_SYSTEMD_INVOCATION_ID={}", invocation.id);
    let unit = format!("_SYSTEMD_UNIT={}", context.subject.unit);
    // Of a process that ends at once the journal may not learn more than its number.
    let pid = format!("_PID={}", invocation.main_pid);
    let arguments = [
        "-b",
        "-n",
        LINES_MAX,
        "--no-pager",
        "-o",
        "cat",
        &of,
        "+",
        &unit,
        &pid,
    ];
    let (said, logged) = tokio::join!(command::output("journalctl", &arguments, 3_000), reading);
    let (text, logged) = (said.unwrap_or_default(), logged.unwrap_or_default());
    let lines: Vec<&str> = text.lines().collect();
    let said: Vec<&str> = why::telling(&lines);
    let logged: Vec<&str> = logged.iter().map(String::as_str).collect();
    let all = [said.as_slice(), logged.as_slice()].concat();
    let mut findings = why::judge(&all, &context.subject, invocation.limits);
    if findings.is_empty() && invocation.has_failed {
        // Each has last lines of its own: those of the log may be of the start before.
        findings.extend(why::blamed(&said).or_else(|| why::blamed(&logged)));
    }
    findings
}

/// Whether systemd counts the process among the unit's.
fn is_inside(pid: u32, unit: &str) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    groups
        .lines()
        .any(|it| it.split('/').any(|part| part == unit))
}

type Properties<'a> = BTreeMap<&'a str, &'a str>;

/// `KEY=VALUE` lines of `systemctl show`.
fn parse(text: &str) -> Properties<'_> {
    text.lines().filter_map(|it| it.split_once('=')).collect()
}

struct Seen<'a> {
    unit: &'a str,
    properties: &'a Properties<'a>,
    /// Processes of the agent.
    agents: Vec<u32>,
    /// Whether any of them belongs to the unit.
    are_inside: bool,
    uptime_seconds: Option<u64>,
}

impl Seen<'_> {
    fn text(&self, name: &str) -> &str {
        self.properties.get(name).copied().unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// Whether an agent runs that this unit did not start.
    fn runs_otherwise(&self) -> bool {
        let main = self.number("MainPID");
        let is_main = |it: &u32| u64::from(*it) == main;
        !self.agents.is_empty() && !self.are_inside && !self.agents.iter().any(is_main)
    }

    fn is_well(&self) -> bool {
        self.text("ActiveState") == "active" && !self.crash_loops()
    }

    /// Whether systemd tried to start it and it did not stay.
    fn fails(&self) -> bool {
        let is_again = self.text("SubState") == "auto-restart";
        is_again || self.text("ActiveState") == "failed" || self.crash_loops()
    }

    /// The last start, where it came to nothing.
    fn invocation(&self) -> Option<Invocation> {
        let lists = ["Requires", "BindsTo", "Requisite"];
        let requires = lists.iter().flat_map(|it| self.text(it).split_whitespace());
        let is_down = !self.is_well() && self.agents.is_empty();
        (is_down || self.fails()).then(|| Invocation {
            id: self.text("InvocationID").to_owned(),
            main_pid: self.number("ExecMainPID"),
            age_ms: self.age_ms(),
            has_failed: self.fails(),
            is_unmet: self.is_unmet(),
            requires: requires.map(str::to_owned).collect(),
            limits: why::Limits {
                tasks: self.text("TasksMax").parse().ok(),
                descriptors: self.text("LimitNOFILE").parse().ok(),
            },
        })
    }

    /// How long ago the last start was, in ms; 0: unknown.
    fn age_ms(&self) -> i64 {
        let started = self.number("InactiveExitTimestampMonotonic") / 1_000_000;
        let age = self
            .uptime_seconds
            .unwrap_or(started)
            .saturating_sub(started);
        // Seconds are cut off on both sides.
        i64::try_from(age).map_or(0, |it| it.saturating_add(1).saturating_mul(1_000))
    }

    /// Whether the last start ended before the service was up.
    fn was_never_up(&self) -> bool {
        self.number("ActiveEnterTimestampMonotonic") < self.number("InactiveExitTimestampMonotonic")
    }

    /// How the service's process ended last, in words (`SIGCHLD` codes of sigaction(2)).
    fn ending(&self) -> String {
        let status = self.text("ExecMainStatus");
        match self.text("ExecMainCode") {
            "1" => format!("its process exited with code {status}"),
            "2" => format!("its process was killed by signal {status}"),
            "3" => format!("its process was killed by signal {status} and dumped core"),
            _ => "its process did not start".to_owned(),
        }
    }

    fn crash_loops(&self) -> bool {
        let up = self.uptime_seconds.map(|now| {
            now.saturating_sub(self.number("ActiveEnterTimestampMonotonic") / 1_000_000)
        });
        self.text("Result") == "start-limit-hit"
            || self.number("NRestarts") >= RESTARTS_MANY
                && match self.text("ActiveState") {
                    "active" => up.is_some_and(|it| it < UP_SECONDS_SHORT),
                    "activating" | "failed" => true,
                    _ => false,
                }
    }
}

fn judge(seen: &Seen<'_>) -> Verdict {
    let unit = seen.unit;
    let state = format!(
        "{unit} is {} ({})",
        seen.text("ActiveState"),
        seen.text("SubState")
    );
    match seen.text("LoadState") {
        "not-found" | "" => return Verdict::skipped(format!("there is no unit {unit}")),
        _ if seen.runs_otherwise() => {
            let note = format!("{state}; the agent was started by other means");
            return Verdict::of(note, seen.second().into_iter().collect());
        }
        _ => {}
    }
    let found = |cause: Cause, evidence| finding(cause, cause.sentence(), evidence, &[]);
    let mut findings = Vec::new();
    match seen.text("LoadState") {
        "error" | "bad-setting" => {
            let why = format!("systemd says of {unit}: {}", seen.text("LoadError"));
            findings.push(found(Cause::UnitInvalid, vec![why]));
        }
        "masked" => findings.push(found(
            Cause::ServiceMasked,
            vec![format!("{unit} is masked")],
        )),
        _ => {}
    }
    let restarts = seen.number("NRestarts");
    let result = format!("result {}; {}", seen.text("Result"), seen.ending());
    if seen.crash_loops() {
        let times = format!("{state}, restarted {restarts} times");
        findings.push(found(Cause::ServiceCrashLoop, vec![times, result.clone()]));
    } else if seen.text("ActiveState") == "failed" {
        findings.push(found(
            Cause::ServiceFailed,
            vec![state.clone(), result.clone()],
        ));
    }
    let ended = match seen.text("Result") {
        "oom-kill" => Some(Cause::KilledForMemory),
        "watchdog" => Some(Cause::WatchdogEnded),
        "timeout" if seen.was_never_up() => Some(Cause::ServiceStartTimesOut),
        _ => None,
    };
    if !seen.is_well() {
        findings.extend(ended.map(|it| found(it, vec![format!("{state}, {result}")])));
    }
    findings.extend(seen.rest(&state));
    if seen.text("UnitFileState") == "disabled" {
        findings.push(found(
            Cause::ServiceDisabled,
            vec![format!("{unit} is disabled")],
        ));
    }
    let enabled = seen.text("UnitFileState");
    Verdict::of(
        format!("{state}, {enabled}, restarted {restarts} times"),
        findings,
    )
}

impl Seen<'_> {
    /// Whether the last attempt to start it found a condition or assertion of its unit not met.
    fn is_unmet(&self) -> bool {
        let was_tried = self.number("ConditionTimestampMonotonic") > 0;
        let unmet = ["ConditionResult", "AssertResult"];
        was_tried && unmet.iter().any(|it| self.text(it) == "no")
    }

    /// Why it does nothing although nothing of it failed.
    fn rest(&self, state: &str) -> Option<Finding> {
        let is_down = self.text("ActiveState") == "inactive" && self.agents.is_empty();
        let is_ready = self.text("LoadState") == "loaded" && self.text("Result") == "success";
        (is_down && is_ready).then(|| {
            let why = if self.is_unmet() {
                "a condition of its unit file was not met, so it was not started"
            } else if self.number("InactiveExitTimestampMonotonic") == 0 {
                "nobody started it since the host started"
            } else {
                "it was stopped, or ended by itself without an error"
            };
            let cause = Cause::AgentNotRunning;
            let evidence = vec![format!("{state}: {why}")];
            finding(cause, cause.sentence(), evidence, &[])
        })
    }

    /// An agent that somebody started beside the service, which therefore cannot run.
    fn second(&self) -> Option<Finding> {
        let pid = self.agents.first().filter(|_| self.fails())?.to_string();
        let evidence = vec![
            format!("process {pid} is an agent that {} did not start", self.unit),
            format!("{}: {}; {}", self.unit, self.text("Result"), self.ending()),
        ];
        let cause = Cause::AgentDuplicated;
        Some(finding(cause, cause.sentence(), evidence, &[("PID", &pid)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHY: &str = "ExecMainCode=0\nExecMainStatus=0\nExecStart={ path=/usr/bin/sickbay-agent ; argv[]=/usr/bin/sickbay-agent run ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\nMainPID=812\nNRestarts=0\nResult=success\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nActiveEnterTimestampMonotonic=12000000\nLoadError=\n";

    fn causes(changes: &[(&str, &str)], agents: &[u32]) -> Vec<Cause> {
        let mut properties = parse(HEALTHY);
        properties.extend(changes.iter().copied());
        let verdict = judge(&Seen {
            unit: "sickbay-agent.service",
            properties: &properties,
            agents: agents.to_vec(),
            are_inside: false,
            uptime_seconds: Some(90_000),
        });
        let causes = verdict.findings.iter();
        causes.map(|it| Cause::find(it.cause).unwrap()).collect()
    }

    #[test]
    fn a_running_service_is_clear() {
        assert_eq!(causes(&[], &[812]), []);
        // It crashed now and then in the course of a year, and is up for a day.
        assert_eq!(causes(&[("NRestarts", "9")], &[812]), []);
        assert_eq!(causes(&[("UnitFileState", "static")], &[812]), []);
    }

    #[test]
    fn a_failed_service_says_so() {
        let failed = [
            ("ActiveState", "failed"),
            ("Result", "exit-code"),
            ("ExecMainCode", "1"),
            ("ExecMainStatus", "101"),
        ];
        assert_eq!(causes(&failed, &[]), [Cause::ServiceFailed]);
        let killed = [("ActiveState", "failed"), ("Result", "oom-kill")];
        assert_eq!(
            causes(&killed, &[]),
            [Cause::ServiceFailed, Cause::KilledForMemory]
        );
    }

    #[test]
    fn how_a_service_was_ended_tells_why() {
        let timeout = |up| {
            let changes = [
                ("ActiveState", "failed"),
                ("Result", "timeout"),
                ("InactiveExitTimestampMonotonic", "12000000"),
                ("ActiveEnterTimestampMonotonic", up),
            ];
            causes(&changes, &[])
        };
        let failed = Cause::ServiceFailed;
        assert_eq!(timeout("11000000"), [failed, Cause::ServiceStartTimesOut]);
        assert_eq!(timeout("12000009"), [failed], "it did not stop in time");
        let watched = [("ActiveState", "failed"), ("Result", "watchdog")];
        assert_eq!(causes(&watched, &[]), [failed, Cause::WatchdogEnded]);
    }

    #[test]
    fn a_service_that_was_stopped_or_never_started_did_not_crash() {
        let evidence = |changes: &[(&str, &str)]| {
            let mut properties = parse(HEALTHY);
            properties.extend([("ActiveState", "inactive"), ("SubState", "dead")]);
            properties.extend(changes.iter().copied());
            let verdict = judge(&Seen {
                unit: "sickbay-agent.service",
                properties: &properties,
                agents: Vec::new(),
                are_inside: false,
                uptime_seconds: Some(90_000),
            });
            assert_eq!(verdict.findings.len(), 1, "{verdict:?}");
            assert_eq!(verdict.findings[0].cause, Cause::AgentNotRunning.code());
            verdict.findings[0].evidence[0].clone()
        };
        let stopped = [("InactiveExitTimestampMonotonic", "1")];
        assert!(evidence(&stopped).contains("was stopped"));
        assert!(evidence(&[]).contains("nobody started it"));
        let unmet = [
            ("ConditionResult", "no"),
            ("ConditionTimestampMonotonic", "7"),
        ];
        assert!(evidence(&unmet).contains("condition"));
    }

    #[test]
    fn restarts_again_and_again_are_a_crash_loop() {
        let waiting = [
            ("ActiveState", "activating"),
            ("SubState", "auto-restart"),
            ("NRestarts", "7"),
        ];
        assert_eq!(causes(&waiting, &[]), [Cause::ServiceCrashLoop]);
        let short = [
            ("NRestarts", "7"),
            ("ActiveEnterTimestampMonotonic", "89990000000"),
        ];
        assert_eq!(causes(&short, &[812]), [Cause::ServiceCrashLoop]);
        let given_up = [("ActiveState", "failed"), ("Result", "start-limit-hit")];
        assert_eq!(causes(&given_up, &[]), [Cause::ServiceCrashLoop]);
    }

    #[test]
    fn a_bad_unit_and_a_disabled_service_are_found() {
        assert_eq!(
            causes(&[("LoadState", "bad-setting")], &[]),
            [Cause::UnitInvalid]
        );
        assert_eq!(
            causes(&[("UnitFileState", "disabled")], &[812]),
            [Cause::ServiceDisabled]
        );
    }

    #[test]
    fn an_agent_started_by_other_means_needs_no_unit() {
        let inactive = [
            ("ActiveState", "inactive"),
            ("UnitFileState", "disabled"),
            ("MainPID", "0"),
        ];
        assert_eq!(causes(&inactive, &[99]), []);
        let failed = [("ActiveState", "failed"), ("MainPID", "0")];
        assert_eq!(causes(&failed, &[99]), [Cause::AgentDuplicated]);
        assert_eq!(causes(&[("LoadState", "not-found")], &[99]), []);
    }
}
