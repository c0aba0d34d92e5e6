//! The dispatcher: asks the durable outbox what is due where there is room, and has it sent.
//!
//! Whose turn it is, is decided in `places`; what is due, by the store, which keeps each lane in order. Sleeps until
//! something can happen, and then looks only at the targets that it concerns, however much waits for others. Refuses to
//! hold state that a restart would miss: whatever was under way when the program died is still due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::attempt::{self, CallbackSecrets, Heard};
use super::breaker::Told;
use super::callback_url::CallbackPolicy;
use super::gauges::Gauges;
use super::moment::Moment;
use super::places::{Lane, Limits, Noted, Offer, Places, Rest, Ticket};
use super::sender::Transport;
use super::standing::MAX_PER_TARGET;
use crate::clock::Clock;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::UnixMs;
use crate::domain::retry::Jitter;
use crate::domain::target::{ORIGIN_BYTES, OriginId, Target};
use crate::due_bell::{DueBell, Ring, Rung};
use crate::ledger_task::{Entropy, Ledger};
use crate::shutdown::{self, Shutdown};
use crate::store::{DueKey, Store, StoreError, describe};
use crate::trends::Trends;

/// Targets read in one go.
const SURVEY_TARGETS: usize = 1_000;
/// Rows of one target read at first: what is under way, which is still due, and as much again.
const FIRST_ROWS: usize = 2 * MAX_PER_TARGET;
/// Rows read in each further piece, where lanes hold up what comes first.
const MORE_ROWS: usize = 128;
/// Pieces of one target looked at in a turn. What its own lanes hold up is looked at again when one of them moves.
const MAX_PIECES: usize = 32;
/// All targets are looked at this often, should a bell have been missed or the clock been set.
const SURVEY_EVERY: Duration = Duration::from_secs(30);
/// After the store or a record failed.
pub(super) const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// Later than any delivery.
const FAR: UnixMs = UnixMs(u64::MAX);
/// Behind all others of the same time.
const LAST_TARGET: Target = Target::Origin(OriginId([0xff; ORIGIN_BYTES]));

/// What the dispatcher works with.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub ledger: Ledger,
    pub sender: Arc<dyn Transport>,
    pub policy: CallbackPolicy,
    pub secrets: CallbackSecrets,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Rung when something new may be due.
    pub due: Arc<DueBell>,
    /// Told how much is under way.
    pub gauges: Arc<Gauges>,
    /// Told of every webhook that was accepted.
    pub trends: Arc<Trends>,
}

/// Sends what falls due until `shutdown` turns true, then gives what is under way `drain` to finish.
pub async fn run(parts: Parts, mut shutdown: Shutdown, drain: Duration) {
    let mut dispatcher = Dispatcher::new(parts);
    loop {
        let wait = dispatcher.turn().await;
        tokio::select! {
            biased;
            () = shutdown::requested(&mut shutdown) => break,
            Some(done) = dispatcher.tasks.join_next_with_id() => dispatcher.finish(done),
            () = dispatcher.parts.due.wait() => {}
            () = tokio::time::sleep(wait) => {}
        }
        while let Some(done) = dispatcher.tasks.try_join_next_with_id() {
            dispatcher.finish(done);
        }
    }
    let mut tasks = dispatcher.tasks;
    let all_done = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, all_done).await.is_err() {
        tracing::info!("webhooks still under way at the end of the drain time stay due");
    }
}

struct Dispatcher {
    parts: Arc<Parts>,
    began: Instant,
    places: Places,
    tasks: JoinSet<Heard>,
    tickets: HashMap<Id, Ticket>,
    /// Wall time of the last survey; none where all targets must be looked at.
    looked_at: Option<UnixMs>,
    /// Wall time at which the next target has something due.
    due_at: Option<UnixMs>,
    next_survey: Moment,
}

impl Dispatcher {
    fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            began: Instant::now(),
            places: Places::new(Limits::default()),
            tasks: JoinSet::new(),
            tickets: HashMap::new(),
            looked_at: None,
            due_at: None,
            next_survey: Moment::default(),
        }
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.began.elapsed())
    }

    /// Starts all that may be started; returns how long to sleep when nothing else happens.
    async fn turn(&mut self) -> Duration {
        let started = match self.look().await {
            Ok(()) => self.start_offered().await,
            Err(error) => Err(error),
        };
        self.tell_gauges();
        match started {
            Ok(()) => {
                let due = self.due_at.map(|at| self.moment_of(at));
                let own = self.places.next_moment().into_iter().chain(due);
                own.fold(self.next_survey, Moment::min)
                    .wait_from(self.now())
            }
            Err(error) => {
                tracing::error!(error = %describe(&error), "the outbox could not be read");
                self.looked_at = None;
                ERROR_PAUSE
            }
        }
    }

    fn tell_gauges(&self) {
        let (gauges, now, wall) = (&self.parts.gauges, self.now(), self.parts.clock.now());
        gauges.set(&self.places);
        let endpoints = self.parts.store.endpoints();
        gauges.set_open(endpoints.iter().filter_map(|endpoint| {
            let until = self.places.open_until(Target::Endpoint(endpoint.id), now)?;
            Some((endpoint.id, wall.plus_ms(until.0.saturating_sub(now.0))))
        }));
    }

    /// Notes the targets that something may be due at: those named by the bell, and those whose time has come.
    async fn look(&mut self) -> Result<(), StoreError> {
        let rung = self.parts.due.take();
        let mut is_news = rung != Rung::default();
        match rung {
            Rung::At(targets) => {
                for (target, ring) in targets {
                    let noted = match ring {
                        Ring::Usual => self.places.want(target, self.now()),
                        Ring::ByHand => self.places.want_now(target, self.now()),
                    };
                    self.note(noted);
                }
            }
            Rung::Everywhere => self.looked_at = None,
        }
        let wall = self.parts.clock.now();
        if self.next_survey <= self.now() {
            self.next_survey = Moment::after_start(self.began.elapsed() + SURVEY_EVERY);
            self.looked_at = None;
        }
        // A clock that was set back would hide what fell due before.
        let from = self.looked_at.filter(|last| *last <= wall);
        if from.is_none() || self.due_at.is_some_and(|at| at <= wall) {
            self.survey(from, wall).await?;
            self.looked_at = Some(wall);
            is_news = true;
        }
        if is_news {
            self.due_at = self.next_due(wall).await?;
        }
        Ok(())
    }

    fn note(&self, noted: Noted) {
        if noted == Noted::Full {
            tracing::warn!(
                known = self.places.known(),
                "webhooks are due at more receivers than are looked at; the others wait"
            );
        }
    }

    /// Notes the targets whose first delivery fell due after `from`, which is none for all of them.
    async fn survey(&mut self, from: Option<UnixMs>, to: UnixMs) -> Result<(), StoreError> {
        let mut after = from.map(|from| (from.minus_ms(1), LAST_TARGET));
        loop {
            let store = &self.parts.store;
            let targets = store.due_targets(to, after, SURVEY_TARGETS).await?;
            let now = self.now();
            for (_, target) in &targets {
                let noted = self.places.want(*target, now);
                if noted == Noted::Full {
                    self.note(noted);
                    return Ok(());
                }
            }
            after = targets.last().copied();
            if targets.len() < SURVEY_TARGETS {
                return Ok(());
            }
        }
    }

    /// When a target that has nothing due at `wall` gets something. The others are noted, each with its own moment.
    async fn next_due(&self, wall: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        let after = Some((wall, LAST_TARGET));
        let next = self.parts.store.due_targets(FAR, after, 1).await?;
        Ok(next.first().map(|(at, _)| *at))
    }

    fn moment_of(&self, at: UnixMs) -> Moment {
        let wait_ms = at.0.saturating_sub(self.parts.clock.now().0);
        self.now().plus_ms(wait_ms)
    }

    async fn start_offered(&mut self) -> Result<(), StoreError> {
        while let Some(offer) = self.places.next(self.now()) {
            match self.start(offer).await {
                Ok(rest) => self.places.used(offer.target, rest, self.now()),
                Err(error) => {
                    let later = Moment::after_start(self.began.elapsed() + ERROR_PAUSE);
                    let rest = Rest::NotBefore(later);
                    self.places.used(offer.target, rest, self.now());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Starts what is due to one target while it has room.
    async fn start(&mut self, offer: Offer) -> Result<Rest, StoreError> {
        let (store, target) = (Arc::clone(&self.parts.store), offer.target);
        let wall = self.parts.clock.now();
        let (mut room, mut after, mut limit) = (offer.room, None, FIRST_ROWS);
        for _ in 0..MAX_PIECES {
            let due = store.due_of(target, wall, after, limit).await?;
            let is_last = due.len() < limit;
            after = due.last().and_then(due_key).or(after);
            for delivery in due {
                if room == 0 {
                    return Ok(Rest::More);
                }
                if self.start_one(target, delivery) {
                    room -= 1;
                }
            }
            if is_last {
                return self.rest(target, after).await;
            }
            limit = MORE_ROWS;
        }
        Ok(Rest::Nothing)
    }

    /// All that is due to a target is under way, or waits behind what is. More may fall due meanwhile.
    async fn rest(&self, target: Target, after: Option<DueKey>) -> Result<Rest, StoreError> {
        if self.places.in_flight_of(target) == 0 {
            return Ok(Rest::Nothing);
        }
        let next = self.parts.store.due_of(target, FAR, after, 1).await?;
        let next = next.first().and_then(due_key);
        Ok(next.map_or(Rest::Nothing, |(at, _)| Rest::NotBefore(self.moment_of(at))))
    }

    /// Starts an attempt where its lane is free.
    fn start_one(&mut self, target: Target, delivery: Delivery) -> bool {
        let lane = lane_of(&delivery);
        let Some(ticket) = self.places.enter(target, lane, self.now()) else {
            return false;
        };
        let parts = Arc::clone(&self.parts);
        let task = self
            .tasks
            .spawn(async move { attempt::make(&parts, delivery).await });
        self.tickets.insert(task.id(), ticket);
        true
    }

    fn finish(&mut self, done: Result<(Id, Heard), JoinError>) {
        let (id, heard) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a webhook attempt ended without a record");
                // Counted as a failure, or the same attempt would be made again at once, for ever.
                let told = Told::Failed;
                (error.id(), Heard { told, took_ms: 0 })
            }
        };
        let Some(ticket) = self.tickets.remove(&id) else {
            return;
        };
        let mut bits = [0; 4];
        self.parts.entropy.fill(&mut bits);
        let jitter = Jitter::from_random(u32::from_be_bytes(bits));
        let now = self.now();
        self.places
            .leave(ticket, heard.told, heard.took_ms, now, jitter);
    }
}

fn lane_of(delivery: &Delivery) -> Lane {
    match delivery.payment {
        Some(payment) => Lane::Payment(delivery.id.endpoint, payment),
        None => Lane::Alone(delivery.id),
    }
}

fn due_key(delivery: &Delivery) -> Option<DueKey> {
    match delivery.state {
        DeliveryState::Due(at) => Some((at, delivery.id)),
        DeliveryState::Delivered(_) | DeliveryState::Exhausted(_) => None,
    }
}
