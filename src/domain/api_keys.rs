//! All API keys as one set, revoked ones too: whether any is needed, and which one a presented key is.
//!
//! The set is small ([`MAX_KEYS`]), so whoever needs it holds all of it.

use std::collections::BTreeMap;

use super::api_key::{ApiKey, KeyDigest, KeyId, KeyScope, PresentedKey};

/// Keys in use at most.
pub const MAX_LIVE_KEYS: usize = 100;
/// Keys kept at most, revoked ones included. Beyond, the one revoked first makes room.
pub const MAX_KEYS: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiKeys {
    by_id: BTreeMap<KeyId, ApiKey>,
}

/// A change to the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// A new key, or one in place of what it was.
    Put(ApiKey),
    /// The key was used since; it opens what it did before.
    Used(ApiKey),
    /// It was revoked long ago, and its row makes room.
    Remove(KeyId),
}

impl ApiKeys {
    /// As they were kept.
    pub fn restore(keys: impl IntoIterator<Item = ApiKey>) -> Self {
        Self {
            by_id: keys.into_iter().map(|key| (key.id, key)).collect(),
        }
    }

    pub fn get(&self, id: KeyId) -> Option<&ApiKey> {
        self.by_id.get(&id)
    }

    /// By id, which is by age.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &ApiKey> {
        self.by_id.values()
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// No key was ever made.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub fn is_live(&self, id: KeyId) -> bool {
        self.get(id).is_some_and(ApiKey::is_live)
    }

    pub fn live(&self) -> impl Iterator<Item = &ApiKey> {
        self.iter().filter(|key| key.is_live())
    }

    /// Whether any other key than this one may do everything.
    pub fn has_other_admin(&self, id: KeyId) -> bool {
        let admins = self.live().filter(|key| key.scope == KeyScope::Admin);
        admins.into_iter().any(|key| key.id != id)
    }

    /// The key that is presented, where it is in use. One hash and one comparison, whether there is such an id or not.
    pub fn open(&self, presented: &PresentedKey) -> Option<&ApiKey> {
        let digest = presented.secret.digest();
        let known = self.get(presented.id);
        let kept = known.map_or(&KeyDigest::OF_NOBODY, |key| &key.digest);
        let is_right = kept.is_same(&digest);
        known.filter(|key| is_right && key.is_live())
    }

    pub fn apply(&mut self, change: &KeyChange) {
        match change {
            KeyChange::Put(key) | KeyChange::Used(key) => {
                self.by_id.insert(key.id, key.clone());
            }
            KeyChange::Remove(id) => {
                self.by_id.remove(id);
            }
        }
    }
}
