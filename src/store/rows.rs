//! The rows' bytes: one version byte, then postcard. Conversions to and from the domain.
//!
//! A row type here never changes; a new shape gets a new version. Refuses rows of versions it does not know.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Counters, EventRow, StoreError, StoreIdentity};
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::chain::BlockHeader;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState};
use crate::domain::event::EventKind;
use crate::domain::ids::{
    BlockHash, ChainId, DeliveryId, EventId, Height, PaymentId, Sequence, TransferKey, TxId, UnixMs,
};
use crate::domain::payment::{
    AmountMode, Callback, CallbackScope, Credit, CreditState, Finality, MatchRule, Payment, Status,
    TransferRecord, TransferState, UnmatchedReason,
};

const VERSION: u8 = 1;

/// A domain type and the row that keeps it.
pub trait Stored: Sized {
    type Row: Serialize + DeserializeOwned;
    /// What a row is called in an error.
    const NAME: &'static str;
    fn to_row(&self) -> Self::Row;
    fn from_row(row: Self::Row) -> Option<Self>;

    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let head = vec![VERSION];
        postcard::to_extend(&self.to_row(), head).map_err(|e| corrupt(Self::NAME, &e.to_string()))
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                let row =
                    postcard::from_bytes(rest).map_err(|e| corrupt(Self::NAME, &e.to_string()))?;
                Self::from_row(row).ok_or_else(|| corrupt(Self::NAME, "a value out of range"))
            }
            Some((version, _)) => Err(corrupt(Self::NAME, &format!("row version {version}"))),
            None => Err(corrupt(Self::NAME, "no bytes")),
        }
    }
}

fn corrupt(name: &str, why: &str) -> StoreError {
    StoreError::Corrupt(format!("{name}: {why}"))
}

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
                Finality::Depth(n) => n,
            },
            created_at: self.created_at.0,
            created_above: self.created_above.0,
            expires_at: self.expires_at.0,
            grace_seconds: self.grace_seconds,
            status: self.status as u8,
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
            status: *Status::ALL.get(usize::from(row.status))?,
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
                TransferState::Unmatched { reason, payment } => {
                    TransferStateRow::Unmatched(reason as u8, payment.map(|id| *id.0.as_bytes()))
                }
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
                    reason: *REASONS.get(usize::from(reason))?,
                    payment: payment.map(id),
                },
                TransferStateRow::Reverted => TransferState::Reverted,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
pub struct BlockRow {
    height: u64,
    hash: [u8; 32],
    parent: [u8; 32],
    time: u64,
}

impl Stored for BlockHeader {
    type Row = BlockRow;
    const NAME: &'static str = "a block";

    fn to_row(&self) -> BlockRow {
        BlockRow {
            height: self.height.0,
            hash: self.hash.0,
            parent: self.parent.0,
            time: self.time.0,
        }
    }

    fn from_row(row: BlockRow) -> Option<Self> {
        Some(Self {
            height: Height(row.height),
            hash: BlockHash(row.hash),
            parent: BlockHash(row.parent),
            time: UnixMs(row.time),
        })
    }
}

/// A chain's cursor: tip and final height.
pub struct CursorHeights {
    pub tip: Height,
    pub final_height: Height,
}

impl Stored for CursorHeights {
    type Row = (u64, u64);
    const NAME: &'static str = "a cursor";

    fn to_row(&self) -> (u64, u64) {
        (self.tip.0, self.final_height.0)
    }

    fn from_row(row: (u64, u64)) -> Option<Self> {
        Some(Self {
            tip: Height(row.0),
            final_height: Height(row.1),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub struct EventRowBytes {
    sequence: u64,
    id: u128,
    kind: String,
    at: u64,
    payment: Option<[u8; 16]>,
    body: Vec<u8>,
}

impl Stored for EventRow {
    type Row = EventRowBytes;
    const NAME: &'static str = "an event";

    fn to_row(&self) -> EventRowBytes {
        EventRowBytes {
            sequence: self.sequence.0,
            id: self.id.0,
            kind: self.kind.as_str().to_owned(),
            at: self.at.0,
            payment: self.payment.map(|p| *p.0.as_bytes()),
            body: self.body.to_vec(),
        }
    }

    fn from_row(row: EventRowBytes) -> Option<Self> {
        Some(Self {
            sequence: Sequence(row.sequence),
            id: EventId(row.id),
            kind: EventKind::parse(&row.kind)?,
            at: UnixMs(row.at),
            payment: row.payment.map(|p| PaymentId(uuid::Uuid::from_bytes(p))),
            body: row.body.into(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub struct AttemptRow {
    at: u64,
    status: Option<u16>,
    latency_ms: u32,
    detail: String,
}

impl Stored for Attempt {
    type Row = AttemptRow;
    const NAME: &'static str = "a delivery attempt";

    fn to_row(&self) -> AttemptRow {
        AttemptRow {
            at: self.at.0,
            status: self.status,
            latency_ms: self.latency_ms,
            detail: self.detail.clone(),
        }
    }

    fn from_row(row: AttemptRow) -> Option<Self> {
        Some(Self {
            at: UnixMs(row.at),
            status: row.status,
            latency_ms: row.latency_ms,
            detail: row.detail,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub struct DeliveryRow {
    id: [u8; 12],
    kind: String,
    payment: Option<[u8; 16]>,
    url: String,
    created_at: u64,
    /// 0 due, 1 delivered, 2 exhausted; with the time of it.
    state: (u8, u64),
    attempts: u32,
    last: Option<AttemptRow>,
}

impl Stored for Delivery {
    type Row = DeliveryRow;
    const NAME: &'static str = "a delivery";

    fn to_row(&self) -> DeliveryRow {
        DeliveryRow {
            id: super::tables::delivery(self.id),
            kind: self.kind.as_str().to_owned(),
            payment: self.payment.map(|p| *p.0.as_bytes()),
            url: self.url.clone(),
            created_at: self.created_at.0,
            state: match self.state {
                DeliveryState::Due(at) => (0, at.0),
                DeliveryState::Delivered(at) => (1, at.0),
                DeliveryState::Exhausted(at) => (2, at.0),
            },
            attempts: self.attempts,
            last: self.last.as_ref().map(Stored::to_row),
        }
    }

    fn from_row(row: DeliveryRow) -> Option<Self> {
        let id: DeliveryId = super::tables::delivery_from(&row.id)?;
        let at = UnixMs(row.state.1);
        Some(Self {
            id,
            kind: EventKind::parse(&row.kind)?,
            payment: row.payment.map(|p| PaymentId(uuid::Uuid::from_bytes(p))),
            url: row.url,
            created_at: UnixMs(row.created_at),
            state: match row.state.0 {
                0 => DeliveryState::Due(at),
                1 => DeliveryState::Delivered(at),
                2 => DeliveryState::Exhausted(at),
                _ => return None,
            },
            attempts: row.attempts,
            last: row.last.and_then(Attempt::from_row),
        })
    }
}

/// Numbers that move with every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    pub counters: Counters,
    pub next_sequence: Sequence,
    pub first_sequence: Sequence,
}

impl State {
    pub const START: Self = Self {
        counters: Counters {
            by_status: [0; Status::ALL.len()],
            deliveries_due: 0,
            deliveries_exhausted: 0,
        },
        next_sequence: Sequence(1),
        first_sequence: Sequence(1),
    };
}

impl Stored for State {
    type Row = ([u64; Status::ALL.len()], u64, u64, u64, u64);
    const NAME: &'static str = "the counters";

    fn to_row(&self) -> Self::Row {
        (
            self.counters.by_status,
            self.counters.deliveries_due,
            self.counters.deliveries_exhausted,
            self.next_sequence.0,
            self.first_sequence.0,
        )
    }

    fn from_row(row: Self::Row) -> Option<Self> {
        Some(Self {
            counters: Counters {
                by_status: row.0,
                deliveries_due: row.1,
                deliveries_exhausted: row.2,
            },
            next_sequence: Sequence(row.3),
            first_sequence: Sequence(row.4),
        })
    }
}

impl Stored for StoreIdentity {
    type Row = (String, [u8; 32], [u8; 32]);
    const NAME: &'static str = "the identity";

    fn to_row(&self) -> Self::Row {
        (self.epoch.clone(), self.token_secret, self.webhook_secret)
    }

    fn from_row(row: Self::Row) -> Option<Self> {
        Some(Self {
            epoch: row.0,
            token_secret: row.1,
            webhook_secret: row.2,
        })
    }
}
