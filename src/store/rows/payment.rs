//! Payments and their credits as rows.

use serde::{Deserialize, Serialize};

use super::{OUT_OF_RANGE, Stored, corrupt, read};
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::ids::{ChainId, Height, PaymentId, TxId, UnixMs};
use crate::domain::payment::{
    AmountMode, Basis, Callback, CallbackScope, Credit, CreditState, Finality, MatchRule, Payment,
    Status,
};
use crate::store::StoreError;

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

/// The first version, and behind it what came later.
#[derive(Serialize, Deserialize)]
pub struct PaymentRowV2 {
    v1: PaymentRow,
    cancelled_at: Option<u64>,
    /// Places among the credits of those that were assigned by hand.
    by_hand: Vec<u16>,
}

impl Stored for Payment {
    type Row = PaymentRowV2;
    const NAME: &'static str = "a payment";
    const VERSION: u8 = 2;

    fn to_row(&self) -> PaymentRowV2 {
        let by_hand = (0..).zip(&self.credits);
        PaymentRowV2 {
            v1: PaymentRow::of(self),
            cancelled_at: self.cancelled_at.map(|t| t.0),
            by_hand: by_hand
                .filter(|(_, credit)| credit.basis == Basis::ByHand)
                .map(|(place, _)| place)
                .collect(),
        }
    }

    fn from_row(row: PaymentRowV2) -> Option<Self> {
        let mut payment = row.v1.read()?;
        payment.cancelled_at = row.cancelled_at.map(UnixMs);
        for place in row.by_hand {
            payment.credits.get_mut(usize::from(place))?.basis = Basis::ByHand;
        }
        Some(payment)
    }

    fn from_older(version: u8, bytes: &[u8]) -> Result<Self, StoreError> {
        if version != 1 {
            return Err(corrupt(Self::NAME, &format!("row version {version}")));
        }
        let row: PaymentRow = read(Self::NAME, bytes)?;
        let mut payment = row
            .read()
            .ok_or_else(|| corrupt(Self::NAME, OUT_OF_RANGE))?;
        if payment.status == Status::Cancelled {
            payment.cancelled_at = payment.closed_at;
        }
        Ok(payment)
    }
}

impl PaymentRow {
    fn of(payment: &Payment) -> Self {
        let scope = payment.callback.as_ref().map(|c| c.scope);
        Self {
            id: *payment.id.0.as_bytes(),
            chain: payment.chain.0,
            address: *payment.address.as_bytes(),
            order_id: payment.order_id.clone(),
            expected: payment.expected.base_units(),
            to_pay: payment.to_pay.base_units(),
            accumulate: payment.rule == MatchRule::Accumulate,
            unique: payment.amount_mode == AmountMode::Unique,
            tolerance: payment.tolerance.base_units(),
            depth: match payment.finality {
                Finality::Final => 0,
                // A block's own confirmation is its first, so a depth of 0 asks for nothing less than 1.
                Finality::Depth(n) => n.max(1),
            },
            created_at: payment.created_at.0,
            created_above: payment.created_above.0,
            expires_at: payment.expires_at.0,
            grace_seconds: payment.grace_seconds,
            status: status_place(payment.status),
            closed_at: payment.closed_at.map(|t| t.0),
            completed_at: payment.completed_at.map(|t| t.0),
            final_confirmations: payment.final_confirmations,
            credits: payment.credits.iter().map(credit_to_row).collect(),
            callback: payment.callback.as_ref().map(|c| c.url.clone()),
            callback_everything: scope == Some(CallbackScope::Everything),
            success_url: payment.success_url.clone(),
            metadata: payment.metadata.clone(),
            watched: payment.watched,
        }
    }

    fn read(self) -> Option<Payment> {
        let scope = if self.callback_everything {
            CallbackScope::Everything
        } else {
            CallbackScope::CompletionOnly
        };
        Some(Payment {
            id: PaymentId(uuid::Uuid::from_bytes(self.id)),
            chain: ChainId(self.chain),
            address: Address::from_bytes(self.address),
            order_id: self.order_id,
            expected: Amount::from_base_units(self.expected),
            to_pay: Amount::from_base_units(self.to_pay),
            rule: if self.accumulate {
                MatchRule::Accumulate
            } else {
                MatchRule::Exact
            },
            amount_mode: if self.unique {
                AmountMode::Unique
            } else {
                AmountMode::Fixed
            },
            tolerance: Amount::from_base_units(self.tolerance),
            finality: match self.depth {
                0 => Finality::Final,
                n => Finality::Depth(n),
            },
            created_at: UnixMs(self.created_at),
            created_above: Height(self.created_above),
            expires_at: UnixMs(self.expires_at),
            grace_seconds: self.grace_seconds,
            status: status_from(self.status)?,
            closed_at: self.closed_at.map(UnixMs),
            cancelled_at: None,
            completed_at: self.completed_at.map(UnixMs),
            final_confirmations: self.final_confirmations,
            credits: self
                .credits
                .into_iter()
                .map(credit_from_row)
                .collect::<Option<_>>()?,
            callback: self.callback.map(|url| Callback { url, scope }),
            success_url: self.success_url,
            metadata: self.metadata,
            watched: self.watched,
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
        basis: Basis::Matched,
    })
}
