//! One plan's result, written into the open tables: payments with their secondary keys, transfers, the chain.
//!
//! Events and webhooks are `outbox`'s. Refuses to commit: that is the writer's.

use std::sync::Arc;

use super::rows::{CursorHeights, State, Stored, status_place};
use super::tables;
use super::view::{WriteTable, WriteTables, cursor_of, database, get};
use super::{StoreError, Write};
use crate::domain::api_keys::{ApiKeys, KeyChange};
use crate::domain::chain::BlockHeader;
use crate::domain::changes::{AnswerChange, ChainChange, PaymentChange, PaymentKeys};
use crate::domain::endpoints::{EndpointChange, Endpoints};
use crate::domain::idempotency::KeptAnswer;
use crate::domain::ids::{ChainId, EndpointId, Height, PaymentId, TransferKey};
use crate::domain::payment::{Payment, Status, TransferRecord, TransferState};

/// Blocks remembered behind the tip; no fork can reach deeper.
pub const MAX_FORK_BLOCKS: u64 = 4_096;

pub(super) fn put<T: Stored>(
    table: &mut WriteTable<'_>,
    key: &[u8],
    value: &T,
) -> Result<(), StoreError> {
    let bytes = value.encode()?;
    table.insert(key, bytes.as_slice()).map_err(database)?;
    Ok(())
}

pub(super) fn mark(table: &mut WriteTable<'_>, key: &[u8]) -> Result<(), StoreError> {
    table.insert(key, [].as_slice()).map_err(database)?;
    Ok(())
}

pub(super) fn remove(table: &mut WriteTable<'_>, key: &[u8]) -> Result<(), StoreError> {
    table.remove(key).map_err(database)?;
    Ok(())
}

pub(super) fn remove_range(
    table: &mut WriteTable<'_>,
    from: &[u8],
    to: &[u8],
) -> Result<(), StoreError> {
    table
        .retain_in::<&[u8], _>(from..to, |_, _| false)
        .map_err(database)
}

/// Writes one plan's result into the open tables.
pub(super) struct Apply<'a, 'txn> {
    pub(super) tables: &'a mut WriteTables<'txn>,
    pub(super) state: &'a mut State,
    pub(super) endpoints: &'a mut Arc<Endpoints>,
    pub(super) api_keys: &'a mut Arc<ApiKeys>,
}

impl Apply<'_, '_> {
    pub(super) fn write(&mut self, write: &Write) -> Result<(), StoreError> {
        for change in &write.changes.payments {
            self.payment(change)?;
        }
        for record in &write.changes.transfers {
            self.transfer(record)?;
        }
        for event in &write.events {
            self.event(event)?;
        }
        for change in &write.changes.endpoints {
            self.endpoint(change)?;
        }
        for change in &write.changes.api_keys {
            self.api_key(change)?;
        }
        for update in &write.changes.deliveries {
            self.delivery_update(update)?;
        }
        if let Some((chain, change)) = write.changes.chain {
            self.chain(chain, change)?;
        }
        if let Some((account, next)) = &write.changes.next_index {
            put(&mut self.tables.accounts, &account.0, next)?;
        }
        for change in &write.changes.answers {
            self.answer(change)?;
        }
        if let Some(prune) = write.prune {
            self.prune_events(prune)?;
        }
        Ok(())
    }

    fn answer(&mut self, change: &AnswerChange) -> Result<(), StoreError> {
        let key = change.key;
        if let Some(old) = get::<KeptAnswer>(&self.tables.answers, &key.0)? {
            let old = tables::answer_time(old.created_at, key);
            remove(&mut self.tables.answer_times, &old)?;
        }
        let Some(answer) = &change.after else {
            return remove(&mut self.tables.answers, &key.0);
        };
        put(&mut self.tables.answers, &key.0, answer)?;
        let at = tables::answer_time(answer.created_at, key);
        mark(&mut self.tables.answer_times, &at)
    }

    fn endpoint(&mut self, change: &EndpointChange) -> Result<(), StoreError> {
        let endpoints = Arc::make_mut(self.endpoints);
        let newest = endpoints.newest_id();
        endpoints.apply(change);
        if endpoints.newest_id() != newest {
            let newest = EndpointId(endpoints.newest_id());
            put(&mut self.tables.meta, tables::META_NEWEST_ENDPOINT, &newest)?;
        }
        match change {
            EndpointChange::Put(endpoint) => {
                let key = tables::endpoint(endpoint.id);
                put(&mut self.tables.endpoints, &key, endpoint)
            }
            EndpointChange::Remove(id) => {
                remove(&mut self.tables.endpoints, &tables::endpoint(*id))
            }
            EndpointChange::CallbackKeys(keys) => {
                put(&mut self.tables.meta, tables::META_CALLBACK_KEYS, keys)
            }
        }
    }

    fn api_key(&mut self, change: &KeyChange) -> Result<(), StoreError> {
        Arc::make_mut(self.api_keys).apply(change);
        match change {
            KeyChange::Put(key) | KeyChange::Used(key) => {
                put(&mut self.tables.api_keys, &tables::api_key(key.id), key)
            }
            KeyChange::Remove(id) => remove(&mut self.tables.api_keys, &tables::api_key(*id)),
        }
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
                    let place = tables::address_payment(after.address, after.id);
                    mark(&mut self.tables.address_payments, &place)?;
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
        let place = tables::address_payment(payment.address, payment.id);
        remove(&mut self.tables.address_payments, &place)?;
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
        remove(&mut self.tables.promises, &bytes)?;
        remove(&mut self.tables.transfers, &bytes)
    }

    fn transfer(&mut self, record: &TransferRecord) -> Result<(), StoreError> {
        let key = tables::transfer(&record.key);
        let mut can_fork = record.state != TransferState::Reverted;
        if let Some(old) = get::<TransferRecord>(&self.tables.transfers, &key)? {
            let recent = tables::recent_transfer(old.height, &old.key);
            let was_recent = self.tables.recent_transfers.remove(&recent[..]);
            let was_recent = was_recent.map_err(database)?.is_some();
            // A transfer that is past all forks stays so, whatever an operator makes of it.
            can_fork &= was_recent || old.state == TransferState::Reverted;
            remove(&mut self.tables.promises, &key)?;
            remove(
                &mut self.tables.unmatched,
                &tables::unmatched(old.block_time, &old.key),
            )?;
        }
        put(&mut self.tables.transfers, &key, record)?;
        if can_fork {
            mark(
                &mut self.tables.recent_transfers,
                &tables::recent_transfer(record.height, &record.key),
            )?;
        }
        if record.promise().is_some() {
            mark(&mut self.tables.promises, &key)?;
        }
        if matches!(record.state, TransferState::Unmatched { .. }) {
            mark(
                &mut self.tables.unmatched,
                &tables::unmatched(record.block_time, &record.key),
            )?;
        }
        Ok(())
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
                self.only_block(chain, &header)?;
                (header.height, old_final.min(header.height))
            }
            ChainChange::Skip(header) => {
                self.only_block(chain, &header)?;
                (header.height, header.height)
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

    /// Forgets all blocks of a chain but this one, and which transfers a fork could take back.
    fn only_block(&mut self, chain: ChainId, header: &BlockHeader) -> Result<(), StoreError> {
        let (from, to) = (
            chain.0.to_be_bytes(),
            tables::after_prefix(&chain.0.to_be_bytes()),
        );
        remove_range(&mut self.tables.blocks, &from, &to)?;
        remove_range(&mut self.tables.recent_transfers, &from, &to)?;
        put(
            &mut self.tables.blocks,
            &tables::height(chain, header.height),
            header,
        )
    }
}
