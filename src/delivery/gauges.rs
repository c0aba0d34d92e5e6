//! How much the dispatcher has under way, for whoever asks. Refuses to be exact to the instant.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::places::Places;

#[derive(Debug, Default)]
pub struct Gauges {
    in_flight: AtomicUsize,
    open_breakers: AtomicUsize,
}

impl Gauges {
    pub(super) fn set(&self, places: &Places) {
        self.in_flight.store(places.in_flight(), Ordering::Relaxed);
        self.open_breakers
            .store(places.open_breakers(), Ordering::Relaxed);
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Receivers that are left alone for a while because they failed.
    pub fn open_breakers(&self) -> usize {
        self.open_breakers.load(Ordering::Relaxed)
    }
}
