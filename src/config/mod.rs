//! The configuration: JSON file and environment in, checked plain data out, all mistakes at once.
//!
//! Refuses unknown keys, values out of range, and to show a secret. Opens nothing but its file.

pub mod chain;
mod checker;
pub mod endpoint;
pub mod environment;
mod load;
pub mod mistake;
mod read;
pub mod report;
mod scalar;
pub mod secret;
mod spelling;
#[cfg(test)]
mod tests;
mod tree;
pub mod wallet;
pub mod web;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use chain::{ChainConfig, ChainKind, ChainName, Confirmations};
pub use endpoint::EndpointConfig;
pub use environment::Environment;
pub use load::{Loaded, Origin};
pub use mistake::{BindRefused, ConfigErrors, Mistake, Place, Problem, Warning};
pub use secret::SecretText;
pub use wallet::WalletConfig;
pub use web::{EndpointUrl, PublicUrl, WebOrigin};

use crate::domain::amount::Amount;
use crate::domain::api_keys::ApiKeys;
use crate::logging::LogSettings;

/// Where the hub listens unless told otherwise: loopback, port 5000.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5_000);

/// Every setting, checked. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub listen: SocketAddr,
    /// The store's file; a relative path counts from the working directory.
    pub data: PathBuf,
    /// The base of `checkout_url`; without it, URLs are built from `listen`.
    pub public_url: Option<PublicUrl>,
    /// Origins besides the hub's own whose pages may open sockets and read answers.
    pub allowed_origins: Vec<WebOrigin>,
    pub log: LogSettings,
    /// At least one; names differ.
    pub chains: Vec<ChainConfig>,
    /// Watch-only; names and keys differ.
    pub wallets: Vec<WalletConfig>,
    /// The shortest time between two questions for a chain's head; without it, slot time decides.
    pub polling_interval: Option<Duration>,
    /// All of them sign; empty means that the hub makes its own.
    pub webhook_secrets: Vec<SecretText>,
    pub callbacks: CallbackRules,
    pub classic_webhooks: ClassicWebhooks,
    pub keyless: KeylessAccess,
    pub ambiguous_amounts: AmbiguousAmounts,
    /// What `amount_mode: unique` may add at most, in base units of USDT on TRON (6 decimals).
    pub unique_amount_cap: Amount,
    /// How long a payment waits when its request does not say; at most `max_expiry`.
    pub default_expiry: Duration,
    pub max_expiry: Duration,
    /// How long after its end a payment's address is still watched, to report late transfers.
    pub grace: Duration,
    /// How long closed payments, events and deliveries are kept.
    pub retention: Duration,
    /// How long a stop may take.
    pub drain: Duration,
    /// The store's page cache, in MiB.
    pub store_cache_mb: u32,
}

/// Where webhooks may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallbackRules {
    pub schemes: CallbackSchemes,
    pub networks: CallbackNetworks,
}

/// From `allow_insecure_callbacks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallbackSchemes {
    #[default]
    HttpsOnly,
    HttpToo,
}

/// From `allow_private_callbacks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallbackNetworks {
    /// Globally routable addresses only.
    #[default]
    PublicOnly,
    PrivateToo,
}

/// Which events reach the callback of a payment made by `POST /create_payment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClassicWebhooks {
    /// The completion only, and a completion taken back: what receivers of the replaced service expect.
    #[default]
    Completed,
    All,
}

/// From `allow_unauthenticated`: where the hub may listen while no API key exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeylessAccess {
    #[default]
    LoopbackOnly,
    AnyAddress,
}

/// Whether anyone has made an API key yet. A revoked one counts: it has locked the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysConfigured {
    None,
    Some,
}

/// What happens to a second payment of the same amount on the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AmbiguousAmounts {
    #[default]
    Reject,
    /// A transfer settles the one that was created first.
    OldestFirst,
}

impl KeysConfigured {
    pub fn of(keys: &ApiKeys) -> Self {
        match keys.is_empty() {
            true => Self::None,
            false => Self::Some,
        }
    }
}

impl Config {
    /// Whether the hub may serve at its address, given the keys there are.
    ///
    /// # Errors
    /// Other machines can reach it, at its address or through whatever serves its public URL, and there are neither keys
    /// nor `allow_unauthenticated`.
    pub fn check_bind(&self, keys: KeysConfigured) -> Result<(), BindRefused> {
        if keys == KeysConfigured::Some || self.keyless == KeylessAccess::AnyAddress {
            return Ok(());
        }
        if !self.listen.ip().to_canonical().is_loopback() {
            return Err(BindRefused::Listen(self.listen));
        }
        match &self.public_url {
            Some(url) if !url.is_loopback() => Err(BindRefused::PublicUrl(url.clone())),
            _ => Ok(()),
        }
    }
}

/// TRON mainnet through TronGrid, served on loopback: what an empty file means.
impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            data: PathBuf::from("paybell.redb"),
            public_url: None,
            allowed_origins: Vec::new(),
            log: LogSettings::default(),
            chains: vec![ChainConfig::default()],
            wallets: Vec::new(),
            polling_interval: None,
            webhook_secrets: Vec::new(),
            callbacks: CallbackRules::default(),
            classic_webhooks: ClassicWebhooks::default(),
            keyless: KeylessAccess::default(),
            ambiguous_amounts: AmbiguousAmounts::default(),
            unique_amount_cap: Amount::from_base_units(10_000),
            default_expiry: Duration::from_secs(read::DAY_SECONDS),
            max_expiry: Duration::from_secs(30 * read::DAY_SECONDS),
            grace: Duration::from_secs(read::DAY_SECONDS),
            retention: Duration::from_secs(90 * read::DAY_SECONDS),
            drain: Duration::from_secs(10),
            store_cache_mb: 256,
        }
    }
}
