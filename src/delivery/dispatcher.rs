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

use super::attempt::{self, CallbackSecrets};
use super::callback_url::CallbackPolicy;
use super::sender::Transport;
use crate::clock::Clock;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::{PaymentId, UnixMs};
use crate::domain::target::Target;
use crate::ledger_task::{Entropy, Ledger};
use crate::shutdown::{self, Shutdown};
use crate::store::{DueKey, DueTarget, Store, StoreError, describe};

/// Attempts under way at once, over all endpoints.
const MAX_IN_FLIGHT: usize = 500;
/// Attempts under way at once to one endpoint: an account-wide endpoint, or all callbacks of one origin.
const MAX_PER_ENDPOINT: usize = 8;
/// Targets read in one go.
const SCAN_TARGETS: usize = MAX_IN_FLIGHT;
/// Due rows of one target read in one go.
const SCAN_ROWS: usize = 64;
/// Such pieces of one target looked at before the next pause: what its lanes hold up is not looked through for ever.
const MAX_PIECES: usize = 32;
/// The outbox is looked at this often even if nobody calls.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
const RESCAN_PAUSE: Duration = Duration::from_millis(50);
/// After the store or a record failed.
pub(super) const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// What the dispatcher works with.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub ledger: Ledger,
    pub sender: Arc<dyn Transport>,
    pub policy: CallbackPolicy,
    pub secrets: CallbackSecrets,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Called when something new may be due.
    pub due: Arc<Notify>,
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
        lane_is_free && self.target_has_room(lane.0)
    }

    fn target_has_room(&self, target: Target) -> bool {
        self.per_target.get(&target).copied().unwrap_or(0) < MAX_PER_ENDPOINT
    }

    fn enter(&mut self, lane: &Lane) {
        self.lanes.insert(*lane);
        *self.per_target.entry(lane.0).or_insert(0) += 1;
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
    match start_targets(parts, in_flight, tasks, now).await {
        Ok(left_waiting) => {
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
        Err(error) => {
            tracing::error!(error = %describe(&error), "the outbox could not be read");
            Scan::FAILED
        }
    }
}

/// Goes through the targets, soonest first; returns how many deliveries were passed over.
async fn start_targets(
    parts: &Arc<Parts>,
    in_flight: &mut InFlight,
    tasks: &mut JoinSet<Lane>,
    now: UnixMs,
) -> Result<usize, StoreError> {
    let (mut after, mut left_waiting) = (None::<DueTarget>, 0);
    while tasks.len() < MAX_IN_FLIGHT {
        let targets = parts.store.due_targets(now, after, SCAN_TARGETS).await?;
        after = targets.last().copied();
        for (_, target) in &targets {
            left_waiting += start_target(parts, in_flight, tasks, *target, now).await?;
        }
        if targets.len() < SCAN_TARGETS {
            break;
        }
    }
    Ok(left_waiting)
}

/// Starts what is due to one target while it has room.
async fn start_target(
    parts: &Arc<Parts>,
    in_flight: &mut InFlight,
    tasks: &mut JoinSet<Lane>,
    target: Target,
    now: UnixMs,
) -> Result<usize, StoreError> {
    let (mut after, mut left_waiting) = (None, 0);
    for _ in 0..MAX_PIECES {
        if tasks.len() >= MAX_IN_FLIGHT || !in_flight.target_has_room(target) {
            break;
        }
        let due = parts.store.due_of(target, now, after, SCAN_ROWS).await?;
        after = due.last().and_then(due_key);
        let is_last = due.len() < SCAN_ROWS;
        for delivery in due {
            let started = start_one(parts, in_flight, tasks, delivery);
            left_waiting += usize::from(started.is_none());
        }
        if is_last {
            break;
        }
    }
    Ok(left_waiting)
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
) -> Option<AbortHandle> {
    let lane = (delivery.target, delivery.payment);
    if tasks.len() >= MAX_IN_FLIGHT || !in_flight.has_room(&lane) {
        return None;
    }
    in_flight.enter(&lane);
    let parts = Arc::clone(parts);
    let attempted = tokio::spawn(async move { attempt::make(&parts, delivery).await });
    Some(tasks.spawn(async move {
        if let Err(error) = attempted.await {
            tracing::error!(%error, "a webhook attempt ended without a record");
        }
        lane
    }))
}
