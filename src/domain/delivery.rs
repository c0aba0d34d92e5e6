//! A webhook delivery: one event owed to one endpoint, and what became of each attempt.
//!
//! Plain data; when to try again is `retry`'s decision, sending is the dispatcher's.

use super::event::EventKind;
use super::ids::{DeliveryId, PaymentId, UnixMs};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// Owed; the next attempt is made at this wall time or later.
    Due(UnixMs),
    Delivered(UnixMs),
    /// Given up after the last attempt.
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub kind: EventKind,
    pub payment: Option<PaymentId>,
    pub url: String,
    pub created_at: UnixMs,
    pub state: DeliveryState,
    pub attempts: u32,
    pub last: Option<Attempt>,
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
}
