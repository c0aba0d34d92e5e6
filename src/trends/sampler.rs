//! Looks at each chain's standing every few seconds: how far it lags, and how many requests its nodes were sent.
//!
//! Refuses to ask a node: it reads what the follower wrote down.

use std::time::Duration;

use super::Trends;
use crate::chains::{Chains, Standing};
use crate::domain::ids::UnixMs;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks until it is dropped.
pub(super) async fn run(trends: &Trends, chains: &Chains) {
    let mut sampler = Sampler::default();
    loop {
        sampler.look(trends, chains, trends.clock.now());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What the nodes had been sent at the last look: for each chain, for each of its endpoints.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    seen: Vec<Vec<u64>>,
}

impl Sampler {
    pub(super) fn look(&mut self, trends: &Trends, chains: &Chains, now: UnixMs) {
        self.seen.resize_with(trends.chains.len(), Vec::new);
        for (place, id) in trends.chains.iter().enumerate() {
            let (Some(chain), Some(seen)) = (chains.by_id(*id), self.seen.get_mut(place)) else {
                continue;
            };
            let (lag_ms, requests) = chain.read(|s| (lag_ms(s, now), new_requests(s, seen)));
            let mut ring = trends.ring();
            ring.requests(place, requests, now);
            if let Some(ms) = lag_ms {
                ring.lag(place, ms, now);
            }
        }
    }
}

/// Age of the last processed block. While nothing is watched heads are asked for once a minute, which is no lag.
fn lag_ms(standing: &Standing, now: UnixMs) -> Option<u64> {
    if standing.idle && standing.last_error.is_none() {
        return None;
    }
    standing.tip_time.map(|time| now.0.saturating_sub(time.0))
}

/// Nodes count the requests of a UTC day; the first of a new one begin at zero again.
fn new_requests(standing: &Standing, seen: &mut Vec<u64>) -> u64 {
    seen.resize(standing.endpoints.len(), 0);
    let endpoints = standing.endpoints.iter().zip(seen);
    let new = endpoints.map(|(endpoint, seen)| {
        let before = std::mem::replace(seen, endpoint.requests_today);
        let is_new_day = endpoint.requests_today < before;
        endpoint.requests_today - if is_new_day { 0 } else { before }
    });
    new.sum()
}
