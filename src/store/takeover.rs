//! Files of older formats are taken over: what their keys cannot tell is worked out once, in the transaction that marks
//! the file as ours.
//!
//! Rows of older versions need no takeover; `rows` reads them.

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::StoreError;
use super::apply::mark;
use super::rows::Stored;
use super::tables;
use super::view::{database, get};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::UnixMs;
use crate::domain::payment::Payment;
use crate::domain::target::Target;

/// Formats before 4 kept what is due in one queue; now each target has its own. Row by row, so that memory does not
/// depend on how much is owed.
pub fn outbox_before_4(txn: &WriteTransaction) -> Result<(), StoreError> {
    let owed = {
        let old = txn.open_table(tables::DUE_BEFORE_4).map_err(database)?;
        let deliveries = txn.open_table(tables::DELIVERIES).map_err(database)?;
        let mut due = txn.open_table(tables::DUE).map_err(database)?;
        let mut count = 0_u64;
        for entry in old.range::<&[u8]>(..).map_err(database)? {
            let (key, _) = entry.map_err(database)?;
            let row = key.value().get(8..).unwrap_or_default();
            let Some(delivery) = get::<Delivery>(&deliveries, row)? else {
                continue;
            };
            if let DeliveryState::Due(at) = delivery.state {
                mark(&mut due, &tables::due(delivery.target, at, delivery.id))?;
                count += 1;
            }
        }
        count
    };
    txn.delete_table(tables::DUE_BEFORE_4).map_err(database)?;
    if owed > 0 {
        tracing::info!(
            deliveries = owed,
            "the outbox of an older format was taken over"
        );
        mark_heads(txn)?;
    }
    Ok(())
}

/// Formats before 5 found a payment's address only while it was open. Row by row, for the same reason.
pub fn addresses_before_5(txn: &WriteTransaction) -> Result<(), StoreError> {
    let payments = txn.open_table(tables::PAYMENTS).map_err(database)?;
    let mut index = txn.open_table(tables::ADDRESS_PAYMENTS).map_err(database)?;
    let count = payments.len().map_err(database)?;
    if count > 0 {
        tracing::info!(
            payments = count,
            "the payments of an older format are made to be found by their address; this takes a moment"
        );
    }
    for entry in payments.range::<&[u8]>(..).map_err(database)? {
        let (_, row) = entry.map_err(database)?;
        let payment = Payment::decode(row.value())?;
        let place = tables::address_payment(payment.address, payment.id);
        mark(&mut index, &place)?;
    }
    Ok(())
}

/// Names each target's first delivery.
fn mark_heads(txn: &WriteTransaction) -> Result<(), StoreError> {
    let due = txn.open_table(tables::DUE).map_err(database)?;
    let mut heads = txn.open_table(tables::DUE_TARGETS).map_err(database)?;
    let mut from = Vec::new();
    while let Some((at, target)) = first_due(&due, &from)? {
        mark(&mut heads, &tables::due_target(at, target))?;
        from = tables::after_prefix(&tables::target(target));
    }
    Ok(())
}

fn first_due(
    due: &impl ReadableTable<tables::Bytes, tables::Bytes>,
    from: &[u8],
) -> Result<Option<(UnixMs, Target)>, StoreError> {
    let Some(entry) = due.range::<&[u8]>(from..).map_err(database)?.next() else {
        return Ok(None);
    };
    let (key, _) = entry.map_err(database)?;
    let target = key.value().get(..tables::TARGET_BYTES);
    let target = target.and_then(tables::target_from);
    let head = tables::due_time_from(key.value()).zip(target);
    head.map(Some)
        .ok_or_else(|| StoreError::Corrupt("a due delivery".to_owned()))
}
