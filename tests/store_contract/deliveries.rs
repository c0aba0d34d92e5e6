//! The outbox: what is due and in which order, lanes, and what pruning may take.

use std::sync::Arc;

use paybell::store::{CommitError, DeliveryFilter, EventScope, Prune, Store, Write};

use crate::domain::changes::ChainChange;
use crate::domain::changes::Changes;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState, DeliveryUpdate};
use crate::domain::event::EventKind;
use crate::domain::ids::{Sequence, UnixMs};
use crate::domain::ledger;
use crate::domain::test_support::*;
use crate::{audit, called_back, create, store};

pub fn attempt(at: UnixMs) -> Attempt {
    Attempt {
        at,
        status: Some(503),
        latency_ms: 7,
        detail: "busy".to_owned(),
        next_at: None,
    }
}

/// Records an attempt at a delivery, as the dispatcher does.
pub async fn record(
    store: &dyn Store,
    delivery: &Delivery,
    state: DeliveryState,
) -> Result<Arc<Write>, CommitError> {
    let attempt = attempt(delivery.created_at);
    let update = DeliveryUpdate {
        after: Delivery {
            state,
            attempts: delivery.attempts + 1,
            last: Some(attempt.clone()),
            ..delivery.clone()
        },
        attempt: Some(attempt),
    };
    store::decide(store, move |_| {
        Ok(Changes {
            deliveries: vec![update],
            ..Changes::default()
        })
    })
    .await
}

pub async fn prune(store: &dyn Store, before: UnixMs, limit: usize) {
    let prune = Some(Prune { before, limit });
    let plan = Box::new(move |_: &dyn crate::domain::changes::View| {
        Ok(Write {
            prune,
            ..Write::default()
        })
    });
    store.commit(plan).await.unwrap();
}

const FAR: UnixMs = UnixMs(u64::MAX - 1);

/// What is due, soonest first, with its time after the start.
async fn due(store: &dyn Store, now: UnixMs) -> Vec<(u64, u64)> {
    let due = store::due(store, now).await.unwrap();
    let mut due: Vec<_> = due
        .iter()
        .map(|(d, event)| {
            assert_eq!(d.id.sequence, event.sequence);
            (store::due_at(d).0 - CREATED.0, d.id.sequence.0)
        })
        .collect();
    due.sort_unstable();
    due.into_iter().map(|(at, number)| (number, at)).collect()
}

fn at(ms: u64) -> UnixMs {
    CREATED.plus_ms(ms)
}

async fn delivery(store: &dyn Store, sequence: u64) -> Delivery {
    let all = audit::deliveries(store, &DeliveryFilter::default()).await;
    all.into_iter()
        .find(|d| d.id.sequence.0 == sequence)
        .unwrap()
}

/// Event 1: payment 1 created; 2: payment 2 created; 3: payment 1 cancelled; 4: payment 2 cancelled.
async fn two_lanes() -> paybell::store::redb::RedbStore {
    let store = store::in_memory();
    create(&store, called_back(1)).await.unwrap();
    create(&store, called_back(2)).await.unwrap();
    for n in [1, 2] {
        store::decide(&store, move |v| ledger::cancel(v, id(n), CREATED))
            .await
            .unwrap();
    }
    store
}

#[tokio::test]
async fn due_comes_soonest_first_and_no_sooner() {
    let store = two_lanes().await;
    assert_eq!(due(&store, UnixMs(CREATED.0 - 1)).await, []);
    assert_eq!(
        store.next_due(UnixMs(CREATED.0 - 1)).await.unwrap(),
        Some(CREATED)
    );
    assert_eq!(store.next_due(CREATED).await.unwrap(), None);
    assert_eq!(due(&store, CREATED).await, [(1, 0), (2, 0), (3, 0), (4, 0)]);
    let targets = store.due_targets(CREATED, None, 2).await.unwrap();
    assert_eq!(targets.len(), 1, "one shop");
    let first = store.due_of(targets[0].1, CREATED, None, 2).await.unwrap();
    assert_eq!(first.len(), 2);
    audit::whole(&store).await;
}

#[tokio::test]
async fn followers_move_with_the_head_when_it_is_retried() {
    let store = two_lanes().await;
    let head = delivery(&store, 1).await;
    record(&store, &head, DeliveryState::Due(at(5_000)))
        .await
        .unwrap();
    assert_eq!(due(&store, CREATED).await, [(2, 0), (4, 0)]);
    assert_eq!(
        due(&store, FAR).await,
        [(2, 0), (4, 0), (1, 5_000), (3, 5_000)]
    );
    assert_eq!(store.next_due(CREATED).await.unwrap(), Some(at(5_000)));
    // A new event joins its lane at the end, however late the head is.
    let head = delivery(&store, 1).await;
    record(&store, &head, DeliveryState::Due(at(9_000)))
        .await
        .unwrap();
    assert_eq!(
        due(&store, FAR).await,
        [(2, 0), (4, 0), (1, 9_000), (3, 9_000)]
    );
    assert_eq!(store.attempts(head.id).await.unwrap().len(), 2);
    audit::whole(&store).await;
}

#[tokio::test]
async fn followers_move_up_when_the_head_is_delivered_or_given_up() {
    for state in [
        DeliveryState::Delivered(at(6_000)),
        DeliveryState::Exhausted(at(6_000)),
    ] {
        let store = two_lanes().await;
        let head = delivery(&store, 1).await;
        record(&store, &head, DeliveryState::Due(at(60_000)))
            .await
            .unwrap();
        let head = delivery(&store, 1).await;
        record(&store, &head, state).await.unwrap();
        assert_eq!(due(&store, at(6_000)).await, [(2, 0), (4, 0), (3, 6_000)]);
        let exhausted = u64::from(!matches!(state, DeliveryState::Delivered(_)));
        let counters = store.counters();
        assert_eq!(
            (counters.deliveries_due, counters.deliveries_exhausted),
            (3, exhausted)
        );
        assert_eq!(delivery(&store, 1).await.attempts, 2);
        audit::whole(&store).await;
    }
}

/// A payment with events to come while its head waits for its next attempt.
#[tokio::test]
async fn a_new_event_is_not_due_before_the_lane_ahead_of_it() {
    let store = store::in_memory();
    let start = block(100, Vec::new()).header;
    store::decide(&store, move |_| {
        Ok(Changes {
            chain: Some((CHAIN, ChainChange::Jump(start))),
            ..Changes::default()
        })
    })
    .await
    .unwrap();
    create(&store, called_back(1)).await.unwrap();
    let head = delivery(&store, 1).await;
    record(&store, &head, DeliveryState::Due(at(300_000)))
        .await
        .unwrap();
    let paid = block(101, vec![transfer(1, 0, usdt(10))]);
    let header = paid.header;
    store::decide(&store, move |v| ledger::extend(v, CHAIN, &paid, at(3_000)))
        .await
        .unwrap();
    store::decide(&store, move |v| {
        ledger::finalize(v, CHAIN, &header, at(4_000))
    })
    .await
    .unwrap();
    assert_eq!(due(&store, at(299_999)).await, []);
    let lane = [(1, 300_000), (2, 300_000), (3, 300_000)];
    assert_eq!(due(&store, FAR).await, lane);
    let kinds = store::due(&store, FAR).await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|(d, _)| d.kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::Created,
            EventKind::Detected,
            EventKind::Completed
        ]
    );
    audit::whole(&store).await;
}

/// A payer can send any number of small transfers to a payment's address, and each is an event to its callback. Once,
/// each further event read all the payment's events before it, and each delivery rewrote all that waited behind it: a
/// hundred events took 37 ms on a new lane and 680 ms on one of a thousand. The writer is everyone's, so what one more
/// costs must not grow.
#[tokio::test]
async fn a_long_lane_does_not_slow_the_writer() {
    let store = store::in_memory();
    let start = block(100, Vec::new()).header;
    store::decide(&store, move |_| {
        Ok(Changes {
            chain: Some((CHAIN, ChainChange::Jump(start))),
            ..Changes::default()
        })
    })
    .await
    .unwrap();
    create(&store, called_back(1)).await.unwrap();
    let mut took = Vec::new();
    for height in 101..=115 {
        let dust = (0..100).map(|n| transfer(height * 1000 + n, n as u32, units(1)));
        let dust = block(height, dust.collect());
        let started = std::time::Instant::now();
        store::decide(&store, move |v| ledger::extend(v, CHAIN, &dust, CREATED))
            .await
            .unwrap();
        took.push(started.elapsed());
    }
    println!("100 more events on one lane: {took:?}");
    let (early, late) = (took[..2].iter().max(), took[12..].iter().min());
    assert!(late.unwrap() < &(*early.unwrap() * 8), "{took:?}");
    let head = delivery(&store, 1).await;
    let started = std::time::Instant::now();
    record(&store, &head, DeliveryState::Delivered(at(1)))
        .await
        .unwrap();
    println!(
        "the head of a lane of 1501 delivered: {:?}",
        started.elapsed()
    );
    audit::whole(&store).await;
}

#[tokio::test]
async fn pruning_stops_at_what_is_still_owed() {
    let store = two_lanes().await;
    let one = delivery(&store, 1).await;
    record(&store, &one, DeliveryState::Delivered(at(1)))
        .await
        .unwrap();
    let three = delivery(&store, 3).await;
    record(&store, &three, DeliveryState::Exhausted(at(2)))
        .await
        .unwrap();
    prune(&store, CREATED, 100).await;
    assert_eq!(
        store.first_sequence().await.unwrap(),
        Sequence(1),
        "none is old enough"
    );
    prune(&store, at(10), 100).await;
    // Number 3 could go, but it stands behind number 2, which is owed.
    assert_eq!(store.first_sequence().await.unwrap(), Sequence(2));
    assert_eq!(store.attempts(one.id).await.unwrap(), []);
    let left = store
        .events(EventScope::Payment(id(1)), Sequence(0), 10)
        .await
        .unwrap();
    assert_eq!(left.iter().map(|e| e.sequence.0).collect::<Vec<_>>(), [3]);
    audit::whole(&store).await;
    for sequence in [2, 4] {
        let one = delivery(&store, sequence).await;
        record(&store, &one, DeliveryState::Delivered(at(3)))
            .await
            .unwrap();
    }
    prune(&store, at(10), 1).await;
    assert_eq!(
        store.first_sequence().await.unwrap(),
        Sequence(3),
        "one a time, as asked"
    );
    prune(&store, at(10), 100).await;
    assert_eq!(store.first_sequence().await.unwrap(), Sequence(5));
    assert_eq!(
        store.last_sequence(),
        Sequence(4),
        "numbers go on where they were"
    );
    assert_eq!(store.counters().deliveries_exhausted, 0);
    create(&store, called_back(9)).await.unwrap();
    assert_eq!(store.last_sequence(), Sequence(5));
    audit::whole(&store).await;
}

/// An order whose payment was removed can be used again, and what was owed for the old one stays owed.
#[tokio::test]
async fn removing_a_payment_keeps_what_is_owed_and_frees_its_order() {
    let store = store::in_memory();
    create(&store, called_back(1)).await.unwrap();
    store::decide(&store, |v| ledger::cancel(v, id(1), at(5)))
        .await
        .unwrap();
    let start = block(100, Vec::new()).header;
    store::decide(&store, move |_| {
        Ok(Changes {
            chain: Some((CHAIN, ChainChange::Jump(start))),
            ..Changes::default()
        })
    })
    .await
    .unwrap();
    // The block after the grace's end, in which the payment stops being watched.
    let mut late = block(101, Vec::new());
    late.header.time = payment(1).unwatch_at().plus_ms(1);
    store::decide(&store, move |v| ledger::extend(v, CHAIN, &late, at(6)))
        .await
        .unwrap();
    let untouched = store::decide(&store, |v| ledger::remove_old(v, at(5)))
        .await
        .unwrap();
    assert_eq!(untouched.changes.payments.len(), 0);
    let removed = store::decide(&store, |v| ledger::remove_old(v, at(6)))
        .await
        .unwrap();
    assert_eq!(removed.changes.payments.len(), 1);
    assert_eq!(store.payment(id(1)).await.unwrap(), None);
    assert_eq!(store.counters().total(), 0);
    assert_eq!(due(&store, FAR).await, [(1, 0), (2, 5)]);
    create(
        &store,
        called_back(2).with(|p| p.order_id = "order-1".to_owned()),
    )
    .await
    .unwrap();
    audit::whole(&store).await;
}
