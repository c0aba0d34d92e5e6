//! Floor 1, the store: keeps the ledger's state and commits its changes whole.
//!
//! `Store` is the contract that any database must meet; `redb` is the one built in. A plan runs inside
//! the commit, on the latest state, so that no precondition can go stale between reading and writing.
//! After each commit the observer is told, in commit order, before the caller is.

mod apply;
mod outbox;
mod read;
pub mod redb;
mod rows;
mod tables;
mod takeover;
mod unfinished;
mod view;
mod writer;

pub use read::OpenPayments;
pub use writer::describe;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use crate::domain::account_key::AccountId;
use crate::domain::address::Address;
use crate::domain::api_keys::ApiKeys;
use crate::domain::chain::BlockHeader;
use crate::domain::changes::{Changes, Cursor, View};
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::endpoints::Endpoints;
use crate::domain::event::{EventKind, LoggedEvent};
use crate::domain::idempotency::{IdempotencyKey, KeptAnswer};
use crate::domain::ids::{
    ChainId, DeliveryId, EndpointId, EventId, Height, PaymentId, Sequence, TransferKey, TxId,
    UnixMs, Watched,
};
use crate::domain::ledger::Refusal;
use crate::domain::payment::{CreditState, Payment, Status, TransferRecord};
use crate::domain::target::Target;
use crate::domain::transfer::TransferPlace;
use crate::domain::wallet::NextIndex;

/// Something between us and the disk failed.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the data file {path} could not be opened")]
    Open {
        path: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "the data file {path} is in use by another process; stop that one, or point 'data' at another file"
    )]
    InUse { path: String },
    #[error(
        "the data file {path} was written by a newer paybell (its format is {found}, this program knows up to {known}); run that newer version, or point 'data' at another file"
    )]
    NewerFormat {
        path: String,
        found: u32,
        known: u32,
    },
    #[error("the data file does not hold what it should: {0}")]
    Corrupt(String),
    #[error("the database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "a decision ended in a panic, which is a bug in this program; nothing of it was written"
    )]
    PlanPanicked,
    #[error("the store is shut down")]
    Closed,
}

/// Why a commit did not happen. Nothing of it was written.
#[derive(Debug, Error)]
pub enum CommitError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An event as it is kept and announced: its body is frozen at the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub sequence: Sequence,
    pub id: EventId,
    pub kind: EventKind,
    pub at: UnixMs,
    pub payment: Option<PaymentId>,
    /// Time of the block with the transfer that caused it, where one did.
    pub block_time: Option<UnixMs>,
    /// The JSON object that sockets push and webhooks carry.
    pub body: Bytes,
}

impl EventRow {
    /// What decisions need to know of it.
    pub const fn logged(&self) -> LoggedEvent {
        LoggedEvent {
            sequence: self.sequence,
            kind: self.kind,
            at: self.at,
            payment: self.payment,
        }
    }
}

/// An event to be written, with the endpoints it is owed to.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub row: EventRow,
    /// Endpoint and URL of each delivery.
    pub owed: Vec<(EndpointId, String)>,
}

/// All that one commit writes for one caller. `changes.events` have become `events`.
#[derive(Debug, Default)]
pub struct Write {
    pub changes: Changes,
    pub events: Vec<NewEvent>,
    pub prune: Option<Prune>,
}

/// Removes the oldest events with their deliveries, and transfers that settled nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prune {
    /// Wall time; what is younger stays.
    pub before: UnixMs,
    /// Rows of each kind at most.
    pub limit: usize,
}

/// Decides on the latest state what to write. Runs once.
pub type Plan = Box<dyn FnOnce(&dyn View) -> Result<Write, Refusal> + Send>;

/// Told of every commit in order, on the writer's thread: must not block.
pub trait Observer: Send + Sync + 'static {
    fn committed(&self, write: &Arc<Write>);
}

/// Payments by status, over all chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    pub by_status: [u64; Status::ALL.len()],
    pub deliveries_due: u64,
    pub deliveries_exhausted: u64,
}

impl Counters {
    pub fn of(&self, status: Status) -> u64 {
        self.by_status[usize::from(rows::status_place(status))]
    }

    pub fn total(&self) -> u64 {
        self.by_status.iter().sum()
    }

    pub fn open(&self) -> u64 {
        self.of(Status::Pending) + self.of(Status::Confirming)
    }
}

/// Which payments a list shows.
#[derive(Debug, Clone, Default)]
pub struct PaymentFilter {
    pub status: Option<Status>,
    pub chain: Option<ChainId>,
    pub order_id: Option<String>,
    pub address: Option<Address>,
    /// One of its transfers is credited to the payment.
    pub transaction: Option<TxId>,
}

impl PaymentFilter {
    pub fn wants(&self, payment: &Payment) -> bool {
        let is_credited = |txid| {
            let mut credits = payment.credits.iter();
            credits.any(|c| c.txid == txid && c.state != CreditState::Reverted)
        };
        self.status.is_none_or(|status| payment.status == status)
            && self.chain.is_none_or(|chain| payment.chain == chain)
            && (self.order_id.as_ref()).is_none_or(|order| payment.order_id == *order)
            && self
                .address
                .is_none_or(|address| payment.address == address)
            && self.transaction.is_none_or(is_credited)
    }
}

/// Which deliveries a list shows.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub payment: Option<PaymentId>,
    /// `due`, `delivered` or `exhausted`.
    pub state: Option<&'static str>,
    pub endpoint: Option<EndpointId>,
    pub kind: Option<EventKind>,
}

impl DeliveryFilter {
    pub fn wants(&self, delivery: &Delivery) -> bool {
        self.payment.is_none_or(|id| delivery.payment == Some(id))
            && self
                .state
                .is_none_or(|state| delivery.state.as_str() == state)
            && self.endpoint.is_none_or(|id| delivery.id.endpoint == id)
            && self.kind.is_none_or(|kind| delivery.kind == kind)
    }
}

/// Which transfers a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransferFilter {
    /// The payment that they most likely were meant for.
    pub meant_for: Option<PaymentId>,
}

/// A piece of a list and where the next one begins.
#[derive(Debug, Clone)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    /// Pass as `after` for the next piece; absent at the end.
    pub next: Option<C>,
}

/// Whose events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventScope {
    All,
    Payment(PaymentId),
}

/// What identifies a data file and stays with it.
#[derive(Debug, Clone)]
pub struct StoreIdentity {
    /// Random text made with the file: event numbers are comparable only within one epoch.
    pub epoch: String,
    /// 32 random bytes that sign client tokens.
    pub token_secret: [u8; 32],
    /// 32 random bytes: the webhook secret used when none is configured.
    pub webhook_secret: [u8; 32],
}

/// A due delivery's place among those of its target: when it fell due, and which it is.
pub type DueKey = (UnixMs, DeliveryId);

/// When a target's first delivery is due.
pub type DueTarget = (UnixMs, Target);

/// A payment that takes notice of transfers, as the index needs it.
#[derive(Debug, Clone, Copy)]
pub struct WatchedPayment {
    pub watched: Watched,
    pub id: PaymentId,
}

/// The contract of a store. Lists are newest first unless said otherwise.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Runs the plan on the latest state and commits what it returns, durably, before it answers.
    async fn commit(&self, plan: Plan) -> Result<Arc<Write>, CommitError>;

    fn identity(&self) -> &StoreIdentity;
    /// As of the last commit.
    fn counters(&self) -> Counters;
    /// The number of the newest event.
    fn last_sequence(&self) -> Sequence;
    /// The account's webhook endpoints as of the last commit; cheap.
    fn endpoints(&self) -> Arc<Endpoints>;
    /// All API keys as of the last commit; cheap.
    fn api_keys(&self) -> Arc<ApiKeys>;

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError>;
    async fn payments(
        &self,
        filter: PaymentFilter,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Page<Payment, PaymentId>, StoreError>;
    async fn transfer(&self, key: TransferKey) -> Result<Option<TransferRecord>, StoreError>;
    /// Transfers that settled nothing, by the time of their blocks.
    async fn unmatched(
        &self,
        filter: TransferFilter,
        after: Option<TransferPlace>,
        limit: usize,
    ) -> Result<Page<TransferRecord, TransferPlace>, StoreError>;
    /// Events after a number, oldest first.
    async fn events(
        &self,
        scope: EventScope,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError>;
    async fn event(&self, sequence: Sequence) -> Result<Option<EventRow>, StoreError>;
    /// The number of the oldest event still kept.
    async fn first_sequence(&self) -> Result<Sequence, StoreError>;

    async fn deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Page<Delivery, DeliveryId>, StoreError>;
    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError>;
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;
    /// Targets with anything due at `now` or before, by the time of their first, soonest first; `after` is the last of
    /// the piece before.
    async fn due_targets(
        &self,
        now: UnixMs,
        after: Option<DueTarget>,
        limit: usize,
    ) -> Result<Vec<DueTarget>, StoreError>;
    /// What is due to one target at `now` or before, soonest first; `after` is the last of the piece before.
    async fn due_of(
        &self,
        target: Target,
        now: UnixMs,
        after: Option<DueKey>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;
    /// How many deliveries are owed to a target, whenever their next attempt is due, counted up to a limit.
    async fn owed(&self, target: Target, limit: usize) -> Result<usize, StoreError>;
    /// When the soonest delivery that is not yet due becomes so.
    async fn next_due(&self, after: UnixMs) -> Result<Option<UnixMs>, StoreError>;

    async fn cursor(&self, chain: ChainId) -> Result<Option<Cursor>, StoreError>;
    async fn block(
        &self,
        chain: ChainId,
        height: Height,
    ) -> Result<Option<BlockHeader>, StoreError>;
    /// The number of a chain by its configured name; given out at first sight and kept.
    async fn chain_id(&self, name: &str) -> Result<ChainId, StoreError>;
    /// Everything the index holds, for its rebuilding at start.
    async fn watched(&self) -> Result<Vec<WatchedPayment>, StoreError>;
    /// Payments with credits that are not confirmed yet.
    async fn confirming(&self) -> Result<Vec<Payment>, StoreError>;
    /// How far a wallet's account has come.
    async fn next_index(&self, account: AccountId) -> Result<NextIndex, StoreError>;
    /// What a keyed request was answered, while it is kept.
    async fn kept_answer(&self, key: IdempotencyKey) -> Result<Option<KeptAnswer>, StoreError>;
    /// How many payments are open on a chain, and when the oldest was created.
    async fn open_on(&self, chain: ChainId) -> Result<OpenPayments, StoreError>;
}
