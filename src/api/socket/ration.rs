//! A stream that yields only so many bytes until it is told that a message came of them.
//!
//! Fragments without content are bytes that never make a message: neither the size of a message nor the rate of messages
//! bounds them. Refuses to know frames.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose reads fail once `ration` bytes came without a message.
#[derive(Debug)]
pub struct Rationed<S> {
    stream: S,
    ration: usize,
    left: usize,
}

impl<S> Rationed<S> {
    pub const fn new(stream: S, ration: usize) -> Self {
        Self {
            stream,
            ration,
            left: ration,
        }
    }

    /// A message came.
    pub const fn refill(&mut self) {
        self.left = self.ration;
    }

    /// The stream beneath, whose bytes nobody counts any more.
    pub const fn inner(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Whether the ration is why a read failed.
    pub const fn is_used_up(&self) -> bool {
        self.left == 0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rationed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let count = buffer.filled().len().saturating_sub(before);
        self.left = self.left.saturating_sub(count);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rationed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_ration_ends_and_is_refilled() {
        let mut stream = Rationed::new(&[7_u8; 10][..], 4);
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.expect("four bytes");
        let error = stream.read_u8().await.expect_err("used up");
        assert!(error.kind() == io::ErrorKind::QuotaExceeded && stream.is_used_up());
        stream.refill();
        stream.read_exact(&mut bytes).await.expect("four more");
    }
}
