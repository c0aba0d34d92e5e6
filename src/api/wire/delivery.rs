//! A webhook delivery as `/v1/deliveries` lists it.

use serde::Serialize;

use super::scalar::{Seconds, Text};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::{DeliveryId, PaymentId};

#[derive(Serialize)]
pub struct DeliveryObject<'a> {
    id: Text<DeliveryId>,
    #[serde(rename = "type")]
    kind: &'static str,
    payment_id: Option<Text<PaymentId>>,
    url: &'a str,
    state: &'static str,
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
            payment_id: delivery.payment.map(Text),
            url: &delivery.url,
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            last_status: last.and_then(|attempt| attempt.status),
            last_error: last
                .filter(|_| !is_delivered(&delivery.state))
                .map(|attempt| attempt.detail.as_str()),
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
