//! Amounts: decimal text to base units. The first byte chooses how many decimals the asset has, the rest is the text.
//!
//! What is read is exactly what decimal arithmetic on the digits says, what is refused is no such number, and every
//! amount that was read survives its own text.

use paybell::domain::amount::{Amount, AmountError, Decimals};
use serde_json::value::RawValue;

/// More decimals than an asset has are refused.
const MAX_DECIMALS: u8 = 30;
/// The longest text that is read.
const MAX_TEXT_BYTES: usize = 128;
/// A `u128` has at most so many digits.
const MAX_UNITS_DIGITS: usize = 39;

pub fn target(data: &[u8]) {
    let Some((first, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let digits = first % (MAX_DECIMALS + 1);
    let decimals = Decimals::new(digits).expect("in range");
    let read = Amount::parse(text, decimals);
    if text.len() > MAX_TEXT_BYTES {
        return assert_eq!(read, Err(AmountError::TooLarge));
    }
    let expected = naive(text, digits);
    assert_eq!(
        read.map(|a| a.base_units().to_string()),
        expected,
        "{text:?}"
    );
    if let Ok(amount) = read {
        let shown = amount.to_decimal(decimals);
        assert_eq!(Amount::parse(&shown, decimals), Ok(amount), "{shown}");
    }
}

/// The base units in decimal digits, by moving the point along the text.
fn naive(text: &str, decimals: u8) -> Result<String, AmountError> {
    let number = serde_json::from_str::<&RawValue>(text).map_err(|_| AmountError::Syntax)?;
    let begins_well = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if number.get() != text || !begins_well {
        return Err(AmountError::Syntax);
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let magnitude = mantissa.trim_start_matches('-');
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let digits = format!("{whole}{fraction}");
    if digits.bytes().all(|digit| digit == b'0') {
        return Ok("0".to_owned());
    }
    // An exponent beyond i64 stands for any that is out of all bounds.
    let far = if exponent.starts_with('-') {
        -1_000_000
    } else {
        1_000_000
    };
    let exponent = exponent
        .parse::<i64>()
        .unwrap_or(far)
        .clamp(-1_000_000, 1_000_000);
    let mut units = digits;
    for _ in 0..(exponent + i64::from(decimals) - fraction.len() as i64).clamp(0, 1_000) {
        units.push('0');
    }
    for _ in 0..(fraction.len() as i64 - exponent - i64::from(decimals)).clamp(0, 1_000) {
        if units.pop().is_some_and(|last| last != '0') {
            return Err(AmountError::TooFine(decimals));
        }
    }
    let units = units.trim_start_matches('0');
    let largest = u128::MAX.to_string();
    if units.len() > MAX_UNITS_DIGITS || (units.len() == MAX_UNITS_DIGITS && *units > *largest) {
        return Err(AmountError::TooLarge);
    }
    if mantissa.starts_with('-') {
        return Err(AmountError::Negative);
    }
    Ok(units.to_owned())
}
