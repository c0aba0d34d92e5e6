//! The bell between those who commit and the dispatcher: which targets have something newly due.
//!
//! Floor 1: rung on the store's writer thread, so it never blocks for long. Holds names only; what is due is in the
//! store, and a bell that held too many says "look everywhere" instead.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

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
    use crate::domain::ids::EndpointId;

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
