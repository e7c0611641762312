//! Labels of hosts in JSON: `{"env": "prod", "tier": null}`.
//!
//! Owns the parameter `Labels` and the member `Labels` of answers. What a label may be is the model's.

use std::collections::BTreeMap;

use model::label::{Error, LabelChange, LabelKey, Labels};
use serde::{Deserialize, Serialize};

use crate::error::Fault;

/// Answer of `SetHostLabels`, which is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SetHostLabels {
    /// Hosts that were meant.
    pub total_count: u64,
    /// Of these, hosts that have other labels than before.
    pub changed_count: u64,
}

fn invalid(why: &str) -> Fault {
    let help = format!("is a JSON object of keys with values, such as {{\"env\":\"prod\"}}: {why}");
    Fault::invalid("Labels", &help)
}

/// What a text of the parameter `Labels` asks for: strings set, nulls remove.
///
/// # Errors
/// `InvalidParameter` with what is wrong.
pub fn read_change(text: &str, replaces: bool) -> Result<LabelChange, Fault> {
    let members: BTreeMap<String, Option<String>> =
        serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?;
    let mut entries = BTreeMap::new();
    for (key, value) in members {
        let entry = || {
            let key: LabelKey = key.parse()?;
            let value = value.map(|it| it.parse()).transpose()?;
            Ok((key, value))
        };
        let (key, value) = entry().map_err(|error: Error| invalid(&error.to_string()))?;
        if entries.contains_key(&key) {
            return Err(invalid(&Error::Twice(key).to_string()));
        }
        entries.insert(key, value);
    }
    Ok(LabelChange { entries, replaces })
}

/// Likewise, where there are no labels before that could be removed.
///
/// # Errors
/// `InvalidParameter` with what is wrong.
pub fn read_labels(text: &str) -> Result<Labels, Fault> {
    let change = read_change(text, true)?;
    if let Some((key, _)) = change.entries.iter().find(|it| it.1.is_none()) {
        return Err(invalid(&format!("`{key}` is null, which removes a label")));
    }
    let labels = change.apply(&Labels::default());
    labels.map_err(|error| invalid(&error.to_string()))
}

/// The parameter `Labels` that asks for a change.
#[must_use]
pub fn change_json(change: &LabelChange) -> String {
    let members: BTreeMap<&str, Option<&str>> = change
        .entries
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_ref().map(|it| it.as_str())))
        .collect();
    serde_json::to_string(&members).unwrap_or_default()
}

/// Labels as answers have them.
#[must_use]
pub fn members(labels: &Labels) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(key, value)| (key.to_string(), value.as_str().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_back_as_it_was_written() {
        let text = r#"{"env":"prod","tier":null}"#;
        let change = read_change(text, false).unwrap();
        assert_eq!(change_json(&change), text);
        assert!(!change.replaces && read_change("{}", true).unwrap().replaces);
        let labels = read_labels(r#"{"Env":"Prod"}"#).unwrap();
        assert_eq!(members(&labels), [("env".into(), "Prod".into())].into());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("[]", "is a JSON object of keys with values"),
            (r#"{"env":7}"#, "expected a string"),
            (r#"{"-":"a"}"#, "`-` is no label key"),
            (r#"{"env":""}"#, "`` is no label value"),
            (r#"{"env":"a","ENV":"b"}"#, "`env` is given twice"),
        ] {
            let fault = read_change(text, false).unwrap_err();
            assert!(fault.message.contains(why), "{}", fault.message);
        }
        let fault = read_labels(r#"{"env":null}"#).unwrap_err();
        assert!(fault.message.contains("`env` is null"), "{}", fault.message);
    }
}
