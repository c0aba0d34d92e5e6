//! One attempt at one delivery: where it goes now, which keys sign it, what came of it, and its record.
//!
//! All of it is read at the moment of sending: a delivery may have waited for days, and its endpoint have another URL,
//! other keys, or no use for it. Refuses to choose what is sent when; that is the dispatcher's.

use std::sync::Arc;

use super::breaker::Told;
use super::callback_url::CallbackUrl;
use super::dispatcher::{ERROR_PAUSE, Parts};
use super::outcome::{AttemptOutcome, Verdict};
use super::sender::SignedWebhook;
use super::signature::Secret;
use crate::domain::delivery::{AttemptReport, Delivery, DeliveryState, Outcome};
use crate::domain::endpoints::Endpoints;
use crate::domain::ids::{EndpointId, UnixMs};
use crate::domain::outbox::Owing;
use crate::domain::retry::Jitter;
use crate::domain::signing_key::SigningKey;
use crate::store::{CommitError, EventRow, StoreError, StoreIdentity, describe};
use crate::trends::AcceptedWebhook;

/// What signs callbacks.
#[derive(Debug, Clone)]
pub struct CallbackSecrets {
    /// The configured ones, the newest first; none is usual.
    configured: Arc<[Secret]>,
    /// Made with the data file; signs until it is rotated.
    made: SigningKey,
}

impl CallbackSecrets {
    pub fn new(configured: Arc<[Secret]>, identity: &StoreIdentity) -> Self {
        Self {
            configured,
            made: SigningKey::of_random(identity.webhook_secret),
        }
    }

    /// Whether the configuration names them, so that they are rotated there.
    pub fn are_configured(&self) -> bool {
        !self.configured.is_empty()
    }

    /// What signs where none is configured, until it is rotated.
    pub const fn made(&self) -> &SigningKey {
        &self.made
    }

    /// The secrets that sign at this moment, the newest first.
    pub fn at(&self, endpoints: &Endpoints, now: UnixMs) -> Vec<Secret> {
        if self.are_configured() {
            return self.configured.to_vec();
        }
        match endpoints.callback_keys() {
            Some(keys) => keys.at(now).map(Secret::of_key).collect(),
            None => vec![Secret::of_key(&self.made)],
        }
    }
}

/// Where an attempt goes and what signs it.
struct Receiver {
    url: String,
    secrets: Vec<Secret>,
}

/// What an attempt says about its target, and how long the receiver took, ms.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    pub told: Told,
    pub took_ms: u64,
}

impl Heard {
    const NOTHING: Self = Self {
        told: Told::Nothing,
        took_ms: 0,
    };
}

/// Makes an attempt and records it.
pub async fn make(parts: &Parts, delivery: Delivery) -> Heard {
    let Some(event) = event_of(parts, &delivery).await else {
        return Heard::NOTHING;
    };
    // Not before the store was read, which may take its time: receivers refuse a signature whose time has passed.
    let started = parts.clock.now();
    let Some(receiver) = receiver_of(parts, &delivery, started) else {
        parts
            .ledger
            .release(Owing::Endpoint(delivery.id.endpoint))
            .await;
        // A failure, so that what could not be given up is not tried again and again.
        return Heard {
            told: Told::Failed,
            took_ms: 0,
        };
    };
    let accepted = accepted_webhook(&delivery, &event);
    let (report, told) = send(parts, &delivery, event, receiver, started).await;
    let ended = parts.clock.now();
    let endpoint = delivery.id.endpoint;
    parts.gauges.heard(endpoint, report.outcome, ended);
    if let (Outcome::Delivered, Some(accepted)) = (report.outcome, accepted) {
        parts.trends.webhook_accepted(&AcceptedWebhook {
            accepted_at: ended,
            ..accepted
        });
    }
    let took_ms = u64::from(report.latency_ms);
    record(parts, report).await;
    Heard { told, took_ms }
}

/// An event is kept as long as it is owed. Where it cannot be read a pause keeps the next attempt from following at once.
async fn event_of(parts: &Parts, delivery: &Delivery) -> Option<EventRow> {
    let why = match parts.store.event(delivery.id.sequence).await {
        Ok(Some(event)) => return Some(event),
        Ok(None) => "it is not there".to_owned(),
        Err(error) => describe(&error),
    };
    tracing::error!(delivery = %delivery.id, why, "an event could not be read");
    tokio::time::sleep(ERROR_PAUSE).await;
    None
}

/// What the trends are told should it be accepted; nothing of one that was asked for by hand, long after its commit.
fn accepted_webhook(delivery: &Delivery, event: &EventRow) -> Option<AcceptedWebhook> {
    let since_commit = delivery.schedule_from == 0 && delivery.created_at == event.at;
    since_commit.then_some(AcceptedWebhook {
        kind: event.kind,
        block_time: event.block_time,
        committed_at: event.at,
        accepted_at: event.at,
    })
}

/// Nothing where the endpoint is disabled or gone: then it is not sent to.
fn receiver_of(parts: &Parts, delivery: &Delivery, now: UnixMs) -> Option<Receiver> {
    let endpoints = parts.store.endpoints();
    if delivery.id.endpoint == EndpointId::CALLBACK {
        return Some(Receiver {
            url: delivery.url.clone(),
            secrets: parts.secrets.at(&endpoints, now),
        });
    }
    let endpoint = endpoints.get(delivery.id.endpoint)?;
    endpoint.is_enabled().then(|| Receiver {
        url: endpoint.url.clone(),
        secrets: endpoint.keys.at(now).map(Secret::of_key).collect(),
    })
}

async fn send(
    parts: &Parts,
    delivery: &Delivery,
    event: EventRow,
    receiver: Receiver,
    started: UnixMs,
) -> (AttemptReport, Told) {
    let mut report = AttemptReport {
        id: delivery.id,
        url: receiver.url,
        at: started,
        status: None,
        latency_ms: 0,
        detail: String::new(),
        outcome: Outcome::Failed,
        retry_after: None,
        jitter: draw_jitter(parts),
    };
    let url = match CallbackUrl::parse(&report.url, parts.policy) {
        Ok(url) => url,
        Err(refused) => {
            report.detail = refused.to_string();
            return (report, Told::Failed);
        }
    };
    let id = event.id.to_string();
    let webhook = SignedWebhook::new(&receiver.secrets, &id, started.0 / 1000, event.body);
    let outcome = parts.sender.send(&url, webhook).await;
    report.status = outcome.status;
    report.latency_ms = u32::try_from(outcome.latency_ms).unwrap_or(u32::MAX);
    report.detail = detail_of(&outcome);
    report.retry_after = outcome.verdict.retry_after();
    report.outcome = match outcome.verdict {
        Verdict::Delivered => Outcome::Delivered,
        Verdict::Gone => Outcome::Gone,
        Verdict::Overloaded { .. } | Verdict::Failed { .. } => Outcome::Failed,
    };
    let told = outcome.verdict.told(delivery.target);
    (report, told)
}

fn draw_jitter(parts: &Parts) -> Jitter {
    let mut bits = [0; 4];
    parts.entropy.fill(&mut bits);
    Jitter::from_random(u32::from_be_bytes(bits))
}

fn detail_of(outcome: &AttemptOutcome) -> String {
    match outcome.verdict.reason() {
        Some(reason) if outcome.excerpt.is_empty() => reason,
        Some(reason) => format!("{reason}: {}", outcome.excerpt),
        None => outcome.excerpt.clone(),
    }
}

/// Writes the attempt down; tries until the store takes it, because the receiver has already heard.
async fn record(parts: &Parts, report: AttemptReport) {
    loop {
        match parts.ledger.record_delivery(report.clone()).await {
            Ok(write) => {
                if let Some(recorded) = write.changes.deliveries.first() {
                    log_attempt(&recorded.after, &report);
                }
                return;
            }
            Err(CommitError::Store(StoreError::Closed)) => return,
            Err(error) => {
                tracing::error!(delivery = %report.id, error = %describe(&error), "an attempt could not be recorded");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

fn log_attempt(delivery: &Delivery, report: &AttemptReport) {
    let (id, kind, status) = (delivery.id, delivery.kind.as_str(), report.status);
    let latency_ms = report.latency_ms;
    match delivery.state {
        DeliveryState::Delivered(_) => {
            tracing::info!(delivery = %id, kind, status, latency_ms, "webhook delivered");
        }
        DeliveryState::Due(at) => {
            let detail = &report.detail;
            tracing::warn!(delivery = %id, kind, status, attempts = delivery.attempts, next_at_ms = at.0, detail, "webhook failed; it will be tried again");
        }
        DeliveryState::Exhausted(_) => {
            let (detail, why) = (&report.detail, delivery.given_up.map(|why| why.as_str()));
            tracing::error!(delivery = %id, kind, status, attempts = delivery.attempts, detail, why, "webhook given up");
        }
    }
}
