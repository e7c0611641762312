//! The `pacing` of a `Param`: how many hosts at once, in which waves, and when to stop.

use model::limits::ROOT_HOSTS_MAX;
use model::plan::{Plan, Wave, check_waves};
use serde_json::{Map, Value};

use super::members::Members;
use super::{illegal, must, quoted};
use crate::error::Fault;

const KEYS: [&str; 3] = ["concurrency", "waves", "stopAfterFailures"];

/// Takes `pacing` out of a `Param`.
///
/// # Errors
/// `IllegalParam`, with a message that names the key and what it must be.
pub(super) fn plan(members: &mut Members) -> Result<Plan, Fault> {
    let Some(value) = members.take("pacing") else {
        return Ok(Plan::default());
    };
    let Value::Object(mut object) = value else {
        let example = r#"an object such as {"concurrency":20,"waves":["1","10%","100%"]}"#;
        return Err(must("pacing", example, &value));
    };
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(illegal(&format!(
            "{} is not a key of pacing; its keys are {}",
            quoted(key),
            KEYS.join(", ")
        )));
    }
    let plan = Plan {
        concurrency: count(&mut object, "concurrency")?,
        waves: waves(&mut object)?,
        stop_after_failures: count(&mut object, "stopAfterFailures")?,
        leaf_timeout_ms: None,
    };
    if !plan.is_paced() {
        return Err(illegal(&format!(
            "pacing says nothing; give one of {}, or leave it out",
            KEYS.join(", ")
        )));
    }
    Ok(plan)
}

fn count(object: &mut Map<String, Value>, key: &str) -> Result<Option<u32>, Fault> {
    let Some(value) = object.remove(key) else {
        return Ok(None);
    };
    let number = value.as_u64().and_then(|it| u32::try_from(it).ok());
    let fits = |it: &u32| usize::try_from(*it).is_ok_and(|it| (1..=ROOT_HOSTS_MAX).contains(&it));
    match number.filter(fits) {
        Some(number) => Ok(Some(number)),
        None => Err(must(
            &format!("pacing.{key}"),
            &format!("a whole number from 1 to {ROOT_HOSTS_MAX}"),
            &value,
        )),
    }
}

/// Waves as an array of numbers and strings, or as one string with commas.
fn waves(object: &mut Map<String, Value>) -> Result<Vec<Wave>, Fault> {
    let texts: Vec<String> = match object.remove("waves") {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => text.split(',').map(|it| it.trim().to_owned()).collect(),
        Some(Value::Array(items)) if !items.is_empty() => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => text,
                other => other.to_string(),
            })
            .collect(),
        Some(other) => {
            return Err(must(
                "pacing.waves",
                r#"an array such as ["1","10%","100%"]"#,
                &other,
            ));
        }
    };
    let read: Result<Vec<Wave>, _> = texts.iter().map(|it| it.parse()).collect();
    read.and_then(|waves| check_waves(&waves).map(|()| waves))
        .map_err(|error| illegal(&format!("pacing.waves: {error}")))
}
