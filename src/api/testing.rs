//! A hub in memory for the tests of this floor: a store without a disk, a clock that stands still, one chain.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::pages::{Page, Pages};
use super::token::ClientTokens;
use super::wire::WireEncoder;
use super::{ApiContext, ApiSettings, CallbackCheck, routes};
use crate::chains::{Chain, ChainSpec, Chains};
use crate::clock::Clock;
use crate::domain::address::Address;
use crate::domain::amount::{Amount, Decimals};
use crate::domain::chain::BlockHeader;
use crate::domain::changes::{Cursor, Timer, View, ViewError};
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::ids::{
    ChainId, DeliveryId, Height, PaymentId, Sequence, TransferKey, UnixMs, Watched,
};
use crate::domain::ledger::{AmbiguityRule, AmountPolicy};
use crate::domain::payment::{ChainPoint, Finality, Payment, TransferRecord};
use crate::ledger_task::{Entropy, Ledger};
use crate::store::{
    CommitError, Counters, DeliveryFilter, EventRow, EventScope, Page as ListPage, PaymentFilter,
    Plan, Store, StoreError, StoreIdentity, WatchedPayment, Write,
};

pub const ADDRESS: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
pub const NOW: UnixMs = UnixMs(1_672_531_200_123);

#[derive(Default)]
pub struct Rows {
    pub payments: BTreeMap<PaymentId, Payment>,
    pub events: Vec<EventRow>,
    pub deliveries: Vec<Delivery>,
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
    fn new() -> Self {
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

impl View for Rows {
    fn payment(&self, id: PaymentId) -> Result<Option<Payment>, ViewError> {
        Ok(self.payments.get(&id).cloned())
    }
    fn payment_by_order(&self, order_id: &str) -> Result<Option<PaymentId>, ViewError> {
        let found = self.payments.values().find(|p| p.order_id == order_id);
        Ok(found.map(|p| p.id))
    }
    fn watching(&self, watched: Watched) -> Result<Vec<PaymentId>, ViewError> {
        let all = self.payments.values();
        let here = all.filter(|p| p.watched && p.watched_address() == watched);
        Ok(here.map(|p| p.id).collect())
    }
    fn transfer(&self, _: &TransferKey) -> Result<Option<TransferRecord>, ViewError> {
        Ok(None)
    }
    fn transfers_above(&self, _: ChainId, _: Height) -> Result<Vec<TransferRecord>, ViewError> {
        Ok(Vec::new())
    }
    fn cursor(&self, _: ChainId) -> Result<Option<Cursor>, ViewError> {
        Ok(None)
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
    fn next_sequence(&self) -> Result<Sequence, ViewError> {
        Ok(Sequence(self.events.len() as u64 + 1))
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
        rows.events
            .extend(write.events.iter().map(|e| e.row.clone()));
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
            .filter(|p| filter.status.is_none_or(|status| p.status == status))
            .filter(|p| filter.order_id.as_ref().is_none_or(|id| p.order_id == *id))
            .take(limit + 1)
            .cloned()
            .collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|p| p.id);
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
        let later = rows.events.iter().filter(|row| row.sequence > after);
        Ok(later.filter(wanted).take(limit).cloned().collect())
    }
    async fn first_sequence(&self) -> Result<Sequence, StoreError> {
        self.answer().await.map(|_| Sequence(1))
    }
    async fn deliveries(
        &self,
        _: DeliveryFilter,
        _: Option<DeliveryId>,
        limit: usize,
    ) -> Result<ListPage<Delivery, DeliveryId>, StoreError> {
        let rows = self.answer().await?;
        let items = rows.deliveries.iter().take(limit).cloned().collect();
        Ok(ListPage { items, next: None })
    }
    async fn attempts(&self, _: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        Ok(Vec::new())
    }
    async fn due_deliveries(
        &self,
        _: UnixMs,
        _: usize,
    ) -> Result<Vec<(Delivery, EventRow)>, StoreError> {
        Ok(Vec::new())
    }
    async fn next_due(&self, _: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        Ok(None)
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
    async fn oldest_open(&self, _: ChainId) -> Result<Option<UnixMs>, StoreError> {
        Ok(None)
    }
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> UnixMs {
        NOW
    }
}

/// Counts upwards, so that ids follow their creation.
#[derive(Default)]
struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let shared = bytes.len().min(count.len());
        let start = bytes.len() - shared;
        bytes[start..].copy_from_slice(&count[count.len() - shared..]);
    }
}

/// Lets https through.
struct HttpsOnly;

#[async_trait]
impl CallbackCheck for HttpsOnly {
    async fn check(&self, url: &str) -> Result<(), String> {
        if url.starts_with("https://") {
            return Ok(());
        }
        Err("callback_url: only https is accepted".to_owned())
    }
}

static PAGES: [Page; 2] = [
    Page {
        path: "/",
        content_type: "text/html; charset=utf-8",
        body: b"<!doctype html>",
    },
    Page {
        path: "/assets/index.js",
        content_type: "text/javascript; charset=utf-8",
        body: b"export {};",
    },
];

pub fn chain() -> Arc<Chain> {
    let chain = Chain::new(ChainSpec {
        id: ChainId(0),
        name: "tron".to_owned(),
        currency: "USDT_TRC20",
        decimals: Decimals::USDT_TRON,
        contract: Address::from_tron(ADDRESS).expect("an address"),
        slot_ms: 3000,
        default_finality: Finality::Final,
        usual_final_depth: 19,
    });
    chain.update(|standing| {
        standing.head = Some(Height(120));
        standing.tip = Some(Height(120));
        standing.tip_time = Some(NOW.minus_ms(2000));
        standing.final_height = Some(Height(102));
        standing.last_success_at = Some(NOW.minus_ms(1000));
    });
    Arc::new(chain)
}

/// The hub under test.
pub struct Hub {
    pub ctx: Arc<ApiContext>,
    pub store: Arc<MemoryStore>,
    pub routes: BoxedFilter<(Response,)>,
}

/// An answer, read.
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.transpose().expect("text").unwrap_or_default()
    }

    /// The text of an error, after a look at the rest of its form.
    pub fn error(&self) -> String {
        let json = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(json["status"], self.status);
        assert_eq!(json["detail"], json["error"]);
        assert!(!json["error"].as_str().expect("text").is_empty());
        for field in ["type", "title", "code"] {
            assert!(json[field].is_string(), "{json}");
        }
        json["error"].as_str().expect("text").to_owned()
    }
}

impl Hub {
    pub fn new() -> Self {
        Self::with(ApiSettings::default())
    }

    pub fn with(settings: ApiSettings) -> Self {
        let store = Arc::new(MemoryStore::new());
        let chains = Chains::new(vec![chain()]);
        let clock: Arc<dyn Clock> = Arc::new(StoppedClock);
        let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
        let policy = AmountPolicy {
            ambiguity: AmbiguityRule::Reject,
            unique_cap: Amount::from_base_units(10_000),
        };
        let encoder = WireEncoder {
            chains: chains.clone(),
        };
        let ledger = Ledger::new(
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::clone(&clock),
            Arc::clone(&entropy),
            Arc::new(encoder),
            policy,
        );
        let ctx = Arc::new(ApiContext {
            ledger,
            store: Arc::clone(&store) as Arc<dyn Store>,
            index: Arc::default(),
            chains,
            tokens: ClientTokens::new([1; 32]),
            clock,
            entropy,
            started_at: NOW.minus_ms(60_500),
            sockets: Arc::default(),
            callbacks: Arc::new(HttpsOnly),
            pages: Pages::new(&PAGES),
            settings,
        });
        Self {
            routes: routes(Arc::clone(&ctx)),
            ctx,
            store,
        }
    }

    pub async fn send(&self, request: warp::test::RequestBuilder) -> Answer {
        let response = request.reply(&self.routes).await;
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.into_body(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(warp::test::request().path(path)).await
    }

    pub async fn get_as(&self, token: &str, path: &str) -> Answer {
        let header = format!("Bearer {token}");
        let request = warp::test::request().path(path);
        self.send(request.header("authorization", header)).await
    }

    pub async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        let request = warp::test::request().method("POST").path(path);
        self.send(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
    }
}
