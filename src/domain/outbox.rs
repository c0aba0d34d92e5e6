//! What an attempt, an operator or a disabled endpoint means for what is owed: decided on the latest state.
//!
//! An attempt was under way for up to its deadline; meanwhile its endpoint may have been disabled or deleted, and its
//! delivery given up, asked for again or pruned. So the report says what happened, and only here is it judged.
//! Refuses to keep lanes in order: the store does, at every write.

use super::changes::{Changes, PaymentChange, Unfinished, View, ViewError};
use super::delivery::{
    Attempt, AttemptReport, Delivery, DeliveryState, DeliveryUpdate, GivenUp, Outcome,
};
use super::endpoint::{DisabledWhy, Endpoint, Standing};
use super::endpoints::EndpointChange;
use super::event::{EndpointNote, Event, EventKind};
use super::ids::{DeliveryId, EndpointId, PaymentId, UnixMs};
use super::ledger::Refusal;
use super::payment::{CallbackScope, Payment};
use super::retry::{NextAttempt, next_attempt};

/// Deliveries that are given up in one commit at most; the rest follows in the next.
pub const GIVE_UP_ROWS: usize = 500;
/// Attempts at one delivery that are kept; one that is asked for again and again ends here.
pub const MAX_ATTEMPTS_ON_RECORD: u32 = 1_000;
/// What is due within this time is not asked for again.
const DUE_SOON_MS: u64 = 5_000;

/// What is owed to one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owing {
    Endpoint(EndpointId),
    /// One payment's own callback.
    Callback(PaymentId),
}

/// Who a delivery goes to, as things stand.
enum Receiver {
    InUse,
    /// Nobody sends there any more.
    Ended(GivenUp),
}

/// Records an attempt: the delivery's new state, its endpoint's standing, and the event if one came to an end.
pub fn record(view: &dyn View, report: &AttemptReport, now: UnixMs) -> Result<Changes, Refusal> {
    let mut changes = Changes::default();
    let Some(before) = view.delivery(report.id)? else {
        return Ok(changes);
    };
    let receiver = match report.id.endpoint {
        EndpointId::CALLBACK => callback_after(view, &before, report.outcome, now, &mut changes)?,
        id => endpoint_after(view, id, report, now, &mut changes)?,
    };
    let after = delivery_after(&before, report, &receiver, now);
    let next_at = match after.state {
        DeliveryState::Due(at) => Some(at),
        DeliveryState::Delivered(_) | DeliveryState::Exhausted(_) => None,
    };
    let attempt = Attempt {
        at: report.at,
        status: report.status,
        latency_ms: report.latency_ms,
        detail: report.detail.clone(),
        next_at,
    };
    let update = DeliveryUpdate {
        after: Delivery {
            last: Some(attempt.clone()),
            ..after
        },
        attempt: Some(attempt),
    };
    // It is still due in the view, so it is among what its endpoint gives up.
    changes.deliveries.retain(|one| one.after.id != report.id);
    changes.deliveries.insert(0, update);
    Ok(changes)
}

fn delivery_after(
    before: &Delivery,
    report: &AttemptReport,
    receiver: &Receiver,
    now: UnixMs,
) -> Delivery {
    let mut after = before.clone();
    after.attempts = before.attempts.saturating_add(1);
    after.url.clone_from(&report.url);
    let give_up = |why| (DeliveryState::Exhausted(now), Some(why));
    let in_schedule = after.attempts.saturating_sub(after.schedule_from);
    (after.state, after.given_up) = match (report.outcome, before.state, receiver) {
        (Outcome::Delivered, ..) => (DeliveryState::Delivered(now), None),
        // It was done with while this attempt was under way.
        (_, DeliveryState::Delivered(_) | DeliveryState::Exhausted(_), _) => {
            (before.state, before.given_up)
        }
        (Outcome::Gone, _, Receiver::Ended(_)) => give_up(GivenUp::Gone),
        (Outcome::Failed, _, Receiver::Ended(why)) => give_up(*why),
        // One that is gone and yet in use has moved: its new place will be tried.
        (Outcome::Gone | Outcome::Failed, _, Receiver::InUse) => {
            match next_attempt(in_schedule, now, report.jitter, report.retry_after) {
                NextAttempt::At(at) => (DeliveryState::Due(at), None),
                NextAttempt::Exhausted => give_up(GivenUp::AttemptsUsedUp),
            }
        }
    };
    after
}

/// What an attempt makes of its endpoint. One that is disabled by it gives up what it is owed beside.
fn endpoint_after(
    view: &dyn View,
    id: EndpointId,
    report: &AttemptReport,
    now: UnixMs,
    changes: &mut Changes,
) -> Result<Receiver, ViewError> {
    let endpoints = view.endpoints()?;
    let Some(before) = endpoints.get(id) else {
        return Ok(Receiver::Ended(GivenUp::EndpointDeleted));
    };
    let after = match before.url == report.url {
        true => before.after_attempt(report.outcome, now),
        // It has moved since; what the receiver before it said is not its word.
        false => before.clone(),
    };
    let receiver = match after.standing {
        Standing::Enabled => Receiver::InUse,
        Standing::Disabled { .. } => Receiver::Ended(GivenUp::EndpointDisabled),
    };
    if after != *before {
        if let (true, Standing::Disabled { why, .. }) = (before.is_enabled(), after.standing) {
            changes.events.push(disabled_event(&after, why, now));
            give_up(
                view,
                Owing::Endpoint(id),
                GivenUp::EndpointDisabled,
                now,
                changes,
            )?;
        }
        changes.endpoints.push(EndpointChange::Put(after));
    }
    Ok(receiver)
}

pub(super) fn disabled_event(endpoint: &Endpoint, why: DisabledWhy, now: UnixMs) -> Event {
    let mut note = EndpointNote::new(endpoint.id, &endpoint.url);
    note.reason = Some(why);
    Event::about(EventKind::EndpointDisabled, note, now)
}

/// What an attempt makes of a payment's callback: a 410 ends it, and with it all that is owed to it.
fn callback_after(
    view: &dyn View,
    delivery: &Delivery,
    outcome: Outcome,
    now: UnixMs,
    changes: &mut Changes,
) -> Result<Receiver, ViewError> {
    let Some(before) = payment_of(view, delivery)? else {
        return Ok(match outcome {
            Outcome::Gone => Receiver::Ended(GivenUp::Gone),
            Outcome::Delivered | Outcome::Failed => Receiver::InUse,
        });
    };
    if outcome == Outcome::Gone {
        give_up(
            view,
            Owing::Callback(before.id),
            GivenUp::EndpointDisabled,
            now,
            changes,
        )?;
        if !before.callback_has_ended() {
            end_callback(before, &delivery.url, now, changes);
        }
        return Ok(Receiver::Ended(GivenUp::Gone));
    }
    Ok(match before.callback_has_ended() {
        true => Receiver::Ended(GivenUp::EndpointDisabled),
        false => Receiver::InUse,
    })
}

fn end_callback(before: Payment, url: &str, now: UnixMs, changes: &mut Changes) {
    let mut note = EndpointNote::new(EndpointId::CALLBACK, url);
    note.payment = Some(before.id);
    note.reason = Some(DisabledWhy::Gone);
    let mut after = before.clone();
    if let Some(callback) = &mut after.callback {
        callback.scope = CallbackScope::Nothing;
    }
    changes.payments.push(PaymentChange {
        before: Some(before),
        after: Some(after),
    });
    changes
        .events
        .push(Event::about(EventKind::EndpointDisabled, note, now));
}

/// Gives up what is owed to a receiver that is sent to no more, a piece of it; `unfinished` tells of a rest.
pub fn release(view: &dyn View, owing: Owing, now: UnixMs) -> Result<Changes, Refusal> {
    let mut changes = Changes::default();
    let why = match owing {
        Owing::Endpoint(id) => match view.endpoints()?.get(id) {
            Some(endpoint) if endpoint.is_enabled() => None,
            Some(_) => Some(GivenUp::EndpointDisabled),
            None => Some(GivenUp::EndpointDeleted),
        },
        Owing::Callback(id) => view
            .payment(id)?
            .filter(Payment::callback_has_ended)
            .map(|_| GivenUp::EndpointDisabled),
    };
    if let Some(why) = why {
        give_up(view, owing, why, now, &mut changes)?;
    }
    Ok(changes)
}

pub(super) fn give_up(
    view: &dyn View,
    owing: Owing,
    why: GivenUp,
    now: UnixMs,
    changes: &mut Changes,
) -> Result<(), ViewError> {
    let limit = GIVE_UP_ROWS + 1;
    let mut owed = match owing {
        Owing::Endpoint(id) => view.owed_to(id, limit)?,
        Owing::Callback(id) => view.owed_in_lane(id, EndpointId::CALLBACK, limit)?,
    };
    if owed.len() > GIVE_UP_ROWS {
        owed.truncate(GIVE_UP_ROWS);
        changes.unfinished = Unfinished::Yes;
    }
    let given_up = owed.into_iter().map(|delivery| DeliveryUpdate {
        after: Delivery {
            state: DeliveryState::Exhausted(now),
            given_up: Some(why),
            ..delivery
        },
        attempt: None,
    });
    changes.deliveries.extend(given_up);
    Ok(())
}

/// Makes a delivery due at once, with a fresh schedule, whatever became of it.
pub fn redeliver(view: &dyn View, id: DeliveryId, now: UnixMs) -> Result<Changes, Refusal> {
    let before = view.delivery(id)?.ok_or(Refusal::NoSuchDelivery)?;
    match before.state {
        DeliveryState::Due(at) if at <= now.plus_ms(DUE_SOON_MS) => {
            return Err(Refusal::AlreadyDue);
        }
        _ => {}
    }
    if before.attempts >= MAX_ATTEMPTS_ON_RECORD {
        return Err(Refusal::TooManyAttempts);
    }
    let url = url_in_use(view, &before)?;
    Ok(Changes {
        deliveries: vec![again(before, url, now)],
        ..Changes::default()
    })
}

/// The same delivery, due now, from the schedule's beginning.
pub(super) fn again(before: Delivery, url: String, now: UnixMs) -> DeliveryUpdate {
    DeliveryUpdate {
        after: Delivery {
            state: DeliveryState::Due(now),
            given_up: None,
            schedule_from: before.attempts,
            url,
            ..before
        },
        attempt: None,
    }
}

/// Where a delivery would go now, if anywhere.
fn url_in_use(view: &dyn View, delivery: &Delivery) -> Result<String, Refusal> {
    let endpoint = delivery.id.endpoint;
    if endpoint != EndpointId::CALLBACK {
        let endpoints = view.endpoints()?;
        let found = endpoints
            .get(endpoint)
            .ok_or(Refusal::EndpointDeleted(endpoint))?;
        if !found.is_enabled() {
            return Err(Refusal::EndpointDisabled(endpoint));
        }
        return Ok(found.url.clone());
    }
    if callback_has_ended(view, delivery)? {
        return Err(Refusal::CallbackEnded);
    }
    Ok(delivery.url.clone())
}

/// Whether the callback that a delivery goes to gets no more. One whose payment is no longer kept does.
pub(super) fn callback_has_ended(view: &dyn View, delivery: &Delivery) -> Result<bool, ViewError> {
    let payment = payment_of(view, delivery)?;
    Ok(payment.as_ref().is_some_and(Payment::callback_has_ended))
}

/// The payment that a delivery is about, while it is kept.
fn payment_of(view: &dyn View, delivery: &Delivery) -> Result<Option<Payment>, ViewError> {
    let found = delivery.payment.map(|id| view.payment(id));
    Ok(found.transpose()?.flatten())
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
