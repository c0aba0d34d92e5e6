//! Where a subscriber starts from: what it missed, or how things stand.
//!
//! To be called after live delivery was registered. The number it returns splits the log in two without a gap: up to it
//! the history tells, above it the queue delivers.

use bytes::Bytes;
use thiserror::Error;

use super::LiveContext;
use crate::domain::ids::Sequence;
use crate::hub::copy_for_payer;
use crate::store::{EventRow, EventScope, Store, StoreError};

/// Where a client left off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    pub epoch: String,
    pub sequence: Sequence,
}

/// What a subscriber is given to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Everything since where it left off.
    Events(Vec<EventRow>),
    /// The payment as it stands.
    Snapshot(Bytes),
    /// Only what comes.
    Nothing,
}

/// The start of a channel, and the number of the newest event that it accounts for.
#[derive(Debug)]
pub struct History {
    pub newest: Sequence,
    pub start: Start,
}

/// Why there is no history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HistoryError {
    #[error("there is no such payment")]
    NoSuchPayment,
    /// What went wrong is in the log.
    #[error("the history cannot be read right now")]
    Unavailable,
}

/// Why events after a number cannot be told.
#[derive(Debug, Error)]
pub enum LogError {
    #[error("the log begins with event {first}: what came before is no longer kept", first = .0.0)]
    Gone(Sequence),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads where the channel starts.
///
/// # Errors
/// There is no such payment; or the store fails, or takes too long.
pub async fn read(
    context: &LiveContext,
    channel: EventScope,
    since: Option<Since>,
) -> Result<History, HistoryError> {
    // What the hub has published counts as well: an event may have been announced, before this
    // subscription, in the moment before the store tells its number.
    let newest = context.store.last_sequence().max(context.hub.newest_now());
    let found = tokio::time::timeout(
        context.limits.lookup_within,
        start(context, channel, since, newest),
    );
    match found.await {
        Ok(Ok(Some(start))) => Ok(History { newest, start }),
        Ok(Ok(None)) => Err(HistoryError::NoSuchPayment),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a subscriber's history could not be read");
            Err(HistoryError::Unavailable)
        }
        Err(_) => {
            tracing::warn!("a subscriber's history took too long to read");
            Err(HistoryError::Unavailable)
        }
    }
}

/// `None` if there is no such payment.
async fn start(
    context: &LiveContext,
    channel: EventScope,
    since: Option<Since>,
    newest: Sequence,
) -> Result<Option<Start>, StoreError> {
    let payment = match channel {
        EventScope::All => None,
        EventScope::Payment(id) => match context.store.payment(id).await? {
            Some(payment) => Some(payment),
            None => return Ok(None),
        },
    };
    if let Some(since) = since
        && let Some(events) = replay(context, channel, &since, newest).await?
    {
        return Ok(Some(Start::Events(events)));
    }
    Ok(Some(match payment {
        Some(payment) => Start::Snapshot((context.snapshot)(&payment)),
        None => Start::Nothing,
    }))
}

/// Everything after `since`, or nothing at all: never a part.
async fn replay(
    context: &LiveContext,
    channel: EventScope,
    since: &Since,
    newest: Sequence,
) -> Result<Option<Vec<EventRow>>, StoreError> {
    if since.epoch != context.store.identity().epoch || since.sequence > newest {
        return Ok(None);
    }
    let limit = context.limits.replay_events;
    let store = context.store.as_ref();
    let read = events_after(store, channel, since.sequence, limit.saturating_add(1));
    let mut rows = match read.await {
        Ok(rows) => rows,
        Err(LogError::Gone(_)) => return Ok(None),
        Err(LogError::Store(error)) => return Err(error),
    };
    rows.retain(|row| row.sequence <= newest);
    let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
    if rows.len() > limit || bytes > context.limits.replay_bytes {
        return Ok(None);
    }
    if let EventScope::Payment(_) = channel {
        for row in &mut rows {
            row.body = copy_for_payer(&row.body);
        }
    }
    Ok(Some(rows))
}

/// The events after a number, oldest first, unless some of them are no longer kept.
///
/// # Errors
/// The number is older than the log; the store fails.
pub async fn events_after(
    store: &dyn Store,
    channel: EventScope,
    after: Sequence,
    limit: usize,
) -> Result<Vec<EventRow>, LogError> {
    let rows = store.events(channel, after, limit).await?;
    // Looked up last: had old events been removed while the others were read, it shows here.
    let first = store.first_sequence().await?;
    if first.0 > after.0.saturating_add(1) {
        return Err(LogError::Gone(first));
    }
    Ok(rows)
}
