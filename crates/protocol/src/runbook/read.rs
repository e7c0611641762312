//! Reads a runbook's TOML. Strict: a runbook that is half understood does half of what its author meant.

use std::collections::BTreeMap;

use model::limits::{
    RUNBOOK_BYTES_MAX, RUNBOOK_PARAMETERS_MAX, SHORT_TEXT_BYTES_MAX, TASK_TIMEOUT_MS_MAX,
};
use model::template::{self, Kind};
use serde::Deserialize;

use super::{Parameter, Runbook, Values, command_of_fix, sha256, unfilled};
use crate::work::OpsLimits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    command: Option<String>,
    fix: Option<u16>,
    #[serde(default)]
    users: Vec<String>,
    before: Option<String>,
    after: Option<String>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    parameters: BTreeMap<String, FileParameter>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    timeout_seconds: Option<i64>,
    memory_bytes: Option<u64>,
    cpu_percent: Option<u64>,
    pids: Option<u64>,
    output_bytes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileParameter {
    r#type: String,
    help: String,
    default: Option<String>,
    min: Option<i64>,
    max: Option<i64>,
    #[serde(default)]
    values: Vec<String>,
    below: Option<String>,
}

/// The runbook, or what is wrong with it.
pub(super) fn parse(name: &str, text: &str) -> Result<Runbook, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=64).contains(&name.len()) || !name.chars().all(allowed) {
        return Err("its name must be 1 to 64 of a-z, 0-9 and -".to_owned());
    }
    if text.len() > RUNBOOK_BYTES_MAX {
        return Err(format!("it must be at most {RUNBOOK_BYTES_MAX} bytes"));
    }
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |it| it.start);
        let line = text.get(..line).unwrap_or_default().matches('\n').count() + 1;
        format!("line {line}: {}", error.message().replace('\n', ", "))
    })?;
    let command = match (file.command, file.fix) {
        (Some(command), None) if !command.trim().is_empty() => command,
        (None, Some(code)) => command_of_fix(code)
            .ok_or_else(|| format!("there is no fix {code} with a command"))?
            .to_owned(),
        _ => return Err("it must have command or fix, one of them".to_owned()),
    };
    if file.title.trim().is_empty() || file.title.len() > SHORT_TEXT_BYTES_MAX {
        return Err(format!("title must be 1 to {SHORT_TEXT_BYTES_MAX} bytes"));
    }
    let longest = TASK_TIMEOUT_MS_MAX / 1_000;
    let timeout_seconds = file.limits.timeout_seconds;
    if timeout_seconds.is_some_and(|it| !(1..=longest).contains(&it)) {
        return Err(format!("timeout_seconds must be from 1 to {longest}"));
    }
    let runbook = Runbook {
        name: name.to_owned(),
        title: file.title,
        command,
        users: file.users,
        before: file.before,
        after: file.after,
        limits: OpsLimits {
            memory_bytes: file.limits.memory_bytes,
            cpu_percent: file.limits.cpu_percent,
            pids: file.limits.pids,
            output_bytes: file.limits.output_bytes,
        },
        timeout_seconds,
        parameters: parameters(file.parameters)?,
        sha256: sha256(text),
    };
    templates(&runbook)?;
    Ok(runbook)
}

fn parameters(
    files: BTreeMap<String, FileParameter>,
) -> Result<BTreeMap<String, Parameter>, String> {
    if files.len() > RUNBOOK_PARAMETERS_MAX {
        return Err(format!(
            "it has more than {RUNBOOK_PARAMETERS_MAX} parameters"
        ));
    }
    let mut parameters = BTreeMap::new();
    for (name, file) in files {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !starts || name.len() < 2 || !name.chars().all(allowed) {
            return Err(format!(
                "{name:?} cannot be a parameter: two or more of a-z, 0-9 and _, a letter first"
            ));
        }
        let parameter = parameter(file).map_err(|what| format!("parameter {name}: {what}"))?;
        parameters.insert(name, parameter);
    }
    Ok(parameters)
}

fn parameter(file: FileParameter) -> Result<Parameter, String> {
    let values = match (file.r#type.as_str(), file.below) {
        ("string", None) => Values::Of(Kind::Text),
        ("name", None) => Values::Of(Kind::Name),
        ("path", None) => Values::Of(Kind::Path),
        ("path", Some(dir)) if dir.starts_with('/') && !dir.ends_with('/') => Values::Below(dir),
        ("integer", None) => {
            Values::Integer(file.min.unwrap_or(i64::MIN), file.max.unwrap_or(i64::MAX))
        }
        ("enum", None) if !file.values.is_empty() => Values::Enum(file.values),
        ("enum", None) => return Err("an enum needs values".to_owned()),
        ("path", Some(_)) => return Err("below must be a path from the root".to_owned()),
        (_, Some(_)) => return Err("below is for paths".to_owned()),
        (other, None) => {
            return Err(format!(
                "{other:?} is no type; they are string, name, path, integer, enum"
            ));
        }
    };
    if let Some(value) = file.default.as_ref().filter(|it| !values.accept(it)) {
        return Err(format!(
            "its default {value:?} is not {}",
            values.describe()
        ));
    }
    Ok(Parameter {
        values,
        default: file.default,
        help: file.help,
    })
}

/// Values are quoted where they stand, so none may stand inside quotes; and every placeholder has one.
fn templates(runbook: &Runbook) -> Result<(), String> {
    let is_word = |word: &str| {
        let is_capital = !word.chars().any(|it| it.is_ascii_lowercase());
        is_capital && runbook.parameters.contains_key(&word.to_ascii_lowercase())
    };
    let checks = runbook.before.iter().chain(&runbook.after);
    for template in std::iter::once(&runbook.command).chain(checks) {
        if template.contains('\0') {
            return Err("it has the character U+0000".to_owned());
        }
        if let Some(word) = template::inside_quotes(template, is_word) {
            return Err(format!(
                "{word} stands inside quotes: a value is quoted by itself, so write it without"
            ));
        }
    }
    match unfilled(&runbook.command, &runbook.parameters) {
        Some(word) if command_is_of_fix(runbook) => Err(format!(
            "its fix needs the parameter {}",
            word.to_ascii_lowercase()
        )),
        _ => Ok(()),
    }
}

fn command_is_of_fix(runbook: &Runbook) -> bool {
    let fixes = model::Fix::ALL.iter().filter_map(|it| it.action());
    fixes.into_iter().any(|it| it.command == runbook.command)
}
