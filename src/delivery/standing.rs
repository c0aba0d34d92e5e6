//! How one target stands: how many attempts it may have under way, what it is known for, and its breaker.
//!
//! Pure: time and chance are passed in. Refuses to know other targets; who goes first is decided in `places`.

use super::breaker::{Breaker, Gate, Role, Told};
use super::moment::Moment;
use crate::domain::retry::Jitter;

/// Attempts under way at once to one target at most.
pub const MAX_PER_TARGET: usize = 8;
/// What a target begins with that was never called.
const FIRST_ALLOWANCE: usize = 2;
/// An attempt that takes this long holds its place for long, ms.
pub const SLOW_MS: u64 = 1000;

/// What a target is known for. Each class has its own share of the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The last attempt was answered at once, and none hangs.
    Proven,
    /// Never called yet.
    Unknown,
    /// The last attempt failed or was slow, or one hangs.
    Suspect,
}

impl Class {
    pub const ALL: [Self; 3] = [Self::Proven, Self::Unknown, Self::Suspect];
}

/// The last attempt, as far as there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    None,
    Quick,
    SlowOrFailed,
}

#[derive(Debug, Clone)]
pub struct Standing {
    breaker: Breaker,
    allowance: usize,
    last: Last,
    in_flight: usize,
    /// Of those in flight, how many are out for [`SLOW_MS`] or more.
    hanging: usize,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            breaker: Breaker::default(),
            allowance: FIRST_ALLOWANCE,
            last: Last::None,
            in_flight: 0,
            hanging: 0,
        }
    }
}

impl Standing {
    pub fn class(&self) -> Class {
        match self.last {
            _ if self.hanging > 0 => Class::Suspect,
            Last::None => Class::Unknown,
            Last::Quick => Class::Proven,
            Last::SlowOrFailed => Class::Suspect,
        }
    }

    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub fn gate(&self, now: Moment) -> Gate {
        self.breaker.gate(now)
    }

    pub const fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    pub fn open_until(&self, now: Moment) -> Option<Moment> {
        self.breaker.open_until(now)
    }

    /// Whether nothing is known of it that a target seen for the first time would not have.
    pub fn is_blank(&self) -> bool {
        self.in_flight == 0 && self.last == Last::None && self.breaker.is_fresh()
    }

    /// How many more attempts its own allowance and its breaker let through.
    pub fn room(&self, now: Moment) -> usize {
        let allowed = match self.breaker.gate(now) {
            Gate::Free => self.allowance,
            // The probe goes beside what is still under way from before.
            Gate::Probe => return 1,
            Gate::Shut(_) | Gate::Probing => 0,
        };
        allowed.saturating_sub(self.in_flight)
    }

    /// Somebody asks by hand.
    pub fn bring_forward(&mut self, now: Moment) {
        self.breaker.bring_forward(now);
    }

    pub fn begin(&mut self) -> Role {
        self.in_flight += 1;
        self.breaker.begin()
    }

    /// An attempt is out for longer than [`SLOW_MS`].
    pub const fn hangs(&mut self) {
        self.hanging += 1;
    }

    pub fn end(&mut self, ended: &Ended, now: Moment, jitter: Jitter) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if ended.hung {
            self.hanging = self.hanging.saturating_sub(1);
        }
        let quick = if ended.took_ms < SLOW_MS {
            Last::Quick
        } else {
            Last::SlowOrFailed
        };
        match ended.told {
            Told::Delivered => {
                self.allowance = (self.allowance + 1).min(MAX_PER_TARGET);
                self.last = quick;
            }
            Told::Answered => self.last = quick,
            Told::Failed | Told::Overloaded(_) => {
                self.allowance = 1;
                self.last = Last::SlowOrFailed;
            }
            Told::Nothing => {}
        }
        self.breaker.end(ended.role, ended.told, now, jitter);
    }
}

/// An attempt that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    pub told: Told,
    /// How long the receiver took, ms.
    pub took_ms: u64,
    pub role: Role,
    /// Whether [`Standing::hangs`] was told of it.
    pub hung: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_000);

    fn ended(told: Told, took_ms: u64) -> Ended {
        Ended {
            told,
            took_ms,
            role: Role::Usual,
            hung: false,
        }
    }

    fn attempt(standing: &mut Standing, told: Told, took_ms: u64) {
        let role = standing.begin();
        let ended = Ended {
            role,
            ..ended(told, took_ms)
        };
        standing.end(&ended, NOW, Jitter::NONE);
    }

    #[test]
    fn the_allowance_starts_at_two_grows_by_one_to_eight_and_falls_to_one() {
        let mut standing = Standing::default();
        for expected in [2, 3, 4, 5, 6, 7, 8, 8, 8] {
            assert_eq!(standing.room(NOW), expected);
            attempt(&mut standing, Told::Delivered, 10);
        }
        attempt(&mut standing, Told::Failed, 10);
        assert_eq!(standing.room(NOW), 1);
        attempt(&mut standing, Told::Delivered, 10);
        assert_eq!(standing.room(NOW), 2);
        attempt(&mut standing, Told::Overloaded(None), 10);
        assert_eq!(standing.room(NOW), 1);
    }

    #[test]
    fn a_refusal_of_one_url_is_not_the_hosts() {
        let mut standing = Standing::default();
        attempt(&mut standing, Told::Delivered, 10);
        for _ in 0..20 {
            attempt(&mut standing, Told::Answered, 10);
        }
        assert_eq!((standing.room(NOW), standing.class()), (3, Class::Proven));
        attempt(&mut standing, Told::Answered, SLOW_MS);
        assert_eq!(standing.class(), Class::Suspect);
    }

    #[test]
    fn classes_follow_the_last_attempt_and_whatever_hangs() {
        let mut standing = Standing::default();
        assert_eq!(standing.class(), Class::Unknown);
        attempt(&mut standing, Told::Delivered, SLOW_MS - 1);
        assert_eq!(standing.class(), Class::Proven);
        attempt(&mut standing, Told::Delivered, SLOW_MS);
        assert_eq!(standing.class(), Class::Suspect);
        attempt(&mut standing, Told::Delivered, 1);
        assert_eq!(standing.begin(), Role::Usual);
        standing.hangs();
        assert_eq!(standing.class(), Class::Suspect);
        attempt(&mut standing, Told::Delivered, 1);
        assert_eq!(standing.class(), Class::Suspect, "one still hangs");
        let hung = Ended {
            hung: true,
            ..ended(Told::Nothing, 5_000)
        };
        standing.end(&hung, NOW, Jitter::NONE);
        assert_eq!(standing.class(), Class::Proven);
        attempt(&mut standing, Told::Failed, 1);
        assert_eq!(standing.class(), Class::Suspect);
    }

    #[test]
    fn an_open_breaker_leaves_no_room_and_then_room_for_one() {
        let mut standing = Standing::default();
        assert_eq!(standing.begin(), Role::Usual);
        for _ in 0..5 {
            attempt(&mut standing, Told::Failed, 1);
        }
        assert_eq!(standing.room(NOW), 0);
        let later = NOW.plus_ms(15_000);
        assert_eq!(standing.room(later), 1, "beside the one from before");
        assert_eq!(standing.begin(), Role::Probe);
        assert_eq!(standing.room(later), 0);
    }

    #[test]
    fn what_was_never_called_is_blank() {
        let mut standing = Standing::default();
        assert!(standing.is_blank());
        attempt(&mut standing, Told::Nothing, 1);
        assert!(standing.is_blank());
        attempt(&mut standing, Told::Delivered, 1);
        assert!(!standing.is_blank());
    }
}
