//! Pauses that a node asks for in the text of an error, whatever its status code.
//!
//! Owns the known wordings. Refuses to guess at others: they are ordinary errors.
//! Source: TronGrid's "Rate limits" page, answers captured from it, java-tron's rate limiter.

use std::time::Duration;

/// A pause that a text asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    Suspended(Duration),
    /// `None` where the length is ours to choose.
    Throttled(Option<Duration>),
    /// The provider's daily limit is used up; one request a second still goes through.
    DaySpent,
}

const THROTTLING_TEXTS: [&str; 3] = [
    // java-tron's own limiter, with status 200.
    "lack of computing resources",
    "exceeds the frequency limit",
    "exceeded the allowed_rps",
];

/// The pause that `text` asks for; a `Retry-After` beside it is obeyed too, when it is longer.
pub(super) fn told_by(text: &str, retry_after: Option<Duration>) -> Option<Pause> {
    if let Some(told) = suspension(text) {
        return Some(Pause::Suspended(told.max(retry_after.unwrap_or_default())));
    }
    if text.contains("Exceed the user daily usage") {
        return Some(Pause::DaySpent);
    }
    THROTTLING_TEXTS
        .iter()
        .any(|known| text.contains(known))
        .then_some(Pause::Throttled(retry_after))
}

/// The seconds in `suspended for 30s` or `suspended for 30 s`.
fn suspension(text: &str) -> Option<Duration> {
    let (_, after) = text.split_once("suspended for ")?;
    let after = after.trim_start();
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = after.split_at(digits);
    if number.is_empty() || !unit.trim_start().starts_with('s') {
        return None;
    }
    // So many digits that they overflow are a long time all the same.
    Some(Duration::from_secs(number.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_wordings_are_understood() {
        let seconds = |s| Some(Pause::Suspended(Duration::from_secs(s)));
        let told = |text| told_by(text, None);
        assert_eq!(
            told(
                "The key exceeds the frequency limit(15), and the query server is suspended for 30s"
            ),
            seconds(30)
        );
        assert_eq!(
            told(
                "request rate exceeded the allowed_rps(3), and the query server is suspended for 5 s"
            ),
            seconds(5)
        );
        assert_eq!(
            told("suspended for 99999999999999999999999s"),
            seconds(u64::MAX)
        );
        assert_eq!(
            told("The key exceeds the frequency limit(15)"),
            Some(Pause::Throttled(None))
        );
        assert_eq!(
            told("class java.lang.IllegalAccessException : lack of computing resources"),
            Some(Pause::Throttled(None))
        );
        assert_eq!(
            told(
                "Exceed the user daily usage (100000), the maximum query frequency is 1 time per second"
            ),
            Some(Pause::DaySpent)
        );
        for other in [
            "",
            "suspended for s",
            "suspended for ever",
            "suspended for 5 minutes",
            "id must be legal",
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }

    #[test]
    fn the_longer_of_two_pauses_counts() {
        let minute = Duration::from_secs(60);
        assert_eq!(
            told_by("suspended for 30s", Some(minute)),
            Some(Pause::Suspended(minute))
        );
    }
}
