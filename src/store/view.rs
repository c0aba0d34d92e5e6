//! The latest state, as the ledger sees it from inside a commit.

use std::sync::Arc;

use redb::{AccessGuard, ReadableTable, Table, WriteTransaction};

use super::rows::{CursorHeights, Stored};
use super::tables::{self, Bytes};
use super::writer::Current;
use super::{EventRow, StoreError};
use crate::domain::account_key::AccountId;
use crate::domain::api_keys::ApiKeys;
use crate::domain::chain::BlockHeader;
use crate::domain::changes::{Cursor, Timer, View, ViewError};
use crate::domain::claim::{Claim, ClaimOrder, ClaimQuery, Width};
use crate::domain::delivery::Delivery;
use crate::domain::endpoints::Endpoints;
use crate::domain::event::LoggedEvent;
use crate::domain::idempotency::{IdempotencyKey, KeptAnswer};
use crate::domain::ids::{
    ChainId, DeliveryId, EndpointId, Height, PaymentId, Sequence, TransferKey, TxId, UnixMs,
    Watched,
};
use crate::domain::payment::{Awaits, ChainPoint, Payment, TransferRecord};
use crate::domain::target::Target;
use crate::domain::wallet::NextIndex;

pub type WriteTable<'txn> = Table<'txn, Bytes, Bytes>;

/// All tables, open for one write transaction.
pub struct WriteTables<'txn> {
    pub meta: WriteTable<'txn>,
    pub payments: WriteTable<'txn>,
    pub orders: WriteTable<'txn>,
    pub address_payments: WriteTable<'txn>,
    pub claims: WriteTable<'txn>,
    pub timers: WriteTable<'txn>,
    pub awaits: WriteTable<'txn>,
    pub transfers: WriteTable<'txn>,
    pub recent_transfers: WriteTable<'txn>,
    pub unmatched: WriteTable<'txn>,
    pub promises: WriteTable<'txn>,
    pub blocks: WriteTable<'txn>,
    pub events: WriteTable<'txn>,
    pub payment_events: WriteTable<'txn>,
    pub deliveries: WriteTable<'txn>,
    pub due: WriteTable<'txn>,
    pub due_targets: WriteTable<'txn>,
    pub lanes: WriteTable<'txn>,
    pub attempts: WriteTable<'txn>,
    pub accounts: WriteTable<'txn>,
    pub answers: WriteTable<'txn>,
    pub answer_times: WriteTable<'txn>,
    pub endpoints: WriteTable<'txn>,
    pub api_keys: WriteTable<'txn>,
}

impl<'txn> WriteTables<'txn> {
    pub fn open(txn: &'txn WriteTransaction) -> Result<Self, StoreError> {
        let open = |definition| txn.open_table(definition).map_err(database);
        Ok(Self {
            meta: open(tables::META)?,
            payments: open(tables::PAYMENTS)?,
            orders: open(tables::ORDERS)?,
            address_payments: open(tables::ADDRESS_PAYMENTS)?,
            claims: open(tables::CLAIMS)?,
            timers: open(tables::TIMERS)?,
            awaits: open(tables::AWAITS)?,
            transfers: open(tables::TRANSFERS)?,
            recent_transfers: open(tables::RECENT_TRANSFERS)?,
            unmatched: open(tables::UNMATCHED)?,
            promises: open(tables::PROMISES)?,
            blocks: open(tables::BLOCKS)?,
            events: open(tables::EVENTS)?,
            payment_events: open(tables::PAYMENT_EVENTS)?,
            deliveries: open(tables::DELIVERIES)?,
            due: open(tables::DUE)?,
            due_targets: open(tables::DUE_TARGETS)?,
            lanes: open(tables::LANES)?,
            attempts: open(tables::ATTEMPTS)?,
            accounts: open(tables::ACCOUNTS)?,
            answers: open(tables::ANSWERS)?,
            answer_times: open(tables::ANSWER_TIMES)?,
            endpoints: open(tables::ENDPOINTS)?,
            api_keys: open(tables::API_KEYS)?,
        })
    }
}

/// Wraps any of the database's errors.
pub fn database(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Database(Box::new(error.into()))
}

/// Reads one row.
pub fn get<T: Stored>(
    table: &impl ReadableTable<Bytes, Bytes>,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    let found = table.get(key).map_err(database)?;
    found.map(|guard| T::decode(guard.value())).transpose()
}

/// Keys from `from` up to `to` (exclusive), at most `limit`.
pub fn keys(
    table: &impl ReadableTable<Bytes, Bytes>,
    from: &[u8],
    to: &[u8],
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    table
        .range::<&[u8]>(from..to)
        .map_err(database)?
        .take(limit)
        .map(|entry| entry.map(|(key, _)| key.value().to_vec()).map_err(database))
        .collect()
}

pub fn cursor_of(
    meta: &impl ReadableTable<Bytes, Bytes>,
    blocks: &impl ReadableTable<Bytes, Bytes>,
    chain: ChainId,
) -> Result<Option<Cursor>, StoreError> {
    let Some(heights) = get::<CursorHeights>(meta, &tables::cursor(chain))? else {
        return Ok(None);
    };
    let tip =
        get::<BlockHeader>(blocks, &tables::height(chain, heights.tip))?.ok_or_else(|| {
            StoreError::Corrupt(format!("the cursor's block {} is missing", heights.tip))
        })?;
    Ok(Some(Cursor {
        tip,
        final_height: heights.final_height,
    }))
}

/// Goes through the widths in use, one range each.
fn claims(
    table: &impl ReadableTable<Bytes, Bytes>,
    query: &ClaimQuery,
) -> Result<Vec<Claim>, StoreError> {
    let prefix = tables::claims_prefix(query.watched, query.rule, query.group);
    let end = tables::after_prefix(&prefix);
    let mut found = Vec::new();
    let mut from = prefix.clone();
    while let Some(first) = keys(table, &from, &end, 1)?.first() {
        let Some(width) = tables::claim_width(first) else {
            break;
        };
        claims_of_width(table, query, &prefix, width, &mut found)?;
        let Some(next) = width.0.checked_add(1) else {
            break;
        };
        from = [&prefix[..], &[next]].concat();
    }
    Ok(found)
}

fn claims_of_width(
    table: &impl ReadableTable<Bytes, Bytes>,
    query: &ClaimQuery,
    prefix: &[u8],
    width: Width,
    found: &mut Vec<Claim>,
) -> Result<(), StoreError> {
    let margin = width.max_tolerance();
    let from = tables::claims_from(prefix, width, query.low.saturating_sub(margin));
    let to = tables::claims_from(prefix, width, query.high.saturating_add(margin));
    let range = table
        .range::<&[u8]>(&from[..]..&tables::after_prefix(&to)[..])
        .map_err(database)?;
    let read = |entry: Result<(AccessGuard<'_, Bytes>, AccessGuard<'_, Bytes>), _>| {
        let (key, value) = entry.map_err(database)?;
        tables::claim_from(key.value(), value.value())
            .ok_or_else(|| StoreError::Corrupt("a claim".to_owned()))
    };
    let meets = |claim: &Result<Claim, StoreError>| {
        claim
            .as_ref()
            .map_or(true, |c| c.meets(query.low, query.high))
    };
    let limit = query.limit;
    let claims: Result<Vec<_>, _> = match query.order {
        ClaimOrder::Rising => range.map(read).filter(meets).take(limit).collect(),
        ClaimOrder::Falling => range.rev().map(read).filter(meets).take(limit).collect(),
    };
    found.extend(claims?);
    Ok(())
}

/// What a plan reads: the transaction's own tables and the numbers of this moment.
pub struct CommitView<'a, 'txn> {
    pub tables: &'a WriteTables<'txn>,
    pub current: &'a Current,
}

fn view_error(error: StoreError) -> ViewError {
    ViewError(Box::new(error))
}

fn trailing_payments(keys: Vec<Vec<u8>>) -> Vec<PaymentId> {
    keys.iter()
        .filter_map(|key| tables::trailing_payment(key))
        .collect()
}

impl View for CommitView<'_, '_> {
    fn payment(&self, id: PaymentId) -> Result<Option<Payment>, ViewError> {
        get(&self.tables.payments, &tables::payment(id)).map_err(view_error)
    }

    fn payment_by_order(&self, order_id: &str) -> Result<Option<PaymentId>, ViewError> {
        let found = self
            .tables
            .orders
            .get(order_id.as_bytes())
            .map_err(database)
            .map_err(view_error)?;
        Ok(found.and_then(|guard| tables::payment_from(guard.value())))
    }

    fn claims(&self, query: &ClaimQuery) -> Result<Vec<Claim>, ViewError> {
        claims(&self.tables.claims, query).map_err(view_error)
    }

    fn watches(&self, chain: ChainId) -> Result<bool, ViewError> {
        let prefix = chain.0.to_be_bytes();
        let end = tables::after_prefix(&prefix);
        let first = keys(&self.tables.claims, &prefix, &end, 1).map_err(view_error)?;
        Ok(!first.is_empty())
    }

    fn watches_address(&self, watched: Watched) -> Result<bool, ViewError> {
        let prefix = tables::address_prefix(watched);
        let end = tables::after_prefix(&prefix);
        let first = keys(&self.tables.claims, &prefix, &end, 1).map_err(view_error)?;
        Ok(!first.is_empty())
    }

    fn next_index(&self, account: AccountId) -> Result<NextIndex, ViewError> {
        let found = get(&self.tables.accounts, &account.0).map_err(view_error)?;
        Ok(found.unwrap_or_default())
    }

    fn transfer(&self, key: &TransferKey) -> Result<Option<TransferRecord>, ViewError> {
        get(&self.tables.transfers, &tables::transfer(key)).map_err(view_error)
    }

    fn promises(&self, chain: ChainId, txid: TxId) -> Result<Vec<TransferRecord>, ViewError> {
        let prefix = tables::transaction(chain, txid);
        let end = tables::after_prefix(&prefix);
        let found = keys(&self.tables.promises, &prefix, &end, usize::MAX).map_err(view_error)?;
        found
            .iter()
            .filter_map(|key| get(&self.tables.transfers, key).transpose())
            .collect::<Result<_, _>>()
            .map_err(view_error)
    }

    fn transfers_above(
        &self,
        chain: ChainId,
        height: Height,
    ) -> Result<Vec<TransferRecord>, ViewError> {
        let from = tables::height(chain, height.next());
        let to = tables::after_prefix(&chain.0.to_be_bytes());
        let found =
            keys(&self.tables.recent_transfers, &from, &to, usize::MAX).map_err(view_error)?;
        found
            .iter()
            .filter_map(|key| key.get(10..).and_then(tables::transfer_from))
            .filter_map(|key| self.transfer(&key).transpose())
            .collect()
    }

    fn cursor(&self, chain: ChainId) -> Result<Option<Cursor>, ViewError> {
        cursor_of(&self.tables.meta, &self.tables.blocks, chain).map_err(view_error)
    }

    fn block(&self, chain: ChainId, height: Height) -> Result<Option<BlockHeader>, ViewError> {
        get(&self.tables.blocks, &tables::height(chain, height)).map_err(view_error)
    }

    fn awaiting(
        &self,
        chain: ChainId,
        at: ChainPoint,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ViewError> {
        let mut found = Vec::new();
        for upper in [
            Awaits::Final(at.final_height.next()),
            Awaits::Tip(at.tip.next()),
        ] {
            let from = tables::awaits_prefix(chain, upper);
            let to = tables::awaits_height(chain, upper);
            let rest = limit.saturating_sub(found.len());
            let ids = keys(&self.tables.awaits, &from, &to, rest).map_err(view_error)?;
            found.extend(trailing_payments(ids));
        }
        Ok(found)
    }

    fn timers_before(
        &self,
        timer: Timer,
        time: UnixMs,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ViewError> {
        let from = tables::timer_prefix(timer);
        let to = tables::timer_time(timer, time);
        keys(&self.tables.timers, &from, &to, limit)
            .map(trailing_payments)
            .map_err(view_error)
    }

    fn kept_answer(&self, key: IdempotencyKey) -> Result<Option<KeptAnswer>, ViewError> {
        get(&self.tables.answers, &key.0).map_err(view_error)
    }

    fn answers_before(&self, time: UnixMs, limit: usize) -> Result<Vec<IdempotencyKey>, ViewError> {
        let end = time.0.to_be_bytes();
        let found = keys(&self.tables.answer_times, &[], &end, limit).map_err(view_error)?;
        Ok(found
            .iter()
            .filter_map(|key| tables::answer_from(key))
            .collect())
    }

    fn next_sequence(&self) -> Result<Sequence, ViewError> {
        Ok(self.current.state.next_sequence)
    }

    fn log(&self, from: Sequence, limit: usize) -> Result<Vec<LoggedEvent>, ViewError> {
        let from = tables::sequence(from);
        let range = self.tables.events.range::<&[u8]>(&from[..]..);
        let rows = range.map_err(database).map_err(view_error)?.take(limit);
        rows.map(|entry| {
            let (_, row) = entry.map_err(database)?;
            EventRow::decode(row.value()).map(|row| row.logged())
        })
        .collect::<Result<_, _>>()
        .map_err(view_error)
    }

    fn endpoints(&self) -> Result<Arc<Endpoints>, ViewError> {
        Ok(Arc::clone(&self.current.endpoints))
    }

    fn api_keys(&self) -> Result<Arc<ApiKeys>, ViewError> {
        Ok(Arc::clone(&self.current.api_keys))
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, ViewError> {
        get(&self.tables.deliveries, &tables::delivery(id)).map_err(view_error)
    }

    fn owed_to(&self, endpoint: EndpointId, limit: usize) -> Result<Vec<Delivery>, ViewError> {
        let prefix = tables::target(Target::Endpoint(endpoint));
        let end = tables::after_prefix(&prefix);
        keys(&self.tables.due, &prefix, &end, limit)
            .map_err(view_error)?
            .iter()
            .map(|key| tables::due_delivery(key))
            .filter_map(|key| get(&self.tables.deliveries, key).transpose())
            .collect::<Result<_, _>>()
            .map_err(view_error)
    }

    fn owed_in_lane(
        &self,
        payment: PaymentId,
        endpoint: EndpointId,
        limit: usize,
    ) -> Result<Vec<Delivery>, ViewError> {
        let prefix = tables::lane_prefix(payment, endpoint);
        let end = tables::after_prefix(&prefix);
        keys(&self.tables.lanes, &prefix, &end, limit)
            .map_err(view_error)?
            .iter()
            .filter_map(|key| tables::lane_sequence(key))
            .filter_map(|sequence| self.delivery(DeliveryId { sequence, endpoint }).transpose())
            .collect()
    }
}
