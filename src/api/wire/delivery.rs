//! A webhook delivery as `/v1/deliveries` lists it, and with every attempt on record.

use serde::Serialize;

use super::scalar::{Seconds, Text};
use crate::domain::delivery::{Attempt, Delivery, DeliveryState, GivenUp};
use crate::domain::ids::{DeliveryId, EndpointId, PaymentId};

#[derive(Serialize)]
pub struct DeliveryObject<'a> {
    id: Text<DeliveryId>,
    #[serde(rename = "type")]
    kind: &'static str,
    sequence: u64,
    endpoint: Text<EndpointId>,
    payment_id: Option<Text<PaymentId>>,
    url: &'a str,
    state: &'static str,
    /// Why nobody will try again.
    given_up: Option<&'static str>,
    attempts: u32,
    last_status: Option<u16>,
    /// What went wrong, or the first bytes of an answer that was not a success.
    last_error: Option<&'a str>,
    latency_ms: Option<u32>,
    next_attempt_at: Option<Seconds>,
    created_at: Seconds,
}

impl<'a> DeliveryObject<'a> {
    pub fn new(delivery: &'a Delivery) -> Self {
        let last = delivery.last.as_ref();
        Self {
            id: Text(delivery.id),
            kind: delivery.kind.as_str(),
            sequence: delivery.id.sequence.0,
            endpoint: Text(delivery.id.endpoint),
            payment_id: delivery.payment.map(Text),
            url: &delivery.url,
            state: delivery.state.as_str(),
            given_up: delivery.given_up.map(GivenUp::as_str),
            attempts: delivery.attempts,
            last_status: last.and_then(|attempt| attempt.status),
            last_error: last
                .filter(|_| !is_delivered(&delivery.state))
                .map(|attempt| attempt.detail.as_str())
                .filter(|detail| !detail.is_empty()),
            latency_ms: last.map(|attempt| attempt.latency_ms),
            next_attempt_at: match delivery.state {
                DeliveryState::Due(at) => Some(Seconds(at)),
                DeliveryState::Delivered(_) | DeliveryState::Exhausted(_) => None,
            },
            created_at: Seconds(delivery.created_at),
        }
    }
}

/// Not the status tells it: a 200 whose body never ends is a failure too.
const fn is_delivered(state: &DeliveryState) -> bool {
    matches!(state, DeliveryState::Delivered(_))
}

/// A delivery with its attempts, the oldest first.
#[derive(Serialize)]
pub struct DeliveryWithLog<'a> {
    #[serde(flatten)]
    delivery: DeliveryObject<'a>,
    attempt_log: Vec<AttemptObject<'a>>,
}

impl<'a> DeliveryWithLog<'a> {
    pub fn new(delivery: &'a Delivery, attempts: &'a [Attempt]) -> Self {
        Self {
            delivery: DeliveryObject::new(delivery),
            attempt_log: attempts.iter().map(AttemptObject::new).collect(),
        }
    }
}

#[derive(Serialize)]
struct AttemptObject<'a> {
    at: Seconds,
    status: Option<u16>,
    latency_ms: u32,
    /// The answer's first bytes, or what went wrong.
    detail: &'a str,
    /// When the next one was to follow.
    next_attempt_at: Option<Seconds>,
}

impl<'a> AttemptObject<'a> {
    fn new(attempt: &'a Attempt) -> Self {
        Self {
            at: Seconds(attempt.at),
            status: attempt.status,
            latency_ms: attempt.latency_ms,
            detail: &attempt.detail,
            next_attempt_at: attempt.next_at.map(Seconds),
        }
    }
}
