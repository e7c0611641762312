//! A root derives from its leaves: its counts, its status, its progress.

use crate::{Effect, LeafState, Status};

/// How many leaves of a root stand where. The sum is always the number of leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Waiting.
    pub init: u32,
    /// Taken by a node.
    pub start: u32,
    /// The host has the order, or the manual command was issued.
    pub dispatch: u32,
    /// Ended well.
    pub success: u32,
    /// Ended badly.
    pub fail: u32,
    /// Not ended in time.
    pub timeout: u32,
}

impl Totals {
    /// A new root of `leaves` waiting leaves.
    #[must_use]
    pub const fn new(leaves: u32) -> Self {
        Self {
            init: leaves,
            start: 0,
            dispatch: 0,
            success: 0,
            fail: 0,
            timeout: 0,
        }
    }

    /// All leaves.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.ended() + self.unfinished()
    }

    /// Leaves that have ended.
    #[must_use]
    pub const fn ended(&self) -> u32 {
        self.success + self.fail + self.timeout
    }

    /// Leaves that have not ended.
    #[must_use]
    pub const fn unfinished(&self) -> u32 {
        self.init + self.start + self.dispatch
    }

    /// The count of one status.
    #[must_use]
    pub const fn of(&self, status: Status) -> u32 {
        match status {
            Status::Init => self.init,
            Status::Start => self.start,
            Status::Dispatch => self.dispatch,
            Status::Success => self.success,
            Status::Fail => self.fail,
            Status::Timeout => self.timeout,
        }
    }

    const fn of_mut(&mut self, status: Status) -> &mut u32 {
        match status {
            Status::Init => &mut self.init,
            Status::Start => &mut self.start,
            Status::Dispatch => &mut self.dispatch,
            Status::Success => &mut self.success,
            Status::Fail => &mut self.fail,
            Status::Timeout => &mut self.timeout,
        }
    }

    /// One leaf moved from one status to another.
    ///
    /// # Panics
    /// If no leaf was in `from`: a leaf that was never counted, which the caller guarantees not to be.
    pub fn moved(&mut self, from: Status, to: Status) {
        let source = self.of_mut(from);
        assert!(*source > 0, "a leaf leaves a status that counts none");
        *source -= 1;
        *self.of_mut(to) += 1;
    }

    /// Applies a leaf's transition to the counts.
    pub fn apply(&mut self, before: LeafState, after: LeafState, effect: Effect) {
        if effect == Effect::Moved && before.status != after.status {
            self.moved(before.status, after.status);
        }
    }

    /// The root's status. It has ended when every leaf has: `Success` if any leaf succeeded (the
    /// counts tell the rest), else `Timeout` if any timed out, else `Fail`. Before that: `Init`
    /// while all leaves wait, `Dispatch` when every unfinished leaf's host has its order.
    #[must_use]
    pub const fn status(&self) -> Status {
        if self.unfinished() == 0 {
            if self.success > 0 {
                Status::Success
            } else if self.timeout > 0 {
                Status::Timeout
            } else {
                Status::Fail
            }
        } else if self.init == self.total() {
            Status::Init
        } else if self.dispatch == self.unfinished() {
            Status::Dispatch
        } else {
            Status::Start
        }
    }

    /// Ended of total in whole percent, rounded down: 100 only when all have ended.
    #[must_use]
    pub fn progress_percent(&self) -> u8 {
        let total = u64::from(self.total());
        let percent = (u64::from(self.ended()) * 100).checked_div(total);
        percent.and_then(|it| u8::try_from(it).ok()).unwrap_or(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(totals: Totals, status: Status, percent: u8) {
        assert_eq!(totals.status(), status, "{totals:?}");
        assert_eq!(totals.progress_percent(), percent, "{totals:?}");
    }

    #[test]
    fn a_root_has_ended_only_when_all_its_leaves_have() {
        let waiting = Totals::new(1_000);
        check(waiting, Status::Init, 0);
        check(
            Totals {
                start: 1,
                ..waiting
            },
            Status::Start,
            0,
        );
        let nearly = Totals {
            init: 0,
            dispatch: 1,
            success: 999,
            ..waiting
        };
        check(nearly, Status::Dispatch, 99);
        check(
            Totals {
                dispatch: 0,
                fail: 1,
                ..nearly
            },
            Status::Success,
            100,
        );
    }

    #[test]
    fn one_success_makes_a_success_and_one_timeout_outweighs_failures() {
        let none = Totals::new(0);
        check(
            Totals {
                success: 1,
                fail: 9,
                ..none
            },
            Status::Success,
            100,
        );
        check(
            Totals {
                timeout: 1,
                fail: 9,
                ..none
            },
            Status::Timeout,
            100,
        );
        check(Totals { fail: 9, ..none }, Status::Fail, 100);
    }

    #[test]
    fn one_of_ten_is_ten_percent() {
        let totals = Totals {
            init: 9,
            success: 1,
            ..Totals::default()
        };
        assert_eq!(totals.progress_percent(), 10);
    }

    #[test]
    fn moving_a_leaf_keeps_the_sum() {
        let mut totals = Totals::new(3);
        totals.moved(Status::Init, Status::Dispatch);
        totals.moved(Status::Dispatch, Status::Fail);
        assert_eq!(
            totals,
            Totals {
                init: 2,
                fail: 1,
                ..Totals::default()
            }
        );
        assert_eq!(totals.total(), 3);
    }
}
