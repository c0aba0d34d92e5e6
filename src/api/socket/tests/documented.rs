//! The socket's document against the code: error codes, close codes and refusals by name, replies and pushes by schema.

use serde_json::Value;

use crate::api::live::LiveLimits;
use crate::api::live::history::Start;
use crate::api::reference::tests::{Checker, asyncapi};
use crate::api::socket::commands::{CommandId, Inbound, MAX_ID_BYTES, Violation, parse};
use crate::api::socket::handshake::HandshakeError;
use crate::api::socket::replies::{
    CloseCode, ErrorCode, PING, Refusal, connected, refused, subscribed, unsubscribed,
};
use crate::api::wire::tests::{chains, payment};
use crate::api::wire::{PaymentObject, WireEncoder, encode};
use crate::domain::endpoint::DisabledWhy;
use crate::domain::event::{EndpointNote, Event, EventKind, SealedEvent};
use crate::domain::ids::{EndpointId, EventId, Sequence, UnixMs};
use crate::hub::{Frames, Framing, progress};
use crate::ledger_task::EventEncoder;
use crate::store::{EventRow, EventScope};

/// All variants; a new one does not compile before it is named here, and so documented.
macro_rules! every {
    ($kind:ident: $($variant:ident),*) => {{
        const fn _is_whole(one: $kind) {
            match one {
                $($kind::$variant => {})*
            }
        }
        [$($kind::$variant),*]
    }};
}

fn at(pointer: &str) -> &'static Value {
    asyncapi().pointer(pointer).expect("a place")
}

fn listed<'a>(pointer: &str, field: &str) -> Vec<&'a Value> {
    let entries = at(pointer).as_array().expect("a list");
    entries.iter().map(|entry| &entry[field]).collect()
}

#[test]
fn codes_are_those_of_the_code() {
    let errors = every!(ErrorCode: BadRequest, Unauthorized, Forbidden, NotFound, AlreadySubscribed, Limit, Unavailable);
    let errors = errors.map(ErrorCode::as_str);
    assert_eq!(
        listed("/components/schemas/SocketError/oneOf", "const"),
        errors
    );
    let closes =
        every!(CloseCode: ShuttingDown, Slow, NoAnswer, OverRate, BadToken, BadRequest, Limit);
    let closes = closes.map(CloseCode::number);
    let socket = "/channels/socket";
    assert_eq!(listed(&format!("{socket}/x-close-codes"), "code"), closes);
    let come_back = closes.map(|code| code < 4500);
    assert_eq!(
        listed(&format!("{socket}/x-close-codes"), "comeBack"),
        come_back
    );
    let refusals =
        every!(HandshakeError: Method, NotAnUpgrade, Version, Key, Origin, Full, ShuttingDown);
    let place = format!("{socket}/x-handshake-refusals");
    let (codes, statuses) = (listed(&place, "code"), listed(&place, "status"));
    let documented: Vec<_> = codes.into_iter().zip(statuses).collect();
    for refusal in refusals {
        let (code, status) = (
            Value::from(refusal.code()),
            Value::from(refusal.status().as_u16()),
        );
        assert!(documented.contains(&(&code, &status)), "{refusal:?}");
    }
    // Two refusals share a code.
    assert_eq!(documented.len(), refusals.len() - 1);
}

fn payload(message: &str) -> String {
    format!("/components/messages/{message}/payload")
}

fn check(checker: &mut Checker, message: &str, frame: &[u8]) {
    let json = serde_json::from_slice(frame).expect("JSON");
    if let Some(mistakes) = checker.mistakes(&payload(message), &json) {
        panic!("{message}: {mistakes}\n{json:#}");
    }
}

fn event() -> EventRow {
    let mut note = EndpointNote::new(EndpointId(1), "https://books.example/hooks");
    note.reason = Some(DisabledWhy::Gone);
    let encoder = WireEncoder { chains: chains() };
    let body = encoder.encode(&SealedEvent {
        sequence: Sequence(20),
        id: EventId(1),
        event: Event::about(EventKind::EndpointDisabled, note, UnixMs(1)),
    });
    EventRow {
        body,
        ..crate::hub::tests::row(20, None)
    }
}

fn id(text: &str) -> CommandId {
    match parse(&format!(r#"{{"id":{text},"connect":{{}}}}"#)) {
        Ok(Inbound::Command(id, _)) => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_hub_says_is_documented() {
    let mut checker = Checker::of(asyncapi());
    let ping = LiveLimits::default().ping_every.as_secs();
    let snapshot = encode(&PaymentObject::new(&payment(), &chains()).for_payer()).expect("JSON");
    for id in [id("7"), id(r#""a""#)] {
        check(&mut checker, "connected", &connected(&id, ping));
        check(&mut checker, "unsubscribed", &unsubscribed(&id));
        let refusal = Refusal::new(ErrorCode::Limit, "too many");
        check(&mut checker, "refused", &refused(&id, &refusal));
        for start in [
            Start::Nothing,
            Start::Snapshot(snapshot.clone()),
            Start::Events(vec![event()]),
            Start::Events(Vec::new()),
        ] {
            let reply = subscribed(&id, "e1", Sequence(20), &start);
            check(&mut checker, "subscribed", &reply);
        }
    }
    let frames = Frames::new("e1");
    for channel in [EventScope::All, EventScope::Payment(payment().id)] {
        let push = frames.event(Framing::Socket, &event(), channel);
        check(&mut checker, "event", &push);
    }
    let push = progress(Framing::Socket, payment().id, 7, 19);
    check(&mut checker, "progress", &push);
    check(&mut checker, "ping", PING);
    // What is not said has no place either.
    let wrong = serde_json::json!({"id": 1, "connect": {"ping": 25, "version": "v1", "more": 1}});
    assert!(checker.mistakes(&payload("connected"), &wrong).is_some());
}

/// The examples of commands are commands, and the document's limits of them are the parser's.
#[test]
fn what_clients_say_is_understood() {
    let mut checker = Checker::of(asyncapi());
    for (message, described) in at("/components/messages").as_object().expect("messages") {
        for example in described["examples"].as_array().into_iter().flatten() {
            let json = &example["payload"];
            let mistakes = checker.mistakes(&payload(message), json);
            assert_eq!(mistakes, None, "{message}: {json:#}");
            let text = json.to_string();
            match message.as_str() {
                "connect" | "subscribe" | "unsubscribe" => {
                    assert!(matches!(parse(&text), Ok(Inbound::Command(..))), "{text}");
                }
                "pong" => assert_eq!(parse(&text), Ok(Inbound::Pong)),
                _ => {}
            }
        }
    }
    let longest = at("/components/schemas/CommandId/oneOf/1/maxLength");
    // Two bytes of the limit are the quotes.
    assert_eq!(longest, &Value::from(MAX_ID_BYTES - 2));
    let command = |length: usize| {
        parse(&format!(
            r#"{{"id":"{}","connect":{{}}}}"#,
            "x".repeat(length)
        ))
    };
    assert!(command(MAX_ID_BYTES - 2).is_ok());
    assert_eq!(command(MAX_ID_BYTES - 1), Err(Violation::BadId));
    let limits = LiveLimits::default();
    let text = at("/components/messages/subscribe/description").to_string();
    assert!(text.contains(&format!("At most {} channels", limits.channels)));
    let replayed = at(
        "/components/messages/subscribed/payload/properties/subscribe/properties/events/maxItems",
    );
    assert_eq!(replayed, &Value::from(limits.replay_events));
}
