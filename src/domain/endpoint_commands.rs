//! What the shop orders about its webhook endpoints: make one, change it, delete it, give it another key, try it out.
//!
//! Pure decisions on the latest state. Refuses to check URLs and to make keys: both are handed in, checked and drawn.

use super::changes::{Changes, View};
use super::delivery::GivenUp;
use super::endpoint::{DisabledWhy, Endpoint, EventFilter, Standing};
use super::endpoints::{EndpointChange, Endpoints, MAX_ENDPOINTS};
use super::event::{EndpointNote, Event, EventKind};
use super::ids::{EndpointId, UnixMs};
use super::ledger::Refusal;
use super::outbox::{self, Owing};
use super::signing_key::{SigningKey, SigningKeys};

/// A new endpoint, checked.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    pub url: String,
    pub description: String,
    pub filter: EventFilter,
    pub key: SigningKey,
}

/// What to change about an endpoint; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointEdit {
    pub url: Option<String>,
    pub description: Option<String>,
    pub filter: Option<EventFilter>,
    pub usage: Option<Usage>,
}

/// Whether an endpoint shall be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    Enable,
    Disable,
}

pub fn create(view: &dyn View, new: NewEndpoint, now: UnixMs) -> Result<Changes, Refusal> {
    let endpoints = view.endpoints()?;
    if endpoints.len() >= MAX_ENDPOINTS {
        return Err(Refusal::TooManyEndpoints);
    }
    Ok(put(Endpoint {
        id: endpoints.next_id(),
        url: new.url,
        description: new.description,
        filter: new.filter,
        keys: SigningKeys::new(new.key),
        standing: Standing::Enabled,
        created_at: now,
        failing_since: None,
    }))
}

/// What is owed to an endpoint that this disables is given up; the rest of a long queue by [`outbox::release`].
pub fn change(
    view: &dyn View,
    id: EndpointId,
    edit: EndpointEdit,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let endpoints = view.endpoints()?;
    let before = find(&endpoints, id)?;
    let after = edited(before, edit, now);
    if after == *before {
        return Ok(Changes::default());
    }
    let mut changes = Changes::default();
    if before.is_enabled() && !after.is_enabled() {
        let event = outbox::disabled_event(&after, DisabledWhy::ByHand, now);
        changes.events.push(event);
        let owing = Owing::Endpoint(id);
        outbox::give_up(view, owing, GivenUp::EndpointDisabled, now, &mut changes)?;
    }
    changes.endpoints.push(EndpointChange::Put(after));
    Ok(changes)
}

fn edited(before: &Endpoint, edit: EndpointEdit, now: UnixMs) -> Endpoint {
    let mut after = before.clone();
    if let Some(url) = edit.url.filter(|url| *url != before.url) {
        after.url = url;
        // Another receiver: what failed at the one before does not count against it.
        if after.is_enabled() {
            after.failing_since = None;
        }
    }
    if let Some(description) = edit.description {
        after.description = description;
    }
    if let Some(filter) = edit.filter {
        after.filter = filter;
    }
    match edit.usage {
        Some(Usage::Enable) => after.enable(),
        Some(Usage::Disable) => after.disable(DisabledWhy::ByHand, now),
        None => {}
    }
    after
}

/// The endpoint goes at once; what is owed to it is given up, the rest of a long queue by [`outbox::release`].
pub fn delete(view: &dyn View, id: EndpointId, now: UnixMs) -> Result<Changes, Refusal> {
    find(&*view.endpoints()?, id)?;
    let mut changes = Changes {
        endpoints: vec![EndpointChange::Remove(id)],
        ..Changes::default()
    };
    let owing = Owing::Endpoint(id);
    outbox::give_up(view, owing, GivenUp::EndpointDeleted, now, &mut changes)?;
    Ok(changes)
}

pub fn rotate(
    view: &dyn View,
    id: EndpointId,
    new: SigningKey,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let mut after = find(&*view.endpoints()?, id)?.clone();
    after.keys.rotate(new, now);
    Ok(put(after))
}

/// The same for what signs payments' own callbacks; `made` is the key that came with the data file.
pub fn rotate_callbacks(
    view: &dyn View,
    made: &SigningKey,
    new: SigningKey,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let endpoints = view.endpoints()?;
    let made = || SigningKeys::new(made.clone());
    let mut keys = endpoints.callback_keys().cloned().unwrap_or_else(made);
    keys.rotate(new, now);
    Ok(Changes {
        endpoints: vec![EndpointChange::CallbackKeys(keys)],
        ..Changes::default()
    })
}

/// An event for this endpoint alone, which goes the way that all go.
pub fn test(view: &dyn View, id: EndpointId, now: UnixMs) -> Result<Changes, Refusal> {
    let endpoints = view.endpoints()?;
    let endpoint = find(&endpoints, id)?;
    if !endpoint.is_enabled() {
        return Err(Refusal::EndpointDisabled(id));
    }
    let note = EndpointNote::new(id, &endpoint.url);
    Ok(Changes {
        events: vec![Event::about(EventKind::EndpointTest, note, now)],
        ..Changes::default()
    })
}

fn find(endpoints: &Endpoints, id: EndpointId) -> Result<&Endpoint, Refusal> {
    endpoints.get(id).ok_or(Refusal::NoSuchEndpoint)
}

fn put(endpoint: Endpoint) -> Changes {
    Changes {
        endpoints: vec![EndpointChange::Put(endpoint)],
        ..Changes::default()
    }
}

#[cfg(test)]
#[path = "endpoint_commands_tests.rs"]
mod tests;
