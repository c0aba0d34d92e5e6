//! `/ws`: live events over WebSocket, as section 3 of the wire contract says.
//!
//! This file takes requests in; `handshake` judges them, `session` serves them. Refuses to serve other
//! paths: they are rejected, so that the route can stand beside others. Setting TCP_NODELAY is the listener's business,
//! because the stream is hidden behind the upgrade.

pub mod access;
pub mod commands;
pub mod handshake;
mod heartbeat;
mod line;
mod pace;
mod ration;
mod replies;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, Method};
use warp::reply::Response;

use crate::api::live::{LiveContext, SeatKind};
use handshake::HandshakeError;
use line::Line;
use session::Session;

/// `/ws`, and nothing else.
pub fn route(context: Arc<LiveContext>) -> BoxedFilter<(Response,)> {
    warp::path("ws")
        .and(warp::path::end())
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>())
        .map(
            move |method: Method, headers: HeaderMap, upgrade: Option<OnUpgrade>| {
                enter(&context, &method, &headers, upgrade)
                    .unwrap_or_else(HandshakeError::into_response)
            },
        )
        .boxed()
}

/// Answers the handshake and starts the session that follows it.
fn enter(
    context: &Arc<LiveContext>,
    method: &Method,
    headers: &HeaderMap,
    upgrade: Option<OnUpgrade>,
) -> Result<Response, HandshakeError> {
    if method != Method::GET {
        return Err(HandshakeError::Method);
    }
    let accepted = handshake::check(headers, &context.origins)?;
    let upgrade = upgrade.ok_or(HandshakeError::NotAnUpgrade)?;
    if context.is_shutting_down() {
        return Err(HandshakeError::ShuttingDown);
    }
    let seat = context.seat(SeatKind::Socket).ok_or(HandshakeError::Full)?;
    let response = accepted.into_response()?;
    let context = Arc::clone(context);
    tokio::spawn(async move {
        serve(context, upgrade, seat.number()).await;
        drop(seat);
    });
    Ok(response)
}

/// One socket, from the upgrade to its end.
async fn serve(context: Arc<LiveContext>, upgrade: OnUpgrade, number: u64) {
    let limits = &context.limits;
    let upgraded = match tokio::time::timeout(limits.authenticate_within, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return tracing::debug!(%error, "a socket was not upgraded"),
        Err(_) => return tracing::debug!("a socket was not upgraded in time"),
    };
    talk(Arc::clone(&context), TokioIo::new(upgraded), number).await;
}

/// Serves one stream whose handshake is done, to its end. `number` places it in the drain.
pub async fn talk<S>(context: Arc<LiveContext>, stream: S, number: u64)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = &context.limits;
    let line = Line::open(stream, limits).await;
    let turn = limits.shutdown_delay(number);
    let session = Session::new(Arc::clone(&context), line);
    tokio::select! {
        biased;
        () = session.run(context.turn_to_leave(turn)) => {}
        // A peer that does not read cannot hold up the drain.
        () = context.turn_to_leave(turn + limits.shutdown_grace) => {}
    }
}
