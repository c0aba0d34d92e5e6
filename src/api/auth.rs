//! Who asks: anyone, a payer with one payment's client token, the holder of an API key, or the operator.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::keyring::{Denied, Keyring};
use super::problem::{Kind, Problem};
use crate::domain::api_key::{KeyId, KeyScope};
use crate::domain::api_key_commands::Asker;
use crate::domain::ids::PaymentId;

/// What a caller must have to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Open to all, with keys in force too.
    Nothing,
    Scope(KeyScope),
}

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// No credential, and none is needed: there are no keys, or what is asked for is open to all.
    Anyone,
    /// The payer of this payment.
    Payer(PaymentId),
    Key(KeyId, KeyScope),
    /// Whoever came through the socket beside the data file.
    Operator,
}

impl Caller {
    /// Lets a request in whose credential reaches as far as is needed.
    pub fn of(keyring: &Keyring, headers: &HeaderMap, need: Need) -> Result<Self, Problem> {
        let credential = credential(headers)?;
        if credential.is_none() && need == Need::Nothing {
            return Ok(Self::Anyone);
        }
        let caller = keyring.admit(credential).map_err(|denied| match denied {
            Denied::Missing => Problem::credential_missing(denied),
            other => Problem::invalid_token(other),
        })?;
        caller.may(need)?;
        Ok(caller)
    }

    fn may(self, need: Need) -> Result<(), Problem> {
        let (Self::Key(id, has), Need::Scope(needed)) = (self, need) else {
            // A payer is told by `may_see`.
            return Ok(());
        };
        if has.covers(needed) {
            return Ok(());
        }
        let detail =
            format!("this needs an API key of scope {needed}; {id} has the scope {has} only");
        Err(Problem::new(Kind::Forbidden, detail))
    }

    /// What a caller is told whose right ended while it was being served.
    pub fn right_ended(self) -> Problem {
        match self {
            Self::Key(..) => Problem::invalid_token(Denied::UnknownKey),
            Self::Anyone | Self::Payer(_) | Self::Operator => {
                Problem::credential_missing(Denied::Missing)
            }
        }
    }

    /// How far the caller reaches. A payer has no scope.
    pub const fn scope(self) -> Option<KeyScope> {
        match self {
            Self::Anyone | Self::Operator => Some(KeyScope::Admin),
            Self::Key(_, scope) => Some(scope),
            Self::Payer(_) => None,
        }
    }

    /// Whose idempotency keys these are.
    pub fn idempotency_scope(self) -> Cow<'static, [u8]> {
        match self {
            // A payer's token opens nothing that takes a key.
            Self::Anyone | Self::Payer(_) => Cow::Borrowed(b"anyone"),
            Self::Operator => Cow::Borrowed(b"operator"),
            Self::Key(id, _) => Cow::Owned(id.to_string().into_bytes()),
        }
    }

    /// The caller's key, if it has one.
    pub const fn key(self) -> Option<KeyId> {
        match self {
            Self::Key(id, _) => Some(id),
            Self::Anyone | Self::Payer(_) | Self::Operator => None,
        }
    }

    /// As whom the caller changes keys.
    pub const fn asker(self) -> Asker {
        match self {
            // A payer's token opens no key.
            Self::Anyone | Self::Payer(_) => Asker::Anyone,
            Self::Operator => Asker::Operator,
            Self::Key(id, _) => Asker::Key(id),
        }
    }

    /// Lets the caller at a resource; `shown` is the payment that the resource shows, if it shows one only.
    pub fn may_see(self, shown: Option<&str>) -> Result<(), Problem> {
        let Self::Payer(own) = self else {
            return Ok(());
        };
        if shown.and_then(PaymentId::parse) == Some(own) {
            return Ok(());
        }
        let detail = format!("this client token opens payment {own} only");
        Err(Problem::new(Kind::Forbidden, detail))
    }
}

/// What stands behind `Bearer` in the request's one Authorization header, if it has one.
fn credential(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = given.next() else {
        return Ok(None);
    };
    if given.next().is_some() {
        return Err(Problem::invalid_token("send one Authorization header"));
    }
    let token = header.to_str().ok().and_then(bearer);
    token.map(Some).ok_or_else(|| {
        let detail =
            "the Authorization header must be 'Bearer <API key>' or 'Bearer <client token>'";
        Problem::invalid_token(detail)
    })
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
