//! What `check-config` says: every mistake, or a summary of the settings in effect without their secrets.
//!
//! Refuses to print by itself: texts and the exit code are handed back.

use std::fmt::{self, Write as _};

use super::load::{Loaded, Origin};
use super::mistake::{ConfigErrors, Warning};
use super::{
    AmbiguousAmounts, CallbackNetworks, CallbackSchemes, ChainConfig, ChainKind, Config,
    Confirmations, EndpointConfig, KeylessAccess, KeysConfigured, WalletConfig,
};
use crate::domain::account_key::AddressIndex;
use crate::domain::amount::Decimals;
use crate::logging::LogFormat;

/// Exit code of a configuration without mistakes.
pub const EXIT_FINE: u8 = 0;
/// Exit code of wrong usage or configuration.
pub const EXIT_MISCONFIGURED: u8 = 2;

/// What to print where, and how to exit. Texts that are not empty end with a line end.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckReport {
    pub stdout: String,
    pub stderr: String,
    pub exit_code: u8,
}

/// The whole answer of `paybell check-config`.
pub fn check_report(outcome: &Result<Loaded, ConfigErrors>) -> CheckReport {
    match outcome {
        Ok(loaded) => CheckReport {
            stdout: summary(loaded),
            stderr: warning_lines(&loaded.warnings),
            exit_code: EXIT_FINE,
        },
        Err(errors) => CheckReport {
            stdout: String::new(),
            stderr: format!("{errors}\n{}", warning_lines(&errors.warnings)),
            exit_code: EXIT_MISCONFIGURED,
        },
    }
}

/// `warning: place: text`, one a line.
pub fn warning_lines(warnings: &[Warning]) -> String {
    let lines = warnings
        .iter()
        .map(|warning| format!("warning: {warning}\n"));
    lines.collect()
}

/// The settings in effect, one a line, secrets counted and not shown. Ends with a line end.
pub fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut lines = Lines::default();
    match &loaded.origin {
        Origin::File(path) => lines.add("configuration", path.display()),
        Origin::Defaults => lines.add("configuration", "defaults (there is no config.json here)"),
    }
    add_serving(&mut lines, config);
    for chain in &config.chains {
        add_chain(&mut lines, chain, config);
    }
    for wallet in &config.wallets {
        add_wallet(&mut lines, wallet);
    }
    add_payments(&mut lines, config);
    lines.0
}

/// Names in one column, values in another.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl fmt::Display) {
        // Writing to a String cannot fail.
        writeln!(self.0, "{name:<18} {value}").unwrap_or_default();
    }
}

fn add_serving(lines: &mut Lines, config: &Config) {
    let is_reachable = config.check_bind(KeysConfigured::None).is_err();
    let access = match config.keyless {
        KeylessAccess::AnyAddress => "allowed without authentication",
        KeylessAccess::LoopbackOnly if is_reachable => {
            "needs an API key before it starts: paybell keys create"
        }
        KeylessAccess::LoopbackOnly => "this machine only",
    };
    lines.add("listen", format_args!("{} ({access})", config.listen));
    if let Some(url) = &config.public_url {
        lines.add("public URL", url.as_str());
    }
    for origin in &config.allowed_origins {
        lines.add("allowed origin", origin.as_str());
    }
    let (data, cache) = (config.data.display(), config.store_cache_mb);
    lines.add("data", format_args!("{data} ({cache} MiB of cache)"));
    let format = match config.log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    lines.add("log", format_args!("{}, as {format}", config.log.filter));
    lines.add("drain", format_args!("{:?}", config.drain));
}

fn add_chain(lines: &mut Lines, chain: &ChainConfig, config: &Config) {
    let kind = match chain.kind {
        ChainKind::Tron => "TRON",
    };
    let confirmations = match chain.confirmations {
        Confirmations::Final => "when final".to_owned(),
        Confirmations::Blocks(blocks) => format!("after {blocks} blocks"),
    };
    let (contract, slot) = (chain.contract, chain.slot);
    lines.add(
        &format!("chain {}", chain.name),
        format_args!("{kind}, token {contract}, counted {confirmations}, a block every {slot:?}"),
    );
    for endpoint in &chain.endpoints {
        add_endpoint(lines, endpoint);
    }
    if let Some(interval) = config.polling_interval {
        lines.add("  polling", format_args!("at most every {interval:?}"));
    }
}

fn add_endpoint(lines: &mut Lines, endpoint: &EndpointConfig) {
    let key = match endpoint.api_key {
        Some(_) => "with an API key",
        None => "without an API key",
    };
    let (per_second, per_day) = (endpoint.requests_per_second, endpoint.requests_per_day);
    let url = &endpoint.url;
    lines.add(
        "  endpoint",
        format_args!("{url} {key}, {per_second} requests/s, {per_day} a day"),
    );
}

/// The first address, so that it can be compared before any money is sent.
fn add_wallet(lines: &mut Lines, wallet: &WalletConfig) {
    let (chain, account) = (&wallet.chain, wallet.key.account());
    let first = AddressIndex::new(0).and_then(|index| wallet.key.address(index));
    let first = first.map(|address| address.to_tron()).unwrap_or_default();
    lines.add(
        &format!("wallet {}", wallet.name),
        format_args!(
            "on {chain}, watch-only, account {account}, from index {}",
            wallet.first_index.get()
        ),
    );
    lines.add(
        "  first address",
        format_args!("{first} (0/0): your wallet must show the same"),
    );
}

fn add_payments(lines: &mut Lines, config: &Config) {
    let secrets = match config.webhook_secrets.len() {
        0 => "made at the first start".to_owned(),
        count => format!("{count} configured"),
    };
    lines.add("webhook secrets", secrets);
    let schemes = match config.callbacks.schemes {
        CallbackSchemes::HttpsOnly => "https",
        CallbackSchemes::HttpToo => "https and http",
    };
    let networks = match config.callbacks.networks {
        CallbackNetworks::PublicOnly => "public addresses",
        CallbackNetworks::PrivateToo => "public and private addresses",
    };
    lines.add("callbacks", format_args!("{schemes}, to {networks}"));
    let ambiguous = match config.ambiguous_amounts {
        AmbiguousAmounts::Reject => "refused",
        AmbiguousAmounts::OldestFirst => "settled oldest first",
    };
    lines.add("equal amounts", ambiguous);
    let cap = config.unique_amount_cap.to_decimal(Decimals::USDT_TRON);
    lines.add("unique amounts", format_args!("add at most {cap} USDT"));
    let (expiry, most) = (config.default_expiry.as_secs(), config.max_expiry.as_secs());
    lines.add(
        "expiry",
        format_args!("{expiry} s unless asked, at most {most} s"),
    );
    let days = config.retention.as_secs() / 86_400;
    let grace = config.grace.as_secs();
    lines.add(
        "kept",
        format_args!("{days} days; late transfers noticed for {grace} s"),
    );
}
