//! Commands about webhooks: what became of an attempt, orders about endpoints and deliveries, and recovery.

use std::sync::{Arc, OnceLock};

use super::Ledger;
use crate::domain::changes::{Changes, Unfinished};
use crate::domain::delivery::{AttemptReport, Delivery};
use crate::domain::endpoint::Endpoint;
use crate::domain::endpoint_commands::{self, EndpointEdit, NewEndpoint};
use crate::domain::endpoints::EndpointChange;
use crate::domain::ids::{DeliveryId, EndpointId, EventId, Sequence};
use crate::domain::ledger::Refusal;
use crate::domain::outbox::{self, Owing};
use crate::domain::recovery::{self, Progress, Span};
use crate::domain::signing_key::{SigningKey, SigningKeys};
use crate::store::{CommitError, StoreError, Write, describe};

/// An event made to try an endpoint out, and its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestSent {
    pub event: EventId,
    pub delivery: DeliveryId,
}

impl Ledger {
    /// Records what became of a webhook attempt; see [`outbox::record`].
    pub async fn record_delivery(&self, report: AttemptReport) -> Result<Arc<Write>, CommitError> {
        let write = self
            .decide(move |view, now| outbox::record(view, &report, now))
            .await?;
        if let (Unfinished::Yes, Some(recorded)) =
            (write.changes.unfinished, write.changes.deliveries.first())
        {
            self.release(owing_of(&recorded.after)).await;
        }
        Ok(write)
    }

    /// Gives up, in small commits, what is owed to a receiver that is sent to no more. What a failure leaves is given up
    /// when the dispatcher comes upon it.
    pub async fn release(&self, owing: Owing) {
        loop {
            let released = self
                .decide(move |view, now| outbox::release(view, owing, now))
                .await;
            match released {
                Ok(write) if write.changes.unfinished == Unfinished::Yes => {}
                Ok(_) | Err(CommitError::Store(StoreError::Closed)) => return,
                Err(error) => {
                    tracing::error!(?owing, error = %describe(&error), "what is owed to a receiver in no more use could not be given up");
                    return;
                }
            }
        }
    }

    /// Makes a delivery due at once; see [`outbox::redeliver`]. Returns it as it was decided.
    pub async fn redeliver(&self, id: DeliveryId) -> Result<Delivery, CommitError> {
        let write = self
            .decide(move |view, now| outbox::redeliver(view, id, now))
            .await?;
        let update = write.changes.deliveries.first();
        update
            .map(|update| update.after.clone())
            .ok_or(CommitError::Refused(Refusal::NoSuchDelivery))
    }

    /// Returns the endpoint as committed.
    pub async fn create_endpoint(&self, new: NewEndpoint) -> Result<Endpoint, CommitError> {
        let write = self
            .decide(move |view, now| endpoint_commands::create(view, new, now))
            .await?;
        changed_endpoint(&write.changes)
    }

    /// Returns the endpoint as committed.
    pub async fn change_endpoint(
        &self,
        id: EndpointId,
        edit: EndpointEdit,
    ) -> Result<Endpoint, CommitError> {
        let write = self
            .decide(move |view, now| endpoint_commands::change(view, id, edit, now))
            .await?;
        self.release_rest(id, &write);
        if write.changes == Changes::default() {
            let endpoints = self.store.endpoints();
            let same = endpoints.get(id).cloned();
            return same.ok_or(CommitError::Refused(Refusal::NoSuchEndpoint));
        }
        changed_endpoint(&write.changes)
    }

    pub async fn delete_endpoint(&self, id: EndpointId) -> Result<(), CommitError> {
        let write = self
            .decide(move |view, now| endpoint_commands::delete(view, id, now))
            .await?;
        self.release_rest(id, &write);
        Ok(())
    }

    /// Nobody waits for the rest of a long queue.
    fn release_rest(&self, id: EndpointId, write: &Write) {
        if write.changes.unfinished == Unfinished::Yes {
            let ledger = self.clone();
            tokio::spawn(async move { ledger.release(Owing::Endpoint(id)).await });
        }
    }

    /// Gives an endpoint another key. Returns it as committed.
    pub async fn rotate_endpoint(
        &self,
        id: EndpointId,
        new: SigningKey,
    ) -> Result<Endpoint, CommitError> {
        let write = self
            .decide(move |view, now| endpoint_commands::rotate(view, id, new, now))
            .await?;
        changed_endpoint(&write.changes)
    }

    /// Gives all callbacks another key in place of the one that was made with the data file, or its successor.
    pub async fn rotate_callbacks(
        &self,
        made: SigningKey,
        new: SigningKey,
    ) -> Result<SigningKeys, CommitError> {
        let write = self
            .decide(move |view, now| endpoint_commands::rotate_callbacks(view, &made, new, now))
            .await?;
        match write.changes.endpoints.first() {
            Some(EndpointChange::CallbackKeys(keys)) => Ok(keys.clone()),
            _ => Err(CommitError::Store(StoreError::Closed)),
        }
    }

    /// Makes an event for one endpoint alone.
    pub async fn test_endpoint(&self, id: EndpointId) -> Result<TestSent, CommitError> {
        let write = self
            .decide(move |view, now| endpoint_commands::test(view, id, now))
            .await?;
        let event = write.events.first().map(|event| &event.row);
        let sent = event.map(|row| TestSent {
            event: row.id,
            delivery: DeliveryId {
                sequence: row.sequence,
                endpoint: id,
            },
        });
        sent.ok_or(CommitError::Store(StoreError::Closed))
    }

    /// Brings in a piece of what a receiver missed; see [`recovery::recover`].
    pub async fn recover(
        &self,
        id: EndpointId,
        span: Span,
        after: Option<Sequence>,
    ) -> Result<Progress, CommitError> {
        let told = Arc::new(OnceLock::new());
        let teller = Arc::clone(&told);
        self.decide(move |view, now| {
            let (changes, progress) = recovery::recover(view, id, span, after, now)?;
            teller.get_or_init(|| progress);
            Ok(changes)
        })
        .await?;
        Ok(told.get().copied().unwrap_or_default())
    }
}

fn changed_endpoint(changes: &Changes) -> Result<Endpoint, CommitError> {
    match changes.endpoints.first() {
        Some(EndpointChange::Put(endpoint)) => Ok(endpoint.clone()),
        _ => Err(CommitError::Store(StoreError::Closed)),
    }
}

fn owing_of(delivery: &Delivery) -> Owing {
    match (delivery.id.endpoint, delivery.payment) {
        (EndpointId::CALLBACK, Some(payment)) => Owing::Callback(payment),
        (endpoint, _) => Owing::Endpoint(endpoint),
    }
}
