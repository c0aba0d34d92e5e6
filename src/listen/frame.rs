//! The socket's frames as a client reads them. Pure.
//!
//! Refuses nothing: what it does not know it passes over, so that an older listener reads a newer hub.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::Event;
use super::trouble::{Trouble, quoted};
use crate::domain::ids::Sequence;

/// What the hub asks whether the client is there with, and the answer.
pub const PING: &str = "{}";

/// Where a subscriber starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub epoch: String,
    /// The newest event that the reply accounts for.
    pub newest: Sequence,
    /// Everything since where it left off; nothing where that could not be replayed.
    pub events: Option<Vec<Event>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Ping,
    Connected {
        ping_seconds: u64,
    },
    Subscribed(Start),
    Pushed(Event),
    /// Progress, and whatever else there may be one day.
    Other,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    connect: Option<Connect>,
    #[serde(borrow)]
    subscribe: Option<Subscribe<'a>>,
    #[serde(borrow)]
    push: Option<Push<'a>>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Connect {
    ping: u64,
}

#[derive(Deserialize)]
struct Subscribe<'a> {
    epoch: String,
    seq: u64,
    recovered: bool,
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Push<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
    temporary: bool,
}

/// Reads one text frame.
///
/// # Errors
/// The hub refuses a command, or what it says is not its protocol.
pub fn parse(text: &str) -> Result<Frame, Trouble> {
    if text.trim() == PING {
        return Ok(Frame::Ping);
    }
    let not_ours = || Trouble::passing("what came is not paybell's protocol");
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| not_ours())?;
    let event = |raw: &RawValue| Event::parse(raw.get().as_bytes()).ok_or_else(not_ours);
    if let Some(refusal) = envelope.error {
        return Err(refusal.into());
    }
    if let Some(connect) = envelope.connect {
        return Ok(Frame::Connected {
            ping_seconds: connect.ping,
        });
    }
    if let Some(subscribe) = envelope.subscribe {
        let events: Vec<Event> = subscribe
            .events
            .into_iter()
            .map(event)
            .collect::<Result<_, _>>()?;
        return Ok(Frame::Subscribed(Start {
            epoch: subscribe.epoch,
            newest: Sequence(subscribe.seq),
            events: subscribe.recovered.then_some(events),
        }));
    }
    match envelope.push.and_then(|push| push.event) {
        Some(raw) => Ok(Frame::Pushed(event(raw)?)),
        None => Ok(Frame::Other),
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        let text = format!(
            "the hub refuses{}",
            quoted(&format!("{} ({})", refusal.message, refusal.code))
        );
        match refusal.temporary {
            true => Self::Passing(text),
            false => Self::Final(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"sequence":7, "id":"evt_1","type":"payment.created","payment_id":"p"}"#;

    #[test]
    fn frames_of_the_contract_are_read_and_unknown_ones_passed_over() {
        let event = Event::parse(EVENT.as_bytes()).expect("an event");
        let start = |events| {
            Frame::Subscribed(Start {
                epoch: "e1".to_owned(),
                newest: Sequence(19),
                events,
            })
        };
        for (text, frame) in [
            ("{}".to_owned(), Frame::Ping),
            (
                r#"{"id":1,"connect":{"ping":25,"version":"v1"}}"#.to_owned(),
                Frame::Connected { ping_seconds: 25 },
            ),
            (
                r#"{"id":2,"subscribe":{"epoch":"e1","seq":19,"recovered":false,"snapshot":{"a":1}}}"#.to_owned(),
                start(None),
            ),
            (
                format!(r#"{{"id":2,"subscribe":{{"epoch":"e1","seq":19,"recovered":true,"events":[{EVENT}]}}}}"#),
                start(Some(vec![event.clone()])),
            ),
            (
                r#"{"id":2,"subscribe":{"epoch":"e1","seq":19,"recovered":true,"events":[]}}"#.to_owned(),
                start(Some(Vec::new())),
            ),
            (
                format!(r#"{{"push":{{"channel":"payments","epoch":"e1","seq":7,"event":{EVENT}}}}}"#),
                Frame::Pushed(event.clone()),
            ),
            (
                r#"{"push":{"channel":"payment:p","progress":{"confirmations":7,"required":19}}}"#.to_owned(),
                Frame::Other,
            ),
            (r#"{"news":[1]}"#.to_owned(), Frame::Other),
        ] {
            assert_eq!(parse(&text).expect(&text), frame);
        }
        assert_eq!(event.body, EVENT);
    }

    #[test]
    fn refusals_say_whether_they_stay() {
        let refusal = |temporary| {
            let text = format!(
                r#"{{"id":2,"error":{{"code":"not_found","message":"no","temporary":{temporary}}}}}"#
            );
            parse(&text).expect_err("a refusal")
        };
        assert!(matches!(refusal(true), Trouble::Passing(_)));
        assert!(
            matches!(refusal(false), Trouble::Final(text) if text == "the hub refuses: no (not_found)")
        );
        for text in ["", "x", "[]", r#"{"push":{"event":{"sequence":"x"}}}"#] {
            assert!(matches!(parse(text), Err(Trouble::Passing(_))), "{text}");
        }
    }
}
