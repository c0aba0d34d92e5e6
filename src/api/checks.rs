//! One check a field of a new payment: from JSON text to a domain value, or to what is wrong with it in words.
//!
//! Each text begins as the replaced service's does, where it had one.

use serde_json::Value;
use serde_json::value::RawValue;

use super::mistake::{Quoted, did_you_mean};
use super::request::{kind_word, string};
use crate::domain::address::Address;
use crate::domain::amount::{Amount, AmountError, Decimals};
use crate::domain::payment::{AmountMode, Finality, MatchRule};

pub const MIN_AMOUNT: &str = "0.01";
pub const MAX_AMOUNT: &str = "1000000";
/// Longest spelling of an amount.
pub const MAX_AMOUNT_BYTES: usize = 128;
pub const MAX_ORDER_ID_CHARS: usize = 100;
pub const MAX_URL_BYTES: usize = 2048;
pub const MAX_METADATA_BYTES: usize = 4096;
/// Levels of arrays and objects in metadata; parsers that stop at 128 must still read what embeds it.
pub const MAX_METADATA_DEPTH: usize = 32;
/// The shortest life of a payment.
pub const MIN_EXPIRES_IN_SECONDS: u64 = 60;
pub const MAX_CONFIRMATIONS: u32 = 1000;
/// Digits of the largest `u128`.
pub const MAX_UNITS_DIGITS: usize = 39;

pub type Checked<T> = Result<T, String>;

pub fn address(value: &RawValue) -> Checked<Address> {
    let invalid = |why: String| format!("Invalid TRON wallet address format: {why}");
    let Some(text) = string(value) else {
        return Err(invalid(format!(
            "it must be a string, not {}",
            kind_word(value)
        )));
    };
    Address::from_tron(&text).map_err(|error| invalid(error.to_string()))
}

/// The amount, exactly as its digits say, whether as a number or in quotes.
pub fn amount(value: &RawValue, decimals: Decimals) -> Checked<Amount> {
    let positive = "expected_amount_usdt must be a positive number";
    let text = match value.get().as_bytes().first() {
        Some(b'"') => string(value).unwrap_or_default(),
        Some(b'-' | b'0'..=b'9') => value.get().into(),
        _ => return Err(format!("{positive}, not {}", kind_word(value))),
    };
    if text.len() > MAX_AMOUNT_BYTES {
        return Err(format!(
            "expected_amount_usdt is written with more than {MAX_AMOUNT_BYTES} characters"
        ));
    }
    let amount = Amount::parse(&text, decimals).map_err(|error| match error {
        _ if text.starts_with('-') => positive.to_owned(),
        AmountError::Negative => positive.to_owned(),
        AmountError::Syntax => {
            format!(
                "{positive}: {} is none; write 10.50 or \"10.50\"",
                Quoted(&text)
            )
        }
        AmountError::TooFine(digits) => {
            format!("expected_amount_usdt has more than {digits} digits after the point")
        }
        AmountError::TooLarge => over_the_limit(),
    })?;
    if amount.is_zero() {
        return Err(positive.to_owned());
    }
    let limit = |text| Amount::parse(text, decimals).map_err(|error| error.to_string());
    if amount < limit(MIN_AMOUNT)? {
        return Err(format!(
            "expected_amount_usdt must be at least {MIN_AMOUNT} USDT"
        ));
    }
    if amount > limit(MAX_AMOUNT)? {
        return Err(over_the_limit());
    }
    Ok(amount)
}

fn over_the_limit() -> String {
    "expected_amount_usdt cannot exceed 1,000,000 USDT".to_owned()
}

pub fn order_id(value: &RawValue) -> Checked<String> {
    let Some(text) = string(value) else {
        return Err("order_id must be a non-empty string".to_owned());
    };
    let trimmed = text.trim();
    if trimmed.chars().all(is_invisible) {
        return Err("order_id must be a non-empty string".to_owned());
    }
    let chars = trimmed.chars().count();
    if chars > MAX_ORDER_ID_CHARS {
        return Err(format!(
            "order_id cannot exceed {MAX_ORDER_ID_CHARS} characters, this has {chars}"
        ));
    }
    if let Some(c) = trimmed.chars().find(|c| c.is_control()) {
        return Err(format!(
            "order_id must not contain control characters, such as {}",
            c.escape_unicode()
        ));
    }
    Ok(trimmed.to_owned())
}

/// Characters that leave nothing on a screen: an order of these only cannot be told from none.
pub fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text of a callback URL; where it leads is the guard's to judge.
pub fn callback_url(value: &RawValue) -> Checked<String> {
    url_text(value).map_err(|why| format!("Invalid callback URL format: {why}"))
}

/// A link that a payer's browser may follow.
pub fn success_url(value: &RawValue) -> Checked<String> {
    let invalid = |why: &str| format!("success_url is not usable: {why}");
    let text = url_text(value).map_err(|why| invalid(&why))?;
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(invalid("it contains a space or a control character"));
    }
    let url = url::Url::parse(&text).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("it must begin with https:// or http://"));
    }
    Ok(text)
}

pub fn url_text(value: &RawValue) -> Checked<String> {
    let Some(text) = string(value) else {
        return Err(format!("it must be a string, not {}", kind_word(value)));
    };
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() > MAX_URL_BYTES {
        return Err(format!("it is longer than {MAX_URL_BYTES} bytes"));
    }
    Ok(text.into_owned())
}

pub fn match_rule(value: &RawValue) -> Checked<MatchRule> {
    let words = [
        ("exact", MatchRule::Exact),
        ("accumulate", MatchRule::Accumulate),
    ];
    one_of("match", value, &words)
}

pub fn amount_mode(value: &RawValue) -> Checked<AmountMode> {
    let words = [("fixed", AmountMode::Fixed), ("unique", AmountMode::Unique)];
    one_of("amount_mode", value, &words)
}

pub fn one_of<T: Copy>(name: &str, value: &RawValue, words: &[(&str, T)]) -> Checked<T> {
    let text = string(value);
    let found = words
        .iter()
        .find(|(word, _)| text.as_deref() == Some(*word));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = did_you_mean(text.as_deref().unwrap_or_default(), &known);
        format!("{name} must be \"{}\"{hint}", known.join("\" or \""))
    })
}

/// Base units in quotes, as digits only.
pub fn tolerance(value: &RawValue) -> Checked<Amount> {
    let text = string(value).unwrap_or_default();
    let digits = !text.is_empty()
        && text.len() <= MAX_UNITS_DIGITS
        && text.bytes().all(|b| b.is_ascii_digit());
    let units: Option<u128> = digits.then(|| text.parse().ok()).flatten();
    units.map(Amount::from_base_units).ok_or_else(|| {
        "tolerance must be a whole number of base units in quotes, like \"10000\" for 0.01 USDT"
            .to_owned()
    })
}

pub fn expires_in(value: &RawValue, max_seconds: u64) -> Checked<u64> {
    whole_number(value)
        .filter(|seconds| (MIN_EXPIRES_IN_SECONDS..=max_seconds).contains(seconds))
        .ok_or_else(|| {
            format!(
                "expires_in must be a whole number of seconds from {MIN_EXPIRES_IN_SECONDS} to {max_seconds}"
            )
        })
}

pub fn confirmations(value: &RawValue) -> Checked<Finality> {
    if string(value).as_deref() == Some("final") {
        return Ok(Finality::Final);
    }
    whole_number(value)
        .and_then(|depth| u32::try_from(depth).ok())
        .filter(|depth| (1..=MAX_CONFIRMATIONS).contains(depth))
        .map(Finality::Depth)
        .ok_or_else(|| {
            format!(
                "confirmations must be \"final\" or a whole number from 1 to {MAX_CONFIRMATIONS}"
            )
        })
}

fn whole_number(value: &RawValue) -> Option<u64> {
    value.get().parse().ok()
}

/// Any JSON that every parser can read; kept in the spelling it came in.
pub fn metadata(value: &RawValue) -> Checked<String> {
    let text = value.get();
    if text.len() > MAX_METADATA_BYTES {
        return Err(format!(
            "metadata has {} bytes, at most {MAX_METADATA_BYTES} are kept",
            text.len()
        ));
    }
    let parsed: Value =
        serde_json::from_str(text).map_err(|error| format!("metadata is not usable: {error}"))?;
    if depth(&parsed) > MAX_METADATA_DEPTH {
        return Err(format!(
            "metadata is nested deeper than {MAX_METADATA_DEPTH} levels"
        ));
    }
    Ok(text.to_owned())
}

/// The parser has refused what is deeper than 128 levels before this recurses.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
