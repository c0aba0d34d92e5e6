//! One socket to the hub: TCP or TLS, handshake, connect, subscribe, then frames until it ends.
//!
//! Answers pings, notices silence. Refuses to reconnect: that is `follow`'s.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::frame::{self, Frame, PING, Start};
use super::options::{HubUrl, Options};
use super::trouble::{Trouble, chain};
use crate::domain::ids::Sequence;
use crate::store::EventScope;

/// From nothing to a subscription.
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// The hub's pings may be late by this much before the connection is taken for dead.
const PING_GRACE: Duration = Duration::from_secs(10);
/// Longest time between two pings that is believed.
const MAX_PING_SECONDS: u64 = 300;
/// A subscription's reply holds up to 500 events.
const MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;
const BUFFER_BYTES: usize = 16 * 1024;

trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Where a reader left off in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub epoch: String,
    pub after: Sequence,
}

pub struct Socket {
    stream: WebSocketStream<Box<dyn Connection>>,
    silence: Duration,
}

impl Socket {
    /// Opens a socket and subscribes.
    ///
    /// # Errors
    /// The hub is not there, or refuses.
    pub async fn open(options: &Options, place: Option<&Place>) -> Result<(Self, Start), Trouble> {
        let opened = timeout(OPEN_WITHIN, Self::subscribed(options, place)).await;
        opened.unwrap_or_else(|_| {
            let seconds = OPEN_WITHIN.as_secs();
            Err(Trouble::Passing(format!("no answer within {seconds} s")))
        })
    }

    async fn subscribed(
        options: &Options,
        place: Option<&Place>,
    ) -> Result<(Self, Start), Trouble> {
        let mut socket = Self::shaken_hands(&options.hub).await?;
        let key = options.key.as_ref().map(|key| key.expose());
        let connect = match key {
            Some(key) => json!({"id": 1, "connect": {"token": key}}),
            None => json!({"id": 1, "connect": {}}),
        };
        socket.send(connect.to_string()).await?;
        socket.silence = loop {
            if let Frame::Connected { ping_seconds } = socket.next().await? {
                break Duration::from_secs(ping_seconds.min(MAX_PING_SECONDS)) + PING_GRACE;
            }
        };
        let channel = match options.scope {
            EventScope::All => "payments".to_owned(),
            EventScope::Payment(id) => format!("payment:{id}"),
        };
        let mut subscribe = json!({"channel": channel});
        if let Some(place) = place {
            subscribe["since"] = json!({"epoch": place.epoch, "seq": place.after.0});
        }
        let command = json!({"id": 2, "subscribe": subscribe});
        socket.send(command.to_string()).await?;
        loop {
            if let Frame::Subscribed(start) = socket.next().await? {
                return Ok((socket, start));
            }
        }
    }

    async fn shaken_hands(hub: &HubUrl) -> Result<Self, Trouble> {
        let (host, port) = hub.host();
        let tcp = TcpStream::connect((hub.bare_host(), port)).await;
        let tcp =
            tcp.map_err(|error| Trouble::Passing(format!("cannot reach {host}:{port}: {error}")))?;
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "small packets may be held back");
        }
        let connection: Box<dyn Connection> = match hub.is_secure() {
            false => Box::new(tcp),
            true => Box::new(encrypted(hub, tcp).await?),
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let shaken =
            tokio_tungstenite::client_async_with_config(hub.socket(), connection, Some(config));
        let (stream, _) = shaken.await.map_err(handshake_trouble)?;
        Ok(Self {
            stream,
            silence: OPEN_WITHIN,
        })
    }

    async fn send(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), Trouble> {
        self.stream
            .send(Message::Text(text.into()))
            .await
            .map_err(|error| Trouble::Passing(format!("the connection broke: {}", chain(&error))))
    }

    /// The next frame; pings are answered and passed over. May be dropped and called again at any time but while it
    /// answers a ping, and then only the pong is lost.
    ///
    /// # Errors
    /// The socket was closed, broke, or has gone silent.
    pub async fn next(&mut self) -> Result<Frame, Trouble> {
        loop {
            let message = timeout(self.silence, self.stream.next()).await;
            let message = message.map_err(|_| {
                let seconds = self.silence.as_secs();
                Trouble::Passing(format!("nothing was heard from the hub for {seconds} s"))
            })?;
            match message {
                Some(Ok(Message::Text(text))) => match frame::parse(&text)? {
                    Frame::Ping => self.send(PING).await?,
                    frame => return Ok(frame),
                },
                Some(Ok(Message::Close(Some(close)))) => {
                    return Err(Trouble::of_close(close.code.into(), &close.reason));
                }
                Some(Ok(Message::Close(None))) | None => {
                    return Err(Trouble::passing("the hub closed the connection"));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let text = format!("the connection broke: {}", chain(&error));
                    return Err(Trouble::Passing(text));
                }
            }
        }
    }
}

async fn encrypted(hub: &HubUrl, tcp: TcpStream) -> Result<impl Connection + use<>, Trouble> {
    let config = rustls::ClientConfig::with_platform_verifier().map_err(|error| {
        let text = format!("TLS cannot be set up, are root certificates installed? {error}");
        Trouble::Final(text)
    })?;
    let name = ServerName::try_from(hub.bare_host().to_owned())
        .map_err(|_| Trouble::Final(format!("{} is no host name for TLS", hub.bare_host())))?;
    let connected = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await;
    connected.map_err(|error| Trouble::Passing(format!("TLS failed: {}", chain(&error))))
}

fn handshake_trouble(error: WsError) -> Trouble {
    match error {
        WsError::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            let said = super::log::said(body);
            Trouble::of_status(response.status().as_u16(), &said)
        }
        other => Trouble::Passing(format!("no WebSocket: {}", chain(&other))),
    }
}
