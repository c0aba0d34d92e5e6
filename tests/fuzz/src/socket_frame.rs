//! Text frames of `/ws`. A command says what the JSON says, has an id that is echoed as it came, and is read again from
//! its plainest spelling; a payment's channel has one name; a refusal can be answered.

use paybell::api::socket::commands::{Command, Inbound, parse};
use paybell::store::EventScope;
use serde_json::{Value, json};

/// The longest id, as text.
const MAX_ID_BYTES: usize = 64;

pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse(text) {
        Ok(Inbound::Pong) => assert_eq!(text.split_whitespace().collect::<String>(), "{}"),
        Ok(Inbound::Command(id, command)) => {
            is_echoed(text, id.as_json());
            says_what_the_frame_says(text, &command);
            let again = plain(id.as_json(), &command);
            assert_eq!(parse(&again), Ok(Inbound::Command(id, command)), "{again}");
        }
        Ok(Inbound::Refused(id, refusal)) => {
            is_echoed(text, id.as_json());
            assert!(!refusal.message.is_empty());
        }
        Err(violation) => assert!(!violation.reason().is_empty()),
    }
}

fn is_echoed(frame: &str, id: &str) {
    assert!(
        id.len() <= MAX_ID_BYTES && frame.contains(id),
        "{id} of {frame}"
    );
    let scalar = id.starts_with(['"', '-']) || id.starts_with(|c: char| c.is_ascii_digit());
    assert!(scalar && !id.contains(['\n', '\r']), "{id}");
}

fn name(channel: &EventScope) -> String {
    match channel {
        EventScope::All => "payments".to_owned(),
        EventScope::Payment(id) => format!("payment:{id}"),
    }
}

fn says_what_the_frame_says(frame: &str, command: &Command) {
    // A tree refuses some numbers and escapes that a frame may hold where nobody reads them.
    let Ok(tree) = serde_json::from_str::<Value>(frame) else {
        return;
    };
    match command {
        Command::Connect { token } => {
            assert_eq!(tree["connect"]["token"].as_str(), token.as_deref());
        }
        Command::Subscribe { channel, since } => {
            assert_eq!(tree["subscribe"]["channel"], *name(channel));
            let from = &tree["subscribe"]["since"];
            assert_eq!(from["epoch"].as_str(), since.as_ref().map(|s| &*s.epoch));
            assert_eq!(from["seq"].as_u64(), since.as_ref().map(|s| s.sequence.0));
        }
        Command::Unsubscribe { channel } => {
            assert_eq!(tree["unsubscribe"]["channel"], *name(channel));
        }
    }
}

fn plain(id: &str, command: &Command) -> String {
    let (word, body) = match command {
        Command::Connect { token } => ("connect", json!({"token": token})),
        Command::Subscribe { channel, since } => {
            let since = since
                .as_ref()
                .map(|s| json!({"epoch": s.epoch, "seq": s.sequence.0}));
            (
                "subscribe",
                json!({"channel": name(channel), "since": since}),
            )
        }
        Command::Unsubscribe { channel } => ("unsubscribe", json!({"channel": name(channel)})),
    };
    format!(r#"{{"id":{id},"{word}":{body}}}"#)
}
