//! The `/v1/endpoints` endpoints: the account's webhook endpoints, their keys, a test, and bringing in what one missed.
//!
//! `callbacks` stands for all payments' own callbacks, which share their secrets. A secret is told in the answer to the
//! request that made it, and never again.

use serde::Serialize;
use serde_json::value::RawValue;
use warp::reply::Response;

use super::auth::Caller;
use super::checks::{self, Checked};
use super::deliveries::unknown_type;
use super::form::Form;
use super::instant::instant;
use super::problem::{Kind, Problem};
use super::request::{Fields, kind_word, string};
use super::wire::endpoint::{ALL_EVENTS, CallbacksObject, EndpointObject};
use super::wire::list::List;
use super::wire::scalar::Text;
use super::{ApiContext, answer};
use crate::delivery::signature::{GENERATED_SECRET_BYTES, Secret};
use crate::domain::endpoint::{Endpoint, EventChoice, EventFilter, MAX_DESCRIPTION_CHARS};
use crate::domain::endpoint_commands::{EndpointEdit, NewEndpoint, Usage};
use crate::domain::ids::{DeliveryId, EndpointId, EventId, Sequence};
use crate::domain::recovery::{Progress, Span};
use crate::domain::signing_key::SigningKey;
use crate::domain::target::Target;

pub const NEW_FIELDS: [&str; 4] = ["url", "events", "description", "secret"];
pub const CHANGE_FIELDS: [&str; 4] = ["url", "events", "description", "status"];
pub const SECRET_FIELDS: [&str; 1] = ["secret"];
pub const RECOVERY_FIELDS: [&str; 3] = ["since", "until", "after"];
/// Names in a filter at most: more than there are.
pub const MAX_EVENT_NAMES: usize = 64;
/// Webhooks owed to one endpoint that are counted; of more it shows as many.
const MAX_COUNTED: usize = 10_000;
/// Pieces of the log that one request goes through; the answer says where to go on.
const PIECES_PER_REQUEST: usize = 20;

pub async fn list(ctx: &ApiContext) -> Result<Response, Problem> {
    let endpoints = ctx.store.endpoints();
    let mut objects = Vec::new();
    for endpoint in endpoints.iter() {
        objects.push(object(ctx, endpoint).await?);
    }
    answer::ok(&List::new(objects, None::<EndpointId>))
}

pub async fn create(ctx: &ApiContext, body: &[u8]) -> Result<Response, Problem> {
    let mut form = Form::new(Fields::parse(body)?);
    form.only(&NEW_FIELDS);
    let url = form.required("url", url_text);
    let filter = form.optional("events", events);
    let description = form.optional("description", description);
    let secret = form.optional("secret", secret);
    check_url(ctx, &mut form, url.as_deref()).await;
    form.finish()?;
    let url = url.ok_or_else(|| Problem::new(Kind::Internal, "a checked field got lost"))?;
    let endpoint = ctx.ledger.create_endpoint(NewEndpoint {
        url,
        description: description.unwrap_or_default(),
        filter: filter.unwrap_or(EventFilter::All),
        key: secret.unwrap_or_else(|| new_key(ctx)),
    });
    let endpoint = endpoint.await?;
    let location = format!("/v1/endpoints/{}", endpoint.id);
    answer::made(&with_secret(ctx, &endpoint).await?, location)
}

pub async fn get(ctx: &ApiContext, id: &str) -> Result<Response, Problem> {
    let endpoints = ctx.store.endpoints();
    let endpoint = endpoints.get(account_id(id)?);
    let endpoint = endpoint.ok_or_else(Problem::endpoint_not_found)?;
    answer::ok(&object(ctx, endpoint).await?)
}

pub async fn change(ctx: &ApiContext, id: &str, body: &[u8]) -> Result<Response, Problem> {
    let id = account_id(id)?;
    let mut form = Form::new(Fields::parse(body)?);
    form.only(&CHANGE_FIELDS);
    let edit = EndpointEdit {
        url: form.optional("url", url_text),
        description: form.optional("description", description),
        filter: form.optional("events", events),
        usage: form.optional("status", status),
    };
    check_url(ctx, &mut form, edit.url.as_deref()).await;
    form.finish()?;
    let endpoint = ctx.ledger.change_endpoint(id, edit).await?;
    answer::ok(&object(ctx, &endpoint).await?)
}

pub async fn delete(ctx: &ApiContext, id: &str) -> Result<Response, Problem> {
    ctx.ledger.delete_endpoint(account_id(id)?).await?;
    Ok(answer::gone())
}

/// The secret is shown again to operators: they could read it in the data file.
pub async fn callbacks(ctx: &ApiContext, caller: Caller) -> Result<Response, Problem> {
    let (endpoints, now) = (ctx.store.endpoints(), ctx.clock.now());
    if ctx.callback_secrets.are_configured() {
        return answer::ok(&CallbacksObject::configured());
    }
    let object = CallbacksObject::kept(endpoints.callback_keys(), now);
    let secrets = ctx.callback_secrets.at(&endpoints, now);
    answer::ok(&match (caller, secrets.first()) {
        (Caller::Operator, Some(secret)) => object.with_secret(secret.to_text()),
        _ => object,
    })
}

/// A body need not be sent.
pub async fn rotate(ctx: &ApiContext, id: &str, body: &[u8]) -> Result<Response, Problem> {
    let id = any_id(id)?;
    let secret = match body.trim_ascii().is_empty() {
        true => None,
        false => given_secret(body)?,
    };
    let new = secret.unwrap_or_else(|| new_key(ctx));
    if id == EndpointId::CALLBACK {
        return rotate_callbacks(ctx, new).await;
    }
    let endpoint = ctx.ledger.rotate_endpoint(id, new).await?;
    answer::ok(&with_secret(ctx, &endpoint).await?)
}

async fn rotate_callbacks(ctx: &ApiContext, new: SigningKey) -> Result<Response, Problem> {
    if ctx.callback_secrets.are_configured() {
        let remedy = "the secrets of callbacks are in the configuration: put the new one first in webhook_secrets, \
                      start the hub again, and take the old one out after a day";
        return Err(Problem::new(Kind::SecretsConfigured, remedy));
    }
    let made = ctx.callback_secrets.made().clone();
    let keys = ctx.ledger.rotate_callbacks(made, new).await?;
    let secret = Secret::of_key(&keys.current).to_text();
    let object = CallbacksObject::kept(Some(&keys), ctx.clock.now());
    answer::ok(&object.with_secret(secret))
}

fn given_secret(body: &[u8]) -> Result<Option<SigningKey>, Problem> {
    let mut form = Form::new(Fields::parse(body)?);
    form.only(&SECRET_FIELDS);
    let secret = form.optional("secret", secret);
    form.finish()?;
    Ok(secret)
}

#[derive(Serialize)]
struct TestObject {
    event_id: Text<EventId>,
    delivery_id: Text<DeliveryId>,
}

pub async fn test(ctx: &ApiContext, id: &str) -> Result<Response, Problem> {
    let id = any_id(id)?;
    if id == EndpointId::CALLBACK {
        let why = "callbacks have no URL of their own to try: create a payment with a callback_url";
        return Err(Problem::new(Kind::EndpointNotFound, why));
    }
    let sent = ctx.ledger.test_endpoint(id).await?;
    answer::accepted(&TestObject {
        event_id: Text(sent.event),
        delivery_id: Text(sent.delivery),
    })
}

#[derive(Serialize)]
struct RecoveryObject {
    events_looked_at: u64,
    recovered: u64,
    complete: bool,
    /// Pass as `after` to go on.
    next_after: Option<u64>,
}

pub async fn recover(ctx: &ApiContext, id: &str, body: &[u8]) -> Result<Response, Problem> {
    let id = any_id(id)?;
    let (span, mut after) = span(ctx, body)?;
    let mut all = Progress::default();
    for _ in 0..PIECES_PER_REQUEST {
        let piece = ctx.ledger.recover(id, span, after).await?;
        all.looked_at += piece.looked_at;
        all.recovered += piece.recovered;
        all.next_after = piece.next_after;
        after = piece.next_after;
        if after.is_none() {
            break;
        }
    }
    answer::ok(&RecoveryObject {
        events_looked_at: all.looked_at,
        recovered: all.recovered,
        complete: all.next_after.is_none(),
        next_after: all.next_after.map(|sequence| sequence.0),
    })
}

fn span(ctx: &ApiContext, body: &[u8]) -> Result<(Span, Option<Sequence>), Problem> {
    let mut form = Form::new(Fields::parse(body)?);
    form.only(&RECOVERY_FIELDS);
    let since = form.required("since", |value| instant("since", value));
    let until = form.optional("until", |value| instant("until", value));
    let after = form.optional("after", |value| {
        let number: Option<u64> = value.get().parse().ok();
        let wrong = "after must be the next_after of the answer before, a number";
        number.map(Sequence).ok_or_else(|| wrong.to_owned())
    });
    let until = until.unwrap_or_else(|| ctx.clock.now());
    let since = since.unwrap_or_default();
    if since > until {
        form.mistake(
            "since",
            "since must not be later than until, which is now where it is left out",
        );
    }
    form.finish()?;
    Ok((Span { since, until }, after))
}

/// `ep_<n>`; whatever else is the id of no endpoint.
fn account_id(id: &str) -> Result<EndpointId, Problem> {
    any_id(id).and_then(|id| match id {
        EndpointId::CALLBACK => Err(Problem::endpoint_not_found()),
        id => Ok(id),
    })
}

fn any_id(id: &str) -> Result<EndpointId, Problem> {
    EndpointId::parse(id).ok_or_else(Problem::endpoint_not_found)
}

fn new_key(ctx: &ApiContext) -> SigningKey {
    let mut random = [0; GENERATED_SECRET_BYTES];
    ctx.entropy.fill(&mut random);
    SigningKey::of_random(random)
}

async fn with_secret<'a>(
    ctx: &ApiContext,
    endpoint: &'a Endpoint,
) -> Result<EndpointObject<'a>, Problem> {
    let secret = Secret::of_key(&endpoint.keys.current).to_text();
    Ok(object(ctx, endpoint).await?.with_secret(secret))
}

async fn object<'a>(
    ctx: &ApiContext,
    endpoint: &'a Endpoint,
) -> Result<EndpointObject<'a>, Problem> {
    let target = Target::Endpoint(endpoint.id);
    let owed = ctx.store.owed(target, MAX_COUNTED).await?;
    let fare = ctx.gauges.fare(endpoint.id);
    Ok(EndpointObject::new(endpoint, fare, owed, ctx.clock.now()))
}

/// Has the guard judge a URL, as it does those of callbacks.
async fn check_url(ctx: &ApiContext, form: &mut Form<'_>, url: Option<&str>) {
    if let Some(url) = url
        && let Err(why) = ctx.callbacks.check(url).await
    {
        let why = why.strip_prefix("callback_url: ").unwrap_or(&why);
        form.mistake("url", format!("url is not usable: {why}"));
    }
}

fn url_text(value: &RawValue) -> Checked<String> {
    checks::url_text(value).map_err(|why| format!("url is not usable: {why}"))
}

fn description(value: &RawValue) -> Checked<String> {
    let Some(text) = string(value) else {
        let kind = kind_word(value);
        return Err(format!("description must be a string, not {kind}"));
    };
    let chars = text.chars().count();
    if chars > MAX_DESCRIPTION_CHARS {
        return Err(format!(
            "description cannot exceed {MAX_DESCRIPTION_CHARS} characters, this has {chars}"
        ));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!(
            "description must not contain control characters, such as {}",
            c.escape_unicode()
        )),
        None => Ok(text.into_owned()),
    }
}

/// A list of types, `payment.*` and `transfer.*`; everything where it is empty or `["*"]`.
fn events(value: &RawValue) -> Checked<EventFilter> {
    let names: Vec<String> = serde_json::from_str(value.get()).map_err(|_| {
        "events must be a list of event types, like [\"payment.completed\", \"transfer.*\"]"
            .to_owned()
    })?;
    if names.len() > MAX_EVENT_NAMES {
        return Err(format!(
            "events has {} names, at most {MAX_EVENT_NAMES} are read",
            names.len()
        ));
    }
    if names == [ALL_EVENTS] {
        return Ok(EventFilter::All);
    }
    let choices = names.iter().map(|name| {
        EventChoice::parse(name).ok_or_else(|| match name.as_str() {
            ALL_EVENTS => "events: \"*\" is everything, so it stands alone".to_owned(),
            _ => format!(
                "{}, and payment.* and transfer.*",
                unknown_type("events", name)
            ),
        })
    });
    choices.collect::<Result<_, _>>().map(EventFilter::of)
}

fn status(value: &RawValue) -> Checked<Usage> {
    let words = [("enabled", Usage::Enable), ("disabled", Usage::Disable)];
    checks::one_of("status", value, &words)
}

fn secret(value: &RawValue) -> Checked<SigningKey> {
    let Some(text) = string(value) else {
        return Err(format!("secret must be a string, not {}", kind_word(value)));
    };
    let secret = Secret::parse(&text).map_err(|why| format!("secret: {why}"))?;
    Ok(secret.into_key())
}
