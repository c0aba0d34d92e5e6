//! The HTTP server: accepts connections, bounds them, and lets them end in good order.
//!
//! Owns the listener's loop and the limits of a connection. Knows nothing of routes: it serves any warp filter.

pub mod descriptors;
pub mod local;
mod stall;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::shutdown::{self, Shutdown};
use stall::Unstalled;

/// From the connection's first byte, or the last answer, to the end of the next request's headers.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take none of the bytes that wait for it.
const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long what was sent may stay unacknowledged. A stream's peer that vanished without a word is noticed by its next
/// ping; the system alone would take a quarter of an hour.
#[cfg(target_os = "linux")]
const VANISHED_TIMEOUT_MS: u32 = 30_000;
/// Bytes of one connection's read buffer; also bounds a request's headers.
const MAX_BUFFER_BYTES: usize = 32 * 1024;
/// Connections that the kernel holds until they are accepted: a restart brings all clients back at once. Linux caps it at
/// `net.core.somaxconn`; beyond, clients try again after a second.
const BACKLOG: u32 = 4_096;
/// After `accept` failed, usually because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on an address, ready for many connections at once.
///
/// # Errors
/// The address cannot be used.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Else a restart would have to wait until the old connections are forgotten. On Windows it means something else.
    if cfg!(not(windows)) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Where connections come from.
pub trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The next connection, ready to be served.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // Small pushes must not wait for the acknowledgement of the one before.
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        rustix::net::sockopt::set_tcp_user_timeout(&stream, VANISHED_TIMEOUT_MS)?;
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Serves `max_connections` at once, while further ones wait in the kernel's queue, until `shutdown` turns true; then
/// takes no more, finishes what was asked, and waits at most `drain` for it.
pub async fn serve<L: Listener>(
    listener: L,
    routes: BoxedFilter<(Response,)>,
    max_connections: usize,
    mut shutdown: Shutdown,
    drain: Duration,
) {
    let service = warp::service(routes);
    let places = Arc::new(Semaphore::new(max_connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = shutdown::requested(&mut shutdown) => break,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(serve_one(stream, service, shutdown.clone(), permit));
    }
    drop(listener);
    // Every connection holds a place; when all are back, all are done.
    let all_places = u32::try_from(max_connections).unwrap_or(u32::MAX);
    if tokio::time::timeout(drain, places.acquire_many(all_places))
        .await
        .is_err()
    {
        tracing::info!("connections still open at the end of the drain time are cut");
    }
}

async fn serve_one<T, S>(stream: T, service: S, mut shutdown: Shutdown, place: OwnedSemaphorePermit)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response, Error = Infallible>,
{
    // The place goes with the stream: a connection that becomes a socket keeps it.
    let stream = TokioIo::new(Unstalled::new(stream, WRITE_STALL_TIMEOUT, place));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(stream, service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown::requested(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn accept<L: Listener>(
    listener: &L,
    places: &Arc<Semaphore>,
) -> io::Result<(L::Stream, OwnedSemaphorePermit)> {
    // The place comes first: who cannot be served is not accepted.
    let permit = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    Ok((listener.next().await?, permit))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Found in review: nobody answers the pings of an event stream, so one whose peer had lost its network kept its place.
    #[tokio::test]
    async fn peers_that_vanish_are_noticed() {
        let listener = listen(([127, 0, 0, 1], 0).into()).expect("a port");
        let address = listener.local_addr().expect("an address");
        let _peer = TcpStream::connect(address).await.expect("a connection");
        let places = Arc::new(Semaphore::new(1));
        let (stream, _place) = accept(&listener, &places).await.expect("accepted");
        let timeout = rustix::net::sockopt::tcp_user_timeout(&stream);
        assert_eq!(timeout.expect("an option"), VANISHED_TIMEOUT_MS);
    }
}
