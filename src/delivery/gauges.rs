//! How much the dispatcher has under way, and how each of the account's endpoints fares, for whoever asks.
//!
//! Refuses to be exact to the instant, and to remember anything beyond a restart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::places::Places;
use crate::domain::delivery::Outcome;
use crate::domain::endpoints::MAX_ENDPOINTS;
use crate::domain::ids::{EndpointId, UnixMs};

/// Endpoints remembered: all there can be, and as many that were deleted.
const MAX_REMEMBERED: usize = 2 * MAX_ENDPOINTS;

/// How an endpoint of the account has fared since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fare {
    pub last_success_at: Option<UnixMs>,
    pub last_failure_at: Option<UnixMs>,
    /// Set while its breaker is open: it only failed, or asked for less, and is left alone until then.
    pub open_until: Option<UnixMs>,
}

#[derive(Debug, Default)]
pub struct Gauges {
    in_flight: AtomicUsize,
    open_breakers: AtomicUsize,
    fares: Mutex<BTreeMap<EndpointId, Fare>>,
}

impl Gauges {
    pub(super) fn set(&self, places: &Places) {
        self.in_flight.store(places.in_flight(), Ordering::Relaxed);
        self.open_breakers
            .store(places.open_breakers(), Ordering::Relaxed);
    }

    /// Names the endpoints whose breakers are open; those of all others are closed.
    pub(super) fn set_open(&self, open: impl IntoIterator<Item = (EndpointId, UnixMs)>) {
        let mut fares = self.fares();
        for fare in fares.values_mut() {
            fare.open_until = None;
        }
        for (id, until) in open {
            fares.entry(id).or_default().open_until = Some(until);
        }
    }

    /// What came of an attempt. Payments' own callbacks, which have thousands of receivers, are passed over.
    pub(super) fn heard(&self, id: EndpointId, outcome: Outcome, at: UnixMs) {
        if id == EndpointId::CALLBACK {
            return;
        }
        let mut fares = self.fares();
        let fare = fares.entry(id).or_default();
        match outcome {
            Outcome::Delivered => fare.last_success_at = Some(at),
            Outcome::Gone | Outcome::Failed => fare.last_failure_at = Some(at),
        }
        if fares.len() > MAX_REMEMBERED {
            fares.pop_first();
        }
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Receivers that are left alone for a while because they failed.
    pub fn open_breakers(&self) -> usize {
        self.open_breakers.load(Ordering::Relaxed)
    }

    pub fn fare(&self, id: EndpointId) -> Fare {
        self.fares().get(&id).copied().unwrap_or_default()
    }

    fn fares(&self) -> MutexGuard<'_, BTreeMap<EndpointId, Fare>> {
        // Plain times stay usable whatever a panicking holder left behind.
        self.fares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_000);

    #[test]
    fn an_endpoint_fares_by_its_last_attempts_and_its_breaker() {
        let gauges = Gauges::default();
        let id = EndpointId(3);
        assert_eq!(gauges.fare(id), Fare::default());
        gauges.heard(id, Outcome::Delivered, NOW);
        gauges.heard(id, Outcome::Failed, NOW.plus_ms(1));
        gauges.heard(id, Outcome::Gone, NOW.plus_ms(2));
        gauges.set_open([(id, NOW.plus_ms(15_000))]);
        let expected = Fare {
            last_success_at: Some(NOW),
            last_failure_at: Some(NOW.plus_ms(2)),
            open_until: Some(NOW.plus_ms(15_000)),
        };
        assert_eq!(gauges.fare(id), expected);
        gauges.set_open([]);
        assert_eq!(gauges.fare(id).open_until, None);
        gauges.heard(EndpointId::CALLBACK, Outcome::Failed, NOW);
        assert_eq!(gauges.fare(EndpointId::CALLBACK), Fare::default());
    }

    #[test]
    fn endpoints_that_come_and_go_for_ever_are_forgotten() {
        let gauges = Gauges::default();
        for n in 1..=1_000 {
            gauges.heard(EndpointId(n), Outcome::Delivered, NOW);
        }
        assert_eq!(gauges.fares().len(), MAX_REMEMBERED);
        assert_eq!(gauges.fare(EndpointId(1)), Fare::default());
        assert_eq!(gauges.fare(EndpointId(1_000)).last_success_at, Some(NOW));
    }
}
