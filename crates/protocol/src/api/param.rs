//! The reader of `Param` of `GenerateOnceTask`: what is to be done, on which hosts, within which time.
//!
//! Strict: what is not understood is refused by name, for a command that runs on the wrong hosts or without half of its options is
//! worse than none. Never looks at which hosts exist. Called by the service before it creates a root.

use std::collections::HashSet;

use model::limits::{
    ROOT_HOSTS_MAX, SUBJECT_NAME_BYTES_MAX, TASK_TIMEOUT_MS_DEFAULT, TASK_TIMEOUT_MS_MAX,
    TASK_TIMEOUT_MS_MIN,
};
use model::{AssetItem, HostUuid, Plan, ProblemType, Selector, TaskType};
use serde_json::Value;

use crate::error::{Code, Fault};
use crate::work::{AssetsWork, CheckWork, Work};

mod members;
mod ops;
mod pacing;

use members::Members;

/// Longest `clientToken`, in bytes.
pub const CLIENT_TOKEN_BYTES_MAX: usize = 64;
/// The subject of a check that names none: Sickbay's own agent.
pub const SUBJECT_OWN: &str = "sickbay";

/// A `Param` that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskParam {
    /// What each host is to do.
    pub work: Work,
    /// The hosts.
    pub hosts: Targets,
    /// Time that the task may take, in ms.
    pub timeout_ms: i64,
    /// How its leaves are handed out.
    pub plan: Plan,
    /// The caller's name for this request: a second one with the same token creates nothing.
    pub client_token: Option<String>,
}

/// The hosts of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// All hosts that are enrolled.
    All,
    /// These, each once, in the order given. At least one.
    Uuids(Vec<HostUuid>),
    /// Those that match now.
    Selector(Selector),
}

/// Keys that every type knows.
const COMMON_KEYS: [&str; 7] = [
    "uuids",
    "uuid",
    "selector",
    "timeoutSeconds",
    "leafTimeoutSeconds",
    "pacing",
    "clientToken",
];
impl TaskParam {
    /// Reads the `Param` of a task of `task_type`.
    ///
    /// # Errors
    /// `IllegalParam`, with a message that names the key and what it must be.
    pub fn parse(task_type: TaskType, param: &str) -> Result<Self, Fault> {
        let mut members = Members::parse(param)?;
        refuse_unknown(&members, task_type)?;
        let timeout_ms = seconds(&mut members, "timeoutSeconds")?;
        let timeout_ms = timeout_ms.unwrap_or(TASK_TIMEOUT_MS_DEFAULT);
        let leaf_timeout_ms = seconds(&mut members, "leafTimeoutSeconds")?;
        if leaf_timeout_ms.is_some_and(|it| it > timeout_ms) {
            return Err(illegal(&format!(
                "leafTimeoutSeconds must be at most timeoutSeconds, which is {}; give a longer timeoutSeconds",
                timeout_ms / 1_000
            )));
        }
        let (work, usual_ms) = match task_type {
            TaskType::ClientProblemCheck => (Work::Check(check_work(&mut members)?), None),
            TaskType::ClientDevOps => {
                let (work, usual_ms) = ops::work(&mut members)?;
                (Work::Ops(work), usual_ms)
            }
            TaskType::AssetSecurityCheck | TaskType::AssetsCollection => {
                (Work::Assets(assets_work(&mut members)?), None)
            }
        };
        let leaf_timeout_ms = leaf_timeout_ms.or_else(|| usual_ms.map(|it| it.min(timeout_ms)));
        Ok(Self {
            hosts: targets(&mut members)?,
            timeout_ms,
            plan: Plan {
                leaf_timeout_ms,
                ..pacing::plan(&mut members)?
            },
            client_token: client_token(&mut members)?,
            work,
        })
    }
}

/// Keys of one type besides [`COMMON_KEYS`].
const fn own_keys(task_type: TaskType) -> &'static [&'static str] {
    match task_type {
        TaskType::ClientProblemCheck => &["problemType", "mode", "subject"],
        TaskType::ClientDevOps => &ops::KEYS,
        TaskType::AssetSecurityCheck | TaskType::AssetsCollection => &["items"],
    }
}

fn refuse_unknown(members: &Members, task_type: TaskType) -> Result<(), Fault> {
    let known = || COMMON_KEYS.iter().chain(own_keys(task_type));
    for key in members.keys() {
        if !known().any(|it| *it == key) {
            let known: Vec<&str> = known().copied().collect();
            return Err(illegal(&format!(
                "{} is not a key of {}; its keys are {}",
                quoted(key),
                task_type.wire(),
                known.join(", ")
            )));
        }
    }
    Ok(())
}

fn targets(members: &mut Members) -> Result<Targets, Fault> {
    if let Some(selector) = members.take("selector") {
        if members
            .take("uuids")
            .or_else(|| members.take("uuid"))
            .is_some()
        {
            return Err(illegal("give uuids or a selector, not both"));
        }
        let text = selector
            .as_str()
            .ok_or_else(|| illegal("selector must be a string"))?;
        return match Selector::parse(text) {
            Ok(selector) => Ok(Targets::Selector(selector)),
            Err(error) => Err(illegal(&format!("selector: {error}"))),
        };
    }
    let (key, value) = match (members.take("uuids"), members.take("uuid")) {
        (Some(_), Some(_)) => return Err(illegal("give uuids or uuid, not both")),
        (Some(value), None) => ("uuids", value),
        (None, Some(value)) => ("uuid", value),
        (None, None) => return Ok(Targets::All),
    };
    match read_uuids(key, value)? {
        none if none.is_empty() => Err(illegal(&format!(
            "{key} names no host; leave it out to mean all hosts"
        ))),
        uuids => Ok(Targets::Uuids(uuids)),
    }
}

/// The uuids in a string with commas or an array of strings, each once, in their order; `key` is what
/// the caller calls them.
///
/// # Errors
/// `IllegalParam` if one is not a uuid or they are too many.
pub fn read_uuids(key: &str, value: Value) -> Result<Vec<HostUuid>, Fault> {
    let mut seen = HashSet::new();
    let mut uuids = Vec::new();
    for name in names(key, value)? {
        let uuid: HostUuid = name
            .parse()
            .map_err(|error| illegal(&format!("{} in {key}: {error}", quoted(&name))))?;
        if seen.insert(uuid.clone()) {
            uuids.push(uuid);
        }
    }
    match uuids.len() {
        0..=ROOT_HOSTS_MAX => Ok(uuids),
        many => Err(illegal(&format!(
            "{key} must name at most {ROOT_HOSTS_MAX} hosts, was {many}"
        ))),
    }
}

/// A time in seconds, in ms.
fn seconds(members: &mut Members, key: &str) -> Result<Option<i64>, Fault> {
    let Some(value) = members.take(key) else {
        return Ok(None);
    };
    value
        .as_i64()
        .and_then(|seconds| seconds.checked_mul(1_000))
        .filter(|ms| (TASK_TIMEOUT_MS_MIN..=TASK_TIMEOUT_MS_MAX).contains(ms))
        .map(Some)
        .ok_or_else(|| {
            let (min, max) = (TASK_TIMEOUT_MS_MIN / 1_000, TASK_TIMEOUT_MS_MAX / 1_000);
            must(key, &format!("a whole number from {min} to {max}"), &value)
        })
}

fn client_token(members: &mut Members) -> Result<Option<String>, Fault> {
    let Some(value) = members.take("clientToken") else {
        return Ok(None);
    };
    match value.as_str() {
        Some(text) => read_client_token("clientToken", text).map(Some),
        None => Err(must("clientToken", "a text", &value)),
    }
}

/// A caller's own name for a request: 1 to 64 printable ASCII characters without spaces.
///
/// # Errors
/// It is none; names the parameter.
pub fn read_client_token(name: &str, text: &str) -> Result<String, Fault> {
    let fits = (1..=CLIENT_TOKEN_BYTES_MAX).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    let be = format!("1 to {CLIENT_TOKEN_BYTES_MAX} printable ASCII characters without spaces");
    Err(must(name, &be, &Value::from(text)))
}

fn check_work(members: &mut Members) -> Result<CheckWork, Fault> {
    let problem_type = members.text("problemType")?;
    let problem_type = problem_type.unwrap_or_else(|| "other".to_owned());
    if ProblemType::find(&problem_type).is_none() {
        let known = ProblemType::ALL.map(|it| it.name).join(", ");
        return Err(illegal(&format!(
            "{} is not a problemType; they are {known}",
            quoted(&problem_type)
        )));
    }
    let mode = match members.take("mode") {
        None => 1,
        Some(value) => match value.as_i64() {
            Some(1) => 1,
            Some(2) => 2,
            _ => return Err(must("mode", "1 (standard) or 2 (deep)", &value)),
        },
    };
    let subject = members.text("subject")?;
    let subject = subject.unwrap_or_else(|| SUBJECT_OWN.to_owned());
    // Which profiles there are only the host knows: it may have some of its own.
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if !(1..=SUBJECT_NAME_BYTES_MAX).contains(&subject.len()) || !subject.chars().all(allowed) {
        return Err(illegal(&format!(
            "the subject {} is not the name of a profile: 1 to {SUBJECT_NAME_BYTES_MAX} of a-z, 0-9, \
             `.`, `_` and `-`",
            quoted(&subject)
        )));
    }
    Ok(CheckWork {
        problem_type,
        mode,
        subject,
    })
}

fn assets_work(members: &mut Members) -> Result<AssetsWork, Fault> {
    let Some(value) = members.take("items") else {
        return Ok(AssetsWork {
            items: AssetItem::ALL.to_vec(),
        });
    };
    let items = read_items("items", value)?;
    if items.is_empty() {
        return Err(illegal(
            "items names nothing that can be collected; leave it out to mean everything",
        ));
    }
    Ok(AssetsWork { items })
}

/// Items of an inventory by name: an array, or text with commas. Those that mean nothing on a host of
/// ours are left out.
///
/// # Errors
/// A name is not one of an item.
pub fn read_items(key: &str, value: Value) -> Result<Vec<AssetItem>, Fault> {
    let mut items = Vec::new();
    for name in names(key, value)? {
        match AssetItem::from_wire(&name) {
            Some(item) if items.contains(&item) => {}
            Some(item) => items.push(item),
            None if AssetItem::FOREIGN.contains(&name.as_str()) => {}
            None => {
                let known = AssetItem::ALL.map(AssetItem::wire).join(", ");
                return Err(illegal(&format!(
                    "{} is not an item; they are {known}",
                    quoted(&name)
                )));
            }
        }
    }
    Ok(items)
}

/// The names in a string with commas or an array of strings, without blanks around them. Empty ones are skipped.
fn names(key: &str, value: Value) -> Result<Vec<String>, Fault> {
    let parts = match value {
        Value::String(text) => text.split(',').map(str::to_owned).collect(),
        Value::Array(_) => strings(key, value)?,
        _ => {
            return Err(must(
                key,
                "a string with commas or an array of strings",
                &value,
            ));
        }
    };
    Ok(parts
        .iter()
        .map(|it| it.trim().to_owned())
        .filter(|it| !it.is_empty())
        .collect())
}

fn strings(key: &str, value: Value) -> Result<Vec<String>, Fault> {
    let Value::Array(items) = value else {
        return Err(must(key, "an array of strings", &value));
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::String(text) => Ok(text),
            other => Err(must(key, "an array of strings", &other)),
        })
        .collect()
}

/// The refusal of a `Param`; `why` is a sentence without its full stop.
fn illegal(why: &str) -> Fault {
    Fault::new(Code::IllegalParam, format!("Illegal param: {why}."))
}

fn must(key: &str, be: &str, was: &Value) -> Fault {
    illegal(&format!(
        "{key} must be {be}, was {}",
        short(&was.to_string())
    ))
}

fn quoted(text: &str) -> String {
    short(&Value::from(text).to_string())
}

/// Cut, so that an answer stays small.
fn short(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
