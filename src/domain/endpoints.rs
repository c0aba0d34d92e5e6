//! The account's webhook endpoints as one set, and which of them an event is owed to.
//!
//! The set is small ([`MAX_ENDPOINTS`]), so whoever needs it holds all of it. Ids are never given out twice.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::endpoint::Endpoint;
use super::event::{Event, EventKind};
use super::ids::EndpointId;
use super::signing_key::SigningKeys;

/// Account-wide endpoints at most.
pub const MAX_ENDPOINTS: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoints {
    by_id: BTreeMap<EndpointId, Endpoint>,
    /// The newest id that was given out, whether its endpoint is still there or not.
    newest: u32,
    /// What signs callbacks, once it was rotated; before that, the secret made with the data file.
    callback_keys: Option<SigningKeys>,
}

/// A change to the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointChange {
    /// A new endpoint, or one in place of what it was.
    Put(Endpoint),
    Remove(EndpointId),
    CallbackKeys(SigningKeys),
}

impl Endpoints {
    /// As it was kept.
    pub fn restore(
        endpoints: impl IntoIterator<Item = Endpoint>,
        newest: u32,
        callback_keys: Option<SigningKeys>,
    ) -> Self {
        Self {
            by_id: endpoints.into_iter().map(|e| (e.id, e)).collect(),
            newest,
            callback_keys,
        }
    }

    pub fn get(&self, id: EndpointId) -> Option<&Endpoint> {
        self.by_id.get(&id)
    }

    /// By id, which is by age.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Endpoint> {
        self.by_id.values()
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub const fn newest_id(&self) -> u32 {
        self.newest
    }

    /// The id that the next endpoint gets.
    pub const fn next_id(&self) -> EndpointId {
        EndpointId(self.newest.saturating_add(1))
    }

    pub const fn callback_keys(&self) -> Option<&SigningKeys> {
        self.callback_keys.as_ref()
    }

    pub fn apply(&mut self, change: &EndpointChange) {
        match change {
            EndpointChange::Put(endpoint) => {
                self.newest = self.newest.max(endpoint.id.0);
                self.by_id.insert(endpoint.id, endpoint.clone());
            }
            EndpointChange::Remove(id) => {
                self.by_id.remove(id);
            }
            EndpointChange::CallbackKeys(keys) => self.callback_keys = Some(keys.clone()),
        }
    }

    /// The set after these changes.
    pub fn after(&self, changes: &[EndpointChange]) -> Cow<'_, Self> {
        if changes.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut after = self.clone();
        for change in changes {
            after.apply(change);
        }
        Cow::Owned(after)
    }

    /// Whom an event is owed to, and where: the payment's own callback, then every endpoint in use that wants it.
    pub fn owed(&self, event: &Event) -> Vec<(EndpointId, String)> {
        let callback = event.payment.as_ref().and_then(|p| p.callback.as_ref());
        let callback = callback.filter(|_| event.reaches_callback());
        let mut owed: Vec<_> = callback
            .map(|callback| (EndpointId::CALLBACK, callback.url.clone()))
            .into_iter()
            .collect();
        let hearing = self.iter().filter(|e| hears(e, event));
        owed.extend(hearing.map(|e| (e.id, e.url.clone())));
        owed
    }
}

/// A test goes to the endpoint that was asked alone; what became of an endpoint, to all others.
fn hears(endpoint: &Endpoint, event: &Event) -> bool {
    let named = event.endpoint.as_ref().map(|note| note.id) == Some(endpoint.id);
    endpoint.is_enabled()
        && match event.kind {
            EventKind::EndpointTest => named,
            EventKind::EndpointDisabled => !named && endpoint.filter.wants(event.kind),
            kind => endpoint.filter.wants(kind),
        }
}
