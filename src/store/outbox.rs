//! The outbox: events and what is owed of them, written in the commit that they belong to, and removed when they are old.
//!
//! Keeps each lane's order: a delivery is never due before one that its endpoint must hear first.

use redb::ReadableTable;

use super::apply::{Apply, mark, put, remove, remove_range};
use super::tables;
use super::view::{database, get, keys};
use super::{EventRow, NewEvent, Prune, StoreError};
use crate::domain::delivery::{Delivery, DeliveryState, DeliveryUpdate};
use crate::domain::ids::{DeliveryId, EndpointId, Sequence, UnixMs};
use crate::domain::payment::TransferRecord;
use crate::domain::target::Target;

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
            let id = DeliveryId {
                sequence: row.sequence,
                endpoint: *endpoint,
            };
            let new = Delivery::new(id, row.kind, row.payment, url, row.at);
            self.place(None, new)?;
        }
        Ok(())
    }

    pub(super) fn delivery_update(&mut self, update: &DeliveryUpdate) -> Result<(), StoreError> {
        // The stored row, not the caller's copy, says which due entry to remove.
        let id = update.after.id;
        let before: Option<Delivery> = get(&self.tables.deliveries, &tables::delivery(id))?;
        if before.is_none() && !self.is_in_log(id.sequence)? {
            // Pruned with its event: it stays gone.
            return Ok(());
        }
        if let Some(attempt) = &update.attempt {
            let key = tables::attempt(id, update.after.attempts);
            put(&mut self.tables.attempts, &key, attempt)?;
        }
        self.place(before.as_ref(), update.after.clone())
    }

    fn is_in_log(&self, sequence: Sequence) -> Result<bool, StoreError> {
        let key = tables::sequence(sequence);
        let found = self.tables.events.get(&key[..]).map_err(database)?;
        Ok(found.is_some())
    }

    /// Writes a delivery where its lane has room for it: never due before one that its endpoint must hear first.
    fn place(&mut self, before: Option<&Delivery>, mut after: Delivery) -> Result<(), StoreError> {
        self.leave(before)?;
        let ahead = self.lane_ahead(&after)?;
        if let DeliveryState::Due(at) = &mut after.state {
            *at = ahead.max(*at);
        }
        self.enter(&after)?;
        match after.state {
            DeliveryState::Due(at) => self.hold_followers(&after, at),
            DeliveryState::Delivered(at) | DeliveryState::Exhausted(at) => {
                self.let_followers_go(&after, ahead.max(at))
            }
        }
    }

    /// When the last delivery before this one in its lane is due; the beginning of time where there is none.
    fn lane_ahead(&self, delivery: &Delivery) -> Result<UnixMs, StoreError> {
        let Some(payment) = delivery.payment else {
            return Ok(UnixMs(0));
        };
        let prefix = tables::lane_prefix(payment, delivery.id.endpoint);
        let own = tables::lane(payment, delivery.id);
        let lane = self.tables.lanes.range::<&[u8]>(&prefix[..]..&own[..]);
        let last = lane.map_err(database)?.next_back();
        last.map_or(Ok(UnixMs(0)), |entry| {
            lane_time(entry.map_err(database)?.1.value())
        })
    }

    /// What is behind a delivery that waits is not due before it. Times never fall along a lane, so the first that is
    /// late enough ends the walk.
    fn hold_followers(&mut self, head: &Delivery, at: UnixMs) -> Result<(), StoreError> {
        let Some((from, to)) = lane_behind(head) else {
            return Ok(());
        };
        let mut early = Vec::new();
        let lane = self.tables.lanes.range::<&[u8]>(&from[..]..&to[..]);
        for entry in lane.map_err(database)? {
            let (key, time) = entry.map_err(database)?;
            if lane_time(time.value())? >= at {
                break;
            }
            early.extend(tables::lane_sequence(key.value()));
        }
        self.move_to(head.id.endpoint, &early, at)
    }

    /// What waited behind a delivery that is done with waits no longer. From the end of the lane, so that a long one is
    /// not read through for each delivery that leaves it.
    fn let_followers_go(&mut self, head: &Delivery, at: UnixMs) -> Result<(), StoreError> {
        let Some((from, to)) = lane_behind(head) else {
            return Ok(());
        };
        let mut late = Vec::new();
        let lane = self.tables.lanes.range::<&[u8]>(&from[..]..&to[..]);
        for entry in lane.map_err(database)?.rev() {
            let (key, time) = entry.map_err(database)?;
            if lane_time(time.value())? <= at {
                break;
            }
            late.extend(tables::lane_sequence(key.value()));
        }
        self.move_to(head.id.endpoint, &late, at)
    }

    fn move_to(
        &mut self,
        endpoint: EndpointId,
        sequences: &[Sequence],
        at: UnixMs,
    ) -> Result<(), StoreError> {
        for sequence in sequences {
            let id = DeliveryId {
                sequence: *sequence,
                endpoint,
            };
            let key = tables::delivery(id);
            if let Some(follower) = get::<Delivery>(&self.tables.deliveries, &key)? {
                let moved = Delivery {
                    state: DeliveryState::Due(at),
                    ..follower.clone()
                };
                self.leave(Some(&follower))?;
                self.enter(&moved)?;
            }
        }
        Ok(())
    }

    /// Takes a delivery out of the counts and keys; its row stays.
    fn leave(&mut self, delivery: Option<&Delivery>) -> Result<(), StoreError> {
        let Some(delivery) = delivery else {
            return Ok(());
        };
        self.count_delivery(delivery.state, Step::Leave);
        if let DeliveryState::Due(at) = delivery.state {
            self.due_key(delivery, at, Step::Leave)?;
            if let Some(payment) = delivery.payment {
                remove(&mut self.tables.lanes, &tables::lane(payment, delivery.id))?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        self.count_delivery(delivery.state, Step::Enter);
        if let DeliveryState::Due(at) = delivery.state {
            self.due_key(delivery, at, Step::Enter)?;
            if let Some(payment) = delivery.payment {
                let key = tables::lane(payment, delivery.id);
                let time = at.0.to_be_bytes();
                let lanes = &mut self.tables.lanes;
                lanes.insert(&key[..], &time[..]).map_err(database)?;
            }
        }
        let key = tables::delivery(delivery.id);
        put(&mut self.tables.deliveries, &key, delivery)
    }

    /// Writes or removes a due key, and moves its target's place among the targets where that changes its first.
    fn due_key(&mut self, delivery: &Delivery, at: UnixMs, step: Step) -> Result<(), StoreError> {
        let target = delivery.target;
        let before = self.first_due(target)?;
        let key = tables::due(target, at, delivery.id);
        match step {
            Step::Enter => mark(&mut self.tables.due, &key)?,
            Step::Leave => remove(&mut self.tables.due, &key)?,
        }
        let after = self.first_due(target)?;
        if before == after {
            return Ok(());
        }
        let heads = &mut self.tables.due_targets;
        if let Some(at) = before {
            remove(heads, &tables::due_target(at, target))?;
        }
        if let Some(at) = after {
            mark(heads, &tables::due_target(at, target))?;
        }
        Ok(())
    }

    fn first_due(&self, target: Target) -> Result<Option<UnixMs>, StoreError> {
        let prefix = tables::target(target);
        let end = tables::after_prefix(&prefix);
        let first = keys(&self.tables.due, &prefix, &end, 1)?;
        Ok(first.first().and_then(|key| tables::due_time_from(key)))
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
            self.leave(Some(&delivery))?;
            let key = tables::delivery(delivery.id);
            remove(&mut self.tables.deliveries, &key)?;
            remove_range(&mut self.tables.attempts, &key, &tables::after_prefix(&key))?;
        }
        Ok(())
    }
}

/// The part of a lane behind a delivery, which itself is not in it.
fn lane_behind(head: &Delivery) -> Option<(Vec<u8>, Vec<u8>)> {
    let payment = head.payment?;
    let next = DeliveryId {
        sequence: Sequence(head.id.sequence.0.saturating_add(1)),
        ..head.id
    };
    let prefix = tables::lane_prefix(payment, head.id.endpoint);
    Some((tables::lane(payment, next), tables::after_prefix(&prefix)))
}

fn lane_time(bytes: &[u8]) -> Result<UnixMs, StoreError> {
    let time = bytes.try_into().map(u64::from_be_bytes);
    time.map(UnixMs)
        .map_err(|_| StoreError::Corrupt("a lane".to_owned()))
}

#[derive(Clone, Copy)]
enum Step {
    Enter,
    Leave,
}
