//! What is ordered about API keys: make one, revoke one, note that some were used.
//!
//! Pure decisions on the latest state, the right of whoever asks included: it may have gone since the request was let in.

use std::fmt;

use super::api_key::{ApiKey, KeyDigest, KeyId, KeyScope, PresentedKey};
use super::api_keys::{ApiKeys, KeyChange, MAX_KEYS, MAX_LIVE_KEYS};
use super::changes::{Changes, View, ViewError};
use super::ids::UnixMs;
use super::ledger::Refusal;

/// A new key, checked.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub id: KeyId,
    pub name: String,
    pub scope: KeyScope,
    pub digest: KeyDigest,
}

impl NewKey {
    /// The key that its holder will present so.
    pub fn of(presented: &PresentedKey, name: String, scope: KeyScope) -> Self {
        Self {
            id: presented.id,
            name,
            scope,
            digest: presented.secret.digest(),
        }
    }
}

/// Who asks for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// No credential was needed when the request came: there was no key.
    Anyone,
    Key(KeyId),
    /// Whoever may open the data file.
    Operator,
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Key(id) => id.fmt(f),
            Self::Operator => f.write_str("operator"),
        }
    }
}

impl Asker {
    /// Decided inside the commit, so that of two strangers who make the first key one fails, and a revoked key's last
    /// request makes no other.
    fn may_change(self, keys: &ApiKeys) -> Result<(), Refusal> {
        let allowed = match self {
            Self::Anyone => keys.is_empty(),
            Self::Key(id) => keys
                .get(id)
                .is_some_and(|key| key.is_live() && key.scope == KeyScope::Admin),
            Self::Operator => true,
        };
        allowed.then_some(()).ok_or(Refusal::KeyNeeded)
    }
}

pub fn create(view: &dyn View, new: NewKey, asker: Asker, now: UnixMs) -> Result<Changes, Refusal> {
    let keys = view.api_keys()?;
    asker.may_change(&keys)?;
    // Whoever shuts the door behind the first key must be able to open it again.
    if keys.is_empty() && new.scope != KeyScope::Admin {
        return Err(Refusal::FirstKeyMustBeAdmin);
    }
    if keys.live().count() >= MAX_LIVE_KEYS {
        return Err(Refusal::TooManyKeys);
    }
    let mut api_keys = room(&keys);
    api_keys.push(KeyChange::Put(ApiKey {
        id: new.id,
        name: new.name,
        scope: new.scope,
        digest: new.digest,
        created_at: now,
        last_used_at: None,
        revoked_at: None,
    }));
    Ok(Changes {
        api_keys,
        ..Changes::default()
    })
}

/// What goes so that one more can be kept.
fn room(keys: &ApiKeys) -> Vec<KeyChange> {
    if keys.len() < MAX_KEYS {
        return Vec::new();
    }
    let revoked = keys
        .iter()
        .filter_map(|key| Some((key.revoked_at?, key.id)));
    let oldest = revoked.min();
    oldest
        .into_iter()
        .map(|(_, id)| KeyChange::Remove(id))
        .collect()
}

/// The key opens nothing from now on. Revoked again it stays as it is.
pub fn revoke(view: &dyn View, id: KeyId, asker: Asker, now: UnixMs) -> Result<Changes, Refusal> {
    let keys = view.api_keys()?;
    asker.may_change(&keys)?;
    let key = keys.get(id).ok_or(Refusal::NoSuchKey)?;
    if !key.is_live() {
        return Ok(Changes::default());
    }
    let is_last = key.scope == KeyScope::Admin && !keys.has_other_admin(id);
    if is_last && asker != Asker::Operator {
        return Err(Refusal::LastAdminKey);
    }
    let revoked = ApiKey {
        revoked_at: Some(now),
        ..key.clone()
    };
    Ok(Changes {
        api_keys: vec![KeyChange::Put(revoked)],
        ..Changes::default()
    })
}

/// Keys were used at these times; what is known already is not written again.
pub fn note_uses(view: &dyn View, uses: &[(KeyId, UnixMs)]) -> Result<Changes, ViewError> {
    let keys = view.api_keys()?;
    let newer = uses.iter().filter_map(|(id, at)| {
        let key = keys.get(*id).filter(|key| key.last_used_at < Some(*at))?;
        Some(KeyChange::Used(ApiKey {
            last_used_at: Some(*at),
            ..key.clone()
        }))
    });
    Ok(Changes {
        api_keys: newer.collect(),
        ..Changes::default()
    })
}

#[cfg(test)]
#[path = "api_key_commands_tests.rs"]
mod tests;
