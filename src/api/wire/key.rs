//! An API key, and what a caller's own credential is. The key itself is told once: in the answer to the request that made it.

use serde::Serialize;

use super::scalar::{Seconds, Text};
use crate::domain::api_key::{ApiKey, KeyId};
use crate::domain::ids::UnixMs;

#[derive(Serialize)]
pub struct KeyObject<'a> {
    id: Text<KeyId>,
    name: &'a str,
    scope: &'static str,
    created_at: Seconds,
    /// To about a minute.
    last_used_at: Option<Seconds>,
    revoked_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl<'a> KeyObject<'a> {
    /// `used` is a use that is not on record yet.
    pub fn new(key: &'a ApiKey, used: Option<UnixMs>) -> Self {
        Self {
            id: Text(key.id),
            name: &key.name,
            scope: key.scope.as_str(),
            created_at: Seconds(key.created_at),
            last_used_at: key.last_used_at.max(used).map(Seconds),
            revoked_at: key.revoked_at.map(Seconds),
            key: None,
        }
    }

    /// Adds the key itself.
    #[must_use]
    pub fn with_key(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }
}

/// What a caller is taken for.
#[derive(Serialize)]
pub struct CurrentKeyObject<'a> {
    pub id: Option<Text<KeyId>>,
    pub name: Option<&'a str>,
    pub scope: &'static str,
    pub keys_required: bool,
}
