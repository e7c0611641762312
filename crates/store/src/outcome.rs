//! How many leaves of a root had which outcome.
//!
//! Owns the table of a root's outcomes, which has a bound. A leaf refers to its outcome by the place
//! in it, from 1; places are given in the order of the journal, so a replay gives the same ones.
//! Never touches a database. Kept in the fold of a running root, written down when it ends.

use std::collections::HashMap;
use std::sync::Arc;

use model::{LeafId, LeafState, OutcomeId, Said, limits};

use crate::{HostNo, NewSnapshot};

/// The answer of a leaf, with what it comes down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafAnswer {
    /// JSON of the answer.
    pub json: Vec<u8>,
    /// The answer in short.
    pub said: Said,
    /// The lists in it that are kept for the host, if an inventory ends well with it.
    pub snapshots: Vec<NewSnapshot>,
}

/// The leaves of one root that ended the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeGroup {
    /// The outcome.
    pub id: OutcomeId,
    /// What they said, for a person; empty if they ended without an answer, or for
    /// [`OutcomeId::other`].
    pub label: String,
    /// How many there are.
    pub count: u32,
    /// The first of them by number.
    pub sample: LeafId,
    /// Its host.
    pub host: HostNo,
}

/// One outcome of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) id: OutcomeId,
    pub(crate) label: Arc<str>,
    /// Leaves that have it.
    pub(crate) count: u32,
    /// The lowest number of a leaf that has it.
    pub(crate) first: u32,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    table: Vec<Outcome>,
    places: HashMap<OutcomeId, u16>,
}

impl Outcomes {
    /// Counts leaf `number`, which has just ended so. Returns the place of its outcome.
    pub(crate) fn add(&mut self, ended: LeafState, said: Option<&Said>, number: u32) -> u16 {
        let mut id = OutcomeId::new(ended.status, ended.reason, said);
        let mut label = said.map_or("", Said::label);
        if !self.places.contains_key(&id) && self.table.len() >= limits::ROOT_OUTCOMES_MAX {
            (id, label) = (OutcomeId::other(ended.status), "");
        }
        let next = u16::try_from(self.table.len() + 1).unwrap_or(u16::MAX);
        let place = *self.places.entry(id).or_insert(next);
        match self.table.get_mut(usize::from(place - 1)) {
            Some(outcome) => {
                outcome.count += 1;
                outcome.first = outcome.first.min(number);
            }
            None => self.table.push(Outcome {
                id,
                label: label.into(),
                count: 1,
                first: number,
            }),
        }
        place
    }

    /// All outcomes, by place.
    pub(crate) fn all(&self) -> &[Outcome] {
        &self.table
    }

    /// The outcome of this id, with its place.
    pub(crate) fn find(&self, id: OutcomeId) -> Option<(u16, &Outcome)> {
        let place = *self.places.get(&id)?;
        Some((place, self.table.get(usize::from(place.checked_sub(1)?))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Reason, Status, UnixMillis, outcome::DIGEST_BYTES};

    #[test]
    fn beyond_the_limit_the_rest_of_each_status_is_counted_together() {
        let ended = |status| LeafState {
            status,
            reason: Reason::Deadline,
            ..LeafState::new(UnixMillis(0))
        };
        let said = |number: u32| {
            let mut digest = [0; DIGEST_BYTES];
            digest[..4].copy_from_slice(&number.to_le_bytes());
            Said::new(digest, number.to_string())
        };
        let mut outcomes = Outcomes::default();
        for number in 1..=1_010 {
            outcomes.add(ended(Status::Fail), Some(&said(number)), number);
        }
        outcomes.add(ended(Status::Timeout), None, 1_011);
        outcomes.add(ended(Status::Fail), Some(&said(5)), 2);
        assert_eq!(outcomes.all().len(), limits::ROOT_OUTCOMES_MAX + 2);
        let found = |id| {
            outcomes
                .find(id)
                .map(|(_, it)| (it.count, it.first))
                .unwrap()
        };
        assert_eq!(found(OutcomeId::other(Status::Fail)), (10, 1_001));
        assert_eq!(found(OutcomeId::other(Status::Timeout)), (1, 1_011));
        let fifth = OutcomeId::new(Status::Fail, Reason::Deadline, Some(&said(5)));
        assert_eq!(found(fifth), (2, 2));
        let sum: u32 = outcomes.all().iter().map(|it| it.count).sum();
        assert_eq!(sum, 1_012);
    }
}
