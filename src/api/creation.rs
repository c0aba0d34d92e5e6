//! From a request for a new payment to its answer; under an idempotency key once, however often it is sent.

use bytes::Bytes;
use http::HeaderMap;
use warp::reply::Response;

use super::auth::Caller;
use super::create::{self, Dialect, NewPayment};
use super::idempotency::keyed_request;
use super::problem::Problem;
use super::token::ClientTokens;
use super::{ApiContext, answer, classic, v1};
use crate::chains::Chains;
use crate::domain::idempotency::{Answer, KeyedRequest};
use crate::domain::ledger::Refusal;
use crate::domain::payment::Payment;
use crate::store::CommitError;

/// A request as it came.
pub struct Request {
    pub dialect: Dialect,
    pub caller: Caller,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What opens a new payment to its payer.
pub struct Access {
    pub client_token: String,
    pub checkout_url: String,
}

pub async fn create(ctx: &ApiContext, request: Request) -> Result<Response, Problem> {
    let Request { dialect, body, .. } = &request;
    let keyed = keyed_request(&request.headers, request.caller, dialect.path(), body)?;
    if let Some(keyed) = keyed {
        return create_once(ctx, &request, keyed).await;
    }
    let new = create::payment(ctx, body, *dialect).await?;
    let payment = new.commit(ctx).await?;
    let answer = Scribe::new(ctx, *dialect).write(&payment)?;
    Ok(answer::created(answer))
}

async fn create_once(
    ctx: &ApiContext,
    request: &Request,
    keyed: KeyedRequest,
) -> Result<Response, Problem> {
    let _running = ctx.in_flight.begin(keyed.key)?;
    // Most repetitions end here. What races past, after a restart or a time-out, is found inside the commit.
    if let Some(kept) = ctx.store.kept_answer(keyed.key).await?
        && let Some(again) = kept.again_for(&keyed, ctx.clock.now())?
    {
        return Ok(answer::replayed(again));
    }
    let new = create::payment(ctx, &request.body, request.dialect).await?;
    match commit_once(ctx, new, keyed, Scribe::new(ctx, request.dialect)).await {
        Ok(answer) => Ok(answer::created(answer)),
        Err(CommitError::Refused(Refusal::AlreadyAnswered(again))) => Ok(answer::replayed(*again)),
        Err(error) => Err(error.into()),
    }
}

async fn commit_once(
    ctx: &ApiContext,
    new: NewPayment,
    keyed: KeyedRequest,
    scribe: Scribe,
) -> Result<Answer, CommitError> {
    let (payment, wallet) = new.into_parts();
    let writer = Box::new(move |payment: &Payment| scribe.write(payment).map_err(Into::into));
    ctx.ledger.create_once(payment, wallet, keyed, writer).await
}

/// Writes answers. Owns what it needs, because it also works inside a commit.
struct Scribe {
    dialect: Dialect,
    chains: Chains,
    tokens: ClientTokens,
    public_url: String,
}

impl Scribe {
    fn new(ctx: &ApiContext, dialect: Dialect) -> Self {
        Self {
            dialect,
            chains: ctx.chains.clone(),
            tokens: ctx.tokens.clone(),
            public_url: ctx.settings.public_url.clone(),
        }
    }

    fn write(&self, payment: &Payment) -> Result<Answer, serde_json::Error> {
        let base = self.public_url.trim_end_matches('/');
        let client_token = self.tokens.issue(payment.id, payment.unwatch_at());
        let access = Access {
            // Behind the #, where no server and no log on the way sees it.
            checkout_url: format!("{base}/pay/{}#{client_token}", payment.id),
            client_token,
        };
        let (location, body) = match self.dialect {
            Dialect::Classic => (
                format!("/payment_status/{}", payment.id),
                classic::created(payment, &self.chains, &access)?,
            ),
            Dialect::V1 => (
                format!("/v1/payments/{}", payment.id),
                v1::created(payment, &self.chains, &access)?,
            ),
        };
        Ok(Answer {
            location,
            body: body.into(),
        })
    }
}
