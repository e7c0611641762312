//! From a policy document to a [`Policy`], with an error that says where and what.

use model::limits::POLICY_BYTES_MAX;
use serde_json::{Map, Value};

use super::json::Strict;
use super::{Actions, Effect, Policy, Statement, condition};

/// Why a policy document is refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Longer than the limit.
    #[error("the policy has {bytes} bytes, at most {POLICY_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Not JSON, or a member stands twice.
    #[error("the policy is not valid JSON: {0}")]
    Json(serde_json::Error),
    /// The frame around the statements is wrong.
    #[error("{0}")]
    Document(String),
    /// A statement is wrong.
    #[error("statement {number}: {what}")]
    Statement {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// The first thing in it that is not understood. Nothing is ignored: a misspelt condition must
    /// not widen a permission.
    pub fn parse(json: &str) -> Result<Self, PolicyError> {
        if json.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong { bytes: json.len() });
        }
        let Strict(document) = serde_json::from_str(json).map_err(PolicyError::Json)?;
        let statements = document_statements(&document).map_err(PolicyError::Document)?;
        let statements = statements.iter().zip(1..).map(|(value, number)| {
            parse_statement(value).map_err(|what| PolicyError::Statement { number, what })
        });
        Ok(Self {
            statements: statements.collect::<Result<_, _>>()?,
        })
    }
}

fn document_statements(document: &Value) -> Result<&[Value], String> {
    let members = document
        .as_object()
        .ok_or("the policy must be a JSON object")?;
    only_known(members, &["Version", "Statement"])?;
    match members.get("Version") {
        Some(Value::String(version)) if version == "1" => {}
        Some(other) => return Err(format!("Version must be \"1\", was {other}")),
        None => return Err("Version is missing; it must be \"1\"".to_owned()),
    }
    match members.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => Ok(statements),
        Some(_) => Err("Statement must be a list of at least one statement".to_owned()),
        None => Err("Statement is missing".to_owned()),
    }
}

fn parse_statement(value: &Value) -> Result<Statement, String> {
    let members = value.as_object().ok_or("must be an object")?;
    only_known(
        members,
        &["Effect", "Action", "NotAction", "Resource", "Condition"],
    )?;
    let effect = match members.get("Effect") {
        Some(Value::String(text)) if text == "Allow" => Effect::Allow,
        Some(Value::String(text)) if text == "Deny" => Effect::Deny,
        Some(other) => return Err(format!("Effect must be \"Allow\" or \"Deny\", was {other}")),
        None => return Err("Effect is missing".to_owned()),
    };
    let (patterns, all_but) = match (members.get("Action"), members.get("NotAction")) {
        (Some(patterns), None) => (texts("Action", patterns)?, false),
        (None, Some(patterns)) => (texts("NotAction", patterns)?, true),
        (Some(_), Some(_)) => return Err("has both Action and NotAction".to_owned()),
        (None, None) => return Err("Action or NotAction is missing".to_owned()),
    };
    if let Some(wrong) = patterns
        .iter()
        .find(|pattern| *pattern != "*" && !is_action(pattern))
    {
        return Err(format!(
            "\"{wrong}\" is not an action like \"yundun-sas:DescribeOnceTask\""
        ));
    }
    let resources = texts(
        "Resource",
        members.get("Resource").ok_or("Resource is missing")?,
    )?;
    if let Some(wrong) = resources
        .iter()
        .find(|resource| *resource != "*" && !is_resource(resource))
    {
        return Err(format!(
            "Resource \"{wrong}\" is neither \"*\" nor like \"acs:yundun-sas:*:*:*\""
        ));
    }
    let conditions = members
        .get("Condition")
        .map(condition::parse)
        .transpose()?
        .unwrap_or_default();
    let patterns = patterns
        .iter()
        .map(|pattern| pattern.to_ascii_lowercase())
        .collect();
    Ok(Statement {
        effect,
        actions: Actions { patterns, all_but },
        resources,
        conditions,
    })
}

fn is_action(pattern: &str) -> bool {
    let (service, operation) = pattern.split_once(':').unwrap_or_default();
    !service.is_empty() && !operation.is_empty() && !operation.contains(':')
}

fn is_resource(pattern: &str) -> bool {
    pattern.starts_with("acs:")
        && pattern
            .splitn(5, ':')
            .filter(|part| !part.is_empty())
            .count()
            == 5
}

/// One text or a list of at least one.
fn texts(member: &str, value: &Value) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        other => Err(format!("{member} must hold non-empty texts, was {other}")),
    };
    match value {
        Value::Array(values) if values.is_empty() => Err(format!("{member} is an empty list")),
        Value::Array(values) => values.iter().map(one).collect(),
        value => one(value).map(|text| vec![text]),
    }
}

fn only_known(members: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!(
            "unknown member \"{name}\"; known are {}",
            known.join(", ")
        )),
        None => Ok(()),
    }
}
