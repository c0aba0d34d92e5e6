//! A webhook receiver for the demo: answers 200 and keeps the last few deliveries.
//!
//! Refuses to judge signatures: it shows what came, and verifying is what the reader wants to try.

use std::collections::VecDeque;

use http::HeaderMap;
use serde_json::{Value, json};

use crate::domain::ids::UnixMs;

/// Deliveries kept.
const MAX_KEPT: usize = 50;
/// Longest header text kept.
const MAX_HEADER_CHARS: usize = 500;

#[derive(Debug, Default)]
pub struct Inbox(VecDeque<Value>);

impl Inbox {
    pub fn receive(&mut self, headers: &HeaderMap, body: &[u8], now: UnixMs) {
        let header = |name: &str| -> Value {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value
                .map(|text| text.chars().take(MAX_HEADER_CHARS).collect::<String>())
                .into()
        };
        // What is no JSON is shown as the text it is.
        let body = serde_json::from_slice(body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()));
        self.0.push_front(json!({
            "received_at": now.as_seconds(),
            "webhook_id": header("webhook-id"),
            "webhook_timestamp": header("webhook-timestamp"),
            "webhook_signature": header("webhook-signature"),
            "body": body,
        }));
        self.0.truncate(MAX_KEPT);
    }

    /// Newest first.
    pub fn to_json(&self) -> Value {
        json!({"data": self.0})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_fifty_are_kept_newest_first() {
        let mut inbox = Inbox::default();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "evt_1".parse().expect("a header"));
        for n in 0..60 {
            inbox.receive(&headers, format!(r#"{{"n":{n}}}"#).as_bytes(), UnixMs(1500));
        }
        inbox.receive(&headers, b"not json", UnixMs(2500));
        let shown = inbox.to_json();
        assert_eq!(shown["data"].as_array().map(Vec::len), Some(50));
        assert_eq!(shown["data"][0]["body"], "not json");
        assert_eq!(shown["data"][0]["received_at"], 2.5);
        assert_eq!(shown["data"][1]["body"]["n"], 59);
        assert_eq!(shown["data"][1]["webhook_id"], "evt_1");
        assert!(shown["data"][1]["webhook_signature"].is_null());
    }
}
