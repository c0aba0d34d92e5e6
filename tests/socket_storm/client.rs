//! Lean clients, of which a test can hold thousands: sockets with small buffers, and raw connections.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Longer than a hub takes to give up any peer.
const PATIENCE: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 4 * 1024;
/// What the kernel takes for a peer that does not read, about; the least that Linux allows.
const TINY_WINDOW_BYTES: u32 = 2 * 1024;

pub struct Client {
    pub stream: WebSocketStream<TcpStream>,
}

/// What came.
pub enum Heard {
    Text(String),
    /// The server said why.
    Closed(u16),
    Lost,
}

pub fn authority(hub: &str) -> &str {
    hub.strip_prefix("http://").expect("http")
}

impl Client {
    pub async fn open(hub: &str) -> Result<Self, Error> {
        Self::on(hub, TcpStream::connect(authority(hub)).await?).await
    }

    /// One that takes next to nothing before it is read.
    pub async fn open_tiny(hub: &str) -> Result<Self, Error> {
        Self::on(hub, connect_tiny(hub).await).await
    }

    async fn on(hub: &str, tcp: TcpStream) -> Result<Self, Error> {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0);
        let url = format!("ws://{}/ws", authority(hub));
        let (stream, _) =
            tokio_tungstenite::client_async_with_config(url, tcp, Some(config)).await?;
        Ok(Self { stream })
    }

    pub async fn say(&mut self, frame: &Value) -> Result<(), Error> {
        self.stream.send(Message::text(frame.to_string())).await
    }

    /// The next frame; pings are answered.
    pub async fn next(&mut self) -> Heard {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            match frame.expect("a frame in time") {
                Some(Ok(Message::Text(text))) if text.as_str() == "{}" => {
                    if self.say(&json!({})).await.is_err() {
                        return Heard::Lost;
                    }
                }
                Some(Ok(Message::Text(text))) => return Heard::Text(text.to_string()),
                Some(Ok(Message::Close(Some(frame)))) => return Heard::Closed(frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Lost,
            }
        }
    }

    /// Connects and subscribes; the reply, unless the connection is lost.
    pub async fn subscribe(&mut self, channel: &str, since: Option<Value>) -> Option<Value> {
        let mut subscribe = json!({"channel": channel});
        if let Some(since) = since {
            subscribe["since"] = since;
        }
        self.say(&json!({"id": 1, "connect": {}})).await.ok()?;
        self.say(&json!({"id": 2, "subscribe": subscribe}))
            .await
            .ok()?;
        loop {
            let Heard::Text(text) = self.next().await else {
                return None;
            };
            let mut frame: Value = serde_json::from_str(&text).expect("JSON");
            if frame["id"] == 2 {
                return Some(frame["subscribe"].take());
            }
        }
    }

    /// Reads what lies there without a word, and returns the code of the close.
    pub async fn end_in_silence(&mut self) -> Option<u16> {
        while let Some(Ok(message)) = self.stream.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }

    /// Reads on until the server closes.
    pub async fn end(&mut self) -> Heard {
        loop {
            match self.next().await {
                Heard::Text(_) => {}
                end => return end,
            }
        }
    }
}

/// A connection whose kernel buffer takes as little as the system allows.
pub async fn connect_tiny(hub: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_recv_buffer_size(TINY_WINDOW_BYTES)
        .expect("a buffer size");
    let address = authority(hub).parse().expect("an address");
    socket.connect(address).await.expect("a connection")
}

/// Asks for the stream of everything on a connection.
pub async fn ask_for_stream(connection: &mut TcpStream) {
    let request = "GET /v1/events/stream HTTP/1.1\r\nhost: localhost\r\n\r\n";
    connection
        .write_all(request.as_bytes())
        .await
        .expect("sent");
}
