//! The one place that asks the operating system for the time.

use model::UnixMillis;

/// Tells the time. Everything that needs it is given one.
pub(crate) trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> UnixMillis;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMillis(since.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX)))
    }
}
