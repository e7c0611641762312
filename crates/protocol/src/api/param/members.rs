//! The members of a `Param` object, each taken once. A member that stands twice is refused: JSON readers would silently let the
//! last one count.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::{illegal, must};
use crate::error::Fault;

/// What is left of the object.
pub(super) struct Members(BTreeMap<String, Value>);

impl Members {
    /// Reads the object.
    pub(super) fn parse(param: &str) -> Result<Self, Fault> {
        serde_json::from_str(param)
            .map_err(|error| illegal(&format!("it must be a JSON object in a string: {error}")))
    }

    /// The names, in alphabetical order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Takes a member out.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// Takes a string out.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(must(key, "a string", &other)),
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Self)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = BTreeMap<String, Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            if members.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!("\"{name}\" stands twice in it")));
            }
        }
        Ok(members)
    }
}
