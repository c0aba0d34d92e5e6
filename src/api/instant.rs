//! A point in time as a client writes it: Unix seconds as a number, or RFC 3339 in quotes.
//!
//! Refuses what is before 1970 or after 9999, and dates that the calendar does not have.

use serde_json::value::RawValue;

use super::checks::Checked;
use super::mistake::Quoted;
use super::request::string;
use crate::domain::ids::UnixMs;

/// The last second of the year 9999.
pub const MAX_SECONDS: u64 = 253_402_300_799;
/// Length of `2026-11-23T10:00:00`.
const SECONDS_AT: usize = 19;

/// The time that a field says.
pub fn instant(name: &str, value: &RawValue) -> Checked<UnixMs> {
    let text = string(value);
    let read = match &text {
        Some(text) => rfc3339(text),
        None => unix_seconds(value.get()),
    };
    read.ok_or_else(|| {
        let given = text.as_deref().unwrap_or(value.get());
        format!(
            "{name} must be a time, as 1795515821 (Unix seconds) or \"2026-11-23T10:00:00Z\"; {} is none",
            Quoted(given)
        )
    })
}

/// Digits, and milliseconds as a fraction; finer digits are cut off.
fn unix_seconds(text: &str) -> Option<UnixMs> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds: u64 = digits(whole)?;
    (seconds <= MAX_SECONDS).then_some(UnixMs(seconds * 1000 + milliseconds(fraction)?))
}

fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn milliseconds(fraction: &str) -> Option<u64> {
    let all = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let first: String = fraction.chars().chain("000".chars()).take(3).collect();
    all.then(|| digits(&first)).flatten()
}

fn rfc3339(text: &str) -> Option<UnixMs> {
    let (date_time, rest) = (text.get(..SECONDS_AT)?, text.get(SECONDS_AT..)?);
    let local = local_seconds(date_time)?;
    let digit_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (fraction, offset) = rest.split_at(digit_end?);
    let ms = match fraction.strip_prefix('.') {
        Some(fraction) => milliseconds(fraction)?,
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let seconds = local.checked_sub(offset_seconds(offset)?)?;
    let seconds = u64::try_from(seconds).ok()?;
    (seconds <= MAX_SECONDS).then_some(UnixMs(seconds * 1000 + ms))
}

/// `2026-11-23T10:00:00` as seconds since 1970, whatever its offset.
fn local_seconds(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let between = matches!(bytes.get(10)?, b'T' | b't' | b' ');
    if !between || marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
        return None;
    }
    let part = |from: usize, to: usize| digits(text.get(from..to)?);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    // A leap second is the first of the next minute here, as in Unix time.
    if day == 0 || day > days_in(year, month)? || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let in_day = hour * 3600 + minute * 60 + second;
    i64::try_from(in_day)
        .ok()?
        .checked_add(days(year, month, day)? * 86_400)
}

fn days_in(year: u64, month: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    Some(match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    })
}

/// Days since 1970-01-01 of a day that the calendar has, counted month by month.
fn days(year: u64, month: u64, day: u64) -> Option<i64> {
    let before = year.checked_sub(1)?;
    let leaps = before / 4 - before / 100 + before / 400;
    let months: Option<u64> = (1..month).map(|month| days_in(year, month)).sum();
    let since_year_1 = before * 365 + leaps + months? + (day - 1);
    /// Days from 0001-01-01 to 1970-01-01.
    const EPOCH: i64 = 719_162;
    Some(i64::try_from(since_year_1).ok()? - EPOCH)
}

/// `Z`, or hours and minutes east of Greenwich.
fn offset_seconds(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::try_from(hours * 3600 + minutes * 60).ok()?;
    match sign {
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::scalar::Rfc3339;

    fn read(json: &str) -> Option<u64> {
        let value: &RawValue = serde_json::from_str(json).expect("JSON");
        instant("since", value).ok().map(|at| at.0)
    }

    #[test]
    fn both_forms_say_the_same() {
        for (json, ms) in [
            ("0", 0),
            ("1672531500", 1_672_531_500_000),
            ("1672531500.7", 1_672_531_500_700),
            ("1672531500.7899", 1_672_531_500_789),
            ("\"1970-01-01T00:00:00Z\"", 0),
            ("\"2023-01-01T00:05:00.789Z\"", 1_672_531_500_789),
            ("\"2023-01-01t01:05:00.789123456+01:00\"", 1_672_531_500_789),
            ("\"2022-12-31 18:35:00-05:30\"", 1_672_531_500_000),
            ("\"2024-02-29T00:00:00Z\"", 1_709_164_800_000),
            ("\"2000-02-29T00:00:00-00:00\"", 951_782_400_000),
            ("\"2016-12-31T23:59:60Z\"", 1_483_228_800_000),
            ("\"9999-12-31T23:59:59Z\"", 253_402_300_799_000),
        ] {
            assert_eq!(read(json), Some(ms), "{json}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_so() {
        for json in [
            "-1",
            "1e9",
            "1.5e9",
            "99999999999999999999999",
            "253402300800",
            "true",
            "{}",
            "\"\"",
            "\"now\"",
            "\"1672531500\"",
            "\"2023-01-01\"",
            "\"2023-01-01T00:00:00\"",
            "\"2023-01-01T00:00Z\"",
            "\"2023-02-29T00:00:00Z\"",
            "\"2023-13-01T00:00:00Z\"",
            "\"2023-00-01T00:00:00Z\"",
            "\"2023-04-31T00:00:00Z\"",
            "\"2023-01-00T00:00:00Z\"",
            "\"2023-01-01T24:00:00Z\"",
            "\"2023-01-01T00:60:00Z\"",
            "\"2023-01-01T00:00:00.Z\"",
            "\"2023-01-01T00:00:00,5Z\"",
            "\"2023-01-01T00:00:00.1.2Z\"",
            "\"2023-01-01T00:00:0012Z\"",
            "\"2023-01-01T00:00:00+1:00\"",
            "\"2023-01-01T00:00:00+01\"",
            "\"2023-01-01T00:00:00+24:00\"",
            "\"2023-01-01T00:00:00Zulu\"",
            "\"1969-12-31T23:59:59Z\"",
            "\"0000-01-01T00:00:00Z\"",
            "\"2023-01-01T00:00:00\u{e9}\"",
            "\"\u{e9}023-01-01T00:00:00Z\"",
            "\"+023-01-01T00:00:00Z\"",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    /// What the API writes it also reads, over the whole range.
    #[test]
    fn every_time_that_is_written_is_read_back() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let at = UnixMs(rng.u64(..=MAX_SECONDS * 1000));
            assert_eq!(rfc3339(&Rfc3339(at).to_string()), Some(at));
        }
    }
}
