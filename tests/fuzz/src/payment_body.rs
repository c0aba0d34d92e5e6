//! Bodies of `POST /v1/payments`. A body is a payment whose every field keeps its limits and says what the JSON says, by
//! a second reading here; or it is refused as the client's mistake, never as ours.

use std::sync::{Arc, LazyLock};

use paybell::api::create::{Dialect, payment};
use paybell::api::idempotency::InFlight;
use paybell::api::live::LiveContext;
use paybell::api::pages::Pages;
use paybell::api::problem::Kind;
use paybell::api::token::ClientTokens;
use paybell::api::wire::WireEncoder;
use paybell::api::{ApiContext, ApiSettings, CallbackCheck};
use paybell::chains::{Chain, ChainSpec, Chains};
use paybell::clock::Clock;
use paybell::delivery::attempt::CallbackSecrets;
use paybell::delivery::callback_url::{CallbackPolicy, CallbackUrl};
use paybell::domain::address::Address;
use paybell::domain::amount::{Amount, Decimals};
use paybell::domain::ids::{ChainId, Sequence, UnixMs};
use paybell::domain::ledger::{AmbiguityRule, AmountPolicy};
use paybell::domain::payment::{Finality, Payment};
use paybell::domain::wallet::Wallets;
use paybell::hub::Hub;
use paybell::ledger_task::{Entropy, Ledger};
use paybell::store::redb::{Location, Options, RedbStore, Threads};
use paybell::store::{Store, StoreIdentity};
use paybell::trends::Trends;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

const CONTRACT: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
const NOW: UnixMs = UnixMs(1_700_000_000_000);
/// The server takes no longer body.
const MAX_BODY_BYTES: usize = 64 * 1024;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(9);
    }
}

/// The strict policy, as far as it goes without asking the network.
struct Strict;

#[async_trait::async_trait]
impl CallbackCheck for Strict {
    async fn check(&self, url: &str) -> Result<(), String> {
        let parsed = CallbackUrl::parse(url, CallbackPolicy::default());
        parsed.map(drop).map_err(|error| error.to_string())
    }
}

static HUB: LazyLock<(Runtime, ApiContext)> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    (runtime, context())
});

fn context() -> ApiContext {
    let contract = Address::from_tron(CONTRACT).expect("an address");
    let chains = Chains::new(vec![Arc::new(Chain::new(ChainSpec {
        id: ChainId(0),
        name: "tron".to_owned(),
        currency: "USDT_TRC20",
        decimals: Decimals::USDT_TRON,
        contract,
        slot_ms: 3_000,
        default_finality: Finality::Final,
        usual_final_depth: 19,
    }))]);
    let opened = RedbStore::open(Options {
        location: Location::Backend(Box::new(redb::backends::InMemoryBackend::new())),
        cache_bytes: 1 << 20,
        new_identity: StoreIdentity {
            epoch: "e-fuzz".to_owned(),
            token_secret: [1; 32],
            webhook_secret: [2; 32],
        },
        threads: Threads::Caller,
    });
    let store: Arc<dyn Store> = Arc::new(opened.expect("a store"));
    let policy = AmountPolicy {
        ambiguity: AmbiguityRule::Reject,
        unique_cap: Amount::from_base_units(10_000),
    };
    let encoder = Arc::new(WireEncoder {
        chains: chains.clone(),
    });
    let callback_secrets = CallbackSecrets::new(Arc::new([]), store.identity());
    let live = LiveContext::new(
        Hub::new("e-fuzz"),
        Arc::clone(&store),
        Arc::new(Fixed),
        chains.clone(),
        watch::channel(false).1,
    );
    ApiContext {
        ledger: Ledger::new(
            Arc::clone(&store),
            Arc::new(Fixed),
            Arc::new(Fixed),
            encoder,
            policy,
        ),
        store,
        index: Arc::default(),
        chains,
        wallets: Wallets::default(),
        tokens: ClientTokens::new([1; 32]),
        clock: Arc::new(Fixed),
        entropy: Arc::new(Fixed),
        started_at: NOW,
        live: Arc::new(live),
        gauges: Arc::default(),
        trends: Arc::new(Trends::new(Arc::new(Fixed), [ChainId(0)], Sequence(0))),
        callbacks: Arc::new(Strict),
        callback_secrets,
        pages: Pages::new(&[]),
        settings: ApiSettings::default(),
        in_flight: InFlight::default(),
    }
}

pub fn target(data: &[u8]) {
    if data.len() > MAX_BODY_BYTES {
        return;
    }
    let (runtime, ctx) = &*HUB;
    match runtime.block_on(payment(ctx, data, Dialect::V1)) {
        Ok(read) => {
            keeps_its_limits(read.payment(), &ctx.settings);
            says_what_the_body_says(read.payment(), data);
        }
        Err(problem) => {
            let known = matches!(problem.kind, Kind::InvalidJson | Kind::InvalidRequest);
            assert!(known, "{problem:?}");
            assert_eq!(problem.into_response().status(), 400);
        }
    }
    if let Err(problem) = runtime.block_on(payment(ctx, data, Dialect::Classic)) {
        assert_eq!(problem.into_response().status(), 400);
    }
}

fn keeps_its_limits(read: &Payment, settings: &ApiSettings) {
    let units = read.expected.base_units();
    assert!((10_000..=1_000_000_000_000).contains(&units), "{read:?}");
    assert!(read.tolerance < read.expected, "{read:?}");
    assert_eq!(read.to_pay, read.expected);
    let chars = read.order_id.chars().count();
    assert!(
        (1..=100).contains(&chars) && !read.order_id.chars().any(char::is_control),
        "{read:?}"
    );
    let seconds = (read.expires_at.0 - NOW.0) / 1000;
    assert!(
        (60..=settings.max_expires_in_seconds).contains(&seconds),
        "{read:?}"
    );
    if let Finality::Depth(depth) = read.finality {
        assert!((1..=1_000).contains(&depth), "{read:?}");
    }
    if let Some(callback) = &read.callback {
        let url = CallbackUrl::parse(&callback.url, CallbackPolicy::default());
        assert!(url.is_ok(), "{callback:?}");
    }
    if let Some(metadata) = &read.metadata {
        assert!(metadata.len() <= 4096);
        serde_json::from_str::<Value>(metadata).expect("metadata is JSON");
    }
    if let Some(url) = &read.success_url {
        let url = url::Url::parse(url).expect("a link");
        assert!(matches!(url.scheme(), "http" | "https"), "{url}");
    }
}

/// `serde_json`'s own tree as the second opinion.
fn says_what_the_body_says(read: &Payment, data: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let text = |name: &str| body[name].as_str();
    assert_eq!(text("order_id").map(str::trim), Some(&*read.order_id));
    assert_eq!(text("wallet_address"), Some(&*read.address.to_tron()));
    let written = match &body["expected_amount_usdt"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let float: f64 = written.parse().expect("an amount is a number");
    let units = read.expected.base_units() as f64;
    assert!(
        (float * 1e6 - units).abs() <= units * 1e-12 + 1e-3,
        "{written} became {units}"
    );
    let callback = read.callback.as_ref().map(|c| c.url.as_str());
    assert_eq!(text("callback_url"), callback);
    assert_eq!(text("success_url"), read.success_url.as_deref());
}
