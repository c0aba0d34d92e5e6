//! The outbox: events and what is owed of them, written in the commit that they belong to, and removed when they are old.
//!
//! Keeps each lane's order: a delivery is never due before one that its endpoint must hear first.

use super::apply::{Apply, mark, put, remove, remove_range};
use super::tables;
use super::view::{get, keys};
use super::{DeliveryUpdate, EventRow, NewEvent, Prune, StoreError};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::{DeliveryId, EndpointId, PaymentId, Sequence, UnixMs};

impl Apply<'_, '_> {
    pub(super) fn event(&mut self, event: &NewEvent) -> Result<(), StoreError> {
        let row = &event.row;
        if row.sequence != self.state.next_sequence {
            return Err(StoreError::Corrupt(format!(
                "event {} was planned where {} is next",
                row.sequence.0, self.state.next_sequence.0
            )));
        }
        self.state.next_sequence = Sequence(row.sequence.0 + 1);
        put(
            &mut self.tables.events,
            &tables::sequence(row.sequence),
            row,
        )?;
        if let Some(payment) = row.payment {
            mark(
                &mut self.tables.payment_events,
                &tables::payment_event(payment, row.sequence),
            )?;
        }
        for (endpoint, url) in &event.owed {
            let delivery = Delivery {
                id: DeliveryId {
                    sequence: row.sequence,
                    endpoint: *endpoint,
                },
                kind: row.kind,
                payment: row.payment,
                url: url.clone(),
                created_at: row.at,
                state: DeliveryState::Due(self.lane_due(row.payment, *endpoint, row.at)?),
                attempts: 0,
                last: None,
            };
            self.delivery(None, Some(&delivery))?;
        }
        Ok(())
    }

    pub(super) fn delivery_update(&mut self, update: &DeliveryUpdate) -> Result<(), StoreError> {
        if let Some(attempt) = &update.attempt {
            let key = tables::attempt(update.after.id, update.after.attempts);
            put(&mut self.tables.attempts, &key, attempt)?;
        }
        // The stored row, not the caller's copy, says which due entry to remove.
        let before = get(&self.tables.deliveries, &tables::delivery(update.after.id))?;
        self.delivery(before.as_ref(), Some(&update.after))?;
        // What waits behind this one in its lane moves with it.
        let at = match update.after.state {
            DeliveryState::Due(at)
            | DeliveryState::Delivered(at)
            | DeliveryState::Exhausted(at) => at,
        };
        for follower in self.lane(update.after.payment, update.after.id.endpoint)? {
            if follower.id > update.after.id {
                let moved = Delivery {
                    state: DeliveryState::Due(at),
                    ..follower.clone()
                };
                self.delivery(Some(&follower), Some(&moved))?;
            }
        }
        Ok(())
    }

    /// The deliveries still owed to one endpoint for one payment, oldest first.
    fn lane(
        &self,
        payment: Option<PaymentId>,
        endpoint: EndpointId,
    ) -> Result<Vec<Delivery>, StoreError> {
        let Some(payment) = payment else {
            return Ok(Vec::new());
        };
        let prefix = tables::payment(payment);
        let mut owed = Vec::new();
        for key in keys(
            &self.tables.payment_events,
            &prefix,
            &tables::after_prefix(&prefix),
            usize::MAX,
        )? {
            let Some(sequence) = key.get(16..).and_then(tables::sequence_from) else {
                continue;
            };
            let id = tables::delivery(DeliveryId { sequence, endpoint });
            let delivery = get::<Delivery>(&self.tables.deliveries, &id)?;
            owed.extend(delivery.filter(|d| d.state.is_due()));
        }
        Ok(owed)
    }

    /// A new delivery is due at `at`, but never before one that its endpoint must hear first.
    fn lane_due(
        &self,
        payment: Option<PaymentId>,
        endpoint: EndpointId,
        at: UnixMs,
    ) -> Result<UnixMs, StoreError> {
        let ahead = self.lane(payment, endpoint)?;
        let last = ahead.iter().filter_map(|d| match d.state {
            DeliveryState::Due(at) => Some(at),
            DeliveryState::Delivered(_) | DeliveryState::Exhausted(_) => None,
        });
        Ok(last.max().unwrap_or(at).max(at))
    }

    fn delivery(
        &mut self,
        before: Option<&Delivery>,
        after: Option<&Delivery>,
    ) -> Result<(), StoreError> {
        if let Some(before) = before {
            self.count_delivery(before.state, Step::Leave);
            if let DeliveryState::Due(at) = before.state {
                remove(&mut self.tables.due, &tables::due(at, before.id))?;
            }
        }
        match (before, after) {
            (_, Some(after)) => {
                self.count_delivery(after.state, Step::Enter);
                if let DeliveryState::Due(at) = after.state {
                    mark(&mut self.tables.due, &tables::due(at, after.id))?;
                }
                put(
                    &mut self.tables.deliveries,
                    &tables::delivery(after.id),
                    after,
                )
            }
            (Some(before), None) => {
                let key = tables::delivery(before.id);
                remove(&mut self.tables.deliveries, &key)?;
                remove_range(&mut self.tables.attempts, &key, &tables::after_prefix(&key))
            }
            (None, None) => Ok(()),
        }
    }

    fn count_delivery(&mut self, state: DeliveryState, step: Step) {
        let counters = &mut self.state.counters;
        let counter = match state {
            DeliveryState::Due(_) => &mut counters.deliveries_due,
            DeliveryState::Exhausted(_) => &mut counters.deliveries_exhausted,
            DeliveryState::Delivered(_) => return,
        };
        *counter = match step {
            Step::Enter => counter.saturating_add(1),
            Step::Leave => counter.saturating_sub(1),
        };
    }

    /// Removes events from the front of the log, with their deliveries; stops at one that is still owed.
    pub(super) fn prune_events(&mut self, prune: Prune) -> Result<(), StoreError> {
        let first = tables::sequence(self.state.first_sequence);
        for key in keys(&self.tables.events, &first, &[0xff; 8], prune.limit)? {
            let Some(event) = get::<EventRow>(&self.tables.events, &key)? else {
                continue;
            };
            if event.at >= prune.before || self.is_owed(&key)? {
                break;
            }
            self.remove_deliveries(&key)?;
            if let Some(payment) = event.payment {
                remove(
                    &mut self.tables.payment_events,
                    &tables::payment_event(payment, event.sequence),
                )?;
            }
            remove(&mut self.tables.events, &key)?;
            self.state.first_sequence = Sequence(event.sequence.0 + 1);
        }
        self.prune_unmatched(prune)
    }

    fn prune_unmatched(&mut self, prune: Prune) -> Result<(), StoreError> {
        let end = prune.before.0.to_be_bytes();
        for key in keys(&self.tables.unmatched, &[], &end, prune.limit)? {
            if let Some(transfer) = key.get(8..) {
                remove(&mut self.tables.transfers, transfer)?;
            }
            remove(&mut self.tables.unmatched, &key)?;
        }
        Ok(())
    }

    fn deliveries_of(&self, event_key: &[u8]) -> Result<Vec<Delivery>, StoreError> {
        let end = tables::after_prefix(event_key);
        keys(&self.tables.deliveries, event_key, &end, usize::MAX)?
            .iter()
            .filter_map(|key| get(&self.tables.deliveries, key).transpose())
            .collect()
    }

    fn is_owed(&self, event_key: &[u8]) -> Result<bool, StoreError> {
        Ok(self
            .deliveries_of(event_key)?
            .iter()
            .any(|d| d.state.is_due()))
    }

    fn remove_deliveries(&mut self, event_key: &[u8]) -> Result<(), StoreError> {
        for delivery in self.deliveries_of(event_key)? {
            self.delivery(Some(&delivery), None)?;
        }
        Ok(())
    }
}

enum Step {
    Enter,
    Leave,
}
