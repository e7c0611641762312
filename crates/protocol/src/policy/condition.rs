//! The conditions of a statement: typed when the policy is read, compared when a request is judged.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;

use model::Network;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::glob;

/// One key under one operator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    key: String,
    test: Test,
    /// Of the operators with `Not` in their name: no value may match, instead of any.
    negated: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Equal(Vec<String>),
    EqualIgnoreCase(Vec<String>),
    Like(Vec<String>),
    Number(Relation, Vec<f64>),
    Date(Relation, Vec<OffsetDateTime>),
    Bool(Vec<bool>),
    Address(Vec<Network>),
}

/// How a value of the request must stand to one of the policy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    /// The relation and whether it is negated, by the end of an operator's name.
    fn parse(name: &str) -> Option<(Self, bool)> {
        Some(match name {
            "Equals" => (Self::Equal, false),
            "NotEquals" => (Self::Equal, true),
            "LessThan" => (Self::Less, false),
            "LessThanEquals" => (Self::LessOrEqual, false),
            "GreaterThan" => (Self::Greater, false),
            "GreaterThanEquals" => (Self::GreaterOrEqual, false),
            _ => return None,
        })
    }

    const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Reads the `Condition` member of a statement; the error says which operator or key is wrong, and
/// why.
pub(super) fn parse(value: &Value) -> Result<Vec<Condition>, String> {
    let operators = value
        .as_object()
        .ok_or("Condition must be an object of operators")?;
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let keys: &Map<String, Value> = keys
            .as_object()
            .filter(|keys| !keys.is_empty())
            .ok_or_else(|| format!("Condition {operator} must be an object of keys and values"))?;
        for (key, values) in keys {
            let (test, negated) = parse_test(operator, values)
                .map_err(|what| format!("Condition {operator} of {key}: {what}"))?;
            conditions.push(Condition {
                key: key.clone(),
                test,
                negated,
            });
        }
    }
    Ok(conditions)
}

fn parse_test(operator: &str, values: &Value) -> Result<(Test, bool), String> {
    let text = |value: &str| Ok(value.to_owned());
    Ok(match operator {
        "StringEquals" => (Test::Equal(each(values, text)?), false),
        "StringNotEquals" => (Test::Equal(each(values, text)?), true),
        "StringEqualsIgnoreCase" => (Test::EqualIgnoreCase(each(values, text)?), false),
        "StringNotEqualsIgnoreCase" => (Test::EqualIgnoreCase(each(values, text)?), true),
        "StringLike" => (Test::Like(each(values, text)?), false),
        "StringNotLike" => (Test::Like(each(values, text)?), true),
        "Bool" => (
            Test::Bool(each(values, |text| {
                boolean(text).ok_or("is not true or false")
            })?),
            false,
        ),
        "IpAddress" => (Test::Address(each(values, Network::parse)?), false),
        "NotIpAddress" => (Test::Address(each(values, Network::parse)?), true),
        _ => {
            if let Some((relation, negated)) =
                operator.strip_prefix("Numeric").and_then(Relation::parse)
            {
                (
                    Test::Number(
                        relation,
                        each(values, |text| number(text).ok_or("is not a number"))?,
                    ),
                    negated,
                )
            } else if let Some((relation, negated)) =
                operator.strip_prefix("Date").and_then(Relation::parse)
            {
                let parse =
                    |text: &str| date(text).ok_or("is not a date like 2026-01-31T23:59:59Z");
                (Test::Date(relation, each(values, parse)?), negated)
            } else {
                return Err("unknown operator".to_owned());
            }
        }
    })
}

/// Reads one value or a list of them. Numbers and booleans may stand without quotes.
fn each<T>(
    values: &Value,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, String> {
    let values = match values {
        Value::Array(values) if values.is_empty() => {
            return Err("the list of values is empty".to_owned());
        }
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let parse_one = |value: &Value| match value {
        Value::String(text) => parse(text).map_err(|what| format!("\"{text}\" {what}")),
        Value::Number(_) | Value::Bool(_) => {
            let text = value.to_string();
            parse(&text).map_err(|what| format!("{text} {what}"))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err("a value must be a text, number or boolean".to_owned())
        }
    };
    values.iter().map(parse_one).collect()
}

impl Condition {
    /// Whether the request's context fulfils it. A key that the context lacks, or a value of the
    /// wrong kind, never does.
    pub(super) fn holds(&self, context: &BTreeMap<String, String>) -> bool {
        let value = context
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(&self.key))
            .map(|(_, value)| value);
        let Some(any) = value.and_then(|value| self.test.any(value)) else {
            return false;
        };
        any != self.negated
    }
}

impl Test {
    /// Whether any of the policy's values matches; `None` if `value` is not of the kind that is
    /// compared.
    fn any(&self, value: &str) -> Option<bool> {
        Some(match self {
            Self::Equal(wanted) => wanted.iter().any(|wanted| wanted == value),
            Self::EqualIgnoreCase(wanted) => {
                let value = value.to_lowercase();
                wanted.iter().any(|wanted| wanted.to_lowercase() == value)
            }
            Self::Like(patterns) => patterns.iter().any(|pattern| glob::matches(pattern, value)),
            Self::Bool(wanted) => {
                let value = boolean(value)?;
                wanted.contains(&value)
            }
            Self::Number(relation, wanted) => {
                let value = number(value)?;
                wanted.iter().any(|wanted| {
                    value
                        .partial_cmp(wanted)
                        .is_some_and(|ordering| relation.holds(ordering))
                })
            }
            Self::Date(relation, wanted) => {
                let value = date(value)?;
                wanted
                    .iter()
                    .any(|wanted| relation.holds(value.cmp(wanted)))
            }
            Self::Address(networks) => {
                let value = value.parse::<IpAddr>().ok()?.to_canonical();
                networks.iter().any(|network| network.contains(value))
            }
        })
    }
}

fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

/// With an offset or `Z`, as RFC 3339 has it.
fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(operator: &str, values: &Value, actual: &str) -> bool {
        let conditions = parse(&json!({ operator: { "k": values } })).unwrap();
        let context = BTreeMap::from([("K".to_owned(), actual.to_owned())]);
        assert!(
            !conditions[0].holds(&BTreeMap::new()),
            "{operator} must fail without its key"
        );
        conditions[0].holds(&context)
    }

    /// Each operator with its values, a value that fulfils it and one that does not.
    fn check(cases: &[(&str, Value, &str, &str)]) {
        for (operator, values, yes, no) in cases {
            let (yes_holds, no_holds) = (holds(operator, values, yes), holds(operator, values, no));
            assert!(yes_holds, "{operator} {values} must accept {yes}");
            assert!(!no_holds, "{operator} {values} must refuse {no}");
        }
    }

    #[test]
    fn texts_are_compared_or_matched() {
        check(&[
            ("StringEquals", json!(["a", "b"]), "b", "B"),
            ("StringNotEquals", json!(["a", "b"]), "c", "b"),
            ("StringEqualsIgnoreCase", json!("Éa"), "éA", "e"),
            ("StringNotEqualsIgnoreCase", json!("a"), "b", "A"),
            ("StringLike", json!("prod-*"), "prod-1", "Prod-1"),
            ("StringNotLike", json!(["prod-?", "x"]), "prod-12", "prod-1"),
        ]);
    }

    #[test]
    fn numbers_and_dates_are_ordered() {
        check(&[
            ("NumericEquals", json!([1, "2.50"]), "2.5", "2"),
            ("NumericNotEquals", json!([1, 2]), "3", "2"),
            ("NumericLessThan", json!(10), "9.9", "10"),
            ("NumericLessThanEquals", json!(10), "10", "11"),
            ("NumericGreaterThan", json!("-1"), "0", "-1"),
            ("NumericGreaterThanEquals", json!(1), "1", "0"),
            ("NumericGreaterThanEquals", json!(1), "1", "many"),
            ("NumericNotEquals", json!(1), "2", "many"),
            (
                "DateEquals",
                json!("2026-01-01T00:00:00Z"),
                "2026-01-01T08:00:00+08:00",
                "2026-01-01T00:00:01Z",
            ),
            (
                "DateNotEquals",
                json!("2026-01-01T00:00:00Z"),
                "2026-01-01T00:00:01Z",
                "2026-01-01T00:00:00Z",
            ),
            (
                "DateLessThan",
                json!("2026-01-01T00:00:00Z"),
                "2025-12-31T23:59:59Z",
                "2026-01-01T00:00:00Z",
            ),
            (
                "DateLessThanEquals",
                json!("2026-01-01T00:00:00Z"),
                "2026-01-01T00:00:00Z",
                "2026-01-01T00:00:01Z",
            ),
            (
                "DateGreaterThan",
                json!("2026-01-01T00:00:00+08:00"),
                "2026-01-01T00:00:00Z",
                "2025-12-31T16:00:00Z",
            ),
            (
                "DateGreaterThanEquals",
                json!("2026-01-01T00:00:00Z"),
                "2026-01-01T00:00:00Z",
                "soon",
            ),
        ]);
    }

    #[test]
    fn booleans_and_addresses_match() {
        check(&[
            ("Bool", json!(true), "True", "false"),
            ("Bool", json!("false"), "FALSE", "0"),
            (
                "IpAddress",
                json!(["10.0.0.0/8", "192.168.1.7"]),
                "10.255.0.1",
                "192.168.1.8",
            ),
            (
                "IpAddress",
                json!("10.0.0.0/8"),
                "::ffff:10.1.1.1",
                "::a01:101",
            ),
            (
                "IpAddress",
                json!("::ffff:10.0.0.0/104"),
                "10.9.9.9",
                "11.0.0.0",
            ),
            (
                "IpAddress",
                json!("2001:db8::/33"),
                "2001:db8:7fff::1",
                "2001:db8:8000::1",
            ),
            (
                "IpAddress",
                json!("0.0.0.0/0"),
                "203.0.113.9",
                "2001:db8::1",
            ),
            ("IpAddress", json!("::/0"), "2001:db8::1", "203.0.113.9"),
            (
                "NotIpAddress",
                json!(["10.0.0.0/8", "127.0.0.1"]),
                "11.0.0.1",
                "127.0.0.1",
            ),
            ("NotIpAddress", json!("10.0.0.0/8"), "11.0.0.1", "nowhere"),
        ]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (condition, what) in [
            (json!([]), "must be an object of operators"),
            (
                json!({"StringEquals": {}}),
                "StringEquals must be an object of keys",
            ),
            (
                json!({"StringEqual": {"k": "v"}}),
                "Condition StringEqual of k: unknown operator",
            ),
            (json!({"NumericLike": {"k": "v"}}), "unknown operator"),
            (
                json!({"StringEquals": {"k": []}}),
                "list of values is empty",
            ),
            (
                json!({"StringEquals": {"k": [null]}}),
                "must be a text, number or boolean",
            ),
            (
                json!({"NumericEquals": {"k": "NaN"}}),
                "\"NaN\" is not a number",
            ),
            (json!({"DateEquals": {"k": "2026-01-01"}}), "is not a date"),
            (json!({"Bool": {"k": 1}}), "1 is not true or false"),
            (
                json!({"IpAddress": {"k": "10.0.0.0/33"}}),
                "more prefix bits",
            ),
            (
                json!({"IpAddress": {"k": "10.0.0.0/+8"}}),
                "is not an address or block",
            ),
            (
                json!({"IpAddress": {"acs:SourceIp": "10.0.0"}}),
                "Condition IpAddress of acs:SourceIp: \"10.0.0\" is not",
            ),
        ] {
            let error = parse(&condition).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
