//! A webhook endpoint of the account, and what signs payments' own callbacks. A key is told once: when it is made.

use serde::Serialize;

use super::scalar::{Seconds, Text};
use crate::delivery::gauges::Fare;
use crate::domain::endpoint::{DisabledWhy, Endpoint, EventChoice, EventFilter, Standing};
use crate::domain::ids::{EndpointId, UnixMs};
use crate::domain::signing_key::SigningKeys;

/// How a filter that lets everything through is written.
pub const ALL_EVENTS: &str = "*";

#[derive(Serialize)]
pub struct EndpointObject<'a> {
    id: Text<EndpointId>,
    url: &'a str,
    description: &'a str,
    events: Vec<&'static str>,
    status: &'static str,
    disabled_reason: Option<&'static str>,
    disabled_at: Option<Seconds>,
    /// Since when no attempt has succeeded, while the last one failed.
    failing_since: Option<Seconds>,
    created_at: Seconds,
    old_key_signs_until: Option<Seconds>,
    /// Webhooks that are owed to it, whenever their next attempt is due; not counted beyond a limit.
    deliveries_due: usize,
    /// While it is left alone because it only failed, or asked for less.
    breaker_open_until: Option<Seconds>,
    /// Since the hub's start.
    last_success_at: Option<Seconds>,
    last_failure_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl<'a> EndpointObject<'a> {
    pub fn new(endpoint: &'a Endpoint, fare: Fare, deliveries_due: usize, now: UnixMs) -> Self {
        let disabled = match endpoint.standing {
            Standing::Enabled => None,
            Standing::Disabled { at, why } => Some((at, why)),
        };
        Self {
            id: Text(endpoint.id),
            url: &endpoint.url,
            description: &endpoint.description,
            events: events(&endpoint.filter),
            status: match disabled {
                None => "enabled",
                Some(_) => "disabled",
            },
            disabled_reason: disabled.map(|(_, why)| DisabledWhy::as_str(why)),
            disabled_at: disabled.map(|(at, _)| Seconds(at)),
            failing_since: endpoint.failing_since.map(Seconds),
            created_at: Seconds(endpoint.created_at),
            old_key_signs_until: old_key_until(&endpoint.keys, now),
            deliveries_due,
            breaker_open_until: fare.open_until.map(Seconds),
            last_success_at: fare.last_success_at.map(Seconds),
            last_failure_at: fare.last_failure_at.map(Seconds),
            secret: None,
        }
    }

    /// Adds the secret, as receivers are given it.
    #[must_use]
    pub fn with_secret(mut self, secret: String) -> Self {
        self.secret = Some(secret);
        self
    }
}

fn events(filter: &EventFilter) -> Vec<&'static str> {
    match filter {
        EventFilter::All => vec![ALL_EVENTS],
        EventFilter::Only(choices) => choices
            .iter()
            .map(|one| EventChoice::as_str(*one))
            .collect(),
    }
}

fn old_key_until(keys: &SigningKeys, now: UnixMs) -> Option<Seconds> {
    let old = keys.old.as_ref().filter(|(_, until)| now < *until);
    old.map(|(_, until)| Seconds(*until))
}

/// All payments' own callbacks: each has its own URL, and all have the same secrets.
#[derive(Serialize)]
pub struct CallbacksObject {
    id: Text<EndpointId>,
    /// Where the secrets are kept: `configuration` or `store`.
    secrets_in: &'static str,
    old_key_signs_until: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl CallbacksObject {
    /// Signed with what the configuration names.
    pub const fn configured() -> Self {
        Self {
            id: Text(EndpointId::CALLBACK),
            secrets_in: "configuration",
            old_key_signs_until: None,
            secret: None,
        }
    }

    /// Signed with what the store keeps; there are no keys yet where nothing was rotated.
    pub fn kept(keys: Option<&SigningKeys>, now: UnixMs) -> Self {
        Self {
            id: Text(EndpointId::CALLBACK),
            secrets_in: "store",
            old_key_signs_until: keys.and_then(|keys| old_key_until(keys, now)),
            secret: None,
        }
    }

    /// Adds the secret, as receivers are given it.
    #[must_use]
    pub fn with_secret(mut self, secret: String) -> Self {
        self.secret = Some(secret);
        self
    }
}
