//! The one writer: gathers waiting plans, runs each on the state its predecessor left, and commits them together.
//!
//! A plan that is refused writes nothing and harms no other; an error of the disk undoes the whole group.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::{Database, ReadableTable};
use tokio::sync::{mpsc, oneshot};

use super::rows::{CursorHeights, State, Stored, status_place};
use super::tables;
use super::view::{CommitView, WriteTables, cursor_of, database, get, keys};
use super::{CommitError, DeliveryUpdate, EventRow, NewEvent, Plan, Prune, StoreError, Write};
use crate::domain::changes::{ChainChange, PaymentChange, PaymentKeys};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::{
    ChainId, DeliveryId, EndpointId, Height, PaymentId, Sequence, TransferKey, UnixMs,
};
use crate::domain::payment::{Payment, Status, TransferRecord, TransferState};

/// Plans in one commit at most.
const GROUP_PLANS: usize = 512;
/// Blocks remembered behind the tip; no fork can reach deeper.
pub const MAX_FORK_BLOCKS: u64 = 4_096;

pub type Reply = oneshot::Sender<Result<Arc<Write>, CommitError>>;

/// A plan and who waits for it.
pub struct Job {
    pub plan: Plan,
    pub reply: Reply,
}

/// What the writer does once a group is on disk, before anyone gets an answer.
pub trait Publish: Send + 'static {
    fn publish(&self, state: State, writes: &[Arc<Write>]);
}

/// Runs until every sender is gone and the queue is empty.
pub fn run(db: &Database, mut state: State, mut jobs: mpsc::Receiver<Job>, publish: &dyn Publish) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_PLANS {
            match jobs.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        let (plans, replies): (Vec<Plan>, Vec<Reply>) =
            group.into_iter().map(|job| (job.plan, job.reply)).unzip();
        match commit_group(db, state, plans) {
            Ok((after, outcomes)) => {
                state = after;
                let writes: Vec<_> = outcomes.iter().flatten().map(Arc::clone).collect();
                publish.publish(state, &writes);
                answer(replies, outcomes);
            }
            Err(error) => {
                tracing::error!(error = %describe(&error), "a commit failed; nothing of it was written");
                let failures = std::iter::repeat_with(|| Err(CommitError::Store(copy_of(&error))));
                answer(replies, failures);
            }
        }
    }
}

fn answer(
    replies: Vec<Reply>,
    outcomes: impl IntoIterator<Item = Result<Arc<Write>, CommitError>>,
) {
    for (reply, outcome) in replies.into_iter().zip(outcomes) {
        if reply.send(outcome).is_err() {
            tracing::debug!("whoever asked for a commit no longer waits for it");
        }
    }
}

/// The error and its sources in one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

fn copy_of(error: &StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(text) => StoreError::Corrupt(text.clone()),
        other => StoreError::Database(describe(other).into()),
    }
}

type Outcomes = Vec<Result<Arc<Write>, CommitError>>;

fn commit_group(
    db: &Database,
    before: State,
    plans: Vec<Plan>,
) -> Result<(State, Outcomes), StoreError> {
    let txn = db.begin_write().map_err(database)?;
    let mut state = before;
    let mut outcomes = Vec::with_capacity(plans.len());
    {
        let mut tables = WriteTables::open(&txn)?;
        for plan in plans {
            let planned = run_plan(
                plan,
                &CommitView {
                    tables: &tables,
                    state: &state,
                },
            );
            match planned {
                Ok(write) => {
                    Apply {
                        tables: &mut tables,
                        state: &mut state,
                    }
                    .write(&write)?;
                    outcomes.push(Ok(Arc::new(write)));
                }
                Err(error) => outcomes.push(Err(error)),
            }
        }
        put(&mut tables.meta, tables::META_STATE, &state)?;
    }
    if outcomes.iter().any(Result::is_ok) {
        txn.commit().map_err(database)?;
    } else {
        txn.abort().map_err(database)?;
    }
    Ok((state, outcomes))
}

/// A plan only reads, so one that panics leaves nothing half done: it fails alone, and the writer lives on.
fn run_plan(plan: Plan, view: &CommitView<'_, '_>) -> Result<Write, CommitError> {
    match catch_unwind(AssertUnwindSafe(|| plan(view))) {
        Ok(planned) => Ok(planned?),
        Err(_) => {
            tracing::error!("a decision panicked; nothing of it was written");
            Err(CommitError::Store(StoreError::PlanPanicked))
        }
    }
}

fn put<T: Stored>(
    table: &mut super::view::WriteTable<'_>,
    key: &[u8],
    value: &T,
) -> Result<(), StoreError> {
    let bytes = value.encode()?;
    table.insert(key, bytes.as_slice()).map_err(database)?;
    Ok(())
}

fn mark(table: &mut super::view::WriteTable<'_>, key: &[u8]) -> Result<(), StoreError> {
    table.insert(key, [].as_slice()).map_err(database)?;
    Ok(())
}

fn remove(table: &mut super::view::WriteTable<'_>, key: &[u8]) -> Result<(), StoreError> {
    table.remove(key).map_err(database)?;
    Ok(())
}

fn remove_range(
    table: &mut super::view::WriteTable<'_>,
    from: &[u8],
    to: &[u8],
) -> Result<(), StoreError> {
    table
        .retain_in::<&[u8], _>(from..to, |_, _| false)
        .map_err(database)
}

/// Writes one plan's result into the open tables.
struct Apply<'a, 'txn> {
    tables: &'a mut WriteTables<'txn>,
    state: &'a mut State,
}

impl Apply<'_, '_> {
    fn write(&mut self, write: &Write) -> Result<(), StoreError> {
        for change in &write.changes.payments {
            self.payment(change)?;
        }
        for record in &write.changes.transfers {
            self.transfer(record)?;
        }
        for event in &write.events {
            self.event(event)?;
        }
        for update in &write.deliveries {
            self.delivery_update(update)?;
        }
        if let Some((chain, change)) = write.changes.chain {
            self.chain(chain, change)?;
        }
        if let Some(prune) = write.prune {
            self.prune_events(prune)?;
        }
        Ok(())
    }

    fn payment(&mut self, change: &PaymentChange) -> Result<(), StoreError> {
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        let Some(payment) = after.or(before) else {
            return Ok(());
        };
        if let Some(before) = before {
            let count = self.counter(before.status);
            *count = count.checked_sub(1).ok_or_else(|| {
                StoreError::Corrupt(format!(
                    "payment {} was not counted as {}",
                    before.id,
                    before.status.as_str()
                ))
            })?;
        }
        match after {
            Some(after) => {
                *self.counter(after.status) += 1;
                put(&mut self.tables.payments, &tables::payment(after.id), after)?;
                if before.is_none() {
                    let id = tables::payment(after.id);
                    self.tables
                        .orders
                        .insert(after.order_id.as_bytes(), id.as_slice())
                        .map_err(database)?;
                }
            }
            None => self.remove_payment(payment)?,
        }
        self.payment_keys(
            payment.id,
            &PaymentKeys::of_option(before),
            &PaymentKeys::of_option(after),
        )
    }

    fn counter(&mut self, status: Status) -> &mut u64 {
        &mut self.state.counters.by_status[usize::from(status_place(status))]
    }

    fn payment_keys(
        &mut self,
        id: PaymentId,
        before: &PaymentKeys,
        after: &PaymentKeys,
    ) -> Result<(), StoreError> {
        if before.claim != after.claim {
            if let Some(claim) = before.claim {
                remove(&mut self.tables.claims, &tables::claim(&claim))?;
            }
            if let Some(claim) = after.claim {
                let tolerance = claim.claim.tolerance.base_units().to_be_bytes();
                self.tables
                    .claims
                    .insert(&tables::claim(&claim)[..], &tolerance[..])
                    .map_err(database)?;
            }
        }
        if before.awaits != after.awaits {
            if let Some((chain, awaits)) = before.awaits {
                remove(&mut self.tables.awaits, &tables::awaits(chain, awaits, id))?;
            }
            if let Some((chain, awaits)) = after.awaits {
                mark(&mut self.tables.awaits, &tables::awaits(chain, awaits, id))?;
            }
        }
        if before.timer != after.timer {
            if let Some((timer, at)) = before.timer {
                remove(&mut self.tables.timers, &tables::timer(timer, at, id))?;
            }
            if let Some((timer, at)) = after.timer {
                mark(&mut self.tables.timers, &tables::timer(timer, at, id))?;
            }
        }
        Ok(())
    }

    fn remove_payment(&mut self, payment: &Payment) -> Result<(), StoreError> {
        remove(&mut self.tables.payments, &tables::payment(payment.id))?;
        remove(&mut self.tables.orders, payment.order_id.as_bytes())?;
        for credit in &payment.credits {
            let key = TransferKey {
                chain: payment.chain,
                txid: credit.txid,
                log_index: credit.log_index,
            };
            self.remove_own_transfer(payment.id, &key)?;
        }
        Ok(())
    }

    /// A transfer that a fork took from this payment may since belong to another, or be kept as unmatched.
    fn remove_own_transfer(&mut self, id: PaymentId, key: &TransferKey) -> Result<(), StoreError> {
        let bytes = tables::transfer(key);
        let Some(record) = get::<TransferRecord>(&self.tables.transfers, &bytes)? else {
            return Ok(());
        };
        match record.state {
            TransferState::Credited(owner) if owner != id => return Ok(()),
            TransferState::Unmatched { .. } => return Ok(()),
            TransferState::Credited(_) | TransferState::Reverted => {}
        }
        let recent = tables::recent_transfer(record.height, key);
        remove(&mut self.tables.recent_transfers, &recent)?;
        remove(&mut self.tables.transfers, &bytes)
    }

    fn transfer(&mut self, record: &TransferRecord) -> Result<(), StoreError> {
        let key = tables::transfer(&record.key);
        if let Some(old) = get::<TransferRecord>(&self.tables.transfers, &key)? {
            remove(
                &mut self.tables.recent_transfers,
                &tables::recent_transfer(old.height, &old.key),
            )?;
            remove(
                &mut self.tables.unmatched,
                &tables::unmatched(old.block_time, &old.key),
            )?;
        }
        put(&mut self.tables.transfers, &key, record)?;
        if record.state != TransferState::Reverted {
            mark(
                &mut self.tables.recent_transfers,
                &tables::recent_transfer(record.height, &record.key),
            )?;
        }
        if matches!(record.state, TransferState::Unmatched { .. }) {
            mark(
                &mut self.tables.unmatched,
                &tables::unmatched(record.block_time, &record.key),
            )?;
        }
        Ok(())
    }

    fn event(&mut self, event: &NewEvent) -> Result<(), StoreError> {
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

    fn delivery_update(&mut self, update: &DeliveryUpdate) -> Result<(), StoreError> {
        if let Some(attempt) = &update.attempt {
            let key = tables::attempt(update.after.id, update.after.attempts);
            put(&mut self.tables.attempts, &key, attempt)?;
        }
        // The stored row, not the caller's copy, says which due entry to remove.
        let before = get(&self.tables.deliveries, &tables::delivery(update.after.id))?;
        self.delivery(before.as_ref(), Some(&update.after))?;
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

    fn chain(&mut self, chain: ChainId, change: ChainChange) -> Result<(), StoreError> {
        let old = cursor_of(&self.tables.meta, &self.tables.blocks, chain)?;
        let old_final = old.map(|c| c.final_height).unwrap_or_default();
        let (tip, final_height) = match change {
            ChainChange::Append(header) => {
                put(
                    &mut self.tables.blocks,
                    &tables::height(chain, header.height),
                    &header,
                )?;
                let oldest = Height(header.height.0.saturating_sub(MAX_FORK_BLOCKS));
                let (from, to) = (
                    tables::height(chain, Height(0)),
                    tables::height(chain, oldest),
                );
                remove_range(&mut self.tables.blocks, &from, &to)?;
                remove_range(&mut self.tables.recent_transfers, &from, &to)?;
                (header.height, old_final)
            }
            ChainChange::Rollback(header) => {
                let from = tables::height(chain, header.height.next());
                let to = tables::after_prefix(&chain.0.to_be_bytes());
                remove_range(&mut self.tables.blocks, &from, &to)?;
                put(
                    &mut self.tables.blocks,
                    &tables::height(chain, header.height),
                    &header,
                )?;
                (header.height, old_final)
            }
            ChainChange::Jump(header) => {
                let (from, to) = (
                    chain.0.to_be_bytes(),
                    tables::after_prefix(&chain.0.to_be_bytes()),
                );
                remove_range(&mut self.tables.blocks, &from, &to)?;
                remove_range(&mut self.tables.recent_transfers, &from, &to)?;
                put(
                    &mut self.tables.blocks,
                    &tables::height(chain, header.height),
                    &header,
                )?;
                (header.height, old_final.min(header.height))
            }
            ChainChange::Final(height) => {
                let start = tables::height(chain, Height(0));
                remove_range(
                    &mut self.tables.blocks,
                    &start,
                    &tables::height(chain, height),
                )?;
                remove_range(
                    &mut self.tables.recent_transfers,
                    &start,
                    &tables::height(chain, height.next()),
                )?;
                let tip = old.map(|c| c.tip.height).unwrap_or(height);
                (tip, height)
            }
        };
        put(
            &mut self.tables.meta,
            &tables::cursor(chain),
            &CursorHeights { tip, final_height },
        )
    }

    /// Removes events from the front of the log, with their deliveries; stops at one that is still owed.
    fn prune_events(&mut self, prune: Prune) -> Result<(), StoreError> {
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

/// Reads the numbers that the writer starts from.
pub fn load_state(
    meta: &impl ReadableTable<tables::Bytes, tables::Bytes>,
) -> Result<State, StoreError> {
    Ok(get(meta, tables::META_STATE)?.unwrap_or(State::START))
}
