//! Answers that are no errors, and the headers that every answer carries.

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use serde::Serialize;
use warp::reply::Response;

use super::problem::Problem;
use super::wire;
use crate::domain::idempotency::Answer;

/// What a page may do: load its own files, talk to its own hub, show QR codes made on the spot. Nothing else.
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SVG: HeaderValue = HeaderValue::from_static("image/svg+xml");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// 200 with a wire object.
pub fn ok<T: Serialize>(object: &T) -> Result<Response, Problem> {
    Ok(json(wire::encode(object)?))
}

/// 200 with JSON that is already written.
pub fn json(body: Bytes) -> Response {
    with_body(StatusCode::OK, JSON, NO_STORE, body)
}

/// 201 with a wire object that nobody asks for twice, and its address.
pub fn made<T: Serialize>(object: &T, location: String) -> Result<Response, Problem> {
    let body = wire::encode(object)?.to_vec();
    Ok(created(Answer { location, body }))
}

/// 202 with a wire object: it is on its way.
pub fn accepted<T: Serialize>(object: &T) -> Result<Response, Problem> {
    let body = wire::encode(object)?;
    Ok(with_body(StatusCode::ACCEPTED, JSON, NO_STORE, body))
}

/// 204: done, and nothing is left to show.
pub fn gone() -> Response {
    empty(StatusCode::NO_CONTENT)
}

/// 201 with the new thing's address.
pub fn created(answer: Answer) -> Response {
    let mut response = with_body(StatusCode::CREATED, JSON, NO_STORE, answer.body.into());
    if let Ok(location) = HeaderValue::try_from(answer.location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The 201 that the same request was given before.
pub fn replayed(answer: Answer) -> Response {
    let mut response = created(answer);
    let headers = response.headers_mut();
    headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    response
}

/// 503 with a wire object: the hub is up, but of no use right now.
pub fn unhealthy<T: Serialize>(object: &T) -> Result<Response, Problem> {
    let body = wire::encode(object)?;
    Ok(with_body(
        StatusCode::SERVICE_UNAVAILABLE,
        JSON,
        NO_STORE,
        body,
    ))
}

pub fn svg(image: String) -> Response {
    with_body(StatusCode::OK, SVG, NO_STORE, Bytes::from(image))
}

pub fn page(content_type: &'static str, etag: &HeaderValue, body: Bytes) -> Response {
    let content_type = HeaderValue::from_static(content_type);
    let mut response = with_body(StatusCode::OK, content_type, NO_CACHE, body);
    response.headers_mut().insert(ETAG, etag.clone());
    response
}

/// 304: the client's copy is the present one.
pub fn not_modified(etag: &HeaderValue) -> Response {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    response.headers_mut().insert(ETAG, etag.clone());
    response.headers_mut().insert(CACHE_CONTROL, NO_CACHE);
    response
}

/// 204 to `OPTIONS`.
pub fn options(allow: &'static str) -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// An error, written.
pub fn problem(
    status: StatusCode,
    body: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
) -> Response {
    let content_type = HeaderValue::from_static("application/problem+json");
    let mut response = with_body(status, content_type, NO_STORE, body);
    response.headers_mut().extend(headers);
    response
}

/// The headers that guard a browser, on every answer.
pub fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, CSP);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn with_body(
    status: StatusCode,
    content_type: HeaderValue,
    cache: HeaderValue,
    body: Bytes,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, cache);
    response
}
