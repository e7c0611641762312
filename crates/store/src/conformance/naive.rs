//! A store made of vectors, and a source of numbers that look random.

use std::collections::BTreeMap;

use model::{
    Effect, Event, LeafId, LeafState, OutcomeId, Reason, RootId, Status, TaskType, Totals,
    UnixMillis, Verdict,
};

use crate::{HostNo, Leaf, LeafAnswer, LeafQuery, NewRoot, OutcomeGroup, RootQuery};

/// Numbers from a seed (xorshift).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }

    /// A number from 1 to `last`.
    pub(super) fn leaf(&mut self, last: u32) -> u32 {
        u32::try_from(self.below(u64::from(last))).unwrap() + 1
    }

    /// One of these.
    pub(super) fn of<T: Copy>(&mut self, items: &[T]) -> T {
        let at = self.below(u64::try_from(items.len()).unwrap());
        items[usize::try_from(at).unwrap()]
    }

    /// Anything that can happen to a leaf.
    pub(super) fn event(&mut self) -> Event {
        let verdict = self.of(&[Verdict::Success, Verdict::Fail, Verdict::Timeout]);
        let reason = self.of(&[Reason::ExitCode, Reason::Signal, Reason::Deadline]);
        self.of(&[
            Event::Taken,
            Event::Taken,
            Event::TakenBack,
            Event::Delivered,
            Event::Delivered,
            Event::ManualIssued,
            Event::Ended { verdict, reason },
            Event::Stopped,
            Event::CancelAsked,
            Event::CancelOverdue,
            Event::DeadlinePassed,
            Event::DeadlineOverdue,
        ])
    }
}

/// A root, its leaves in full.
pub(super) struct NaiveRoot {
    pub(super) id: RootId,
    pub(super) task_type: TaskType,
    pub(super) source: String,
    pub(super) created_at: UnixMillis,
    pub(super) cancelled_at: Option<UnixMillis>,
    pub(super) leaves: Vec<Leaf>,
    /// How each leaf ended, with its label.
    outcomes: BTreeMap<LeafId, (OutcomeId, String)>,
}

impl NaiveRoot {
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::new(u32::try_from(self.leaves.len()).unwrap());
        for leaf in &self.leaves {
            totals.moved(Status::Init, leaf.state.status);
        }
        totals
    }

    /// The outcomes, largest group first.
    pub(super) fn groups(&self) -> Vec<OutcomeGroup> {
        let mut groups: BTreeMap<OutcomeId, OutcomeGroup> = BTreeMap::new();
        for leaf in &self.leaves {
            let Some((id, label)) = self.outcomes.get(&leaf.id) else {
                continue;
            };
            let group = groups.entry(*id).or_insert_with(|| OutcomeGroup {
                id: *id,
                label: label.clone(),
                count: 0,
                sample: leaf.id,
                host: leaf.host,
            });
            group.count += 1;
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|it| (std::cmp::Reverse(it.count), it.sample));
        groups
    }
}

/// Roots, oldest first.
#[derive(Default)]
pub(super) struct Naive {
    pub(super) roots: Vec<NaiveRoot>,
    by_id: BTreeMap<RootId, usize>,
}

impl Naive {
    pub(super) fn create(&mut self, new: &NewRoot, hosts: &[HostNo]) {
        self.by_id.insert(new.id, self.roots.len());
        self.roots.push(NaiveRoot {
            id: new.id,
            task_type: new.task_type,
            source: new.source.clone(),
            created_at: new.created_at,
            cancelled_at: None,
            outcomes: BTreeMap::new(),
            leaves: (1..)
                .zip(hosts)
                .map(|(number, host)| Leaf {
                    id: new.id.leaf(number),
                    host: *host,
                    state: LeafState::new(new.created_at),
                    answer: None,
                    answer_left_out: false,
                })
                .collect(),
        });
    }

    pub(super) fn root(&mut self, id: RootId) -> &mut NaiveRoot {
        &mut self.roots[self.by_id[&id]]
    }

    /// Drops the oldest roots.
    pub(super) fn drop_oldest(&mut self, count: usize) {
        self.roots.drain(..count);
        let ids = self.roots.iter().map(|it| it.id);
        self.by_id = ids.zip(0..).collect();
    }

    /// Applies an event to one leaf; says what it did.
    pub(super) fn apply(
        &mut self,
        root: RootId,
        number: u32,
        event: Event,
        answer: Option<LeafAnswer>,
        now: UnixMillis,
    ) -> Effect {
        let root = self.root(root);
        let leaf = &mut root.leaves[usize::try_from(number - 1).unwrap()];
        if event == Event::Taken && root.cancelled_at.is_some() {
            return Effect::Unchanged;
        }
        let (after, effect) = leaf.state.next(event, now);
        if effect == Effect::Moved {
            leaf.state = after;
            if after.status.is_final() {
                let said = answer.as_ref().map(|it| &it.said);
                let id = OutcomeId::new(after.status, after.reason, said);
                let label = said.map_or("", |it| it.label()).to_owned();
                root.outcomes.insert(leaf.id, (id, label));
                leaf.answer = answer.map(|it| it.json);
            }
        }
        effect
    }

    /// Cancels a root; says whether that was news.
    pub(super) fn cancel(&mut self, root: RootId, now: UnixMillis) -> bool {
        let root = self.root(root);
        let is_news = root.cancelled_at.is_none() && root.totals().unfinished() > 0;
        if is_news {
            root.cancelled_at = Some(now);
        }
        is_news
    }

    /// A crash: what was taken waits again where the work only reads.
    pub(super) fn crash(&mut self) {
        let reading = self.roots.iter_mut().filter(|it| it.task_type.only_reads());
        for root in reading {
            for leaf in &mut root.leaves {
                if matches!(leaf.state.status, Status::Init | Status::Start) {
                    leaf.state = LeafState::new(root.created_at);
                }
            }
        }
    }

    /// All leaves that match, in the order of the pages.
    pub(super) fn leaves(&self, query: &LeafQuery) -> Vec<&Leaf> {
        let (LeafQuery::Root { statuses, .. } | LeafQuery::Roots { statuses, .. }) = query;
        let roots = self.roots.iter().rev().filter(|it| match query {
            LeafQuery::Root { root, .. } => it.id == *root,
            LeafQuery::Roots { roots, .. } => is_match(roots, it),
        });
        let outcome = match query {
            LeafQuery::Root { outcome, .. } => *outcome,
            LeafQuery::Roots { .. } => None,
        };
        let has = |root: &NaiveRoot, leaf: &Leaf| {
            outcome.is_none_or(|it| root.outcomes.get(&leaf.id).is_some_and(|of| of.0 == it))
        };
        roots
            .flat_map(|root| root.leaves.iter().filter(move |it| has(root, it)))
            .filter(|it| statuses.is_empty() || statuses.contains(&it.state.status))
            .collect()
    }
}

fn is_match(query: &RootQuery, root: &NaiveRoot) -> bool {
    query.task_type == root.task_type
        && query.source.as_ref().is_none_or(|it| *it == root.source)
        && query.window.start.is_none_or(|it| it <= root.created_at)
        && query.window.end.is_none_or(|it| it >= root.created_at)
}
