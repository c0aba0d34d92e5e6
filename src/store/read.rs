//! Queries: each opens one consistent snapshot of what is committed.
//!
//! Blocking code; `redb.rs` runs it off the async threads. Every list has a limit.

mod payments;

use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase};

use super::rows::Stored;
use super::tables::{self, Bytes, Definition};
use super::view::{cursor_of, database, get, keys};
use super::{
    DeliveryFilter, DueKey, DueTarget, EventRow, EventScope, Page, StoreError, TransferFilter,
    WatchedPayment,
};
use crate::domain::account_key::AccountId;
use crate::domain::address::Address;
use crate::domain::chain::BlockHeader;
use crate::domain::changes::{Cursor, Timer};
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::idempotency::{IdempotencyKey, KeptAnswer};
use crate::domain::ids::{
    ChainId, DeliveryId, Height, PaymentId, Sequence, TransferKey, UnixMs, Watched,
};
use crate::domain::payment::{Payment, Status, TransferRecord, TransferState};
use crate::domain::target::Target;
use crate::domain::transfer::TransferPlace;
use crate::domain::wallet::NextIndex;

/// Rows looked at for one page of a filtered list; a page may end early with a `next`.
const SCAN_ROWS: usize = 10_000;
/// Targets with something due that are asked when more falls due. With more of them somebody is busy anyway.
const NEXT_DUE_TARGETS: usize = 1_000;

/// One consistent snapshot.
pub struct Snapshot(ReadTransaction);

impl Snapshot {
    pub fn begin(db: &Database) -> Result<Self, StoreError> {
        db.begin_read().map(Self).map_err(database)
    }

    fn open(&self, definition: Definition) -> Result<ReadOnlyTable<Bytes, Bytes>, StoreError> {
        self.0.open_table(definition).map_err(database)
    }

    pub fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        get(&self.open(tables::PAYMENTS)?, &tables::payment(id))
    }

    pub fn kept_answer(&self, key: IdempotencyKey) -> Result<Option<KeptAnswer>, StoreError> {
        get(&self.open(tables::ANSWERS)?, &key.0)
    }

    pub fn transfer(&self, key: &TransferKey) -> Result<Option<TransferRecord>, StoreError> {
        get(&self.open(tables::TRANSFERS)?, &tables::transfer(key))
    }

    pub fn unmatched(
        &self,
        filter: TransferFilter,
        after: Option<TransferPlace>,
        limit: usize,
    ) -> Result<Page<TransferRecord, TransferPlace>, StoreError> {
        let (index, rows) = (self.open(tables::UNMATCHED)?, self.open(tables::TRANSFERS)?);
        let end = after.map_or_else(
            || tables::after_prefix(&[]),
            |place| tables::unmatched(place.block_time, &place.key),
        );
        let entries = index.range::<&[u8]>(..&end[..]).map_err(database)?;
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        let mut last = None;
        for (looked_at, entry) in entries.rev().enumerate() {
            if page.items.len() == limit || looked_at == SCAN_ROWS {
                page.next = last;
                break;
            }
            let (key, _) = entry.map_err(database)?;
            last = tables::unmatched_from(key.value());
            let row = key.value().get(8..).unwrap_or_default();
            let record: Option<TransferRecord> = get(&rows, row)?;
            page.items.extend(record.filter(|t| is_wanted(filter, t)));
        }
        Ok(page)
    }

    pub fn events(
        &self,
        scope: EventScope,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        let events = self.open(tables::EVENTS)?;
        let next = Sequence(after.0.saturating_add(1));
        match scope {
            EventScope::All => events
                .range::<&[u8]>(&tables::sequence(next)[..]..)
                .map_err(database)?
                .take(limit)
                .map(|entry| EventRow::decode(entry.map_err(database)?.1.value()))
                .collect(),
            EventScope::Payment(id) => {
                let index = self.open(tables::PAYMENT_EVENTS)?;
                let (from, to) = (
                    tables::payment_event(id, next),
                    tables::after_prefix(&tables::payment(id)),
                );
                keys(&index, &from, &to, limit)?
                    .iter()
                    .filter_map(|key| get(&events, key.get(16..)?).transpose())
                    .collect()
            }
        }
    }

    pub fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Page<Delivery, DeliveryId>, StoreError> {
        let matches = |d: &Delivery| filter.wants(d);
        if let Some(payment) = filter.payment {
            return self.deliveries_of(payment, matches, after, limit);
        }
        let table = self.open(tables::DELIVERIES)?;
        let end = after.map(tables::delivery);
        let page = newest_first(&table, end.as_ref().map(|key| &key[..]), limit, matches)?;
        Ok(Page {
            items: page.items,
            next: page.next.as_deref().and_then(tables::delivery_from),
        })
    }

    fn deliveries_of(
        &self,
        payment: PaymentId,
        matches: impl Fn(&Delivery) -> bool,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Page<Delivery, DeliveryId>, StoreError> {
        let table = self.open(tables::DELIVERIES)?;
        let index = self.open(tables::PAYMENT_EVENTS)?;
        let prefix = tables::payment(payment);
        let mut found = Vec::new();
        for event in keys(&index, &prefix, &tables::after_prefix(&prefix), SCAN_ROWS)? {
            let event = event.get(16..).unwrap_or_default();
            for key in keys(&table, event, &tables::after_prefix(event), SCAN_ROWS)? {
                found.extend(get::<Delivery>(&table, &key)?);
            }
        }
        let mut items: Vec<_> = found
            .into_iter()
            .rev()
            .filter(|d| after.is_none_or(|after| d.id < after) && matches(d))
            .collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more {
            items.last().map(|d| d.id)
        } else {
            None
        };
        Ok(Page { items, next })
    }

    pub fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let table = self.open(tables::ATTEMPTS)?;
        let prefix = tables::delivery(id);
        keys(&table, &prefix, &tables::after_prefix(&prefix), SCAN_ROWS)?
            .iter()
            .filter_map(|key| get(&table, key).transpose())
            .collect()
    }

    pub fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        get(&self.open(tables::DELIVERIES)?, &tables::delivery(id))
    }

    pub fn event(&self, sequence: Sequence) -> Result<Option<EventRow>, StoreError> {
        get(&self.open(tables::EVENTS)?, &tables::sequence(sequence))
    }

    pub fn due_targets(
        &self,
        now: UnixMs,
        after: Option<DueTarget>,
        limit: usize,
    ) -> Result<Vec<DueTarget>, StoreError> {
        let start = after.map(|(at, target)| just_behind(&tables::due_target(at, target)));
        let end = now.plus_ms(1).0.to_be_bytes();
        let heads = self.open(tables::DUE_TARGETS)?;
        Ok(keys(&heads, &start.unwrap_or_default(), &end, limit)?
            .iter()
            .filter_map(|key| tables::due_target_from(key))
            .collect())
    }

    pub fn due_of(
        &self,
        target: Target,
        now: UnixMs,
        after: Option<DueKey>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let (due, deliveries) = (self.open(tables::DUE)?, self.open(tables::DELIVERIES)?);
        let start = match after {
            Some((at, id)) => just_behind(&tables::due(target, at, id)),
            None => tables::target(target).to_vec(),
        };
        let end = tables::due_time(target, now.plus_ms(1));
        keys(&due, &start, &end, limit)?
            .iter()
            .filter_map(|key| get(&deliveries, tables::due_delivery(key)).transpose())
            .collect()
    }

    pub fn owed(&self, target: Target, limit: usize) -> Result<usize, StoreError> {
        let start = tables::target(target);
        let end = tables::after_prefix(&start);
        let due = self.open(tables::DUE)?;
        let range = due.range::<&[u8]>(&start[..]..&end[..]);
        Ok(range.map_err(database)?.take(limit).count())
    }

    /// Targets with something due already may have more to come.
    pub fn next_due(&self, after: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        let from = after.plus_ms(1).0.to_be_bytes();
        let (heads, due) = (self.open(tables::DUE_TARGETS)?, self.open(tables::DUE)?);
        let first = keys(&heads, &from, &[0xff; 24], 1)?;
        let mut soonest = first.first().and_then(|key| tables::due_target_from(key));
        for key in keys(&heads, &[], &from, NEXT_DUE_TARGETS)? {
            let Some((_, target)) = tables::due_target_from(&key) else {
                continue;
            };
            let start = tables::due_time(target, after.plus_ms(1));
            let end = tables::after_prefix(&tables::target(target));
            let next = keys(&due, &start, &end, 1)?;
            let next = next.first().and_then(|key| tables::due_time_from(key));
            let next = next.map(|at| (at, target));
            soonest = soonest.into_iter().chain(next).min();
        }
        Ok(soonest.map(|(at, _)| at))
    }

    pub fn cursor(&self, chain: ChainId) -> Result<Option<Cursor>, StoreError> {
        cursor_of(
            &self.open(tables::META)?,
            &self.open(tables::BLOCKS)?,
            chain,
        )
    }

    pub fn block(&self, chain: ChainId, height: Height) -> Result<Option<BlockHeader>, StoreError> {
        get(&self.open(tables::BLOCKS)?, &tables::height(chain, height))
    }

    pub fn next_index(&self, account: AccountId) -> Result<NextIndex, StoreError> {
        let found = get(&self.open(tables::ACCOUNTS)?, &account.0)?;
        Ok(found.unwrap_or_default())
    }

    pub fn watched(&self) -> Result<Vec<WatchedPayment>, StoreError> {
        let table = self.open(tables::CLAIMS)?;
        let entries = table.range::<&[u8]>(..).map_err(database)?;
        let mut found = Vec::new();
        for entry in entries {
            let (key, _) = entry.map_err(database)?;
            found.extend(watched_from(key.value()));
        }
        Ok(found)
    }

    pub fn confirming(&self) -> Result<Vec<Payment>, StoreError> {
        let (awaits, payments) = (self.open(tables::AWAITS)?, self.open(tables::PAYMENTS)?);
        keys(&awaits, &[], &[0xff; 64], usize::MAX)?
            .iter()
            .filter_map(|key| get(&payments, key.get(11..)?).transpose())
            .collect()
    }

    /// Open payments of one chain: those with a deadline to come, and those being confirmed.
    pub fn open_on(&self, chain: ChainId) -> Result<OpenPayments, StoreError> {
        let (timers, payments) = (self.open(tables::TIMERS)?, self.open(tables::PAYMENTS)?);
        let prefix = tables::timer_prefix(Timer::Deadline(chain));
        let end = tables::after_prefix(&prefix);
        let mut open = OpenPayments::default();
        for entry in timers
            .range::<&[u8]>(&prefix[..]..&end[..])
            .map_err(database)?
        {
            let (key, _) = entry.map_err(database)?;
            open.count += 1;
            open.take_oldest(tables::trailing_payment(key.value()));
        }
        for payment in self
            .confirming()?
            .iter()
            .filter(|p| p.chain == chain && p.status.is_open())
        {
            if payment.status == Status::Confirming {
                open.count += 1;
            }
            open.take_oldest(Some(payment.id));
        }
        if let Some(id) = open.oldest {
            let oldest: Option<Payment> = get(&payments, &tables::payment(id))?;
            open.oldest_created_at = oldest.map(|p| p.created_at);
        }
        Ok(open)
    }
}

/// The least key behind this one.
fn just_behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// How many payments are open, and since when.
#[derive(Debug, Default)]
pub struct OpenPayments {
    pub count: u64,
    pub oldest_created_at: Option<UnixMs>,
    oldest: Option<PaymentId>,
}

impl OpenPayments {
    /// Ids sort by creation.
    fn take_oldest(&mut self, id: Option<PaymentId>) {
        self.oldest = match (self.oldest, id) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

fn is_wanted(filter: TransferFilter, transfer: &TransferRecord) -> bool {
    let TransferState::Unmatched { payment, .. } = transfer.state else {
        return false;
    };
    filter.meant_for.is_none_or(|id| payment == Some(id))
}

fn watched_from(key: &[u8]) -> Option<WatchedPayment> {
    let chain = ChainId(u16::from_be_bytes(key.get(..2)?.try_into().ok()?));
    let address = Address::from_bytes(key.get(2..22)?.try_into().ok()?);
    Some(WatchedPayment {
        watched: Watched { chain, address },
        id: tables::trailing_payment(key)?,
    })
}

/// A page from the end of a table, keys falling; `end` is exclusive.
fn newest_first<T: Stored>(
    table: &ReadOnlyTable<Bytes, Bytes>,
    end: Option<&[u8]>,
    limit: usize,
    matches: impl Fn(&T) -> bool,
) -> Result<Page<T, Vec<u8>>, StoreError> {
    let range = match end {
        Some(end) => table.range::<&[u8]>(..end),
        None => table.range::<&[u8]>(..),
    };
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let mut last_key = Vec::new();
    for (looked_at, entry) in range.map_err(database)?.rev().enumerate() {
        if page.items.len() == limit || looked_at == SCAN_ROWS {
            page.next = Some(last_key);
            return Ok(page);
        }
        let (key, value) = entry.map_err(database)?;
        last_key = key.value().to_vec();
        let item = T::decode(value.value())?;
        if matches(&item) {
            page.items.push(item);
        }
    }
    Ok(page)
}
