//! What a command is to be, in `Param` of `CLIENT_DEV_OPS`: a shell line, a program with its arguments or
//! a script; as whom, where, with what to read, within which limits.

use std::collections::BTreeMap;

use model::limits::{
    COMMAND_BYTES_MAX, COMMAND_CPU_PERCENT_MAX, COMMAND_MEMORY_BYTES_MAX, COMMAND_MEMORY_BYTES_MIN,
    COMMAND_PIDS_MAX, DIRECTORY_BYTES_MAX, SCRIPT_BYTES_MAX, SHORT_TEXT_BYTES_MAX, STDIN_BYTES_MAX,
    STREAM_BYTES_MAX,
};
use serde_json::{Map, Value};

use super::members::Members;
use super::{illegal, must, quoted, strings};
use crate::error::Fault;
use crate::runbook::{self, Runbook};
use crate::work::{OpsLimits, OpsWork};

/// Keys of an operation.
pub(super) const KEYS: [&str; 11] = [
    "command",
    "script",
    "args",
    "runAs",
    "env",
    "cwd",
    "stdin",
    "limits",
    "runbook",
    "runbookText",
    "parameters",
];

/// The keys of `limits`.
const LIMITS: [&str; 4] = ["memoryBytes", "cpuPercent", "pids", "outputBytes"];

/// The work, and the time that its runbook gives each host, in ms.
pub(super) fn work(members: &mut Members) -> Result<(OpsWork, Option<i64>), Fault> {
    if let Some(name) = members.text("runbook")? {
        return of_runbook(&name, members);
    }
    if let Some(key) = ["runbookText", "parameters"]
        .into_iter()
        .find(|key| members.keys().any(|it| it == *key))
    {
        return Err(illegal(&format!(
            "{key} is of a runbook: give runbook, its name"
        )));
    }
    plain(members).map(|work| (work, None))
}

/// What a runbook says is all that runs: nothing may be added to it.
fn of_runbook(name: &str, members: &mut Members) -> Result<(OpsWork, Option<i64>), Fault> {
    let of_plain = ["command", "script", "args", "env", "cwd", "stdin", "limits"];
    if let Some(key) = of_plain
        .into_iter()
        .find(|key| members.keys().any(|it| it == *key))
    {
        return Err(illegal(&format!(
            "a runbook says itself what runs: leave out {key}"
        )));
    }
    let refused = |error: runbook::Error| illegal(&error.to_string());
    let book = match members.text("runbookText")? {
        Some(text) => Runbook::parse(name, &text).map_err(refused)?,
        None => Runbook::find(name).ok_or_else(|| {
            let shipped = Runbook::shipped();
            let known: Vec<&str> = shipped.iter().map(|it| it.name.as_str()).collect();
            illegal(&format!(
                "no runbook {} is shipped; give the text of your own in runbookText; shipped are {}",
                quoted(name),
                known.join(", ")
            ))
        })?,
    };
    let mut parameters = BTreeMap::new();
    match members.take("parameters") {
        None => {}
        Some(Value::Object(object)) => {
            for (key, value) in object {
                let text = match value {
                    Value::String(text) => text,
                    Value::Number(number) => number.to_string(),
                    other => {
                        return Err(must(
                            &format!("parameters.{}", quoted(&key)),
                            "a string",
                            &other,
                        ));
                    }
                };
                parameters.insert(key, text);
            }
        }
        Some(other) => return Err(must("parameters", "an object of strings", &other)),
    }
    let run_as = run_as(members)?;
    let work = book
        .resolve(&parameters, run_as.as_deref())
        .map_err(refused)?;
    sized(&work)?;
    Ok((
        work,
        book.timeout_seconds.map(|it| it.saturating_mul(1_000)),
    ))
}

fn plain(members: &mut Members) -> Result<OpsWork, Fault> {
    let (command, script) = what(members)?;
    let args = match members.take("args") {
        None => None,
        Some(value) => Some(strings("args", value)?),
    };
    let env = match members.take("env") {
        None => BTreeMap::new(),
        Some(value) => environment(value)?,
    };
    let limits = match members.take("limits") {
        None => OpsLimits::default(),
        Some(value) => limits(value)?,
    };
    let work = OpsWork {
        command,
        script,
        args,
        run_as: run_as(members)?,
        env,
        cwd: directory(members)?,
        stdin: at_most(members, "stdin", STDIN_BYTES_MAX)?,
        limits,
        ..OpsWork::default()
    };
    sized(&work)?;
    Ok(work)
}

/// The command, or else the script.
fn what(members: &mut Members) -> Result<(String, Option<String>), Fault> {
    let command = members.text("command")?;
    match (command, at_most(members, "script", SCRIPT_BYTES_MAX)?) {
        (Some(_), Some(_)) => Err(illegal("give command or script, not both")),
        (None, Some(script)) => {
            let first = script.lines().next().unwrap_or_default();
            let interpreter = first.strip_prefix("#!").unwrap_or_default().trim();
            if !interpreter.starts_with('/') {
                return Err(illegal(&format!(
                    "script must name its interpreter in its first line, such as #!/bin/sh; that line is {}",
                    quoted(first)
                )));
            }
            if first.ends_with('\r') || script.contains("\r\n") {
                return Err(illegal(
                    "script has lines that end with CR LF, and Linux would look for an interpreter whose name ends with CR: let them end with LF",
                ));
            }
            Ok((String::new(), Some(script)))
        }
        (Some(command), None) if !command.trim().is_empty() => Ok((command, None)),
        (_, None) => Err(illegal(
            "command is missing: say what is to be run (or give script, or runbook)",
        )),
    }
}

fn run_as(members: &mut Members) -> Result<Option<String>, Fault> {
    let user = members.text("runAs")?;
    match &user {
        Some(name) if !(1..=SHORT_TEXT_BYTES_MAX).contains(&name.len()) => Err(illegal(&format!(
            "runAs must be a user name of 1 to {SHORT_TEXT_BYTES_MAX} bytes"
        ))),
        _ => Ok(user),
    }
}

fn directory(members: &mut Members) -> Result<Option<String>, Fault> {
    let directory = at_most(members, "cwd", DIRECTORY_BYTES_MAX)?;
    match &directory {
        Some(path) if !path.starts_with('/') => Err(illegal(&format!(
            "cwd must be a path from the root, such as /srv/app, was {}",
            quoted(path)
        ))),
        _ => Ok(directory),
    }
}

fn at_most(members: &mut Members, key: &str, bytes_max: usize) -> Result<Option<String>, Fault> {
    let text = members.text(key)?;
    match text.as_ref().map(String::len) {
        Some(bytes) if bytes > bytes_max => Err(illegal(&format!(
            "{key} must be at most {bytes_max} bytes, was {bytes}"
        ))),
        _ => Ok(text),
    }
}

fn sized(work: &OpsWork) -> Result<(), Fault> {
    let args = work.args.iter().flatten();
    let env = work.env.iter().flat_map(|(name, value)| [name, value]);
    let texts: Vec<&String> = std::iter::once(&work.command)
        .chain(args)
        .chain(env)
        .chain(&work.run_as)
        .chain(&work.before)
        .chain(&work.after)
        .collect();
    // Standard input alone may have any character.
    let mut named = texts.iter().copied().chain(&work.cwd).chain(&work.script);
    if named.any(|text| text.contains('\0')) {
        return Err(illegal(
            "command, script, args, runAs, env and cwd must not contain the character U+0000",
        ));
    }
    let bytes: usize = texts.iter().map(|it| it.len()).sum();
    if bytes > COMMAND_BYTES_MAX {
        return Err(illegal(&format!(
            "command, args and env together must be at most {COMMAND_BYTES_MAX} bytes, were {bytes}"
        )));
    }
    Ok(())
}

fn environment(value: Value) -> Result<BTreeMap<String, String>, Fault> {
    let Value::Object(object) = value else {
        return Err(must("env", "an object of strings", &value));
    };
    let mut env = BTreeMap::new();
    for (name, value) in object {
        if name.is_empty() || name.contains('=') {
            return Err(illegal(&format!(
                "{} in env is not the name of a variable",
                quoted(&name)
            )));
        }
        let Value::String(text) = value else {
            return Err(must(&format!("env.{}", quoted(&name)), "a string", &value));
        };
        env.insert(name, text);
    }
    Ok(env)
}

fn limits(value: Value) -> Result<OpsLimits, Fault> {
    let Value::Object(mut object) = value else {
        return Err(must("limits", "an object", &value));
    };
    let [memory, cpu, pids, output] = LIMITS;
    let limits = OpsLimits {
        memory_bytes: number(
            &mut object,
            memory,
            COMMAND_MEMORY_BYTES_MIN,
            COMMAND_MEMORY_BYTES_MAX,
        )?,
        cpu_percent: number(&mut object, cpu, 1, COMMAND_CPU_PERCENT_MAX)?,
        pids: number(&mut object, pids, 1, COMMAND_PIDS_MAX)?,
        output_bytes: number(&mut object, output, 1, STREAM_BYTES_MAX)?,
    };
    match object.keys().next() {
        None => Ok(limits),
        Some(key) => Err(illegal(&format!(
            "{} is not a key of limits; its keys are {} (of time: leafTimeoutSeconds)",
            quoted(key),
            LIMITS.join(", ")
        ))),
    }
}

fn number(
    object: &mut Map<String, Value>,
    key: &str,
    min: u64,
    max: u64,
) -> Result<Option<u64>, Fault> {
    let Some(value) = object.remove(key) else {
        return Ok(None);
    };
    match value.as_u64() {
        Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
        _ => Err(must(
            &format!("limits.{key}"),
            &format!("a whole number from {min} to {max}"),
            &value,
        )),
    }
}
