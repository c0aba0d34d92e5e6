//! A piece of a list: `{"data":[...],"next":"<cursor>"}`, `next` being null at the end.

use std::fmt::Display;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::scalar::Text;
use crate::domain::ids::Sequence;
use crate::store::EventRow;

#[derive(Serialize)]
#[serde(bound = "T: Serialize")]
pub struct List<T, C: Display> {
    data: Vec<T>,
    next: Option<Text<C>>,
}

impl<T, C: Display> List<T, C> {
    pub fn new(data: Vec<T>, next: Option<C>) -> Self {
        Self {
            data,
            next: next.map(Text),
        }
    }
}

/// A list of events, their frozen bytes copied as they are, and the epoch in which their numbers count.
pub fn event_list(events: &[EventRow], next: Option<Sequence>, epoch: &str) -> Bytes {
    let bodies: usize = events.iter().map(|event| event.body.len() + 1).sum();
    let mut json = BytesMut::with_capacity(bodies + epoch.len() + 64);
    json.put_slice(b"{\"data\":[");
    for (place, event) in events.iter().enumerate() {
        if place > 0 {
            json.put_u8(b',');
        }
        json.put_slice(&event.body);
    }
    json.put_slice(b"],\"next\":");
    match next {
        Some(Sequence(number)) => json.put_slice(format!("\"{number}\"").as_bytes()),
        None => json.put_slice(b"null"),
    }
    let epoch = serde_json::Value::from(epoch);
    json.put_slice(format!(",\"epoch\":{epoch}}}").as_bytes());
    json.freeze()
}
