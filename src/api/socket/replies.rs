//! What the server says beside pushes: replies, errors and close codes, as JSON text. Pure.

use std::borrow::Cow;

use bytes::Bytes;

use super::commands::CommandId;
use crate::api::live::history::Start;
use crate::domain::ids::Sequence;

/// What the server sends to learn whether the client is there, and what the client answers.
pub const PING: &[u8] = b"{}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadySubscribed,
    Limit,
    Unavailable,
}

impl ErrorCode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::AlreadySubscribed => "already_subscribed",
            Self::Limit => "limit",
            Self::Unavailable => "unavailable",
        }
    }

    /// The same command may succeed later.
    const fn is_temporary(self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

/// Why a command was not done. The socket stays open unless its close follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: Cow<'static, str>,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }
}

/// Why the server closes. 4000-4499: come back; 4500-4999: do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    ShuttingDown,
    Slow,
    /// No pong, or no `connect`, in time.
    NoAnswer,
    OverRate,
    BadToken,
    BadRequest,
    Limit,
}

impl CloseCode {
    pub const fn number(self) -> u16 {
        match self {
            Self::ShuttingDown => 4001,
            Self::Slow => 4008,
            Self::NoAnswer => 4012,
            Self::OverRate => 4013,
            Self::BadToken => 4500,
            Self::BadRequest => 4501,
            Self::Limit => 4504,
        }
    }
}

pub fn connected(id: &CommandId, ping_seconds: u64) -> Bytes {
    Bytes::from(format!(
        r#"{{"id":{},"connect":{{"ping":{ping_seconds},"version":"v1"}}}}"#,
        id.as_json()
    ))
}

pub fn subscribed(id: &CommandId, epoch: &str, newest: Sequence, start: &Start) -> Bytes {
    let recovered = matches!(start, Start::Events(_));
    let mut reply = format!(
        r#"{{"id":{},"subscribe":{{"epoch":{},"seq":{},"recovered":{recovered}"#,
        id.as_json(),
        serde_json::Value::from(epoch),
        newest.0
    )
    .into_bytes();
    match start {
        Start::Events(events) => {
            reply.extend_from_slice(br#","events":["#);
            for (n, event) in events.iter().enumerate() {
                if n > 0 {
                    reply.push(b',');
                }
                reply.extend_from_slice(&event.body);
            }
            reply.push(b']');
        }
        Start::Snapshot(payment) => {
            reply.extend_from_slice(br#","snapshot":"#);
            reply.extend_from_slice(payment);
        }
        Start::Nothing => {}
    }
    reply.extend_from_slice(b"}}");
    reply.into()
}

pub fn unsubscribed(id: &CommandId) -> Bytes {
    Bytes::from(format!(r#"{{"id":{},"unsubscribe":{{}}}}"#, id.as_json()))
}

pub fn refused(id: &CommandId, refusal: &Refusal) -> Bytes {
    Bytes::from(format!(
        r#"{{"id":{},"error":{{"code":"{}","message":{},"temporary":{}}}}}"#,
        id.as_json(),
        refusal.code.as_str(),
        serde_json::Value::from(refusal.message.as_ref()),
        refusal.code.is_temporary()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::socket::commands::{Inbound, parse};
    use crate::hub::tests::row;
    use crate::store::EventRow;

    fn id(text: &str) -> CommandId {
        match parse(&format!(r#"{{"id":{text},"connect":{{}}}}"#)) {
            Ok(Inbound::Command(id, _)) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn replies_read_as_the_contract_says() {
        let two = id("2");
        assert_eq!(
            connected(&id("1"), 25),
            r#"{"id":1,"connect":{"ping":25,"version":"v1"}}"#
        );
        assert_eq!(
            subscribed(&two, "e1", Sequence(19), &Start::Snapshot("{}".into())),
            r#"{"id":2,"subscribe":{"epoch":"e1","seq":19,"recovered":false,"snapshot":{}}}"#
        );
        assert_eq!(
            subscribed(&two, "e1", Sequence(19), &Start::Nothing),
            r#"{"id":2,"subscribe":{"epoch":"e1","seq":19,"recovered":false}}"#
        );
        let event = |body: &'static str| EventRow {
            body: body.into(),
            ..row(1, None)
        };
        let events = Start::Events(vec![event("{}"), event("[]")]);
        assert_eq!(
            subscribed(&two, "e1", Sequence(19), &events),
            r#"{"id":2,"subscribe":{"epoch":"e1","seq":19,"recovered":true,"events":[{},[]]}}"#
        );
        let refusal = Refusal::new(ErrorCode::Forbidden, "not \"yours\"");
        assert_eq!(
            refused(&two, &refusal),
            r#"{"id":2,"error":{"code":"forbidden","message":"not \"yours\"","temporary":false}}"#
        );
        assert_eq!(unsubscribed(&two), r#"{"id":2,"unsubscribe":{}}"#);
    }
}
