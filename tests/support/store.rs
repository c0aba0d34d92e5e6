//! Stores for tests, and plans made from the ledger's decisions.
#![allow(dead_code)]

use std::sync::Arc;

use bytes::Bytes;
use paybell::domain::changes::{Changes, View, ViewError};
use paybell::domain::delivery::{Delivery, DeliveryState};
use paybell::domain::event::Event;
use paybell::domain::ids::{EventId, Sequence, UnixMs};
use paybell::domain::ledger::Refusal;
use paybell::store::redb::{Location, Options, RedbStore, Threads};
use paybell::store::{CommitError, EventRow, NewEvent, Store, StoreError, StoreIdentity, Write};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

pub const CACHE_BYTES: usize = 16 * 1024 * 1024;

pub fn identity() -> StoreIdentity {
    StoreIdentity {
        epoch: "e-test".to_owned(),
        token_secret: [1; 32],
        webhook_secret: [2; 32],
    }
}

pub fn open_backend(backend: impl StorageBackend) -> Result<RedbStore, StoreError> {
    open(Location::Backend(Box::new(backend)))
}

pub fn open(location: Location<'_>) -> Result<RedbStore, StoreError> {
    RedbStore::open(Options {
        location,
        cache_bytes: CACHE_BYTES,
        new_identity: identity(),
        threads: Threads::Own,
    })
}

pub fn in_memory() -> RedbStore {
    open_backend(InMemoryBackend::new()).expect("opens")
}

/// What a test event's body says: enough to find its payment and kind again.
pub fn body(event: &Event) -> Bytes {
    let payment = event.payment.as_ref().map(|p| p.id.to_string());
    format!("{} {}", event.kind.as_str(), payment.unwrap_or_default()).into()
}

pub fn seal(view: &dyn View, mut changes: Changes) -> Result<Write, ViewError> {
    let first = view.next_sequence()?.0;
    let endpoints = view.endpoints()?;
    let endpoints = endpoints.after(&changes.endpoints);
    let events = std::mem::take(&mut changes.events);
    let events = (first..).zip(events).map(|(sequence, event)| NewEvent {
        owed: endpoints.owed(&event),
        row: EventRow {
            sequence: Sequence(sequence),
            id: EventId(u128::from(sequence)),
            kind: event.kind,
            at: event.at,
            payment: event.payment.as_ref().map(|p| p.id),
            block_time: event.transfer.map(|t| t.block_time),
            body: body(&event),
        },
    });
    Ok(Write {
        events: events.collect(),
        changes,
        ..Write::default()
    })
}

/// Everything due at a time, with its events: by the time of its target's first, then by its own.
pub async fn due(store: &dyn Store, now: UnixMs) -> Result<Vec<(Delivery, EventRow)>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        // Small pieces, so that walking them is tried too.
        let targets = store.due_targets(now, after, 3).await?;
        let Some(last) = targets.last() else {
            return Ok(found);
        };
        after = Some(*last);
        for (_, target) in targets {
            let mut after = None;
            loop {
                let piece = store.due_of(target, now, after, 4).await?;
                let Some(last) = piece.last() else { break };
                after = Some((due_at(last), last.id));
                for delivery in piece {
                    let event = store.event(delivery.id.sequence).await?;
                    found.push((delivery, event.expect("the event of what is owed")));
                }
            }
        }
    }
}

/// When a delivery is due.
///
/// # Panics
/// It is not.
pub fn due_at(delivery: &Delivery) -> UnixMs {
    match delivery.state {
        DeliveryState::Due(at) => at,
        other => panic!("{other:?} is not due"),
    }
}

/// Commits what the ledger decides.
pub async fn decide<F>(store: &dyn Store, decision: F) -> Result<Arc<Write>, CommitError>
where
    F: FnOnce(&dyn View) -> Result<Changes, Refusal> + Send + 'static,
{
    store
        .commit(Box::new(move |view| {
            let changes = decision(view)?;
            Ok(seal(view, changes)?)
        }))
        .await
}

/// Commits these changes as they are.
pub async fn apply(store: &dyn Store, changes: Changes) -> Arc<Write> {
    decide(store, move |_| Ok(changes)).await.expect("commits")
}

/// Looks at the state as a plan sees it.
///
/// # Panics
/// When the look itself does.
pub async fn look<T: Send + 'static>(
    store: &dyn Store,
    look: impl FnOnce(&dyn View) -> T + Send + 'static,
) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    let looked = store
        .commit(Box::new(move |view| {
            sender.send(look(view)).expect("the test waits");
            Ok(Write::default())
        }))
        .await;
    looked.expect("looks");
    receiver.recv().expect("looked")
}
