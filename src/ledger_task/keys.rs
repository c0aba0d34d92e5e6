//! Commands about API keys. What is logged names a key and never shows it.

use super::Ledger;
use crate::domain::api_key::{ApiKey, KeyId};
use crate::domain::api_key_commands::{self, Asker, NewKey};
use crate::domain::api_keys::KeyChange;
use crate::domain::ids::UnixMs;
use crate::store::{CommitError, StoreError};

impl Ledger {
    /// Returns the key as committed.
    pub async fn create_key(&self, new: NewKey, asker: Asker) -> Result<ApiKey, CommitError> {
        let write = self
            .decide(move |view, now| api_key_commands::create(view, new, asker, now))
            .await?;
        let made = write
            .changes
            .api_keys
            .iter()
            .find_map(|change| match change {
                KeyChange::Put(key) => Some(key.clone()),
                KeyChange::Used(_) | KeyChange::Remove(_) => None,
            });
        let key = made.ok_or(CommitError::Store(StoreError::Closed))?;
        tracing::info!(id = %key.id, name = key.name, scope = %key.scope, %asker, "an API key was made");
        Ok(key)
    }

    pub async fn revoke_key(&self, id: KeyId, asker: Asker) -> Result<(), CommitError> {
        let write = self
            .decide(move |view, now| api_key_commands::revoke(view, id, asker, now))
            .await?;
        if !write.changes.api_keys.is_empty() {
            tracing::info!(%id, %asker, "an API key was revoked");
        }
        Ok(())
    }

    /// Keeps when keys were used last.
    pub async fn note_key_uses(&self, uses: Vec<(KeyId, UnixMs)>) -> Result<(), CommitError> {
        self.decide(move |view, _| Ok(api_key_commands::note_uses(view, &uses)?))
            .await
            .map(|_| ())
    }
}
