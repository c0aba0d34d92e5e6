//! A store in memory, as much of one as the API's tests need.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::domain::account_key::AccountId;
use crate::domain::api_keys::ApiKeys;
use crate::domain::chain::BlockHeader;
use crate::domain::changes::{Cursor, Timer, View, ViewError};
use crate::domain::claim::{Claim, ClaimKey, ClaimQuery};
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::endpoints::Endpoints;
use crate::domain::event::LoggedEvent;
use crate::domain::idempotency::{IdempotencyKey, KeptAnswer};
use crate::domain::ids::{
    ChainId, DeliveryId, EndpointId, Height, PaymentId, Sequence, TransferKey, TxId, UnixMs,
    Watched,
};
use crate::domain::payment::{ChainPoint, Payment, TransferRecord, TransferState};
use crate::domain::target::Target;
use crate::domain::transfer::TransferPlace;
use crate::domain::wallet::NextIndex;
use crate::store::{
    CommitError, Counters, DeliveryFilter, DueKey, DueTarget, EventRow, EventScope, NewEvent,
    OpenPayments, Page as ListPage, PaymentFilter, Plan, Store, StoreError, StoreIdentity,
    TransferFilter, WatchedPayment, Write,
};

#[derive(Default)]
pub struct Rows {
    pub payments: BTreeMap<PaymentId, Payment>,
    pub transfers: BTreeMap<TransferKey, TransferRecord>,
    pub cursor: Option<Cursor>,
    pub events: Vec<EventRow>,
    /// Where the log begins, once something was removed.
    pub first: Option<Sequence>,
    /// Newest first.
    pub deliveries: Vec<Delivery>,
    pub attempts: BTreeMap<DeliveryId, Vec<Attempt>>,
    pub endpoints: Arc<Endpoints>,
    pub api_keys: Arc<ApiKeys>,
    pub indices: BTreeMap<AccountId, NextIndex>,
    pub answers: BTreeMap<IdempotencyKey, KeptAnswer>,
}

/// How the store behaves.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Fine,
    Failing,
    Silent,
}

/// A store whose rows a test may touch.
pub struct MemoryStore {
    rows: Mutex<Rows>,
    mood: Mutex<Mood>,
    identity: StoreIdentity,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self {
            rows: Mutex::default(),
            mood: Mutex::default(),
            identity: StoreIdentity {
                epoch: "e1".to_owned(),
                token_secret: [1; 32],
                webhook_secret: [2; 32],
            },
        }
    }

    pub fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("the rows")
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().expect("the mood") = mood;
    }

    async fn answer(&self) -> Result<MutexGuard<'_, Rows>, StoreError> {
        let mood = *self.mood.lock().expect("the mood");
        match mood {
            Mood::Fine => Ok(self.rows()),
            Mood::Failing => Err(StoreError::Corrupt("secret inner detail".to_owned())),
            Mood::Silent => std::future::pending().await,
        }
    }
}

impl Rows {
    fn add(&mut self, event: &NewEvent) {
        let row = &event.row;
        for (endpoint, url) in &event.owed {
            let id = DeliveryId {
                sequence: row.sequence,
                endpoint: *endpoint,
            };
            self.put(Delivery::new(id, row.kind, row.payment, url, row.at));
        }
        self.events.push(row.clone());
    }

    fn put(&mut self, delivery: Delivery) {
        self.deliveries.retain(|d| d.id != delivery.id);
        self.deliveries.push(delivery);
        self.deliveries.sort_by_key(|d| Reverse(d.id));
    }
}

impl View for Rows {
    fn payment(&self, id: PaymentId) -> Result<Option<Payment>, ViewError> {
        Ok(self.payments.get(&id).cloned())
    }
    fn payment_by_order(&self, order_id: &str) -> Result<Option<PaymentId>, ViewError> {
        let found = self.payments.values().find(|p| p.order_id == order_id);
        Ok(found.map(|p| p.id))
    }
    fn claims(&self, query: &ClaimQuery) -> Result<Vec<Claim>, ViewError> {
        let watched = self.payments.values().filter(|p| p.watched);
        let keys = watched.map(ClaimKey::of).filter(|key| query.finds(key));
        Ok(keys.map(|key| key.claim).take(query.limit).collect())
    }

    fn watches(&self, chain: ChainId) -> Result<bool, ViewError> {
        Ok(self
            .payments
            .values()
            .any(|p| p.watched && p.chain == chain))
    }
    fn watches_address(&self, watched: Watched) -> Result<bool, ViewError> {
        let mut payments = self.payments.values();
        Ok(payments.any(|p| p.watched && p.watched_address() == watched))
    }
    fn next_index(&self, account: AccountId) -> Result<NextIndex, ViewError> {
        Ok(self.indices.get(&account).copied().unwrap_or_default())
    }
    fn transfer(&self, key: &TransferKey) -> Result<Option<TransferRecord>, ViewError> {
        Ok(self.transfers.get(key).copied())
    }
    fn promises(&self, _: ChainId, _: TxId) -> Result<Vec<TransferRecord>, ViewError> {
        Ok(Vec::new())
    }
    fn transfers_above(&self, _: ChainId, _: Height) -> Result<Vec<TransferRecord>, ViewError> {
        Ok(Vec::new())
    }
    fn cursor(&self, _: ChainId) -> Result<Option<Cursor>, ViewError> {
        Ok(self.cursor)
    }
    fn block(&self, _: ChainId, _: Height) -> Result<Option<BlockHeader>, ViewError> {
        Ok(None)
    }
    fn awaiting(&self, _: ChainId, _: ChainPoint, _: usize) -> Result<Vec<PaymentId>, ViewError> {
        Ok(Vec::new())
    }
    fn timers_before(&self, _: Timer, _: UnixMs, _: usize) -> Result<Vec<PaymentId>, ViewError> {
        Ok(Vec::new())
    }
    fn kept_answer(&self, key: IdempotencyKey) -> Result<Option<KeptAnswer>, ViewError> {
        Ok(self.answers.get(&key).cloned())
    }
    fn answers_before(&self, _: UnixMs, _: usize) -> Result<Vec<IdempotencyKey>, ViewError> {
        Ok(Vec::new())
    }
    fn next_sequence(&self) -> Result<Sequence, ViewError> {
        Ok(Sequence(self.events.len() as u64 + 1))
    }
    fn log(&self, from: Sequence, limit: usize) -> Result<Vec<LoggedEvent>, ViewError> {
        let events = self.events.iter().filter(|row| row.sequence >= from);
        Ok(events.take(limit).map(EventRow::logged).collect())
    }
    fn endpoints(&self) -> Result<Arc<Endpoints>, ViewError> {
        Ok(Arc::clone(&self.endpoints))
    }
    fn api_keys(&self) -> Result<Arc<ApiKeys>, ViewError> {
        Ok(Arc::clone(&self.api_keys))
    }
    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, ViewError> {
        Ok(self.deliveries.iter().find(|d| d.id == id).cloned())
    }
    fn owed_to(&self, endpoint: EndpointId, limit: usize) -> Result<Vec<Delivery>, ViewError> {
        let owed = self.deliveries.iter().filter(|d| d.state.is_due());
        let own = owed.filter(|d| d.id.endpoint == endpoint);
        Ok(own.take(limit).cloned().collect())
    }
    fn owed_in_lane(
        &self,
        _: PaymentId,
        _: EndpointId,
        _: usize,
    ) -> Result<Vec<Delivery>, ViewError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, plan: Plan) -> Result<Arc<Write>, CommitError> {
        let mut rows = self.answer().await?;
        let write = plan(&*rows)?;
        for change in &write.changes.payments {
            if let Some(payment) = &change.after {
                rows.payments.insert(payment.id, payment.clone());
            }
        }
        for record in &write.changes.transfers {
            rows.transfers.insert(record.key, *record);
        }
        rows.indices.extend(write.changes.next_index);
        let answers = write.changes.answers.iter().cloned();
        let kept = answers.filter_map(|change| Some((change.key, change.after?)));
        rows.answers.extend(kept);
        for change in &write.changes.endpoints {
            Arc::make_mut(&mut rows.endpoints).apply(change);
        }
        for change in &write.changes.api_keys {
            Arc::make_mut(&mut rows.api_keys).apply(change);
        }
        for event in &write.events {
            rows.add(event);
        }
        for update in &write.changes.deliveries {
            rows.put(update.after.clone());
            let attempts = rows.attempts.entry(update.after.id).or_default();
            attempts.extend(update.attempt.clone());
        }
        Ok(Arc::new(write))
    }
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }
    fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for payment in self.rows().payments.values() {
            counters.by_status[payment.status as usize] += 1;
        }
        counters
    }
    fn last_sequence(&self) -> Sequence {
        Sequence(self.rows().events.len() as u64)
    }
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        Ok(self.answer().await?.payments.get(&id).cloned())
    }
    async fn payments(
        &self,
        filter: PaymentFilter,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<ListPage<Payment, PaymentId>, StoreError> {
        let rows = self.answer().await?;
        let mut items: Vec<Payment> = rows
            .payments
            .values()
            .rev()
            .filter(|p| after.is_none_or(|after| p.id < after))
            .filter(|p| filter.wants(p))
            .take(limit + 1)
            .cloned()
            .collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|p| p.id);
        Ok(ListPage { items, next })
    }
    async fn transfer(&self, key: TransferKey) -> Result<Option<TransferRecord>, StoreError> {
        Ok(self.answer().await?.transfers.get(&key).copied())
    }
    async fn unmatched(
        &self,
        filter: TransferFilter,
        after: Option<TransferPlace>,
        limit: usize,
    ) -> Result<ListPage<TransferRecord, TransferPlace>, StoreError> {
        let rows = self.answer().await?;
        let wanted = |t: &&TransferRecord| match t.state {
            TransferState::Unmatched { payment, .. } => {
                filter.meant_for.is_none_or(|id| payment == Some(id))
                    && after.is_none_or(|after| t.place() < after)
            }
            _ => false,
        };
        let mut items: Vec<_> = rows.transfers.values().filter(wanted).copied().collect();
        items.sort_by_key(|t| std::cmp::Reverse(t.place()));
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(TransferRecord::place);
        Ok(ListPage { items, next })
    }
    async fn events(
        &self,
        scope: EventScope,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        let rows = self.answer().await?;
        let wanted = |row: &&EventRow| match scope {
            EventScope::All => true,
            EventScope::Payment(id) => row.payment == Some(id),
        };
        let kept = |row: &&EventRow| Some(row.sequence) >= rows.first;
        let events = rows.events.iter().filter(kept);
        let later = events.filter(|row| row.sequence > after);
        Ok(later.filter(wanted).take(limit).cloned().collect())
    }
    async fn first_sequence(&self) -> Result<Sequence, StoreError> {
        let rows = self.answer().await?;
        Ok(rows.first.unwrap_or(Sequence(1)))
    }
    async fn deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<ListPage<Delivery, DeliveryId>, StoreError> {
        let rows = self.answer().await?;
        let wanted = rows.deliveries.iter().filter(|d| filter.wants(d));
        let mut wanted = wanted.filter(|d| after.is_none_or(|after| d.id < after));
        let items: Vec<Delivery> = wanted.by_ref().take(limit).cloned().collect();
        let last = items.last().map(|delivery| delivery.id);
        let next = last.filter(|_| wanted.next().is_some());
        Ok(ListPage { items, next })
    }
    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        let rows = self.answer().await?;
        Ok(rows.attempts.get(&id).cloned().unwrap_or_default())
    }
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let rows = self.answer().await?;
        Ok(rows.deliveries.iter().find(|d| d.id == id).cloned())
    }
    async fn event(&self, sequence: Sequence) -> Result<Option<EventRow>, StoreError> {
        Ok(self
            .answer()
            .await?
            .events
            .iter()
            .find(|row| row.sequence == sequence)
            .cloned())
    }
    fn endpoints(&self) -> Arc<Endpoints> {
        Arc::clone(&self.rows().endpoints)
    }
    fn api_keys(&self) -> Arc<ApiKeys> {
        Arc::clone(&self.rows().api_keys)
    }
    async fn due_targets(
        &self,
        _: UnixMs,
        _: Option<DueTarget>,
        _: usize,
    ) -> Result<Vec<DueTarget>, StoreError> {
        Ok(Vec::new())
    }
    async fn due_of(
        &self,
        _: Target,
        _: UnixMs,
        _: Option<DueKey>,
        _: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        Ok(Vec::new())
    }
    async fn owed(&self, target: Target, limit: usize) -> Result<usize, StoreError> {
        let rows = self.answer().await?;
        let owed = rows.deliveries.iter().filter(|d| d.state.is_due());
        let own = owed.filter(|d| d.target == target);
        Ok(own.take(limit).count())
    }
    async fn next_due(&self, _: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        self.answer().await.map(|_| None)
    }
    async fn cursor(&self, _: ChainId) -> Result<Option<Cursor>, StoreError> {
        Ok(None)
    }
    async fn block(&self, _: ChainId, _: Height) -> Result<Option<BlockHeader>, StoreError> {
        Ok(None)
    }
    async fn chain_id(&self, _: &str) -> Result<ChainId, StoreError> {
        Ok(ChainId(0))
    }
    async fn watched(&self) -> Result<Vec<WatchedPayment>, StoreError> {
        Ok(Vec::new())
    }
    async fn confirming(&self) -> Result<Vec<Payment>, StoreError> {
        Ok(Vec::new())
    }
    async fn next_index(&self, account: AccountId) -> Result<NextIndex, StoreError> {
        let rows = self.answer().await?;
        Ok(rows.indices.get(&account).copied().unwrap_or_default())
    }
    async fn kept_answer(&self, key: IdempotencyKey) -> Result<Option<KeptAnswer>, StoreError> {
        Ok(self.answer().await?.answers.get(&key).cloned())
    }
    async fn open_on(&self, _: ChainId) -> Result<OpenPayments, StoreError> {
        Ok(OpenPayments::default())
    }
}
