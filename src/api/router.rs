//! The way from a request to its handler: path, method, caller, origin, body, in this order.
//!
//! One warp filter takes the request apart and hands it to a match over path segments, so that 404 and 405 are right
//! everywhere and no rejection of warp's becomes an answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use http::{HeaderMap, Method};
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::auth::Caller;
use super::body::{self, BodyStream};
use super::create::Dialect;
use super::origin::Origin;
use super::pages::TaggedPage;
use super::problem::{Kind, Problem};
use super::{
    ApiContext, answer, classic, creation, deliveries, endpoints, events, health, keys, stream,
    transfers, trends, v1,
};

/// How long a request may take from its head to its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

const READ: &str = "GET, HEAD, OPTIONS";
const WRITE: &str = "POST, OPTIONS";
const READ_WRITE: &str = "GET, HEAD, POST, OPTIONS";
const READ_REMOVE: &str = "GET, HEAD, DELETE, OPTIONS";
const READ_CHANGE_REMOVE: &str = "GET, HEAD, PATCH, DELETE, OPTIONS";

#[cfg(test)]
mod documented_tests;

/// A request taken apart.
struct Request {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: BodyStream,
}

/// What a path names. Ids are still text.
#[derive(Clone, Copy)]
pub enum Resource<'a> {
    Page(&'a TaggedPage),
    Creation,
    Status(&'a str),
    Health,
    Stats,
    Payments,
    Payment(&'a str),
    Cancellation(&'a str),
    QrCode(&'a str),
    PaymentEvents(&'a str),
    PaymentStream(&'a str),
    Events,
    EventStream,
    Deliveries,
    Delivery(&'a str),
    Redelivery(&'a str),
    Endpoints,
    Endpoint(&'a str),
    /// All payments' own callbacks.
    Callbacks,
    Rotation(&'a str),
    Test(&'a str),
    Recovery(&'a str),
    Transfers,
    Transfer(&'a str),
    Assignment(&'a str),
    Keys,
    Key(&'a str),
    /// What the caller's own credential is.
    CurrentKey,
    Trends,
}

/// What a method wants. HEAD is a GET whose body hyper leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Read,
    Write,
    Change,
    Remove,
    Ask,
}

/// The whole HTTP API. Answers every request, unknown paths included, so it comes last where filters are joined.
pub fn routes(ctx: Arc<ApiContext>) -> BoxedFilter<(Response,)> {
    // `path::full` panics on a target without a path (`CONNECT host:1`), which `path::end` takes for the root.
    let root = warp::path::end().map(|| "/".to_owned());
    let path = root
        .or(warp::path::full().map(|path: FullPath| path.as_str().to_owned()))
        .unify();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::any()
        .map(move || Arc::clone(&ctx))
        .and(warp::method())
        .and(path)
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(
            |ctx: Arc<ApiContext>, method, path, query, headers, stream| {
                let request = Request {
                    method,
                    path,
                    query,
                    headers,
                    body: boxed(stream),
                };
                async move { respond(&ctx, request).await }
            },
        )
        .recover(recover)
        .unify()
        .boxed()
}

/// Turns whatever warp itself refuses into a problem; for the end of every chain of filters.
///
/// # Errors
/// Never; the type is what `Filter::recover` asks for.
pub async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    let problem = if rejection.is_not_found() {
        Problem::new(Kind::NotFound, "there is nothing here")
    } else {
        tracing::debug!(?rejection, "a request was refused outside of the router");
        Problem::new(Kind::InvalidRequest, "the request could not be understood")
    };
    Ok(answer::guard(problem.into_response()))
}

fn boxed<S, B>(stream: S) -> BodyStream
where
    S: futures::Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf,
{
    Box::pin(stream.map(|chunk| chunk.map(|mut buf| buf.copy_to_bytes(buf.remaining()))))
}

async fn respond(ctx: &ApiContext, request: Request) -> Response {
    let answered = tokio::time::timeout(REQUEST_TIMEOUT, answer(ctx, request)).await;
    answer::guard(answered.unwrap_or_else(|_| {
        let detail = "the hub is too busy; look whether the request took effect, then try again";
        Problem::new(Kind::Overloaded, detail).into_response()
    }))
}

async fn answer(ctx: &ApiContext, mut request: Request) -> Response {
    let path = std::mem::take(&mut request.path);
    let Some(resource) = Resource::find(ctx, &path) else {
        return Problem::not_found(&path).into_response();
    };
    if let Resource::Page(page) = resource {
        return serve_page(page, &request);
    }
    let origin = Origin::of(&ctx.settings, &request.headers);
    let mut response = handle(ctx, resource, &origin, request)
        .await
        .unwrap_or_else(Problem::into_response);
    origin.mark(&mut response);
    response
}

fn serve_page(page: &TaggedPage, request: &Request) -> Response {
    match Verb::of(&request.method) {
        Some(Verb::Read) => page.serve(&request.headers),
        Some(Verb::Ask) => answer::options(READ),
        _ => Problem::method_not_allowed(&request.method, READ).into_response(),
    }
}

async fn handle(
    ctx: &ApiContext,
    resource: Resource<'_>,
    origin: &Origin,
    request: Request,
) -> Result<Response, Problem> {
    let allow = resource.allow();
    let refused = || Problem::method_not_allowed(&request.method, allow);
    let verb = Verb::of(&request.method).ok_or_else(refused)?;
    if verb == Verb::Ask {
        let mut response = answer::options(allow);
        origin.mark_preflight(allow, &mut response);
        return Ok(response);
    }
    if !resource.takes(verb) {
        return Err(refused());
    }
    let need = resource.needs(verb);
    let caller = Caller::of(&ctx.live.keyring, &request.headers, need)?;
    caller.may_see(resource.shows_payment())?;
    if verb == Verb::Read {
        return read(ctx, resource, caller, request).await;
    }
    origin.may_write()?;
    let work = alter(ctx, resource, verb, caller, request);
    if matches!(resource, Resource::Keys | Resource::Key(_)) {
        // Judged inside the commit; and the first key ends the right of the very request that makes it.
        return work.await;
    }
    tokio::select! {
        biased;
        () = ctx.live.keyring.end_of(caller) => Err(caller.right_ended()),
        done = work => done,
    }
}

async fn alter(
    ctx: &ApiContext,
    resource: Resource<'_>,
    verb: Verb,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    match verb {
        Verb::Change => change(ctx, resource, request).await,
        Verb::Remove => remove(ctx, resource, caller, request).await,
        _ => write(ctx, resource, caller, request).await,
    }
}

async fn read(
    ctx: &ApiContext,
    resource: Resource<'_>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (query, headers) = (&request.query, &request.headers);
    match resource {
        Resource::Status(id) => classic::status(ctx, id, caller).await,
        Resource::Health => health::health(ctx).await,
        Resource::Stats => health::stats(ctx).await,
        Resource::Payments => v1::list(ctx, query).await,
        Resource::Payment(id) => v1::get(ctx, id, caller).await,
        Resource::QrCode(id) => v1::qr(ctx, id).await,
        Resource::PaymentEvents(id) => events::of_payment(ctx, id, query, caller).await,
        Resource::Events => events::all(ctx, query, caller).await,
        Resource::PaymentStream(_) | Resource::EventStream if request.method == Method::HEAD => {
            Ok(stream::head())
        }
        Resource::PaymentStream(id) => stream::of_payment(ctx, id, query, headers, caller).await,
        Resource::EventStream => stream::all(ctx, query, headers, caller).await,
        Resource::Deliveries => deliveries::list(ctx, query).await,
        Resource::Delivery(id) => deliveries::get(ctx, id).await,
        Resource::Endpoints => endpoints::list(ctx).await,
        Resource::Endpoint(id) => endpoints::get(ctx, id).await,
        Resource::Callbacks => endpoints::callbacks(ctx, caller).await,
        Resource::Transfers => transfers::list(ctx, query).await,
        Resource::Transfer(id) => transfers::get(ctx, id).await,
        Resource::Keys => keys::list(ctx).await,
        Resource::Key(id) => keys::get(ctx, id).await,
        Resource::CurrentKey => keys::current(ctx, caller).await,
        Resource::Trends => trends::get(ctx),
        Resource::Page(_)
        | Resource::Creation
        | Resource::Cancellation(_)
        | Resource::Redelivery(_)
        | Resource::Rotation(_)
        | Resource::Test(_)
        | Resource::Recovery(_)
        | Resource::Assignment(_) => {
            Err(Problem::method_not_allowed(&Method::GET, resource.allow()))
        }
    }
}

async fn write(
    ctx: &ApiContext,
    resource: Resource<'_>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    match resource {
        Resource::Creation => create(ctx, Dialect::Classic, caller, request).await,
        Resource::Payments => create(ctx, Dialect::V1, caller, request).await,
        Resource::Assignment(id) => {
            transfers::assign(ctx, caller, id, &json_body(request).await?).await
        }
        Resource::Endpoints => endpoints::create(ctx, &json_body(request).await?).await,
        Resource::Keys => keys::create(ctx, caller, &json_body(request).await?).await,
        Resource::Rotation(id) => endpoints::rotate(ctx, id, &json_body(request).await?).await,
        Resource::Recovery(id) => endpoints::recover(ctx, id, &json_body(request).await?).await,
        Resource::Test(id) => {
            read_past(request).await?;
            endpoints::test(ctx, id).await
        }
        Resource::Redelivery(id) => {
            read_past(request).await?;
            deliveries::redeliver(ctx, id).await
        }
        Resource::Cancellation(id) => {
            read_past(request).await?;
            v1::cancel(ctx, id).await
        }
        _ => Err(Problem::method_not_allowed(
            &request.method,
            resource.allow(),
        )),
    }
}

async fn change(
    ctx: &ApiContext,
    resource: Resource<'_>,
    request: Request,
) -> Result<Response, Problem> {
    match resource {
        Resource::Endpoint(id) => endpoints::change(ctx, id, &json_body(request).await?).await,
        _ => Err(Problem::method_not_allowed(
            &request.method,
            resource.allow(),
        )),
    }
}

async fn remove(
    ctx: &ApiContext,
    resource: Resource<'_>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    match resource {
        Resource::Endpoint(id) => {
            read_past(request).await?;
            endpoints::delete(ctx, id).await
        }
        Resource::Key(id) => {
            read_past(request).await?;
            keys::revoke(ctx, caller, id).await
        }
        _ => Err(Problem::method_not_allowed(
            &request.method,
            resource.allow(),
        )),
    }
}

/// Nothing in the body matters, but what is left unread costs the client its connection.
async fn read_past(request: Request) -> Result<(), Problem> {
    body::read(&request.headers, request.body).await.map(|_| ())
}

async fn create(
    ctx: &ApiContext,
    dialect: Dialect,
    caller: Caller,
    mut request: Request,
) -> Result<Response, Problem> {
    let headers = std::mem::take(&mut request.headers);
    body::require_json(&headers)?;
    let body = body::read(&headers, request.body).await?;
    let request = creation::Request {
        dialect,
        caller,
        headers,
        body,
    };
    creation::create(ctx, request).await
}

async fn json_body(request: Request) -> Result<Bytes, Problem> {
    body::require_json(&request.headers)?;
    body::read(&request.headers, request.body).await
}

impl Verb {
    fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Read),
            Method::POST => Some(Self::Write),
            Method::PATCH => Some(Self::Change),
            Method::DELETE => Some(Self::Remove),
            Method::OPTIONS => Some(Self::Ask),
            _ => None,
        }
    }
}

impl<'a> Resource<'a> {
    fn find(ctx: &'a ApiContext, path: &'a str) -> Option<Self> {
        if let Some(page) = ctx.pages.find(path) {
            return Some(Self::Page(page));
        }
        let mut segments = path.strip_prefix('/')?.split('/');
        let segments: [Option<&str>; 6] = std::array::from_fn(|_| segments.next());
        Some(match segments {
            [Some("create_payment"), None, ..] => Self::Creation,
            [Some("payment_status"), Some(id), None, ..] => Self::Status(id),
            [Some("health"), None, ..] => Self::Health,
            [Some("stats"), None, ..] => Self::Stats,
            [Some("v1"), Some("payments"), None, ..] => Self::Payments,
            [Some("v1"), Some("payments"), Some(id), None, ..] => Self::Payment(id),
            [Some("v1"), Some("payments"), Some(id), Some(part), None, ..] => match part {
                "cancel" => Self::Cancellation(id),
                "qr.svg" => Self::QrCode(id),
                "events" => Self::PaymentEvents(id),
                _ => return None,
            },
            [
                Some("v1"),
                Some("payments"),
                Some(id),
                Some("events"),
                Some("stream"),
                None,
            ] => Self::PaymentStream(id),
            [Some("v1"), Some("events"), None, ..] => Self::Events,
            [Some("v1"), Some("events"), Some("stream"), None, ..] => Self::EventStream,
            [Some("v1"), Some("deliveries"), rest @ ..] => Self::of_deliveries(rest)?,
            [Some("v1"), Some("endpoints"), rest @ ..] => Self::of_endpoints(rest)?,
            [Some("v1"), Some("keys"), None, ..] => Self::Keys,
            [Some("v1"), Some("keys"), Some("current"), None, ..] => Self::CurrentKey,
            [Some("v1"), Some("keys"), Some(id), None, ..] => Self::Key(id),
            [Some("v1"), Some("trends"), None, ..] => Self::Trends,
            [Some("v1"), Some("transfers"), None, ..] => Self::Transfers,
            [Some("v1"), Some("transfers"), Some(id), None, ..] => Self::Transfer(id),
            [
                Some("v1"),
                Some("transfers"),
                Some(id),
                Some("assign"),
                None,
                ..,
            ] => Self::Assignment(id),
            _ => return None,
        })
    }

    fn of_deliveries(rest: [Option<&'a str>; 4]) -> Option<Self> {
        Some(match rest {
            [None, ..] => Self::Deliveries,
            [Some(id), None, ..] => Self::Delivery(id),
            [Some(id), Some("redeliver"), None, ..] => Self::Redelivery(id),
            _ => return None,
        })
    }

    fn of_endpoints(rest: [Option<&'a str>; 4]) -> Option<Self> {
        Some(match rest {
            [None, ..] => Self::Endpoints,
            [Some("callbacks"), None, ..] => Self::Callbacks,
            [Some(id), None, ..] => Self::Endpoint(id),
            [Some(id), Some(part), None, ..] => match part {
                "rotate" => Self::Rotation(id),
                "test" => Self::Test(id),
                "recover" => Self::Recovery(id),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// The methods, as the `Allow` header lists them.
    const fn allow(self) -> &'static str {
        match self {
            Self::Creation | Self::Cancellation(_) | Self::Assignment(_) => WRITE,
            Self::Redelivery(_) | Self::Rotation(_) | Self::Test(_) | Self::Recovery(_) => WRITE,
            Self::Payments | Self::Endpoints | Self::Keys => READ_WRITE,
            Self::Key(_) => READ_REMOVE,
            Self::Endpoint(_) => READ_CHANGE_REMOVE,
            _ => READ,
        }
    }

    fn takes(self, verb: Verb) -> bool {
        let method = match verb {
            Verb::Read => "GET",
            Verb::Write => "POST",
            Verb::Change => "PATCH",
            Verb::Remove => "DELETE",
            Verb::Ask => "OPTIONS",
        };
        self.allow().split(", ").any(|known| known == method)
    }

    /// The one payment that a payer may see here.
    const fn shows_payment(self) -> Option<&'a str> {
        match self {
            Self::Status(id) | Self::Payment(id) | Self::QrCode(id) => Some(id),
            Self::PaymentEvents(id) | Self::PaymentStream(id) => Some(id),
            _ => None,
        }
    }
}
