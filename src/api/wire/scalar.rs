//! Single values on the wire: exact numbers, texts made by `Display`, times, embedded JSON.

use std::fmt::Display;

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::amount::{Amount, Decimals};
use crate::domain::ids::UnixMs;

/// An amount as a JSON number, digit for digit.
pub struct ExactNumber(String);

impl ExactNumber {
    pub fn new(amount: Amount, decimals: Decimals) -> Self {
        Self(amount.to_decimal(decimals))
    }
}

impl Serialize for ExactNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        number.serialize(serializer)
    }
}

/// Anything with a text form, as a JSON string.
pub struct Text<T>(pub T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Unix seconds with the milliseconds as a fraction.
pub struct Seconds(pub UnixMs);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_seconds())
    }
}

/// A time as RFC 3339 in UTC with milliseconds: `2026-11-23T10:00:00.000Z`.
pub struct Rfc3339(pub UnixMs);

impl Display for Rfc3339 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, ms) = (self.0.0 / 1000, self.0.0 % 1000);
        let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (
            second_of_day / 3600,
            second_of_day / 60 % 60,
            second_of_day % 60,
        );
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
        )
    }
}

/// Howard Hinnant's `civil_from_days`, for days since 1970-01-01 that are not negative.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that a leap day ends its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// JSON kept as text, embedded as it is; an empty object where there is none.
pub struct Embedded<'a>(pub Option<&'a str>);

impl Serialize for Embedded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json: &RawValue =
            serde_json::from_str(self.0.unwrap_or("{}")).map_err(S::Error::custom)?;
        json.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_the_calendar_says() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_672_531_500_789, "2023-01-01T00:05:00.789Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(Rfc3339(UnixMs(ms)).to_string(), text);
        }
        // Absurd, but it must not panic.
        assert!(Rfc3339(UnixMs(u64::MAX)).to_string().ends_with('Z'));
    }

    #[test]
    fn amounts_are_numbers_with_every_digit() {
        let json = |units| {
            let number = ExactNumber::new(Amount::from_base_units(units), Decimals::USDT_TRON);
            serde_json::to_string(&number).expect("a number")
        };
        assert_eq!(json(5_000_000), "5.0");
        assert_eq!(json(10_500_000), "10.5");
        assert_eq!(json(1), "0.000001");
        assert_eq!(json(999_999_999_999), "999999.999999");
        assert_eq!(json(u128::MAX), "340282366920938463463374607431768.211455");
    }

    #[test]
    fn embedded_json_keeps_its_spelling() {
        let json = |text| serde_json::to_string(&Embedded(text)).expect("JSON");
        assert_eq!(json(None), "{}");
        assert_eq!(
            json(Some(r#"{"b": 1.50,"a":[ ]}"#)),
            r#"{"b": 1.50,"a":[ ]}"#
        );
        assert!(serde_json::to_string(&Embedded(Some("{"))).is_err());
    }

    #[test]
    fn seconds_carry_their_milliseconds() {
        let json = |ms| serde_json::to_string(&Seconds(UnixMs(ms))).expect("a number");
        assert_eq!(json(1_672_617_600_000), "1672617600.0");
        assert_eq!(json(1_672_531_500_789), "1672531500.789");
    }
}
