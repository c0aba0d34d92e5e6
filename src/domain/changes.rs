//! What the ledger may read and what it may ask to be written.
//!
//! `View` is the store as the ledger sees it inside one commit: it always shows the latest state.
//! `Changes` are committed whole or not at all. Secondary keys are derived here, purely, from a payment's
//! state before and after, so that no store can let them drift apart.

use std::sync::Arc;

use thiserror::Error;

use super::account_key::AccountId;
use super::api_keys::{ApiKeys, KeyChange};
use super::chain::BlockHeader;
use super::claim::{Claim, ClaimKey, ClaimQuery};
use super::delivery::{Delivery, DeliveryUpdate};
use super::endpoints::{EndpointChange, Endpoints};
use super::event::{Event, LoggedEvent};
use super::idempotency::{IdempotencyKey, KeptAnswer};
use super::ids::{
    ChainId, DeliveryId, EndpointId, Height, PaymentId, Sequence, TransferKey, TxId, UnixMs,
    Watched,
};
use super::payment::{Awaits, ChainPoint, Payment, Status, TransferRecord};
use super::wallet::NextIndex;

/// The store failed to answer; the commit in hand is given up.
#[derive(Debug, Error)]
#[error("the store could not be read")]
pub struct ViewError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A chain's cursor: the last block processed, and the newest final height known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub tip: BlockHeader,
    pub final_height: Height,
}

impl Cursor {
    pub fn point(&self) -> ChainPoint {
        ChainPoint {
            tip: self.tip.height,
            tip_time: self.tip.time,
            final_height: self.final_height,
        }
    }
}

/// Reads of one consistent state. Lists come in the order of their keys and at most `limit` long.
pub trait View {
    fn payment(&self, id: PaymentId) -> Result<Option<Payment>, ViewError>;
    fn payment_by_order(&self, order_id: &str) -> Result<Option<PaymentId>, ViewError>;
    /// Claims on transfers to an address, by width of their tolerance, then in the query's order.
    fn claims(&self, query: &ClaimQuery) -> Result<Vec<Claim>, ViewError>;
    /// Whether any payment takes notice of transfers on this chain.
    fn watches(&self, chain: ChainId) -> Result<bool, ViewError>;
    /// Whether any payment takes notice of transfers to this address.
    fn watches_address(&self, watched: Watched) -> Result<bool, ViewError>;
    /// How far the account has come; nothing given out yet is index 0.
    fn next_index(&self, account: AccountId) -> Result<NextIndex, ViewError>;
    fn transfer(&self, key: &TransferKey) -> Result<Option<TransferRecord>, ViewError>;
    /// Transfers of a transaction that a fork took away after they had been assigned by hand.
    fn promises(&self, chain: ChainId, txid: TxId) -> Result<Vec<TransferRecord>, ViewError>;
    fn transfers_above(
        &self,
        chain: ChainId,
        height: Height,
    ) -> Result<Vec<TransferRecord>, ViewError>;
    fn cursor(&self, chain: ChainId) -> Result<Option<Cursor>, ViewError>;
    /// A processed block, while it is among the recent ones.
    fn block(&self, chain: ChainId, height: Height) -> Result<Option<BlockHeader>, ViewError>;
    /// Payments with a credit that is confirmed once this point is reached.
    fn awaiting(
        &self,
        chain: ChainId,
        at: ChainPoint,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ViewError>;
    /// Payments whose timer of this kind rings before `time` (exclusive).
    fn timers_before(
        &self,
        timer: Timer,
        time: UnixMs,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ViewError>;
    /// What a keyed request was answered, while it is kept.
    fn kept_answer(&self, key: IdempotencyKey) -> Result<Option<KeptAnswer>, ViewError>;
    /// Keys of the answers given before `time` (exclusive), oldest first.
    fn answers_before(&self, time: UnixMs, limit: usize) -> Result<Vec<IdempotencyKey>, ViewError>;
    /// The number that the next event gets.
    fn next_sequence(&self) -> Result<Sequence, ViewError>;
    /// Events of the log from this number on.
    fn log(&self, from: Sequence, limit: usize) -> Result<Vec<LoggedEvent>, ViewError>;
    fn endpoints(&self) -> Result<Arc<Endpoints>, ViewError>;
    fn api_keys(&self) -> Result<Arc<ApiKeys>, ViewError>;
    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, ViewError>;
    /// What is owed to an account-wide endpoint, soonest first.
    fn owed_to(&self, endpoint: EndpointId, limit: usize) -> Result<Vec<Delivery>, ViewError>;
    /// What is owed to an endpoint for one payment, in order.
    fn owed_in_lane(
        &self,
        payment: PaymentId,
        endpoint: EndpointId,
        limit: usize,
    ) -> Result<Vec<Delivery>, ViewError>;
}

/// Points in time at which something happens to a payment without anyone's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// Chain time: the payment's deadline.
    Deadline(ChainId),
    /// Chain time: transfers to the address are no longer this payment's business.
    GraceEnd(ChainId),
    /// Wall time of closing: old payments are removed a set time after it.
    Closed,
}

/// A payment as it was and as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentChange {
    pub before: Option<Payment>,
    /// `None` removes the payment with all its rows.
    pub after: Option<Payment>,
}

/// An answer to be kept, or to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerChange {
    pub key: IdempotencyKey,
    pub after: Option<KeptAnswer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainChange {
    /// The tip moves on by one block.
    Append(BlockHeader),
    /// The tip goes back; all blocks above this one are forgotten.
    Rollback(BlockHeader),
    /// The tip is set without a past: at the first start, or when nothing is watched.
    Jump(BlockHeader),
    /// The newest final height on this chain.
    Final(Height),
    /// The tip moves to a final block; those in between are final too and hold nothing that matters.
    Skip(BlockHeader),
}

/// Everything one decision writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    pub payments: Vec<PaymentChange>,
    pub transfers: Vec<TransferRecord>,
    pub events: Vec<Event>,
    pub chain: Option<(ChainId, ChainChange)>,
    /// The account has given out every index below this one.
    pub next_index: Option<(AccountId, NextIndex)>,
    pub answers: Vec<AnswerChange>,
    pub endpoints: Vec<EndpointChange>,
    pub api_keys: Vec<KeyChange>,
    /// Of events that are in the log already.
    pub deliveries: Vec<DeliveryUpdate>,
    /// More of the same waits: the caller asks again.
    pub unfinished: Unfinished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unfinished {
    #[default]
    No,
    Yes,
}

/// The secondary keys of one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentKeys {
    pub watched: Option<Watched>,
    /// Present exactly where `watched` is.
    pub claim: Option<ClaimKey>,
    pub awaits: Option<(ChainId, Awaits)>,
    pub timer: Option<(Timer, UnixMs)>,
}

impl PaymentKeys {
    pub const NONE: Self = Self {
        watched: None,
        claim: None,
        awaits: None,
        timer: None,
    };

    /// At most one timer is set at a time: the next that can ring.
    pub fn of(payment: &Payment) -> Self {
        let timer = match (payment.status, payment.watched) {
            (Status::Pending, _) => Some((Timer::Deadline(payment.chain), payment.expires_at)),
            (Status::Confirming, _) => None,
            (_, true) => Some((Timer::GraceEnd(payment.chain), payment.unwatch_at())),
            (_, false) => payment.closed_at.map(|at| (Timer::Closed, at)),
        };
        Self {
            watched: payment.watched.then(|| payment.watched_address()),
            claim: payment.watched.then(|| ClaimKey::of(payment)),
            awaits: payment.awaits().map(|awaits| (payment.chain, awaits)),
            timer,
        }
    }

    pub fn of_option(payment: Option<&Payment>) -> Self {
        payment.map_or(Self::NONE, Self::of)
    }
}
