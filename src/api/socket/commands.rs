//! What a client says: one text frame, read into a command. Pure.
//!
//! Tells a mistake that can be answered (`Refusal`) from one that ends the socket (`Violation`). Refuses to know what
//! a command does.

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::replies::Refusal;
use crate::api::live::history::Since;
use crate::domain::ids::{PaymentId, Sequence};
use crate::store::EventScope;

/// Longest `id` of a command, as it stands in the JSON text.
pub const MAX_ID_BYTES: usize = 64;

/// A command's `id`, as the client wrote it: a JSON number or string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandId(String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Connect {
        token: Option<String>,
    },
    Subscribe {
        channel: EventScope,
        since: Option<Since>,
    },
    Unsubscribe {
        channel: EventScope,
    },
}

/// One text frame, understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Inbound {
    Pong,
    Command(CommandId, Command),
    /// It has an id to answer to, but it makes no sense.
    Refused(CommandId, Refusal),
}

/// A frame that cannot even be answered; closes with 4501.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("{}", self.reason())]
pub enum Violation {
    NotAnObject,
    BadId,
}

impl Violation {
    /// What the close frame says.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAnObject => "a frame is one JSON object",
            Self::BadId => "a command has an id, a number or a string, of at most 64 bytes",
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    connect: Option<&'a RawValue>,
    #[serde(borrow)]
    subscribe: Option<&'a RawValue>,
    #[serde(borrow)]
    unsubscribe: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectBody {
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeBody {
    channel: String,
    since: Option<SinceBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinceBody {
    epoch: String,
    seq: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsubscribeBody {
    channel: String,
}

/// Reads one text frame.
///
/// # Errors
/// [`Violation`] where no reply is possible.
pub fn parse(text: &str) -> Result<Inbound, Violation> {
    if is_empty_object(text) {
        return Ok(Inbound::Pong);
    }
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| Violation::NotAnObject)?;
    let id = CommandId::read(envelope.id)?;
    Ok(match command(&envelope) {
        Ok(command) => Inbound::Command(id, command),
        Err(refusal) => Inbound::Refused(id, refusal),
    })
}

fn is_empty_object(text: &str) -> bool {
    text.trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|inside| inside.trim().is_empty())
}

fn command(envelope: &Envelope<'_>) -> Result<Command, Refusal> {
    match (envelope.connect, envelope.subscribe, envelope.unsubscribe) {
        (Some(body), None, None) => {
            let ConnectBody { token } = read(body)?;
            Ok(Command::Connect { token })
        }
        (None, Some(body), None) => {
            let body: SubscribeBody = read(body)?;
            Ok(Command::Subscribe {
                channel: channel(&body.channel)?,
                since: body.since.map(|s| Since {
                    epoch: s.epoch,
                    sequence: Sequence(s.seq),
                }),
            })
        }
        (None, None, Some(body)) => {
            let body: UnsubscribeBody = read(body)?;
            Ok(Command::Unsubscribe {
                channel: channel(&body.channel)?,
            })
        }
        _ => Err(Refusal::bad(
            "a command is exactly one of connect, subscribe and unsubscribe",
        )),
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a RawValue) -> Result<T, Refusal> {
    serde_json::from_str(body.get()).map_err(|e| Refusal::bad(e.to_string()))
}

/// A channel's name. A payment's has one spelling, the one that pushes carry.
fn channel(name: &str) -> Result<EventScope, Refusal> {
    if name == "payments" {
        return Ok(EventScope::All);
    }
    name.strip_prefix("payment:")
        .and_then(|text| PaymentId::parse(text).filter(|id| id.to_string() == text))
        .map(EventScope::Payment)
        .ok_or_else(|| Refusal::bad("a channel is 'payments' or 'payment:<payment id>'"))
}

impl CommandId {
    /// The id as JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    fn read(raw: Option<&RawValue>) -> Result<Self, Violation> {
        let text = raw.ok_or(Violation::BadId)?.get();
        let fits = text.len() <= MAX_ID_BYTES;
        let starts_well = text.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
        if fits && starts_well {
            Ok(Self(text.to_owned()))
        } else {
            Err(Violation::BadId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::socket::replies::ErrorCode;

    const ID: &str = "0190a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b";

    fn payment() -> EventScope {
        EventScope::Payment(PaymentId::parse(ID).expect("an id"))
    }

    fn id(text: &str) -> CommandId {
        CommandId(text.to_owned())
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(parse(" { } "), Ok(Inbound::Pong));
        assert_eq!(
            parse(r#"{"id":1,"connect":{}}"#),
            Ok(Inbound::Command(id("1"), Command::Connect { token: None }))
        );
        assert_eq!(
            parse(r#"{"id":"a","connect":{"token":"t"}}"#),
            Ok(Inbound::Command(
                id("\"a\""),
                Command::Connect {
                    token: Some("t".to_owned())
                }
            ))
        );
        let text = format!(
            r#"{{"subscribe":{{"channel":"payment:{ID}","since":{{"epoch":"e","seq":17}}}},"id":-2.5}}"#
        );
        let since = Since {
            epoch: "e".to_owned(),
            sequence: Sequence(17),
        };
        let subscribe = Command::Subscribe {
            channel: payment(),
            since: Some(since),
        };
        assert_eq!(parse(&text), Ok(Inbound::Command(id("-2.5"), subscribe)));
        assert_eq!(
            parse(r#"{"id":3,"unsubscribe":{"channel":"payments"}}"#),
            Ok(Inbound::Command(
                id("3"),
                Command::Unsubscribe {
                    channel: EventScope::All
                }
            ))
        );
    }

    #[test]
    fn what_can_be_answered_is_refused() {
        let upper = ID.to_uppercase();
        for body in [
            r#""connect":{"tokn":"t"}"#,
            r#""connect":{"token":7}"#,
            r#""connect":[]"#,
            r#""subscribe":{}"#,
            r#""subscribe":{"channel":"other"}"#,
            r#""subscribe":{"channel":"payment:1"}"#,
            &format!(r#""subscribe":{{"channel":"payment:{upper}"}}"#),
            r#""subscribe":{"channel":"payments","since":{"epoch":"e"}}"#,
            r#""subscribe":{"channel":"payments","since":{"epoch":"e","seq":-1}}"#,
            r#""connect":{},"subscribe":{"channel":"payments"}"#,
            r#""publish":{}"#,
            r#""subscribe":null"#,
        ] {
            let parsed = parse(&format!(r#"{{"id":1,{body}}}"#));
            let Ok(Inbound::Refused(_, refusal)) = parsed else {
                panic!("{body}: {parsed:?}");
            };
            assert_eq!(refusal.code, ErrorCode::BadRequest, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_a_violation() {
        for text in [
            "",
            "x",
            "[]",
            "1",
            "null",
            "{",
            r#"{"id":1,"connect":{}"#,
            "{}{}",
        ] {
            assert_eq!(parse(text), Err(Violation::NotAnObject), "{text}");
        }
        let long = format!(r#"{{"id":"{}","connect":{{}}}}"#, "x".repeat(63));
        for text in [
            r#"{"connect":{}}"#,
            r#"{"id":null,"connect":{}}"#,
            r#"{"id":true,"connect":{}}"#,
            r#"{"id":{},"connect":{}}"#,
            &long,
        ] {
            assert_eq!(parse(text), Err(Violation::BadId), "{text}");
        }
    }
}
