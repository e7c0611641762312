//! What keeps a unit of systemd from starting: what it names and what is not there.

use std::io::ErrorKind;
use std::path::Path;

use model::Cause;
use protocol::answer::Finding;

use super::super::probe::finding;
use super::super::{command, program};
use super::Properties;

/// What the unit names that is not there. `shown` is what the properties were read from: some of them
/// come several times.
pub(super) fn faults(shown: &str, properties: &Properties<'_>) -> Vec<Finding> {
    let text = |name| properties.get(name).copied().unwrap_or_default();
    let mut findings = Vec::new();
    let has_libraries = ["LD_LIBRARY_PATH=", "LD_PRELOAD="]
        .iter()
        .any(|it| text("Environment").contains(it));
    let program = program_of(text("ExecStart"));
    findings.extend(program.and_then(|it| program::fault(Path::new(it), has_libraries)));
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let (code, status) = (text("ExecMainCode"), text("ExecMainStatus"));
    findings.extend(match (code, status) {
        ("1", "217") => user(text("User"), "user", &accounts),
        ("1", "216") => user(text("Group"), "group", &groups),
        ("1", "200") => directory(text("WorkingDirectory")),
        ("1", "226" | "238" | "239" | "240" | "241") => Some(namespace(status)),
        _ => None,
    });
    findings.extend(environment_files(shown).filter_map(environment));
    findings.extend(unconfigured(text("ExecStart")));
    findings
}

/// Codes with which programs say that they are not configured: 6 of LSB, 78 of sysexits.h.
fn unconfigured(exec_start: &str) -> Option<Finding> {
    let codes = ["code=exited ; status=6 ", "code=exited ; status=78 "];
    let says = codes.iter().find(|it| exec_start.contains(*it))?;
    let cause = Cause::ConfigurationInvalid;
    let evidence = format!("its program ended with {says}: it is not configured");
    Some(finding(cause, cause.sentence(), vec![evidence], &[]))
}

/// The program of systemd's `ExecStart={ path=… ; argv[]=… }`.
fn program_of(exec_start: &str) -> Option<&str> {
    let path = exec_start.split_once("path=")?.1;
    Some(path.split(" ;").next()?.trim())
}

fn user(name: &str, what: &str, table: &str) -> Option<Finding> {
    let has = |it: &str| it.split(':').next() == Some(name);
    let is_there = !name.is_empty() && table.lines().any(has);
    (!is_there).then(|| {
        let evidence = format!("the unit's {what} {name} is not in the accounts of this host");
        let cause = Cause::ServiceUserMissing;
        finding(cause, cause.sentence(), vec![evidence], &[("USER", name)])
    })
}

fn directory(path: &str) -> Option<Finding> {
    // `!` and `-` before it are marks of systemd.
    let path = path.trim_start_matches(['!', '-']);
    let evidence = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => format!("there is no {path}"),
        Ok(about) if !about.is_dir() => format!("{path} is not a directory"),
        _ => format!("the service's user may not enter {path}"),
    };
    let cause = Cause::ServiceDirectoryMissing;
    Some(finding(
        cause,
        cause.sentence(),
        vec![evidence],
        &[("PATH", path)],
    ))
}

/// See systemd.exec(5), "Process Exit Codes".
fn namespace(status: &str) -> Finding {
    let what = match status {
        "226" => "its namespace, of the directories that the unit names",
        "238" => "its state directory",
        "239" => "its cache directory",
        "240" => "its directory of logs",
        _ => "its directory of configuration",
    };
    let cause = Cause::ServiceDirectoryMissing;
    let evidence = format!("systemd could not set up {what} (status {status})");
    finding(cause, cause.sentence(), vec![evidence], &[])
}

/// `EnvironmentFiles=PATH (ignore_errors=no)`: those that must be there.
fn environment_files(shown: &str) -> impl Iterator<Item = &str> {
    let values = shown
        .lines()
        .filter_map(|it| it.strip_prefix("EnvironmentFiles="));
    values.filter_map(|it| it.strip_suffix(" (ignore_errors=no)"))
}

fn environment(path: &str) -> Option<Finding> {
    let error = std::fs::metadata(path).err()?;
    let is_absent = error.kind() == ErrorKind::NotFound && !path.contains('*');
    is_absent.then(|| {
        let cause = Cause::ConfigurationMissing;
        let evidence = format!("the unit takes its environment from {path}, which does not exist");
        let known = [("CONFIG", path), ("PATH", path)];
        finding(cause, cause.sentence(), vec![evidence], &known)
    })
}

/// The first unit that failed of those that this one needs.
pub(super) async fn failed_dependency(units: &[String]) -> Vec<Finding> {
    if units.is_empty() {
        return Vec::new();
    }
    let mut arguments = vec!["show", "--no-pager", "-p", "Id,ActiveState,Result"];
    arguments.extend(units.iter().map(String::as_str));
    let shown = command::output("systemctl", &arguments, 3_000).await;
    judge_dependencies(&shown.unwrap_or_default())
}

fn judge_dependencies(shown: &str) -> Vec<Finding> {
    let failed = shown
        .split("\n\n")
        .find(|it| it.lines().any(|it| it == "ActiveState=failed"));
    let Some(failed) = failed else {
        return Vec::new();
    };
    let value = |key| {
        failed
            .lines()
            .find_map(|it| it.strip_prefix(key))
            .unwrap_or_default()
    };
    let cause = Cause::DependencyFailed;
    let evidence = format!("{} has failed (result {})", value("Id="), value("Result="));
    vec![finding(cause, cause.sentence(), vec![evidence], &[])]
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn causes(shown: &str) -> Vec<Cause> {
        let found = faults(shown, &parse(shown));
        found
            .iter()
            .map(|it| Cause::find(it.cause).unwrap())
            .collect()
    }

    #[test]
    fn the_codes_of_systemd_tell_what_is_missing() {
        let ended = |status| format!("ExecMainCode=1\nExecMainStatus={status}\n");
        let user = format!("{}User=nosuchuser9\n", ended(217));
        assert_eq!(causes(&user), [Cause::ServiceUserMissing]);
        let group = format!("{}Group=nosuchgroup9\n", ended(216));
        assert_eq!(causes(&group), [Cause::ServiceUserMissing]);
        let directory = format!("{}WorkingDirectory=!/nonexistent/x\n", ended(200));
        assert_eq!(causes(&directory), [Cause::ServiceDirectoryMissing]);
        assert_eq!(causes(&ended(226)), [Cause::ServiceDirectoryMissing]);
        assert_eq!(causes(&ended(1)), []);
        assert_eq!(
            causes("ExecMainCode=2\nExecMainStatus=217\n"),
            [],
            "a signal"
        );
    }

    #[test]
    fn a_program_that_says_it_is_not_configured_is_believed() {
        let ended = |status| {
            format!("ExecStart={{ path=/bin/sh ; argv[]=sh ; code=exited ; status={status} }}\n")
        };
        assert_eq!(causes(&ended(6)), [Cause::ConfigurationInvalid]);
        assert_eq!(causes(&ended(78)), [Cause::ConfigurationInvalid]);
        assert_eq!(causes(&ended(60)), []);
    }

    #[test]
    fn only_an_environment_file_that_must_be_there_is_missed() {
        let file = |must| format!("EnvironmentFiles=/nonexistent/x (ignore_errors={must})\n");
        let ours = "EnvironmentFiles=/etc/passwd (ignore_errors=no)\n";
        assert_eq!(causes(&format!("{}{ours}", file("yes"))), []);
        let missed = causes(&format!("{}{ours}", file("no")));
        assert_eq!(missed, [Cause::ConfigurationMissing]);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let exec =
            |path: &str| format!("ExecStart={{ path={path} ; argv[]={path} run ; pid=0 }}\n");
        assert_eq!(causes(&exec("/nonexistent/agent")), [Cause::ProgramMissing]);
        assert_eq!(causes(&exec("/bin/sh")), []);
    }

    #[test]
    fn a_unit_that_failed_is_the_fault_of_what_needs_it() {
        let shown = "Id=system.slice\nActiveState=active\nResult=success\n\n\
                     Id=needed.service\nActiveState=failed\nResult=exit-code\n";
        let found = judge_dependencies(shown);
        assert_eq!(found[0].cause, Cause::DependencyFailed.code());
        assert_eq!(
            found[0].evidence,
            ["needed.service has failed (result exit-code)"]
        );
        assert!(judge_dependencies(&shown.replace("failed", "active")).is_empty());
    }
}
