//! After a start: what the event log tells of the last 24 hours, the newest first.
//!
//! In small pages beside everything else, each a query of its own. Refuses to read more than a bounded number of events:
//! what they do not reach back to stays unknown.

use super::Trends;
use super::ring::{BUCKET_MS, BUCKETS, ReadBack};
use crate::domain::ids::Sequence;
use crate::store::{EventRow, EventScope, Store, StoreError, describe};

/// Events of one query.
const PAGE_EVENTS: u64 = 500;
/// Events read at most.
const MAX_EVENTS: u64 = 100_000;

pub(super) async fn run(trends: &Trends, store: &dyn Store) {
    if let Err(error) = read(trends, store, MAX_EVENTS).await {
        tracing::warn!(error = %describe(&error), "the trends of the time before the start could not be read from the log");
    }
}

pub(super) async fn read(
    trends: &Trends,
    store: &dyn Store,
    max_events: u64,
) -> Result<(), StoreError> {
    let day_ago = trends.started_at.minus_ms(BUCKET_MS * BUCKETS as u64);
    let (mut end, mut left) = (trends.logged.0, max_events);
    while end > 0 && end >= store.first_sequence().await?.0 {
        let count = PAGE_EVENTS.min(left).min(end);
        if count == 0 {
            return Ok(());
        }
        let after = Sequence(end - count);
        let mut page = page_of(store, after, count).await?;
        // Of what was removed meanwhile younger events take the place.
        page.retain(|row| row.sequence.0 <= end);
        // A clock that was wrong for a while may have written any time.
        let oldest = page
            .iter()
            .map(|row| row.at)
            .filter(|at| *at >= day_ago)
            .min();
        let mut ring = trends.ring();
        for row in page {
            ring.had_happened(row.kind, row.at);
        }
        match oldest {
            Some(at) => ring.read_back(ReadBack::To(at)),
            None => break,
        }
        (end, left) = (after.0, left - count);
    }
    trends.ring().read_back(ReadBack::Whole);
    Ok(())
}

async fn page_of(
    store: &dyn Store,
    after: Sequence,
    count: u64,
) -> Result<Vec<EventRow>, StoreError> {
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    store.events(EventScope::All, after, limit).await
}
