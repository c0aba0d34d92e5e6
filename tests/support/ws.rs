//! A WebSocket client that keeps every frame it saw.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    pub seen: Vec<Value>,
}

impl Socket {
    pub async fn open(hub: &str) -> Self {
        Self::try_open(hub).await.expect("a handshake")
    }

    /// Nothing if the hub does not take another socket.
    pub async fn try_open(hub: &str) -> Option<Self> {
        let authority = hub.strip_prefix("http://").expect("http");
        let tcp = TcpStream::connect(authority).await.expect("a connection");
        let url = format!("ws://{authority}/ws");
        let (stream, _) = tokio_tungstenite::client_async(url, tcp).await.ok()?;
        Some(Self {
            stream,
            seen: Vec::new(),
        })
    }

    pub async fn send(&mut self, frame: &Value) {
        self.stream
            .send(Message::text(frame.to_string()))
            .await
            .expect("sent");
    }

    /// The next frame, pings answered and passed over; `None` when the socket was closed.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let frame = tokio::time::timeout(super::PATIENCE, self.stream.next())
                .await
                .expect("a frame in time")?;
            let Ok(Message::Text(text)) = frame else {
                return None;
            };
            if text.as_str() == "{}" {
                self.send(&json!({})).await;
                continue;
            }
            let value: Value = serde_json::from_str(&text).expect("JSON");
            self.seen.push(value.clone());
            return Some(value);
        }
    }

    /// Reads until a frame fits.
    pub async fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self
                .next()
                .await
                .unwrap_or_else(|| panic!("closed before {what}"));
            if fits(&frame) {
                return frame;
            }
        }
    }

    /// Reads until the server closes; returns its code.
    pub async fn closed(&mut self) -> u16 {
        loop {
            let frame = tokio::time::timeout(super::PATIENCE, self.stream.next()).await;
            match frame.expect("a frame in time") {
                Some(Ok(Message::Close(Some(close)))) => return close.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close frame, but {other:?}"),
            }
        }
    }

    /// Sends a command and returns its reply.
    pub async fn command(&mut self, frame: Value) -> Value {
        self.send(&frame).await;
        self.until("the reply", |f| f["id"] == frame["id"]).await
    }

    /// Connects and subscribes to one payment with its token.
    pub async fn follow(hub: &str, payment: &Value) -> Self {
        let mut socket = Self::open(hub).await;
        let token = &payment["client_token"];
        let connected = socket
            .command(json!({"id": 1, "connect": {"token": token}}))
            .await;
        assert_eq!(connected["connect"]["version"], "v1", "{connected}");
        let channel = format!("payment:{}", payment["payment_id"].as_str().expect("an id"));
        let subscribed = socket
            .command(json!({"id": 2, "subscribe": {"channel": channel}}))
            .await;
        assert!(subscribed["subscribe"]["seq"].is_u64(), "{subscribed}");
        socket
    }

    /// Reads until an event of this type is pushed.
    pub async fn event(&mut self, kind: &str) -> Value {
        let frame = self
            .until(kind, |f| f["push"]["event"]["type"] == kind)
            .await;
        frame["push"]["event"].clone()
    }
}
