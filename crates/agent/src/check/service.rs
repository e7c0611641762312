//! What systemd says of the agent's service.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Cause;

use super::probe::{Verdict, finding};
use super::{Context, command, install, procfs};

/// Restarts from which on a service that does not stay up is in a crash loop.
const RESTARTS_MANY: u64 = 5;
/// A service that was restarted often and is up for less than this still crashes, in seconds.
const UP_SECONDS_SHORT: u64 = 120;
const PROPERTIES: &str = "LoadState,LoadError,UnitFileState,ActiveState,SubState,Result,NRestarts,\
    ExecMainCode,ExecMainStatus,ExecStart,MainPID,ActiveEnterTimestampMonotonic";

/// Loaded, enabled, active; failed or restarted again and again, and why.
pub(super) async fn probe(context: Arc<Context>) -> Verdict {
    if !command::systemd_runs() {
        return Verdict::skipped("systemd does not run this host");
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
    let properties = parse(&shown);
    let exec_start = properties.get("ExecStart").copied().unwrap_or_default();
    judge(&Seen {
        unit,
        properties: &properties,
        program_fault: install::program_fault(exec_start),
        agents: procfs::agents(&context.subject),
        uptime_seconds: procfs::uptime_seconds(),
    })
}

type Properties<'a> = BTreeMap<&'a str, &'a str>;

/// `KEY=VALUE` lines of `systemctl show`.
fn parse(text: &str) -> Properties<'_> {
    text.lines().filter_map(|it| it.split_once('=')).collect()
}

struct Seen<'a> {
    unit: &'a str,
    properties: &'a Properties<'a>,
    program_fault: Option<String>,
    agents: Vec<u32>,
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
        !self.agents.is_empty() && !self.agents.iter().any(|it| u64::from(*it) == main)
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
            return Verdict::clear(format!("{state}; the agent was started by other means"));
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
    if let Some(fault) = &seen.program_fault {
        findings.push(found(Cause::ProgramMissing, vec![fault.clone()]));
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
    if seen.text("Result") == "oom-kill" {
        findings.push(found(
            Cause::KilledForMemory,
            vec![format!("{state}, {result}")],
        ));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHY: &str = "ExecMainCode=0\nExecMainStatus=0\nExecStart={ path=/usr/bin/sickbay-agent ; argv[]=/usr/bin/sickbay-agent run ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }\nMainPID=812\nNRestarts=0\nResult=success\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nActiveEnterTimestampMonotonic=12000000\nLoadError=\n";

    fn causes(changes: &[(&str, &str)], agents: &[u32], fault: Option<&str>) -> Vec<Cause> {
        let mut properties = parse(HEALTHY);
        properties.extend(changes.iter().copied());
        let verdict = judge(&Seen {
            unit: "sickbay-agent.service",
            properties: &properties,
            program_fault: fault.map(str::to_owned),
            agents: agents.to_vec(),
            uptime_seconds: Some(90_000),
        });
        let causes = verdict.findings.iter();
        causes.map(|it| Cause::find(it.cause).unwrap()).collect()
    }

    #[test]
    fn a_running_service_is_clear() {
        assert_eq!(causes(&[], &[812], None), []);
        // It crashed now and then in the course of a year, and is up for a day.
        assert_eq!(causes(&[("NRestarts", "9")], &[812], None), []);
        assert_eq!(causes(&[("UnitFileState", "static")], &[812], None), []);
    }

    #[test]
    fn a_failed_service_says_so() {
        let failed = [
            ("ActiveState", "failed"),
            ("Result", "exit-code"),
            ("ExecMainCode", "1"),
            ("ExecMainStatus", "101"),
        ];
        assert_eq!(causes(&failed, &[], None), [Cause::ServiceFailed]);
        let killed = [("ActiveState", "failed"), ("Result", "oom-kill")];
        assert_eq!(
            causes(&killed, &[], None),
            [Cause::ServiceFailed, Cause::KilledForMemory]
        );
    }

    #[test]
    fn restarts_again_and_again_are_a_crash_loop() {
        let waiting = [
            ("ActiveState", "activating"),
            ("SubState", "auto-restart"),
            ("NRestarts", "7"),
        ];
        assert_eq!(causes(&waiting, &[], None), [Cause::ServiceCrashLoop]);
        let short = [
            ("NRestarts", "7"),
            ("ActiveEnterTimestampMonotonic", "89990000000"),
        ];
        assert_eq!(causes(&short, &[812], None), [Cause::ServiceCrashLoop]);
        let given_up = [("ActiveState", "failed"), ("Result", "start-limit-hit")];
        assert_eq!(causes(&given_up, &[], None), [Cause::ServiceCrashLoop]);
    }

    #[test]
    fn a_bad_unit_a_missing_program_and_a_disabled_service_are_found() {
        assert_eq!(
            causes(&[("LoadState", "bad-setting")], &[], None),
            [Cause::UnitInvalid]
        );
        assert_eq!(
            causes(&[], &[], Some("/usr/bin/x does not exist")),
            [Cause::ProgramMissing]
        );
        assert_eq!(
            causes(&[("UnitFileState", "disabled")], &[812], None),
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
        assert_eq!(causes(&inactive, &[99], None), []);
        assert_eq!(causes(&[("LoadState", "not-found")], &[99], None), []);
    }
}
