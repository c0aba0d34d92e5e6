//! Bringing in what a receiver missed: every event of a span of time that it wants and did not get becomes due.
//!
//! Goes through the log in pieces, one a commit, each decided on the latest state. Refuses to send twice what was
//! delivered: that is asked for delivery by delivery.

use super::changes::{Changes, View, ViewError};
use super::delivery::{Delivery, DeliveryState, DeliveryUpdate};
use super::endpoint::Endpoint;
use super::event::{EventKind, LoggedEvent};
use super::ids::{DeliveryId, EndpointId, Sequence, UnixMs};
use super::ledger::Refusal;
use super::outbox::{self, MAX_ATTEMPTS_ON_RECORD};

/// Events that are looked at in one commit.
pub const PIECE_EVENTS: usize = 500;
/// Events are numbered in the order of their commits; their times come from a clock that may have been set back. One
/// that was set by less than this loses no event.
const CLOCK_SLACK_MS: u64 = 60 * 60 * 1000;

/// A span of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub since: UnixMs,
    pub until: UnixMs,
}

/// How far a recovery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    pub looked_at: u64,
    pub recovered: u64,
    /// Where the next piece begins; nothing at the end of the span.
    pub next_after: Option<Sequence>,
}

/// Whose events are brought in.
enum Receiver {
    /// All payments' own callbacks: only what they were owed and did not get.
    Callbacks,
    Account(Endpoint),
}

/// One piece: the events after `after`, or from the beginning of the span.
pub fn recover(
    view: &dyn View,
    id: EndpointId,
    span: Span,
    after: Option<Sequence>,
    now: UnixMs,
) -> Result<(Changes, Progress), Refusal> {
    let receiver = receiver(view, id)?;
    let from = match after {
        Some(after) => Sequence(after.0.saturating_add(1)),
        None => first_since(view, span.since)?,
    };
    let mut events = view.log(from, PIECE_EVENTS + 1)?;
    let more = events.len() > PIECE_EVENTS;
    events.truncate(PIECE_EVENTS);
    let mut progress = Progress::default();
    if more {
        progress.next_after = events.last().map(|event| event.sequence);
    }
    let mut changes = Changes::default();
    for event in events {
        if event.at > span.until.plus_ms(CLOCK_SLACK_MS) {
            progress.next_after = None;
            break;
        }
        progress.looked_at += 1;
        if (span.since..=span.until).contains(&event.at) {
            let update = missed(view, &receiver, id, &event, now)?;
            changes.deliveries.extend(update);
        }
    }
    progress.recovered = changes.deliveries.len() as u64;
    Ok((changes, progress))
}

fn receiver(view: &dyn View, id: EndpointId) -> Result<Receiver, Refusal> {
    if id == EndpointId::CALLBACK {
        return Ok(Receiver::Callbacks);
    }
    let endpoints = view.endpoints()?;
    let endpoint = endpoints.get(id).ok_or(Refusal::NoSuchEndpoint)?;
    if !endpoint.is_enabled() {
        return Err(Refusal::EndpointDisabled(id));
    }
    Ok(Receiver::Account(endpoint.clone()))
}

/// The first event that may be of this time or later.
fn first_since(view: &dyn View, since: UnixMs) -> Result<Sequence, ViewError> {
    let since = since.minus_ms(CLOCK_SLACK_MS);
    let end = view.next_sequence()?;
    let first = view.log(Sequence(0), 1)?;
    let (mut low, mut high) = (first.first().map_or(end, |event| event.sequence).0, end.0);
    while low < high {
        let middle = low + (high - low) / 2;
        match view.log(Sequence(middle), 1)?.first() {
            Some(event) if event.at < since => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(Sequence(low))
}

/// What makes an event due that this receiver wants and did not get.
fn missed(
    view: &dyn View,
    receiver: &Receiver,
    endpoint: EndpointId,
    event: &LoggedEvent,
    now: UnixMs,
) -> Result<Option<DeliveryUpdate>, ViewError> {
    let id = DeliveryId {
        sequence: event.sequence,
        endpoint,
    };
    if let Receiver::Account(account) = receiver
        && !account.filter.wants(event.kind)
    {
        return Ok(None);
    }
    match (view.delivery(id)?, receiver) {
        (Some(before), _) => given_up(view, receiver, before, now),
        (None, Receiver::Account(account)) if may_be_new(event.kind) => Ok(Some(DeliveryUpdate {
            after: Delivery::new(id, event.kind, event.payment, &account.url, now),
            attempt: None,
        })),
        (None, _) => Ok(None),
    }
}

/// What is about an endpoint went to those that it was for when it happened, and is no news to others.
const fn may_be_new(kind: EventKind) -> bool {
    !matches!(kind, EventKind::EndpointDisabled | EventKind::EndpointTest)
}

fn given_up(
    view: &dyn View,
    receiver: &Receiver,
    before: Delivery,
    now: UnixMs,
) -> Result<Option<DeliveryUpdate>, ViewError> {
    let exhausted = matches!(before.state, DeliveryState::Exhausted(_));
    if !exhausted
        || before.attempts >= MAX_ATTEMPTS_ON_RECORD
        || before.kind == EventKind::EndpointTest
    {
        return Ok(None);
    }
    let url = match receiver {
        Receiver::Account(account) => account.url.clone(),
        Receiver::Callbacks if outbox::callback_has_ended(view, &before)? => return Ok(None),
        Receiver::Callbacks => before.url.clone(),
    };
    Ok(Some(outbox::again(before, url, now)))
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
