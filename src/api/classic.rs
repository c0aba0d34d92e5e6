//! The classic endpoints that make and show payments, as the replaced service's clients know them.

use bytes::Bytes;
use serde::Serialize;
use warp::reply::Response;

use super::auth::Caller;
use super::creation::Access;
use super::problem::Problem;
use super::wire::payment::amount_to_pay;
use super::wire::scalar::{Seconds, Text};
use super::{ApiContext, v1, wire};
use crate::chains::Chains;
use crate::domain::address::Address;
use crate::domain::ids::PaymentId;
use crate::domain::payment::Payment;

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

pub fn created(
    payment: &Payment,
    chains: &Chains,
    access: &Access,
) -> Result<Bytes, serde_json::Error> {
    wire::encode(&Created {
        payment_id: Text(payment.id),
        wallet_address: Text(payment.address),
        status: "watching",
        message: "Payment watch created successfully. Waiting for transaction.",
        expires_at: Seconds(payment.expires_at),
        amount_to_pay: amount_to_pay(payment, chains),
        client_token: &access.client_token,
        checkout_url: &access.checkout_url,
    })
}

pub async fn status(ctx: &ApiContext, id: &str, caller: Caller) -> Result<Response, Problem> {
    v1::get(ctx, id, caller).await
}
