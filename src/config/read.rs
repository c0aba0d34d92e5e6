//! The vocabulary: every key of the file and every variable, with its range and where it goes.
//!
//! Refuses nothing by itself; the readers do. A key that is not asked for here is unknown.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::chain::read_chains;
use super::checker::{Checker, Section};
use super::environment as env;
use super::mistake::{Place, Problem};
use super::secret::SecretText;
use super::tree::Tree;
use super::wallet::{private_look, read_wallets};
use super::web::{PublicUrl, WebOrigin};
use super::{
    AmbiguousAmounts, CallbackNetworks, CallbackSchemes, ClassicWebhooks, Config, KeylessAccess,
    scalar,
};
use crate::domain::amount::Amount;
use crate::logging::{LogFilter, LogFormat, LogSettings};

pub const GRACE_SECONDS: RangeInclusive<u64> = 0..=30 * DAY_SECONDS;
pub const RETENTION_DAYS: RangeInclusive<u64> = 1..=3_650;
pub const EXPIRES_IN_SECONDS: RangeInclusive<u64> = 60..=365 * DAY_SECONDS;
pub const DRAIN_SECONDS: RangeInclusive<u64> = 0..=300;
pub const POLLING_INTERVAL_SECONDS: RangeInclusive<f64> = 0.1..=3_600.0;
pub const STORE_CACHE_MB: RangeInclusive<u32> = 8..=65_536;
/// 0.000001 to 1 USDT.
pub const UNIQUE_AMOUNT_CAP: RangeInclusive<Amount> =
    Amount::from_base_units(1)..=Amount::from_base_units(1_000_000);
pub const MAX_WEBHOOK_SECRETS: usize = 8;
pub const MAX_ALLOWED_ORIGINS: usize = 64;

pub(super) const DAY_SECONDS: u64 = 86_400;

/// Reads everything. What is wrong is noted and left at its default, so that the rest is checked too.
pub(super) fn read_config(tree: &Tree, checker: &mut Checker) -> Config {
    let mut top = Section::open_or_empty(&Place::top(), tree, checker);
    let mut config = Config::default();
    read_serving(&mut config, &mut top, checker);
    read_logging(&mut config.log, &mut top, checker);
    let chains = read_chains(&mut top, checker);
    read_callbacks(&mut config, &mut top, checker);
    read_payments(&mut config, &mut top, checker);
    let wallets = read_wallets(&mut top, chains.as_deref(), checker);
    set(&mut config.wallets, wallets);
    set(&mut config.chains, chains);
    top.close(checker);
    config
}

fn set<T>(setting: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *setting = value;
    }
}

fn read_serving(config: &mut Config, top: &mut Section, checker: &mut Checker) {
    let listen = top.get_or_env("listen", env::LISTEN, checker, scalar::listen_address);
    set(&mut config.listen, listen);
    let data = top.get_or_env("data", env::DATA, checker, scalar::file_path);
    set(&mut config.data, data);
    let cache = |tree: &Tree| scalar::whole(tree, STORE_CACHE_MB);
    set(
        &mut config.store_cache_mb,
        top.get("store_cache_mb", checker, cache),
    );
    let public_url = |tree: &Tree| PublicUrl::parse(scalar::text(tree)?).map_err(Problem::Web);
    let public_url = top.get("public_url", checker, |tree| {
        scalar::optional(tree, public_url)
    });
    set(&mut config.public_url, public_url);
    let origin = |tree: &Tree| WebOrigin::parse(scalar::text(tree)?).map_err(Problem::Web);
    let origins = top
        .find("allowed_origins", checker)
        .and_then(|(place, tree)| distinct(&place, tree, MAX_ALLOWED_ORIGINS, checker, origin));
    set(&mut config.allowed_origins, origins);
    let key = "allow_unauthenticated";
    let keyless = top.get_or_env(key, env::ALLOW_UNAUTHENTICATED, checker, |tree| {
        scalar::flag(tree, KeylessAccess::LoopbackOnly, KeylessAccess::AnyAddress)
    });
    set(&mut config.keyless, keyless);
    let drain = |tree: &Tree| scalar::seconds(tree, DRAIN_SECONDS);
    set(&mut config.drain, top.get("drain_seconds", checker, drain));
}

fn read_logging(log: &mut LogSettings, top: &mut Section, checker: &mut Checker) {
    let filter = |tree: &Tree| {
        let text = scalar::text(tree)?;
        match private_look(text) {
            Some(what) => Err(Problem::PrivateKey { what }),
            None => LogFilter::parse(text).map_err(Problem::Filter),
        }
    };
    set(
        &mut log.filter,
        top.get_or_env("log", env::LOG, checker, filter),
    );
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = |tree: &Tree| scalar::one_of(tree, &formats);
    set(
        &mut log.format,
        top.get_or_env("log_format", env::LOG_FORMAT, checker, format),
    );
}

fn read_callbacks(config: &mut Config, top: &mut Section, checker: &mut Checker) {
    let secret = |tree: &Tree| SecretText::webhook(scalar::text(tree)?).map_err(Problem::Secret);
    let secrets = |place: &Place, tree: &Tree, checker: &mut Checker| {
        distinct(place, tree, MAX_WEBHOOK_SECRETS, checker, secret)
    };
    let written = top
        .find("webhook_secrets", checker)
        .and_then(|(place, tree)| secrets(&place, tree, checker));
    set(&mut config.webhook_secrets, written);
    let overriding = checker.variable(env::WEBHOOK_SECRETS, secrets);
    set(&mut config.webhook_secrets, overriding);
    let schemes =
        |tree: &Tree| scalar::flag(tree, CallbackSchemes::HttpsOnly, CallbackSchemes::HttpToo);
    let key = "allow_insecure_callbacks";
    let schemes = top.get_or_env(key, env::ALLOW_INSECURE_CALLBACKS, checker, schemes);
    set(&mut config.callbacks.schemes, schemes);
    let networks = |tree: &Tree| {
        let (private, public) = (CallbackNetworks::PrivateToo, CallbackNetworks::PublicOnly);
        scalar::flag(tree, public, private)
    };
    let key = "allow_private_callbacks";
    let networks = top.get_or_env(key, env::ALLOW_PRIVATE_CALLBACKS, checker, networks);
    set(&mut config.callbacks.networks, networks);
    let scopes = [
        ("completed", ClassicWebhooks::Completed),
        ("all", ClassicWebhooks::All),
    ];
    let scope = |tree: &Tree| scalar::one_of(tree, &scopes);
    set(
        &mut config.classic_webhooks,
        top.get("classic_webhooks", checker, scope),
    );
}

fn read_payments(config: &mut Config, top: &mut Section, checker: &mut Checker) {
    let polling = |tree: &Tree| {
        scalar::optional(tree, |tree| {
            scalar::decimal_seconds(tree, POLLING_INTERVAL_SECONDS)
        })
    };
    let key = "polling_interval_seconds";
    let polling = top.get_or_env(key, env::POLLING_INTERVAL, checker, polling);
    set(&mut config.polling_interval, polling);
    let rules = [
        ("reject", AmbiguousAmounts::Reject),
        ("oldest_first", AmbiguousAmounts::OldestFirst),
    ];
    let ambiguous = top.get("ambiguous_amounts", checker, |tree| {
        scalar::one_of(tree, &rules)
    });
    set(&mut config.ambiguous_amounts, ambiguous);
    let cap = top.get("unique_amount_cap", checker, |tree| {
        scalar::usdt(tree, UNIQUE_AMOUNT_CAP)
    });
    set(&mut config.unique_amount_cap, cap);
    let expiry = |tree: &Tree| scalar::seconds(tree, EXPIRES_IN_SECONDS);
    let default_expiry = top.get("default_expires_in_seconds", checker, expiry);
    set(&mut config.default_expiry, default_expiry);
    let max_expiry = top.get("max_expires_in_seconds", checker, expiry);
    set(&mut config.max_expiry, max_expiry);
    let grace = |tree: &Tree| scalar::seconds(tree, GRACE_SECONDS);
    set(&mut config.grace, top.get("grace_seconds", checker, grace));
    let retention = top.get("retention_days", checker, |tree| {
        let days = scalar::whole(tree, RETENTION_DAYS)?;
        Ok(Duration::from_secs(days * DAY_SECONDS))
    });
    set(&mut config.retention, retention);
}

/// Items read one by one, each different from those before it.
fn distinct<T: PartialEq>(
    place: &Place,
    tree: &Tree,
    most: usize,
    checker: &mut Checker,
    read: impl Fn(&Tree) -> Result<T, Problem>,
) -> Option<Vec<T>> {
    let mut seen: Vec<(T, Place)> = Vec::new();
    checker.items(place, tree, 0..=most, |place, tree, checker| {
        let value = checker.take(place, read(tree))?;
        match seen.iter().find(|(earlier, _)| *earlier == value) {
            Some((_, first)) => {
                let first = first.clone();
                checker.wrong(place.clone(), Problem::Repeated { first });
            }
            None => seen.push((value, place.clone())),
        }
        Some(())
    })?;
    Some(seen.into_iter().map(|(value, _)| value).collect())
}

/// Rules that join two settings; one that is wrong by itself is not blamed twice.
pub(super) fn check_together(config: &Config, checker: &mut Checker) {
    let top = Place::top();
    let default_expiry = top.key("default_expires_in_seconds");
    let max_expiry = top.key("max_expires_in_seconds");
    let both_clean = checker.is_clean(&default_expiry) && checker.is_clean(&max_expiry);
    if both_clean && config.default_expiry > config.max_expiry {
        let most_seconds = config.max_expiry.as_secs();
        checker.wrong(default_expiry, Problem::ExpiryBeyondMost { most_seconds });
    }
}
