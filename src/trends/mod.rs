//! Trends: what the last 24 hours were like, in spans of five minutes, for whoever draws them.
//!
//! Floor 1: told on the store's writer thread and by the dispatcher, so it never blocks for long and allocates nothing
//! when it is told. Kept in memory; after a restart only what the event log tells is read back. Refuses to decide
//! anything.

mod read_back;
mod ring;
mod sampler;
mod spread;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::chains::Chains;
use crate::clock::Clock;
use crate::domain::changes::ChainChange;
use crate::domain::event::EventKind;
use crate::domain::ids::{ChainId, Sequence, UnixMs};
use crate::shutdown::{self, Shutdown};
use crate::store::{Store, Write};
pub use ring::{BUCKET_MS, BUCKETS, ChainSpan, Row, Took};
use ring::{Ring, Span, WebhookTook};

/// A webhook that its receiver accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedWebhook {
    pub kind: EventKind,
    /// Time of the block with the transfer that caused the event.
    pub block_time: Option<UnixMs>,
    pub committed_at: UnixMs,
    pub accepted_at: UnixMs,
}

/// The last 24 hours as they are known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The begin of the oldest span.
    pub since: UnixMs,
    pub started_at: UnixMs,
    /// One a span, the oldest first, the running one last.
    pub rows: Vec<Row>,
    /// For each chain, in the order in which they were named, one a span.
    pub chains: Vec<Vec<ChainSpan>>,
}

/// Told of what happens; tells what happened.
pub struct Trends {
    clock: Arc<dyn Clock>,
    chains: Box<[ChainId]>,
    started_at: UnixMs,
    /// The newest event of the log when this began; younger ones are counted as they are committed.
    logged: Sequence,
    ring: Mutex<Ring>,
}

impl Trends {
    /// Begins now. `logged` is the newest event that is not going to be announced.
    pub fn new(
        clock: Arc<dyn Clock>,
        chains: impl IntoIterator<Item = ChainId>,
        logged: Sequence,
    ) -> Self {
        let started_at = clock.now();
        let chains: Box<[ChainId]> = chains.into_iter().collect();
        Self {
            clock,
            started_at,
            logged,
            ring: Mutex::new(Ring::new(started_at, chains.len())),
            chains,
        }
    }

    /// Takes notice of a commit.
    pub fn committed(&self, write: &Write) {
        if let Some((chain, ChainChange::Append(block))) = write.changes.chain {
            self.block_processed(chain, block.time);
        }
        if write.events.is_empty() {
            return;
        }
        let mut ring = self.ring();
        for event in &write.events {
            ring.happened(event.row.kind, event.row.at);
        }
    }

    /// A block of this time was processed just now.
    fn block_processed(&self, chain: ChainId, block_time: UnixMs) {
        let now = self.clock.now();
        if let Some(place) = self.chains.iter().position(|id| *id == chain) {
            let took_ms = now.0.saturating_sub(block_time.0);
            self.ring().lag(place, took_ms, now);
        }
    }

    /// A receiver answered a webhook with a 2xx. Only what it was owed from the commit on says how quick the hub is:
    /// webhooks asked for by hand are not told here.
    pub fn webhook_accepted(&self, webhook: &AcceptedWebhook) {
        let until = |from: UnixMs| webhook.accepted_at.0.saturating_sub(from.0);
        let block_time = webhook
            .block_time
            .filter(|_| webhook.kind == EventKind::Detected);
        let took = WebhookTook {
            from_commit_ms: until(webhook.committed_at),
            from_block_ms: block_time.map(until),
        };
        self.ring().webhook(took, webhook.accepted_at);
    }

    /// Span by span, so that nobody who has something to tell waits for more than one of them.
    pub fn picture(&self) -> Picture {
        let running = Span::of(self.clock.now());
        let mut picture = Picture {
            since: running.begin(),
            started_at: self.started_at,
            rows: Vec::with_capacity(BUCKETS),
            chains: vec![Vec::with_capacity(BUCKETS); self.chains.len()],
        };
        for span in running.last_day() {
            picture.since = picture.since.min(span.begin());
            let ring = self.ring();
            picture.rows.push(ring.row(span));
            for (place, spans) in picture.chains.iter_mut().enumerate() {
                spans.push(ring.chain(place, span));
            }
        }
        picture
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Counts stay usable whatever a panicking holder left behind.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads back what the log tells and looks at the chains now and then, until `shutdown` turns true.
pub async fn run(
    trends: Arc<Trends>,
    store: Arc<dyn Store>,
    chains: Chains,
    mut shutdown: Shutdown,
) {
    let told = async {
        tokio::join!(
            read_back::run(&trends, store.as_ref()),
            sampler::run(&trends, &chains)
        )
    };
    tokio::select! {
        biased;
        () = shutdown::requested(&mut shutdown) => {}
        _ = told => {}
    }
}
