//! When a webhook that failed is tried again: the schedule, its jitter, and a receiver's `Retry-After`.
//!
//! Pure arithmetic. Refuses to know the clock or to draw random numbers: both are handed in. Knows nothing of
//! endpoints; whether one is disabled or slowed is the dispatcher's business.
//! Source of the schedule: API.md section 4, after the Standard Webhooks 1.0 recommendation.

use super::ids::UnixMs;

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// What is waited before each attempt, counted from the end of the one before it; ms.
const WAITS_MS: [u64; 10] = [
    0,
    5 * SECOND_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];

/// Attempts in all, the first included; about three days and a quarter.
pub const MAX_ATTEMPTS: u32 = WAITS_MS.len() as u32;

/// A wait is stretched or shortened by at most this part of itself, per cent.
const JITTER_PERCENT: i128 = 20;

/// Where in the jitter's range one wait falls: from -1 (shortest) over 0 (as scheduled) to 1 (longest).
///
/// Kept in millionths, so that the schedule needs no floating point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(i32);

impl Jitter {
    const ONE: i32 = 1_000_000;
    /// The wait as scheduled.
    pub const NONE: Self = Self(0);
    /// The shortest wait, -20 %.
    pub const SHORTEST: Self = Self(-Self::ONE);
    /// The longest wait, +20 %.
    pub const LONGEST: Self = Self(Self::ONE);

    /// Spreads 32 random bits evenly over the range.
    pub const fn from_random(bits: u32) -> Self {
        let span = 2 * Self::ONE as u64 + 1;
        let place = (bits as u64 * span) >> 32;
        Self(place as i32 - Self::ONE)
    }

    /// The wait as this draw has it.
    pub const fn apply(self, wait_ms: u64) -> u64 {
        let scale = 100 * Self::ONE as i128;
        let factor = scale + self.0 as i128 * JITTER_PERCENT;
        (wait_ms as i128 * factor / scale) as u64
    }
}

/// How long a receiver asked to be left alone; whole seconds, at most [`RetryAfter::MAX_SECONDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfter(u32);

impl RetryAfter {
    /// A receiver that asks for more than a day is called again after a day.
    pub const MAX_SECONDS: u32 = 24 * 60 * 60;

    /// Caps what a receiver asked for.
    pub const fn from_seconds(seconds: u64) -> Self {
        if seconds > Self::MAX_SECONDS as u64 {
            Self(Self::MAX_SECONDS)
        } else {
            Self(seconds as u32)
        }
    }

    /// Whole seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextAttempt {
    /// Try again at this time, not before.
    At(UnixMs),
    /// All attempts are used up; the delivery stays on record as exhausted.
    Exhausted,
}

/// Says when to try next.
///
/// `attempts_made` counts the attempts that have ended, so 0 asks for the first one; `now` is when the last one ended.
/// The next one is never sooner than `retry_after`, which jitter does not shorten.
pub const fn next_attempt(
    attempts_made: u32,
    now: UnixMs,
    jitter: Jitter,
    retry_after: Option<RetryAfter>,
) -> NextAttempt {
    if attempts_made >= MAX_ATTEMPTS {
        return NextAttempt::Exhausted;
    }
    let scheduled_ms = jitter.apply(WAITS_MS[attempts_made as usize]);
    let asked_ms = match retry_after {
        Some(wait) => wait.0 as u64 * SECOND_MS,
        None => 0,
    };
    let wait_ms = if asked_ms > scheduled_ms {
        asked_ms
    } else {
        scheduled_ms
    };
    NextAttempt::At(now.plus_ms(wait_ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMs = UnixMs(1_672_531_200_000);

    fn wait_ms(attempts_made: u32, jitter: Jitter, retry_after: Option<RetryAfter>) -> u64 {
        match next_attempt(attempts_made, NOW, jitter, retry_after) {
            NextAttempt::At(at) => at.0 - NOW.0,
            NextAttempt::Exhausted => panic!("attempt {attempts_made} should have a successor"),
        }
    }

    #[test]
    fn ten_attempts_at_the_published_intervals() {
        let seconds: Vec<u64> = (0..MAX_ATTEMPTS)
            .map(|n| wait_ms(n, Jitter::NONE, None) / 1000)
            .collect();
        assert_eq!(
            seconds,
            [
                0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400
            ]
        );
        assert_eq!(
            next_attempt(10, NOW, Jitter::NONE, None),
            NextAttempt::Exhausted
        );
    }

    #[test]
    fn jitter_is_a_fifth_either_way() {
        assert_eq!(wait_ms(1, Jitter::SHORTEST, None), 4000);
        assert_eq!(wait_ms(1, Jitter::LONGEST, None), 6000);
        assert_eq!(wait_ms(0, Jitter::LONGEST, None), 0);
    }

    #[test]
    fn random_bits_cover_the_whole_range() {
        assert_eq!(Jitter::from_random(0), Jitter::SHORTEST);
        assert_eq!(Jitter::from_random(u32::MAX), Jitter::LONGEST);
        assert_eq!(Jitter::from_random(1 << 31), Jitter::NONE);
    }

    #[test]
    fn a_receiver_cannot_ask_for_more_than_a_day() {
        let asked = Some(RetryAfter::from_seconds(u64::MAX));
        assert_eq!(wait_ms(1, Jitter::LONGEST, asked), 86_400_000);
        assert_eq!(
            next_attempt(10, NOW, Jitter::NONE, asked),
            NextAttempt::Exhausted
        );
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let end = UnixMs(u64::MAX - 1);
        assert_eq!(
            next_attempt(9, end, Jitter::LONGEST, None),
            NextAttempt::At(UnixMs(u64::MAX))
        );
    }

    proptest! {
        #[test]
        fn every_wait_is_within_a_fifth_of_its_schedule(n in 0..MAX_ATTEMPTS, bits: u32) {
            let scheduled = WAITS_MS[n as usize];
            let wait = wait_ms(n, Jitter::from_random(bits), None);
            prop_assert!(wait >= scheduled - scheduled / 5 && wait <= scheduled + scheduled / 5);
        }

        #[test]
        fn never_sooner_than_asked_never_later_than_both(n in 0..MAX_ATTEMPTS, bits: u32, seconds: u64) {
            let jitter = Jitter::from_random(bits);
            let asked_ms = seconds.min(86_400) * 1000;
            let wait = wait_ms(n, jitter, Some(RetryAfter::from_seconds(seconds)));
            prop_assert!(wait >= asked_ms);
            prop_assert_eq!(wait, asked_ms.max(wait_ms(n, jitter, None)));
        }

        #[test]
        fn it_ends_after_ten(attempts_made: u32, bits: u32, now: u64) {
            let next = next_attempt(attempts_made, UnixMs(now), Jitter::from_random(bits), None);
            prop_assert_eq!(next == NextAttempt::Exhausted, attempts_made >= 10);
            if let NextAttempt::At(at) = next {
                prop_assert!(at >= UnixMs(now));
            }
        }

        #[test]
        fn a_higher_draw_never_waits_less(n in 0..MAX_ATTEMPTS, a: u32, b: u32) {
            let (low, high) = (Jitter::from_random(a.min(b)), Jitter::from_random(a.max(b)));
            prop_assert!(wait_ms(n, low, None) <= wait_ms(n, high, None));
        }
    }
}
