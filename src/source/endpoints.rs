//! Several nodes for one chain, in order of preference: which of them is asked next.
//!
//! Owns fail-over, fail-back and the trial of nodes that were set aside. Refuses to spread one
//! round over two nodes: [`Endpoints::pick`] hands out one, and that one alone answers until the
//! caller picks again. Each keeps its own record (see `health.rs`), so nobody has to report.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::error::SourceError;
use super::health::{Health, Question, STANDSTILL_SLOTS, Standing, Verdict};
use super::{FetchedHeader, Found, SearchLimits, Source, Span, Usage};
use crate::clock::Clock;
use crate::domain::address::Address;
use crate::domain::chain::Block;
use crate::domain::ids::{Height, TxId, UnixMs};

/// More endpoints than this for one chain are a mistake.
pub const MAX_ENDPOINTS: usize = 16;

/// What `/stats`, `/health` and `/metrics` show of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStats {
    /// The host, with `#2` and so on where one host is configured more than once.
    pub name: String,
    pub url_host: String,
    /// Not set aside, and not refusing because of a pause or a spent budget.
    pub healthy: bool,
    /// Set aside after failures; asked again, on trial, at that time.
    pub set_aside_until: Option<UnixMs>,
    pub last_error: Option<String>,
    pub last_error_at: Option<UnixMs>,
    pub requests_today: u64,
    pub requests_left_today: Option<u64>,
    pub suspended_until: Option<UnixMs>,
}

/// The endpoints of one chain. There is always at least one to ask.
pub struct Endpoints {
    /// The most preferred one, and the others in order.
    first: Arc<Endpoint>,
    others: Vec<Arc<Endpoint>>,
    clock: Arc<dyn Clock>,
}

/// Why a list of endpoints cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum EndpointsError {
    #[error("a chain needs at least one endpoint")]
    None,
    #[error("a chain has at most {MAX_ENDPOINTS} endpoints")]
    TooMany,
}

impl Endpoints {
    /// `sources` in order of preference; `slot` is the time between two of the chain's blocks,
    /// by which a head that stands still is noticed.
    ///
    /// # Errors
    /// When there are none or more than [`MAX_ENDPOINTS`].
    pub fn new(
        sources: Vec<Arc<dyn Source>>,
        slot: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EndpointsError> {
        if sources.len() > MAX_ENDPOINTS {
            return Err(EndpointsError::TooMany);
        }
        let slot_ms = u64::try_from(slot.as_millis()).unwrap_or(u64::MAX);
        let hosts: Vec<String> = sources.iter().map(|it| it.name().to_owned()).collect();
        let mut endpoints = sources.into_iter().enumerate().map(|(at, source)| {
            let namesakes = hosts[..at].iter().filter(|it| **it == hosts[at]).count();
            Arc::new(Endpoint {
                name: match namesakes {
                    0 => hosts[at].clone(),
                    before => format!("{}#{}", hosts[at], before + 1),
                },
                source,
                health: Health::default(),
                standstill_ms: slot_ms.saturating_mul(STANDSTILL_SLOTS),
                clock: Arc::clone(&clock),
            })
        });
        Ok(Self {
            first: endpoints.next().ok_or(EndpointsError::None)?,
            others: endpoints.collect(),
            clock: Arc::clone(&clock),
        })
    }

    /// The endpoint for the next round: the most preferred one that is well, or else the one
    /// that will be first to be so. Ask it alone until the round is over.
    ///
    /// Call it inside a tokio runtime: an endpoint whose time aside is over is tried on the
    /// side, so that a node which hangs does not hold up a round.
    pub fn pick(&self) -> Arc<dyn Source> {
        let now = self.clock.now();
        let picked = self
            .in_order()
            .find(|it| matches!(it.standing(now), Standing::Well))
            .unwrap_or_else(|| self.soonest(now));
        for better in self.in_order().take_while(|it| !Arc::ptr_eq(it, picked)) {
            if matches!(better.standing(now), Standing::DueForTrial) {
                better.try_on_the_side();
            }
        }
        Arc::clone(picked) as Arc<dyn Source>
    }

    /// How long every endpoint refuses to be asked, by a pause of its own or a spent budget; `None` while one does not.
    pub fn all_refuse_for(&self) -> Option<Duration> {
        let now = self.clock.now();
        let mut soonest = None;
        for endpoint in self.in_order() {
            let Standing::Refusing { until } = endpoint.standing(now) else {
                return None;
            };
            let wait = Duration::from_millis(until.0.saturating_sub(now.0));
            soonest = Some(soonest.map_or(wait, |known: Duration| known.min(wait)));
        }
        soonest
    }

    /// Every endpoint's state, in order of preference.
    pub fn snapshot(&self) -> Vec<EndpointStats> {
        let now = self.clock.now();
        self.in_order().map(|it| it.stats(now)).collect()
    }

    fn in_order(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn soonest(&self, now: UnixMs) -> &Arc<Endpoint> {
        let soonest = self.in_order().min_by_key(|it| it.standing(now).until(now));
        soonest.unwrap_or(&self.first)
    }
}

/// One endpoint and its record. Every answer that passes through is noted.
struct Endpoint {
    name: String,
    source: Arc<dyn Source>,
    health: Health,
    standstill_ms: u64,
    clock: Arc<dyn Clock>,
}

impl Endpoint {
    fn standing(&self, now: UnixMs) -> Standing {
        match self.source.usage().refuses_until {
            Some(until) if until > now => Standing::Refusing { until },
            _ => self.health.standing(now),
        }
    }

    fn note<T>(&self, question: Question, outcome: &Result<T, SourceError>) {
        let now = self.clock.now();
        let verdict = match outcome {
            Ok(_) => self.health.answered(question),
            Err(error) => self.health.failed(question, error, now),
        };
        self.announce(verdict);
    }

    fn announce(&self, verdict: Verdict) {
        match verdict {
            Verdict::Unchanged => {}
            Verdict::Recovered => info!(endpoint = self.name, "endpoint is well again"),
            Verdict::SetAside { pause, because } => warn!(
                endpoint = self.name,
                pause_ms = pause.as_millis(),
                because,
                "endpoint set aside"
            ),
        }
    }

    /// Asks what it failed at, in a task of its own; the outcome goes on its record.
    fn try_on_the_side(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let Some(trial) = self.health.begin_trial() else {
            return;
        };
        let endpoint = Arc::clone(self);
        runtime.spawn(async move {
            if let Err(error) = endpoint.ask_again(trial.question()).await {
                debug!(endpoint = endpoint.name, %error, "trial failed");
                let now = endpoint.clock.now();
                endpoint.announce(endpoint.health.trial_failed(&error, now));
            }
            drop(trial);
        });
    }

    async fn ask_again(&self, question: Question) -> Result<(), SourceError> {
        match question {
            Question::Head => self.head().await.map(drop),
            Question::FinalHead => self.final_head().await.map(drop),
            Question::Header => {
                let known = self.final_head().await?;
                self.header(known.header.height).await.map(drop)
            }
            Question::Round => {
                self.head().await?;
                self.announce(self.health.readmitted());
                Ok(())
            }
            // The logs of a final block have had all the time that they can need.
            Question::Block => {
                let known = self.final_head().await?;
                self.block(&known).await.map(drop)
            }
        }
    }

    fn stats(&self, now: UnixMs) -> EndpointStats {
        let usage = self.source.usage();
        let record = self.health.record();
        EndpointStats {
            name: self.name.clone(),
            url_host: self.source.name().to_owned(),
            healthy: matches!(self.standing(now), Standing::Well),
            set_aside_until: record.set_aside_until,
            last_error_at: record.last_error.as_ref().map(|error| error.at),
            last_error: record.last_error.map(|error| error.text),
            requests_today: usage.requests_today,
            requests_left_today: usage.requests_left_today,
            suspended_until: usage.suspended_until,
        }
    }
}

#[async_trait::async_trait]
impl Source for Endpoint {
    async fn head(&self) -> Result<FetchedHeader, SourceError> {
        let outcome = self.source.head().await;
        match &outcome {
            Ok(head) => self.announce(self.health.head_answered(
                head.header.height,
                self.standstill_ms,
                self.clock.now(),
            )),
            Err(_) => self.note(Question::Head, &outcome),
        }
        outcome
    }

    async fn final_head(&self) -> Result<FetchedHeader, SourceError> {
        let outcome = self.source.final_head().await;
        self.note(Question::FinalHead, &outcome);
        outcome
    }

    async fn header(&self, height: Height) -> Result<Option<FetchedHeader>, SourceError> {
        let outcome = self.source.header(height).await;
        self.note(Question::Header, &outcome);
        outcome
    }

    async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        let outcome = self.source.block(header).await;
        self.note(Question::Block, &outcome);
        outcome
    }

    async fn vouch(&self, header: &FetchedHeader, txids: &[TxId]) -> Result<(), SourceError> {
        let outcome = self.source.vouch(header, txids).await;
        self.note(Question::Block, &outcome);
        outcome
    }

    // What is only a shorter way says nothing of the endpoint's health: the source falls back by itself.
    async fn headers(
        &self,
        heights: &[Height],
    ) -> Result<Option<Vec<Option<FetchedHeader>>>, SourceError> {
        self.source.headers(heights).await
    }

    fn search_limits(&self) -> Option<SearchLimits> {
        self.source.search_limits()
    }

    async fn search(
        &self,
        span: Span,
        addresses: &[Address],
    ) -> Result<Option<Found>, SourceError> {
        self.source.search(span, addresses).await
    }

    fn round_ended(&self, contradiction: Option<String>) {
        let verdict = match contradiction {
            None => self.health.answered(Question::Round),
            Some(text) => self.health.contradicted(text, self.clock.now()),
        };
        self.announce(verdict);
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn usage(&self) -> Usage {
        self.source.usage()
    }
}

#[cfg(test)]
mod tests;
