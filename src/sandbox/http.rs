//! The sandbox on the wire: reads requests within limits, hands them to plain functions over the
//! locked chain, and lets faults spoil what comes out.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, HOST};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::reply::Response;

use super::answer::Answer;
use super::faults::{FaultKind, HANG, Hit};
use super::jsonrpc;
use super::node::{Node, Scope};
use super::ops::Op;
use super::params::Params;
use super::v1::{self, Question};
use super::wallet::Read;
use super::{Pace, Sandbox, World, control};

/// Largest body a node reads; java-tron's own limit.
const MAX_NODE_BODY: usize = 4 * 1024 * 1024;
/// Largest body a control endpoint reads.
const MAX_CONTROL_BODY: usize = 256 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// One request, read whole.
struct Request {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    /// `None` when it was larger than allowed or broke off.
    body: Option<Bytes>,
}

pub fn node_routes(sandbox: &Sandbox) -> BoxedFilter<(Response,)> {
    let sandbox = sandbox.clone();
    requests(MAX_NODE_BODY)
        .then(move |request: Request| {
            let sandbox = sandbox.clone();
            async move { node(&sandbox, &request).await }
        })
        .boxed()
}

pub fn control_routes(sandbox: &Sandbox) -> BoxedFilter<(Response,)> {
    let sandbox = sandbox.clone();
    warp::path("sandbox")
        .and(requests(MAX_CONTROL_BODY))
        .then(move |request: Request| {
            let sandbox = sandbox.clone();
            async move {
                if request.method == Method::OPTIONS {
                    return preflight();
                }
                operate(&sandbox, &request).await.whole()
            }
        })
        .boxed()
}

fn requests(limit: usize) -> BoxedFilter<(Request,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    // `path::full` panics on a target without a path (`CONNECT host:1`), which `path::end` takes for the root.
    let root = warp::path::end().map(|| "/".to_owned());
    let path = root
        .or(warp::path::full().map(|path: FullPath| path.as_str().to_owned()))
        .unify();
    warp::method()
        .and(path)
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |method, path, query, headers, body| async move {
            Request {
                method,
                path,
                query,
                headers,
                body: collect(body, limit).await,
            }
        })
        .boxed()
}

/// The whole body; `None` when it is too large, breaks off or comes too slowly.
async fn collect<S, B>(body: S, limit: usize) -> Option<Bytes>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    tokio::time::timeout(BODY_TIMEOUT, read_all(body, limit))
        .await
        .unwrap_or(None)
}

async fn read_all<S, B>(body: S, limit: usize) -> Option<Bytes>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut body = std::pin::pin!(body);
    let mut whole = BytesMut::new();
    while let Some(part) = body.next().await {
        let mut part = part.ok()?;
        if whole.len() + part.remaining() > limit {
            return None;
        }
        whole.extend_from_slice(&part.copy_to_bytes(part.remaining()));
    }
    Some(whole.freeze())
}

fn preflight() -> Response {
    let mut response = Answer::text(StatusCode::NO_CONTENT, "").whole();
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE"),
    );
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    response
}

async fn node(sandbox: &Sandbox, request: &Request) -> Response {
    if request.method == Method::OPTIONS {
        return preflight();
    }
    let now = sandbox.now_ms();
    let hit = {
        let mut world = sandbox.world();
        world.counts.request(&request.path);
        world.faults.hit(&request.path, now)
    };
    let Some(hit) = hit else {
        return route(&mut sandbox.world(), request, None, now).whole();
    };
    if hit.kind == FaultKind::Timeout {
        tokio::time::sleep(HANG).await;
    }
    if let Some(answer) = hit.instead() {
        return answer.whole();
    }
    let answer = route(&mut sandbox.world(), request, Some(hit), now);
    match hit.kind {
        FaultKind::Truncated => answer.cut_short(),
        FaultKind::SlowDrip => answer.dripping(),
        _ => answer.whole(),
    }
}

/// What a node without faults in front of it answers.
fn route(world: &mut World, request: &Request, hit: Option<Hit>, now_ms: u64) -> Answer {
    let Some(body) = &request.body else {
        let text = format!(
            "class java.lang.Exception : body size is too big, the limit is {MAX_NODE_BODY}"
        );
        return Answer::json(&json!({"Error": text}));
    };
    let mut parts = request.path.trim_start_matches('/').splitn(2, '/');
    let (api, rest) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let mut node = Node {
        chain: &mut world.chain,
        counts: &mut world.counts,
        hit,
        now_ms,
    };
    match api {
        "wallet" => wallet(&mut node, Scope::Head, rest, request, body),
        "walletsolidity" => wallet(&mut node, Scope::Solid, rest, request, body),
        "v1" if request.method == Method::GET => v1::answer(&Question {
            view: node.view(Scope::Head),
            path: rest,
            query: &request.query,
            host: host(request),
            now_ms,
        }),
        "jsonrpc" if rest.is_empty() => match request.method {
            Method::POST => jsonrpc::answer(&mut node, body),
            _ => method_not_allowed(),
        },
        _ => not_found(),
    }
}

/// Where the client reached us.
fn host(request: &Request) -> &str {
    let header = request
        .headers
        .get(HOST)
        .and_then(|value| value.to_str().ok());
    header.unwrap_or("127.0.0.1")
}

fn not_found() -> Answer {
    Answer::html(StatusCode::NOT_FOUND, "<h2>HTTP ERROR 404 Not Found</h2>")
}

fn wallet(node: &mut Node<'_>, scope: Scope, name: &str, request: &Request, body: &[u8]) -> Answer {
    let (read, op) = (Read::named(name), Op::named(name, scope));
    let takes_nothing = read.is_some_and(Read::takes_nothing) || op.is_some_and(Op::takes_nothing);
    if read.is_none() && op.is_none() {
        return not_found();
    }
    let params = match request.method {
        Method::GET if op.is_some_and(Op::is_post_only) => return method_not_allowed(),
        Method::GET => Ok(Params::from_query(&request.query)),
        // java-tron reads no body here at all, `visible` included.
        Method::POST if read == Some(Read::NowBlock) => Ok(Params::from_query(&request.query)),
        Method::POST if takes_nothing && body.trim_ascii().is_empty() => Ok(Params::none()),
        Method::POST => Params::from_body(body),
        _ => return method_not_allowed(),
    };
    let answered = params.and_then(|params| match (read, op) {
        (Some(read), _) => read.answer(node.view(scope), &params),
        (None, Some(op)) => op.answer(node, &params),
        (None, None) => Ok(json!({})),
    });
    Answer::json(&answered.unwrap_or_else(|error| error.to_json()))
}

fn method_not_allowed() -> Answer {
    Answer::html(
        StatusCode::METHOD_NOT_ALLOWED,
        "<h2>HTTP ERROR 405 Method Not Allowed</h2>",
    )
}

/// Every control endpoint, by method and path.
async fn operate(sandbox: &Sandbox, request: &Request) -> Answer {
    let Some(body) = &request.body else {
        let text = format!("the body is larger than {MAX_CONTROL_BODY} bytes, or broke off");
        return Answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, text);
    };
    let path = request
        .path
        .trim_start_matches("/sandbox")
        .trim_matches('/');
    match (request.method.as_str(), path) {
        ("POST", "mine") => match control::read_mine(body) {
            Err(refusal) => refusal,
            Ok(blocks) => {
                sandbox.mine_now(blocks).await;
                let state = control::state(&sandbox.world().chain);
                Answer::json(
                    &json!({"mined": blocks, "head": state["head"], "solid": state["solid"]}),
                )
            }
        },
        ("POST", "webhook") => {
            let now = sandbox.shared.clock.now();
            sandbox.world().inbox.receive(&request.headers, body, now);
            Answer::json(&json!({"received": true}))
        }
        (method, path) => command(&mut sandbox.world(), method, path, body, sandbox.now_ms()),
    }
}

/// The commands that need no waiting.
fn command(world: &mut World, method: &str, path: &str, body: &[u8], now_ms: u64) -> Answer {
    match (method, path) {
        ("POST", "transfer") => control::transfer(&mut world.chain, body),
        ("POST", "fork") => control::fork(&mut world.chain, body),
        ("POST", "pause") => set_pace(world, Pace::Paused),
        ("POST", "resume") => set_pace(world, Pace::Running),
        ("POST", "fault") => order_fault(world, body, now_ms),
        ("GET", "fault") => faults_in_force(world, now_ms),
        ("DELETE", "fault") => {
            world.faults.clear();
            faults_in_force(world, now_ms)
        }
        ("GET", "state") => Answer::json(&state(world, now_ms)),
        ("GET", "requests") => Answer::json(&world.counts.to_json()),
        ("DELETE", "requests") => {
            world.counts.clear();
            Answer::json(&world.counts.to_json())
        }
        ("GET", "webhooks") => Answer::json(&world.inbox.to_json()),
        (_, path) => unknown(path),
    }
}

/// The control endpoints and how to call them, for refusals.
const ENDPOINTS: [(&str, &str); 10] = [
    ("transfer", "POST"),
    ("mine", "POST"),
    ("fork", "POST"),
    ("pause", "POST"),
    ("resume", "POST"),
    ("fault", "GET, POST or DELETE"),
    ("state", "GET"),
    ("requests", "GET or DELETE"),
    ("webhook", "POST"),
    ("webhooks", "GET"),
];

fn unknown(path: &str) -> Answer {
    match ENDPOINTS.iter().find(|(name, _)| *name == path) {
        Some((name, methods)) => Answer::refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("/sandbox/{name} takes {methods}"),
        ),
        None => {
            let names: Vec<&str> = ENDPOINTS.iter().map(|(name, _)| *name).collect();
            Answer::refusal(
                StatusCode::NOT_FOUND,
                format!(
                    "there is no such endpoint; /sandbox/ has {}",
                    names.join(", ")
                ),
            )
        }
    }
}

fn set_pace(world: &mut World, pace: Pace) -> Answer {
    world.pace = pace;
    Answer::json(&json!({"paused": pace == Pace::Paused}))
}

fn order_fault(world: &mut World, body: &[u8], now_ms: u64) -> Answer {
    let head = world.chain.head_height();
    let ordered =
        control::read_fault(body).and_then(|order| world.faults.order(order, now_ms, head));
    match ordered {
        Ok(()) => faults_in_force(world, now_ms),
        Err(refusal) => Answer::refusal(StatusCode::BAD_REQUEST, refusal),
    }
}

fn faults_in_force(world: &mut World, now_ms: u64) -> Answer {
    Answer::json(&json!({"faults": world.faults.list(now_ms)}))
}

fn state(world: &mut World, now_ms: u64) -> Value {
    let mut state = control::state(&world.chain);
    state["paused"] = (world.pace == Pace::Paused).into();
    state["now"] = now_ms.into();
    state["faults"] = world.faults.list(now_ms);
    state
}
