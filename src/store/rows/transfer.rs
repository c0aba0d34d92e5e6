//! Transfers and what became of them as rows.

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::api_key::KeyId;
use crate::domain::ids::{ChainId, Height, PaymentId, TransferKey, TxId, UnixMs};
use crate::domain::payment::{Assignment, TransferRecord, TransferState, UnmatchedReason};

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

#[derive(Serialize, Deserialize)]
pub struct AssignmentRow {
    payment: [u8; 16],
    at: u64,
    reason: u8,
    meant_for: Option<[u8; 16]>,
}

/// The first version, and behind it what came later.
#[derive(Serialize, Deserialize)]
pub struct TransferRowV2 {
    v1: TransferRow,
    assigned: Option<AssignmentRow>,
}

#[derive(Serialize, Deserialize)]
pub struct TransferRowV3 {
    v2: TransferRowV2,
    /// The API key of whoever assigned it.
    by: Option<u128>,
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
    type Row = TransferRowV3;
    const NAME: &'static str = "a transfer";
    const VERSION: u8 = 3;

    fn to_row(&self) -> TransferRowV3 {
        let v2 = TransferRowV2 {
            v1: TransferRow::of(self),
            assigned: self.assigned.map(|a| AssignmentRow {
                payment: *a.payment.0.as_bytes(),
                at: a.at.0,
                reason: reason_place(a.reason),
                meant_for: a.meant_for.map(|id| *id.0.as_bytes()),
            }),
        };
        let by = self.assigned.and_then(|a| a.by).map(|key| key.0);
        TransferRowV3 { v2, by }
    }

    fn from_row(row: TransferRowV3) -> Option<Self> {
        let TransferRowV3 { v2, by } = row;
        let mut record = v2.v1.read()?;
        if let Some(assigned) = v2.assigned {
            record.assigned = Some(Assignment {
                payment: payment_id(assigned.payment),
                at: UnixMs(assigned.at),
                reason: reason_from(assigned.reason)?,
                meant_for: assigned.meant_for.map(payment_id),
                by: by.map(KeyId),
            });
        }
        Some(record)
    }

    fn older_row(version: u8, bytes: &[u8]) -> Option<Result<TransferRowV3, postcard::Error>> {
        let v2 = match version {
            1 => postcard::from_bytes(bytes).map(|v1| TransferRowV2 { v1, assigned: None }),
            2 => postcard::from_bytes(bytes),
            _ => return None,
        };
        Some(v2.map(|v2| TransferRowV3 { v2, by: None }))
    }
}

fn payment_id(bytes: [u8; 16]) -> PaymentId {
    PaymentId(uuid::Uuid::from_bytes(bytes))
}

impl TransferRow {
    fn of(transfer: &TransferRecord) -> Self {
        Self {
            chain: transfer.key.chain.0,
            txid: transfer.key.txid.0,
            log_index: transfer.key.log_index,
            from: *transfer.from.as_bytes(),
            to: *transfer.to.as_bytes(),
            amount: transfer.amount.base_units(),
            height: transfer.height.0,
            block_time: transfer.block_time.0,
            state: match transfer.state {
                TransferState::Credited(id) => TransferStateRow::Credited(*id.0.as_bytes()),
                TransferState::Unmatched { reason, payment } => TransferStateRow::Unmatched(
                    reason_place(reason),
                    payment.map(|id| *id.0.as_bytes()),
                ),
                TransferState::Reverted => TransferStateRow::Reverted,
            },
        }
    }

    fn read(self) -> Option<TransferRecord> {
        Some(TransferRecord {
            key: TransferKey {
                chain: ChainId(self.chain),
                txid: TxId(self.txid),
                log_index: self.log_index,
            },
            from: Address::from_bytes(self.from),
            to: Address::from_bytes(self.to),
            amount: Amount::from_base_units(self.amount),
            height: Height(self.height),
            block_time: UnixMs(self.block_time),
            state: match self.state {
                TransferStateRow::Credited(payment) => TransferState::Credited(payment_id(payment)),
                TransferStateRow::Unmatched(reason, payment) => TransferState::Unmatched {
                    reason: reason_from(reason)?,
                    payment: payment.map(payment_id),
                },
                TransferStateRow::Reverted => TransferState::Reverted,
            },
            assigned: None,
        })
    }
}
