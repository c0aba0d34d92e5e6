//! Time for pacing: milliseconds since the dispatcher began. Refuses to go back, as a wall clock may.

use std::time::Duration;

/// A point in time. Comparable within one run of the dispatcher only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    pub fn after_start(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// How long until this point; nothing where it has passed.
    pub const fn wait_from(self, now: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(now.0))
    }
}
