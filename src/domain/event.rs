//! What is announced: one event per change that someone outside must hear of.
//!
//! Refuses to know its JSON form and its number; both are given when the event is sealed for its commit.

use super::endpoint::DisabledWhy;
use super::ids::{EndpointId, EventId, PaymentId, Sequence, UnixMs};
use super::payment::{CallbackScope, Payment, TransferRecord};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    Created,
    Detected,
    Completed,
    Reverted,
    Underpaid,
    Overpaid,
    Mismatched,
    Late,
    Expired,
    Cancelled,
    TransferUnmatched,
    /// An operator decided which payment a transfer settles.
    TransferAssigned,
    /// A webhook endpoint, or one payment's callback, is sent to no more.
    EndpointDisabled,
    /// Asked for, to try an endpoint out.
    EndpointTest,
}

impl EventKind {
    pub const ALL: [Self; 14] = [
        Self::Created,
        Self::Detected,
        Self::Completed,
        Self::Reverted,
        Self::Underpaid,
        Self::Overpaid,
        Self::Mismatched,
        Self::Late,
        Self::Expired,
        Self::Cancelled,
        Self::TransferUnmatched,
        Self::TransferAssigned,
        Self::EndpointDisabled,
        Self::EndpointTest,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "payment.created",
            Self::Detected => "payment.detected",
            Self::Completed => "payment.completed",
            Self::Reverted => "payment.reverted",
            Self::Underpaid => "payment.underpaid",
            Self::Overpaid => "payment.overpaid",
            Self::Mismatched => "payment.mismatched",
            Self::Late => "payment.late",
            Self::Expired => "payment.expired",
            Self::Cancelled => "payment.cancelled",
            Self::TransferUnmatched => "transfer.unmatched",
            Self::TransferAssigned => "transfer.assigned",
            Self::EndpointDisabled => "endpoint.disabled",
            Self::EndpointTest => "endpoint.test",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

/// An event as the ledger decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    pub at: UnixMs,
    /// The payment right after the change; absent for a transfer that fits none.
    pub payment: Option<Payment>,
    /// The transfer that caused it, where one did.
    pub transfer: Option<TransferRecord>,
    /// Confirmations of the payment's newest credit at this moment.
    pub confirmations: u32,
    /// Whether the payment had completed before this event.
    pub after_completion: AfterCompletion,
    /// The webhook endpoint that it is about, where it is about one.
    pub endpoint: Option<EndpointNote>,
}

/// What an event tells of a webhook endpoint: nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointNote {
    pub id: EndpointId,
    /// Without its query, where receivers like to put tokens.
    pub url: String,
    /// Whose callback it is. The payment itself is not in the event: its payer must not read of the shop's receivers.
    pub payment: Option<PaymentId>,
    /// Why it is disabled.
    pub reason: Option<DisabledWhy>,
}

impl EndpointNote {
    pub fn new(id: EndpointId, url: &str) -> Self {
        Self {
            id,
            url: url.split(['?', '#']).next().unwrap_or(url).to_owned(),
            payment: None,
            reason: None,
        }
    }
}

/// Tells a completion that is taken back from a detection that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterCompletion {
    Yes,
    No,
}

impl Event {
    /// About an endpoint, and nobody's money.
    pub const fn about(kind: EventKind, endpoint: EndpointNote, at: UnixMs) -> Self {
        Self {
            kind,
            at,
            payment: None,
            transfer: None,
            confirmations: 0,
            after_completion: AfterCompletion::No,
            endpoint: Some(endpoint),
        }
    }

    /// Whether the payment's own callback hears of this event.
    pub fn reaches_callback(&self) -> bool {
        let Some(callback) = self.payment.as_ref().and_then(|p| p.callback.as_ref()) else {
            return false;
        };
        match callback.scope {
            CallbackScope::Everything => true,
            CallbackScope::Nothing => false,
            CallbackScope::CompletionOnly => {
                self.kind == EventKind::Completed
                    || (self.kind == EventKind::Reverted
                        && self.after_completion == AfterCompletion::Yes)
            }
        }
    }
}

/// An event with its place in the log and its id: ready to be encoded and committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEvent {
    pub sequence: Sequence,
    pub id: EventId,
    pub event: Event,
}

/// An event of the log without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedEvent {
    pub sequence: Sequence,
    pub kind: EventKind,
    pub at: UnixMs,
    pub payment: Option<PaymentId>,
}
