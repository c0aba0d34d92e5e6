//! A connection that gives up on a peer which takes nothing: whoever asks and never reads would keep its place for good.
//!
//! Counts only the time in which not one byte could be written. A slow reader that reads is left alone.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream whose writes fail once the peer has taken nothing for `patience`. `K` is kept for as long as the stream lasts,
/// whoever holds it by then.
#[derive(Debug)]
pub struct Unstalled<S, K> {
    stream: S,
    _kept: K,
    patience: Duration,
    /// Runs while a write waits; absent otherwise, so that idle connections stay small.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S, K> Unstalled<S, K> {
    pub const fn new(stream: S, patience: Duration, kept: K) -> Self {
        Self {
            stream,
            _kept: kept,
            patience,
            deadline: None,
        }
    }

    /// Passes a write's outcome on, or fails it when it has waited too long.
    fn judge<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let patience = self.patience;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin, K: Unpin> AsyncRead for Unstalled<S, K> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, K: Unpin> AsyncWrite for Unstalled<S, K> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(shut, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (near, _far) = tokio::io::duplex(16);
        let mut stream = Unstalled::new(near, Duration::from_millis(20), ());
        let error = stream.write_all(&[0; 64]).await.expect_err("a stall");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_wait_that_ended_is_forgotten() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut stream = Unstalled::new(near, Duration::from_secs(3600), ());
        let reading = tokio::spawn(async move { far.read_exact(&mut [0; 64]).await.map(drop) });
        stream.write_all(&[0; 64]).await.expect("written");
        reading.await.expect("joined").expect("read");
        stream.flush().await.expect("flushed");
        assert!(stream.deadline.is_none());
    }
}
