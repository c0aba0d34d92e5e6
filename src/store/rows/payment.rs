//! Payments and their credits as rows.

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::ids::{ChainId, Height, PaymentId, TxId, UnixMs};
use crate::domain::payment::{
    AmountMode, Callback, CallbackScope, Credit, CreditState, Finality, MatchRule, Payment, Status,
};

#[derive(Serialize, Deserialize)]
pub struct CreditRow {
    txid: [u8; 32],
    log_index: u32,
    from: [u8; 20],
    amount: u128,
    height: u64,
    block_time: u64,
    state: u8,
}

#[derive(Serialize, Deserialize)]
pub struct PaymentRow {
    id: [u8; 16],
    chain: u16,
    address: [u8; 20],
    order_id: String,
    expected: u128,
    to_pay: u128,
    accumulate: bool,
    unique: bool,
    tolerance: u128,
    /// 0 means final.
    depth: u32,
    created_at: u64,
    created_above: u64,
    expires_at: u64,
    grace_seconds: u64,
    status: u8,
    closed_at: Option<u64>,
    completed_at: Option<u64>,
    final_confirmations: Option<u32>,
    credits: Vec<CreditRow>,
    callback: Option<String>,
    callback_everything: bool,
    success_url: Option<String>,
    metadata: Option<String>,
    watched: bool,
}

impl Stored for Payment {
    type Row = PaymentRow;
    const NAME: &'static str = "a payment";

    fn to_row(&self) -> PaymentRow {
        let scope = self.callback.as_ref().map(|c| c.scope);
        PaymentRow {
            id: *self.id.0.as_bytes(),
            chain: self.chain.0,
            address: *self.address.as_bytes(),
            order_id: self.order_id.clone(),
            expected: self.expected.base_units(),
            to_pay: self.to_pay.base_units(),
            accumulate: self.rule == MatchRule::Accumulate,
            unique: self.amount_mode == AmountMode::Unique,
            tolerance: self.tolerance.base_units(),
            depth: match self.finality {
                Finality::Final => 0,
                // A block's own confirmation is its first, so a depth of 0 asks for nothing less than 1.
                Finality::Depth(n) => n.max(1),
            },
            created_at: self.created_at.0,
            created_above: self.created_above.0,
            expires_at: self.expires_at.0,
            grace_seconds: self.grace_seconds,
            status: status_place(self.status),
            closed_at: self.closed_at.map(|t| t.0),
            completed_at: self.completed_at.map(|t| t.0),
            final_confirmations: self.final_confirmations,
            credits: self.credits.iter().map(credit_to_row).collect(),
            callback: self.callback.as_ref().map(|c| c.url.clone()),
            callback_everything: scope == Some(CallbackScope::Everything),
            success_url: self.success_url.clone(),
            metadata: self.metadata.clone(),
            watched: self.watched,
        }
    }

    fn from_row(row: PaymentRow) -> Option<Self> {
        let scope = if row.callback_everything {
            CallbackScope::Everything
        } else {
            CallbackScope::CompletionOnly
        };
        Some(Self {
            id: PaymentId(uuid::Uuid::from_bytes(row.id)),
            chain: ChainId(row.chain),
            address: Address::from_bytes(row.address),
            order_id: row.order_id,
            expected: Amount::from_base_units(row.expected),
            to_pay: Amount::from_base_units(row.to_pay),
            rule: if row.accumulate {
                MatchRule::Accumulate
            } else {
                MatchRule::Exact
            },
            amount_mode: if row.unique {
                AmountMode::Unique
            } else {
                AmountMode::Fixed
            },
            tolerance: Amount::from_base_units(row.tolerance),
            finality: match row.depth {
                0 => Finality::Final,
                n => Finality::Depth(n),
            },
            created_at: UnixMs(row.created_at),
            created_above: Height(row.created_above),
            expires_at: UnixMs(row.expires_at),
            grace_seconds: row.grace_seconds,
            status: status_from(row.status)?,
            closed_at: row.closed_at.map(UnixMs),
            completed_at: row.completed_at.map(UnixMs),
            final_confirmations: row.final_confirmations,
            credits: row
                .credits
                .into_iter()
                .map(credit_from_row)
                .collect::<Option<_>>()?,
            callback: row.callback.map(|url| Callback { url, scope }),
            success_url: row.success_url,
            metadata: row.metadata,
            watched: row.watched,
        })
    }
}

/// A status's place in rows and counters. These numbers are on disk and never change.
pub const fn status_place(status: Status) -> u8 {
    match status {
        Status::Pending => 0,
        Status::Confirming => 1,
        Status::Completed => 2,
        Status::Underpaid => 3,
        Status::Expired => 4,
        Status::Cancelled => 5,
    }
}

fn status_from(place: u8) -> Option<Status> {
    Status::ALL.into_iter().find(|s| status_place(*s) == place)
}

fn credit_to_row(credit: &Credit) -> CreditRow {
    CreditRow {
        txid: credit.txid.0,
        log_index: credit.log_index,
        from: *credit.from.as_bytes(),
        amount: credit.amount.base_units(),
        height: credit.height.0,
        block_time: credit.block_time.0,
        state: match credit.state {
            CreditState::Seen => 0,
            CreditState::Confirmed => 1,
            CreditState::Reverted => 2,
        },
    }
}

fn credit_from_row(row: CreditRow) -> Option<Credit> {
    Some(Credit {
        txid: TxId(row.txid),
        log_index: row.log_index,
        from: Address::from_bytes(row.from),
        amount: Amount::from_base_units(row.amount),
        height: Height(row.height),
        block_time: UnixMs(row.block_time),
        state: match row.state {
            0 => CreditState::Seen,
            1 => CreditState::Confirmed,
            2 => CreditState::Reverted,
            _ => return None,
        },
    })
}
