//! One endpoint's budget: requests a second, requests a UTC day, and the pauses it asked for.
//!
//! Owns the counters and decides whether a request may go out and when. Refuses to send, to
//! sleep and to read a clock: time is passed in, and the waiting is the caller's.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Usage;
use super::error::{Asked, SourceError};
use crate::domain::ids::UnixMs;

/// A second, and a tenth more: requests that left evenly may arrive bunched.
const WINDOW_MS: u64 = 1_100;
const DAY_MS: u64 = 86_400_000;
/// A request that would have to wait longer for its turn is refused instead.
pub const MAX_PACING_WAIT_MS: u64 = 2_000;
/// First pause after a throttled answer that names none; doubles while they go on.
pub const DEFAULT_PAUSE_MS: u64 = 1_000;
/// The longest such pause.
pub const LONGEST_DEFAULT_PAUSE_MS: u64 = 60_000;
/// The longest pause that a node's word is taken for.
pub const LONGEST_TOLD_PAUSE_MS: u64 = 3_600_000;
/// What a provider still answers once its own daily limit is used up.
const REQUESTS_PER_SECOND_PAST_DAILY_LIMIT: usize = 1;
/// Requests per second that are told apart; more is as good as unlimited.
pub const MAX_REQUESTS_PER_SECOND: u32 = 10_000;

/// What an operator allows one endpoint; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BudgetLimits {
    pub requests_per_second: Option<NonZeroU32>,
    /// When these are used up nothing is sent before the next UTC midnight.
    pub requests_per_day: Option<u64>,
}

/// Leave to send, after a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    pub wait: Duration,
}

/// No leave: not before `retry_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub retry_at: UnixMs,
    pub why: &'static str,
}

/// The budget of one endpoint, shared by everyone who asks it. Counts since the process began.
#[derive(Debug)]
pub struct Budget {
    limits: BudgetLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    day: u64,
    used_today: u64,
    /// The provider's own daily limit is used up: it serves one request a second until midnight.
    provider_day_spent: bool,
    paused_until: Option<Pause>,
    /// Throttled answers without a pause of their own, in a row.
    throttled_in_a_row: u32,
    /// When the latest requests went or will go out, oldest first.
    sent: VecDeque<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: UnixMs,
    why: &'static str,
}

impl Pause {
    const fn refusal(self) -> Refusal {
        Refusal {
            retry_at: self.until,
            why: self.why,
        }
    }
}

impl Refusal {
    pub(super) fn into_error(self, asked: &Asked, now: UnixMs) -> SourceError {
        SourceError::Budget {
            asked: asked.clone(),
            retry_at: self.retry_at,
            retry_after: Duration::from_millis(self.retry_at.0.saturating_sub(now.0)),
            why: self.why,
        }
    }
}

impl Budget {
    pub const fn new(limits: BudgetLimits) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                day: 0,
                used_today: 0,
                provider_day_spent: false,
                paused_until: None,
                throttled_in_a_row: 0,
                sent: VecDeque::new(),
            }),
        }
    }

    /// Counts one request, to be sent after the permit's wait.
    ///
    /// # Errors
    /// [`Refusal`] while a pause lasts, when the day is used up, or when the turn of this
    /// request would come only after [`MAX_PACING_WAIT_MS`].
    pub fn admit(&self, now: UnixMs) -> Result<Permit, Refusal> {
        let mut state = self.state_at(now);
        if let Some(refusal) = self.standing_refusal(&state, now) {
            return Err(refusal);
        }
        let turn = self.next_turn(&mut state, now);
        let wait_ms = turn - now.0;
        if wait_ms > MAX_PACING_WAIT_MS {
            return Err(Refusal {
                retry_at: UnixMs(turn),
                why: "the requests of the next seconds are spoken for",
            });
        }
        if self.per_second(&state).is_some() {
            state.sent.push_back(turn);
        }
        state.used_today += 1;
        Ok(Permit {
            wait: Duration::from_millis(wait_ms),
        })
    }

    /// The node asked for less; returns the pause that now holds. `told` is its own word.
    pub fn throttled(&self, now: UnixMs, told: Option<Duration>) -> Duration {
        let mut state = self.state_at(now);
        // "Retry after 0" is no pause: asking on at full speed would throttle us for good.
        let pause_ms = match told.filter(|told| !told.is_zero()) {
            Some(told) => u64::try_from(told.as_millis()).unwrap_or(u64::MAX),
            None => {
                let doublings = state.throttled_in_a_row.min(16);
                state.throttled_in_a_row += 1;
                (DEFAULT_PAUSE_MS << doublings).min(LONGEST_DEFAULT_PAUSE_MS)
            }
        };
        pause(&mut state, now, pause_ms, "the node asked for a pause")
    }

    /// The node suspended us for `told`; returns the pause that now holds.
    pub fn suspended(&self, now: UnixMs, told: Duration) -> Duration {
        let mut state = self.state_at(now);
        let pause_ms = u64::try_from(told.as_millis()).unwrap_or(u64::MAX);
        let pause_ms = pause_ms.max(DEFAULT_PAUSE_MS);
        pause(&mut state, now, pause_ms, "the node suspended us")
    }

    /// The provider's daily limit is used up; returns the pause that now holds.
    pub fn provider_day_spent(&self, now: UnixMs) -> Duration {
        let mut state = self.state_at(now);
        state.provider_day_spent = true;
        pause(&mut state, now, WINDOW_MS, "the provider's day is used up")
    }

    /// The pause that holds now, for a request that was given leave before.
    pub fn pause_at(&self, now: UnixMs) -> Option<Refusal> {
        self.state_at(now).paused_until.map(Pause::refusal)
    }

    /// The node answered a request.
    pub fn answered(&self) {
        self.lock().throttled_in_a_row = 0;
    }

    pub fn usage(&self, now: UnixMs) -> Usage {
        let state = self.state_at(now);
        let refusal = self.standing_refusal(&state, now);
        Usage {
            requests_today: state.used_today,
            requests_left_today: self
                .limits
                .requests_per_day
                .map(|limit| limit.saturating_sub(state.used_today)),
            suspended_until: state.paused_until.map(|pause| pause.until),
            refuses_until: refusal.map(|refusal| refusal.retry_at),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counters stay usable whatever a panicking holder left behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with everything gone that `now` has left behind. A clock that was set back
    /// must not lock the endpoint out: whatever lies too far ahead goes too.
    fn state_at(&self, now: UnixMs) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let day = now.0 / DAY_MS;
        if state.day != day {
            state.day = day;
            state.used_today = 0;
            state.provider_day_spent = false;
        }
        let still_ahead = now.0 + 1..=now.0.saturating_add(LONGEST_TOLD_PAUSE_MS);
        state.paused_until = state
            .paused_until
            .filter(|pause| still_ahead.contains(&pause.until.0));
        let furthest = now.0.saturating_add(MAX_PACING_WAIT_MS);
        state.sent.retain(|sent| *sent <= furthest);
        state
    }

    fn standing_refusal(&self, state: &State, now: UnixMs) -> Option<Refusal> {
        let pause = state.paused_until.map(Pause::refusal);
        let day_is_spent = self
            .limits
            .requests_per_day
            .is_some_and(|limit| state.used_today >= limit);
        let day = day_is_spent.then(|| Refusal {
            retry_at: UnixMs((now.0 / DAY_MS + 1).saturating_mul(DAY_MS)),
            why: "the configured requests per day are used up",
        });
        pause.into_iter().chain(day).max_by_key(|it| it.retry_at)
    }

    fn per_second(&self, state: &State) -> Option<usize> {
        let configured = self.limits.requests_per_second.map(|limit| {
            usize::try_from(limit.get().min(MAX_REQUESTS_PER_SECOND)).unwrap_or(usize::MAX)
        });
        if state.provider_day_spent {
            return Some(REQUESTS_PER_SECOND_PAST_DAILY_LIMIT);
        }
        configured
    }

    /// The earliest time at which one more request leaves no window with more than the limit.
    fn next_turn(&self, state: &mut State, now: UnixMs) -> u64 {
        let Some(limit) = self.per_second(state) else {
            return now.0;
        };
        while state.sent.len() > limit {
            state.sent.pop_front();
        }
        match state.sent.front() {
            Some(oldest) if state.sent.len() == limit => (oldest + WINDOW_MS).max(now.0),
            _ => now.0,
        }
    }
}

fn pause(state: &mut State, now: UnixMs, pause_ms: u64, why: &'static str) -> Duration {
    let until = now.plus_ms(pause_ms.min(LONGEST_TOLD_PAUSE_MS));
    let longest = match state.paused_until {
        Some(standing) if standing.until >= until => standing,
        _ => Pause { until, why },
    };
    state.paused_until = Some(longest);
    Duration::from_millis(longest.until.0 - now.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: UnixMs = UnixMs(20_000 * DAY_MS + DAY_MS / 2);

    fn budget(per_second: u32, per_day: u64) -> Budget {
        Budget::new(BudgetLimits {
            requests_per_second: NonZeroU32::new(per_second),
            requests_per_day: (per_day > 0).then_some(per_day),
        })
    }

    fn wait_ms(budget: &Budget, now: UnixMs) -> u128 {
        budget.admit(now).expect("leave").wait.as_millis()
    }

    #[test]
    fn without_limits_nothing_waits() {
        let budget = budget(0, 0);
        for _ in 0..100_000 {
            assert_eq!(wait_ms(&budget, NOON), 0);
        }
        let usage = budget.usage(NOON);
        assert_eq!(usage.requests_today, 100_000);
        assert_eq!(usage.requests_left_today, None);
        assert_eq!(usage.refuses_until, None);
    }

    #[test]
    fn a_burst_goes_out_at_once_and_the_rest_in_its_turn() {
        let budget = budget(3, 0);
        let waits: Vec<u128> = (0..6).map(|_| wait_ms(&budget, NOON)).collect();
        assert_eq!(waits, [0, 0, 0, 1_100, 1_100, 1_100]);
        let refusal = budget.admit(NOON).expect_err("too far ahead");
        assert_eq!(refusal.retry_at, NOON.plus_ms(2 * WINDOW_MS));
        assert_eq!(wait_ms(&budget, refusal.retry_at), 0);
        assert_eq!(budget.usage(NOON).requests_today, 7);
    }

    #[test]
    fn a_spent_day_ends_at_utc_midnight() {
        let budget = budget(0, 2);
        assert_eq!(wait_ms(&budget, NOON), 0);
        assert_eq!(budget.usage(NOON).requests_left_today, Some(1));
        assert_eq!(wait_ms(&budget, NOON), 0);
        let midnight = UnixMs(20_001 * DAY_MS);
        assert_eq!(budget.admit(NOON).expect_err("spent").retry_at, midnight);
        assert_eq!(budget.usage(NOON).refuses_until, Some(midnight));
        assert!(budget.admit(midnight.minus_ms(1)).is_err());
        assert_eq!(wait_ms(&budget, midnight), 0);
        assert_eq!(budget.usage(midnight).requests_today, 1);
    }

    #[test]
    fn pauses_hold_and_the_longest_wins() {
        let budget = budget(0, 0);
        assert_eq!(
            budget.suspended(NOON, Duration::from_secs(30)).as_secs(),
            30
        );
        let shorter = budget.throttled(NOON, Some(Duration::from_secs(5)));
        assert_eq!(shorter.as_secs(), 30);
        let until = NOON.plus_seconds(30);
        assert_eq!(budget.admit(NOON).expect_err("paused").retry_at, until);
        assert_eq!(budget.usage(NOON).suspended_until, Some(until));
        assert!(budget.admit(until.minus_ms(1)).is_err());
        assert_eq!(wait_ms(&budget, until), 0);
        assert_eq!(budget.usage(until).suspended_until, None);
    }

    #[test]
    fn unspoken_pauses_grow_until_the_node_answers() {
        let budget = budget(0, 0);
        let mut now = NOON;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = budget.throttled(now, None);
            pauses.push(pause.as_secs());
            now = now.plus_seconds(pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        budget.answered();
        assert_eq!(budget.throttled(now, None).as_secs(), 1);
    }

    #[test]
    fn a_pause_of_nothing_is_a_pause_all_the_same() {
        assert_eq!(
            budget(0, 0).throttled(NOON, Some(Duration::ZERO)).as_secs(),
            1
        );
        assert_eq!(budget(0, 0).suspended(NOON, Duration::ZERO).as_secs(), 1);
    }

    #[test]
    fn no_word_of_a_node_silences_the_hub_for_long() {
        let told = Duration::from_secs(u64::MAX);
        assert_eq!(
            budget(0, 0).suspended(NOON, told).as_millis(),
            u128::from(LONGEST_TOLD_PAUSE_MS)
        );
    }

    #[test]
    fn past_the_providers_daily_limit_one_a_second_goes_out_until_midnight() {
        let budget = budget(12, 0);
        for _ in 0..12 {
            budget.admit(NOON).expect("leave");
        }
        let pause = budget.provider_day_spent(NOON);
        let later = NOON.plus_ms(u64::try_from(pause.as_millis()).expect("short"));
        let first = budget.admit(later).expect("leave").wait;
        let second = budget.admit(later).expect("leave").wait;
        assert_eq!((second - first).as_millis(), u128::from(WINDOW_MS));
        let midnight = UnixMs(20_001 * DAY_MS);
        for _ in 0..12 {
            assert_eq!(wait_ms(&budget, midnight), 0);
        }
    }

    /// A clock set back by a day once would have kept a suspension for that whole day.
    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let budget = budget(1, 0);
        budget.admit(NOON).expect("leave");
        budget.suspended(NOON, Duration::from_secs(30));
        let before = NOON.minus_ms(DAY_MS);
        assert_eq!(wait_ms(&budget, before), 0);
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_the_limit(
            limit in 1_u32..20,
            gaps in proptest::collection::vec(0_u64..400, 1..200),
        ) {
            let budget = budget(limit, 0);
            let mut now = NOON;
            let mut sent = Vec::new();
            for gap in gaps {
                now = now.plus_ms(gap);
                if let Ok(permit) = budget.admit(now) {
                    sent.push(now.0 + u64::try_from(permit.wait.as_millis()).expect("short"));
                }
            }
            let limit = usize::try_from(limit).expect("small");
            for window in sent.windows(limit + 1) {
                prop_assert!(window[limit] - window[0] >= WINDOW_MS);
            }
        }
    }
}
