//! The classic endpoints that make and show payments, as the replaced service's clients know them.

use serde::Serialize;
use warp::reply::Response;

use super::answer;
use super::auth::Caller;
use super::create::{self, Dialect};
use super::problem::Problem;
use super::wire::payment::amount_to_pay;
use super::wire::scalar::{Seconds, Text};
use super::{ApiContext, v1};
use crate::domain::address::Address;
use crate::domain::ids::PaymentId;

/// `POST /create_payment`'s answer.
#[derive(Serialize)]
struct Created<'a> {
    payment_id: Text<PaymentId>,
    /// The one to pay to: given, or the wallet's next.
    wallet_address: Text<Address>,
    status: &'static str,
    message: &'static str,
    expires_at: Seconds,
    amount_to_pay: String,
    client_token: &'a str,
    checkout_url: &'a str,
}

pub async fn create(ctx: &ApiContext, body: &[u8]) -> Result<Response, Problem> {
    let new = create::payment(ctx, body, Dialect::Classic).await?;
    let payment = new.commit(ctx).await?;
    let (client_token, checkout_url) = create::access(ctx, &payment);
    let created = Created {
        payment_id: Text(payment.id),
        wallet_address: Text(payment.address),
        status: "watching",
        message: "Payment watch created successfully. Waiting for transaction.",
        expires_at: Seconds(payment.expires_at),
        amount_to_pay: amount_to_pay(&payment, &ctx.chains),
        client_token: &client_token,
        checkout_url: &checkout_url,
    };
    answer::created(&created, &format!("/payment_status/{}", payment.id))
}

pub async fn status(ctx: &ApiContext, id: &str, caller: Caller) -> Result<Response, Problem> {
    v1::get(ctx, id, caller).await
}
