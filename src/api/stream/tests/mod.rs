//! Event streams tried as clients see them: the real server on a loopback port, a real HTTP client.

#![allow(clippy::unwrap_used)]

mod starting;
mod staying;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api::ApiSettings;
use crate::api::live::LiveLimits;
use crate::api::testing::{Hub, NOW};
use crate::domain::ids::{PaymentId, Sequence, UnixMs};
use crate::server;

/// Nothing in these tests takes this long; it only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);
const ORIGIN: &str = "https://shop.example";

struct Harness {
    hub: Hub,
    base: String,
    client: reqwest::Client,
    server: JoinHandle<()>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One record of a stream; comments and `retry` are records of their own.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    id: Option<String>,
    event: String,
    data: String,
}

struct Stream {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl Harness {
    async fn open() -> Self {
        Self::limited(LiveLimits::default()).await
    }

    async fn limited(limits: LiveLimits) -> Self {
        let settings = ApiSettings {
            allowed_origins: vec![ORIGIN.to_owned()],
            ..ApiSettings::default()
        };
        let hub = Hub::limited(settings, limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (routes, stopped) = (hub.routes.clone(), hub.shutdown.subscribe());
        let server = tokio::spawn(server::serve(listener, routes, 100, stopped, PATIENCE));
        let client = crate::source::http::http_client().unwrap();
        Self {
            hub,
            base,
            client,
            server,
        }
    }

    async fn ask(&self, path: &str, headers: &[(&'static str, &str)]) -> reqwest::Response {
        let mut request = self.client.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// An open stream whose `retry` line was read.
    async fn stream(&self, path: &str, headers: &[(&'static str, &str)]) -> Stream {
        let response = self.ask(path, headers).await;
        assert_eq!(response.status(), 200);
        let mut stream = Stream {
            response,
            buffer: Vec::new(),
        };
        assert_eq!(stream.text().await.unwrap(), "retry: 2000");
        stream
    }

    async fn resume(&self, path: &str, id: &str) -> Stream {
        self.stream(path, &[("last-event-id", id)]).await
    }

    async fn until_streams_are(&self, count: u64) {
        eventually(|| self.hub.ctx.live.seats.streams() == count).await;
    }
}

async fn eventually(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

impl Stream {
    /// The next lines up to an empty one; nothing at the end of the stream.
    async fn text(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\n\n") {
                let rest = self.buffer.split_off(at + 2);
                let record = std::mem::replace(&mut self.buffer, rest);
                return Some(String::from_utf8(record[..at].to_vec()).unwrap());
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            match chunk.expect("something in time").unwrap() {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => {
                    assert!(self.buffer.is_empty(), "half a record");
                    return None;
                }
            }
        }
    }

    /// The next record that is no comment.
    async fn record(&mut self) -> Option<Record> {
        loop {
            let text = self.text().await?;
            let field = |name: &str| {
                let prefix = format!("{name}: ");
                let found = text.lines().find_map(|line| line.strip_prefix(&prefix));
                found.map(str::to_owned)
            };
            if !text.starts_with(':') {
                assert!(text.lines().count() <= 3, "{text}");
                return Some(Record {
                    id: field("id"),
                    event: field("event").unwrap(),
                    data: field("data").unwrap(),
                });
            }
        }
    }

    async fn expect(&mut self, id: Option<&str>, event: &str) -> Value {
        let record = self.record().await.expect("a record");
        assert_eq!((record.id.as_deref(), record.event.as_str()), (id, event));
        serde_json::from_str(&record.data).unwrap()
    }

    /// The number of the next event.
    async fn number(&mut self) -> u64 {
        let record = self.record().await.expect("an event");
        let event: Value = serde_json::from_str(&record.data).unwrap();
        let number = event["sequence"].as_u64().expect("a number");
        assert_eq!(record.id.unwrap(), format!("e1:{number}"));
        number
    }
}

fn path_of(id: PaymentId) -> String {
    format!("/v1/payments/{id}/events/stream")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}
