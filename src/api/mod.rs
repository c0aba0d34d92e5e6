//! Floor 5, the API: HTTP and sockets in, JSON out. Refuses to decide anything about payments.

mod answer;
pub mod auth;
mod body;
mod checks;
mod classic;
pub mod create;
#[cfg(test)]
mod create_tests;
#[cfg(test)]
mod create_v1_tests;
mod creation;
mod deliveries;
mod endpoints;
#[cfg(test)]
mod endpoints_tests;
mod events;
#[cfg(test)]
mod events_tests;
mod form;
mod health;
#[cfg(test)]
mod health_tests;
pub mod host;
pub mod idempotency;
#[cfg(test)]
mod idempotency_tests;
mod instant;
pub mod keyring;
pub mod keys;
#[cfg(test)]
mod keys_tests;
pub mod live;
mod mistake;
mod origin;
pub mod pages;
pub mod problem;
mod query;
pub mod reference;
mod request;
mod rights;
mod router;
#[cfg(test)]
mod router_tests;
pub mod socket;
mod stream;
#[cfg(test)]
mod testing;
pub mod token;
mod transfers;
#[cfg(test)]
mod transfers_tests;
mod trends;
#[cfg(test)]
mod trends_tests;
mod v1;
#[cfg(test)]
mod v1_tests;
#[cfg(test)]
mod wallet_tests;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::chains::Chains;
use crate::clock::Clock;
use crate::delivery::attempt::CallbackSecrets;
use crate::delivery::gauges::Gauges;
use crate::domain::ids::UnixMs;
use crate::domain::payment::CallbackScope;
use crate::domain::wallet::Wallets;
use crate::index::Index;
use crate::ledger_task::{Entropy, Ledger};
use crate::store::Store;
use crate::trends::Trends;
use idempotency::InFlight;
use live::LiveContext;
use pages::Pages;
pub use router::{recover, routes};
use token::ClientTokens;

/// What every handler can reach.
pub struct ApiContext {
    pub ledger: Ledger,
    pub store: Arc<dyn Store>,
    pub index: Arc<Index>,
    pub chains: Chains,
    pub wallets: Wallets,
    pub tokens: ClientTokens,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub started_at: UnixMs,
    /// For those who wait for events.
    pub live: Arc<LiveContext>,
    /// Webhooks under way, for `/stats`.
    pub gauges: Arc<Gauges>,
    /// The last 24 hours, for `/v1/trends`.
    pub trends: Arc<Trends>,
    /// Says whether webhooks may go to a URL.
    pub callbacks: Arc<dyn CallbackCheck>,
    pub callback_secrets: CallbackSecrets,
    pub pages: Pages,
    pub settings: ApiSettings,
    pub in_flight: InFlight,
}

/// Looks at a callback URL before its payment is created.
#[async_trait]
pub trait CallbackCheck: Send + Sync + 'static {
    /// # Errors
    /// What is wrong with the URL, in words for the API's client.
    async fn check(&self, url: &str) -> Result<(), String>;
}

/// What the configuration says about the API.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// What the callback of a payment made through `/create_payment` hears.
    pub classic_scope: CallbackScope,
    pub default_expires_in_seconds: u64,
    /// The most that `expires_in` may be.
    pub max_expires_in_seconds: u64,
    pub grace_seconds: u64,
    /// Where payers reach the pages, without a slash at the end: `http://127.0.0.1:5000`.
    pub public_url: String,
    /// Origins whose pages may use the API from a browser, exactly as browsers write them.
    pub allowed_origins: Vec<String>,
    /// Upper bound on the time between two looks at a chain's head, where one is set.
    pub polling_interval: Option<Duration>,
    pub first_key: FirstKey,
    pub mode: RunMode,
}

/// Who may make the first API key, which shuts everyone else out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstKey {
    /// Whoever reaches the hub: that is somebody on this machine.
    ByVisitors,
    /// Only whoever may open the data file: the hub is open to strangers on purpose.
    ByOperators,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            classic_scope: CallbackScope::CompletionOnly,
            default_expires_in_seconds: 86_400,
            max_expires_in_seconds: 30 * 86_400,
            grace_seconds: 86_400,
            public_url: "http://127.0.0.1:5000".to_owned(),
            allowed_origins: Vec::new(),
            polling_interval: None,
            first_key: FirstKey::ByVisitors,
            mode: RunMode::Serve,
        }
    }
}

/// Whether the chain is the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    Serve,
    Demo,
}
