//! The options of `sickbay task create` for operations: what needs a file, or would be awkward as JSON.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use protocol::work::OpsWork;
use serde_json::{Map, Value, json};

use crate::cmd::runbook;
use crate::exit::Usage;
use crate::ui::{Ui, clean_line};

/// More than anything that may be sent, in bytes: what is longer is refused by its own limit.
const READ_BYTES_MAX: u64 = 1 << 20;

/// See the module.
#[derive(clap::Args, Default)]
pub(super) struct Ops {
    /// A script to run instead of a command; its first line names its interpreter; -: from standard input
    #[arg(long, value_name = "FILE", help_heading = "Operations")]
    script: Option<PathBuf>,
    /// What the command reads on its standard input; -: ours
    #[arg(long, value_name = "FILE", help_heading = "Operations")]
    stdin: Option<PathBuf>,
    /// The user to run as
    #[arg(long, value_name = "USER", help_heading = "Operations")]
    run_as: Option<String>,
    /// The directory to run in
    #[arg(long, value_name = "DIR", help_heading = "Operations")]
    cwd: Option<String>,
    /// A variable of its environment; give it again for more
    #[arg(long, value_name = "NAME=VALUE", value_parser = crate::cmd::key_value, help_heading = "Operations")]
    env: Vec<(String, String)>,
    /// What it may use: memoryBytes=256M, cpuPercent=50, pids=64 or outputBytes=1M; give it again for more
    #[arg(long = "limit", value_name = "KEY=NUMBER", value_parser = limit, help_heading = "Operations")]
    limits: Vec<(String, u64)>,
}

impl Ops {
    /// The members of `Param` that were given, each with the option that gives it.
    pub(super) fn members(&self) -> Result<Vec<(&'static str, &'static str, Value)>, Usage> {
        let mut members = Vec::new();
        if let Some(path) = &self.script {
            members.push(("--script", "script", json!(read(path)?)));
        }
        if let Some(path) = &self.stdin {
            members.push(("--stdin", "stdin", json!(read(path)?)));
        }
        members.extend(
            self.run_as
                .iter()
                .map(|it| ("--run-as", "runAs", json!(it))),
        );
        members.extend(self.cwd.iter().map(|it| ("--cwd", "cwd", json!(it))));
        if !self.env.is_empty() {
            let env = self.env.iter();
            let env = env.map(|(name, value)| (name.clone(), json!(value)));
            members.push(("--env", "env", unique("--env", env)?));
        }
        if !self.limits.is_empty() {
            let limits = self.limits.iter();
            let limits = limits.map(|(key, number)| (key.clone(), json!(number)));
            members.push(("--limit", "limits", unique("--limit", limits)?));
        }
        Ok(members)
    }
}

fn unique(option: &str, members: impl Iterator<Item = (String, Value)>) -> Result<Value, Usage> {
    let mut object = Map::new();
    for (key, value) in members {
        if object.insert(key.clone(), value).is_some() {
            return Err(Usage(format!("{option} {key} is given twice")));
        }
    }
    Ok(Value::from(object))
}

/// The text of a file; of standard input for `-`.
fn read(path: &Path) -> Result<String, Usage> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Usage(format!("{shown} cannot be read: {error}"));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        let input = std::io::stdin().lock();
        input.take(READ_BYTES_MAX).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(READ_BYTES_MAX).read_to_end(&mut bytes)
    }
    .map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| Usage(format!("{shown} is not UTF-8 text")))
}

/// `KEY=NUMBER`, where K, M and G stand for powers of 1,024.
fn limit(text: &str) -> Result<(String, u64), String> {
    let (key, value) = crate::cmd::key_value(text)?;
    let unit = ['K', 'M', 'G'].iter().position(|it| value.ends_with(*it));
    let digits = match unit {
        Some(_) => value.get(..value.len() - 1).unwrap_or_default(),
        None => value.as_str(),
    };
    let power = unit.map_or(0, |at| u32::try_from(at + 1).unwrap_or(0));
    let number = digits.parse::<u64>().ok();
    let number = number.and_then(|it| it.checked_mul(1_024_u64.pow(power)));
    number.map(|it| (key, it)).ok_or_else(|| {
        "it must be a whole number, such as 64, or with K, M or G, such as 256M".to_owned()
    })
}

/// What a runbook is with its values.
pub(super) fn would_run(work: &OpsWork, ui: &Ui) {
    let user = work.run_as.as_deref().unwrap_or("the agent's own user");
    ui.say(&clean_line(&format!("as {user}:")));
    for (label, line) in [
        ("before", work.before.as_deref()),
        ("runs", Some(work.command.as_str())),
        ("after", work.after.as_deref()),
    ] {
        for line in line.unwrap_or_default().lines() {
            ui.say(&clean_line(&format!("  {label:<6} │ {line}")));
        }
    }
}

/// The members of `Param` that a runbook is; its parameters are taken out of `params`.
pub(super) fn of_runbook(
    name: &str,
    params: &mut Vec<(String, String)>,
) -> Result<Map<String, Value>, Usage> {
    let found = runbook::find(name)?;
    let mut parameters = Map::new();
    for (key, text) in std::mem::take(params) {
        if !found.book.parameters.contains_key(&key) {
            params.push((key, text));
        } else if parameters.insert(key.clone(), json!(text)).is_some() {
            return Err(Usage(format!("-p {key} is given twice")));
        }
    }
    let mut object = Map::new();
    object.insert("runbook".to_owned(), json!(found.book.name));
    object.extend(found.text.map(|it| ("runbookText".to_owned(), json!(it))));
    object.insert("parameters".to_owned(), Value::from(parameters));
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_with_a_unit() {
        for (text, expected) in [
            ("pids=64", Some(64)),
            ("memoryBytes=256M", Some(256 << 20)),
            ("outputBytes=1K", Some(1_024)),
            ("memoryBytes=99999999999G", None),
            ("pids=M", None),
            ("pids=-1", None),
        ] {
            assert_eq!(limit(text).ok().map(|it| it.1), expected, "{text}");
        }
    }

    #[test]
    fn what_is_given_becomes_members_and_a_file_is_read() {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        let mut ops = Ops {
            script: Some(path),
            env: vec![("A".to_owned(), "1".to_owned())],
            limits: vec![("pids".to_owned(), 9)],
            ..Ops::default()
        };
        let members: Map<String, Value> = ops
            .members()
            .unwrap()
            .into_iter()
            .map(|(_, key, value)| (key.to_owned(), value))
            .collect();
        let expected = json!({"script": text, "env": {"A": "1"}, "limits": {"pids": 9}});
        assert_eq!(Value::from(members), expected);
        ops.script = Some(PathBuf::from("/proc/self/exe"));
        assert!(ops.members().unwrap_err().0.contains("UTF-8"));
        let twice = Ops {
            limits: vec![("pids".to_owned(), 9), ("pids".to_owned(), 8)],
            ..Ops::default()
        };
        assert!(twice.members().unwrap_err().0.contains("twice"));
    }
}
