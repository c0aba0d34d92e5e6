//! From a checked configuration to the parts of a hub.

use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context;

use crate::chains::{Chain, ChainSpec, Chains};
use crate::clock::Clock;
use crate::config::{
    AmbiguousAmounts, CallbackNetworks, CallbackSchemes, ChainConfig, ChainKind, Config,
    Confirmations, EndpointConfig,
};
use crate::delivery::attempt::CallbackSecrets;
use crate::delivery::callback_url::{CallbackPolicy, InsecureCallbacks, PrivateCallbacks};
use crate::delivery::signature::Secret;
use crate::domain::amount::Decimals;
use crate::domain::ledger::{AmbiguityRule, AmountPolicy};
use crate::domain::payment::Finality;
use crate::domain::wallet::{Wallet, Wallets};
use crate::ledger_task::Entropy;
use crate::source::NodeConfig;
use crate::source::Source;
use crate::source::budget::BudgetLimits;
use crate::source::endpoints::Endpoints;
use crate::source::http::{HttpLimits, http_client};
use crate::source::node::TronNode;
use crate::store::redb::{Location, Options, RedbStore, Threads};
use crate::store::{Store, StoreIdentity};

/// Confirmations of a TRON block that 19 of 27 representatives have built on, its own included.
const TRON_USUAL_FINAL_DEPTH: u32 = 19;

/// Opens the data file off the async threads: recovery after a crash reads the whole file.
pub async fn open_store(config: &Config, entropy: &dyn Entropy) -> anyhow::Result<Arc<RedbStore>> {
    let (path, cache_bytes) = (
        config.data.clone(),
        config.store_cache_mb as usize * 1024 * 1024,
    );
    let new_identity = new_identity(entropy);
    let store = tokio::task::spawn_blocking(move || {
        RedbStore::open(Options {
            location: Location::File(&path),
            cache_bytes,
            new_identity,
            threads: Threads::Own,
        })
    })
    .await??;
    Ok(Arc::new(store))
}

fn new_identity(entropy: &dyn Entropy) -> StoreIdentity {
    let mut epoch = [0; 8];
    let (mut token_secret, mut webhook_secret) = ([0; 32], [0; 32]);
    entropy.fill(&mut epoch);
    entropy.fill(&mut token_secret);
    entropy.fill(&mut webhook_secret);
    StoreIdentity {
        epoch: hex::encode(epoch),
        token_secret,
        webhook_secret,
    }
}

/// The configured chains, under the numbers that the store keeps for their names.
pub async fn chains(config: &Config, store: &dyn Store) -> anyhow::Result<Chains> {
    let mut chains = Vec::with_capacity(config.chains.len());
    for chain in &config.chains {
        let id = store.chain_id(chain.name.as_str()).await?;
        let ChainKind::Tron = chain.kind;
        chains.push(Arc::new(Chain::new(ChainSpec {
            id,
            name: chain.name.as_str().to_owned(),
            currency: "USDT_TRC20",
            decimals: Decimals::USDT_TRON,
            contract: chain.contract,
            slot_ms: u64::try_from(chain.slot.as_millis())?,
            default_finality: match chain.confirmations {
                Confirmations::Final => Finality::Final,
                Confirmations::Blocks(n) => Finality::Depth(n),
            },
            usual_final_depth: TRON_USUAL_FINAL_DEPTH,
        })));
    }
    Ok(Chains::new(chains))
}

/// The configured wallets, on the chains that they name.
pub fn wallets(config: &Config, chains: &Chains) -> anyhow::Result<Wallets> {
    let mut wallets = Vec::with_capacity(config.wallets.len());
    for wallet in &config.wallets {
        let (name, chain) = (&wallet.name, &wallet.chain);
        let chain = chains
            .by_name(chain.as_str())
            .with_context(|| format!("wallet {name} is on chain {chain}, which is not followed"))?;
        let made = Wallet::new(
            name.clone(),
            chain.spec.id,
            wallet.key.clone(),
            wallet.first_index,
        );
        wallets.push(made.with_context(|| format!("wallet {name} has no address left"))?);
    }
    Ok(Wallets::new(wallets))
}

/// The nodes of one chain, in the order of the configuration.
pub fn endpoints(chain: &ChainConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<Endpoints> {
    let client = http_client().context("the HTTP client for nodes could not be made")?;
    let mut sources: Vec<Arc<dyn Source>> = Vec::with_capacity(chain.endpoints.len());
    for endpoint in &chain.endpoints {
        let source = TronNode::new(
            &node_config(chain, endpoint)?,
            client.clone(),
            Arc::clone(clock),
        )?;
        sources.push(Arc::new(source));
    }
    Ok(Endpoints::new(sources, chain.slot, Arc::clone(clock))?)
}

fn node_config(chain: &ChainConfig, endpoint: &EndpointConfig) -> anyhow::Result<NodeConfig> {
    Ok(NodeConfig {
        api: endpoint.api,
        slot_ms: u64::try_from(chain.slot.as_millis())?,
        url: endpoint.url.expose(),
        api_key: endpoint.api_key.as_ref().map(|key| key.expose().to_owned()),
        contract: chain.contract,
        budget: BudgetLimits {
            requests_per_second: NonZeroU32::new(endpoint.requests_per_second),
            requests_per_day: Some(u64::from(endpoint.requests_per_day)),
        },
        http: HttpLimits::default(),
    })
}

/// What signs callbacks: the configured webhook secrets, or what the store keeps.
pub fn callback_secrets(config: &Config, store: &dyn Store) -> anyhow::Result<CallbackSecrets> {
    let secrets = config
        .webhook_secrets
        .iter()
        .map(|text| Secret::parse(text.expose()));
    let secrets: Vec<_> = secrets.collect::<Result<_, _>>()?;
    Ok(CallbackSecrets::new(secrets.into(), store.identity()))
}

pub fn amount_policy(config: &Config) -> AmountPolicy {
    AmountPolicy {
        ambiguity: match config.ambiguous_amounts {
            AmbiguousAmounts::Reject => AmbiguityRule::Reject,
            AmbiguousAmounts::OldestFirst => AmbiguityRule::OldestFirst,
        },
        unique_cap: config.unique_amount_cap,
    }
}

/// Where the hub runs, as far as callbacks are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    Demo,
    Real,
}

pub fn callback_policy(config: &Config, setting: Setting) -> CallbackPolicy {
    let insecure = match (config.callbacks.schemes, setting) {
        (CallbackSchemes::HttpToo, _) => InsecureCallbacks::Allowed,
        (CallbackSchemes::HttpsOnly, Setting::Demo) => InsecureCallbacks::LoopbackOnly,
        (CallbackSchemes::HttpsOnly, Setting::Real) => InsecureCallbacks::Refused,
    };
    let private = match config.callbacks.networks {
        CallbackNetworks::PublicOnly => PrivateCallbacks::Refused,
        CallbackNetworks::PrivateToo => PrivateCallbacks::Allowed,
    };
    CallbackPolicy { insecure, private }
}
