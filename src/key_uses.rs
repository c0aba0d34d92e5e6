//! When each API key was used last: noted in memory on the way of a request, written behind its back.
//!
//! One commit a minute at most holds all keys that were used in it; what a kill takes with it is at most that minute.

use std::time::Duration;

use dashmap::DashMap;

use crate::domain::api_key::KeyId;
use crate::domain::ids::UnixMs;
use crate::ledger_task::Ledger;
use crate::shutdown::{self, Shutdown};
use crate::store::describe;

/// How exact `last_used_at` is, and how often it is written at most.
const BETWEEN_WRITES: Duration = Duration::from_secs(60);
const EXACT_TO_MS: u64 = 60_000;

/// Uses that are not written yet: at most one entry a key.
#[derive(Debug, Default)]
pub struct KeyUses(DashMap<KeyId, UnixMs>);

impl KeyUses {
    /// Notes a use; `known` is the one on record. Costs nothing but a look where the last one was a moment ago.
    pub fn note(&self, id: KeyId, known: Option<UnixMs>, now: UnixMs) {
        let is_recent = |at: UnixMs| at.plus_ms(EXACT_TO_MS) > now;
        if known.is_some_and(is_recent) || self.get(id).is_some_and(is_recent) {
            return;
        }
        self.0.insert(id, now);
    }

    /// The use that is not written yet.
    pub fn get(&self, id: KeyId) -> Option<UnixMs> {
        self.0.get(&id).map(|entry| *entry)
    }

    fn all(&self) -> Vec<(KeyId, UnixMs)> {
        self.0.iter().map(|entry| (*entry.key(), *entry)).collect()
    }

    /// Forgets what was written, unless it was used again meanwhile.
    fn written(&self, uses: &[(KeyId, UnixMs)]) {
        for (id, at) in uses {
            self.0.remove_if(id, |_, newest| newest == at);
        }
    }

    /// Writes what there is.
    async fn write(&self, ledger: &Ledger) {
        let uses = self.all();
        if uses.is_empty() {
            return;
        }
        match ledger.note_key_uses(uses.clone()).await {
            Ok(()) => self.written(&uses),
            Err(error) => {
                tracing::warn!(error = %describe(&error), "the last uses of API keys could not be written; tried again in a minute");
            }
        }
    }
}

/// Writes once a minute, and once more when `shutdown` turns true.
pub async fn run(uses: std::sync::Arc<KeyUses>, ledger: Ledger, mut shutdown: Shutdown) {
    loop {
        let ends = tokio::select! {
            biased;
            () = shutdown::requested(&mut shutdown) => true,
            () = tokio::time::sleep(BETWEEN_WRITES) => false,
        };
        uses.write(&ledger).await;
        if ends {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let uses = KeyUses::default();
        let (id, start) = (KeyId(1), UnixMs(1_000_000));
        uses.note(id, None, start);
        uses.note(id, None, start.plus_ms(EXACT_TO_MS - 1));
        assert_eq!(uses.all(), [(id, start)]);
        let later = start.plus_ms(EXACT_TO_MS);
        uses.note(id, None, later);
        assert_eq!(uses.get(id), Some(later));
        uses.written(&[(id, start)]);
        assert_eq!(uses.get(id), Some(later), "it was used again meanwhile");
        uses.written(&[(id, later)]);
        assert_eq!(uses.get(id), None);
        uses.note(id, Some(later), later.plus_ms(1));
        assert_eq!(uses.all(), [], "what is on record is recent enough");
    }
}
