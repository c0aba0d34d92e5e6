//! What a socket's credential opens. Refuses to store keys: whoever keeps them answers [`Keys`].

use async_trait::async_trait;

use super::replies::{ErrorCode, Refusal};
use crate::api::token::{ClientTokens, TokenError};
use crate::domain::ids::{PaymentId, UnixMs};
use crate::store::{EventScope, StoreError};

/// What an API key begins with; everything else is taken for a client token.
const API_KEY_PREFIX: &str = "pb_";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The key, or its absence, lets everything be looked at.
    MayLook,
    Refused,
}

/// Knows the API keys, and whether one is needed at all.
#[async_trait]
pub trait Keys: Send + Sync + 'static {
    /// # Errors
    /// The keys could not be looked up.
    async fn verdict(&self, key: Option<&str>) -> Result<KeyVerdict, StoreError>;
}

/// A loopback hub without keys: no key is needed, and none can be right.
#[derive(Debug, Clone, Copy)]
pub struct OpenAccess;

#[async_trait]
impl Keys for OpenAccess {
    async fn verdict(&self, key: Option<&str>) -> Result<KeyVerdict, StoreError> {
        Ok(match key {
            None => KeyVerdict::MayLook,
            Some(_) => KeyVerdict::Refused,
        })
    }
}

/// What a connected socket may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    Everything,
    Payment(PaymentId),
}

impl Grant {
    pub fn covers(self, channel: EventScope) -> bool {
        match (self, channel) {
            (Self::Everything, _) => true,
            (Self::Payment(own), EventScope::Payment(asked)) => own == asked,
            (Self::Payment(_), EventScope::All) => false,
        }
    }
}

/// Judges the credential of a `connect`.
///
/// # Errors
/// `unauthorized` for a missing, unknown or expired credential; `unavailable` where nobody could tell.
pub async fn admit(
    keys: &dyn Keys,
    tokens: &ClientTokens,
    credential: Option<&str>,
    now: UnixMs,
) -> Result<Grant, Refusal> {
    if let Some(token) = credential.filter(|c| !c.starts_with(API_KEY_PREFIX)) {
        return tokens
            .verify(token, now)
            .map(Grant::Payment)
            .map_err(|e: TokenError| Refusal::new(ErrorCode::Unauthorized, e.to_string()));
    }
    match keys.verdict(credential).await {
        Ok(KeyVerdict::MayLook) => Ok(Grant::Everything),
        Ok(KeyVerdict::Refused) => Err(Refusal::new(
            ErrorCode::Unauthorized,
            match credential {
                None => "connect needs a client token or an API key",
                Some(_) => "the API key is unknown or revoked",
            },
        )),
        Err(error) => {
            tracing::warn!(%error, "API keys could not be looked up for a socket");
            Err(unavailable())
        }
    }
}

/// Nobody could tell whether a key is good.
pub fn unavailable() -> Refusal {
    Refusal::new(
        ErrorCode::Unavailable,
        "the API keys cannot be looked up right now",
    )
}
