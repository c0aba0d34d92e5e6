//! One event as it came from the hub, and the line that tells it.
//!
//! The bytes stay as they are. Refuses to let text from data steer a terminal.

use bytes::Bytes;
use serde::Deserialize;

use crate::domain::ids::Sequence;

/// Columns of the line, in characters; longer texts keep their end out.
const TYPE_CHARS: usize = 19;
const ORDER_CHARS: usize = 24;
const AMOUNT_CHARS: usize = 18;
const STATUS_CHARS: usize = 10;
/// The last characters of a payment's id: its first ones tell only the time.
const SHORT_ID_CHARS: usize = 12;
/// Characters of `2026-11-24T13:00:01` in a timestamp.
const SECOND_CHARS: usize = 19;

/// An event with its number, its payment and its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub sequence: Sequence,
    pub id: String,
    pub kind: String,
    /// Events of one payment keep their order.
    pub payment: Option<String>,
    pub body: Bytes,
}

#[derive(Deserialize)]
struct Head {
    sequence: u64,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    payment_id: Option<String>,
}

/// What the line shows of the rest. An event that lacks any of it is shown without.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Told {
    timestamp: Option<String>,
    order_id: Option<String>,
    status: Option<String>,
    received_amount: Option<String>,
    amount_to_pay: Option<String>,
    transfer: Option<ToldTransfer>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ToldTransfer {
    amount: Option<String>,
}

impl Event {
    /// Nothing for what is not an event object.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let head: Head = serde_json::from_slice(body).ok()?;
        Some(Self {
            sequence: Sequence(head.sequence),
            id: head.id,
            kind: head.kind,
            payment: head.payment_id,
            body: Bytes::copy_from_slice(body),
        })
    }

    /// For people: time, number, type, order, amount, status, the end of the payment's id.
    pub fn line(&self) -> String {
        let told: Told = serde_json::from_slice(&self.body).unwrap_or_default();
        let time: String = told
            .timestamp
            .iter()
            .flat_map(|t| t.chars())
            .take(SECOND_CHARS)
            .collect();
        let time = time.replace('T', " ");
        let payment = self.payment.as_deref().unwrap_or("-");
        let skipped = payment.chars().count().saturating_sub(SHORT_ID_CHARS);
        let payment: String = payment.chars().skip(skipped).collect();
        let line = format!(
            "{}  {:>6}  {}  {}  {}  {}  {}",
            visible(&time),
            format!("#{}", self.sequence.0),
            column(&self.kind, TYPE_CHARS),
            column(told.order_id.as_deref().unwrap_or("-"), ORDER_CHARS),
            column(&told.amount(&self.kind), AMOUNT_CHARS),
            column(told.status.as_deref().unwrap_or("-"), STATUS_CHARS),
            visible(&payment),
        );
        line.trim_end().to_owned()
    }

    /// The exact bytes on one line. Metadata is kept as its owner wrote it, line breaks included; between the tokens of
    /// JSON, the only place where there can be any, a space says the same.
    pub fn json_line(&self) -> Vec<u8> {
        let broken = |byte: u8| matches!(byte, b'\n' | b'\r');
        let bytes = self.body.iter();
        bytes
            .map(|byte| if broken(*byte) { b' ' } else { *byte })
            .collect()
    }
}

impl Told {
    /// A transfer that settled nothing is not what its payment received.
    fn amount(&self, kind: &str) -> String {
        let moved = self.transfer.as_ref().and_then(|t| t.amount.as_deref());
        let received = self
            .received_amount
            .as_deref()
            .filter(|amount| *amount != "0.0");
        if let Some(amount) = moved.filter(|_| kind.starts_with("transfer.")) {
            return amount.to_owned();
        }
        match (received.or(moved), self.amount_to_pay.as_deref()) {
            (Some(got), Some(wanted)) if got != wanted => format!("{got} of {wanted}"),
            (Some(amount), _) | (None, Some(amount)) => amount.to_owned(),
            (None, None) => "-".to_owned(),
        }
    }
}

/// Exactly so wide, in characters.
fn column(text: &str, chars: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= chars {
        return format!("{text:<chars$}");
    }
    let kept: String = text.chars().take(chars - 1).collect();
    format!("{kept}…")
}

/// Without what a terminal obeys or a reader is misled by: control characters, and those that turn or hide text.
pub fn visible(text: &str) -> String {
    let hidden = |c: &char| {
        c.is_control()
            || matches!(*c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().filter(|c| !hidden(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fields: &str) -> Event {
        let text = format!(
            r#"{{"sequence":7,"id":"evt_1","type":"payment.created","payment_id":"0190a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b"{fields}}}"#
        );
        Event::parse(text.as_bytes()).expect("an event")
    }

    #[test]
    fn a_line_has_its_columns_whatever_is_in_them() {
        let line = event(
            r#","timestamp":"2026-11-24T13:00:01.123Z","order_id":"A-1","status":"pending","amount_to_pay":"10.5","received_amount":"0.0""#,
        )
        .line();
        assert_eq!(
            line,
            "2026-11-24 13:00:01      #7  payment.created      A-1                       10.5                pending     1c2d3e4f5a6b"
        );
        let hostile = event(
            r#","timestamp":"2026-11-24T13:00:01.123Z","order_id":"\u001b[2J\u202e\n\u0000red\u009b31m","status":"pending","amount_to_pay":"10.5""#,
        )
        .line();
        assert!(hostile.contains("  [2Jred31m "), "{hostile}");
        assert_eq!(hostile.len(), line.len());
        assert!(hostile.chars().all(|c| !c.is_control()));
        let long = event(&format!(r#","order_id":"{}""#, "é".repeat(100))).line();
        assert!(long.contains(&format!("{}…  -", "é".repeat(23))), "{long}");
        assert!(event("").line().ends_with("1c2d3e4f5a6b"));
    }

    #[test]
    fn amounts_tell_what_came_and_what_was_asked_for() {
        for (fields, shown) in [
            (
                r#","received_amount":"9.99","amount_to_pay":"10.5""#,
                " 9.99 of 10.5 ",
            ),
            (
                r#","received_amount":"10.5","amount_to_pay":"10.5""#,
                " 10.5 ",
            ),
            (
                r#","received_amount":"0.0","amount_to_pay":"10.5","transfer":{"amount":"3.0"}"#,
                " 3.0 of 10.5 ",
            ),
            (r#","transfer":{"amount":"3.0"}"#, " 3.0 "),
        ] {
            let line = event(fields).line();
            assert!(line.contains(shown), "{line}");
        }
    }

    /// Found by looking at the demo: 3 USDT too much were shown as the 10.5 that the payment had received before.
    #[test]
    fn an_unmatched_transfer_shows_its_own_amount() {
        let text = r#"{"sequence":3,"id":"e","type":"transfer.unmatched","received_amount":"10.5","amount_to_pay":"10.5","transfer":{"amount":"3.0"}}"#;
        let line = Event::parse(text.as_bytes()).expect("an event").line();
        assert!(line.contains(" 3.0  ") && !line.contains("10.5"), "{line}");
    }

    #[test]
    fn json_is_one_line_and_otherwise_untouched() {
        let spaced = event(",\"metadata\":{\"n\": 1.50,\r\n\"s\":\"a\\nb\"}");
        let line = spaced.json_line();
        assert_eq!(line.len(), spaced.body.len());
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        let value =
            |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
        assert_eq!(value(&line), value(&spaced.body));
        assert_eq!(event("").json_line(), event("").body);
    }

    #[test]
    fn what_is_no_event_is_none() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"sequence":-1,"id":"","type":""}"#,
            r#"{"sequence":1}"#,
        ] {
            assert_eq!(Event::parse(text.as_bytes()), None, "{text}");
        }
    }
}
