//! Judges credentials: client tokens and API keys, for requests, sockets and streams alike.
//!
//! A key costs one look into a map and one hash; nothing is read from the disk. Whoever has no good credential is told the
//! same in the same time, whether there is such a key or not.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;

use super::auth::Caller;
use super::token::{ClientTokens, TokenError};
use crate::clock::Clock;
use crate::domain::api_key::{KEY_PREFIX, PresentedKey};
use crate::key_uses::KeyUses;
use crate::store::Store;

/// Why a credential opens nothing.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum Denied {
    #[error("this hub asks for an API key: send it as 'Authorization: Bearer pb_...'")]
    Missing,
    #[error(
        "the API key is not well-formed; a whole one has 70 characters or more, with two underscores"
    )]
    MalformedKey,
    #[error("the API key is unknown or revoked")]
    UnknownKey,
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Which way requests come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Network,
    /// The socket beside the data file: who may open it could change the file itself.
    DataFile,
}

/// What judges credentials. Cheap to clone.
#[derive(Clone)]
pub struct Keyring {
    store: Arc<dyn Store>,
    tokens: ClientTokens,
    clock: Arc<dyn Clock>,
    uses: Arc<KeyUses>,
    /// Changes after each commit that made or revoked a key.
    changes: watch::Receiver<()>,
    door: Door,
}

impl Keyring {
    /// Of the keys in a store. Their uses are noted, and their ends told, only once it is given where.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            tokens: ClientTokens::new(store.identity().token_secret),
            store,
            clock,
            uses: Arc::default(),
            changes: watch::channel(()).1,
            door: Door::Network,
        }
    }

    /// Notes uses there, and hears of new and revoked keys here.
    #[must_use]
    pub fn joined(self, uses: Arc<KeyUses>, changes: watch::Receiver<()>) -> Self {
        Self {
            uses,
            changes,
            ..self
        }
    }

    /// The same for those who come through the socket beside the data file.
    #[must_use]
    pub fn for_operators(&self) -> Self {
        Self {
            door: Door::DataFile,
            ..self.clone()
        }
    }

    /// Whether any key was ever made: from then on nobody is let in without a credential.
    pub fn keys_required(&self) -> bool {
        !self.store.api_keys().is_empty()
    }

    pub fn uses(&self) -> &KeyUses {
        &self.uses
    }

    /// Who presents this. What is presented binds, even where nothing is needed.
    ///
    /// # Errors
    /// It opens nothing.
    pub fn admit(&self, credential: Option<&str>) -> Result<Caller, Denied> {
        match credential {
            None => self.admit_bare(),
            Some(key) if key.starts_with(KEY_PREFIX) => self.admit_key(key),
            Some(token) => Ok(Caller::Payer(self.tokens.verify(token, self.clock.now())?)),
        }
    }

    fn admit_bare(&self) -> Result<Caller, Denied> {
        match self.door {
            Door::DataFile => Ok(Caller::Operator),
            Door::Network if self.keys_required() => Err(Denied::Missing),
            Door::Network => Ok(Caller::Anyone),
        }
    }

    fn admit_key(&self, text: &str) -> Result<Caller, Denied> {
        let presented = PresentedKey::parse(text).ok_or(Denied::MalformedKey)?;
        let keys = self.store.api_keys();
        let key = keys.open(&presented).ok_or(Denied::UnknownKey)?;
        self.uses.note(key.id, key.last_used_at, self.clock.now());
        Ok(Caller::Key(key.id, key.scope))
    }

    /// Ends when the caller's right does: its key is revoked, or keys have come into force and it has none. For whoever
    /// stays longer than one request.
    pub fn end_of(&self, caller: Caller) -> impl Future<Output = ()> + Send + 'static {
        let (store, mut changes) = (Arc::clone(&self.store), self.changes.clone());
        async move {
            loop {
                // Marked first and looked at second: what comes between the two wakes again.
                changes.mark_unchanged();
                let keys = store.api_keys();
                let ended = match caller {
                    Caller::Anyone => !keys.is_empty(),
                    Caller::Key(id, _) => !keys.is_live(id),
                    Caller::Payer(_) | Caller::Operator => return std::future::pending().await,
                };
                drop(keys);
                if ended {
                    return;
                }
                if changes.changed().await.is_err() {
                    // Nobody is left to tell; the hub is ending.
                    return std::future::pending().await;
                }
            }
        }
    }
}
