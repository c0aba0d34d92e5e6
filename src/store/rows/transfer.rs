//! Transfers and what became of them as rows.

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::ids::{ChainId, Height, PaymentId, TransferKey, TxId, UnixMs};
use crate::domain::payment::{TransferRecord, TransferState, UnmatchedReason};

/// A reason's place in rows. These numbers are on disk and never change.
const fn reason_place(reason: UnmatchedReason) -> u8 {
    match reason {
        UnmatchedReason::WrongAmount => 0,
        UnmatchedReason::Late => 1,
        UnmatchedReason::Extra => 2,
        UnmatchedReason::Cancelled => 3,
        UnmatchedReason::Early => 4,
        UnmatchedReason::TooMany => 5,
    }
}

fn reason_from(place: u8) -> Option<UnmatchedReason> {
    REASONS.into_iter().find(|r| reason_place(*r) == place)
}

#[derive(Serialize, Deserialize)]
pub enum TransferStateRow {
    Credited([u8; 16]),
    Unmatched(u8, Option<[u8; 16]>),
    Reverted,
}

#[derive(Serialize, Deserialize)]
pub struct TransferRow {
    chain: u16,
    txid: [u8; 32],
    log_index: u32,
    from: [u8; 20],
    to: [u8; 20],
    amount: u128,
    height: u64,
    block_time: u64,
    state: TransferStateRow,
}

const REASONS: [UnmatchedReason; 6] = [
    UnmatchedReason::WrongAmount,
    UnmatchedReason::Late,
    UnmatchedReason::Extra,
    UnmatchedReason::Cancelled,
    UnmatchedReason::Early,
    UnmatchedReason::TooMany,
];

impl Stored for TransferRecord {
    type Row = TransferRow;
    const NAME: &'static str = "a transfer";

    fn to_row(&self) -> TransferRow {
        TransferRow {
            chain: self.key.chain.0,
            txid: self.key.txid.0,
            log_index: self.key.log_index,
            from: *self.from.as_bytes(),
            to: *self.to.as_bytes(),
            amount: self.amount.base_units(),
            height: self.height.0,
            block_time: self.block_time.0,
            state: match self.state {
                TransferState::Credited(id) => TransferStateRow::Credited(*id.0.as_bytes()),
                TransferState::Unmatched { reason, payment } => TransferStateRow::Unmatched(
                    reason_place(reason),
                    payment.map(|id| *id.0.as_bytes()),
                ),
                TransferState::Reverted => TransferStateRow::Reverted,
            },
        }
    }

    fn from_row(row: TransferRow) -> Option<Self> {
        let id = |bytes| PaymentId(uuid::Uuid::from_bytes(bytes));
        Some(Self {
            key: TransferKey {
                chain: ChainId(row.chain),
                txid: TxId(row.txid),
                log_index: row.log_index,
            },
            from: Address::from_bytes(row.from),
            to: Address::from_bytes(row.to),
            amount: Amount::from_base_units(row.amount),
            height: Height(row.height),
            block_time: UnixMs(row.block_time),
            state: match row.state {
                TransferStateRow::Credited(payment) => TransferState::Credited(id(payment)),
                TransferStateRow::Unmatched(reason, payment) => TransferState::Unmatched {
                    reason: reason_from(reason)?,
                    payment: payment.map(id),
                },
                TransferStateRow::Reverted => TransferState::Reverted,
            },
        })
    }
}
