//! A store in memory: payments and an event log, and nothing that sockets do not read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::api_keys::ApiKeys;
use crate::domain::chain::BlockHeader;
use crate::domain::changes::Cursor;
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::endpoints::Endpoints;
use crate::domain::ids::{ChainId, DeliveryId, Height, PaymentId, Sequence, TransferKey, UnixMs};
use crate::domain::payment::{AmountMode, Finality, MatchRule, Payment, Status, TransferRecord};
use crate::domain::target::Target;
use crate::domain::transfer::TransferPlace;
use crate::hub::tests::row;
use crate::store::{
    CommitError, Counters, DeliveryFilter, DueKey, DueTarget, EventRow, EventScope, OpenPayments,
    Page, PaymentFilter, Plan, Store, StoreError, StoreIdentity, TransferFilter, WatchedPayment,
    Write,
};

pub(super) const EPOCH: &str = "e1";

#[derive(Debug)]
pub(super) struct MemoryStore {
    identity: StoreIdentity,
    log: Mutex<Vec<EventRow>>,
    payments: Mutex<HashMap<PaymentId, Payment>>,
    first: AtomicU64,
    pub(super) keys: Mutex<Arc<ApiKeys>>,
    /// Subtracted from the newest number: a store that tells it late.
    pub(super) lag: AtomicU64,
}

impl MemoryStore {
    pub(super) fn new() -> Self {
        Self {
            identity: StoreIdentity {
                epoch: EPOCH.to_owned(),
                token_secret: [1; 32],
                webhook_secret: [2; 32],
            },
            log: Mutex::default(),
            payments: Mutex::default(),
            first: AtomicU64::new(1),
            keys: Mutex::default(),
            lag: AtomicU64::new(0),
        }
    }

    pub(super) fn add_payment(&self, id: PaymentId) {
        let payment = Payment {
            id,
            chain: ChainId(0),
            address: Address::from_bytes([9; 20]),
            derivation: None,
            order_id: "order".to_owned(),
            expected: Amount::ZERO,
            to_pay: Amount::ZERO,
            rule: MatchRule::Exact,
            amount_mode: AmountMode::Fixed,
            tolerance: Amount::ZERO,
            finality: Finality::Final,
            created_at: UnixMs(0),
            created_above: Height(0),
            expires_at: UnixMs(1),
            grace_seconds: 0,
            status: Status::Pending,
            closed_at: None,
            cancelled_at: None,
            completed_at: None,
            final_confirmations: None,
            credits: Vec::new(),
            callback: None,
            success_url: None,
            metadata: None,
            watched: true,
        };
        self.payments.lock().unwrap().insert(id, payment);
    }

    /// Appends the next event and returns it, to be announced.
    pub(super) fn append(&self, payment: Option<PaymentId>) -> EventRow {
        let mut log = self.log.lock().unwrap();
        let row = row(log.len() as u64 + 1, payment);
        log.push(row.clone());
        row
    }

    /// Puts another body into the log.
    pub(super) fn replace(&self, row: EventRow) {
        let at = row.sequence.0 as usize - 1;
        self.log.lock().unwrap()[at] = row;
    }

    /// Forgets the events below this number.
    pub(super) fn forget_below(&self, first: u64) {
        self.first.store(first, Ordering::SeqCst);
    }
}

fn unused<T>() -> Result<T, StoreError> {
    Err(StoreError::Closed)
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, _: Plan) -> Result<std::sync::Arc<Write>, CommitError> {
        Ok(unused()?)
    }

    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn last_sequence(&self) -> Sequence {
        let newest = self.log.lock().unwrap().len() as u64;
        Sequence(newest.saturating_sub(self.lag.load(Ordering::SeqCst)))
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        // A moment in which others may publish.
        tokio::task::yield_now().await;
        Ok(self.payments.lock().unwrap().get(&id).cloned())
    }

    async fn events(
        &self,
        scope: EventScope,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        tokio::task::yield_now().await;
        let first = self.first.load(Ordering::SeqCst);
        let log = self.log.lock().unwrap();
        let wanted = |row: &&EventRow| {
            let in_scope = match scope {
                EventScope::All => true,
                EventScope::Payment(id) => row.payment == Some(id),
            };
            in_scope && row.sequence > after && row.sequence.0 >= first
        };
        Ok(log.iter().filter(wanted).take(limit).cloned().collect())
    }

    async fn first_sequence(&self) -> Result<Sequence, StoreError> {
        Ok(Sequence(self.first.load(Ordering::SeqCst)))
    }

    async fn payments(
        &self,
        _: PaymentFilter,
        _: Option<PaymentId>,
        _: usize,
    ) -> Result<Page<Payment, PaymentId>, StoreError> {
        unused()
    }

    async fn transfer(&self, _: TransferKey) -> Result<Option<TransferRecord>, StoreError> {
        unused()
    }

    async fn unmatched(
        &self,
        _: TransferFilter,
        _: Option<TransferPlace>,
        _: usize,
    ) -> Result<Page<TransferRecord, TransferPlace>, StoreError> {
        unused()
    }

    async fn deliveries(
        &self,
        _: DeliveryFilter,
        _: Option<DeliveryId>,
        _: usize,
    ) -> Result<Page<Delivery, DeliveryId>, StoreError> {
        unused()
    }

    async fn attempts(&self, _: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        unused()
    }

    async fn delivery(&self, _: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        unused()
    }
    async fn event(&self, sequence: Sequence) -> Result<Option<EventRow>, StoreError> {
        Ok(self
            .log
            .lock()
            .unwrap()
            .iter()
            .find(|row| row.sequence == sequence)
            .cloned())
    }
    fn api_keys(&self) -> Arc<ApiKeys> {
        Arc::clone(&self.keys.lock().unwrap())
    }

    fn endpoints(&self) -> Arc<Endpoints> {
        Arc::default()
    }
    async fn due_targets(
        &self,
        _: UnixMs,
        _: Option<DueTarget>,
        _: usize,
    ) -> Result<Vec<DueTarget>, StoreError> {
        unused()
    }
    async fn due_of(
        &self,
        _: Target,
        _: UnixMs,
        _: Option<DueKey>,
        _: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        unused()
    }
    async fn owed(&self, _: Target, _: usize) -> Result<usize, StoreError> {
        unused()
    }
    async fn next_due(&self, _: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        unused()
    }

    async fn cursor(&self, _: ChainId) -> Result<Option<Cursor>, StoreError> {
        unused()
    }

    async fn block(&self, _: ChainId, _: Height) -> Result<Option<BlockHeader>, StoreError> {
        unused()
    }

    async fn chain_id(&self, _: &str) -> Result<ChainId, StoreError> {
        unused()
    }

    async fn watched(&self) -> Result<Vec<WatchedPayment>, StoreError> {
        unused()
    }

    async fn confirming(&self) -> Result<Vec<Payment>, StoreError> {
        unused()
    }

    async fn next_index(
        &self,
        _: crate::domain::account_key::AccountId,
    ) -> Result<crate::domain::wallet::NextIndex, StoreError> {
        unused()
    }

    async fn kept_answer(
        &self,
        _: crate::domain::idempotency::IdempotencyKey,
    ) -> Result<Option<crate::domain::idempotency::KeptAnswer>, StoreError> {
        unused()
    }

    async fn open_on(&self, _: ChainId) -> Result<OpenPayments, StoreError> {
        unused()
    }
}
