//! What a socket's credential opens. Refuses to judge credentials: that is the keyring's.

use super::replies::{ErrorCode, Refusal};
use crate::api::auth::Caller;
use crate::api::keyring::{Denied, Keyring};
use crate::store::EventScope;

/// Judges the credential of a `connect`. Every scope of an API key may look.
///
/// # Errors
/// `unauthorized` for a missing, unknown or expired credential.
pub fn admit(keyring: &Keyring, credential: Option<&str>) -> Result<Caller, Refusal> {
    keyring.admit(credential).map_err(|denied| {
        let text = match denied {
            Denied::Missing => "connect needs a client token or an API key".to_owned(),
            other => other.to_string(),
        };
        Refusal::new(ErrorCode::Unauthorized, text)
    })
}

/// Whether a caller may listen to a channel: a payer to its own payment's.
pub fn covers(caller: Caller, channel: EventScope) -> bool {
    match (caller, channel) {
        (Caller::Payer(own), EventScope::Payment(asked)) => own == asked,
        (Caller::Payer(_), EventScope::All) => false,
        (Caller::Anyone | Caller::Key(..) | Caller::Operator, _) => true,
    }
}
