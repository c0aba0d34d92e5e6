//! The dispatcher: takes what is due from the durable outbox, sends it, and records what became of it.
//!
//! At most one attempt is under way per endpoint and payment, so that a receiver hears a payment's events in order;
//! the store never lets a later one fall due before an earlier one. Refuses to hold state that a restart would miss:
//! whatever was under way when the program died is still due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use super::callback_url::{CallbackPolicy, CallbackUrl};
use super::outcome::{AttemptOutcome, Verdict};
use super::sender::{SignedWebhook, Transport};
use super::signature::Secret;
use crate::clock::Clock;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState};
use crate::domain::ids::{EndpointId, PaymentId, UnixMs};
use crate::domain::retry::{Jitter, NextAttempt, next_attempt};
use crate::ledger_task::{Entropy, Ledger};
use crate::shutdown::{self, Shutdown};
use crate::store::{CommitError, DeliveryUpdate, DueKey, EventRow, Store, describe};

/// Attempts under way at once, over all endpoints.
const MAX_IN_FLIGHT: usize = 500;
/// Attempts under way at once to one endpoint: an account-wide endpoint, or all callbacks of one origin.
const MAX_PER_ENDPOINT: usize = 8;
/// Due rows looked at in one go.
const SCAN_ROWS: usize = 4 * MAX_IN_FLIGHT;
/// Such pieces looked at before the next pause.
const MAX_PIECES: usize = 100;
/// The outbox is looked at this often even if nobody calls.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
const RESCAN_PAUSE: Duration = Duration::from_millis(50);
/// After the store or a record failed.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// What the dispatcher works with.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub ledger: Ledger,
    pub sender: Arc<dyn Transport>,
    pub policy: CallbackPolicy,
    pub secrets: Arc<[Secret]>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Called when something new may be due.
    pub due: Arc<Notify>,
}

/// Where attempts compete for places: an account-wide endpoint, or the origin of payments' own callbacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Target {
    Endpoint(EndpointId),
    Origin(String),
}

/// One at a time: what goes to one target for one payment.
type Lane = (Target, Option<PaymentId>);

#[derive(Default)]
struct InFlight {
    lanes: HashSet<Lane>,
    per_target: HashMap<Target, usize>,
}

impl InFlight {
    fn has_room(&self, lane: &Lane) -> bool {
        let lane_is_free = lane.1.is_none() || !self.lanes.contains(lane);
        lane_is_free && self.per_target.get(&lane.0).copied().unwrap_or(0) < MAX_PER_ENDPOINT
    }

    fn enter(&mut self, lane: &Lane) {
        self.lanes.insert(lane.clone());
        *self.per_target.entry(lane.0.clone()).or_insert(0) += 1;
    }

    fn leave(&mut self, lane: &Lane) {
        self.lanes.remove(lane);
        if let Some(count) = self.per_target.get_mut(&lane.0) {
            *count -= 1;
            if *count == 0 {
                self.per_target.remove(&lane.0);
            }
        }
    }
}

/// Sends what falls due until `shutdown` turns true, then gives what is under way `drain` to finish.
pub async fn run(parts: Parts, mut shutdown: Shutdown, drain: Duration) {
    let parts = Arc::new(parts);
    let mut in_flight = InFlight::default();
    let mut tasks: JoinSet<Lane> = JoinSet::new();
    loop {
        let scan = start_due(&parts, &mut in_flight, &mut tasks).await;
        tokio::time::sleep(scan.pause()).await;
        tokio::select! {
            biased;
            () = shutdown::requested(&mut shutdown) => break,
            Some(done) = tasks.join_next() => finish(&mut in_flight, done),
            () = parts.due.notified() => {}
            () = tokio::time::sleep(scan.wait) => {}
        }
        while let Some(done) = tasks.try_join_next() {
            finish(&mut in_flight, done);
        }
    }
    let all_done = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, all_done).await.is_err() {
        tracing::info!("webhooks still under way at the end of the drain time stay due");
    }
}

/// What a look at the outbox found.
struct Scan {
    /// How long to sleep when nothing else happens.
    wait: Duration,
    /// Due, but without room at their endpoint.
    left_waiting: usize,
}

impl Scan {
    const FAILED: Self = Self {
        wait: ERROR_PAUSE,
        left_waiting: 0,
    };

    /// Much that must wait is not looked through again at every commit.
    fn pause(&self) -> Duration {
        if self.left_waiting > MAX_IN_FLIGHT {
            RESCAN_PAUSE
        } else {
            Duration::ZERO
        }
    }
}

fn finish(in_flight: &mut InFlight, done: Result<Lane, tokio::task::JoinError>) {
    match done {
        Ok(lane) => in_flight.leave(&lane),
        Err(error) => tracing::error!(%error, "a webhook attempt ended without a record"),
    }
}

/// Starts what is due and has room.
async fn start_due(
    parts: &Arc<Parts>,
    in_flight: &mut InFlight,
    tasks: &mut JoinSet<Lane>,
) -> Scan {
    let now = parts.clock.now();
    let (mut after, mut left_waiting) = (None, 0);
    // A piece full of what must wait for its own endpoint hides nothing behind it.
    for _ in 0..MAX_PIECES {
        let due = match parts.store.due_deliveries(now, after, SCAN_ROWS).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(error = %describe(&error), "the outbox could not be read");
                return Scan::FAILED;
            }
        };
        after = due.last().and_then(|(delivery, _)| due_key(delivery));
        let is_last = due.len() < SCAN_ROWS;
        for (delivery, event) in due {
            let started = start_one(parts, in_flight, tasks, delivery, event);
            left_waiting += usize::from(started.is_none());
        }
        if is_last || tasks.len() >= MAX_IN_FLIGHT {
            break;
        }
    }
    let wait = match parts.store.next_due(now).await {
        Ok(Some(at)) => Duration::from_millis(at.0.saturating_sub(parts.clock.now().0)),
        Ok(None) => LONGEST_SLEEP,
        Err(_) => ERROR_PAUSE,
    };
    Scan {
        wait: wait.min(LONGEST_SLEEP),
        left_waiting,
    }
}

fn due_key(delivery: &Delivery) -> Option<DueKey> {
    match delivery.state {
        DeliveryState::Due(at) => Some((at, delivery.id)),
        DeliveryState::Delivered(_) | DeliveryState::Exhausted(_) => None,
    }
}

/// Starts an attempt where its target and its lane have room.
fn start_one(
    parts: &Arc<Parts>,
    in_flight: &mut InFlight,
    tasks: &mut JoinSet<Lane>,
    delivery: Delivery,
    event: EventRow,
) -> Option<AbortHandle> {
    let lane = lane_of(parts, &delivery);
    if tasks.len() >= MAX_IN_FLIGHT || !in_flight.has_room(&lane) {
        return None;
    }
    in_flight.enter(&lane);
    let parts = Arc::clone(parts);
    let attempted = tokio::spawn(async move { attempt(&parts, delivery, event).await });
    Some(tasks.spawn(async move {
        if let Err(error) = attempted.await {
            tracing::error!(%error, "a webhook attempt ended without a record");
        }
        lane
    }))
}

fn lane_of(parts: &Parts, delivery: &Delivery) -> Lane {
    let target = match delivery.id.endpoint {
        EndpointId::CALLBACK => {
            let url = CallbackUrl::parse(&delivery.url, parts.policy);
            Target::Origin(url.map_or_else(|_| delivery.url.clone(), |url| url.origin()))
        }
        endpoint => Target::Endpoint(endpoint),
    };
    (target, delivery.payment)
}

async fn attempt(parts: &Parts, delivery: Delivery, event: EventRow) {
    let started = parts.clock.now();
    let (attempt, verdict) = match CallbackUrl::parse(&delivery.url, parts.policy) {
        Ok(url) => {
            let webhook = SignedWebhook::new(
                &parts.secrets,
                &event.id.to_string(),
                started.0 / 1000,
                event.body,
            );
            let outcome = parts.sender.send(&url, webhook).await;
            (attempt_of(started, &outcome), Some(outcome.verdict))
        }
        Err(refused) => {
            let attempt = Attempt {
                at: started,
                status: None,
                latency_ms: 0,
                detail: refused.to_string(),
            };
            (attempt, None)
        }
    };
    record(parts, delivery, attempt, verdict.as_ref()).await;
}

fn attempt_of(started: UnixMs, outcome: &AttemptOutcome) -> Attempt {
    let detail = match outcome.verdict.reason() {
        Some(reason) if outcome.excerpt.is_empty() => reason,
        Some(reason) => format!("{reason}: {}", outcome.excerpt),
        None => outcome.excerpt.clone(),
    };
    Attempt {
        at: started,
        status: outcome.status,
        latency_ms: u32::try_from(outcome.latency_ms).unwrap_or(u32::MAX),
        detail,
    }
}

/// Writes the attempt down; tries until the store takes it, because the receiver has already heard.
async fn record(parts: &Parts, delivery: Delivery, attempt: Attempt, verdict: Option<&Verdict>) {
    let after = Delivery {
        attempts: delivery.attempts + 1,
        state: state_after(parts, delivery.attempts + 1, verdict),
        last: Some(attempt.clone()),
        ..delivery
    };
    log_attempt(&after, &attempt);
    let update = DeliveryUpdate {
        after,
        attempt: Some(attempt),
    };
    loop {
        match parts.ledger.record_delivery(update.clone()).await {
            Ok(_) => return,
            Err(CommitError::Store(crate::store::StoreError::Closed)) => return,
            Err(error) => {
                tracing::error!(delivery = %update.after.id, error = %describe(&error), "an attempt could not be recorded");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

fn state_after(parts: &Parts, attempts: u32, verdict: Option<&Verdict>) -> DeliveryState {
    let now = parts.clock.now();
    let retry_after = match verdict {
        Some(Verdict::Delivered) => return DeliveryState::Delivered(now),
        Some(Verdict::Gone) => return DeliveryState::Exhausted(now),
        Some(other) => other.retry_after(),
        None => None,
    };
    let mut bits = [0; 4];
    parts.entropy.fill(&mut bits);
    match next_attempt(
        attempts,
        now,
        Jitter::from_random(u32::from_be_bytes(bits)),
        retry_after,
    ) {
        NextAttempt::At(at) => DeliveryState::Due(at),
        NextAttempt::Exhausted => DeliveryState::Exhausted(now),
    }
}

fn log_attempt(delivery: &Delivery, attempt: &Attempt) {
    let (id, kind, status) = (delivery.id, delivery.kind.as_str(), attempt.status);
    let latency_ms = attempt.latency_ms;
    match delivery.state {
        DeliveryState::Delivered(_) => {
            tracing::info!(delivery = %id, kind, status, latency_ms, "webhook delivered");
        }
        DeliveryState::Due(at) => {
            let detail = &attempt.detail;
            tracing::warn!(delivery = %id, kind, status, attempts = delivery.attempts, next_at_ms = at.0, detail, "webhook failed; it will be tried again");
        }
        DeliveryState::Exhausted(_) => {
            let detail = &attempt.detail;
            tracing::error!(delivery = %id, kind, status, attempts = delivery.attempts, detail, "webhook given up");
        }
    }
}
