//! Compares a store with the books, row by row.

use std::sync::mpsc;

use paybell::domain::changes::View;
use paybell::domain::delivery::DeliveryState;
use paybell::domain::ids::{ChainId, Sequence};
use paybell::domain::payment::{Status, TransferRecord};
use paybell::store::redb::RedbStore;
use paybell::store::{
    Counters, DeliveryFilter, EventScope, PaymentFilter, Store, StoreError, Write,
};

use crate::books::Books;
use crate::witness::Witness;

const PAGE: usize = 200;

/// Why store and books differ.
#[derive(Debug)]
pub enum Difference {
    Found(String),
    /// The disk failed while it was read.
    Unreadable,
}

impl From<StoreError> for Difference {
    fn from(_: StoreError) -> Self {
        Self::Unreadable
    }
}

type Compared = Result<(), Difference>;

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, disk: &T, books: &T) -> Compared {
    if disk == books {
        return Ok(());
    }
    Err(Difference::Found(format!(
        "{what}: on disk {disk:?}, in the books {books:?}"
    )))
}

pub async fn compare(store: &RedbStore, witness: &Witness) -> Compared {
    forget(store, witness).await?;
    let records = records(store, witness).await?;
    let events = events(store).await?;
    let deliveries = deliveries(store).await?;
    let payments = payments(store).await?;
    let mut cursors = Vec::new();
    for id in [ChainId(0), ChainId(1)] {
        cursors.push(store.cursor(id).await?.map(|c| (c.tip, c.final_height)));
    }
    let books = witness.books();
    equal(
        "the newest event",
        &store.last_sequence().0,
        &books.last_sequence,
    )?;
    let known: Vec<_> = books.payments.values().cloned().collect();
    for (disk, book) in payments.iter().zip(&known) {
        equal("a payment", disk, book)?;
    }
    equal("payments", &payments.len(), &known.len())?;
    let known: Vec<_> = books.events.values().cloned().collect();
    equal("events", &events, &known)?;
    for (id, cursor) in (0..).zip(cursors) {
        let book = books.chain(ChainId(id));
        let known = book.tip.map(|tip| (tip, book.final_height));
        equal("a cursor", &cursor, &known)?;
    }
    compare_deliveries(&deliveries, &books)?;
    for (disk, book) in records.iter().zip(books.transfers.values()) {
        equal("a transfer", disk, &Some(*book))?;
    }
    equal("the counters", &store.counters(), &recount(&books))
}

/// Whether events are gone that the books still hold.
pub async fn has_forgotten(store: &RedbStore, witness: &Witness) -> bool {
    let Ok(first) = store.first_sequence().await else {
        return false;
    };
    let oldest = witness.books().events.keys().next().copied();
    oldest.is_some_and(|oldest| oldest < first.0)
}

/// Lets the books forget the events that the janitor removed, and checks that it might.
pub async fn forget(store: &RedbStore, witness: &Witness) -> Compared {
    let first = store.first_sequence().await?.0;
    let mut books = witness.books();
    for (number, row) in books.events.range(..first) {
        let owed = books.owed.get(number).is_some_and(|o| o.state.is_due());
        // Found, not broken: the removal may be a commit that the disk failed and that yet is on it.
        if row.at >= books.pruned_before || owed {
            let what = format!("event {number} was removed too early");
            return Err(Difference::Found(what));
        }
    }
    if books.events.keys().next().is_some_and(|n| *n < first) {
        witness.journal.saw("events removed by the janitor");
    }
    books.forget_events_below(first);
    for at in std::mem::take(&mut books.unresumed) {
        witness.journal.check(6, at + 1 < first, || {
            format!("a socket at {at} was not resumed, though the log begins at {first}")
        });
    }
    Ok(())
}

async fn payments(store: &RedbStore) -> Result<Vec<paybell::domain::payment::Payment>, StoreError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .payments(PaymentFilter::default(), after, PAGE)
            .await?;
        all.extend(page.items);
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    all.reverse();
    Ok(all)
}

async fn events(store: &RedbStore) -> Result<Vec<paybell::store::EventRow>, StoreError> {
    let (mut all, mut after) = (Vec::new(), Sequence(0));
    loop {
        let page = store.events(EventScope::All, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = last.sequence;
        all.extend(page);
    }
}

async fn deliveries(
    store: &RedbStore,
) -> Result<Vec<paybell::domain::delivery::Delivery>, StoreError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .deliveries(DeliveryFilter::default(), after, PAGE)
            .await?;
        all.extend(page.items);
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    all.reverse();
    Ok(all)
}

/// When a delivery is due is the store's business, so long as lanes keep their order; `receiver` checks that.
fn compare_deliveries(disk: &[paybell::domain::delivery::Delivery], books: &Books) -> Compared {
    equal("deliveries", &disk.len(), &books.owed.len())?;
    for (delivery, (number, owed)) in disk.iter().zip(&books.owed) {
        equal("a delivery", &delivery.id.sequence.0, number)?;
        equal("its attempts", &delivery.attempts, &owed.attempts)?;
        equal("its payment", &delivery.payment, &owed.payment)?;
        equal("its URL", &delivery.url, &owed.url)?;
        match (delivery.state, owed.state) {
            (DeliveryState::Due(_), DeliveryState::Due(_)) => {}
            (disk, book) => equal("its state", &disk, &book)?,
        }
    }
    Ok(())
}

/// The books' transfers as the store has them.
async fn records(
    store: &RedbStore,
    witness: &Witness,
) -> Result<Vec<Option<TransferRecord>>, Difference> {
    let keys: Vec<_> = witness.books().transfers.keys().copied().collect();
    let (sender, receiver) = mpsc::channel();
    let look = move |view: &dyn View| {
        let found: Result<Vec<_>, _> = keys.iter().map(|key| view.transfer(key)).collect();
        sender.send(found?).expect("somebody waits");
        Ok(Write::default())
    };
    match store.commit(Box::new(look)).await {
        Ok(_) => Ok(receiver.recv().expect("looked")),
        Err(_) => Err(Difference::Unreadable),
    }
}

fn recount(books: &Books) -> Counters {
    let mut counters = Counters::default();
    for (place, status) in Status::ALL.iter().enumerate() {
        let count = books.payments.values().filter(|p| p.status == *status);
        counters.by_status[place] = count.count() as u64;
    }
    for owed in books.owed.values() {
        match owed.state {
            DeliveryState::Due(_) => counters.deliveries_due += 1,
            DeliveryState::Exhausted(_) => counters.deliveries_exhausted += 1,
            DeliveryState::Delivered(_) => {}
        }
    }
    counters
}
