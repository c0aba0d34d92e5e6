//! The wall clock, as something that is passed in. Refuses to be a global.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::ids::UnixMs;

/// Tells the time; tests and the simulation bring their own.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> UnixMs;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMs {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixMs(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}
