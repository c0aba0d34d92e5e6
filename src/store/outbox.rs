//! The outbox: events and what is owed of them, written in the commit that they belong to, and removed when they are old.
//!
//! Keeps each lane's order: a delivery is never due before one that its endpoint must hear first.

use redb::ReadableTable;

use super::apply::{Apply, mark, put, remove, remove_range};
use super::tables;
use super::view::{database, get, keys};
use super::{DeliveryUpdate, EventRow, NewEvent, Prune, StoreError};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::{DeliveryId, EndpointId, PaymentId, Sequence, UnixMs};
use crate::domain::payment::TransferRecord;

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
        // The stored row, not the caller's copy, says which due entry to remove. One that is gone stays gone.
        let key = tables::delivery(update.after.id);
        let Some(before) = get(&self.tables.deliveries, &key)? else {
            return Ok(());
        };
        if let Some(attempt) = &update.attempt {
            let key = tables::attempt(update.after.id, update.after.attempts);
            put(&mut self.tables.attempts, &key, attempt)?;
        }
        self.delivery(Some(&before), Some(&update.after))?;
        self.move_followers(&update.after)
    }

    /// What waits behind a delivery in its lane moves with it: never before it, and at once when it is done with.
    fn move_followers(&mut self, head: &Delivery) -> Result<(), StoreError> {
        let Some(payment) = head.payment else {
            return Ok(());
        };
        let (at, done) = match head.state {
            DeliveryState::Due(at) => (at, false),
            DeliveryState::Delivered(at) | DeliveryState::Exhausted(at) => (at, true),
        };
        // Times never fall along a lane. So if its end is due by now all of it is, and a long lane is not rewritten for
        // each delivery that leaves it.
        let last = self.last_in_lane(payment, head.id.endpoint)?;
        if last.is_none_or(|last| done && last <= at) {
            return Ok(());
        }
        let from = tables::lane(payment, head.id);
        let to = tables::after_prefix(&tables::lane_prefix(payment, head.id.endpoint));
        for key in keys(&self.tables.lanes, &from, &to, usize::MAX)? {
            let id = tables::lane_sequence(&key).map(|sequence| DeliveryId {
                sequence,
                endpoint: head.id.endpoint,
            });
            let Some(id) = id.filter(|id| *id != head.id) else {
                continue;
            };
            if let Some(follower) = get::<Delivery>(&self.tables.deliveries, &tables::delivery(id))?
            {
                let moved = Delivery {
                    state: DeliveryState::Due(at),
                    ..follower.clone()
                };
                self.delivery(Some(&follower), Some(&moved))?;
            }
        }
        Ok(())
    }

    /// When the last delivery still owed to an endpoint for a payment is due; none of its lane is due later.
    fn last_in_lane(
        &self,
        payment: PaymentId,
        endpoint: EndpointId,
    ) -> Result<Option<UnixMs>, StoreError> {
        let prefix = tables::lane_prefix(payment, endpoint);
        let end = tables::after_prefix(&prefix);
        let mut lane = self
            .tables
            .lanes
            .range::<&[u8]>(&prefix[..]..&end[..])
            .map_err(database)?;
        let Some(entry) = lane.next_back() else {
            return Ok(None);
        };
        let (_, time) = entry.map_err(database)?;
        let time = time.value().try_into().map(u64::from_be_bytes);
        let time = time.map_err(|_| StoreError::Corrupt("a lane".to_owned()))?;
        Ok(Some(UnixMs(time)))
    }

    /// A new delivery is due at `at`, but never before one that its endpoint must hear first.
    fn lane_due(
        &self,
        payment: Option<PaymentId>,
        endpoint: EndpointId,
        at: UnixMs,
    ) -> Result<UnixMs, StoreError> {
        let Some(payment) = payment else {
            return Ok(at);
        };
        let last = self.last_in_lane(payment, endpoint)?;
        Ok(last.map_or(at, |last| last.max(at)))
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
                if let Some(payment) = before.payment {
                    remove(&mut self.tables.lanes, &tables::lane(payment, before.id))?;
                }
            }
        }
        match (before, after) {
            (_, Some(after)) => {
                self.count_delivery(after.state, Step::Enter);
                if let DeliveryState::Due(at) = after.state {
                    mark(&mut self.tables.due, &tables::due(at, after.id))?;
                    if let Some(payment) = after.payment {
                        let key = tables::lane(payment, after.id);
                        let lanes = &mut self.tables.lanes;
                        lanes
                            .insert(&key[..], &at.0.to_be_bytes()[..])
                            .map_err(database)?;
                    }
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
            let transfer = key.get(8..).unwrap_or_default();
            if let Some(record) = get::<TransferRecord>(&self.tables.transfers, transfer)? {
                let recent = tables::recent_transfer(record.height, &record.key);
                remove(&mut self.tables.recent_transfers, &recent)?;
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
