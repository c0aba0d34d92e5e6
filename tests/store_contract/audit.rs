//! Looks a store over from outside: whatever happened to it, its parts must agree with each other.

use std::collections::{BTreeMap, BTreeSet};

use paybell::store::{
    Counters, DeliveryFilter, EventRow, EventScope, PaymentFilter, Store, TransferFilter,
};

use crate::domain::address::Address;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::{DeliveryId, PaymentId, Sequence, TransferKey, TxId, UnixMs};
use crate::domain::payment::{Payment, Status, TransferRecord, TransferState};
use crate::domain::target::Target;

/// Small, so that walking a list turns many pages.
const PAGE: usize = 7;

/// All payments, newest first.
pub async fn payments(store: &dyn Store, filter: &PaymentFilter) -> Vec<Payment> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.payments(filter.clone(), after, PAGE).await.unwrap();
        assert!(page.items.len() <= PAGE);
        all.extend(page.items);
        let Some(next) = page.next else { return all };
        after = Some(next);
    }
}

/// All deliveries, newest first.
pub async fn deliveries(store: &dyn Store, filter: &DeliveryFilter) -> Vec<Delivery> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.deliveries(filter.clone(), after, PAGE).await.unwrap();
        assert!(page.items.len() <= PAGE);
        all.extend(page.items);
        let Some(next) = page.next else { return all };
        after = Some(next);
    }
}

/// All transfers that settled nothing, newest first.
pub async fn unmatched(store: &dyn Store, filter: TransferFilter) -> Vec<TransferRecord> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.unmatched(filter, after, PAGE).await.unwrap();
        assert!(page.items.len() <= PAGE);
        all.extend(page.items);
        let Some(next) = page.next else { return all };
        after = Some(next);
    }
}

/// All events, oldest first.
pub async fn events(store: &dyn Store, scope: EventScope) -> Vec<EventRow> {
    let mut all: Vec<EventRow> = Vec::new();
    loop {
        let after = all.last().map(|e| e.sequence).unwrap_or_default();
        let page = store.events(scope, after, PAGE).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Everything that must hold at any moment between two commits.
pub async fn whole(store: &dyn Store) {
    let payments = payments(store, &PaymentFilter::default()).await;
    let deliveries = deliveries(store, &DeliveryFilter::default()).await;
    let events = events(store, EventScope::All).await;
    let recounted = recount(&payments, &deliveries);
    assert_eq!(store.counters(), recounted, "counters equal a recount");
    numbers_have_no_gaps(store, &events).await;
    every_delivery_has_its_event(&deliveries, &events);
    lanes_are_in_order(&deliveries);
    for payment in &payments {
        let by_order = PaymentFilter {
            order_id: Some(payment.order_id.clone()),
            ..PaymentFilter::default()
        };
        let found = store.payments(by_order, None, 1).await.unwrap().items;
        assert_eq!(
            found,
            std::slice::from_ref(payment),
            "found by its order id"
        );
    }
    payments_are_found(store, &payments).await;
    accounts_are_past_their_payments(store, &payments).await;
    watched_is_what_payments_say(store, &payments).await;
    due_is_what_deliveries_say(store, &deliveries).await;
}

/// By its address and by the transactions credited to it, each payment is found, and no other.
async fn payments_are_found(store: &dyn Store, all: &[Payment]) {
    let addresses: BTreeSet<Address> = all.iter().map(|p| p.address).collect();
    let by_address = addresses.into_iter().map(|address| PaymentFilter {
        address: Some(address),
        ..PaymentFilter::default()
    });
    let mut transactions = BTreeSet::new();
    for payment in all {
        transactions.extend(credited_by(store, payment).await);
    }
    let by_transaction = transactions.into_iter().map(|txid| PaymentFilter {
        transaction: Some(txid),
        ..PaymentFilter::default()
    });
    for filter in by_address.chain(by_transaction) {
        let wanted = all.iter().filter(|p| filter.wants(p)).cloned();
        let wanted: Vec<Payment> = wanted.collect();
        assert_eq!(payments(store, &filter).await, wanted, "{filter:?}");
    }
}

/// The transactions with a transfer that the store keeps as credited to this payment.
async fn credited_by(store: &dyn Store, payment: &Payment) -> Vec<TxId> {
    let mut found = Vec::new();
    for credit in &payment.credits {
        let key = TransferKey {
            chain: payment.chain,
            txid: credit.txid,
            log_index: credit.log_index,
        };
        let transfer = store.transfer(key).await.unwrap();
        if transfer.is_some_and(|t| t.state == TransferState::Credited(payment.id)) {
            found.push(credit.txid);
        }
    }
    found
}

fn recount(payments: &[Payment], deliveries: &[Delivery]) -> Counters {
    let mut counters = Counters::default();
    for status in Status::ALL {
        let count = payments.iter().filter(|p| p.status == status).count();
        // The places are those of `Status::ALL`.
        let place = Status::ALL.iter().position(|s| *s == status).unwrap();
        counters.by_status[place] = count as u64;
    }
    let count = |name| {
        deliveries
            .iter()
            .filter(|d| d.state.as_str() == name)
            .count() as u64
    };
    counters.deliveries_due = count("due");
    counters.deliveries_exhausted = count("exhausted");
    counters
}

async fn numbers_have_no_gaps(store: &dyn Store, events: &[EventRow]) {
    let first = store.first_sequence().await.unwrap().0;
    let numbers: Vec<u64> = events.iter().map(|e| e.sequence.0).collect();
    let expected: Vec<u64> = (first..=store.last_sequence().0).collect();
    assert_eq!(numbers, expected);
}

fn every_delivery_has_its_event(deliveries: &[Delivery], events: &[EventRow]) {
    let by_number: BTreeMap<Sequence, &EventRow> = events.iter().map(|e| (e.sequence, e)).collect();
    for delivery in deliveries {
        let event = by_number[&delivery.id.sequence];
        assert_eq!(
            (delivery.kind, delivery.payment),
            (event.kind, event.payment)
        );
    }
}

/// A delivery of a payment is never due before an earlier one to the same endpoint.
fn lanes_are_in_order(deliveries: &[Delivery]) {
    let mut newest_due = BTreeMap::new();
    for delivery in deliveries.iter().rev() {
        // What is about no payment stands in no lane.
        if let (DeliveryState::Due(at), Some(payment)) = (delivery.state, delivery.payment) {
            let lane = (payment, delivery.id.endpoint);
            let before = newest_due.insert(lane, at).unwrap_or(at);
            assert!(before <= at, "{} is due before an earlier one", delivery.id);
        }
    }
}

/// No address is given out twice: an index is with one payment, and the account has gone past it.
async fn accounts_are_past_their_payments(store: &dyn Store, payments: &[Payment]) {
    let derived: Vec<_> = payments
        .iter()
        .filter_map(|p| p.derivation.as_ref())
        .collect();
    let distinct: BTreeSet<_> = derived.iter().map(|d| (d.key, d.index)).collect();
    assert_eq!(distinct.len(), derived.len(), "an index used twice");
    for derivation in derived {
        let next = store.next_index(derivation.key).await.unwrap();
        assert!(
            derivation.index.get() < next.0,
            "an index given out, and not counted"
        );
    }
}

async fn watched_is_what_payments_say(store: &dyn Store, payments: &[Payment]) {
    let watched: BTreeSet<_> = store
        .watched()
        .await
        .unwrap()
        .into_iter()
        .map(|w| (w.watched, w.id))
        .collect();
    let expected: BTreeSet<_> = payments
        .iter()
        .filter(|p| p.watched)
        .map(|p| (p.watched_address(), p.id))
        .collect();
    assert_eq!(watched, expected);
    let confirming: BTreeSet<PaymentId> = store
        .confirming()
        .await
        .unwrap()
        .iter()
        .map(|p| p.id)
        .collect();
    let awaiting = payments.iter().filter(|p| p.awaits().is_some());
    assert_eq!(confirming, awaiting.map(|p| p.id).collect());
}

async fn due_is_what_deliveries_say(store: &dyn Store, deliveries: &[Delivery]) {
    let far = UnixMs(u64::MAX - 1);
    let due = crate::store::due(store, far).await.unwrap();
    let listed: BTreeSet<_> = due.iter().map(|(d, e)| (d.id, e.sequence)).collect();
    assert_eq!(listed.len(), due.len(), "each once");
    let owed: Vec<_> = deliveries.iter().filter(|d| d.state.is_due()).collect();
    assert_eq!(listed, owed.iter().map(|d| (d.id, d.id.sequence)).collect());
    targets_are_what_is_due_to_them(store, &owed).await;
}

/// Each target stands at the time of its first delivery, and its deliveries come soonest first.
async fn targets_are_what_is_due_to_them(store: &dyn Store, owed: &[&Delivery]) {
    let far = UnixMs(u64::MAX - 1);
    let mut queues = BTreeMap::<Target, Vec<(UnixMs, DeliveryId)>>::new();
    for delivery in owed {
        let place = (crate::store::due_at(delivery), delivery.id);
        queues.entry(delivery.target).or_default().push(place);
    }
    let mut heads = Vec::new();
    for (target, queue) in &mut queues {
        queue.sort_unstable();
        heads.push((queue[0].0, *target));
        let listed = store.due_of(*target, far, None, usize::MAX).await.unwrap();
        let listed: Vec<_> = listed
            .iter()
            .map(|d| (crate::store::due_at(d), d.id))
            .collect();
        assert_eq!(&listed, queue);
        let owed = store.owed(*target, usize::MAX).await.unwrap();
        assert_eq!(owed, queue.len());
        assert_eq!(store.owed(*target, 1).await.unwrap(), 1);
    }
    heads.sort_unstable();
    let listed = store.due_targets(far, None, usize::MAX).await.unwrap();
    assert_eq!(listed, heads, "soonest first");
    for (at, _) in &heads {
        let next = store.next_due(*at).await.unwrap();
        let later = queues.values().flatten().map(|(time, _)| *time);
        assert_eq!(next, later.filter(|time| time > at).min());
    }
}
