//! `/health` and `/stats`: how the hub and its chains are, in numbers and in words.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use warp::reply::Response;

use super::problem::Problem;
use super::wire::scalar::Seconds;
use super::{ApiContext, RunMode, answer};
use crate::chains::{Chain, ChainSpec, EndpointStanding, Standing};
use crate::domain::ids::UnixMs;
use crate::domain::payment::Status;
use crate::store::Counters;

/// How long the store may take for the smallest of reads.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// Blocks behind the head from which on a chain counts as lagging; a minute on TRON.
const MAX_BLOCKS_BEHIND: u64 = 20;
/// Blocks so much younger than this machine's clock mean that the clock is wrong.
const MAX_CLOCK_BEHIND_MS: u64 = 600_000;
/// Age of a chain's last useful answer from which on it counts as lagging.
const MAX_SILENCE_MS: u64 = 60_000;
/// The same while nothing is watched: heads are then asked for once a minute.
const MAX_IDLE_SILENCE_MS: u64 = 150_000;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    timestamp: Seconds,
    active_payments: u64,
    total_payments: u64,
    /// What is wrong, one sentence each.
    reasons: Vec<String>,
    version: &'static str,
    chains: Vec<ChainObject>,
}

#[derive(Serialize)]
struct Stats {
    pending_payments: u64,
    completed_payments: u64,
    total_payments: u64,
    uptime_seconds: f64,
    polling_interval: f64,
    payments: StatusCounts,
    sockets: u64,
    streams: u64,
    deliveries_due: u64,
    deliveries_failed: u64,
    webhooks: WebhookCounts,
    version: &'static str,
    demo: bool,
    chains: Vec<ChainObject>,
    wallets: Vec<WalletObject>,
}

#[derive(Serialize)]
struct WebhookCounts {
    in_flight: usize,
    due: u64,
    exhausted: u64,
    /// Receivers that are left alone for a while because they only failed.
    open_breakers: usize,
}

#[derive(Serialize)]
struct ChainObject {
    name: String,
    head: Option<u64>,
    tip: Option<u64>,
    #[serde(rename = "final")]
    final_height: Option<u64>,
    blocks_behind: u64,
    /// Set while a long gap is being closed.
    catch_up: Option<CatchUpObject>,
    /// Age of the last processed block.
    lag_seconds: Option<f64>,
    last_success_at: Option<Seconds>,
    last_error: Option<String>,
    last_error_at: Option<Seconds>,
    idle: bool,
    endpoints: Vec<EndpointObject>,
}

/// Never the key: it shows every address.
#[derive(Serialize)]
struct WalletObject {
    name: String,
    chain: String,
    next_index: u32,
}

#[derive(Serialize)]
struct CatchUpObject {
    from: u64,
    to: u64,
    blocks_done: u64,
    blocks_left: u64,
    started_at: Seconds,
    seconds_left: Option<u64>,
}

impl CatchUpObject {
    fn of(standing: &Standing, now: UnixMs) -> Option<Self> {
        let (gap, tip) = (standing.catch_up?, standing.tip?);
        Some(Self {
            from: gap.from.0,
            to: gap.to.0,
            blocks_done: tip.0.saturating_sub(gap.from.0),
            blocks_left: gap.to.0.saturating_sub(tip.0),
            started_at: Seconds(gap.started_at),
            seconds_left: gap.seconds_left(tip, now),
        })
    }
}

#[derive(Serialize)]
struct EndpointObject {
    name: String,
    healthy: bool,
    requests_today: u64,
    /// Null without a daily budget, like what is left of it.
    requests_per_day: Option<u64>,
    requests_left_today: Option<u64>,
    suspended_until: Option<Seconds>,
    last_error: Option<String>,
}

/// Payments by status, one field a status.
struct StatusCounts(Counters);

impl Serialize for StatusCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Status::ALL.map(|status| (status.as_str(), self.0.of(status))))
    }
}

pub async fn health(ctx: &ApiContext) -> Result<Response, Problem> {
    let now = ctx.clock.now();
    let store_trouble = store_trouble(ctx).await;
    let counters = ctx.store.counters();
    let chains: Vec<(&Arc<Chain>, Standing)> =
        ctx.chains.iter().map(|c| (c, c.standing())).collect();
    let lags = chains.iter().filter_map(|(chain, standing)| {
        lag(&chain.spec, standing, now)
            .or_else(|| wrong_time(&chain.spec, standing, now, ctx.settings.mode))
    });
    let reasons: Vec<String> = store_trouble.clone().into_iter().chain(lags).collect();
    let status = match (&store_trouble, reasons.is_empty()) {
        (Some(_), _) => "unhealthy",
        (None, false) => "degraded",
        (None, true) => "healthy",
    };
    let health = Health {
        status,
        timestamp: Seconds(now),
        active_payments: counters.open(),
        total_payments: counters.total(),
        reasons,
        version: env!("CARGO_PKG_VERSION"),
        chains: chain_objects(chains, now),
    };
    match store_trouble {
        Some(_) => answer::unhealthy(&health),
        None => answer::ok(&health),
    }
}

pub async fn stats(ctx: &ApiContext) -> Result<Response, Problem> {
    let now = ctx.clock.now();
    let counters = ctx.store.counters();
    let chains = ctx.chains.iter().map(|c| (c, c.standing())).collect();
    let wallets = wallet_objects(ctx).await?;
    answer::ok(&Stats {
        // Classic clients know two states only: what is not completed yet is pending.
        pending_payments: counters.open(),
        completed_payments: counters.of(Status::Completed),
        total_payments: counters.total(),
        uptime_seconds: seconds_between(ctx.started_at, now),
        polling_interval: polling_interval(ctx),
        payments: StatusCounts(counters),
        sockets: ctx.live.seats.sockets(),
        streams: ctx.live.seats.streams(),
        deliveries_due: counters.deliveries_due,
        deliveries_failed: counters.deliveries_exhausted,
        webhooks: WebhookCounts {
            in_flight: ctx.gauges.in_flight(),
            due: counters.deliveries_due,
            exhausted: counters.deliveries_exhausted,
            open_breakers: ctx.gauges.open_breakers(),
        },
        version: env!("CARGO_PKG_VERSION"),
        demo: ctx.settings.mode == RunMode::Demo,
        chains: chain_objects(chains, now),
        wallets,
    })
}

async fn wallet_objects(ctx: &ApiContext) -> Result<Vec<WalletObject>, Problem> {
    let mut objects = Vec::new();
    for wallet in ctx.wallets.iter() {
        let taken = ctx.store.next_index(wallet.key.id()).await?;
        let chain = ctx.chains.by_id(wallet.chain);
        objects.push(WalletObject {
            name: wallet.name.to_string(),
            chain: chain.map(|c| c.spec.name.clone()).unwrap_or_default(),
            next_index: wallet.next_index(taken).0,
        });
    }
    Ok(objects)
}

/// The configured bound, else the slot time of the quickest chain.
fn polling_interval(ctx: &ApiContext) -> f64 {
    let slot_ms = ctx.chains.iter().map(|chain| chain.spec.slot_ms).min();
    let slot = Duration::from_millis(slot_ms.unwrap_or_default());
    ctx.settings.polling_interval.unwrap_or(slot).as_secs_f64()
}

async fn store_trouble(ctx: &ApiContext) -> Option<String> {
    match tokio::time::timeout(STORE_TIMEOUT, ctx.store.next_due(ctx.clock.now())).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
            Some("the store cannot be read; see the log".to_owned())
        }
        Err(_) => Some(format!(
            "the store did not answer within {} s",
            STORE_TIMEOUT.as_secs()
        )),
    }
}

/// Why a chain counts as lagging, if it does.
fn lag(spec: &ChainSpec, standing: &Standing, now: UnixMs) -> Option<String> {
    let name = &spec.name;
    // First: the round that catches up is long, and its end is the first success.
    let behind = standing.blocks_behind();
    if behind > MAX_BLOCKS_BEHIND {
        return Some(format!("{name}: {behind} blocks behind the chain's head"));
    }
    let Some(last_success) = standing.last_success_at else {
        return Some(format!("{name}: no node has answered yet"));
    };
    let (silence_ms, allowed_ms) = (
        now.0.saturating_sub(last_success.0),
        allowed_silence_ms(standing),
    );
    (silence_ms > allowed_ms).then(|| {
        let seconds = silence_ms / 1000;
        format!("{name}: no node has given a useful answer for {seconds} s")
    })
}

fn allowed_silence_ms(standing: &Standing) -> u64 {
    if standing.idle {
        MAX_IDLE_SILENCE_MS
    } else {
        MAX_SILENCE_MS
    }
}

/// Answers come, but the newest block's time is not ours: the chain stands still, or one of the two clocks is wrong. The
/// demo's chain may be sent into the future.
fn wrong_time(spec: &ChainSpec, standing: &Standing, now: UnixMs, mode: RunMode) -> Option<String> {
    let (name, tip_time) = (&spec.name, standing.tip_time?);
    let (age_ms, ahead_ms) = (
        now.0.saturating_sub(tip_time.0),
        tip_time.0.saturating_sub(now.0),
    );
    let slots_ms = spec.slot_ms.saturating_mul(MAX_BLOCKS_BEHIND);
    if age_ms > allowed_silence_ms(standing).max(slots_ms) {
        let seconds = age_ms / 1000;
        return Some(format!(
            "{name}: the newest block is {seconds} s old; its nodes stand still, or this machine's clock is ahead"
        ));
    }
    (ahead_ms > MAX_CLOCK_BEHIND_MS && mode == RunMode::Serve).then(|| {
        let seconds = ahead_ms / 1000;
        format!("{name}: the newest block is {seconds} s in the future; this machine's clock is behind, and payments expire too soon")
    })
}

fn chain_objects(chains: Vec<(&Arc<Chain>, Standing)>, now: UnixMs) -> Vec<ChainObject> {
    let chains = chains.into_iter();
    chains
        .map(|(chain, standing)| ChainObject {
            name: chain.spec.name.clone(),
            head: standing.head.map(|h| h.0),
            tip: standing.tip.map(|h| h.0),
            final_height: standing.final_height.map(|h| h.0),
            blocks_behind: standing.blocks_behind(),
            catch_up: CatchUpObject::of(&standing, now),
            lag_seconds: standing.tip_time.map(|time| seconds_between(time, now)),
            last_success_at: standing.last_success_at.map(Seconds),
            last_error: standing.last_error,
            last_error_at: standing.last_error_at.map(Seconds),
            idle: standing.idle,
            endpoints: standing
                .endpoints
                .into_iter()
                .map(endpoint_object)
                .collect(),
        })
        .collect()
}

fn endpoint_object(endpoint: EndpointStanding) -> EndpointObject {
    EndpointObject {
        name: endpoint.name,
        healthy: endpoint.healthy,
        requests_today: endpoint.requests_today,
        requests_per_day: endpoint
            .requests_left_today
            .map(|left| left.saturating_add(endpoint.requests_today)),
        requests_left_today: endpoint.requests_left_today,
        suspended_until: endpoint.suspended_until.map(Seconds),
        last_error: endpoint.last_error,
    }
}

fn seconds_between(from: UnixMs, to: UnixMs) -> f64 {
    to.minus_ms(from.0).as_seconds()
}
