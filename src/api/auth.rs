//! Who asks: anyone, or the holder of one payment's client token. A token presented binds even where none is needed.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::ApiContext;
use super::problem::{Kind, Problem};
use crate::domain::ids::PaymentId;

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// No credential; the server itself listens only where that is acceptable.
    Anyone,
    /// The payer of this payment.
    Payer(PaymentId),
}

impl Caller {
    pub fn of(ctx: &ApiContext, headers: &HeaderMap) -> Result<Self, Problem> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let Some(header) = given.next() else {
            return Ok(Self::Anyone);
        };
        if given.next().is_some() {
            return Err(Problem::invalid_token("send one Authorization header"));
        }
        let Some(token) = header.to_str().ok().and_then(bearer) else {
            let detail = "the Authorization header must be 'Bearer <client token>'";
            return Err(Problem::invalid_token(detail));
        };
        ctx.tokens
            .verify(token, ctx.clock.now())
            .map(Self::Payer)
            .map_err(Problem::invalid_token)
    }

    /// Whose idempotency keys these are.
    pub const fn scope(self) -> &'static [u8] {
        match self {
            // A payer's token opens nothing that takes a key.
            Self::Anyone | Self::Payer(_) => b"anyone",
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

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
