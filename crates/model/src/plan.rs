//! How the leaves of a root are handed out, and how long each may take.
//!
//! A [`Plan`] is given once, with the root. Where a root stands in it is derived from its counts
//! alone ([`Plan::gate`]), so nothing is to be remembered and nothing can be lost in a crash.

use std::fmt;
use std::str::FromStr;

use crate::{Totals, UnixMillis, limits};

/// The plan of a root; the default hands out everything at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Most leaves whose hosts have, or are to get, their order at the same time.
    pub concurrency: Option<u32>,
    /// Where each wave but the last ends. The last is all the rest.
    pub waves: Vec<Wave>,
    /// So many leaves that failed or timed out end what was not handed out.
    pub stop_after_failures: Option<u32>,
    /// Time that each host has from when its order is sent, in ms.
    pub leaf_timeout_ms: Option<i64>,
}

/// Where a wave ends: hosts, counted from the first of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wave {
    /// After so many hosts.
    Hosts(u32),
    /// After so many percent of the hosts, rounded up.
    Percent(u8),
}

/// Whether leaves may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// So many more.
    Open(u32),
    /// As many as may run at once do.
    Full {
        /// So many.
        concurrency: u32,
    },
    /// The next wave waits for the end of this one, all of which was handed out.
    Wave {
        /// The next wave, from 2.
        next: u32,
        /// All waves.
        of: u32,
    },
    /// Too many have failed: no more.
    Stopped,
}

/// Why this is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// Not a wave.
    #[error(
        "a wave is a number of hosts from 1 to {hosts_max} or a share from \"1%\" to \"100%\", not {0:?}",
        hosts_max = limits::ROOT_HOSTS_MAX
    )]
    Wave(String),
    /// Too many waves.
    #[error("at most {max} waves, were {0}", max = limits::WAVES_MAX)]
    TooManyWaves(usize),
    /// A wave that ends no later than the one before it.
    #[error(
        "waves count from the first host, so each must end after the one before it: {0} after {1}"
    )]
    NotAscending(Wave, Wave),
    /// What is stored is no plan.
    #[error("{0:?} is not a plan")]
    Unreadable(String),
}

impl Plan {
    /// Whether leaves may have to wait for others.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        self.concurrency.is_some() || !self.waves.is_empty() || self.stop_after_failures.is_some()
    }

    /// When the work of an order that is sent `now` must have ended; `deadline` is the root's.
    #[must_use]
    pub fn leaf_deadline(&self, deadline: UnixMillis, now: UnixMillis) -> UnixMillis {
        self.leaf_timeout_ms
            .map_or(deadline, |it| deadline.min(now.plus(it)))
    }

    /// Whether a root that stands so hands out no more because too many of its leaves have failed.
    #[must_use]
    pub fn has_stopped(&self, totals: &Totals) -> bool {
        self.stop_after_failures
            .is_some_and(|it| totals.fail + totals.timeout >= it)
    }

    /// Whether leaves of a root that stands so may be handed out. A wave is over when as many leaves
    /// have ended as end it: which ones is not said, so hosts that are away hold up no wave.
    #[must_use]
    pub fn gate(&self, totals: &Totals) -> Gate {
        if self.has_stopped(totals) {
            return Gate::Stopped;
        }
        let ends = self.wave_ends(totals.total());
        let open = ends.iter().position(|end| totals.ended() < *end);
        let end = open.and_then(|it| ends.get(it)).copied();
        let in_wave = end
            .unwrap_or_else(|| totals.total())
            .saturating_sub(totals.total() - totals.init);
        if in_wave == 0 && end.is_some_and(|it| it < totals.total()) {
            let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
            return Gate::Wave {
                next: number(open.unwrap_or_default() + 2),
                of: number(ends.len()),
            };
        }
        let Some(concurrency) = self.concurrency else {
            return Gate::Open(in_wave);
        };
        match concurrency.saturating_sub(totals.start + totals.dispatch) {
            0 => Gate::Full { concurrency },
            room => Gate::Open(room.min(in_wave)),
        }
    }

    /// After how many hosts each wave of a root of `total` ends, ascending; the last ends with them.
    fn wave_ends(&self, total: u32) -> Vec<u32> {
        let mut ends: Vec<u32> = self.waves.iter().map(|it| it.end(total)).collect();
        ends.push(total);
        let mut last = 0;
        ends.retain(|end| {
            let is_later = *end > last;
            last = last.max(*end);
            is_later
        });
        ends
    }
}

impl Wave {
    /// After how many of `total` hosts it ends.
    fn end(self, total: u32) -> u32 {
        match self {
            Self::Hosts(hosts) => hosts.min(total),
            Self::Percent(percent) => {
                let hosts = (u64::from(total) * u64::from(percent)).div_ceil(100);
                u32::try_from(hosts).unwrap_or(total).min(total)
            }
        }
    }

    const fn is_after(self, other: Self) -> bool {
        match (self, other) {
            (Self::Hosts(this), Self::Hosts(other)) => this > other,
            (Self::Percent(this), Self::Percent(other)) => this > other,
            // Which comes first depends on how many hosts there are.
            (Self::Hosts(_), Self::Percent(_)) | (Self::Percent(_), Self::Hosts(_)) => true,
        }
    }
}

/// Checks waves as they were given.
///
/// # Errors
/// [`BadPlan`] if they are too many or do not ascend.
pub fn check_waves(waves: &[Wave]) -> Result<(), BadPlan> {
    if waves.len() > limits::WAVES_MAX {
        return Err(BadPlan::TooManyWaves(waves.len()));
    }
    for (before, after) in waves.iter().zip(waves.iter().skip(1)) {
        if !after.is_after(*before) {
            return Err(BadPlan::NotAscending(*after, *before));
        }
    }
    Ok(())
}

impl fmt::Display for Wave {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => write!(formatter, "{hosts}"),
            Self::Percent(percent) => write!(formatter, "{percent}%"),
        }
    }
}

impl FromStr for Wave {
    type Err = BadPlan;

    fn from_str(text: &str) -> Result<Self, BadPlan> {
        let wrong = || BadPlan::Wave(text.chars().take(32).collect());
        let number = |text: &str| {
            let is_plain = text.bytes().all(|it| it.is_ascii_digit());
            let number: u32 = text.parse().ok().filter(|_| is_plain)?;
            (number > 0).then_some(number)
        };
        if let Some(percent) = text.strip_suffix('%') {
            let percent = number(percent).and_then(|it| u8::try_from(it).ok());
            let percent = percent.filter(|it| *it <= 100).ok_or_else(wrong)?;
            return Ok(Self::Percent(percent));
        }
        let hosts = number(text).ok_or_else(wrong)?;
        match usize::try_from(hosts) {
            Ok(it) if it <= limits::ROOT_HOSTS_MAX => Ok(Self::Hosts(hosts)),
            _ => Err(wrong()),
        }
    }
}

/// The stored form: words with their values, and nothing for the default.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.concurrency.map(|it| format!("concurrency={it}")));
        if !self.waves.is_empty() {
            let waves: Vec<String> = self.waves.iter().map(Wave::to_string).collect();
            words.push(format!("waves={}", waves.join(",")));
        }
        words.extend(self.stop_after_failures.map(|it| format!("stop={it}")));
        words.extend(self.leaf_timeout_ms.map(|it| format!("leaf-ms={it}")));
        formatter.write_str(&words.join(" "))
    }
}

impl FromStr for Plan {
    type Err = BadPlan;

    fn from_str(text: &str) -> Result<Self, BadPlan> {
        let wrong = || BadPlan::Unreadable(text.chars().take(64).collect());
        let mut plan = Self::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or_else(wrong)?;
            let number = || value.parse().map_err(|_| wrong());
            match name {
                "concurrency" => plan.concurrency = Some(number()?),
                "stop" => plan.stop_after_failures = Some(number()?),
                "leaf-ms" => plan.leaf_timeout_ms = Some(value.parse().map_err(|_| wrong())?),
                "waves" => {
                    let waves: Result<_, _> = value.split(',').map(str::parse).collect();
                    plan.waves = waves?;
                }
                _ => return Err(wrong()),
            }
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests;
