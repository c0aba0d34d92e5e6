//! An answer before it is on the wire: status, type, body; and the ways a fault can spoil its delivery.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use warp::reply::{Reply, Response};

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const TEXT: &str = "text/plain";
/// How much a dripping answer sends at a time, and how often.
const DRIP_BYTES: usize = 16;
const DRIP_INTERVAL: Duration = Duration::from_millis(250);
/// How long a connection stays open behind the half that it delivered.
const BREAK_AFTER: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: Bytes,
}

impl Answer {
    pub fn json(value: &Value) -> Self {
        Self::json_status(StatusCode::OK, value)
    }

    pub fn json_status(status: StatusCode, value: &Value) -> Self {
        Self {
            status,
            content_type: JSON,
            body: value.to_string().into(),
        }
    }

    pub fn html(status: StatusCode, body: &'static str) -> Self {
        Self {
            status,
            content_type: HTML,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    pub fn text(status: StatusCode, body: &'static str) -> Self {
        Self {
            status,
            content_type: TEXT,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    /// A control endpoint's refusal.
    pub fn refusal(status: StatusCode, message: impl Into<String>) -> Self {
        Self::json_status(status, &json!({"error": message.into()}))
    }

    pub fn whole(self) -> Response {
        finish(
            warp::reply::Response::new(self.body.into()),
            self.status,
            self.content_type,
        )
    }

    /// Announces its full length, sends half, and breaks the connection off.
    pub fn cut_short(self) -> Response {
        let length = self.body.len();
        let half = self.body.slice(..length / 2);
        let broken = io::Error::new(io::ErrorKind::ConnectionReset, "cut short on purpose");
        // Without a pause the connection would break off before its first half is out.
        let breaking = stream::once(async {
            tokio::time::sleep(BREAK_AFTER).await;
            Err(broken)
        });
        let parts = stream::iter([Ok(half)]).chain(breaking);
        let mut response = finish(
            warp::reply::stream(parts).into_response(),
            self.status,
            self.content_type,
        );
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        response
    }

    /// Sends a few bytes at a time.
    pub fn dripping(self) -> Response {
        let length = self.body.len();
        let parts = drip(self.body).map(Ok::<_, io::Error>);
        let mut response = finish(
            warp::reply::stream(parts).into_response(),
            self.status,
            self.content_type,
        );
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        response
    }
}

fn drip(body: Bytes) -> impl Stream<Item = Bytes> + Send + Sync {
    stream::unfold(body, |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(DRIP_INTERVAL).await;
        let part = rest.split_to(rest.len().min(DRIP_BYTES));
        Some((part, rest))
    })
}

fn finish(mut response: Response, status: StatusCode, content_type: &'static str) -> Response {
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
