//! The RAM policy language, version 1: who may call which operation.
//!
//! Owns the reading of policy documents and the decision over them. Never knows users, groups or
//! keys: the caller gathers the policies that apply, and lets the account's owner pass without
//! asking here. Called by the server's access service.
//!
//! Decided where the vendor's documents are silent: service and operation names are compared
//! without regard to case, like the names of condition keys; resources and condition values with
//! it. Of several values of a key any may match; with a `Not…` operator none may. An operation that
//! is known under several service codes is matched by a statement that names any of them, for
//! Allow, Deny and NotAction alike. Operations here apply to all resources of an account, so a
//! resource pattern that names one region or one object never matches.

mod condition;
mod glob;
mod json;
mod parse;

use std::collections::BTreeMap;

use condition::Condition;
pub use parse::PolicyError;

/// A policy document that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq)]
struct Statement {
    effect: Effect,
    actions: Actions,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, PartialEq)]
struct Actions {
    /// Lower-case patterns.
    patterns: Vec<String>,
    /// Everything but these: NotAction.
    all_but: bool,
}

/// What is to be decided.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// The service codes under which the operation is known, e.g. `yundun-sas` and `yundun-aegis`.
    pub services: &'a [&'a str],
    /// Name of the operation.
    pub operation: &'a str,
    /// The account whose resources are touched.
    pub account_id: &'a str,
    /// Values of condition keys: `acs:SourceIp`, `acs:CurrentTime`, `acs:SecureTransport`, …
    pub context: &'a BTreeMap<String, String>,
}

/// Whether it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement denies it, which no other can overrule.
    DeniedExplicitly {
        /// Which policy, counted from 0 in the order given.
        policy: usize,
        /// Which of its statements, counted from 0.
        statement: usize,
    },
    /// No statement speaks of it.
    DeniedImplicitly,
}

/// Decides over a request: an explicit Deny wins over every Allow, and what nobody allows is
/// denied.
#[must_use]
pub fn evaluate<'a>(
    policies: impl IntoIterator<Item = &'a Policy>,
    request: &AccessRequest<'_>,
) -> Decision {
    let lower = |service: &&str| format!("{service}:{}", request.operation).to_ascii_lowercase();
    let actions: Vec<String> = request.services.iter().map(lower).collect();
    let account = request.account_id;
    let resources: Vec<String> = request
        .services
        .iter()
        .map(|service| format!("acs:{service}:*:{account}:*"))
        .collect();
    let mut decision = Decision::DeniedImplicitly;
    for (policy_index, policy) in policies.into_iter().enumerate() {
        for (index, statement) in policy.statements.iter().enumerate() {
            if !statement.applies(&actions, &resources, request.context) {
                continue;
            }
            match statement.effect {
                Effect::Deny => {
                    return Decision::DeniedExplicitly {
                        policy: policy_index,
                        statement: index,
                    };
                }
                Effect::Allow => decision = Decision::Allowed,
            }
        }
    }
    decision
}

impl Statement {
    fn applies(
        &self,
        actions: &[String],
        resources: &[String],
        context: &BTreeMap<String, String>,
    ) -> bool {
        let any = |patterns: &[String], texts: &[String]| {
            patterns
                .iter()
                .any(|pattern| texts.iter().any(|text| glob::matches(pattern, text)))
        };
        let touches = |pattern: &String| match self.effect {
            Effect::Allow => any(std::slice::from_ref(pattern), resources),
            Effect::Deny => covers_part(pattern, resources),
        };
        any(&self.actions.patterns, actions) != self.actions.all_but
            && (self.resources.iter().any(|it| it == "*" || touches(it)))
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(context))
    }
}

/// Whether a pattern names at least a part of a resource. An operation touches all of an account's
/// resources, so a Deny on some of them must hold; an Allow on some of them is not enough.
fn covers_part(pattern: &str, resources: &[String]) -> bool {
    let mut parts = pattern.splitn(5, ':');
    let (Some("acs" | "*"), Some(service), Some(_region), Some(account)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    resources.iter().any(|resource| {
        let mut of = resource.splitn(5, ':').skip(1);
        let service_of = of.next().unwrap_or_default();
        let account_of = of.nth(1).unwrap_or_default();
        glob::matches(service, service_of)
            && (account.is_empty() || glob::matches(account, account_of))
    })
}

#[cfg(test)]
mod tests;
