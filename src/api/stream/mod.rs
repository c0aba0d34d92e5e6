//! Server-sent events: `/v1/events/stream`, and `/v1/payments/{id}/events/stream` of one payment.
//!
//! The same log, queues and hand-over from history to live as the sockets, in `text/event-stream`. This file takes
//! requests in; `session` serves them. Refuses to replay a part of what was missed: then it says so.

mod session;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use warp::reply::{Reply, Response};

use super::ApiContext;
use super::auth::Caller;
use super::live::history::{self, History, HistoryError, Since, Start};
use super::live::{LiveContext, SeatKind};
use super::mistake::Quoted;
use super::problem::{Kind, Problem};
use super::query::Query;
use super::v1;
use crate::domain::ids::Sequence;
use crate::hub::{Framing, Hub};
use crate::store::EventScope;
use session::Session;

pub const PARAMETERS: [&str; 1] = ["last_event_id"];
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells a reverse proxy (nginx and its kin) to pass each event on at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// What a browser waits before it comes back.
const RETRY: &[u8] = b"retry: 2000\n\n";

/// The payment's stream.
pub async fn of_payment(
    ctx: &ApiContext,
    id: &str,
    query: &str,
    headers: &HeaderMap,
    caller: Caller,
) -> Result<Response, Problem> {
    let id = v1::parse_id(id)?;
    open(&ctx.live, EventScope::Payment(id), query, headers, caller).await
}

/// The stream of everything.
pub async fn all(
    ctx: &ApiContext,
    query: &str,
    headers: &HeaderMap,
    caller: Caller,
) -> Result<Response, Problem> {
    open(&ctx.live, EventScope::All, query, headers, caller).await
}

/// What `HEAD` is told: how a stream would begin. None is started.
pub fn head() -> Response {
    with_headers(Response::default())
}

async fn open(
    live: &Arc<LiveContext>,
    scope: EventScope,
    query: &str,
    headers: &HeaderMap,
    caller: Caller,
) -> Result<Response, Problem> {
    let since = left_off(query, headers)?;
    if live.is_shutting_down() {
        let detail = "the hub is shutting down; try again";
        return Err(Problem::new(Kind::ShuttingDown, detail).retry_soon());
    }
    let seat = live.seat(SeatKind::Stream).ok_or_else(|| {
        let detail = "all places for sockets and streams are taken; try again";
        Problem::new(Kind::TooManyStreams, detail).retry_soon()
    })?;
    // Registered first and read second: the queue holds back what is published meanwhile.
    let outbox = live.hub.outbox(live.limits.queue, Framing::EventStream);
    let subscription = Hub::subscribe(&live.hub, scope, &outbox);
    let resumes = since.is_some();
    let history = history::read(live, scope, since).await?;
    let mut opening = BytesMut::from(RETRY);
    if resumes && history.start == Start::Nothing {
        opening.extend_from_slice(&reset(live, history.newest).await?);
    } else {
        begin(live, &history, &mut opening);
    }
    let session = Session::new(
        Arc::clone(live),
        seat,
        outbox,
        subscription,
        history.newest,
        opening.freeze(),
        live.keyring.end_of(caller),
    );
    let body = SyncStream(Mutex::new(Box::pin(session.into_chunks())));
    Ok(with_headers(warp::reply::stream(body).into_response()))
}

/// Where the client left off. The header is newer than the parameter, which a browser repeats as it was at first.
fn left_off(query: &str, headers: &HeaderMap) -> Result<Option<Since>, Problem> {
    let mut query = Query::parse(query, &PARAMETERS);
    let parameter = query.take("last_event_id", read_id);
    query.finish()?;
    let header = headers.get(LAST_EVENT_ID).map(HeaderValue::as_bytes);
    match header.map(String::from_utf8_lossy) {
        Some(text) if !text.is_empty() => read_id(&text).map(Some).map_err(|detail| {
            Problem::new(Kind::InvalidRequest, format!("Last-Event-ID: {detail}"))
        }),
        _ => Ok(parameter),
    }
}

fn read_id(text: &str) -> Result<Since, String> {
    let parsed = text.rsplit_once(':').and_then(|(epoch, number)| {
        let sequence = number.parse().map(Sequence).ok()?;
        let epoch = epoch.to_owned();
        Some(Since { epoch, sequence })
    });
    parsed.ok_or_else(|| {
        format!(
            "{} is not an id of this stream; send the last one as it came, <epoch>:<number>, or none",
            Quoted(text)
        )
    })
}

/// The first records: what was missed, or how things stand.
fn begin(live: &LiveContext, history: &History, opening: &mut BytesMut) {
    let (frames, newest) = (live.hub.frames(), history.newest);
    let place = place(live, newest);
    match &history.start {
        Start::Events(rows) => {
            for row in rows {
                let frame = frames.event(Framing::EventStream, row, EventScope::All);
                opening.extend_from_slice(&frame);
            }
        }
        Start::Snapshot(payment) => {
            let data = [format!("{{{place},\"payment\":").as_bytes(), payment, b"}"].concat();
            opening.extend_from_slice(&frames.record("snapshot", newest, &data));
        }
        Start::Nothing => {
            let data = format!("{{{place}}}");
            opening.extend_from_slice(&frames.record("hello", newest, data.as_bytes()));
        }
    }
}

/// The first record for a client that cannot be told all that it missed.
async fn reset(live: &LiveContext, newest: Sequence) -> Result<Bytes, Problem> {
    let first = live.store.first_sequence().await?;
    let data = format!("{{{},\"first_seq\":{}}}", place(live, newest), first.0);
    Ok(live.hub.frames().record("reset", newest, data.as_bytes()))
}

fn place(live: &LiveContext, newest: Sequence) -> String {
    let epoch = serde_json::Value::from(live.store.identity().epoch.as_str());
    format!("\"epoch\":{epoch},\"seq\":{}", newest.0)
}

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static("text/event-stream");
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::NoSuchPayment => Self::payment_not_found(),
            HistoryError::Unavailable => Self::new(Kind::StoreUnavailable, error.to_string()),
        }
    }
}

type Chunk = Result<Bytes, Infallible>;

/// warp wants bodies that can be shared between threads. Nobody shares one; the lock is never waited for.
struct SyncStream<S>(Mutex<Pin<Box<S>>>);

impl<S: Stream<Item = Chunk>> Stream for SyncStream<S> {
    type Item = Chunk;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Chunk>> {
        let stream = self.get_mut().0.get_mut();
        let stream = stream.unwrap_or_else(PoisonError::into_inner);
        stream.as_mut().poll_next(context)
    }
}
