//! A hub in memory for the tests of this floor: a store without a disk, a clock that stands still, one chain.

mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::idempotency::InFlight;
use super::live::{LiveContext, LiveLimits};
use super::pages::{Page, Pages, Readers};
use super::reference::Documents;
use super::token::ClientTokens;
use super::wire::WireEncoder;
use super::{ApiContext, ApiSettings, CallbackCheck, routes};
use crate::chains::{Chain, ChainSpec, Chains};
use crate::clock::Clock;
use crate::delivery::attempt::CallbackSecrets;
use crate::delivery::signature::Secret;
use crate::domain::address::Address;
use crate::domain::amount::{Amount, Decimals};
use crate::domain::ids::{ChainId, Height, PaymentId, Sequence, UnixMs};
use crate::domain::ledger::{AmbiguityRule, AmountPolicy};
use crate::domain::payment::{Finality, Payment};
use crate::domain::test_support::wallet;
use crate::domain::wallet::Wallets;
use crate::hub;
use crate::ledger_task::{Entropy, Ledger};
use crate::store::Store;
use crate::trends::Trends;
pub use store::{MemoryStore, Mood};

pub const ADDRESS: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
pub const NOW: UnixMs = UnixMs(1_672_531_200_123);

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

static PAGES: [Page; 4] = [
    Page {
        path: "/",
        content_type: "text/html; charset=utf-8",
        readers: Readers::OwnPages,
        body: b"<!doctype html>",
    },
    Page {
        path: "/assets/index.js",
        content_type: "text/javascript; charset=utf-8",
        readers: Readers::OwnPages,
        body: b"export {};",
    },
    Page {
        path: "/pay/{id}",
        content_type: "text/html; charset=utf-8",
        readers: Readers::OwnPages,
        body: b"checkout",
    },
    Page {
        path: "/paybell.js",
        content_type: "text/javascript; charset=utf-8",
        readers: Readers::AllPages,
        body: b"export const shared = 1;",
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
    pub shutdown: watch::Sender<bool>,
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
        Self::limited(settings, LiveLimits::default())
    }

    pub fn limited(settings: ApiSettings, limits: LiveLimits) -> Self {
        Self::of(settings, limits, Arc::new([]))
    }

    /// One whose configuration names what signs callbacks.
    pub fn with_webhook_secret(text: &str) -> Self {
        let secret = Secret::parse(text).expect("a webhook secret");
        let (settings, limits) = (ApiSettings::default(), LiveLimits::default());
        Self::of(settings, limits, Arc::new([secret]))
    }

    fn of(settings: ApiSettings, limits: LiveLimits, secrets: Arc<[Secret]>) -> Self {
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
        let trends = Arc::new(Trends::new(Arc::clone(&clock), [ChainId(0)], Sequence(0)));
        let (shutdown, signal) = watch::channel(false);
        let live = Arc::new(LiveContext {
            limits,
            ..LiveContext::new(
                hub::Hub::new(&store.identity().epoch),
                Arc::clone(&store) as _,
                Arc::clone(&clock),
                chains.clone(),
                signal,
            )
        });
        let documents = Documents::assemble().expect("parts that fit");
        let ctx = Arc::new(ApiContext {
            ledger,
            store: Arc::clone(&store) as Arc<dyn Store>,
            index: Arc::default(),
            chains,
            wallets: Wallets::new(vec![wallet("main")]),
            tokens: ClientTokens::new([1; 32]),
            clock,
            entropy,
            started_at: NOW.minus_ms(60_500),
            live,
            gauges: Arc::default(),
            trends,
            callbacks: Arc::new(HttpsOnly),
            callback_secrets: CallbackSecrets::new(secrets, store.identity()),
            pages: documents.add_to(Pages::new(&PAGES)),
            settings,
            in_flight: InFlight::default(),
        });
        Self {
            routes: routes(Arc::clone(&ctx)),
            shutdown,
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

    /// The one payment that the store holds.
    pub fn only_payment(&self) -> Payment {
        let rows = self.store.rows();
        assert_eq!(rows.payments.len(), 1);
        rows.payments.values().next().expect("a payment").clone()
    }

    /// Publishes what was committed since the last time.
    pub fn announce(&self) {
        let told = self.ctx.live.hub.newest_now();
        let rows = self.store.rows().events.clone();
        for row in rows.iter().filter(|row| row.sequence > told) {
            self.ctx.live.hub.publish(row);
        }
    }

    /// Commits an event and announces it.
    pub fn happen(&self, payment: Option<PaymentId>) -> u64 {
        let sequence = {
            let events = &mut self.store.rows().events;
            let sequence = events.len() as u64 + 1;
            events.push(hub::tests::row(sequence, payment));
            sequence
        };
        self.announce();
        sequence
    }

    /// Creates a payment; its id and client token.
    pub async fn create(&self, order_id: &str, amount: &str) -> (PaymentId, String) {
        let body = json!({"wallet_address": ADDRESS, "expected_amount_usdt": amount, "order_id": order_id});
        let answer = self.post("/v1/payments", body.to_string()).await;
        assert_eq!(answer.status, 201);
        let json = answer.json();
        let id = PaymentId::parse(json["payment_id"].as_str().expect("an id")).expect("an id");
        (
            id,
            json["client_token"].as_str().expect("a token").to_owned(),
        )
    }
}

/// A good classic body, one field replaced by literal JSON.
pub fn body_with(field: &str, value: &str) -> String {
    let mut fields = vec![
        ("wallet_address", format!("\"{ADDRESS}\"")),
        ("expected_amount_usdt", "10.50".to_owned()),
        ("callback_url", "\"https://shop.example/hook\"".to_owned()),
        ("order_id", "\"ORDER_1\"".to_owned()),
    ];
    match fields.iter_mut().find(|(name, _)| *name == field) {
        Some(known) => known.1 = value.to_owned(),
        None if field.is_empty() => {}
        None => fields.push((field, value.to_owned())),
    }
    let fields: Vec<String> = fields
        .into_iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}
