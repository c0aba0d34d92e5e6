//! The store as the hub's parts reach it: the real one behind pauses, so that a kill finds them waiting at any point,
//! with every commit noted that the disk may lose.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fastrand::Rng;
use paybell::domain::account_key::AccountId;
use paybell::domain::api_keys::ApiKeys;
use paybell::domain::chain::BlockHeader;
use paybell::domain::changes::Cursor;
use paybell::domain::delivery::{Attempt, Delivery};
use paybell::domain::endpoints::Endpoints;
use paybell::domain::idempotency::{IdempotencyKey, KeptAnswer};
use paybell::domain::ids::{ChainId, DeliveryId, Height, PaymentId, Sequence, TransferKey, UnixMs};
use paybell::domain::payment::Payment;
use paybell::domain::target::Target;
use paybell::domain::transfer::{TransferPlace, TransferRecord};
use paybell::domain::wallet::NextIndex;
use paybell::store::redb::RedbStore;
use paybell::store::{
    CommitError, Counters, DeliveryFilter, DueKey, DueTarget, EventRow, EventScope, OpenPayments,
    Page, PaymentFilter, Plan, Store, StoreError, StoreIdentity, TransferFilter, WatchedPayment,
    Write,
};

use crate::disk::Disk;
use crate::witness::Witness;

pub struct Gate {
    store: Arc<RedbStore>,
    witness: Arc<Witness>,
    disk: Disk,
    rng: Mutex<Rng>,
}

impl Gate {
    pub fn new(store: Arc<RedbStore>, witness: Arc<Witness>, disk: Disk, rng: Rng) -> Self {
        Self {
            store,
            witness,
            disk,
            rng: Mutex::new(rng),
        }
    }

    /// Mostly none; now and then a busy disk.
    async fn pause(&self) {
        let ms = {
            let mut rng = self.rng.lock().unwrap();
            match rng.u8(..32) {
                0 => rng.u64(20..800),
                1..6 => rng.u64(1..20),
                _ => 0,
            }
        };
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }
}

/// A commit's content once more: `Write` itself goes to the store.
fn copy(write: &Write) -> Write {
    Write {
        changes: write.changes.clone(),
        events: write.events.clone(),
        prune: write.prune,
    }
}

#[async_trait]
impl Store for Gate {
    async fn commit(&self, plan: Plan) -> Result<Arc<Write>, CommitError> {
        self.pause().await;
        let outcome = if self.disk.is_in_danger() {
            let witness = Arc::clone(&self.witness);
            let noted: Plan = Box::new(move |view| {
                let write = plan(view)?;
                witness.doubt(copy(&write));
                Ok(write)
            });
            self.store.commit(noted).await
        } else {
            self.store.commit(plan).await
        };
        self.pause().await;
        outcome
    }

    fn identity(&self) -> &StoreIdentity {
        self.store.identity()
    }

    fn counters(&self) -> Counters {
        self.store.counters()
    }

    fn last_sequence(&self) -> Sequence {
        self.store.last_sequence()
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.pause().await;
        self.store.payment(id).await
    }

    async fn payments(
        &self,
        filter: PaymentFilter,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Page<Payment, PaymentId>, StoreError> {
        self.pause().await;
        self.store.payments(filter, after, limit).await
    }

    async fn events(
        &self,
        scope: EventScope,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        self.pause().await;
        self.store.events(scope, after, limit).await
    }

    async fn first_sequence(&self) -> Result<Sequence, StoreError> {
        self.store.first_sequence().await
    }

    async fn deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Page<Delivery, DeliveryId>, StoreError> {
        self.pause().await;
        self.store.deliveries(filter, after, limit).await
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        self.pause().await;
        self.store.attempts(id).await
    }

    fn endpoints(&self) -> Arc<Endpoints> {
        self.store.endpoints()
    }

    fn api_keys(&self) -> Arc<ApiKeys> {
        self.store.api_keys()
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.pause().await;
        self.store.delivery(id).await
    }

    async fn event(&self, sequence: Sequence) -> Result<Option<EventRow>, StoreError> {
        self.pause().await;
        self.store.event(sequence).await
    }

    async fn due_targets(
        &self,
        now: UnixMs,
        after: Option<DueTarget>,
        limit: usize,
    ) -> Result<Vec<DueTarget>, StoreError> {
        self.pause().await;
        self.store.due_targets(now, after, limit).await
    }

    async fn due_of(
        &self,
        target: Target,
        now: UnixMs,
        after: Option<DueKey>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.pause().await;
        self.store.due_of(target, now, after, limit).await
    }

    async fn owed(&self, target: Target, limit: usize) -> Result<usize, StoreError> {
        self.pause().await;
        self.store.owed(target, limit).await
    }

    async fn next_due(&self, after: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        self.pause().await;
        self.store.next_due(after).await
    }

    async fn cursor(&self, chain: ChainId) -> Result<Option<Cursor>, StoreError> {
        self.pause().await;
        self.store.cursor(chain).await
    }

    async fn block(
        &self,
        chain: ChainId,
        height: Height,
    ) -> Result<Option<BlockHeader>, StoreError> {
        self.pause().await;
        self.store.block(chain, height).await
    }

    async fn chain_id(&self, name: &str) -> Result<ChainId, StoreError> {
        self.store.chain_id(name).await
    }

    async fn watched(&self) -> Result<Vec<WatchedPayment>, StoreError> {
        self.store.watched().await
    }

    async fn confirming(&self) -> Result<Vec<Payment>, StoreError> {
        self.store.confirming().await
    }

    async fn next_index(&self, account: AccountId) -> Result<NextIndex, StoreError> {
        self.pause().await;
        self.store.next_index(account).await
    }

    async fn transfer(&self, key: TransferKey) -> Result<Option<TransferRecord>, StoreError> {
        self.pause().await;
        self.store.transfer(key).await
    }

    async fn unmatched(
        &self,
        filter: TransferFilter,
        after: Option<TransferPlace>,
        limit: usize,
    ) -> Result<Page<TransferRecord, TransferPlace>, StoreError> {
        self.pause().await;
        self.store.unmatched(filter, after, limit).await
    }

    async fn kept_answer(&self, key: IdempotencyKey) -> Result<Option<KeptAnswer>, StoreError> {
        self.pause().await;
        self.store.kept_answer(key).await
    }

    async fn open_on(&self, chain: ChainId) -> Result<OpenPayments, StoreError> {
        self.pause().await;
        self.store.open_on(chain).await
    }
}
