//! Amounts of money: whole base units in a `u128`, and exact decimal text in and out.
//!
//! No float ever touches an amount. Refuses text that is not a JSON number (or one in quotes),
//! and anything finer than the asset's base unit. Arithmetic is checked.

use std::fmt;

use thiserror::Error;

/// Digits behind the point that an asset has; USDT has 6 on TRON, Ethereum and Polygon, 18 on BSC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimals(u8);

impl Decimals {
    pub const USDT_TRON: Self = Self(6);

    /// # Errors
    /// More than 30 digits would leave a `u128` no room for whole coins.
    pub const fn new(digits: u8) -> Result<Self, AmountError> {
        if digits > 30 {
            return Err(AmountError::TooLarge);
        }
        Ok(Self(digits))
    }

    pub const fn get(self) -> u8 {
        self.0
    }
}

/// An amount in base units (0.000001 USDT on TRON).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u128);

/// Why a text is not an amount.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum AmountError {
    #[error("it is not a decimal number")]
    Syntax,
    #[error("it is negative")]
    Negative,
    #[error("it has more than {0} digits after the point")]
    TooFine(u8),
    #[error("it is too large")]
    TooLarge,
}

/// Longest text read as an amount; longer ones are refused unread.
const MAX_TEXT_BYTES: usize = 128;

impl Amount {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u128::MAX);

    pub const fn from_base_units(units: u128) -> Self {
        Self(units)
    }

    pub const fn base_units(self) -> u128 {
        self.0
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Reads a decimal by JSON's number grammar, exponent included, exactly:
    /// `10.50`, `1.05e1` and `1050e-2` are the same amount.
    ///
    /// # Errors
    /// See [`AmountError`]. `-0` is zero; every other negative number is `Negative`.
    pub fn parse(text: &str, decimals: Decimals) -> Result<Self, AmountError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(AmountError::TooLarge);
        }
        let number = Number::split(text)?;
        let units = number.to_base_units(decimals)?;
        if number.negative && units != 0 {
            return Err(AmountError::Negative);
        }
        Ok(Self(units))
    }

    /// The shortest exact decimal, always with a point: `10.5`, `5.0`, `0.000001`.
    pub fn to_decimal(self, decimals: Decimals) -> String {
        let digits = usize::from(decimals.0);
        let text = format!("{:0>width$}", self.0, width = digits + 1);
        let (whole, fraction) = text.split_at(text.len() - digits);
        let fraction = fraction.trim_end_matches('0');
        format!(
            "{whole}.{}",
            if fraction.is_empty() { "0" } else { fraction }
        )
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Amount({})", self.0)
    }
}

/// A JSON number cut into its parts, each still text.
struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Number<'a> {
    fn split(text: &'a str) -> Result<Self, AmountError> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return Err(AmountError::Syntax),
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !all_digits(whole) || !all_digits(fraction) {
            return Err(AmountError::Syntax);
        }
        Ok(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn to_base_units(&self, decimals: Decimals) -> Result<u128, AmountError> {
        let digits: String = [self.whole, self.fraction].concat();
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(0);
        }
        let trimmed = significant.trim_end_matches('0');
        let dropped_zeros = significant.len() - trimmed.len();
        // value = trimmed * 10^shift base units
        let shift = self.exponent - self.fraction.len() as i64
            + dropped_zeros as i64
            + i64::from(decimals.0);
        if shift < 0 {
            return Err(AmountError::TooFine(decimals.0));
        }
        let scale = u32::try_from(shift)
            .ok()
            .and_then(|power| 10_u128.checked_pow(power))
            .ok_or(AmountError::TooLarge)?;
        trimmed
            .parse::<u128>()
            .ok()
            .and_then(|value| value.checked_mul(scale))
            .ok_or(AmountError::TooLarge)
    }
}

/// Clamped far outside what any amount needs, so that sums with it cannot overflow.
const EXPONENT_LIMIT: i64 = 1_000_000;

fn parse_exponent(text: &str) -> Result<i64, AmountError> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AmountError::Syntax);
    }
    Ok(sign
        * digits
            .parse::<i64>()
            .unwrap_or(EXPONENT_LIMIT)
            .min(EXPONENT_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usdt(text: &str) -> Result<u128, AmountError> {
        Amount::parse(text, Decimals::USDT_TRON).map(Amount::base_units)
    }

    #[test]
    fn the_same_number_in_any_spelling_is_the_same_amount() {
        for text in [
            "10.50",
            "10.5",
            "1.05e1",
            "1.05E+1",
            "1050e-2",
            "10.500000",
            "10.5000000000",
            "105e-1",
        ] {
            assert_eq!(usdt(text), Ok(10_500_000), "{text}");
        }
        assert_eq!(usdt("0"), Ok(0));
        assert_eq!(usdt("-0.0"), Ok(0));
        assert_eq!(usdt("0e999999999999999999999"), Ok(0));
        assert_eq!(usdt("0.000001"), Ok(1));
        assert_eq!(usdt("1e-6"), Ok(1));
    }

    #[test]
    fn what_is_no_exact_amount_is_refused_by_name() {
        for text in [
            "", "-", ".", "1.", ".5", "01", "+1", "1e", "1e+", "NaN", "Infinity", "0x10", "1_000",
            "1,5", " 1", "1 ", "١", "1.2.3", "--1",
        ] {
            assert_eq!(usdt(text), Err(AmountError::Syntax), "{text:?}");
        }
        assert_eq!(usdt("-1"), Err(AmountError::Negative));
        assert_eq!(usdt("0.0000001"), Err(AmountError::TooFine(6)));
        assert_eq!(usdt("1e-7"), Err(AmountError::TooFine(6)));
        assert_eq!(
            usdt("1e-999999999999999999999999"),
            Err(AmountError::TooFine(6))
        );
        assert_eq!(usdt("1e400"), Err(AmountError::TooLarge));
        assert_eq!(
            usdt("1e99999999999999999999999999"),
            Err(AmountError::TooLarge)
        );
        assert_eq!(usdt(&"9".repeat(60)), Err(AmountError::TooLarge));
        assert_eq!(usdt(&"9".repeat(100_000)), Err(AmountError::TooLarge));
    }

    #[test]
    fn decimals_are_written_short_and_with_a_point() {
        let show = |units| Amount::from_base_units(units).to_decimal(Decimals::USDT_TRON);
        assert_eq!(show(0), "0.0");
        assert_eq!(show(1), "0.000001");
        assert_eq!(show(5_000_000), "5.0");
        assert_eq!(show(10_500_000), "10.5");
        assert_eq!(show(u128::MAX), "340282366920938463463374607431768.211455");
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_text(units: u128, digits in 0_u8..=30) {
            let decimals = Decimals::new(digits).expect("in range");
            let text = Amount::from_base_units(units).to_decimal(decimals);
            prop_assert_eq!(Amount::parse(&text, decimals), Ok(Amount::from_base_units(units)));
        }

        #[test]
        fn shifting_the_exponent_changes_nothing(units in 0_u128..1_000_000_000_000_000, by in -40_i32..40) {
            let text = format!("{units}e{}", by - 6);
            let expected = if by >= 0 {
                10_u128.checked_pow(by as u32).and_then(|p| units.checked_mul(p))
            } else {
                10_u128.checked_pow(by.unsigned_abs()).filter(|p| units % p == 0).map(|p| units / p)
            };
            prop_assert_eq!(usdt(&text).ok(), expected);
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE \\PC]{0,40}") {
            if let Ok(units) = usdt(&text) {
                // Whatever was accepted is a number for everyone else too.
                let float: f64 = text.parse().expect("a number");
                prop_assert!((float * 1e6 - units as f64).abs() <= float.abs() * 1e-6 + 1e-3);
            }
        }
    }
}
