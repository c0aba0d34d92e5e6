//! The `/v1/transfers` endpoints: transfers that settled nothing, and an operator's word on them.
//!
//! Transfers that settled a payment are listed in that payment, so this list has no other state than `unmatched`.

use serde::Serialize;
use serde_json::value::RawValue;
use warp::reply::Response;

use super::ApiContext;
use super::answer;
use super::auth::Caller;
use super::form::Form;
use super::problem::Problem;
use super::query::Query;
use super::request::{Fields, kind_word, string};
use super::wire::PaymentObject;
use super::wire::list::List;
use super::wire::transfer::ListedTransfer;
use crate::domain::ids::{PaymentId, TransferKey};
use crate::domain::payment::TransferRecord;
use crate::domain::transfer::TransferPlace;
use crate::store::TransferFilter;

pub const FILTERS: [&str; 4] = ["state", "payment_id", "after", "limit"];
pub const ASSIGNMENT_FIELDS: [&str; 1] = ["payment_id"];
const UNMATCHED: &str = "unmatched";
const NO_PAYMENT_ID: &str = "payment_id must be a payment's id";

/// What an assignment comes to.
#[derive(Serialize)]
struct AssignedObject<'a> {
    transfer: ListedTransfer<'a>,
    payment: PaymentObject<'a>,
}

pub async fn list(ctx: &ApiContext, query: &str) -> Result<Response, Problem> {
    let mut query = Query::parse(query, &FILTERS);
    query.take("state", state_word);
    let filter = TransferFilter {
        meant_for: query.take("payment_id", |text| {
            PaymentId::parse(text).ok_or_else(|| NO_PAYMENT_ID.to_owned())
        }),
    };
    let after = query.take("after", |text| {
        TransferPlace::parse(text)
            .ok_or_else(|| "after must be the 'next' of the page before".to_owned())
    });
    let limit = query.limit();
    query.finish()?;
    let page = ctx.store.unmatched(filter, after, limit).await?;
    let objects = page.items.iter();
    let objects = objects
        .map(|transfer| ListedTransfer::new(transfer, &ctx.chains))
        .collect();
    answer::ok(&List::new(objects, page.next))
}

pub async fn get(ctx: &ApiContext, id: &str) -> Result<Response, Problem> {
    let transfer = find(ctx, parse_id(id)?).await?;
    answer::ok(&ListedTransfer::new(&transfer, &ctx.chains))
}

/// The answer shows both sides as they are once the decision is on disk.
pub async fn assign(
    ctx: &ApiContext,
    caller: Caller,
    id: &str,
    body: &[u8],
) -> Result<Response, Problem> {
    let key = parse_id(id)?;
    let payment_id = payment_of(body)?;
    ctx.ledger.assign(key, payment_id, caller.key()).await?;
    let transfer = find(ctx, key).await?;
    let payment = ctx.store.payment(payment_id).await?;
    let payment = payment.ok_or_else(Problem::payment_not_found)?;
    answer::ok(&AssignedObject {
        transfer: ListedTransfer::new(&transfer, &ctx.chains),
        payment: PaymentObject::new(&payment, &ctx.chains),
    })
}

fn payment_of(body: &[u8]) -> Result<PaymentId, Problem> {
    let mut form = Form::new(Fields::parse(body)?);
    form.only(&ASSIGNMENT_FIELDS);
    let id = form.required("payment_id", payment_id);
    form.finish()?;
    id.ok_or_else(Problem::payment_not_found)
}

fn payment_id(value: &RawValue) -> Result<PaymentId, String> {
    let text = string(value)
        .ok_or_else(|| format!("{NO_PAYMENT_ID}, a string and not {}", kind_word(value)))?;
    PaymentId::parse(&text).ok_or_else(|| NO_PAYMENT_ID.to_owned())
}

fn state_word(text: &str) -> Result<(), String> {
    if text == UNMATCHED {
        return Ok(());
    }
    Err(format!(
        "state must be {UNMATCHED}; transfers that settled a payment are in that payment's transfers"
    ))
}

async fn find(ctx: &ApiContext, key: TransferKey) -> Result<TransferRecord, Problem> {
    let transfer = ctx.store.transfer(key).await?;
    transfer.ok_or_else(Problem::transfer_not_found)
}

/// Whatever is not an id is the id of no transfer.
fn parse_id(id: &str) -> Result<TransferKey, Problem> {
    TransferKey::parse(id).ok_or_else(Problem::transfer_not_found)
}
