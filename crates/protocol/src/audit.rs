//! What an entry of the audit log says.
//!
//! Owns the form of its text. Never holds a secret: parameters that carry one are left out by name. Written by the
//! front door, read by whoever looks at the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest value of a parameter that is kept, in bytes; what is longer is cut.
pub const AUDIT_VALUE_BYTES_MAX: usize = 4_096;

/// Most bytes of all kept parameters together; what comes after them is left out.
pub const AUDIT_PARAMETERS_BYTES_MAX: usize = 16_384;

/// Parameters whose values are secrets, or may be.
const SECRET: [&str; 5] = [
    "AccessKeySecret",
    "SecurityToken",
    "Signature",
    "Password",
    "CaptchaCode",
];

/// One entry: who asked for what, from where, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuditRecord {
    /// The access key or session that proved who asked; what was claimed, if nothing was proven.
    pub access_key_id: String,
    /// The caller's address.
    pub source: String,
    /// Through which door: `api` or `console`.
    pub door: String,
    /// `OK`, or the code of the error that was answered.
    pub outcome: String,
    /// The request's id, as in the answer; empty if the entry stands for several.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// What was asked with, without secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The task that was made, or that it was about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub task_id: String,
    /// On how many hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<u64>,
    /// How many requests alike the entry stands for.
    pub count: u64,
    /// The first of them, in ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
}

impl AuditRecord {
    /// Takes a parameter up, unless it is a secret.
    pub fn take(&mut self, name: &str, value: &str) {
        let kept = self
            .parameters
            .iter()
            .map(|(name, value)| name.len() + value.len());
        let room = AUDIT_PARAMETERS_BYTES_MAX.saturating_sub(kept.sum());
        if SECRET.contains(&name) || name.len() + value.len().min(AUDIT_VALUE_BYTES_MAX) > room {
            return;
        }
        let value = if name == "Param" {
            without_env(value)
        } else {
            value.to_owned()
        };
        let mut end = value.len().min(AUDIT_VALUE_BYTES_MAX);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        let kept = value.get(..end).unwrap_or_default();
        let cut = if end < value.len() { "…" } else { "" };
        self.parameters
            .insert(name.to_owned(), format!("{kept}{cut}"));
    }
}

/// A `Param` without what often holds secrets: the values of `env`, and what is written to a command's input.
fn without_env(param: &str) -> String {
    let Ok(serde_json::Value::Object(mut members)) = serde_json::from_str(param) else {
        return "not a JSON object".to_owned();
    };
    if let Some(serde_json::Value::Object(env)) = members.get_mut("env") {
        for (_, value) in env.iter_mut() {
            *value = "…".into();
        }
    }
    if let Some(stdin) = members.get_mut("stdin") {
        *stdin = "…".into();
    }
    serde_json::Value::Object(members).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_get_into_the_log() {
        let mut record = AuditRecord::default();
        record.take("Signature", "s3cret");
        record.take("TaskType", "CLIENT_DEV_OPS");
        record.take(
            "Param",
            r#"{"command":"deploy","env":{"TOKEN":"s3cret"},"stdin":"s3cret"}"#,
        );
        let text = serde_json::to_string(&record).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        assert!(text.contains("deploy") && text.contains("TOKEN"), "{text}");
    }

    #[test]
    fn many_parameters_do_not_make_an_entry_large() {
        let mut record = AuditRecord::default();
        for number in 0..1_000 {
            record.take(&format!("P{number}"), &"x".repeat(100_000));
        }
        record.take(&"long".repeat(10_000), "x");
        let text = serde_json::to_string(&record).unwrap();
        assert!(record.parameters.contains_key("P0"));
        assert!(
            text.len() < AUDIT_PARAMETERS_BYTES_MAX + 1_000,
            "{}",
            text.len()
        );
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let mut record = AuditRecord::default();
        record.take("TaskName", &"é".repeat(AUDIT_VALUE_BYTES_MAX));
        let kept = &record.parameters["TaskName"];
        assert!(kept.ends_with("é…") && kept.len() <= AUDIT_VALUE_BYTES_MAX + 3);
    }
}
