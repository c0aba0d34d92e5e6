//! `/ws`: live events over WebSocket, as section 3 of the wire contract says.
//!
//! This file takes requests in and counts them; `handshake` judges them, `session` serves them. Refuses to serve other
//! paths: they are rejected, so that the route can stand beside others. Setting TCP_NODELAY is the listener's business,
//! because the stream is hidden behind the upgrade.

pub mod access;
pub mod commands;
pub mod handshake;
mod heartbeat;
mod history;
mod limits;
mod line;
mod pace;
mod replies;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, Method};
use warp::reply::Response;

use crate::api::token::ClientTokens;
use crate::clock::Clock;
use crate::domain::payment::Payment;
use crate::hub::Hub;
use crate::store::Store;
use access::Keys;
use handshake::HandshakeError;
pub use handshake::Origins;
pub use limits::SocketLimits;
use line::Line;
use session::Session;

/// Writes a payment as the `/v1` object that snapshots carry.
pub type PaymentEncoder = Arc<dyn Fn(&Payment) -> Bytes + Send + Sync>;

/// What sockets can reach.
pub struct SocketContext {
    pub hub: Arc<Hub>,
    pub store: Arc<dyn Store>,
    pub tokens: ClientTokens,
    pub keys: Arc<dyn Keys>,
    pub clock: Arc<dyn Clock>,
    pub snapshot: PaymentEncoder,
    /// Pages of other hosts that may open sockets.
    pub origins: Origins,
    pub limits: SocketLimits,
    /// Open sockets, for `/stats`.
    pub sockets: Arc<AtomicU64>,
    /// Turns true when the hub shuts down; its sender's end means the same.
    pub shutdown: watch::Receiver<bool>,
}

/// What all requests share.
struct Gate {
    context: Arc<SocketContext>,
    /// Connections so far; each one's number places it in the drain.
    opened: AtomicU64,
}

/// A place among the open sockets, given back when dropped.
struct Seat(Arc<AtomicU64>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `/ws`, and nothing else.
pub fn route(context: SocketContext) -> BoxedFilter<(Response,)> {
    let gate = Arc::new(Gate {
        context: Arc::new(context),
        opened: AtomicU64::new(0),
    });
    warp::path("ws")
        .and(warp::path::end())
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>())
        .map(
            move |method: Method, headers: HeaderMap, upgrade: Option<OnUpgrade>| {
                gate.enter(&method, &headers, upgrade)
                    .unwrap_or_else(HandshakeError::into_response)
            },
        )
        .boxed()
}

impl Gate {
    /// Answers the handshake and starts the session that follows it.
    fn enter(
        &self,
        method: &Method,
        headers: &HeaderMap,
        upgrade: Option<OnUpgrade>,
    ) -> Result<Response, HandshakeError> {
        if method != Method::GET {
            return Err(HandshakeError::Method);
        }
        let accepted = handshake::check(headers, &self.context.origins)?;
        let upgrade = upgrade.ok_or(HandshakeError::NotAnUpgrade)?;
        if *self.context.shutdown.borrow() {
            return Err(HandshakeError::ShuttingDown);
        }
        let seat = self.seat()?;
        let response = accepted.into_response()?;
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let context = Arc::clone(&self.context);
        tokio::spawn(async move {
            serve(context, upgrade, number).await;
            drop(seat);
        });
        Ok(response)
    }

    fn seat(&self) -> Result<Seat, HandshakeError> {
        let sockets = &self.context.sockets;
        let limit = self.context.limits.connections;
        sockets
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < limit).then_some(n + 1)
            })
            .map(|_| Seat(Arc::clone(sockets)))
            .map_err(|_| HandshakeError::Full)
    }
}

/// One socket, from the upgrade to its end.
async fn serve(context: Arc<SocketContext>, upgrade: OnUpgrade, number: u64) {
    let limits = &context.limits;
    let upgraded = match tokio::time::timeout(limits.authenticate_within, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return tracing::debug!(%error, "a socket was not upgraded"),
        Err(_) => return tracing::debug!("a socket was not upgraded in time"),
    };
    talk(Arc::clone(&context), TokioIo::new(upgraded), number).await;
}

/// Serves one stream whose handshake is done, to its end. `number` places it in the drain.
pub async fn talk<S>(context: Arc<SocketContext>, stream: S, number: u64)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = &context.limits;
    let line = Line::open(stream, limits).await;
    let turn = limits.shutdown_delay(number);
    let session = Session::new(Arc::clone(&context), line);
    tokio::select! {
        biased;
        () = session.run(shutdown(context.shutdown.clone(), turn)) => {}
        // A peer that does not read cannot hold up the drain.
        () = shutdown(context.shutdown.clone(), turn + limits.shutdown_grace) => {}
    }
}

/// Ends so long after the hub began to shut down.
async fn shutdown(mut signal: watch::Receiver<bool>, delay: Duration) {
    if signal.wait_for(|down| *down).await.is_err() {
        tracing::debug!("whoever shuts the hub down is gone");
    }
    tokio::time::sleep(delay).await;
}
