//! A leaf's life: one enum, one total transition function.
//!
//! [`LeafState::next`] is the only place where a leaf's status changes. It treats repeated and late
//! news as "no change", because agents resend until they are acknowledged and final stays final.

mod reason;

use crate::UnixMillis;

pub use reason::Reason;

/// Where a leaf stands. The number of each is stored: append only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Status {
    /// Waiting for its turn or for its host.
    #[default]
    Init = 0,
    /// A node has taken it and sent the order; the host has not confirmed.
    Start = 1,
    /// The host has the order, or the manual command was issued.
    Dispatch = 2,
    /// Ended well.
    Success = 3,
    /// Ended badly; [`Reason`] says how.
    Fail = 4,
    /// Not ended in time.
    Timeout = 5,
}

impl Status {
    /// All statuses, in order of number.
    pub const ALL: [Self; 6] = [
        Self::Init,
        Self::Start,
        Self::Dispatch,
        Self::Success,
        Self::Fail,
        Self::Timeout,
    ];

    /// Whether the leaf has ended. A final status never changes.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Fail | Self::Timeout)
    }

    /// The text on the wire (`TaskStatusText`).
    #[must_use]
    pub const fn wire(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Start => "START",
            Self::Dispatch => "DISPATCH",
            Self::Success => "SUCCESS",
            Self::Fail => "FAIL",
            Self::Timeout => "TIMEOUT",
        }
    }

    /// From the text on the wire.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.wire() == text)
    }

    /// The number on the wire (`TaskStatus`): 1 unfinished, 2 complete, 3 failed, 4 timed out.
    #[must_use]
    pub const fn wire_number(self) -> u8 {
        match self {
            Self::Init | Self::Start | Self::Dispatch => 1,
            Self::Success => 2,
            Self::Fail => 3,
            Self::Timeout => 4,
        }
    }

    /// The stored number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// From the stored number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }
}

/// How an order reached, or is to reach, its host. The number of each is stored: append only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Dispatch {
    /// By the agent's session.
    #[default]
    Auto = 0,
    /// By a command that a person pastes on the host.
    Manual = 1,
}

/// How the work ended, in the host's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It ended well.
    Success,
    /// It ended badly.
    Fail,
    /// The host stopped it at its deadline.
    Timeout,
}

/// What can happen to a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A node took the leaf and sent its order.
    Taken,
    /// The session that the order went to is gone before the host confirmed.
    TakenBack,
    /// The host confirmed that it has the order.
    Delivered,
    /// The host is offline and its manual command was issued.
    ManualIssued,
    /// The host reports the end of the work.
    Ended {
        /// How it ended.
        verdict: Verdict,
        /// Why.
        reason: Reason,
    },
    /// So many leaves of the root have failed that what waits is not handed out any more.
    Stopped,
    /// The root was cancelled.
    CancelAsked,
    /// The root was cancelled and the host has not confirmed within the grace time.
    CancelOverdue,
    /// The deadline has passed: what waits ends, what runs is told to stop.
    DeadlinePassed,
    /// The deadline has passed and the host has not said how its work ended within the grace time.
    DeadlineOverdue,
}

/// What a transition asks the caller to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing changed: the news was repeated or late.
    Unchanged,
    /// The leaf moved on.
    Moved,
    /// The leaf did not change; the host is to be told to stop the work.
    Kill,
}

/// All that a leaf's fold keeps of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeafState {
    /// Where it stands.
    pub status: Status,
    /// How it reached its host.
    pub dispatch: Dispatch,
    /// Why it ended.
    pub reason: Reason,
    /// When it last moved.
    pub at: UnixMillis,
}

impl LeafState {
    /// A new leaf, waiting.
    #[must_use]
    pub const fn new(at: UnixMillis) -> Self {
        Self {
            status: Status::Init,
            dispatch: Dispatch::Auto,
            reason: Reason::None,
            at,
        }
    }

    const fn reason_of_timeout(self) -> Reason {
        match (self.status, self.dispatch) {
            (Status::Start, _) => Reason::NotConfirmed,
            (Status::Dispatch, Dispatch::Auto) => Reason::Deadline,
            (Status::Dispatch, Dispatch::Manual) => Reason::ManualNotRun,
            _ => Reason::NeverDelivered,
        }
    }

    /// The leaf after `event`: the only place where a leaf's status changes.
    #[must_use]
    pub fn next(self, event: Event, now: UnixMillis) -> (Self, Effect) {
        use {Event as E, Status as S};
        let to = |status| Self {
            status,
            at: now,
            ..self
        };
        let end = |status, reason| Self {
            status,
            reason,
            ..to(status)
        };
        let moved = match (self.status, event) {
            (S::Success | S::Fail | S::Timeout, _) => return (self, Effect::Unchanged),
            (S::Init, E::Taken) => to(S::Start),
            (S::Start, E::TakenBack) => to(S::Init),
            (S::Init | S::Start, E::Delivered) => to(S::Dispatch),
            (S::Dispatch, E::Delivered) if self.dispatch == Dispatch::Manual => Self {
                dispatch: Dispatch::Auto,
                ..to(S::Dispatch)
            },
            (S::Init, E::ManualIssued) => Self {
                dispatch: Dispatch::Manual,
                ..to(S::Dispatch)
            },
            (_, E::Ended { verdict, reason }) => match verdict {
                Verdict::Success => end(S::Success, Reason::None),
                Verdict::Fail => end(S::Fail, reason),
                Verdict::Timeout => end(S::Timeout, reason),
            },
            (S::Init, E::Stopped) => end(S::Fail, Reason::Stopped),
            (S::Init, E::CancelAsked) => end(S::Fail, Reason::Cancelled),
            (S::Dispatch, E::CancelAsked) if self.dispatch == Dispatch::Manual => {
                end(S::Fail, Reason::Cancelled)
            }
            (S::Start | S::Dispatch, E::CancelAsked) => return (self, Effect::Kill),
            (_, E::CancelOverdue) => end(S::Fail, Reason::Cancelled),
            (S::Dispatch, E::DeadlinePassed) if self.dispatch == Dispatch::Auto => {
                return (self, Effect::Kill);
            }
            (_, E::DeadlinePassed | E::DeadlineOverdue) => {
                end(S::Timeout, self.reason_of_timeout())
            }
            (S::Start | S::Dispatch, E::Taken)
            | (S::Init | S::Dispatch, E::TakenBack)
            | (S::Dispatch, E::Delivered)
            | (S::Start | S::Dispatch, E::ManualIssued | E::Stopped) => {
                return (self, Effect::Unchanged);
            }
        };
        if moved == (Self { at: now, ..self }) {
            return (self, Effect::Unchanged);
        }
        (moved, Effect::Moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000);

    fn events() -> Vec<Event> {
        let ended = |verdict, reason| Event::Ended { verdict, reason };
        vec![
            Event::Taken,
            Event::TakenBack,
            Event::Delivered,
            Event::ManualIssued,
            ended(Verdict::Success, Reason::None),
            ended(Verdict::Fail, Reason::ExitCode),
            ended(Verdict::Timeout, Reason::Deadline),
            Event::Stopped,
            Event::CancelAsked,
            Event::CancelOverdue,
            Event::DeadlinePassed,
            Event::DeadlineOverdue,
        ]
    }

    fn after(events: &[Event]) -> LeafState {
        events
            .iter()
            .fold(LeafState::new(NOW), |leaf, event| leaf.next(*event, NOW).0)
    }

    /// Walks every sequence of events up to four long.
    fn each_sequence(mut check: impl FnMut(&[Event])) {
        let events = events();
        let mut sequences = vec![vec![]];
        for _ in 0..4 {
            sequences = sequences
                .iter()
                .flat_map(|head: &Vec<Event>| {
                    events.iter().map(move |event| {
                        let mut longer = head.clone();
                        longer.push(*event);
                        longer
                    })
                })
                .collect();
            for sequence in &sequences {
                check(sequence);
            }
        }
    }

    #[test]
    fn a_final_leaf_never_changes() {
        each_sequence(|sequence| {
            let leaf = after(sequence);
            if leaf.status.is_final() {
                for event in events() {
                    assert_eq!(leaf.next(event, NOW.plus(5)), (leaf, Effect::Unchanged));
                }
            }
        });
    }

    #[test]
    fn a_repeated_event_changes_nothing() {
        each_sequence(|sequence| {
            if let Some(last) = sequence.last() {
                let leaf = after(sequence);
                let (again, effect) = leaf.next(*last, NOW.plus(5));
                assert_eq!(again, leaf, "{sequence:?}");
                assert_ne!(effect, Effect::Moved, "{sequence:?}");
            }
        });
    }

    #[test]
    fn every_leaf_can_end_by_its_deadline_and_says_why() {
        each_sequence(|sequence| {
            let leaf = after(sequence);
            let (ended, _) = leaf.next(Event::DeadlineOverdue, NOW);
            assert!(ended.status.is_final(), "{sequence:?}");
            assert_eq!(
                ended.status == Status::Success,
                ended.reason == Reason::None,
                "{sequence:?}"
            );
        });
    }

    #[test]
    fn never_delivered_is_not_the_same_as_timed_out() {
        let reason = |events: &[Event]| after(events).next(Event::DeadlineOverdue, NOW).0.reason;
        assert_eq!(reason(&[]), Reason::NeverDelivered);
        assert_eq!(reason(&[Event::Taken]), Reason::NotConfirmed);
        assert_eq!(reason(&[Event::Taken, Event::Delivered]), Reason::Deadline);
        assert_eq!(reason(&[Event::ManualIssued]), Reason::ManualNotRun);
        assert_eq!(
            reason(&[Event::ManualIssued, Event::Taken, Event::Delivered]),
            Reason::Deadline
        );
    }

    #[test]
    fn a_host_that_has_the_order_may_say_itself_how_it_ended_in_time() {
        let running = after(&[Event::Taken, Event::Delivered]);
        assert_eq!(
            running.next(Event::DeadlinePassed, NOW),
            (running, Effect::Kill)
        );
        let waiting = [vec![], vec![Event::Taken], vec![Event::ManualIssued]];
        for events in waiting {
            let (ended, _) = after(&events).next(Event::DeadlinePassed, NOW);
            assert_eq!(ended.status, Status::Timeout, "{events:?}");
        }
    }

    #[test]
    fn cancelling_ends_what_waits_and_stops_what_runs() {
        let cancel = |events: &[Event]| after(events).next(Event::CancelAsked, NOW);
        assert_eq!(cancel(&[]).0.reason, Reason::Cancelled);
        assert_eq!(cancel(&[Event::ManualIssued]).0.reason, Reason::Cancelled);
        assert_eq!(cancel(&[Event::Taken]).1, Effect::Kill);
        let running = [Event::Taken, Event::Delivered];
        assert_eq!(cancel(&running).1, Effect::Kill);
        assert_eq!(cancel(&running).0, after(&running));
    }

    #[test]
    fn stored_numbers_and_words_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_number(status.number()), Some(status));
            assert_eq!(Status::from_wire(status.wire()), Some(status));
        }
        for reason in Reason::ALL.iter().copied() {
            assert_eq!(Reason::from_number(reason.number()), Some(reason));
            assert_eq!(Reason::from_wire(reason.wire()), Some(reason));
        }
    }
}
