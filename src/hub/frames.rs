//! How events and progress read on the wire: in a socket's envelope, or as records of an event stream. Pure.

use bytes::Bytes;

use super::payer::copy_for_payer;
use crate::domain::ids::{PaymentId, Sequence};
use crate::store::{EventRow, EventScope};

/// What surrounds an event's own bytes, at most and roughly.
const ENVELOPE_BYTES: usize = 160;

/// What a queue's messages are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// JSON text frames of `/ws`.
    Socket,
    /// `text/event-stream`.
    EventStream,
}

impl Framing {
    pub const COUNT: usize = 2;
}

/// Writes the messages of one event log.
#[derive(Debug)]
pub struct Frames {
    epoch: String,
    /// The epoch as JSON text, quotes included.
    epoch_json: String,
}

impl Frames {
    pub fn new(epoch: &str) -> Self {
        Self {
            epoch: epoch.to_owned(),
            epoch_json: serde_json::Value::from(epoch).to_string(),
        }
    }

    /// An event for those who listen to a channel.
    pub fn event(&self, framing: Framing, row: &EventRow, channel: EventScope) -> Bytes {
        let body = match channel {
            EventScope::All => row.body.clone(),
            EventScope::Payment(_) => copy_for_payer(&row.body),
        };
        match framing {
            Framing::Socket => self.push(row, &body, channel),
            Framing::EventStream => self.record(row.kind.as_str(), row.sequence, &body),
        }
    }

    /// A record of an event stream from whose number a client can resume.
    pub fn record(&self, event: &str, at: Sequence, data: &[u8]) -> Bytes {
        let head = format!("id: {}:{}\nevent: {event}\ndata: ", self.epoch, at.0);
        finished(head, data)
    }

    fn push(&self, row: &EventRow, body: &[u8], channel: EventScope) -> Bytes {
        let channel = match channel {
            EventScope::All => "payments".to_owned(),
            EventScope::Payment(id) => format!("payment:{id}"),
        };
        let head = format!(
            r#"{{"push":{{"channel":"{channel}","epoch":{},"seq":{},"event":"#,
            self.epoch_json, row.sequence.0
        );
        let mut frame = Vec::with_capacity(body.len() + self.epoch_json.len() + ENVELOPE_BYTES);
        frame.extend_from_slice(head.as_bytes());
        frame.extend_from_slice(body);
        frame.extend_from_slice(b"}}");
        frame.into()
    }
}

/// How far a payment is confirmed.
pub fn progress(framing: Framing, payment: PaymentId, confirmations: u32, required: u32) -> Bytes {
    let data = format!(r#"{{"confirmations":{confirmations},"required":{required}}}"#);
    match framing {
        Framing::Socket => Bytes::from(format!(
            r#"{{"push":{{"channel":"payment:{payment}","progress":{data}}}}}"#
        )),
        Framing::EventStream => passing_record("progress", data.as_bytes()),
    }
}

/// A record of an event stream that no client resumes from.
pub fn passing_record(event: &str, data: &[u8]) -> Bytes {
    finished(format!("event: {event}\ndata: "), data)
}

/// Data of a record is one line. In JSON a line break can only stand between tokens, where a space means the same.
fn finished(head: String, data: &[u8]) -> Bytes {
    let mut record = head.into_bytes();
    record.reserve_exact(data.len() + 2);
    record.extend(data.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    }));
    record.extend_from_slice(b"\n\n");
    record.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::tests::{payment, row};

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn records_name_the_event_and_where_to_resume() {
        let frames = Frames::new("e1");
        let event = frames.event(Framing::EventStream, &row(7, None), EventScope::All);
        let expected = "id: e1:7\nevent: payment.detected\ndata: {\"sequence\":7}\n\n";
        assert_eq!(text(&event), expected);
        assert_eq!(
            text(&progress(Framing::EventStream, payment(1), 7, 19)),
            "event: progress\ndata: {\"confirmations\":7,\"required\":19}\n\n"
        );
    }

    /// Metadata keeps the spelling that the shop sent, line breaks and all; in a record they would end the data.
    #[test]
    fn line_breaks_in_metadata_do_not_break_a_record() {
        let mut with_breaks = row(1, None);
        with_breaks.body = Bytes::from_static(b"{\"metadata\":{\r\n \"a\":\"x\\n\"\n}}");
        let event = Frames::new("e").event(Framing::EventStream, &with_breaks, EventScope::All);
        let expected = "data: {\"metadata\":{   \"a\":\"x\\n\" }}\n\n";
        assert!(text(&event).ends_with(expected), "{}", text(&event));
    }
}
