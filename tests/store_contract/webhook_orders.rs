//! Random orders about webhooks, for the comparison of the built-in store with the simple one: endpoints come and go,
//! attempts end in every way and too late, deliveries are asked for again, what was missed is brought in.

use fastrand::Rng;
use paybell::store::redb::RedbStore;
use paybell::store::{DeliveryFilter, Store};

use crate::domain::changes::{Changes, View};
use crate::domain::delivery::{AttemptReport, Outcome};
use crate::domain::endpoint_commands::{self, EndpointEdit, Usage};
use crate::domain::ids::{DeliveryId, EndpointId, Sequence, UnixMs};
use crate::domain::ledger::Refusal;
use crate::domain::outbox::{self, Owing};
use crate::domain::recovery::{self, Span};
use crate::domain::retry::RetryAfter;
use crate::domain::test_support::*;
use crate::{audit, endpoints};

/// Endpoints are numbered up to this, now and then beyond.
const ENDPOINTS: u32 = 5;
const FILTERS: [&[&str]; 4] = [
    &[],
    &["payment.*"],
    &["endpoint.disabled", "payment.created"],
    &["transfer.*"],
];

#[derive(Debug, Clone)]
pub enum Order {
    Add(u8, usize),
    Use(EndpointId, Usage),
    Delete(EndpointId),
    Test(EndpointId),
    Record(AttemptReport),
    Redeliver(DeliveryId),
    Recover(EndpointId, Span, Option<Sequence>),
    Release(Owing),
}

impl Order {
    pub fn decide(&self, view: &dyn View, now: UnixMs) -> Result<Changes, Refusal> {
        match self {
            Self::Add(n, filter) => {
                let new = endpoints::new_endpoint(*n, FILTERS[*filter]);
                endpoint_commands::create(view, new, now)
            }
            Self::Use(id, usage) => {
                let edit = EndpointEdit {
                    usage: Some(*usage),
                    ..EndpointEdit::default()
                };
                endpoint_commands::change(view, *id, edit, now)
            }
            Self::Delete(id) => endpoint_commands::delete(view, *id, now),
            Self::Test(id) => endpoint_commands::test(view, *id, now),
            Self::Record(report) => outbox::record(view, report, now),
            Self::Redeliver(id) => outbox::redeliver(view, *id, now),
            Self::Recover(id, span, after) => {
                recovery::recover(view, *id, *span, *after, now).map(|(changes, _)| changes)
            }
            Self::Release(owing) => outbox::release(view, *owing, now),
        }
    }

    /// An order that makes sense on the state, or nearly.
    pub fn draw(rng: &mut Rng, state: &MemoryState, step: u64) -> Self {
        let endpoint = EndpointId(rng.u32(..=ENDPOINTS));
        match rng.u8(..20) {
            0..3 => Self::Add(rng.u8(..), rng.usize(..FILTERS.len())),
            3 => Self::Use(endpoint, Usage::Disable),
            4..6 => Self::Use(endpoint, Usage::Enable),
            6 => Self::Delete(endpoint),
            7 => Self::Test(endpoint),
            8..15 => Self::report(rng, state),
            15 | 16 => Self::Redeliver(some_delivery(rng, state)),
            17 | 18 => {
                let span = Span {
                    since: UnixMs(0),
                    until: UnixMs(u64::MAX - 1),
                };
                let after = rng.bool().then(|| Sequence(rng.u64(..=step)));
                Self::Recover(endpoint, span, after)
            }
            _ if endpoint == EndpointId::CALLBACK => {
                Self::Release(Owing::Callback(id(u128::from(rng.u64(..=step)))))
            }
            _ => Self::Release(Owing::Endpoint(endpoint)),
        }
    }

    fn report(rng: &mut Rng, state: &MemoryState) -> Self {
        let id = some_delivery(rng, state);
        let outcomes = [
            Outcome::Delivered,
            Outcome::Failed,
            Outcome::Failed,
            Outcome::Gone,
        ];
        let Some(delivery) = state.deliveries.get(&id) else {
            return Self::Redeliver(id);
        };
        let mut report = endpoints::report(delivery, outcomes[rng.usize(..outcomes.len())]);
        report.retry_after = rng.bool().then(|| RetryAfter::from_seconds(rng.u64(..90)));
        Self::Record(report)
    }
}

/// Mostly one that there is.
fn some_delivery(rng: &mut Rng, state: &MemoryState) -> DeliveryId {
    let known: Vec<_> = state.deliveries.keys().copied().collect();
    let unknown = DeliveryId {
        sequence: Sequence(99_999),
        endpoint: EndpointId(1),
    };
    rng.choice(known).unwrap_or(unknown)
}

/// Asks both everything about webhooks that a plan can ask.
pub fn ask_both(real: &dyn View, simple: &MemoryState) {
    assert_eq!(real.endpoints().unwrap(), simple.endpoints);
    for delivery in simple.deliveries.values() {
        assert_eq!(real.delivery(delivery.id).unwrap().as_ref(), Some(delivery));
        let Some(payment) = delivery.payment else {
            continue;
        };
        for limit in [1, 1000] {
            let endpoint = delivery.id.endpoint;
            let lane = real.owed_in_lane(payment, endpoint, limit).unwrap();
            let simple = simple.owed_in_lane(payment, endpoint, limit).unwrap();
            assert_eq!(lane, simple, "a lane");
        }
    }
    for n in 1..=ENDPOINTS + 1 {
        for limit in [2, 1000] {
            let owed = real.owed_to(EndpointId(n), limit).unwrap();
            assert_eq!(owed, simple.owed_to(EndpointId(n), limit).unwrap());
        }
    }
    for (from, limit) in [(0, 1000), (3, 2), (u64::MAX, 9)] {
        let log = real.log(Sequence(from), limit).unwrap();
        assert_eq!(log, simple.log(Sequence(from), limit).unwrap());
    }
}

/// Every delivery and every attempt on record is the same on both.
pub async fn compare(real: &RedbStore, simple: &MemoryState) {
    let mut all = audit::deliveries(real, &DeliveryFilter::default()).await;
    all.reverse();
    let known: Vec<_> = simple.deliveries.values().cloned().collect();
    assert_eq!(all, known);
    for delivery in known {
        let id = delivery.id;
        let range = simple.attempts.range((id, 0)..=(id, u32::MAX));
        let expected: Vec<_> = range.map(|(_, attempt)| attempt.clone()).collect();
        assert_eq!(real.attempts(id).await.unwrap(), expected);
    }
}
