//! One WebSocket connection with small buffers and a time limit on everything that is written.
//!
//! Knows frames, not their meaning. A long text leaves in fragments, so that no connection's write buffer
//! ever grows beyond a fragment and stays that large.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error};

use super::ration::Rationed;
use super::replies::CloseCode;
use crate::api::live::LiveLimits;

/// tungstenite's own defaults are 128 KiB each.
const BUFFER_BYTES: usize = 4 * 1024;
const FRAGMENT_BYTES: usize = 16 * 1024;
/// tungstenite refuses to buffer beyond this. A frame is only handed over once the last one found room, so what can
/// be waiting is one buffer, one fragment and a few control frames.
const MAX_WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// The peer is gone, or took too long: nothing more can be written.
#[derive(Debug, Error)]
pub enum LineError {
    #[error("the connection failed")]
    Failed(#[source] tungstenite::Error),
    #[error("the peer does not read")]
    Stalled,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    Text(Utf8Bytes),
    Binary,
    /// A ping or a pong of the WebSocket layer, already dealt with.
    Control,
    TooLarge,
    /// Not WebSocket frames, or not UTF-8.
    Garbled,
    /// The peer began to close.
    Closing,
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inbound {
    Readable,
    /// The reader has failed in the middle of a frame; only raw bytes can follow.
    Broken,
}

/// A connection after its handshake, server side.
#[derive(Debug)]
pub struct Line<S> {
    socket: WebSocketStream<Rationed<S>>,
    inbound: Inbound,
    write_within: Duration,
    linger: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    pub async fn open(stream: S, limits: &LiveLimits) -> Self {
        let stream = Rationed::new(stream, limits.message_bytes_on_the_wire);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
            .max_message_size(Some(limits.frame_bytes))
            .max_frame_size(Some(limits.frame_bytes));
        Self {
            socket: WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await,
            inbound: Inbound::Readable,
            write_within: limits.write_within,
            linger: limits.linger,
        }
    }

    /// Waits for the next frame. Cancel-safe. Also writes the answers to pings.
    pub async fn receive(&mut self) -> Received {
        let received = self.socket.next().await;
        if matches!(received, Some(Ok(_))) {
            self.socket.get_mut().refill();
        }
        let error = match received {
            Some(Ok(Message::Text(text))) => return Received::Text(text),
            Some(Ok(Message::Binary(_))) => return Received::Binary,
            Some(Ok(Message::Close(_))) => return Received::Closing,
            Some(Ok(_)) => return Received::Control,
            None => return Received::Lost,
            Some(Err(error)) => error,
        };
        self.inbound = Inbound::Broken;
        match error {
            Error::Capacity(_) => Received::TooLarge,
            Error::Io(_) if self.socket.get_ref().is_used_up() => Received::TooLarge,
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
                Received::Lost
            }
            Error::Protocol(_) | Error::Utf8(_) => Received::Garbled,
            error => {
                tracing::debug!(%error, "a socket's connection failed");
                Received::Lost
            }
        }
    }

    /// Puts a text into the write buffer, which is written whenever it is full.
    ///
    /// # Errors
    /// [`LineError`], after which the line is of no use.
    pub async fn queue(&mut self, mut text: Bytes) -> Result<(), LineError> {
        let mut opcode = Data::Text;
        while text.len() > FRAGMENT_BYTES {
            let fragment = text.split_to(FRAGMENT_BYTES);
            self.feed(Frame::message(fragment, OpCode::Data(opcode), false))
                .await?;
            opcode = Data::Continue;
        }
        self.feed(Frame::message(text, OpCode::Data(opcode), true))
            .await
    }

    /// Writes everything queued.
    ///
    /// # Errors
    /// [`LineError`], after which the line is of no use.
    pub async fn flush(&mut self) -> Result<(), LineError> {
        within(self.write_within, self.socket.flush()).await
    }

    async fn feed(&mut self, frame: Frame) -> Result<(), LineError> {
        within(self.write_within, self.socket.feed(Message::Frame(frame))).await
    }

    /// Closes with a code and waits a little for the peer, so that what was written still reaches it.
    pub async fn close(mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame {
            code: code.number().into(),
            reason: Utf8Bytes::from_static(reason),
        };
        match within(self.write_within, self.socket.close(Some(frame))).await {
            Ok(()) => self.part().await,
            Err(error) => tracing::debug!(%error, "a socket could not be told why it is closed"),
        }
    }

    /// Sees a close through that either side began.
    pub async fn part(mut self) {
        let linger = self.linger;
        let parted = tokio::time::timeout(linger, async {
            if self.inbound == Inbound::Readable {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
            discard_rest(self.socket.get_mut().inner()).await
        });
        match parted.await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a socket did not close cleanly"),
        }
    }
}

/// Ends our side, then reads until the peer ends its own: dropping a connection with unread bytes would reset it,
/// and a reset overtakes what we have just written.
async fn discard_rest<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<()> {
    stream.shutdown().await?;
    let mut scratch = [0_u8; 512];
    while stream.read(&mut scratch).await? > 0 {}
    Ok(())
}

async fn within(
    limit: Duration,
    write: impl Future<Output = Result<(), tungstenite::Error>>,
) -> Result<(), LineError> {
    match tokio::time::timeout(limit, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(LineError::Failed(error)),
        Err(_) => Err(LineError::Stalled),
    }
}
