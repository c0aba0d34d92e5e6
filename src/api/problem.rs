//! Errors as clients see them: RFC 9457 `application/problem+json`, with `error` beside it for classic clients.
//!
//! With its table of kinds the one place that knows which mistake has which status. Refuses to tell what went wrong
//! inside: that is logged.

mod kind;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use http::header::{ALLOW, CONNECTION, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use serde_json::Value;
use warp::reply::Response;

use super::answer;
use super::mistake::{Mistake, Quoted, summary};
use super::wire;
use crate::domain::ids::{PaymentId, Sequence};
use crate::domain::ledger::Refusal;
use crate::store::{CommitError, StoreError};
pub use kind::Kind;

/// When to come back while everything is taken, or the hub restarts.
const RETRY_AFTER_SECONDS: &str = "5";

/// An error on its way to a client.
#[derive(Debug)]
pub struct Problem {
    pub kind: Kind,
    detail: String,
    mistakes: Vec<Mistake>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Facts of this kind of error for programs, beside the usual members.
    facts: BTreeMap<&'static str, Value>,
}

#[derive(Serialize)]
struct ProblemObject<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Mistake],
    /// The same text once more, where classic clients look for it.
    error: &'a str,
    #[serde(flatten)]
    facts: &'a BTreeMap<&'static str, Value>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            mistakes: Vec::new(),
            headers: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    /// One answer for all mistakes.
    pub fn of_mistakes(kind: Kind, mistakes: Vec<Mistake>) -> Self {
        let mut problem = Self::new(kind, summary(&mistakes));
        problem.mistakes = mistakes;
        problem
    }

    /// One answer for all mistakes, under a text of its own.
    #[must_use]
    pub fn with_mistakes(mut self, mistakes: Vec<Mistake>) -> Self {
        self.mistakes = mistakes;
        self
    }

    pub fn not_found(path: &str) -> Self {
        let detail = format!(
            "there is nothing at {}; /openapi.json lists the paths, and /reference shows them",
            Quoted(path)
        );
        Self::new(Kind::NotFound, detail)
    }

    pub fn payment_not_found() -> Self {
        Self::new(Kind::PaymentNotFound, "Payment ID not found")
    }

    pub fn transfer_not_found() -> Self {
        let detail =
            "there is no transfer of this id; GET /v1/transfers lists those that settled nothing";
        Self::new(Kind::TransferNotFound, detail)
    }

    pub fn endpoint_not_found() -> Self {
        let detail = "there is no webhook endpoint of this id; GET /v1/endpoints lists them";
        Self::new(Kind::EndpointNotFound, detail)
    }

    pub fn delivery_not_found() -> Self {
        let detail = "there is no delivery of this id; GET /v1/deliveries lists them";
        Self::new(Kind::DeliveryNotFound, detail)
    }

    pub fn key_not_found() -> Self {
        let detail = "there is no API key of this id; GET /v1/keys lists them";
        Self::new(Kind::KeyNotFound, detail)
    }

    pub fn method_not_allowed(method: &Method, allow: &'static str) -> Self {
        let detail = format!("{} is not allowed here, only {allow}", method.as_str());
        Self::new(Kind::MethodNotAllowed, detail).with_header(ALLOW, allow)
    }

    pub fn invalid_token(why: impl std::fmt::Display) -> Self {
        let challenge = r#"Bearer realm="paybell", error="invalid_token""#;
        Self::new(Kind::InvalidToken, why.to_string()).with_header(WWW_AUTHENTICATE, challenge)
    }

    /// Nothing was presented where something is needed.
    pub fn credential_missing(why: impl std::fmt::Display) -> Self {
        let challenge = r#"Bearer realm="paybell""#;
        Self::new(Kind::InvalidToken, why.to_string()).with_header(WWW_AUTHENTICATE, challenge)
    }

    pub fn idempotency_in_flight() -> Self {
        let detail = "a request with this Idempotency-Key is under way; send it again in a moment";
        Self::new(Kind::IdempotencyInFlight, detail).with_header(RETRY_AFTER, "1")
    }

    /// The client counts in numbers of another log.
    pub fn epoch_changed(theirs: &str, ours: &str) -> Self {
        let detail = format!(
            "the event log is not the one of epoch {}: its numbers begin anew; drop your place in it, look at the \
             payments once, and read on from here with epoch={ours} and without after",
            Quoted(theirs)
        );
        Self::new(Kind::EpochChanged, detail).with_fact("epoch", ours.into())
    }

    /// Some of what the client asks for was removed.
    pub fn events_gone(after: Sequence, first: Sequence) -> Self {
        let detail = format!(
            "the log begins with event {first}, so what came after {after} is no longer whole; look at the payments \
             once, and read on with after={before}, or without after",
            first = first.0,
            after = after.0,
            before = first.0.saturating_sub(1),
        );
        Self::new(Kind::EventsGone, detail).with_fact("first_seq", first.0.into())
    }

    /// The same request may succeed in a moment.
    #[must_use]
    pub fn retry_soon(self) -> Self {
        self.with_header(RETRY_AFTER, RETRY_AFTER_SECONDS)
    }

    fn with_fact(mut self, name: &'static str, fact: Value) -> Self {
        self.facts.insert(name, fact);
        self
    }

    /// The rest of the body is not waited for, so the connection cannot be used again.
    #[must_use]
    pub fn closing(self) -> Self {
        self.with_header(CONNECTION, "close")
    }

    fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    #[cfg(test)]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub fn into_response(self) -> Response {
        let (status, code) = (self.kind.status(), self.kind.code());
        let object = ProblemObject {
            kind: format!("/problems/{code}"),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            code,
            errors: &self.mistakes,
            error: &self.detail,
            facts: &self.facts,
        };
        let body = wire::encode(&object).unwrap_or_else(|error| {
            tracing::error!(%error, "a problem could not be written as JSON");
            Bytes::from_static(b"{}")
        });
        answer::problem(status, body, self.headers)
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "an answer could not be written as JSON");
        Self::new(
            Kind::Internal,
            "the answer could not be written; see the log",
        )
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
        Self::new(
            Kind::StoreUnavailable,
            "the store does not answer; try again",
        )
    }
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error.into(),
            CommitError::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::OrderTaken(_) => conflict(Kind::OrderTaken, "order_id", text),
            Refusal::AmountAmbiguous(id) => amount_ambiguous(id),
            Refusal::NoUniqueAmount(_) => {
                let remedy = format!(
                    "{text}; use another wallet_address, or wait until payments on it have ended"
                );
                conflict(Kind::NoUniqueAmount, "expected_amount_usdt", remedy)
            }
            Refusal::WalletCrowded(_) => conflict(Kind::WalletExhausted, "wallet", text),
            Refusal::WalletExhausted(_) => conflict(
                Kind::WalletExhausted,
                "wallet",
                format!("{text}; configure another account's xpub"),
            ),
            Refusal::KeyOfAnotherRequest => {
                let remedy = format!(
                    "{text} (another body, or another path); repeat a request byte for byte, and give a new request a new key"
                );
                Self::new(Kind::IdempotencyMismatch, remedy)
            }
            Refusal::Unanswerable(error) => {
                tracing::error!(error = &*error as &dyn std::error::Error, %text);
                Self::new(
                    Kind::Internal,
                    "the answer could not be written; see the log",
                )
            }
            Refusal::NoSuchPayment => Self::payment_not_found(),
            Refusal::NotCancellable(_) => Self::new(Kind::NotCancellable, text),
            Refusal::NoSuchTransfer => Self::transfer_not_found(),
            Refusal::AlreadySettles(_) => Self::new(Kind::TransferSettled, text),
            Refusal::ForkedAway => Self::new(Kind::NotAssignable, text),
            Refusal::OtherChain(_) | Refusal::TooManyAssigned(_) => {
                let remedy = format!("{text}; choose another payment");
                conflict(Kind::NotAssignable, "payment_id", remedy)
            }
            Refusal::NoSuchEndpoint => Self::endpoint_not_found(),
            Refusal::TooManyEndpoints => Self::new(Kind::TooManyEndpoints, text),
            Refusal::EndpointDisabled(_) => Self::new(Kind::EndpointDisabled, text),
            Refusal::NoSuchDelivery => Self::delivery_not_found(),
            Refusal::AlreadyDue
            | Refusal::TooManyAttempts
            | Refusal::CallbackEnded
            | Refusal::EndpointDeleted(_) => Self::new(Kind::NotRedeliverable, text),
            Refusal::NoSuchKey => Self::key_not_found(),
            Refusal::FirstKeyMustBeAdmin => Self::new(Kind::FirstKeyMustBeAdmin, text),
            Refusal::LastAdminKey => Self::new(Kind::LastAdminKey, text),
            Refusal::TooManyKeys => Self::new(Kind::TooManyKeys, text),
            Refusal::KeyNeeded => Self::invalid_token(text),
            Refusal::View(error) => StoreError::Database(Box::new(error)).into(),
            Refusal::AlreadyAnswered(_)
            | Refusal::NotNext { .. }
            | Refusal::ParentMismatch { .. }
            | Refusal::NotOurs { .. }
            | Refusal::JumpWhileWatching
            | Refusal::BelowFinal(_) => {
                tracing::error!(%text, "a command of the API was refused in a way that is not for it");
                Self::new(
                    Kind::Internal,
                    "the hub refused its own command; see the log",
                )
            }
        }
    }
}

fn amount_ambiguous(rival: PaymentId) -> Problem {
    let text = format!(
        "an open payment on this address already claims this amount (payment {rival}): use another \
         wallet_address or amount, or POST /v1/payments with amount_mode \"unique\", \
         or set ambiguous_amounts to \"oldest_first\" in the configuration"
    );
    conflict(Kind::AmountAmbiguous, "expected_amount_usdt", text)
}

fn conflict(kind: Kind, field: &str, text: String) -> Problem {
    Problem::of_mistakes(kind, vec![Mistake::in_field(field, text)])
}
