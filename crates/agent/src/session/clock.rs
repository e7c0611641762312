//! The node's clock as the host knows it: told by the node, carried on by the host's steady clock.
//!
//! Deadlines of orders are the node's time. A host whose own time is set, or that sleeps, does not
//! lose it; a node whose time is set says so with its next sign of life.

use crate::config;

/// The node's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeClock {
    /// The node's time minus the host's steady clock, in ms.
    ahead_ms: i64,
}

impl NodeClock {
    /// A clock that shows `node_ms`, in ms since the Unix epoch, now.
    pub(crate) fn new(node_ms: i64) -> Self {
        Self::at(node_ms, config::steady_ms())
    }

    /// A clock that shows `node_ms` when the host's steady clock shows `steady_ms`.
    const fn at(node_ms: i64, steady_ms: i64) -> Self {
        Self {
            ahead_ms: node_ms.saturating_sub(steady_ms),
        }
    }

    const fn shown_at(self, steady_ms: i64) -> i64 {
        steady_ms.saturating_add(self.ahead_ms)
    }

    /// The node's time, in ms since the Unix epoch.
    pub(crate) fn now_ms(self) -> i64 {
        self.shown_at(config::steady_ms())
    }

    /// The node's clock minus the host's, in ms.
    pub(crate) fn offset_ms(self) -> i64 {
        self.now_ms().saturating_sub(config::now().0)
    }

    /// The node vouched that it was `node_ms` or later: a clock that shows less is wrong.
    pub(crate) fn at_least(&mut self, node_ms: i64) {
        if node_ms > self.now_ms() {
            *self = Self::new(node_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn the_clock_goes_on_and_can_be_told_only_later_times_by_an_order() {
        let clock = NodeClock::at(1_700_000_000_000, 5_000);
        assert_eq!(clock.shown_at(65_000), 1_700_000_060_000);

        let told = config::now().0;
        let mut clock = NodeClock::new(told);
        clock.at_least(told - HOUR);
        assert!((told..told + HOUR).contains(&clock.now_ms()));
        clock.at_least(told + 2 * HOUR);
        assert!(clock.now_ms() >= told + 2 * HOUR);
        assert!(clock.offset_ms() > HOUR);
    }
}
