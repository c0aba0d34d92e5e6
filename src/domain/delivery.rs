//! A webhook delivery: one event owed to one endpoint, and what became of each attempt.
//!
//! Plain data; what an attempt decides is `outbox`'s, when to try again is `retry`'s, sending is the dispatcher's.

use super::event::EventKind;
use super::ids::{DeliveryId, PaymentId, UnixMs};
use super::retry::{Jitter, RetryAfter};
use super::target::Target;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// Owed; the next attempt is made at this wall time or later.
    Due(UnixMs),
    Delivered(UnixMs),
    /// Given up; [`Delivery::given_up`] says why.
    Exhausted(UnixMs),
}

impl DeliveryState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due(_) => "due",
            Self::Delivered(_) => "delivered",
            Self::Exhausted(_) => "exhausted",
        }
    }

    pub const fn is_due(self) -> bool {
        matches!(self, Self::Due(_))
    }
}

/// Why nobody will try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// The schedule came to its end.
    AttemptsUsedUp,
    /// The receiver answered 410.
    Gone,
    /// The endpoint was disabled while this was owed; or, of a callback, another of its webhooks was answered with 410.
    EndpointDisabled,
    EndpointDeleted,
}

impl GivenUp {
    pub const ALL: [Self; 4] = [
        Self::AttemptsUsedUp,
        Self::Gone,
        Self::EndpointDisabled,
        Self::EndpointDeleted,
    ];

    /// The word the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsUsedUp => "attempts_used_up",
            Self::Gone => "gone",
            Self::EndpointDisabled => "endpoint_disabled",
            Self::EndpointDeleted => "endpoint_deleted",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub kind: EventKind,
    pub payment: Option<PaymentId>,
    /// Where the last attempt went, or the first shall go.
    pub url: String,
    /// With whose deliveries this one competes.
    pub target: Target,
    pub created_at: UnixMs,
    pub state: DeliveryState,
    /// Of all schedules.
    pub attempts: u32,
    /// Attempts that were made when the present schedule began.
    pub schedule_from: u32,
    /// Set while the state is `Exhausted`.
    pub given_up: Option<GivenUp>,
    pub last: Option<Attempt>,
}

impl Delivery {
    /// A delivery that nobody has tried yet.
    pub fn new(
        id: DeliveryId,
        kind: EventKind,
        payment: Option<PaymentId>,
        url: &str,
        due: UnixMs,
    ) -> Self {
        Self {
            id,
            kind,
            payment,
            url: url.to_owned(),
            target: Target::of(id.endpoint, url),
            created_at: due,
            state: DeliveryState::Due(due),
            attempts: 0,
            schedule_from: 0,
            given_up: None,
            last: None,
        }
    }
}

/// One attempt, as it is kept on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Wall time at which it began.
    pub at: UnixMs,
    /// The HTTP status, where an answer came.
    pub status: Option<u16>,
    pub latency_ms: u32,
    /// The answer's first bytes as text, or what went wrong.
    pub detail: String,
    /// When the next one was to follow, as decided after this one.
    pub next_at: Option<UnixMs>,
}

/// What an attempt means for its delivery and endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// The receiver wants no more.
    Gone,
    Failed,
}

/// An attempt that has ended, to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptReport {
    pub id: DeliveryId,
    /// Where it went.
    pub url: String,
    pub at: UnixMs,
    pub status: Option<u16>,
    pub latency_ms: u32,
    pub detail: String,
    pub outcome: Outcome,
    /// How long the receiver asked to be left alone.
    pub retry_after: Option<RetryAfter>,
    /// Drawn for the wait that follows.
    pub jitter: Jitter,
}

/// A delivery's new state and the attempt that led to it. Of a delivery that there is none of yet, its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryUpdate {
    pub after: Delivery,
    pub attempt: Option<Attempt>,
}
