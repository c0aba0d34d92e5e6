//! The breaker of one target: a receiver that only fails is left alone for a while, then asked by one attempt.
//!
//! Pure: time and chance are passed in. Owns when a target may be called at all. Refuses to know which deliveries wait,
//! or to count any of them as attempted while it is open.

use super::moment::Moment;
use crate::domain::retry::{Jitter, RetryAfter};

/// Failures in a row that open it.
pub const FAILURES_TO_OPEN: u32 = 5;
/// How long it stays open the first time, ms; each failed probe doubles it.
pub const FIRST_PAUSE_MS: u64 = 15_000;
/// The longest that it stays open, whatever the receiver asked for, before jitter; ms.
pub const LONGEST_PAUSE_MS: u64 = 300_000;
/// Doublings after which the longest pause is reached.
const MAX_DOUBLINGS: u32 = 5;

/// What an ended attempt says about its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// 2xx.
    Delivered,
    /// The target answered, and the answer concerns one URL alone.
    Answered,
    /// The target failed.
    Failed,
    /// The target asks for less, perhaps with a time.
    Overloaded(Option<RetryAfter>),
    /// Nothing: no attempt was made.
    Nothing,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Free,
    /// One, to see how the target is.
    Probe,
    /// None before this moment.
    Shut(Moment),
    /// None before the probe has ended.
    Probing,
}

/// What an attempt is to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Usual,
    Probe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Moment, doublings: u32 },
    Probing { doublings: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker(State);

impl Default for Breaker {
    fn default() -> Self {
        Self(State::Closed { failures: 0 })
    }
}

impl Breaker {
    pub fn gate(&self, now: Moment) -> Gate {
        match self.0 {
            State::Closed { .. } => Gate::Free,
            State::Open { until, .. } if until > now => Gate::Shut(until),
            State::Open { .. } => Gate::Probe,
            State::Probing { .. } => Gate::Probing,
        }
    }

    pub const fn is_open(&self) -> bool {
        !matches!(self.0, State::Closed { .. })
    }

    /// Until when it is open; once that has passed one attempt shows how the target is, and meanwhile it is now.
    pub fn open_until(&self, now: Moment) -> Option<Moment> {
        match self.0 {
            State::Closed { .. } => None,
            State::Open { until, .. } => Some(until.max(now)),
            State::Probing { .. } => Some(now),
        }
    }

    /// Closed, with no failure counted.
    pub fn is_fresh(&self) -> bool {
        *self == Self::default()
    }

    /// An attempt begins that the gate let through.
    pub fn begin(&mut self) -> Role {
        match self.0 {
            State::Open { doublings, .. } => {
                self.0 = State::Probing { doublings };
                Role::Probe
            }
            State::Closed { .. } | State::Probing { .. } => Role::Usual,
        }
    }

    /// Somebody asks by hand: the probe need not wait.
    pub fn bring_forward(&mut self, now: Moment) {
        if let State::Open { until, .. } = &mut self.0 {
            *until = now.min(*until);
        }
    }

    /// An attempt has ended.
    pub fn end(&mut self, role: Role, told: Told, now: Moment, jitter: Jitter) {
        match (self.0, role) {
            (State::Closed { failures }, _) => self.end_usual(failures, told, now, jitter),
            (State::Probing { doublings }, Role::Probe) => {
                self.end_probe(doublings, told, now, jitter);
            }
            // Begun before it opened: old news, but for a wish to be left alone.
            (State::Open { until, doublings }, _) => {
                let until = until.max(asked_until(told, now).unwrap_or(until));
                self.0 = State::Open { until, doublings };
            }
            (State::Probing { doublings }, Role::Usual) => {
                // The probe that is under way cannot close what was just asked for.
                if let Some(until) = asked_until(told, now) {
                    self.0 = State::Open { until, doublings };
                }
            }
        }
    }

    fn end_usual(&mut self, failures: u32, told: Told, now: Moment, jitter: Jitter) {
        let failures = match told {
            Told::Delivered | Told::Answered => 0,
            Told::Nothing => failures,
            Told::Failed | Told::Overloaded(_) => failures + 1,
        };
        let asked = asked_until(told, now);
        let tired = (failures >= FAILURES_TO_OPEN).then(|| paused_until(0, now, jitter));
        self.0 = match asked.max(tired) {
            Some(until) => State::Open {
                until,
                doublings: 0,
            },
            None => State::Closed { failures },
        };
    }

    fn end_probe(&mut self, doublings: u32, told: Told, now: Moment, jitter: Jitter) {
        let doublings = match told {
            Told::Delivered | Told::Answered => return *self = Self::default(),
            Told::Nothing => doublings,
            Told::Failed | Told::Overloaded(_) => (doublings + 1).min(MAX_DOUBLINGS),
        };
        let paused = paused_until(doublings, now, jitter);
        let until = asked_until(told, now).map_or(paused, |asked| asked.max(paused));
        self.0 = State::Open { until, doublings };
    }
}

fn paused_until(doublings: u32, now: Moment, jitter: Jitter) -> Moment {
    let pause_ms = (FIRST_PAUSE_MS << doublings).min(LONGEST_PAUSE_MS);
    now.plus_ms(jitter.apply(pause_ms))
}

/// When a target that named a time may be called again; the whole target is held back for the longest pause at most.
fn asked_until(told: Told, now: Moment) -> Option<Moment> {
    let Told::Overloaded(Some(wait)) = told else {
        return None;
    };
    let wait_ms = u64::from(wait.seconds()) * 1000;
    (wait_ms > 0).then(|| now.plus_ms(wait_ms.min(LONGEST_PAUSE_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_000_000);

    fn end(breaker: &mut Breaker, told: Told, now: Moment) {
        let role = breaker.begin();
        breaker.end(role, told, now, Jitter::NONE);
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_TO_OPEN {
            assert_eq!(breaker.gate(NOW), Gate::Free);
            end(&mut breaker, Told::Failed, NOW);
        }
        breaker
    }

    fn overloaded(seconds: u64) -> Told {
        Told::Overloaded(Some(RetryAfter::from_seconds(seconds)))
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_anything_alive_starts_the_count_anew() {
        assert_eq!(opened().gate(NOW), Gate::Shut(NOW.plus_ms(15_000)));
        for alive in [Told::Delivered, Told::Answered] {
            let mut breaker = Breaker::default();
            for _ in 0..4 {
                for _ in 0..4 {
                    end(&mut breaker, Told::Failed, NOW);
                }
                end(&mut breaker, alive, NOW);
            }
            assert!(breaker.is_fresh());
        }
    }

    #[test]
    fn what_says_nothing_counts_for_nothing() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            end(&mut breaker, Told::Failed, NOW);
        }
        end(&mut breaker, Told::Nothing, NOW);
        assert_eq!(breaker.gate(NOW), Gate::Free);
        end(&mut breaker, Told::Failed, NOW);
        assert!(breaker.is_open());
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_a_success_closes_it() {
        let (mut breaker, mut now) = (opened(), NOW);
        for seconds in [15, 30, 60, 120, 240, 300, 300] {
            let Gate::Shut(until) = breaker.gate(now) else {
                panic!("open")
            };
            assert_eq!(until, now.plus_ms(seconds * 1000));
            now = until;
            assert_eq!(breaker.gate(now), Gate::Probe);
            assert_eq!(breaker.begin(), Role::Probe);
            assert_eq!(breaker.gate(now), Gate::Probing, "one probe at a time");
            breaker.end(Role::Probe, Told::Failed, now, Jitter::NONE);
        }
        now = now.plus_ms(LONGEST_PAUSE_MS);
        end(&mut breaker, Told::Delivered, now);
        assert!(breaker.is_fresh());
    }

    #[test]
    fn jitter_is_a_fifth_either_way() {
        for (jitter, ms) in [(Jitter::SHORTEST, 12_000), (Jitter::LONGEST, 18_000)] {
            let mut breaker = Breaker(State::Closed { failures: 4 });
            breaker.end(Role::Usual, Told::Failed, NOW, jitter);
            assert_eq!(breaker.gate(NOW), Gate::Shut(NOW.plus_ms(ms)));
        }
    }

    #[test]
    fn a_receiver_that_names_a_time_is_left_alone_for_it_but_not_for_longer_than_five_minutes() {
        for (asked_s, held_s) in [(1, 1), (60, 60), (300, 300), (3600, 300), (u64::MAX, 300)] {
            let mut breaker = Breaker::default();
            end(&mut breaker, overloaded(asked_s), NOW);
            assert_eq!(breaker.gate(NOW), Gate::Shut(NOW.plus_ms(held_s * 1000)));
            let later = NOW.plus_ms(held_s * 1000);
            assert_eq!(breaker.gate(later), Gate::Probe);
        }
        let mut breaker = Breaker::default();
        end(&mut breaker, overloaded(0), NOW);
        end(&mut breaker, Told::Overloaded(None), NOW);
        assert_eq!(breaker.gate(NOW), Gate::Free);
    }

    #[test]
    fn the_longer_of_pause_and_wish_counts() {
        let mut breaker = Breaker(State::Closed { failures: 4 });
        breaker.end(Role::Usual, overloaded(1), NOW, Jitter::NONE);
        assert_eq!(breaker.gate(NOW), Gate::Shut(NOW.plus_ms(15_000)));
        let later = NOW.plus_ms(15_000);
        end(&mut breaker, overloaded(100), later);
        assert_eq!(breaker.gate(later), Gate::Shut(later.plus_ms(100_000)));
    }

    /// Eight attempts are under way when the fifth failure opens it: their ends neither double the pause nor close it.
    #[test]
    fn attempts_from_before_it_opened_are_old_news() {
        let mut breaker = opened();
        let shut = breaker.gate(NOW);
        for told in [
            Told::Failed,
            Told::Delivered,
            Told::Answered,
            Told::Nothing,
            overloaded(3),
        ] {
            breaker.end(Role::Usual, told, NOW, Jitter::NONE);
            assert_eq!(breaker.gate(NOW), shut, "{told:?}");
        }
        breaker.end(Role::Usual, overloaded(60), NOW, Jitter::NONE);
        assert_eq!(breaker.gate(NOW), Gate::Shut(NOW.plus_ms(60_000)));

        let later = NOW.plus_ms(60_000);
        assert_eq!(breaker.begin(), Role::Probe);
        breaker.end(Role::Usual, Told::Delivered, later, Jitter::NONE);
        assert_eq!(breaker.gate(later), Gate::Probing);
        breaker.end(Role::Usual, overloaded(9), later, Jitter::NONE);
        assert_eq!(breaker.gate(later), Gate::Shut(later.plus_ms(9_000)));
        // The probe comes home to an open breaker.
        breaker.end(Role::Probe, Told::Delivered, later, Jitter::NONE);
        assert_eq!(breaker.gate(later), Gate::Shut(later.plus_ms(9_000)));
    }

    #[test]
    fn a_probe_by_hand_need_not_wait_and_is_still_one() {
        let mut breaker = opened();
        breaker.bring_forward(NOW);
        assert_eq!(breaker.gate(NOW), Gate::Probe);
        assert_eq!(breaker.begin(), Role::Probe);
        breaker.bring_forward(NOW);
        assert_eq!(breaker.gate(NOW), Gate::Probing);
        breaker.end(Role::Probe, Told::Failed, NOW, Jitter::NONE);
        assert_eq!(breaker.gate(NOW), Gate::Shut(NOW.plus_ms(30_000)));
        let mut closed = Breaker::default();
        closed.bring_forward(NOW);
        assert!(closed.is_fresh());
    }

    #[test]
    fn a_probe_that_says_nothing_is_followed_by_another_after_the_same_pause() {
        let mut breaker = opened();
        let later = NOW.plus_ms(15_000);
        end(&mut breaker, Told::Nothing, later);
        assert_eq!(breaker.gate(later), Gate::Shut(later.plus_ms(15_000)));
    }
}
