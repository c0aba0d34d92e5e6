//! The bell between those who commit and the dispatcher: which targets have something newly due.
//!
//! Floor 1: rung on the store's writer thread, so it never blocks for long. Holds names only; what is due is in the
//! store, and a bell that held too many says "look everywhere" instead.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::endpoints::EndpointChange;
use crate::domain::event::EventKind;
use crate::domain::target::Target;
use crate::store::Write;

/// Targets held between two looks of the dispatcher.
const MAX_TARGETS: usize = 10_000;

/// Who rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ring {
    /// Something was committed that may be due.
    Usual,
    /// Somebody asked for it by hand and expects an attempt now.
    ByHand,
}

/// Where the dispatcher has to look.
#[derive(Debug, PartialEq, Eq)]
pub enum Rung {
    At(BTreeMap<Target, Ring>),
    /// Too many targets to name.
    Everywhere,
}

impl Default for Rung {
    fn default() -> Self {
        Self::At(BTreeMap::new())
    }
}

#[derive(Debug, Default)]
pub struct DueBell {
    rung: Mutex<Rung>,
    heard: Notify,
}

impl DueBell {
    /// Names the targets that a commit concerns.
    pub fn ring_for(&self, write: &Write) {
        for event in &write.events {
            let ring = match event.row.kind {
                EventKind::EndpointTest => Ring::ByHand,
                _ => Ring::Usual,
            };
            for (endpoint, url) in &event.owed {
                self.ring(Target::of(*endpoint, url), ring);
            }
        }
        self.ring_for_endpoints(write);
        for update in &write.changes.deliveries {
            // What is due without an attempt before it was asked for.
            let ring = match update.attempt {
                Some(_) => Ring::Usual,
                None => Ring::ByHand,
            };
            if update.after.state.is_due() {
                self.ring(update.after.target, ring);
            }
        }
    }

    /// An endpoint that somebody changed is tried as it is now; attempts change endpoints too, and name their delivery.
    fn ring_for_endpoints(&self, write: &Write) {
        if !write.changes.deliveries.is_empty() {
            return;
        }
        for change in &write.changes.endpoints {
            if let EndpointChange::Put(endpoint) = change {
                self.ring(Target::Endpoint(endpoint.id), Ring::ByHand);
            }
        }
    }

    /// Names a target and wakes the dispatcher.
    pub fn ring(&self, target: Target, ring: Ring) {
        let mut rung = self.rung();
        if let Rung::At(targets) = &mut *rung {
            let before = targets.entry(target).or_insert(ring);
            *before = ring.max(*before);
            if targets.len() > MAX_TARGETS {
                *rung = Rung::Everywhere;
            }
        }
        drop(rung);
        self.heard.notify_one();
    }

    /// Waits until it rings, or has rung since the last wait.
    pub async fn wait(&self) {
        self.heard.notified().await;
    }

    /// Takes what was named so far.
    pub fn take(&self) -> Rung {
        std::mem::take(&mut *self.rung())
    }

    fn rung(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::changes::Changes;
    use crate::domain::delivery::{Attempt, Delivery, DeliveryUpdate};
    use crate::domain::endpoint::{Endpoint, EventFilter, Standing};
    use crate::domain::ids::{DeliveryId, EndpointId, Sequence, UnixMs};
    use crate::domain::signing_key::{SigningKey, SigningKeys};

    fn target(number: u32) -> Target {
        Target::Endpoint(EndpointId(number))
    }

    #[tokio::test]
    async fn it_names_each_target_once_and_by_hand_outranks() {
        let bell = DueBell::default();
        bell.ring(target(1), Ring::Usual);
        bell.ring(target(2), Ring::ByHand);
        bell.ring(target(2), Ring::Usual);
        bell.wait().await;
        let expected = [(target(1), Ring::Usual), (target(2), Ring::ByHand)];
        assert_eq!(bell.take(), Rung::At(expected.into()));
        assert_eq!(bell.take(), Rung::default());
    }

    fn rung_for(changes: Changes) -> Rung {
        let bell = DueBell::default();
        bell.ring_for(&Write {
            changes,
            ..Write::default()
        });
        bell.take()
    }

    fn endpoint() -> EndpointChange {
        EndpointChange::Put(Endpoint {
            id: EndpointId(1),
            url: "https://shop.example/".to_owned(),
            description: String::new(),
            filter: EventFilter::All,
            keys: SigningKeys::new(SigningKey::of_random([1; 32])),
            standing: Standing::Enabled,
            created_at: UnixMs(0),
            failing_since: None,
        })
    }

    fn update(attempt: Option<Attempt>) -> DeliveryUpdate {
        let id = DeliveryId {
            sequence: Sequence(1),
            endpoint: EndpointId(1),
        };
        let (kind, url) = (EventKind::Created, "https://shop.example/");
        DeliveryUpdate {
            after: Delivery::new(id, kind, None, url, UnixMs(0)),
            attempt,
        }
    }

    /// An endpoint whose breaker is open is mended, asked again, or changed by its owner, who waits for the result.
    #[test]
    fn what_is_asked_for_by_hand_is_told_from_what_attempts_lead_to() {
        let attempt = Attempt {
            at: UnixMs(0),
            status: None,
            latency_ms: 0,
            detail: String::new(),
            next_at: None,
        };
        let by_hand = || Rung::At([(target(1), Ring::ByHand)].into());
        let usual = Rung::At([(target(1), Ring::Usual)].into());
        let changes = |endpoints, deliveries| Changes {
            endpoints,
            deliveries,
            ..Changes::default()
        };
        let failed = update(Some(attempt));
        let rung = rung_for(changes(vec![endpoint()], vec![failed]));
        assert_eq!(rung, usual, "an attempt failed, and since when is noted");
        assert_eq!(rung_for(changes(vec![], vec![update(None)])), by_hand());
        assert_eq!(rung_for(changes(vec![endpoint()], vec![])), by_hand());
        assert_eq!(rung_for(Changes::default()), Rung::default());
    }

    #[test]
    fn it_holds_so_many_and_then_says_everywhere() {
        let bell = DueBell::default();
        for number in 0..=10_000 {
            bell.ring(target(number), Ring::Usual);
        }
        bell.ring(target(1), Ring::ByHand);
        assert_eq!(bell.take(), Rung::Everywhere);
        bell.ring(target(1), Ring::Usual);
        assert_eq!(bell.take(), Rung::At([(target(1), Ring::Usual)].into()));
    }
}
