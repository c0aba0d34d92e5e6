//! The `/v1/deliveries` endpoints: what became of each webhook, attempt by attempt, and asking for one again.

use warp::reply::Response;

use super::ApiContext;
use super::answer;
use super::mistake::{Quoted, did_you_mean};
use super::problem::Problem;
use super::query::Query;
use super::wire::delivery::{DeliveryObject, DeliveryWithLog};
use super::wire::list::List;
use crate::domain::event::EventKind;
use crate::domain::ids::{DeliveryId, EndpointId, PaymentId};
use crate::store::DeliveryFilter;

pub const STATES: [&str; 3] = ["due", "delivered", "exhausted"];
pub const FILTERS: [&str; 6] = ["payment_id", "state", "endpoint", "type", "after", "limit"];

pub async fn list(ctx: &ApiContext, query: &str) -> Result<Response, Problem> {
    let mut query = Query::parse(query, &FILTERS);
    let filter = DeliveryFilter {
        payment: query.take("payment_id", |text| {
            PaymentId::parse(text).ok_or_else(|| "payment_id must be a payment's id".to_owned())
        }),
        state: query.take("state", |text| {
            let state = STATES.into_iter().find(|state| *state == text);
            state.ok_or_else(|| format!("state must be one of: {}", STATES.join(", ")))
        }),
        endpoint: query.take("endpoint", |text| {
            let wrong = "endpoint must be an endpoint's id, like ep_1, or callbacks";
            EndpointId::parse(text).ok_or_else(|| wrong.to_owned())
        }),
        kind: query.take("type", |text| {
            EventKind::parse(text).ok_or_else(|| unknown_type("type", text))
        }),
    };
    let after = query.take("after", |text| {
        DeliveryId::parse(text)
            .ok_or_else(|| "after must be a delivery's id, like dlv_20_0".to_owned())
    });
    let limit = query.limit();
    query.finish()?;
    let page = ctx.store.deliveries(filter, after, limit).await?;
    let objects = page.items.iter().map(DeliveryObject::new).collect();
    answer::ok(&List::new(objects, page.next))
}

/// Says which types of events there are.
pub fn unknown_type(name: &str, text: &str) -> String {
    let known = EventKind::ALL.map(EventKind::as_str);
    let hint = did_you_mean(text, &known);
    let known = known.join(", ");
    format!(
        "{name}: there is no event {}{hint}; there are {known}",
        Quoted(text)
    )
}

pub async fn get(ctx: &ApiContext, id: &str) -> Result<Response, Problem> {
    let id = parse_id(id)?;
    let delivery = ctx.store.delivery(id).await?;
    let delivery = delivery.ok_or_else(Problem::delivery_not_found)?;
    let attempts = ctx.store.attempts(id).await?;
    answer::ok(&DeliveryWithLog::new(&delivery, &attempts))
}

/// It is on its way once this is answered: due at once, whatever became of it before.
pub async fn redeliver(ctx: &ApiContext, id: &str) -> Result<Response, Problem> {
    let delivery = ctx.ledger.redeliver(parse_id(id)?).await?;
    answer::accepted(&DeliveryObject::new(&delivery))
}

/// Whatever is not an id is the id of no delivery.
fn parse_id(id: &str) -> Result<DeliveryId, Problem> {
    DeliveryId::parse(id).ok_or_else(Problem::delivery_not_found)
}
