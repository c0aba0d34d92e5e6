//! Where a subscriber starts from: what it missed, or how things stand.
//!
//! To be called after live delivery was registered. The number it returns splits the log in two without a gap: up to it
//! the reply tells, above it the queue delivers.

use bytes::Bytes;

use crate::domain::ids::Sequence;
use crate::store::{EventScope, StoreError};

use super::SocketContext;
use super::commands::Since;
use super::replies::{ErrorCode, Refusal, Start};

/// The start of a channel, and the number of the newest event that it accounts for.
#[derive(Debug)]
pub struct History {
    pub newest: Sequence,
    pub start: Start,
}

/// Reads where the channel starts.
///
/// # Errors
/// `not_found` for a payment that does not exist; `unavailable` when the store fails or takes too long.
pub async fn read(
    context: &SocketContext,
    channel: EventScope,
    since: Option<Since>,
) -> Result<History, Refusal> {
    // What the hub has published counts as well: an event may have been announced, before this
    // subscription, in the moment before the store tells its number.
    let newest = context.store.last_sequence().max(context.hub.newest_now());
    let found = tokio::time::timeout(
        context.limits.lookup_within,
        start(context, channel, since, newest),
    );
    match found.await {
        Ok(Ok(Some(start))) => Ok(History { newest, start }),
        Ok(Ok(None)) => Err(Refusal::new(
            ErrorCode::NotFound,
            "there is no such payment",
        )),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a socket's history could not be read");
            Err(unavailable())
        }
        Err(_) => {
            tracing::warn!("a socket's history took too long to read");
            Err(unavailable())
        }
    }
}

fn unavailable() -> Refusal {
    Refusal::new(
        ErrorCode::Unavailable,
        "the history cannot be read right now",
    )
}

/// `None` if there is no such payment.
async fn start(
    context: &SocketContext,
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
    context: &SocketContext,
    channel: EventScope,
    since: &Since,
    newest: Sequence,
) -> Result<Option<Vec<Bytes>>, StoreError> {
    if since.epoch != context.store.identity().epoch || since.sequence > newest {
        return Ok(None);
    }
    let limit = context.limits.replay_events;
    let mut rows = context
        .store
        .events(channel, since.sequence, limit.saturating_add(1))
        .await?;
    // Looked up last: had old events been removed while the others were read, it shows here.
    let first = context.store.first_sequence().await?;
    if first.0 > since.sequence.0.saturating_add(1) {
        return Ok(None);
    }
    rows.retain(|row| row.sequence <= newest);
    let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
    if rows.len() > limit || bytes > context.limits.replay_bytes {
        return Ok(None);
    }
    Ok(Some(rows.into_iter().map(|row| row.body).collect()))
}
